//! Fields as people write and read them, in TOML or JSON.
//!
//! ```toml
//! kind = "red"
//! subject = "person"
//! family-name = "Example"
//! birth-date = 1990-05-01         # or "1990-05", or "1990"
//! height-cm = 172
//! exercise = true
//! nationalities = ["ID", "stateless"]
//! given-names = { unknown = true }   # required but not known
//! handling = ["H1"]                  # a table with one part may be written as that part
//! documents = [{ type = "passport", number = "X0000000", country = "ID" }]
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::shape::{NO_STATE, Part};
use super::{ContentError, Scalar, Shape, SlotSpec};
use crate::value::{BlobRef, Value};

const UNKNOWN: &str = "unknown";
/// The one key of a table by which the `toml` crate hands an unquoted date to other formats' types.
const TOML_DATE: &str = "$__toml_private_datetime";

/// One field of a draft, or of what is shown: a text, number, true or false, a list, or a table of parts.
///
/// `{ unknown = true }` says that the value is not known. Parts of a table that are left out are absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldInput {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number with decimals.
    Number(f64),
    /// A text, date or code.
    Text(String),
    /// Several values.
    List(Vec<FieldInput>),
    /// Named parts, or `{ unknown = true }`.
    Table(BTreeMap<String, FieldInput>),
}

impl FieldInput {
    /// Says that the value is not known.
    pub fn unknown() -> Self {
        Self::Table(BTreeMap::from([(UNKNOWN.to_owned(), Self::Flag(true))]))
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_unknown(&self) -> bool {
        matches!(self, Self::Table(parts) if parts.len() == 1 && parts.get(UNKNOWN) == Some(&Self::Flag(true)))
    }

    /// The value that it stands for in the slot `spec`; not yet checked against it.
    pub(super) fn to_value(&self, spec: &'static SlotSpec) -> Result<Value, ContentError> {
        let reading = Reading { field: &spec.name, shape: &spec.shape };
        if self.is_unknown() {
            return Ok(Value::Unknown);
        }
        match &spec.shape {
            Shape::One(scalar) => reading.scalar(scalar, self),
            Shape::Parts(parts) => reading.parts(parts, self),
            Shape::Many(scalar) => reading.list(self, |item| reading.scalar(scalar, item)),
            Shape::ManyParts(parts) => reading.list(self, |item| reading.parts(parts, item)),
        }
    }

    /// What stands for `value` in a slot of this shape.
    pub fn from_value(shape: &Shape, value: &Value) -> Self {
        let list = |value: &Value, show: &dyn Fn(&Value) -> Self| match value {
            Value::List(items) => Self::List(items.iter().map(show).collect()),
            value => show_scalar(&Scalar::Text, value),
        };
        match shape {
            Shape::One(scalar) => show_scalar(scalar, value),
            Shape::Parts(parts) => show_parts(parts, value),
            Shape::Many(scalar) => list(value, &|item| show_scalar(scalar, item)),
            Shape::ManyParts(parts) => list(value, &|item| show_parts(parts, item)),
        }
    }
}

impl From<&str> for FieldInput {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl std::fmt::Display for FieldInput {
    /// On one line, for people: items separated by semicolons, parts by commas.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fn joined<'a>(items: impl Iterator<Item = &'a FieldInput>, separator: &str) -> String {
            items.map(ToString::to_string).collect::<Vec<_>>().join(separator)
        }
        match self {
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => f.write_str(&joined(items.iter(), "; ")),
            Self::Table(_) if self.is_unknown() => f.write_str(UNKNOWN),
            Self::Table(parts) => f.write_str(&joined(parts.values(), ", ")),
        }
    }
}

/// Reads the inputs of one field; knows its name for errors.
struct Reading {
    field: &'static str,
    shape: &'static Shape,
}

impl Reading {
    fn wrong_type(&self) -> ContentError {
        ContentError::Type { field: self.field, expected: self.shape.describe() }
    }

