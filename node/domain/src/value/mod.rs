//! The values that slots hold and their one canonical encoding (PROTOCOL §1).
//!
//! `parse` accepts exactly what `encode` writes: every value has one encoding, so that a commitment to the
//! bytes is a commitment to the value. What a slot may hold is not decided here but by the slot table.

mod blob;
mod date;
mod text;

#[cfg(test)]
mod tests;

pub use blob::{BlobRef, InvalidMedia, Media};
pub use date::{InvalidDate, PartialDate};
pub use text::{InvalidText, Text};

use crate::code::{Code, Coded, Fault};
use crate::encode::{Misread, Reader};

/// The longest encoding of one value, in bytes.
pub const MAX_ENCODED: usize = 64 * 1024;
/// The most items of one list.
pub const MAX_ITEMS: usize = 1024;
/// How deep lists may stand inside lists.
pub const MAX_DEPTH: usize = 4;

const ABSENT: u8 = 0x00;
const UNKNOWN: u8 = 0x01;
const TEXT: u8 = 0x02;
const DATE: u8 = 0x03;
const LIST: u8 = 0x04;
const BLOB: u8 = 0x05;

/// What one slot holds. Numbers, flags and codes are texts in the form that the slot table names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Value {
    /// Nothing is said.
    #[default]
    Absent,
    /// It is said that this is not known.
    Unknown,
    /// A text.
    Text(Text),
    /// A date of which the day, or the day and month, may be missing.
    Date(PartialDate),
    /// Several values, or the parts of one.
    List(Vec<Value>),
    /// A file that travels separately.
    Blob(BlobRef),
}

impl Value {
    /// A text value from what was typed, normalised (see [`Text::normalise`]).
    ///
    /// # Errors
    /// [`InvalidText`] for a blank or oversized text or one with control characters.
    pub fn text(typed: &str) -> Result<Self, InvalidText> {
        Text::normalise(typed).map(Self::Text)
    }

    /// Whether nothing is said.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The date, if it is one.
    pub const fn as_date(&self) -> Option<PartialDate> {
        match self {
            Self::Date(date) => Some(*date),
            _ => None,
        }
    }

    /// The items, if it is a list; none otherwise.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The blob, if it is one.
    pub const fn as_blob(&self) -> Option<&BlobRef> {
        match self {
            Self::Blob(blob) => Some(blob),
            _ => None,
        }
    }

