//! What a cell's number means by its format, and how it is written.

use std::collections::HashMap;

use eads_domain::clock::Timestamp;

/// Formats and styles that are looked at; Excel itself allows 65,490 styles.
const MAX_STYLES: usize = 100_000;
/// Digits that a spreadsheet keeps of a number.
const MAX_DIGITS_VALUE: f64 = 1e15;
/// Days from 1899-12-30 to 1904-01-01.
const FROM_1904: i64 = 1462;
const DAY_SECONDS: f64 = 86_400.0;
/// Days from 1899-12-30 to 1970-01-01.
const EPOCH: i64 = 25_569;
/// 9999-12-30, the last day that a time stamp can show.
const LAST_DAY: f64 = 2_958_464.0;

/// How a number is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is.
    Number,
    /// With leading zeros up to so many digits.
    Zeros(usize),
    /// Days since the beginning of the sheet's calendar.
    Date,
}

/// The formats of a workbook, by style.
#[derive(Debug, Default)]
pub(super) struct Formats {
    codes: HashMap<u32, Kind>,
    styles: Vec<u32>,
    inside_cells: bool,
}

impl Formats {
    /// Takes in an element of `styles.xml`.
    pub(super) fn take(&mut self, element: &str, attribute: impl Fn(&str) -> Option<String>) {
        let number = || attribute("numFmtId").and_then(|id| id.parse().ok());
        match element {
            "numFmt" if self.codes.len() < MAX_STYLES => {
                if let (Some(id), Some(code)) = (number(), attribute("formatCode")) {
                    self.codes.insert(id, kind_of_code(&code));
                }
            }
            "cellXfs" => self.inside_cells = true,
            "cellStyleXfs" | "cellStyles" | "dxfs" => self.inside_cells = false,
            "xf" if self.inside_cells && self.styles.len() < MAX_STYLES => self.styles.push(number().unwrap_or(0)),
            _ => {}
        }
    }

    /// How a number in a cell of this style is to be read.
    pub(super) fn kind(&self, style: usize) -> Kind {
        let id = self.styles.get(style).copied().unwrap_or(0);
        let built_in = match id {
            // ECMA-376 part 1, 18.8.30, with those of East Asian and Thai editions.
            14..=22 | 27..=36 | 45..=47 | 50..=58 | 71..=81 => Kind::Date,
            _ => Kind::Number,
        };
        self.codes.get(&id).copied().unwrap_or(built_in)
    }
}

/// What a format's code makes of a number; only its first section counts, that for positive numbers.
fn kind_of_code(code: &str) -> Kind {
    let mut letters = String::new();
    let mut characters = code.chars();
    while let Some(character) = characters.next() {
        match character {
            ';' => break,
            '"' => while characters.next().is_some_and(|c| c != '"') {},
            '[' => while characters.next().is_some_and(|c| c != ']') {},
            '\\' | '_' | '*' => drop(characters.next()),
            _ => letters.extend(character.to_lowercase()),
        }
    }
    let zeros = letters.chars().filter(|c| *c == '0').count();
    if !letters.contains("general") && letters.contains(['y', 'd', 'm', 'h', 's', 'e', 'b', 'ป', 'ว']) && zeros == 0
    {
        return Kind::Date;
    }
    let is_only_zeros = letters.chars().all(|c| matches!(c, '0' | ' ' | '-' | '/' | '(' | ')'));
    if zeros >= 2 && is_only_zeros { Kind::Zeros(zeros) } else { Kind::Number }
}

/// What a number says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    /// A day, ISO 8601.
    Date(String),
    Problem(&'static str, &'static str),
}

/// A number as it stands in the file, in a cell that is read as `kind`.
pub(super) fn said(written: &str, kind: Kind, from_1904: bool) -> Said {
    let Some(number) = written.trim().parse::<f64>().ok().filter(|number| number.is_finite()) else {
        return Said::Problem("XLSX_NUMBER", "the cell should hold a number and does not");
    };
    if kind == Kind::Date {
        return date(number, from_1904);
    }
    if number.abs() >= MAX_DIGITS_VALUE {
        let why = "a spreadsheet keeps no more than 15 digits of a number; make it a text and type it again";
        return Said::Problem("XLSX_NUMBER_TOO_LONG", why);
    }
    // Sums and products leave errors in the sixteenth digit.
    let rounded = number.round();
    let number = if (number - rounded).abs() <= rounded.abs() * 1e-15 { rounded } else { number };
    Said::Text(match kind {
        Kind::Zeros(digits) if number.fract() == 0.0 && number >= 0.0 => format!("{number:0digits$}"),
        _ => format!("{}", if number == 0.0 { 0.0 } else { number }),
    })
}

