//! What is asked of a node and what it answers: queries, hits, answers.
//!
//! A [`Query`] that exists is within bounds and states purpose and legal basis. A [`Hit`] is a pointer with a
//! score and an explanation, never a record. Nothing here matches names; that is the search crate's work.

mod answer;
mod identifier;

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

pub use answer::{
    Answer, Caution, Hit, HitField, HitReason, HitReference, HitSource, HitState, Score, StatementPointer,
    UnknownAnswerCode,
};
pub use identifier::{Advisory, IdentifierKey, IdentifierType};

use crate::code::{Code, Coded, Fault};
use crate::operator::Purpose;
use crate::subject::{NoticeKind, SubjectType};
use crate::value::PartialDate;

/// The longest name that may be asked, in characters.
pub const MAX_NAME_CHARS: usize = 200;
/// The longest statement of a legal basis, in characters.
pub const MAX_LEGAL_BASIS_CHARS: usize = 200;
/// The most notice kinds that one query may list.
pub const MAX_KINDS: usize = 32;

/// A query that cannot be asked. Texts never repeat what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No name, or nothing but spaces.
    #[error("the name is empty")]
    NameEmpty,
    /// No identifier, or nothing left of it after normalisation.
    #[error("the identifier is empty")]
    IdentifierEmpty,
    /// A text above its bound.
    #[error("{field} is too long: at most {max} {unit}")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// The bound.
        max: usize,
        /// What the bound counts.
        unit: &'static str,
    },
    /// Control characters in a text.
    #[error("{field} contains control characters")]
    Control {
        /// Which text.
        field: &'static str,
    },
    /// Purpose not among the codes.
    #[error("the purpose is not one of: {}", Purpose::codes())]
    Purpose,
    /// No legal basis stated.
    #[error("a legal basis must be stated")]
    LegalBasis,
    /// Subject type not known.
    #[error("the subject type is not known")]
    Subject,
    /// Notice kind not known, or too many of them.
    #[error("a notice kind is not known, or more than {MAX_KINDS} are listed")]
    Kind,
    /// Birth date not `YYYY[-MM[-DD]]` in the Gregorian calendar.
    #[error("the birth date is not YYYY, YYYY-MM or YYYY-MM-DD in the Gregorian calendar")]
    BirthDate,
    /// Nationality not a code.
    #[error("the nationality is not ISO 3166-1 alpha-2, XXA (stateless) or XXB (refugee)")]
    Nationality,
    /// Sex not a code.
    #[error("the sex is not F, M, X or U")]
    Sex,
    /// Neither a name nor an identifier.
    #[error("a query needs a name or an identifier")]
    KeyMissing,
    /// Identifier type not known.
    #[error("the identifier type is not one of: {}", IdentifierType::codes())]
    IdentifierType,
    /// An identifier that does not have the shape of its type.
    #[error("this is not a well-formed {kind}: expected {expected}")]
    IdentifierShape {
        /// The type.
        kind: IdentifierType,
        /// The shape in words.
        expected: &'static str,
    },
    /// A check digit or checksum that is wrong: almost always a typing error.
    #[error("the check digits of this {kind} are wrong; compare it with the source")]
    IdentifierCheck {
        /// The type.
        kind: IdentifierType,
    },
}

impl Coded for QueryError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::NameEmpty => "QUERY_NAME_EMPTY",
            Self::IdentifierEmpty => "QUERY_IDENTIFIER_EMPTY",
            Self::TooLong { .. } => "QUERY_TOO_LONG",
            Self::Control { .. } => "QUERY_CONTROL_CHARACTERS",
            Self::Purpose => "QUERY_PURPOSE_UNKNOWN",
            Self::LegalBasis => "QUERY_LEGAL_BASIS_MISSING",
            Self::Subject => "QUERY_SUBJECT_UNKNOWN",
            Self::Kind => "QUERY_KIND_UNKNOWN",
            Self::BirthDate => "QUERY_BIRTH_DATE_INVALID",
            Self::Nationality => "QUERY_NATIONALITY_INVALID",
            Self::Sex => "QUERY_SEX_INVALID",
            Self::KeyMissing => "QUERY_KEY_MISSING",
            Self::IdentifierType => "IDENTIFIER_TYPE_UNKNOWN",
            Self::IdentifierShape { .. } => "IDENTIFIER_MALFORMED",
            Self::IdentifierCheck { .. } => "IDENTIFIER_CHECK_FAILED",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// A hit/no-hit question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Why it is asked.
    pub purpose: Purpose,
    /// On which legal basis, if the officer states one.
    pub legal_basis: Option<LegalBasis>,
    /// About what kind of subject.
    pub subject: SubjectType,
    /// What is looked up.
    pub key: QueryKey,
    /// Notice kinds to look at; empty means all.
    pub kinds: Vec<NoticeKind>,
    /// An exercise: real data is neither asked nor shown.
    pub exercise: bool,
}

