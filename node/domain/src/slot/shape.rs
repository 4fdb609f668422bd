//! The shapes that a slot's value can have, as the table names them, and whether a value has one.

use std::sync::Arc;

use crate::reference::Reference;
use crate::value::{BlobRef, Value};

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One(Scalar),
    /// Several of one sort, none twice.
    Many(Scalar),
    /// One value with named parts, a list of exactly so many items.
    Parts(Vec<Part>),
    /// Several values with named parts.
    ManyParts(Vec<Part>),
}

/// A named part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in drafts and outputs.
    pub name: String,
    /// Whether it may be absent.
    pub optional: bool,
    /// What it holds.
    pub scalar: Scalar,
}

/// A closed list of codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeList {
    /// Its name in the table.
    pub name: String,
    /// The codes.
    pub codes: Arc<[String]>,
}

impl CodeList {
    /// Whether `code` is one of them, exactly as written.
    pub fn contains(&self, code: &str) -> bool {
        self.codes.iter().any(|each| each == code)
    }

    /// The code that was meant, whatever its case.
    pub fn find(&self, typed: &str) -> Option<&str> {
        self.codes.iter().map(String::as_str).find(|each| each.eq_ignore_ascii_case(typed))
    }
}

/// One value and the canonical form of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Any text.
    Text,
    /// A text of one line, at most [`Scalar::MAX_LINE`] bytes.
    Line,
    /// A date.
    Date,
    /// `1` or `0`.
    Flag,
    /// A whole number in decimal digits without leading zeros.
    Number {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// A number ≥ 0 with at most six decimals, without leading or trailing zeros.
    Decimal,
    /// Exactly so many digits.
    Digits(usize),
    /// One of a closed list.
    Code(CodeList),
    /// A country of the table's list.
    Country(CodeList),
    /// A country, or `XXA` (stateless), `XXB` or `XXC` (refugee), ICAO 9303-3 §5.
    Nationality(CodeList),
    /// ISO 639-3, three small letters.
    Language,
    /// ISO 4217, three capital letters.
    Currency,
    /// Source A B C X and information 1 2 3 4.
    Grading,
    /// A notice's reference.
    Reference,
    /// A photograph.
    Image,
    /// Padded base64 of the standard alphabet (RFC 4648 §4).
    Base64,
}

/// ICAO 9303-3 §5: stateless, refugee under the 1951 convention, other refugee.
pub(super) const NO_STATE: [&str; 3] = ["XXA", "XXB", "XXC"];

/// Why a value does not have the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    Type,
    Form,
    Code,
    Empty,
    Duplicate,
}

impl Shape {
    pub(super) fn fit(&self, value: &Value, may_be_empty: bool) -> Result<(), Misfit> {
        match (self, value) {
            (Self::One(scalar), value) => scalar.fit(value),
            (Self::Parts(parts), value) => fit_parts(parts, value),
            (_, Value::List(items)) if items.is_empty() => {
                if may_be_empty {
                    Ok(())
                } else {
                    Err(Misfit::Empty)
                }
            }
            (Self::Many(scalar), Value::List(items)) => {
                if *scalar == Scalar::Image && items.len() > Scalar::MAX_IMAGES {
                    return Err(Misfit::Form);
                }
                items.iter().try_for_each(|item| scalar.fit(item))?;
                no_duplicates(items)
            }
            (Self::ManyParts(parts), Value::List(items)) => {
                items.iter().try_for_each(|item| fit_parts(parts, item))?;
                no_duplicates(items)
            }
            _ => Err(Misfit::Type),
        }
    }

    /// In words, for error messages.
    pub fn describe(&self) -> String {
        fn parts_in_words(parts: &[Part]) -> String {
            let words: Vec<_> =
                parts.iter().map(|part| format!("{}{}", part.name, if part.optional { "?" } else { "" })).collect();
            words.join(", ")
        }
        match self {
            Self::One(scalar) => scalar.describe(),
            Self::Many(scalar) => format!("a list, each {}", scalar.describe()),
            Self::Parts(parts) => format!("a table of {}", parts_in_words(parts)),
            Self::ManyParts(parts) => format!("a list of tables of {}", parts_in_words(parts)),
        }
    }
}

fn no_duplicates(items: &[Value]) -> Result<(), Misfit> {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    if items.iter().all(|item| seen.insert(item)) { Ok(()) } else { Err(Misfit::Duplicate) }
}

