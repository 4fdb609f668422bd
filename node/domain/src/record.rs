//! National data of this member: what a record holds, and the bytes under which it is kept.
//!
//! A record speaks the words of the slot table, so that a notice can be drafted from it and a search treats both
//! alike, but it is no notice: it has no version, no approvals, no addressees, and never leaves the node as such.
//! A record that exists is within the table and within bounds.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization as _;

use crate::code::{Code, Coded, Fault};
use crate::encode::{Misread, Reader, sha256_pae};
use crate::id::Hash;
use crate::slot::{ContentError, FieldInput, Fields, SearchKeys, SlotNumber, SlotSpec, SlotTable};
use crate::subject::{NoticeKind, SubjectType};
use crate::value::{InvalidValue, Value};

const ID_LABEL: &[u8] = b"eads/v1/record-id";
const DIGEST_LABEL: &[u8] = b"eads/v1/record";
const VERSION: u8 = 1;

/// The longest source name, in characters.
pub const MAX_SOURCE_CHARS: usize = 64;
/// The longest key, in characters.
pub const MAX_KEY_CHARS: usize = 200;

/// A record that is not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The source's name.
    #[error("a source is named by 1 to {MAX_SOURCE_CHARS} small letters, digits and hyphens")]
    Source,
    /// The key is missing.
    #[error("the record has no key")]
    KeyMissing,
    /// The key is too long or has control characters.
    #[error("a key has at most {MAX_KEY_CHARS} characters and no control characters")]
    Key,
    /// No field at all.
    #[error("the record says nothing: all its fields are empty")]
    Empty,
    /// A slot that records do not have.
    #[error("a record of a {subject} has no slot {slot}")]
    Slot {
        /// Of which subject.
        subject: SubjectType,
        /// Which slot.
        slot: SlotNumber,
    },
    /// A slot twice.
    #[error("slot {slot} is given twice")]
    Twice {
        /// Which slot.
        slot: SlotNumber,
    },
    /// A value that is not one of its slot.
    #[error(transparent)]
    Field(#[from] ContentError),
    /// More than [`Record::MAX_ENCODED`] bytes.
    #[error("the record is longer than {} bytes", Record::MAX_ENCODED)]
    TooLarge,
    /// Bytes that are not the encoding of a record.
    #[error("the bytes are not a record")]
    Encoding,
}

impl Coded for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::Source => Code::new("RECORD_SOURCE"),
            Self::KeyMissing => Code::new("RECORD_KEY_MISSING"),
            Self::Key => Code::new("RECORD_KEY"),
            Self::Empty => Code::new("RECORD_EMPTY"),
            Self::Slot { .. } => Code::new("RECORD_SLOT"),
            Self::Twice { .. } => Code::new("RECORD_SLOT_TWICE"),
            Self::Field(error) => error.code(),
            Self::TooLarge => Code::new("RECORD_TOO_LARGE"),
            Self::Encoding => Code::new("RECORD_ENCODING"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            // Only what we wrote ourselves is ever parsed.
            Self::Encoding => Fault::Ourselves,
            _ => Fault::Caller,
        }
    }
}

impl From<Misread> for RecordError {
    fn from(_: Misread) -> Self {
        Self::Encoding
    }
}

impl From<InvalidValue> for RecordError {
    fn from(_: InvalidValue) -> Self {
        Self::Encoding
    }
}

/// The register from which records come: `[a-z0-9-]`, 1 to 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Box<str>);

impl SourceName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SourceName {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let bounded = (1..=MAX_SOURCE_CHARS).contains(&text.len());
        if bounded && text.bytes().all(good) { Ok(Self(text.into())) } else { Err(RecordError::Source) }
    }
}

/// What names a record within its source: 1 to 200 characters, NFC, trimmed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(Box<str>);

impl RecordKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RecordKey {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        // Bounded before any work is done on it: no character takes more than four bytes.
        if text.len() > MAX_KEY_CHARS * 4 {
            return Err(RecordError::Key);
        }
        let text: String = text.trim().nfc().collect();
        if text.is_empty() {
            return Err(RecordError::KeyMissing);
        }
        if text.chars().count() > MAX_KEY_CHARS || text.chars().any(char::is_control) {
            return Err(RecordError::Key);
        }
        Ok(Self(text.into()))
    }
}

/// One record of a national register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    source: SourceName,
    key: RecordKey,
    subject: SubjectType,
    fields: BTreeMap<SlotNumber, Value>,
}

impl Record {
    /// The longest encoding, in bytes.
    pub const MAX_ENCODED: usize = 256 * 1024;