impl Query {
    /// Whether notices of `kind` are asked for.
    pub fn asks_for(&self, kind: NoticeKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}

/// What is looked up: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryKey {
    /// A name, with what else is known.
    Name(NameKey),
    /// Something that identifies by itself.
    Identifier(IdentifierKey),
}

/// The legal basis that the asking officer states: a code or short text, 1 to 200 characters, NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalBasis(String);

impl LegalBasis {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LegalBasis {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        let text = bounded("legal basis", text, MAX_LEGAL_BASIS_CHARS)?;
        if text.is_empty() { Err(QueryError::LegalBasis) } else { Ok(Self(text)) }
    }
}

/// A search by name, with what else is known of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKey {
    name: String,
    /// Date of birth, as far as known.
    pub birth_date: Option<PartialDate>,
    /// Nationality, if known.
    pub nationality: Option<Nationality>,
    /// Sex, if known.
    pub sex: Option<Sex>,
}

impl NameKey {
    /// A name in any script, 1 to 200 characters; kept in NFC with single spaces.
    ///
    /// # Errors
    /// [`QueryError::NameEmpty`], [`QueryError::TooLong`], [`QueryError::Control`].
    pub fn new(name: &str) -> Result<Self, QueryError> {
        let name = bounded("name", name, MAX_NAME_CHARS)?;
        if name.is_empty() {
            return Err(QueryError::NameEmpty);
        }
        Ok(Self { name, birth_date: None, nationality: None, sex: None })
    }

    /// From texts as they stand on the wire or on a command line; empty means not known.
    ///
    /// # Errors
    /// Those of [`NameKey::new`], and one for each of the other texts.
    pub fn parse(name: &str, birth_date: &str, nationality: &str, sex: &str) -> Result<Self, QueryError> {
        let mut key = Self::new(name)?;
        key.birth_date = optional(birth_date, |text| text.parse().map_err(|_| QueryError::BirthDate))?;
        key.nationality = optional(nationality, Nationality::from_str)?;
        key.sex = optional(sex, Sex::from_str)?;
        Ok(key)
    }

    /// The name as asked, NFC.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn optional<T>(text: &str, parse: impl Fn(&str) -> Result<T, QueryError>) -> Result<Option<T>, QueryError> {
    let text = text.trim();
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// Trims, joins runs of white space, normalises to NFC; refuses control characters and texts above `max`.
fn bounded(field: &'static str, text: &str, max: usize) -> Result<String, QueryError> {
    // Refused before any work is done on it: no character takes more than four bytes.
    if text.len() > max * 4 {
        return Err(QueryError::TooLong { field, max, unit: "characters" });
    }
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
    if text.chars().count() > max {
        return Err(QueryError::TooLong { field, max, unit: "characters" });
    }
    if text.chars().any(char::is_control) {
        return Err(QueryError::Control { field });
    }
    Ok(text)
}

/// A nationality: ISO 3166-1 alpha-2, or ICAO 9303 `XXA` (stateless) and `XXB` (refugee).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Nationality {
    /// Two capital letters.
    Country([u8; 2]),
    /// `XXA`, as in the 1954 Convention.
    Stateless,
    /// `XXB`, as in the 1951 Convention.
    Refugee,
}

impl fmt::Display for Nationality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country([a, b]) => write!(f, "{}{}", char::from(*a), char::from(*b)),
            Self::Stateless => f.write_str("XXA"),
            Self::Refugee => f.write_str("XXB"),
        }
    }
}

