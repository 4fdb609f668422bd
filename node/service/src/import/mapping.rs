//! What the columns of a national file mean, as a small TOML file.
//!
//! ```toml
//! source = "missing-persons"            # names the register of origin; with the key it identifies a record
//! subject = "person"                    # the default
//! key = "case no"                       # the column or member that names a record within the source
//! date-format = "day-month-year"        # or year-month-day (the default), month-day-year
//! calendar = "buddhist"                 # or gregorian (the default)
//! delimiter = ";"                       # of CSV columns; a comma if left out
//! list-separator = ","                  # between items inside one CSV cell; a semicolon if left out
//! part-separator = "/"                  # between the parts of one item; a vertical bar if left out
//! unknown-words = ["not known", "?"]    # cells that say that a value is not known
//! ignore = ["remarks"]                  # columns that are left out
//!
//! [columns]                             # column = field (the names of the slot table)
//! surname = "family-name"
//! born = "birth-date"
//! passports = "documents"               # cells as in "passport/AB1234567/KH,passport/CD7654321/LA"
//!
//! [constants]                           # field = value, for every record, written as in a cell
//! nationalities = "KH"
//!
//! [values.sex]                          # field: a word of the file = a word of the slot table
//! male = "M"
//! ```
//!
//! A column that is not listed but bears the name of a field fills that field; any other is an error, so that
//! nothing is lost because of a typing mistake. Unknown keys are refused.

use std::collections::{BTreeMap, BTreeSet};

use eads_domain::code::{Code, Coded, Fault};
use eads_domain::record::{Record, RecordError, SourceName};
use eads_domain::slot::{SlotNumber, SlotSpec};
use eads_domain::subject::SubjectType;
use eads_domain::value::Value;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization as _;

/// A mapping that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Not TOML, or a key that does not exist.
    #[error("the mapping cannot be read: {0}")]
    Syntax(String),
    /// The source's name.
    #[error(transparent)]
    Source(RecordError),
    /// A field that records of this subject do not have.
    #[error("{place}: a record of a {subject} has no field \"{field}\"")]
    FieldUnknown {
        /// Where in the mapping.
        place: &'static str,
        /// Of which subject.
        subject: SubjectType,
        /// As written.
        field: String,
    },
    /// Two columns, or a column and a constant, for one field.
    #[error("the field \"{field}\" is filled twice")]
    FieldTwice {
        /// Its name.
        field: String,
    },
    /// A separator or delimiter that cannot separate.
    #[error("{key}: one character that is no letter, digit, quotation mark or line end; the two separators differ")]
    Separator {
        /// Which.
        key: &'static str,
    },
    /// The key column is also ignored or mapped.
    #[error("the key column \"{column}\" is also listed under `columns` or `ignore`")]
    KeyColumn {
        /// Its name.
        column: String,
    },
    /// A constant that its field cannot hold.
    #[error("constants.{field}: {reason}")]
    Constant {
        /// Which field.
        field: String,
        /// What is wrong.
        reason: String,
    },
}