    /// From single values; absent ones are left out.
    ///
    /// # Errors
    /// [`RecordError`] if a slot is none of a record's, comes twice or cannot hold its value, if nothing is said
    /// at all, or too much.
    pub fn build(
        source: SourceName,
        key: RecordKey,
        subject: SubjectType,
        fields: impl IntoIterator<Item = (SlotNumber, Value)>,
    ) -> Result<Self, RecordError> {
        let mut kept = BTreeMap::new();
        for (slot, value) in fields {
            let spec = SlotTable::get().slot(subject, slot).filter(|spec| is_of_records(spec));
            spec.ok_or(RecordError::Slot { subject, slot })?.check(&value)?;
            if !value.is_absent() && kept.insert(slot, value).is_some() {
                return Err(RecordError::Twice { slot });
            }
        }
        if kept.is_empty() {
            return Err(RecordError::Empty);
        }
        let record = Self { source, key, subject, fields: kept };
        if record.encode().len() > Self::MAX_ENCODED { Err(RecordError::TooLarge) } else { Ok(record) }
    }

    /// A field that records of this subject may have, by its name in the slot table: all of the subject's own,
    /// and of the common ones authority, requested action, summary and protection.
    pub fn field(subject: SubjectType, name: &str) -> Option<&'static SlotSpec> {
        SlotTable::get().by_name(subject, name).filter(|spec| is_of_records(spec))
    }

    /// The register that it comes from.
    pub const fn source(&self) -> &SourceName {
        &self.source
    }

    /// Its key there.
    pub const fn key(&self) -> &RecordKey {
        &self.key
    }

    /// What it is about.
    pub const fn subject(&self) -> SubjectType {
        self.subject
    }

    /// What it says, by slot.
    pub const fn fields(&self) -> &BTreeMap<SlotNumber, Value> {
        &self.fields
    }

    /// The value of a field by its name; `None` if it is absent or no field of the subject.
    pub fn by_name(&self, name: &str) -> Option<&Value> {
        self.fields.get(&Self::field(self.subject, name)?.number)
    }

    /// Names it over all its changes: a digest of source and key.
    pub fn id(&self) -> Hash {
        Self::id_of(&self.source, &self.key)
    }

    /// The id of the record that a source calls by this key.
    pub fn id_of(source: &SourceName, key: &RecordKey) -> Hash {
        sha256_pae(&[ID_LABEL, source.as_str().as_bytes(), key.as_str().as_bytes()])
    }

    /// A digest of all that it says, so that an import can tell an unchanged record.
    pub fn digest(&self) -> Hash {
        sha256_pae(&[DIGEST_LABEL, &self.encode()])
    }

    /// What a look-up may find it by.
    pub fn search_keys(&self) -> SearchKeys {
        AsFields(self).search_keys()
    }

    /// Why the subject needs protection.
    pub fn protection(&self) -> Vec<&str> {
        let codes = self.fields.get(&SlotNumber::PROTECTION).map_or(&[][..], Value::items);
        codes.iter().filter_map(Value::as_text).collect()
    }

    /// One line that names the subject.
    pub fn title(&self) -> String {
        AsFields(self).title()
    }

    /// Its fields by name, in the form in which a draft is written.
    pub fn to_fields(&self) -> BTreeMap<String, FieldInput> {
        AsFields(self).to_fields()
    }

    /// The canonical encoding: u8 1 ‖ source, key, subject (each u16 length ‖ UTF-8) ‖ u8 number of fields ‖
    /// (u8 slot ‖ u32 length ‖ value)*, slots ascending.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for text in [self.source.as_str(), self.key.as_str(), self.subject.as_str()] {
            out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out.push(u8::try_from(self.fields.len()).unwrap_or(u8::MAX));
        for (slot, value) in &self.fields {
            out.push(slot.get());
            out.extend_from_slice(&u32::try_from(value.encoded_len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(&value.encode());
        }
        out
    }

    /// Reads what [`Record::encode`] wrote.
    ///
    /// # Errors
    /// [`RecordError`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(RecordError::Encoding);
        }
        let mut text = || -> Result<&str, RecordError> {
            let length = usize::from(reader.u16()?);
            std::str::from_utf8(reader.take(length)?).map_err(|_| RecordError::Encoding)
        };
        let (source, key) = (text()?.parse()?, text()?.parse()?);
        let subject = text()?.parse().map_err(|_| RecordError::Encoding)?;
        let mut fields = Vec::new();
        for _ in 0..reader.u8()? {
            let slot = SlotNumber::new(reader.u8()?).map_err(|_| RecordError::Encoding)?;
            let length = usize::try_from(reader.u32()?).map_err(|_| RecordError::Encoding)?;
            fields.push((slot, Value::parse(reader.take(length)?)?));
        }
        reader.finish()?;
        let record = Self::build(source, key, subject, fields)?;
        if record.encode() == bytes { Ok(record) } else { Err(RecordError::Encoding) }
    }
}

fn is_of_records(spec: &SlotSpec) -> bool {
    const COMMON: [SlotNumber; 4] =
        [SlotNumber::AUTHORITY, SlotNumber::REQUESTED_ACTION, SlotNumber::SUMMARY, SlotNumber::PROTECTION];
    spec.number > SlotNumber::PROTECTION || COMMON.contains(&spec.number)
}

/// Lets a record be read like the fields of a notice.
struct AsFields<'a>(&'a Record);

