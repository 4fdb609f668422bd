//! The indexes in memory: own notices, each peer's notices, and national records, never mixed.
//!
//! They are views of the store, filled at the start and changed after each commit, before it is acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::record::Record;
use eads_domain::slot::{Fields, SearchKeys};
use eads_domain::subject::{NoticeKind, SubjectType};
use eads_search::{Entry, EntryId, Index};
use eads_store::port::Area;
use eads_store::vault::Sealed;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::split;
use crate::pages::Pages;
use crate::rows::{self, HeldDecision, HeldNotice, Life, OwnNotice};
use crate::stored::{ShownFields, StoredStatement};

const EXERCISE: u32 = 1 << 16;

/// What of a notice can be found.
#[derive(Clone, Debug)]
pub(crate) struct Searchable {
    subject: SubjectType,
    tag: u32,
    keys: SearchKeys,
}

impl Searchable {
    pub(crate) fn of(content: &impl Fields) -> Self {
        let exercise = if content.is_exercise() { EXERCISE } else { 0 };
        Self { subject: content.subject(), tag: kind_tag(content.kind()) | exercise, keys: content.search_keys() }
    }

    fn entry(&self, notice: NoticeId) -> Entry {
        Entry::from_keys(EntryId::from_bytes(*notice.as_bytes()), self.subject, self.tag, &self.keys)
    }
}

fn kind_tag(kind: NoticeKind) -> u32 {
    NoticeKind::ALL.iter().position(|known| *known == kind).and_then(|at| u32::try_from(at).ok()).unwrap_or_default()
}

/// Whether a tag is one that a query with these kinds and this exercise flag may see.
pub(super) fn tag_is_asked(tag: u32, kinds: &[NoticeKind], exercise: bool) -> bool {
    let is_exercise = tag & EXERCISE != 0;
    is_exercise == exercise && (kinds.is_empty() || kinds.iter().any(|kind| kind_tag(*kind) == tag & !EXERCISE))
}

/// All indexes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    pub(super) own: Index,
    held: RwLock<BTreeMap<MemberId, Arc<Index>>>,
    pub(super) records: Index,
}

impl Indexes {
    pub(crate) fn own_notice(&self, notice: NoticeId, searchable: &Searchable) {
        self.own.upsert(&searchable.entry(notice));
    }

    pub(crate) fn remove_own_notice(&self, notice: NoticeId) {
        self.own.remove(EntryId::from_bytes(*notice.as_bytes()));
    }

    pub(crate) fn held_notice(&self, origin: MemberId, notice: NoticeId, searchable: &Searchable) {
        let index = self.held.write().unwrap_or_else(PoisonError::into_inner).entry(origin).or_default().clone();
        index.upsert(&searchable.entry(notice));
    }

    pub(crate) fn remove_held_notice(&self, origin: MemberId, notice: NoticeId) {
        if let Some(index) = self.held.read().unwrap_or_else(PoisonError::into_inner).get(&origin) {
            index.remove(EntryId::from_bytes(*notice.as_bytes()));
        }
    }

    /// `key` is the key of the record's row.
    pub(crate) fn record(&self, key: [u8; 16], record: &Record) {
        let entry = Entry::from_keys(EntryId::from_bytes(key), record.subject(), 0, &record.search_keys());
        self.records.upsert(&entry);
    }

    /// `key` is the key of the record's row.
    pub(crate) fn remove_record(&self, key: [u8; 16]) {
        self.records.remove(EntryId::from_bytes(key));
    }

    pub(super) fn held(&self) -> Vec<(MemberId, Arc<Index>)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(origin, index)| (*origin, index.clone())).collect()
    }

    /// Own notices in force, held notices, records.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        (self.own.len(), self.held().iter().map(|(_, index)| index.len()).sum(), self.records.len())
    }
}

fn unreadable() -> ServiceError {
    ServiceError::internal("ROW_UNREADABLE", "the key of a row cannot be read")
}