impl Coded for MappingError {
    fn code(&self) -> Code {
        match self {
            Self::Syntax(_) => Code::new("MAPPING_SYNTAX"),
            Self::Source(error) => error.code(),
            Self::FieldUnknown { .. } => Code::new("MAPPING_FIELD_UNKNOWN"),
            Self::FieldTwice { .. } => Code::new("MAPPING_FIELD_TWICE"),
            Self::Separator { .. } => Code::new("MAPPING_SEPARATOR"),
            Self::KeyColumn { .. } => Code::new("MAPPING_KEY_COLUMN"),
            Self::Constant { .. } => Code::new("MAPPING_CONSTANT"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// In which order a date is written; the parts stand apart by `-`, `/`, `.` or a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateFormat {
    /// `1980-02-03`, `1980-02`, `1980`.
    #[default]
    YearMonthDay,
    /// `03/02/1980`, `02/1980`, `1980`.
    DayMonthYear,
    /// `02/03/1980`, `02/1980`, `1980`.
    MonthDayYear,
}

/// From when years are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calendar {
    /// The Common Era.
    #[default]
    Gregorian,
    /// The Buddhist Era as Thailand counts it: 543 years ahead.
    Buddhist,
}

/// A mapping that fits its subject. See the module's documentation for the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub(super) source: SourceName,
    pub(super) subject: SubjectType,
    pub(super) key: String,
    pub(super) delimiter: u8,
    pub(super) style: Style,
    columns: BTreeMap<String, &'static SlotSpec>,
    ignore: BTreeSet<String>,
    pub(super) constants: Vec<(SlotNumber, Value)>,
}

/// How values are written in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) date_format: DateFormat,
    pub(super) calendar: Calendar,
    pub(super) list_separator: char,
    pub(super) part_separator: char,
    pub(super) unknown_words: BTreeSet<String>,
    pub(super) values: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a mapping says about a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Key,
    Field(&'static SlotSpec),
    Ignored,
}

impl Mapping {
    /// Columns named like the fields they fill, and one named `key`.
    ///
    /// # Errors
    /// [`MappingError::Source`] if the source's name is not well formed.
    pub fn by_name(source: &str, subject: SubjectType) -> Result<Self, MappingError> {
        Self::parse(&format!("source = {source:?}\nsubject = \"{subject}\"\n"))
    }

    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingError`] for the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let text: String = text.nfc().collect();
        let raw: Raw = toml::from_str(&text).map_err(|error| MappingError::Syntax(error.to_string()))?;
        let subject = raw.subject;
        let field = |place, name: &str| {
            Record::field(subject, name).ok_or_else(|| MappingError::FieldUnknown {
                place,
                subject,
                field: name.to_owned(),
            })
        };
        let mut filled = BTreeSet::new();
        let mut fill = |spec: &'static SlotSpec| {
            let field = spec.name.clone();
            if filled.insert(field.clone()) { Ok(spec) } else { Err(MappingError::FieldTwice { field }) }
        };
        let columns: BTreeMap<String, &'static SlotSpec> = raw
            .columns
            .into_iter()
            .map(|(column, name)| field("columns", &name).and_then(&mut fill).map(|spec| (column, spec)))
            .collect::<Result<_, _>>()?;
        let constants: Vec<(&'static SlotSpec, String)> = raw
            .constants
            .into_iter()
            .map(|(name, value)| field("constants", &name).and_then(&mut fill).map(|spec| (spec, value)))
            .collect::<Result<_, _>>()?;
        raw.values.keys().try_for_each(|name| field("values", name).map(drop))?;
        if raw.ignore.contains(&raw.key) || columns.contains_key(&raw.key) {
            return Err(MappingError::KeyColumn { column: raw.key });
        }
        let list_separator = separator("list-separator", &raw.list_separator)?;
        let part_separator = separator("part-separator", &raw.part_separator)?;
        if list_separator == part_separator {
            return Err(MappingError::Separator { key: "part-separator" });
        }
        let delimiter = separator("delimiter", &raw.delimiter)?;
        let style = Style {
            date_format: raw.date_format,
            calendar: raw.calendar,
            list_separator,
            part_separator,
            unknown_words: raw.unknown_words.iter().map(|word| word.trim().to_lowercase()).collect(),
            values: raw.values,
        };
        let constant = |(spec, written): (&'static SlotSpec, String)| {
            let read = super::cell::read_text(spec, &written, &style, None);
            let field = spec.name.clone();
            read.map(|value| (spec.number, value))
                .map_err(|problem| MappingError::Constant { field, reason: problem.reason })
        };
        let constants = constants.into_iter().map(constant).collect::<Result<_, _>>()?;
        Ok(Self {
            source: raw.source.parse().map_err(MappingError::Source)?,
            subject,
            key: raw.key,
            delimiter: u8::try_from(delimiter).map_err(|_| MappingError::Separator { key: "delimiter" })?,
            style,
            columns,
            ignore: raw.ignore,
            constants,
        })
    }

    /// The register that the file comes from.
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// What the records are about.
    pub const fn subject(&self) -> SubjectType {
        self.subject
    }

    /// What a column fills; `None` if nothing is said about it.
    pub(super) fn meaning(&self, column: &str) -> Option<Meaning> {
        if column == self.key {
            return Some(Meaning::Key);
        }
        if self.ignore.contains(column) {
            return Some(Meaning::Ignored);
        }
        let mapped = self.columns.get(column).copied();
        mapped.or_else(|| Record::field(self.subject, column)).map(Meaning::Field)
    }

    /// The columns that the mapping names and a file must therefore have.
    pub(super) fn expected_columns(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.key.as_str()).chain(self.columns.keys().map(String::as_str))
    }
}

fn separator(key: &'static str, text: &str) -> Result<char, MappingError> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) if !c.is_alphanumeric() && !matches!(c, '"' | '\n' | '\r' | '\0' | '-' | '+') => Ok(c),
        _ => Err(MappingError::Separator { key }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    source: String,
    #[serde(default = "person")]
    subject: SubjectType,
    #[serde(default = "key")]
    key: String,
    #[serde(default)]
    date_format: DateFormat,
    #[serde(default)]
    calendar: Calendar,
    #[serde(default = "comma")]
    delimiter: String,
    #[serde(default = "semicolon")]
    list_separator: String,
    #[serde(default = "bar")]
    part_separator: String,
    #[serde(default)]
    unknown_words: Vec<String>,
    #[serde(default)]
    ignore: BTreeSet<String>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    #[serde(default)]
    constants: BTreeMap<String, String>,
    #[serde(default)]
    values: BTreeMap<String, BTreeMap<String, String>>,
}

const fn person() -> SubjectType {
    SubjectType::Person
}

fn key() -> String {
    "key".to_owned()
}

fn comma() -> String {
    ",".to_owned()
}

fn semicolon() -> String {
    ";".to_owned()
}

fn bar() -> String {
    "|".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the module's documentation.
    fn documented() -> String {
        let source = include_str!("mapping.rs");
        let lines = source.lines().skip_while(|line| *line != "//! ```toml").skip(1);
        let lines = lines.take_while(|line| *line != "//! ```");
        lines.map(|line| line.trim_start_matches("//!").trim_start()).collect::<Vec<_>>().join("\n")
    }

