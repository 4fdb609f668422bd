//! The indexes in memory: own notices, each peer's notices, and national records, never mixed; nor are exercises
//! with what is real, or what waits for the desk with what officers may act on.
//!
//! They are views of the store, filled at the start and changed after each commit, before it is acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::record::Record;
use eads_domain::screening::Sides;
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

/// What a tag says: the kind in its lower half, and what the notice or record says of a person.
const KIND: u32 = 0xffff;
const ACCUSES: u32 = 1 << 16;
const PROTECTS: u32 = 1 << 17;

/// Where a notice is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shelf {
    pub(crate) exercise: bool,
    /// Only the desk is shown it.
    pub(crate) desk: bool,
}

/// What of a notice can be found, and where.
#[derive(Clone, Debug)]
pub(crate) struct Searchable {
    subject: SubjectType,
    tag: u32,
    keys: SearchKeys,
    shelf: Shelf,
}

impl Searchable {
    pub(crate) fn of(content: &impl Fields) -> Self {
        Self {
            subject: content.subject(),
            tag: kind_tag(content.kind()) | sides_tag(Sides::of(content)),
            keys: content.search_keys(),
            shelf: Shelf { exercise: content.is_exercise(), desk: false },
        }
    }

    /// The same for the desk only, or for every officer.
    pub(crate) fn for_desk(mut self, desk: bool) -> Self {
        self.shelf.desk = desk;
        self
    }

    /// Whether only the desk may find it.
    pub(crate) const fn is_for_desk(&self) -> bool {
        self.shelf.desk
    }

    fn entry(&self, notice: NoticeId) -> Entry {
        Entry::from_keys(EntryId::from_bytes(*notice.as_bytes()), self.subject, self.tag, &self.keys)
    }
}

fn kind_tag(kind: NoticeKind) -> u32 {
    NoticeKind::ALL.iter().position(|known| *known == kind).and_then(|at| u32::try_from(at).ok()).unwrap_or_default()
}

fn sides_tag(sides: Sides) -> u32 {
    let flag = |is: bool, flag: u32| if is { flag } else { 0 };
    flag(sides.accuses, ACCUSES) | flag(sides.protects, PROTECTS)
}

/// What the notice or record of a tag says of a person.
pub(crate) const fn sides_of(tag: u32) -> Sides {
    Sides { accuses: tag & ACCUSES != 0, protects: tag & PROTECTS != 0 }
}

/// Whether a tag is one that a query with these kinds may see.
pub(super) fn tag_is_asked(tag: u32, kinds: &[NoticeKind]) -> bool {
    kinds.is_empty() || kinds.iter().any(|kind| kind_tag(*kind) == tag & KIND)
}

/// All indexes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    own: Index,
    own_exercises: Index,
    held: RwLock<BTreeMap<(MemberId, Shelf), Arc<Index>>>,
    pub(crate) records: Index,
}

impl Indexes {
    pub(crate) fn own_notice(&self, notice: NoticeId, searchable: &Searchable) {
        self.own(searchable.shelf.exercise).upsert(&searchable.entry(notice));
    }

    pub(crate) fn remove_own_notice(&self, notice: NoticeId) {
        for index in [&self.own, &self.own_exercises] {
            index.remove(EntryId::from_bytes(*notice.as_bytes()));
        }
    }

    /// Puts a held notice where it belongs, and nowhere else.
    pub(crate) fn held_notice(&self, origin: MemberId, notice: NoticeId, searchable: &Searchable) {
        let shelf = (origin, searchable.shelf);
        let found = self.held.read().unwrap_or_else(PoisonError::into_inner).get(&shelf).cloned();
        let index = found.unwrap_or_else(|| {
            self.held.write().unwrap_or_else(PoisonError::into_inner).entry(shelf).or_default().clone()
        });
        index.upsert(&searchable.entry(notice));
        self.remove_held(origin, notice, |other| other != searchable.shelf);
    }

    pub(crate) fn remove_held_notice(&self, origin: MemberId, notice: NoticeId) {
        self.remove_held(origin, notice, |_| true);
    }

    fn remove_held(&self, origin: MemberId, notice: NoticeId, from: impl Fn(Shelf) -> bool) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        for ((_, shelf), index) in held.iter().filter(|((member, _), _)| *member == origin) {
            if from(*shelf) {
                index.remove(EntryId::from_bytes(*notice.as_bytes()));
            }
        }
    }

    /// `key` is the key of the record's row.
    pub(crate) fn record(&self, key: [u8; 16], record: &Record) {
        let tag = sides_tag(Sides::of_parts(None, &record.protection(), None));
        let entry = Entry::from_keys(EntryId::from_bytes(key), record.subject(), tag, &record.search_keys());
        self.records.upsert(&entry);
    }

    /// `key` is the key of the record's row.
    pub(crate) fn remove_record(&self, key: [u8; 16]) {
        self.records.remove(EntryId::from_bytes(key));
    }

    /// Own notices, real ones or exercises.
    pub(crate) const fn own(&self, exercise: bool) -> &Index {
        if exercise { &self.own_exercises } else { &self.own }
    }

    /// Held notices by their owners, real ones or exercises, with what only the desk is shown or without.
    pub(crate) fn held(&self, exercise: bool, desk: bool) -> Vec<(MemberId, Arc<Index>)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = held.iter().filter(|((_, shelf), _)| shelf.exercise == exercise && (desk || !shelf.desk));
        wanted.map(|((origin, _), index)| (*origin, index.clone())).collect()
    }

    /// Own notices in force, held notices that may be acted on, records; exercises are not counted.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let held = self.held(false, false);
        (self.own.len(), held.iter().map(|(_, index)| index.len()).sum(), self.records.len())
    }
}

fn unreadable() -> ServiceError {
    ServiceError::internal("ROW_UNREADABLE", "the key of a row cannot be read")
}

impl Node {
    /// Own notices in force, held notices that may be acted on, and records that can be found now; exercises are not
    /// counted.
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
                    let waits = self.marks.is_waiting(origin, notice);
                    self.indexes.held_notice(origin, notice, &Searchable::of(&content).for_desk(waits));
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
                self.marks.waits(origin, notice, head.decision == HeldDecision::Quarantined);
                contents.entry(origin).or_default().push((head.content_index, notice));
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