impl Fields for AsFields<'_> {
    fn subject(&self) -> SubjectType {
        self.0.subject
    }

    // Nothing that is used here depends on it: a record has no kind.
    fn kind(&self) -> NoticeKind {
        SlotTable::get().kinds(self.0.subject).first().copied().unwrap_or(NoticeKind::Blue)
    }

    fn shown(&self, slot: SlotNumber) -> Option<&Value> {
        self.0.fields.get(&slot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(name: &str) -> SlotNumber {
        Record::field(SubjectType::Person, name).unwrap().number
    }

    fn record(fields: Vec<(SlotNumber, Value)>) -> Result<Record, RecordError> {
        Record::build("register".parse().unwrap(), "A-1".parse().unwrap(), SubjectType::Person, fields)
    }

    fn sample() -> Record {
        let document = ["passport", "X0000001"].map(|text| Value::text(text).unwrap());
        let document = document.into_iter().chain(vec![Value::Absent; 3]).collect();
        record(vec![
            (slot("family-name"), Value::text("Rasa").unwrap()),
            (slot("given-names"), Value::text("Aman").unwrap()),
            (slot("birth-date"), Value::Date("1980-02".parse().unwrap())),
            (slot("sex"), Value::Unknown),
            (slot("documents"), Value::List(vec![Value::List(document)])),
            (slot("summary"), Value::Absent),
        ])
        .unwrap()
    }

    #[test]
    fn a_record_is_read_back_from_its_bytes() {
        let record = sample();
        assert_eq!(Record::parse(&record.encode()), Ok(record.clone()));
        assert_eq!(record.by_name("family-name").and_then(Value::as_text), Some("Rasa"));
        assert_eq!(record.by_name("summary"), None);
    }

    #[test]
    fn any_other_bytes_are_refused() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert_eq!(Record::parse(&bytes[..length]), Err(RecordError::Encoding), "{length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(Record::parse(&longer), Err(RecordError::Encoding));
        let mut other = bytes.clone();
        other[0] = 2;
        assert_eq!(Record::parse(&other), Err(RecordError::Encoding));
    }

    #[test]
    fn the_same_key_of_the_same_source_is_the_same_record() {
        let (a, mut b) = (sample(), sample());
        b.fields.insert(slot("sex"), Value::text("F").unwrap());
        assert_eq!(a.id(), b.id());
        assert_ne!(a.digest(), b.digest());
        let id = |source: &str, key: &str| Record::id_of(&source.parse().unwrap(), &key.parse().unwrap());
        assert_ne!(id("ab", "c"), id("a", "bc"));
        assert_eq!(id("a", " e\u{301} "), id("a", "\u{e9}"));
    }

    #[test]
    fn a_record_is_found_by_what_it_says() {
        let keys = sample().search_keys();
        assert_eq!(keys.names, ["Aman Rasa"]);
        assert_eq!(keys.identifiers, [("document".to_owned(), "X0000001".to_owned())]);
        assert_eq!(keys.birth_dates, ["1980-02".parse().unwrap()]);
        assert_eq!(keys.sex, None);
    }

    #[test]
    fn what_only_notices_have_is_refused() {
        for name in ["subject", "kind", "reference", "version", "approvals", "exercise", "images"] {
            assert!(Record::field(SubjectType::Person, name).is_none(), "{name}");
        }
        let refused = record(vec![(SlotNumber::REFERENCE, Value::text("x").unwrap())]);
        assert_eq!(refused.unwrap_err().code().as_str(), "RECORD_SLOT");
    }

    #[test]
    fn an_empty_or_doubled_record_is_refused() {
        assert_eq!(record(vec![(slot("sex"), Value::Absent)]), Err(RecordError::Empty));
        let sex = || (slot("sex"), Value::text("F").unwrap());
        assert_eq!(record(vec![sex(), sex()]), Err(RecordError::Twice { slot: slot("sex") }));
        let wrong = record(vec![(slot("sex"), Value::text("female").unwrap())]);
        assert_eq!(wrong.unwrap_err().code().as_str(), "FIELD_CODE");
    }

    #[test]
    fn sources_and_keys_are_bounded() {
        assert!("".parse::<SourceName>().is_err() && "A b".parse::<SourceName>().is_err());
        assert!("a".repeat(MAX_SOURCE_CHARS + 1).parse::<SourceName>().is_err());
        assert_eq!("  ".parse::<RecordKey>(), Err(RecordError::KeyMissing));
        assert_eq!("a\u{0}".parse::<RecordKey>(), Err(RecordError::Key));
        assert!("ก".repeat(MAX_KEY_CHARS).parse::<RecordKey>().is_ok());
        assert_eq!("ก".repeat(MAX_KEY_CHARS + 1).parse::<RecordKey>(), Err(RecordError::Key));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
            let _ = Record::parse(&bytes);
            let mut flipped = sample().encode();
            let at = at.index(flipped.len());
            flipped[at] ^= 1;
            if let Ok(record) = Record::parse(&flipped) {
                prop_assert_eq!(record.encode(), flipped);
            }
        }
    }
}
