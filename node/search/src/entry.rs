//! What is indexed: the few facts of a notice or record by which it may be found.

use std::fmt;

use eads_domain::query::{IdentifierKey, Nationality, Sex};
use eads_domain::slot::SearchKeys;
use eads_domain::subject::SubjectType;
use eads_domain::value::PartialDate;

/// The most names of one entry that are indexed; those after it are not searchable.
pub const MAX_NAMES: usize = 256;

/// Names an entry; opaque to the index. A notice's id, or the start of a digest of a record's source and key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId([u8; 16]);

impl EntryId {
    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One searchable entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Under which it is replaced, removed and reported.
    pub id: EntryId,
    /// Its names, the main one first; the others count as aliases. At most [`MAX_NAMES`] are used, of each the
    /// first [`MAX_WORDS`](crate::MAX_WORDS) words.
    pub names: Vec<String>,
    /// How many of the names, from the start, are forms of the main name and no aliases; at least one.
    pub main_names: usize,
    /// Dates of birth, as far as known; the one that agrees best counts.
    pub birth_dates: Vec<PartialDate>,
    /// Nationalities.
    pub nationalities: Vec<Nationality>,
    /// Sex, if known.
    pub sex: Option<Sex>,
    /// What it is about.
    pub subject: SubjectType,
    /// Identifiers in canonical spelling.
    pub identifiers: Vec<IdentifierKey>,
    /// Whatever the caller filters by (a notice kind, an origin); opaque to the index.
    pub tag: u32,
}

impl Entry {
    /// From what a notice or record may be found by. Of its identifiers those are used that can be looked up: of a
    /// type that a query may name, and well formed.
    pub fn from_keys(id: EntryId, subject: SubjectType, tag: u32, keys: &SearchKeys) -> Self {
        let identifier = |(kind, value): &(String, String)| IdentifierKey::new(kind.parse().ok()?, value).ok();
        Self {
            id,
            names: keys.names.clone(),
            main_names: 1,
            birth_dates: keys.birth_dates.clone(),
            nationalities: keys.nationalities.iter().filter_map(|code| code.parse().ok()).collect(),
            sex: keys.sex.and_then(|sex| sex.to_string().parse().ok()),
            subject,
            identifiers: keys.identifiers.iter().filter_map(identifier).collect(),
            tag,
        }
    }
}