    /// The canonical encoding: a tag byte and the body of PROTOCOL §1.
    ///
    /// Total for every value; one that exceeds the bounds of [`Value::parse`] is refused by the slot table
    /// before it can be committed to.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.write(&mut out);
        out
    }

    /// The length of [`Value::encode`] in bytes.
    pub fn encoded_len(&self) -> usize {
        1 + match self {
            Self::Absent | Self::Unknown => 0,
            Self::Text(text) => text.as_str().len(),
            Self::Date(date) => date.text_len(),
            Self::List(items) => 2 + items.iter().map(|item| 4 + item.encoded_len()).sum::<usize>(),
            Self::Blob(_) => BlobRef::ENCODED_LEN,
        }
    }

    /// How deep lists stand inside lists: 0 for a value that is no list.
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether the value is within the bounds that [`Value::parse`] sets.
    ///
    /// # Errors
    /// [`InvalidValue::TooLong`], [`InvalidValue::TooManyItems`] or [`InvalidValue::TooDeep`].
    pub fn check_bounds(&self) -> Result<(), InvalidValue> {
        if self.encoded_len() > MAX_ENCODED {
            return Err(InvalidValue::TooLong);
        }
        if self.depth() > MAX_DEPTH {
            return Err(InvalidValue::TooDeep);
        }
        if self.widest() > MAX_ITEMS { Err(InvalidValue::TooManyItems) } else { Ok(()) }
    }

    fn widest(&self) -> usize {
        self.items().iter().map(Self::widest).max().unwrap_or(0).max(self.items().len())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Absent => out.push(ABSENT),
            Self::Unknown => out.push(UNKNOWN),
            Self::Text(text) => {
                out.push(TEXT);
                out.extend_from_slice(text.as_str().as_bytes());
            }
            Self::Date(date) => {
                out.push(DATE);
                out.extend_from_slice(date.to_string().as_bytes());
            }
            Self::List(items) => {
                out.push(LIST);
                // A count or length that does not fit is refused by `check_bounds` before anything is signed.
                out.extend_from_slice(&u16::try_from(items.len()).unwrap_or(u16::MAX).to_be_bytes());
                for item in items {
                    out.extend_from_slice(&u32::try_from(item.encoded_len()).unwrap_or(u32::MAX).to_be_bytes());
                    item.write(out);
                }
            }
            Self::Blob(blob) => {
                out.push(BLOB);
                blob.write(out);
            }
        }
    }

    /// Reads one value and accepts nothing but its canonical encoding.
    ///
    /// # Errors
    /// [`InvalidValue`] for an unknown tag, bytes that end early or go on, a text that is not NFC, a date that
    /// does not exist, or a value beyond [`MAX_ENCODED`], [`MAX_ITEMS`] or [`MAX_DEPTH`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidValue> {
        if bytes.len() > MAX_ENCODED {
            return Err(InvalidValue::TooLong);
        }
        let value = Self::parse_nested(bytes, MAX_DEPTH)?;
        // Each branch below is strict by itself; this holds even if one of them ever is not.
        if value.encode() == bytes { Ok(value) } else { Err(InvalidValue::NotCanonical) }
    }

    fn parse_nested(bytes: &[u8], depth_left: usize) -> Result<Self, InvalidValue> {
        let (&tag, body) = bytes.split_first().ok_or(Misread::Truncated)?;
        match tag {
            ABSENT | UNKNOWN if !body.is_empty() => Err(Misread::Trailing.into()),
            ABSENT => Ok(Self::Absent),
            UNKNOWN => Ok(Self::Unknown),
            TEXT => Ok(Self::Text(Text::new(utf8(body)?)?)),
            DATE => Ok(Self::Date(utf8(body)?.parse()?)),
            LIST => Self::parse_list(body, depth_left),
            BLOB => Ok(Self::Blob(BlobRef::parse(body)?)),
            tag => Err(InvalidValue::Tag(tag)),
        }
    }

    fn parse_list(body: &[u8], depth_left: usize) -> Result<Self, InvalidValue> {
        let depth_left = depth_left.checked_sub(1).ok_or(InvalidValue::TooDeep)?;
        let mut reader = Reader::new(body);
        let count = usize::from(reader.u16()?);
        if count > MAX_ITEMS {
            return Err(InvalidValue::TooManyItems);
        }
        // Every item takes at least five bytes, so that a small message cannot reserve much.
        let mut items = Vec::with_capacity(count.min(reader.remaining() / 5));
        for _ in 0..count {
            let length = usize::try_from(reader.u32()?).map_err(|_| InvalidValue::TooLong)?;
            items.push(Self::parse_nested(reader.take(length)?, depth_left)?);
        }
        reader.finish()?;
        Ok(Self::List(items))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, InvalidValue> {
    std::str::from_utf8(bytes).map_err(|_| InvalidValue::NotUtf8)
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<PartialDate> for Value {
    fn from(date: PartialDate) -> Self {
        Self::Date(date)
    }
}

impl From<BlobRef> for Value {
    fn from(blob: BlobRef) -> Self {
        Self::Blob(blob)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

/// Bytes that are not the canonical encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    /// No such tag.
    #[error("a value has the unknown tag {0:#04x}")]
    Tag(u8),
    /// Ends early or goes on.
    #[error("a value is malformed: {0}")]
    Misread(#[from] Misread),
    /// Not UTF-8.
    #[error("a text or date is not UTF-8")]
    NotUtf8,
    /// Not a text.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// Not a date.
    #[error(transparent)]
    Date(#[from] InvalidDate),
    /// Not a known media type.
    #[error(transparent)]
    Media(#[from] InvalidMedia),
    /// Above [`MAX_ENCODED`].
    #[error("a value is longer than {MAX_ENCODED} bytes")]
    TooLong,
    /// Above [`MAX_ITEMS`].
    #[error("a list has more than {MAX_ITEMS} items")]
    TooManyItems,
    /// Above [`MAX_DEPTH`].
    #[error("lists stand more than {MAX_DEPTH} deep")]
    TooDeep,
    /// The value has another encoding than the one given.
    #[error("a value is not in its canonical encoding")]
    NotCanonical,
}

impl Coded for InvalidValue {
    fn code(&self) -> Code {
        match self {
            Self::Tag(_) => Code::new("VALUE_TAG_UNKNOWN"),
            Self::Misread(_) => Code::new("VALUE_MALFORMED"),
            Self::NotUtf8 => Code::new("VALUE_NOT_UTF8"),
            Self::Text(error) => error.code(),
            Self::Date(error) => error.code(),
            Self::Media(error) => error.code(),
            Self::TooLong => Code::new("VALUE_TOO_LONG"),
            Self::TooManyItems => Code::new("VALUE_TOO_MANY_ITEMS"),
            Self::TooDeep => Code::new("VALUE_TOO_DEEP"),
            Self::NotCanonical => Code::new("VALUE_NOT_CANONICAL"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}
