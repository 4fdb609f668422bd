//! From what a file says to the value of a field: text cells of CSV and members of JSON alike.
//!
//! A text cell for a list is split at the list separator, an item with parts at the part separator, the parts
//! standing in the order of the slot table. In JSON a list is an array and an item with parts an object (or an
//! array in that order); `{"unknown": true}` says that a value is not known.

use eads_domain::code::{Code, Coded as _};
use eads_domain::slot::{Part, Scalar, SearchRole, Shape, SlotSpec};
use eads_domain::value::{InvalidDate, PartialDate, Value};
use serde_json::Value as Json;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::mapping::{Calendar, DateFormat, Style};

/// How far the Buddhist Era is ahead.
const BUDDHIST_YEARS: u16 = 543;
/// Years that no genuine Gregorian date has and every living person's Buddhist one does.
const BUDDHIST_RANGE: std::ops::RangeInclusive<u16> = 2400..=2700;

/// Why a value cannot be used; repeats no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) reason: String,
}

impl Problem {
    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code: Code::new(code), reason: reason.into() }
    }

    fn coded(error: &impl eads_domain::code::Coded) -> Self {
        Self { code: error.code(), reason: error.to_string() }
    }
}

/// The value of a text cell; absent if it is blank. `today` bounds dates of birth, where it is known.
pub(super) fn read_text(
    spec: &'static SlotSpec,
    written: &str,
    style: &Style,
    today: Option<PartialDate>,
) -> Result<Value, Problem> {
    let reader = Reader { spec, style, today };
    // Words of the mapping are met by those of the file, however either composes its letters.
    let composed: std::borrow::Cow<'_, str> =
        if is_nfc(written) { written.into() } else { written.nfc().collect::<String>().into() };
    let written = composed.trim();
    if written.is_empty() {
        return Ok(Value::Absent);
    }
    if !style.unknown_words.is_empty() && style.unknown_words.contains(&written.to_lowercase()) {
        return Ok(Value::Unknown);
    }
    let items = || written.split(style.list_separator).map(str::trim).filter(|item| !item.is_empty());
    let value = match &spec.shape {
        Shape::One(scalar) => reader.leaf(scalar, written),
        Shape::Many(scalar) => items().map(|item| reader.leaf(scalar, item)).collect::<Result<_, _>>().map(Value::List),
        Shape::Parts(parts) => reader.parts_of_text(parts, written),
        Shape::ManyParts(parts) => {
            items().map(|item| reader.parts_of_text(parts, item)).collect::<Result<_, _>>().map(Value::List)
        }
    }?;
    reader.checked(value)
}

/// The value of a JSON member; absent if it is null or blank.
pub(super) fn read_json(
    spec: &'static SlotSpec,
    written: &Json,
    style: &Style,
    today: Option<PartialDate>,
) -> Result<Value, Problem> {
    let reader = Reader { spec, style, today };
    let value = match (&spec.shape, written) {
        (_, Json::Null) => return Ok(Value::Absent),
        (_, Json::String(text)) => return read_text(spec, text, style, today),
        (_, written) if says_unknown(written) => return Ok(Value::Unknown),
        (Shape::One(scalar), written) => reader.json_leaf(scalar, written),
        (Shape::Many(scalar), Json::Array(items)) => {
            items.iter().map(|item| reader.json_leaf(scalar, item)).collect::<Result<_, _>>().map(Value::List)
        }
        (Shape::Parts(parts), written) => reader.parts_of_json(parts, written),
        (Shape::ManyParts(parts), Json::Array(items)) => {
            items.iter().map(|item| reader.parts_of_json(parts, item)).collect::<Result<_, _>>().map(Value::List)
        }
        _ => Err(reader.shape_problem()),
    }?;
    reader.checked(value)
}

fn says_unknown(written: &Json) -> bool {
    written.as_object().is_some_and(|object| object.len() == 1 && object.get("unknown") == Some(&Json::Bool(true)))
}

struct Reader<'a> {
    spec: &'static SlotSpec,
    style: &'a Style,
    today: Option<PartialDate>,
}

