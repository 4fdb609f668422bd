//! The index itself: a dictionary of words with the entries that use them, and the entries' few facts.
//!
//! Shared by reference between threads: searches run side by side, a change waits for them and they for it.
//! A removal also drops every word and identifier that no other entry uses. Freed memory is not overwritten.

mod ask;
#[cfg(test)]
mod tests;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use eads_domain::code::{Code, Coded, Fault};
use eads_domain::query::{IdentifierKey, NameKey};
use eads_domain::subject::SubjectType;

use crate::entry::{Entry, EntryId, MAX_NAMES};
use crate::normalise::readings;
use crate::score::{Facts, Match, Reason, ReasonCode};
use words::{Slot, WordId, Words};

/// A name that cannot be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Nothing in it is a letter or a digit.
    #[error("the name has no letters to search by")]
    NoWords,
    /// More than `ask::MAX_ASKED_WORDS` words.
    #[error("the name has more than {} parts; leave some out", ask::MAX_ASKED_WORDS)]
    TooManyWords,
}

impl Coded for SearchError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::NoWords => "QUERY_NAME_UNSEARCHABLE",
            Self::TooManyWords => "QUERY_TOO_MANY_PARTS",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// How much a search may do and return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most matches to return.
    pub matches: usize,
    /// The most entries to compare in full.
    pub work: usize,
}

impl Default for Limits {
    /// 50 matches, 20,000 entries compared: milliseconds for a full name among a million entries, a tenth of a
    /// second for its commonest words.
    fn default() -> Self {
        Self { matches: 50, work: 20_000 }
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Best first; equal scores in the order of their ids.
    pub matches: Vec<Match>,
    /// There may be more: the limits cut the search or its result short.
    pub truncated: bool,
}

/// The index. Empty at first; whoever owns the truth fills it.
#[derive(Debug, Default)]
pub struct Index {
    shelf: RwLock<Shelf>,
}

impl Index {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry, or replaces the one with the same id.
    pub fn upsert(&self, entry: &Entry) {
        self.write().upsert(entry);
    }

    /// Forgets an entry; says whether there was one.
    pub fn remove(&self, id: EntryId) -> bool {
        self.write().remove(id)
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.write() = Shelf::default();
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries with exactly this identifier, by id.
    pub fn find_by_identifier(&self, key: &IdentifierKey, limits: Limits) -> Matches {
        self.find_by_identifier_where(key, limits, &|_, _| true)
    }

    /// As [`Index::find_by_identifier`], of those entries only whose subject and tag are accepted.
    pub fn find_by_identifier_where(
        &self,
        key: &IdentifierKey,
        limits: Limits,
        accepts: &dyn Fn(SubjectType, u32) -> bool,
    ) -> Matches {
        let shelf = self.read();
        let slots = shelf.identifiers.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut matches: Vec<Match> = slots
            .iter()
            .filter_map(|slot| shelf.shelved(*slot))
            .filter(|shelved| accepts(shelved.subject, shelved.tag))
            .map(|shelved| Match {
                id: shelved.id,
                tag: shelved.tag,
                score: 1000,
                reasons: vec![Reason {
                    code: ReasonCode::Identifier,
                    text: format!("the {} asked for agrees", key.kind()),
                    weight: 1000,
                }],
            })
            .collect();
        matches.sort_by_key(|found| found.id);
        let truncated = matches.len() > limits.matches;
        matches.truncate(limits.matches);
        Matches { matches, truncated }
    }

    /// Entries whose names agree with the one asked, best first.
    ///
    /// # Errors
    /// [`SearchError`] if the name cannot be looked up, which is not the same as not being found.
    pub fn find_by_name(&self, asked: &NameKey, limits: Limits) -> Result<Matches, SearchError> {
        self.find_by_name_where(asked, limits, &|_, _| true)
    }

    /// As [`Index::find_by_name`], of those entries only whose subject and tag are accepted; others cost no work.
    ///
    /// # Errors
    /// [`SearchError`] as above.
    pub fn find_by_name_where(
        &self,
        asked: &NameKey,
        limits: Limits,
        accepts: &dyn Fn(SubjectType, u32) -> bool,
    ) -> Result<Matches, SearchError> {
        ask::find(&self.read(), asked, limits, accepts)
    }

    // A change is a sequence of infallible steps; a poisoned lock means that another thread died outside them.
    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that the index holds.
#[derive(Debug, Default)]
struct Shelf {
    entries: Vec<Option<Shelved>>,
    free: Vec<Slot>,
    by_id: HashMap<EntryId, Slot>,
    words: Words,
    identifiers: HashMap<Arc<IdentifierKey>, Vec<Slot>>,
}

/// An entry as it is kept: words by number.
#[derive(Debug)]
struct Shelved {
    id: EntryId,
    tag: u32,
    subject: SubjectType,
    facts: Facts,
    forms: Box<[Form]>,
    identifiers: Box<[Arc<IdentifierKey>]>,
}

/// One reading of one name.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    words: Box<[WordId]>,
    romanised: bool,
    alias: bool,
}

impl Shelf {
    fn shelved(&self, slot: Slot) -> Option<&Shelved> {
        self.entries.get(slot as usize).and_then(Option::as_ref)
    }

    fn upsert(&mut self, entry: &Entry) {
        self.remove(entry.id);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
        });
        let mut forms: Vec<Form> = Vec::new();
        for (number, name) in entry.names.iter().take(MAX_NAMES).enumerate() {
            let alias = number >= entry.main_names.max(1);
            for reading in readings(name) {
                let words = reading.words.iter().map(|word| self.words.intern(word, slot)).collect();
                let form = Form { words, romanised: reading.romanised, alias };
                let known = |other: &Form| other.words == form.words && other.romanised == form.romanised;
                if !forms.iter().any(known) {
                    forms.push(form);
                }
            }
        }
        let mut identifiers: Vec<Arc<IdentifierKey>> = Vec::new();
        for key in &entry.identifiers {
            if identifiers.iter().any(|known| **known == *key) {
                continue;
            }
            let key = self.identifiers.get_key_value(key).map_or_else(|| Arc::new(key.clone()), |(key, _)| key.clone());
            words::insert_sorted(self.identifiers.entry(key.clone()).or_default(), slot);
            identifiers.push(key);
        }
        let facts = Facts {
            birth_dates: entry.birth_dates.clone().into_boxed_slice(),
            nationalities: entry.nationalities.clone().into_boxed_slice(),
            sex: entry.sex,
        };
        let shelved = Shelved {
            id: entry.id,
            tag: entry.tag,
            subject: entry.subject,
            facts,
            forms: forms.into_boxed_slice(),
            identifiers: identifiers.into_boxed_slice(),
        };
        if let Some(place) = self.entries.get_mut(slot as usize) {
            *place = Some(shelved);
            self.by_id.insert(entry.id, slot);
        }
    }

    fn remove(&mut self, id: EntryId) -> bool {
        let Some(slot) = self.by_id.remove(&id) else { return false };
        let Some(shelved) = self.entries.get_mut(slot as usize).and_then(Option::take) else { return false };
        for word in shelved.forms.iter().flat_map(|form| form.words.iter()) {
            self.words.release(*word, slot);
        }
        for key in &shelved.identifiers {
            if let Some(slots) = self.identifiers.get_mut(key) {
                words::remove_sorted(slots, slot);
                if slots.is_empty() {
                    self.identifiers.remove(key);
                }
            }
        }
        self.free.push(slot);
        true
    }
}