impl Node {
    /// Own notices in force, held notices, and records that can be found now.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.indexes.counts()
    }

    /// Fills the indexes from the store. Contents are read in the order in which they lie there, not in that of their
    /// notices: with a million of them the view does not fit into memory.
    pub(crate) async fn fill_indexes(&self) -> Result<(), ServiceError> {
        let own = self.own_contents().await?;
        let mut pages = Pages::of(&*self.store, area::OWN_CONTENT);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let Some(notice) = area::trailing_number(key).and_then(|index| found(&own, index)) else { continue };
                if let Some(content) = self.content_of(area::OWN_CONTENT, key, value).await? {
                    self.indexes.own_notice(notice, &Searchable::of(&content));
                }
            }
        }
        let held = self.held_contents().await?;
        let mut pages = Pages::of(&*self.store, area::HELD_CONTENT);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let (origin, index) = numbered(key)?;
                let Some(notice) = held.get(&origin).and_then(|held| found(held, index)) else { continue };
                if let Some(content) = self.content_of(area::HELD_CONTENT, key, value).await? {
                    self.indexes.held_notice(origin, notice, &Searchable::of(&content));
                }
            }
        }
        let mut pages = Pages::of(&*self.store, area::RECORD);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                if let Some(Sealed::Plain { bytes, .. }) = self.vault.open_row(area::RECORD, key, value).await? {
                    let id = key.as_slice().try_into().map_err(|_| unreadable())?;
                    self.indexes.record(id, &Record::parse(&bytes)?);
                }
            }
        }
        Ok(())
    }

    /// Which statements of the own register say what is to be found, in their order.
    async fn own_contents(&self) -> Result<Vec<(u64, NoticeId)>, ServiceError> {
        let mut contents = Vec::new();
        let mut pages = Pages::of(&*self.store, area::OWN_NOTICE);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let head: OwnNotice = rows::parse(value)?;
                if matches!(head.life, Life::Issued | Life::Suspended) {
                    contents.push((head.content_index, NoticeId::try_from(key.as_slice())?));
                }
            }
        }
        contents.sort_unstable();
        Ok(contents)
    }

    /// The same of every peer's register.
    async fn held_contents(&self) -> Result<BTreeMap<MemberId, Vec<(u64, NoticeId)>>, ServiceError> {
        let mut contents: BTreeMap<MemberId, Vec<(u64, NoticeId)>> = BTreeMap::new();
        let mut pages = Pages::of(&*self.store, area::HELD_NOTICE);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let (origin, notice) = split(key)?;
                let head: HeldNotice = rows::parse(value)?;
                if head.decision != HeldDecision::Quarantined {
                    contents.entry(origin).or_default().push((head.content_index, notice));
                }
            }
        }
        contents.values_mut().for_each(|of_one| of_one.sort_unstable());
        Ok(contents)
    }

    /// What a sealed row says, unless its key was destroyed.
    async fn content_of(&self, area: Area, key: &[u8], value: &[u8]) -> Result<Option<ShownFields>, ServiceError> {
        match self.vault.open_row(area, key, value).await? {
            Some(Sealed::Plain { bytes, .. }) => Ok(Some(StoredStatement::parse(&bytes)?.content()?)),
            _ => Ok(None),
        }
    }
}

fn found(contents: &[(u64, NoticeId)], index: u64) -> Option<NoticeId> {
    let at = contents.binary_search_by_key(&index, |(index, _)| *index).ok()?;
    contents.get(at).map(|(_, notice)| *notice)
}

/// `member ‖ index`
fn numbered(key: &[u8]) -> Result<(MemberId, u64), ServiceError> {
    let origin = key.first_chunk::<2>().and_then(|bytes| MemberId::from_bytes(*bytes).ok());
    origin.zip(area::trailing_number(key)).ok_or_else(unreadable)
}