impl Reader<'_> {
    fn checked(&self, value: Value) -> Result<Value, Problem> {
        if value == Value::List(Vec::new()) {
            return Ok(Value::Absent);
        }
        self.spec.check(&value).map_err(|error| Problem::coded(&error))?;
        Ok(value)
    }

    fn shape_problem(&self) -> Problem {
        Problem::new("FIELD_TYPE", format!("{} is {}", self.spec.name, self.spec.shape.describe()))
    }

    fn parts_of_text(&self, parts: &[Part], written: &str) -> Result<Value, Problem> {
        let pieces: Vec<&str> = written.split(self.style.part_separator).map(str::trim).collect();
        if pieces.len() > parts.len() {
            return Err(self.shape_problem());
        }
        let pieces = pieces.into_iter().chain(std::iter::repeat(""));
        let values = parts.iter().zip(pieces).map(|(part, piece)| self.optional_leaf(&part.scalar, piece));
        values.collect::<Result<_, _>>().map(Value::List)
    }

    fn parts_of_json(&self, parts: &[Part], written: &Json) -> Result<Value, Problem> {
        let members: Vec<&Json> = match written {
            Json::Object(object) => {
                if object.keys().any(|name| !parts.iter().any(|part| part.name == *name)) {
                    return Err(self.shape_problem());
                }
                parts.iter().map(|part| object.get(&part.name).unwrap_or(&Json::Null)).collect()
            }
            Json::Array(items) if items.len() <= parts.len() => {
                items.iter().chain(std::iter::repeat(&Json::Null)).take(parts.len()).collect()
            }
            Json::String(text) => return self.parts_of_text(parts, text),
            _ => return Err(self.shape_problem()),
        };
        let values = parts.iter().zip(members).map(|(part, member)| match member {
            Json::Null => Ok(Value::Absent),
            Json::String(text) => self.optional_leaf(&part.scalar, text),
            member if says_unknown(member) => Ok(Value::Unknown),
            member => self.json_leaf(&part.scalar, member),
        });
        values.collect::<Result<_, _>>().map(Value::List)
    }

    fn json_leaf(&self, scalar: &Scalar, written: &Json) -> Result<Value, Problem> {
        match written {
            Json::String(text) => self.leaf(scalar, text.trim()),
            Json::Number(number) => self.leaf(scalar, &number.to_string()),
            Json::Bool(flag) if *scalar == Scalar::Flag => self.leaf(scalar, if *flag { "1" } else { "0" }),
            _ => Err(self.shape_problem()),
        }
    }

    fn optional_leaf(&self, scalar: &Scalar, written: &str) -> Result<Value, Problem> {
        let written = written.trim();
        if written.is_empty() { Ok(Value::Absent) } else { self.leaf(scalar, written) }
    }

    fn leaf(&self, scalar: &Scalar, written: &str) -> Result<Value, Problem> {
        let translated = self.style.values.get(&self.spec.name).and_then(|words| words.get(written));
        let written = translated.map_or(written, String::as_str);
        let text = match scalar {
            Scalar::Date => return self.date(written).map(Value::Date),
            Scalar::Nationality(_) if written.eq_ignore_ascii_case("stateless") => "XXA",
            Scalar::Nationality(_) if written.eq_ignore_ascii_case("refugee") => "XXB",
            Scalar::Code(list) | Scalar::Country(list) | Scalar::Nationality(list) => {
                list.find(written).unwrap_or(written)
            }
            Scalar::Flag if matches!(written, "true" | "yes") => "1",
            Scalar::Flag if matches!(written, "false" | "no") => "0",
            Scalar::Language => &written.to_ascii_lowercase(),
            Scalar::Currency | Scalar::Grading => &written.to_ascii_uppercase(),
            _ => written,
        };
        Value::text(text).map_err(|error| Problem::coded(&error))
    }

    fn date(&self, written: &str) -> Result<PartialDate, Problem> {
        let name = &self.spec.name;
        let date = parse_date(written, self.style.date_format, self.style.calendar)
            .map_err(|error| Problem { code: error.code(), reason: format!("{name}: {error}") })?;
        if BUDDHIST_RANGE.contains(&date.year()) {
            let hint = "the year looks like one of the Buddhist Era, 543 ahead: set calendar = \"buddhist\" in the \
                        mapping, or convert the dates";
            return Err(Problem::new("DATE_BUDDHIST_ERA", format!("{name}: {hint}")));
        }
        let birth = self.spec.search == Some(SearchRole::BirthDate);
        if birth && self.today.is_some_and(|today| begins_after(date, today)) {
            let hint = match self.style.calendar {
                Calendar::Gregorian => "",
                Calendar::Buddhist => "; the mapping says that years are Buddhist",
            };
            return Err(Problem::new("DATE_IN_FUTURE", format!("{name}: the date lies in the future{hint}")));
        }
        Ok(date)
    }
}