    /// A list; a single item may stand for a list of one.
    fn list(
        &self,
        input: &FieldInput,
        read: impl Fn(&FieldInput) -> Result<Value, ContentError>,
    ) -> Result<Value, ContentError> {
        let items = match input {
            FieldInput::List(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        items.iter().map(read).collect::<Result<_, _>>().map(Value::List)
    }

    /// A table of parts, a list of them in order, or the first part alone.
    fn parts(&self, parts: &[Part], input: &FieldInput) -> Result<Value, ContentError> {
        let one = |part: &Part, input: Option<&FieldInput>| match input {
            None => Ok(Value::Absent),
            Some(input) if input.is_unknown() => Ok(Value::Unknown),
            Some(input) => self.scalar(&part.scalar, input),
        };
        match input {
            FieldInput::Table(given) if !given.contains_key(TOML_DATE) => {
                if !given.keys().all(|name| parts.iter().any(|part| part.name == *name)) {
                    return Err(ContentError::Part { field: self.field, expected: self.shape.describe() });
                }
                parts.iter().map(|part| one(part, given.get(&part.name))).collect::<Result<_, _>>().map(Value::List)
            }
            FieldInput::List(given) if given.len() > parts.len() => Err(self.wrong_type()),
            FieldInput::List(given) => {
                let read = parts.iter().enumerate().map(|(at, part)| one(part, given.get(at)));
                read.collect::<Result<_, _>>().map(Value::List)
            }
            single => {
                let read = parts.iter().enumerate().map(|(at, part)| one(part, (at == 0).then_some(single)));
                read.collect::<Result<_, _>>().map(Value::List)
            }
        }
    }

    fn scalar(&self, scalar: &Scalar, input: &FieldInput) -> Result<Value, ContentError> {
        let text = match (scalar, input) {
            (Scalar::Image, FieldInput::Table(parts)) => return self.blob(parts),
            (Scalar::Date, FieldInput::Table(parts)) => {
                let date = parts.get(TOML_DATE).and_then(FieldInput::as_str).ok_or_else(|| self.wrong_type())?;
                date.to_owned()
            }
            (Scalar::Flag, FieldInput::Flag(flag)) => u8::from(*flag).to_string(),
            (Scalar::Date | Scalar::Number { .. } | Scalar::Decimal, FieldInput::Integer(n)) => n.to_string(),
            (Scalar::Decimal, FieldInput::Number(n)) => n.to_string(),
            (_, FieldInput::Text(text)) => meant(scalar, text.trim()),
            _ => return Err(self.wrong_type()),
        };
        match scalar {
            Scalar::Date => {
                text.parse().map(Value::Date).map_err(|source| ContentError::Date { field: self.field, source })
            }
            Scalar::Image => Err(self.wrong_type()),
            _ => Value::text(&text).map_err(|source| ContentError::Text { field: self.field, source }),
        }
    }

    fn blob(&self, parts: &BTreeMap<String, FieldInput>) -> Result<Value, ContentError> {
        let text = |name: &str| parts.get(name).and_then(FieldInput::as_str);
        let read = || {
            let id = hex::decode(text("id")?).ok()?.try_into().ok()?;
            let Some(FieldInput::Integer(len)) = parts.get("len") else { return None };
            let (sha256, media) = (text("sha256")?.parse().ok()?, text("media")?.parse().ok()?);
            Some(Value::Blob(BlobRef { id, sha256, len: u32::try_from(*len).ok()?, media }))
        };
        read().ok_or_else(|| self.wrong_type())
    }
}

/// The canonical form of what was typed; left as it is where it has none, to be refused by the table.
fn meant(scalar: &Scalar, typed: &str) -> String {
    match scalar {
        Scalar::Code(list) | Scalar::Country(list) => list.find(typed).unwrap_or(typed).to_owned(),
        Scalar::Nationality(_) => match typed.to_ascii_lowercase().as_str() {
            "stateless" => NO_STATE[0].to_owned(),
            "refugee" => NO_STATE[1].to_owned(),
            _ => typed.to_ascii_uppercase(),
        },
        Scalar::Language => typed.to_ascii_lowercase(),
        Scalar::Currency | Scalar::Grading => typed.to_ascii_uppercase(),
        Scalar::Reference => {
            typed.parse::<crate::reference::Reference>().map_or_else(|_| typed.to_owned(), |r| r.to_string())
        }
        Scalar::Flag => match typed {
            "true" | "yes" => "1".to_owned(),
            "false" | "no" => "0".to_owned(),
            other => other.to_owned(),
        },
        _ => typed.to_owned(),
    }
}

fn show_scalar(scalar: &Scalar, value: &Value) -> FieldInput {
    match value {
        Value::Unknown => FieldInput::unknown(),
        Value::Absent => FieldInput::Text(String::new()),
        Value::Date(date) => FieldInput::Text(date.to_string()),
        Value::Blob(blob) => show_blob(blob),
        Value::List(items) => FieldInput::List(items.iter().map(|item| show_scalar(&Scalar::Text, item)).collect()),
        Value::Text(text) => match scalar {
            Scalar::Flag => FieldInput::Flag(text.as_str() == "1"),
            Scalar::Number { .. } => {
                text.as_str().parse().map_or_else(|_| FieldInput::from(text.as_str()), FieldInput::Integer)
            }
            _ => FieldInput::from(text.as_str()),
        },
    }
}

fn show_parts(parts: &[Part], value: &Value) -> FieldInput {
    let Value::List(items) = value else { return show_scalar(&Scalar::Text, value) };
    let shown = parts.iter().zip(items).filter(|(_, item)| !item.is_absent());
    FieldInput::Table(shown.map(|(part, item)| (part.name.clone(), show_scalar(&part.scalar, item))).collect())
}

fn show_blob(blob: &BlobRef) -> FieldInput {
    FieldInput::Table(BTreeMap::from([
        ("id".to_owned(), FieldInput::Text(hex::encode(blob.id))),
        ("sha256".to_owned(), FieldInput::Text(blob.sha256.to_string())),
        ("len".to_owned(), FieldInput::Integer(i64::from(blob.len))),
        ("media".to_owned(), FieldInput::from(blob.media.as_str())),
    ]))
}