fn date(number: f64, from_1904: bool) -> Said {
    const NO_DATE: Said = Said::Problem("XLSX_DATE", "the cell is formatted as a date and holds none");
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let last = if from_1904 { LAST_DAY - FROM_1904 as f64 } else { LAST_DAY };
    if !(0.0..=last).contains(&number) {
        return NO_DATE;
    }
    #[allow(clippy::cast_possible_truncation, reason = "bounded by LAST_DAY")]
    let (day, second) = (number.trunc() as i64, (number.fract() * DAY_SECONDS).round() as i64);
    let day = match (from_1904, day) {
        (true, day) => day + FROM_1904,
        (false, 0) if second > 0 => return Said::Text(format!("{:02}:{:02}", second / 3600, second / 60 % 60)),
        // The day that never was: 29 February 1900.
        (false, 0 | 60) => return NO_DATE,
        (false, day @ 1..60) => day + 1,
        (false, day) => day,
    };
    let written = Timestamp::from_unix((day - EPOCH) * 86_400).to_string();
    written.get(..10).map_or(NO_DATE, |day| Said::Date(day.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full_and_with_the_zeros_that_are_shown() {
        for (written, kind, expected) in [
            ("12345", Kind::Zeros(7), "0012345"),
            ("12345", Kind::Number, "12345"),
            ("1.2E+10", Kind::Number, "12000000000"),
            ("123456789012345", Kind::Number, "123456789012345"),
            ("172.5", Kind::Number, "172.5"),
            ("0.30000000000000004", Kind::Number, "0.30000000000000004"),
            ("3.0000000000000004", Kind::Number, "3"),
            ("-0", Kind::Number, "0"),
            ("-5", Kind::Zeros(3), "-5"),
        ] {
            assert_eq!(said(written, kind, false), Said::Text(expected.to_owned()), "{written}");
        }
        for written in ["1E+15", "12345678901234567890", "1e400", "abc", "", "NaN"] {
            assert!(matches!(said(written, Kind::Number, false), Said::Problem(..)), "{written}");
        }
    }

    #[test]
    fn days_are_counted_as_the_sheet_counts_them() {
        for (written, from_1904, expected) in [
            ("29254", false, "1980-02-03"),
            ("29254.75", false, "1980-02-03"),
            ("1", false, "1900-01-01"),
            ("59", false, "1900-02-28"),
            ("61", false, "1900-03-01"),
            ("27792", true, "1980-02-03"),
            ("2958464", false, "9999-12-30"),
        ] {
            assert_eq!(said(written, Kind::Date, from_1904), Said::Date(expected.to_owned()), "{written}");
        }
        assert_eq!(said("0.5", Kind::Date, false), Said::Text("12:00".to_owned()));
        for written in ["60", "-1", "2958465", "0"] {
            assert!(matches!(said(written, Kind::Date, false), Said::Problem(..)), "{written}");
        }
    }

    #[test]
    fn a_format_tells_dates_zeros_and_numbers() {
        for code in
            ["yyyy-mm-dd", "[$-41E]d mmm yy", "dd/mm/yyyy;@", "[h]:mm", "d\" of \"mmmm", "[$-D07041E]B2d/m/yyyy"]
        {
            assert_eq!(kind_of_code(code), Kind::Date, "{code}");
        }
        assert_eq!(kind_of_code("0000000"), Kind::Zeros(7));
        assert_eq!(kind_of_code("000\\-0000"), Kind::Zeros(7));
        for code in ["0", "0.00", "General", "#,##0", "0.00E+00", "\"days\" 0", "[Red]0", "@", "0%"] {
            assert_eq!(kind_of_code(code), Kind::Number, "{code}");
        }
    }
}