impl FromStr for Nationality {
    type Err = QueryError;

    /// Small letters are accepted.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let upper = text.to_ascii_uppercase();
        match upper.as_bytes() {
            b"XXA" => Ok(Self::Stateless),
            b"XXB" => Ok(Self::Refugee),
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self::Country([*a, *b])),
            _ => Err(QueryError::Nationality),
        }
    }
}

/// Sex as travel documents state it (ICAO 9303), and `U` for unknown as INTERPOL writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sex {
    /// `F`.
    Female,
    /// `M`.
    Male,
    /// `X`: unspecified in the document.
    Unspecified,
    /// `U`: not known.
    Unknown,
}

impl Sex {
    /// The one-letter code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Female => "F",
            Self::Male => "M",
            Self::Unspecified => "X",
            Self::Unknown => "U",
        }
    }
}

impl fmt::Display for Sex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Sex {
    type Err = QueryError;

    /// Small letters are accepted.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        match text {
            "F" | "f" => Ok(Self::Female),
            "M" | "m" => Ok(Self::Male),
            "X" | "x" => Ok(Self::Unspecified),
            "U" | "u" => Ok(Self::Unknown),
            _ => Err(QueryError::Sex),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_name_is_refused_with_its_own_code() {
        for name in ["", "   ", "\t\n", "\u{3000}"] {
            assert_eq!(NameKey::new(name).unwrap_err().code().as_str(), "QUERY_NAME_EMPTY");
        }
    }

    #[test]
    fn a_name_above_its_bound_is_refused_however_large() {
        assert!(NameKey::new(&"ก".repeat(MAX_NAME_CHARS)).is_ok());
        for length in [MAX_NAME_CHARS + 1, 10_000_000] {
            assert_eq!(NameKey::new(&"a".repeat(length)).unwrap_err().code().as_str(), "QUERY_TOO_LONG");
        }
    }

    #[test]
    fn a_name_is_kept_in_nfc_with_single_spaces() {
        let key = NameKey::new("  Nguye\u{0302}\u{0303}n \t Van\u{00a0}An ").unwrap();
        assert_eq!(key.name(), "Nguy\u{1ec5}n Van An");
    }

    #[test]
    fn control_characters_are_refused() {
        assert_eq!(NameKey::new("Aman\u{0}Rasa").unwrap_err().code().as_str(), "QUERY_CONTROL_CHARACTERS");
        assert!("\u{7}law".parse::<LegalBasis>().is_err());
    }

    #[test]
    fn what_else_is_known_is_parsed_or_refused() {
        let key = NameKey::parse("Aman Rasa", "1990-05", "xxa", "f").unwrap();
        assert_eq!(key.birth_date.map(|date| date.to_string()).as_deref(), Some("1990-05"));
        assert_eq!(key.nationality, Some(Nationality::Stateless));
        assert_eq!(key.sex, Some(Sex::Female));
        let code = |date, nationality, sex| NameKey::parse("A", date, nationality, sex).unwrap_err().code().as_str();
        assert_eq!(code("1990-02-30", "", ""), "QUERY_BIRTH_DATE_INVALID");
        assert_eq!(code("", "XXC", ""), "QUERY_NATIONALITY_INVALID");
        assert_eq!(code("", "", "female"), "QUERY_SEX_INVALID");
        let bare = NameKey::parse("A", "", " ", "").unwrap();
        assert_eq!((bare.birth_date, bare.nationality, bare.sex), (None, None, None));
    }

    #[test]
    fn a_legal_basis_must_be_stated() {
        assert_eq!(" ".parse::<LegalBasis>().unwrap_err().code().as_str(), "QUERY_LEGAL_BASIS_MISSING");
        assert_eq!("x".repeat(201).parse::<LegalBasis>().unwrap_err().code().as_str(), "QUERY_TOO_LONG");
    }

    #[test]
    fn error_texts_do_not_repeat_what_was_asked() {
        let text = NameKey::parse("A", "31/12/1999 Rasa", "", "").unwrap_err().to_string();
        assert!(!text.contains("Rasa"));
    }
}