fn begins_after(date: PartialDate, today: PartialDate) -> bool {
    let first_day = |date: PartialDate| (date.year(), date.month().unwrap_or(1), date.day().unwrap_or(1));
    first_day(date) > first_day(today)
}

fn parse_date(written: &str, format: DateFormat, calendar: Calendar) -> Result<PartialDate, InvalidDate> {
    let pieces: Vec<&str> = written.split(['-', '/', '.', ' ']).filter(|piece| !piece.is_empty()).collect();
    let (year, month, day) = match (format, pieces.as_slice()) {
        (_, [year]) => (*year, None, None),
        (DateFormat::YearMonthDay, [year, month]) => (*year, Some(*month), None),
        (_, [month, year]) => (*year, Some(*month), None),
        (DateFormat::YearMonthDay, [year, month, day]) => (*year, Some(*month), Some(*day)),
        (DateFormat::DayMonthYear, [day, month, year]) => (*year, Some(*month), Some(*day)),
        (DateFormat::MonthDayYear, [month, day, year]) => (*year, Some(*month), Some(*day)),
        _ => return Err(InvalidDate::Form),
    };
    let number = |piece: &str, digits: std::ops::RangeInclusive<usize>| {
        let good = digits.contains(&piece.len()) && piece.bytes().all(|byte| byte.is_ascii_digit());
        if good { piece.parse::<u16>().map_err(|_| InvalidDate::Form) } else { Err(InvalidDate::Form) }
    };
    let small = |piece: Option<&str>| -> Result<Option<u8>, InvalidDate> {
        piece.map(|piece| number(piece, 1..=2).and_then(|n| u8::try_from(n).map_err(|_| InvalidDate::Form))).transpose()
    };
    let year = number(year, 4..=4)?;
    let year = match calendar {
        Calendar::Gregorian => year,
        Calendar::Buddhist => year.checked_sub(BUDDHIST_YEARS).ok_or(InvalidDate::Year)?,
    };
    PartialDate::new(year, small(month)?, small(day)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_order_and_calendar_of_the_file() {
        use Calendar::{Buddhist, Gregorian};
        use DateFormat::{DayMonthYear, MonthDayYear, YearMonthDay};
        for (written, format, calendar, expected) in [
            ("1980-02-03", YearMonthDay, Gregorian, "1980-02-03"),
            ("1980/2/3", YearMonthDay, Gregorian, "1980-02-03"),
            ("3.2.1980", DayMonthYear, Gregorian, "1980-02-03"),
            ("02/03/1980", MonthDayYear, Gregorian, "1980-02-03"),
            ("02/1980", DayMonthYear, Gregorian, "1980-02"),
            ("1980", MonthDayYear, Gregorian, "1980"),
            ("29/02/2543", DayMonthYear, Buddhist, "2000-02-29"),
        ] {
            assert_eq!(parse_date(written, format, calendar).unwrap().to_string(), expected, "{written}");
        }
        for written in ["1980-02-30", "1980-13-01", "80-01-01", "1980-01-01-01", "", "abcd", "19 80", "١٩٨٠", "+980"]
        {
            assert!(parse_date(written, YearMonthDay, Gregorian).is_err(), "{written}");
        }
        assert_eq!(parse_date("0500", YearMonthDay, Buddhist), Err(InvalidDate::Year));
    }
}