    fn code(text: &str) -> &'static str {
        Mapping::parse(text).unwrap_err().code().as_str()
    }

    #[test]
    fn the_documented_mapping_is_read() {
        let mapping = Mapping::parse(&documented()).unwrap();
        assert_eq!(mapping.source().as_str(), "missing-persons");
        assert_eq!(mapping.meaning("case no"), Some(Meaning::Key));
        assert_eq!(mapping.meaning("remarks"), Some(Meaning::Ignored));
        for (column, field) in [("surname", "family-name"), ("born", "birth-date"), ("given-names", "given-names")] {
            assert!(matches!(mapping.meaning(column), Some(Meaning::Field(spec)) if spec.name == field), "{column}");
        }
        assert_eq!(mapping.meaning("Surname"), None);
    }

    #[test]
    fn a_mapping_by_name_needs_nothing_but_a_source() {
        let mapping = Mapping::by_name("register", SubjectType::Vehicle).unwrap();
        assert_eq!(mapping.meaning("key"), Some(Meaning::Key));
        assert!(matches!(mapping.meaning("plate"), Some(Meaning::Field(_))));
        assert_eq!(mapping.meaning("family-name"), None);
        assert!(Mapping::by_name("Not A Name", SubjectType::Person).is_err());
    }

    #[test]
    fn what_a_mapping_does_not_know_is_refused() {
        assert_eq!(code("source = \"x\"\ncolums = {}"), "MAPPING_SYNTAX");
        assert_eq!(code("key = \"id\""), "MAPPING_SYNTAX");
        assert_eq!(code("source = \"x\"\n[columns]\na = \"surname\""), "MAPPING_FIELD_UNKNOWN");
        assert_eq!(code("source = \"x\"\n[values.gender]\na = \"M\""), "MAPPING_FIELD_UNKNOWN");
        assert_eq!(code("source = \"x\"\n[columns]\na = \"approvals\""), "MAPPING_FIELD_UNKNOWN");
    }

    #[test]
    fn a_field_is_filled_once() {
        assert_eq!(code("source = \"x\"\n[columns]\na = \"sex\"\nb = \"sex\""), "MAPPING_FIELD_TWICE");
        assert_eq!(code("source = \"x\"\n[columns]\na = \"sex\"\n[constants]\nsex = \"M\""), "MAPPING_FIELD_TWICE");
        assert_eq!(code("source = \"x\"\nignore = [\"key\"]"), "MAPPING_KEY_COLUMN");
    }

    #[test]
    fn separators_can_separate() {
        for bad in ["", "ab", "a", "\\\"", "\\n", "-"] {
            assert_eq!(code(&format!("source = \"x\"\nlist-separator = \"{bad}\"")), "MAPPING_SEPARATOR", "{bad}");
        }
        assert_eq!(code("source = \"x\"\nlist-separator = \"|\""), "MAPPING_SEPARATOR");
        assert_eq!(code("source = \"x\"\ndelimiter = \"…\""), "MAPPING_SEPARATOR");
    }

    #[test]
    fn a_constant_that_its_field_cannot_hold_is_refused_before_the_first_record() {
        assert_eq!(code("source = \"x\"\n[constants]\nsex = \"male\""), "MAPPING_CONSTANT");
        assert!(Mapping::parse("source = \"x\"\n[constants]\nsex = \"male\"\n[values.sex]\nmale = \"M\"").is_ok());
    }
}