/// All parts in their order; what is unknown says so, what is optional may be absent.
fn fit_parts(parts: &[Part], value: &Value) -> Result<(), Misfit> {
    let Value::List(items) = value else { return Err(Misfit::Type) };
    if items.len() != parts.len() {
        return Err(Misfit::Type);
    }
    if !items.iter().any(|item| !item.is_absent()) {
        return Err(Misfit::Empty);
    }
    parts.iter().zip(items).try_for_each(|(part, item)| match item {
        Value::Unknown => Ok(()),
        Value::Absent if part.optional => Ok(()),
        item => part.scalar.fit(item),
    })
}

impl Scalar {
    /// The longest text of one line, in bytes.
    pub const MAX_LINE: usize = 1024;
    /// The most photographs of one field.
    pub const MAX_IMAGES: usize = 8;

    fn fit(&self, value: &Value) -> Result<(), Misfit> {
        match (self, value) {
            (Self::Image, Value::Blob(blob)) if (1..=BlobRef::MAX_LEN).contains(&blob.len) => Ok(()),
            (Self::Image, Value::Blob(_)) => Err(Misfit::Form),
            (Self::Date, Value::Date(_)) => Ok(()),
            (Self::Image | Self::Date, _) => Err(Misfit::Type),
            (_, Value::Text(text)) => self.fit_text(text.as_str()),
            _ => Err(Misfit::Type),
        }
    }

    fn fit_text(&self, text: &str) -> Result<(), Misfit> {
        let form = |good: bool| if good { Ok(()) } else { Err(Misfit::Form) };
        let code = |good: bool| if good { Ok(()) } else { Err(Misfit::Code) };
        match self {
            Self::Text => Ok(()),
            Self::Line => form(text.len() <= Self::MAX_LINE && !text.contains(['\n', '\t'])),
            Self::Flag => form(matches!(text, "0" | "1")),
            Self::Number { min, max } => {
                form(text.parse::<u32>().is_ok_and(|n| (*min..=*max).contains(&n) && n.to_string() == text))
            }
            Self::Decimal => form(is_decimal(text)),
            Self::Digits(count) => form(text.len() == *count && text.bytes().all(|byte| byte.is_ascii_digit())),
            Self::Code(list) | Self::Country(list) => code(list.contains(text)),
            Self::Nationality(list) => code(NO_STATE.contains(&text) || list.contains(text)),
            Self::Language => code(text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_lowercase())),
            Self::Currency => code(text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())),
            Self::Grading => code(matches!(text.as_bytes(), [b'A' | b'B' | b'C' | b'X', b'1'..=b'4'])),
            Self::Reference => form(text.parse::<Reference>().is_ok_and(|reference| reference.to_string() == text)),
            Self::Base64 => form(is_base64(text)),
            Self::Date | Self::Image => Err(Misfit::Type),
        }
    }

    /// In words, for error messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Line => format!("a text of one line, at most {} bytes", Self::MAX_LINE),
            Self::Date => "a date YYYY, YYYY-MM or YYYY-MM-DD".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Decimal => "a number with at most six decimals".to_owned(),
            Self::Digits(count) => format!("{count} digits"),
            Self::Code(list) => format!("one of {}", list.codes.join(", ")),
            Self::Country(_) => "a country code of two capital letters (ISO 3166-1)".to_owned(),
            Self::Nationality(_) => "a country code, or XXA (stateless), XXB or XXC (refugee)".to_owned(),
            Self::Language => "a language code of three small letters (ISO 639-3)".to_owned(),
            Self::Currency => "a currency code of three capital letters (ISO 4217)".to_owned(),
            Self::Grading => "a grade: source A, B, C or X, then information 1 to 4, as in B2".to_owned(),
            Self::Reference => "a reference such as ID-2026-7K3QX9-5".to_owned(),
            Self::Image => format!("a photograph (at most {} of 2 MiB each)", Self::MAX_IMAGES),
            Self::Base64 => "base64".to_owned(),
        }
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    digits(whole)
        && whole.len() <= 18
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(|part| digits(part) && part.len() <= 6 && !part.ends_with('0'))
}

fn is_base64(text: &str) -> bool {
    use base64::Engine as _;
    // The engine refuses stray bits, so that each byte string has one text.
    base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}
