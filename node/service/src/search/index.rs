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
use eads_store::vault::Sealed;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::split;
use crate::pages::Pages;
use crate::rows::{self, HeldDecision, HeldNotice, Life, OwnNotice};
use crate::stored::StoredStatement;

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
    ServiceError::internal("ROW_UNREADABLE", "the key of a record cannot be read")
}

impl Node {
    /// Own notices in force, held notices, and records that can be found now.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.indexes.counts()
    }

    /// Fills the indexes from the store.
    pub(crate) async fn fill_indexes(&self) -> Result<(), ServiceError> {
        for area in [area::OWN_NOTICE, area::HELD_NOTICE, area::RECORD] {
            let mut pages = Pages::of(&*self.store, area);
            while let Some(page) = pages.next().await? {
                for (key, value) in &page {
                    if area == area::OWN_NOTICE {
                        self.index_own(NoticeId::try_from(key.as_slice())?, rows::parse(value)?).await?;
                    } else if area == area::HELD_NOTICE {
                        let (origin, notice) = split(key)?;
                        self.index_held(origin, notice, rows::parse(value)?).await?;
                    } else if let Some(Sealed::Plain { bytes, .. }) = self.vault.open_row(area, key, value).await? {
                        let id = key.as_slice().try_into().map_err(|_| unreadable())?;
                        self.indexes.record(id, &Record::parse(&bytes)?);
                    }
                }
            }
        }
        Ok(())
    }

    async fn index_own(&self, notice: NoticeId, head: OwnNotice) -> Result<(), ServiceError> {
        if !matches!(head.life, Life::Issued | Life::Suspended) {
            return Ok(());
        }
        let row = self.vault.get(area::OWN_CONTENT, &area::index(head.content_index)).await?;
        if let Some(Sealed::Plain { bytes, .. }) = row {
            let content = StoredStatement::parse(&bytes)?.content()?;
            self.indexes.own_notice(notice, &Searchable::of(&content));
        }
        Ok(())
    }

    async fn index_held(&self, origin: MemberId, notice: NoticeId, head: HeldNotice) -> Result<(), ServiceError> {
        if head.decision == HeldDecision::Quarantined {
            return Ok(());
        }
        let row = self.vault.get(area::HELD_CONTENT, &area::member_number(origin, head.content_index)).await?;
        if let Some(Sealed::Plain { bytes, .. }) = row {
            let content = StoredStatement::parse(&bytes)?.content()?;
            self.indexes.held_notice(origin, notice, &Searchable::of(&content));
        }
        Ok(())
    }
}
