//! The worker that compares notices that have come with what there is, and forgets those that have gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::query::{IdentifierKey, NameKey};
use eads_domain::screening::Sides;
use eads_domain::slot::{Fields as _, SearchKeys};
use eads_domain::subject::SubjectType;
use eads_search::{Index, Limits, Match, ReasonCode};
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;

use super::{MAX_PAIRS, MetBy, MetRow};
use crate::area::{self, meta};
use crate::error::ServiceError;
use crate::marks::{Pair, Party};
use crate::node::Node;
use crate::notices::split;
use crate::pages::Pages;
use crate::rows::{self, HeldNotice, Life};
use crate::search::sides_of;
use crate::stored::{ShownFields, StoredStatement};

/// Notices of one commit.
const JOBS: usize = 64;
/// Of one notice, the most that are looked up.
const MAX_IDENTIFIERS: usize = 16;
const MAX_NAMES: usize = 6;
const MAX_BIRTH_DATES: usize = 3;
/// A name that agrees so well, with the whole birth date, means the same person: all parts, perhaps in another order,
/// by an alias, or with a particle more.
const STRONG_SCORE: u16 = 850;
/// Entries that one look-up by name may compare.
const NAME_WORK: usize = 1000;

impl Node {
    /// Compares every notice that is put up for it. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or written; what was not compared stays put up.
    pub async fn screen(&self) -> Result<usize, ServiceError> {
        self.screen_everything_once().await?;
        let mut done = 0;
        loop {
            let jobs = self.store.scan(Scan::new(area::SCREEN, JOBS)).await?;
            if jobs.is_empty() {
                return Ok(done);
            }
            done += jobs.len();
            let mut batch = Batch::new();
            // What is forgotten here was destroyed elsewhere, whatever the disk.
            batch.protective();
            let mut changes = Vec::new();
            for (key, _) in &jobs {
                let (owner, notice) = split(key)?;
                self.compare(&mut batch, &mut changes, owner, notice).await?;
                batch.delete(area::SCREEN, key.clone());
            }
            self.store.commit(batch).await?;
            for (pair, meet) in changes {
                self.marks.meet(pair, meet);
            }
        }
    }

    /// A node that has never compared anything, or was restored, puts up what it has.
    async fn screen_everything_once(&self) -> Result<(), ServiceError> {
        if self.store.get(area::META, meta::SCREENED).await?.is_some() {
            return Ok(());
        }
        for held in [false, true] {
            let mut pages = Pages::of(&*self.store, if held { area::HELD_NOTICE } else { area::OWN_NOTICE });
            while let Some(page) = pages.next().await? {
                for keys in page.chunks(JOBS) {
                    let mut batch = Batch::new();
                    for (key, _) in keys {
                        let own = || [self.member.as_bytes().as_slice(), key].concat();
                        batch.put(area::SCREEN, if held { key.clone() } else { own() }, []);
                    }
                    self.store.commit(batch).await?;
                }
            }
        }
        let mut batch = Batch::new();
        batch.put(area::META, meta::SCREENED, []);
        self.store.commit(batch).await?;
        Ok(())
    }

    async fn compare(
        &self,
        batch: &mut Batch,
        changes: &mut Vec<(Pair, bool)>,
        owner: MemberId,
        notice: NoticeId,
    ) -> Result<(), ServiceError> {
        let this = Party::Notice(owner, notice);
        let content = self.compared(owner, notice).await?;
        let met = match content {
            Some(content) => self.met(this, &content).await,
            None => BTreeMap::new(),
        };
        let before = self.marks.pairs(this);
        for pair in &before {
            if !met.contains_key(pair) {
                batch.delete(area::COLLISION, pair.key());
                changes.push((*pair, false));
            }
        }
        for (pair, by) in met {
            // Two of one run can each find the other: that is one row all the same.
            if !before.contains(&pair) {
                rows::put(batch, area::COLLISION, &pair.key(), &MetRow { by, at: self.clock.now() })?;
                changes.push((pair, true));
            }
        }
        Ok(())
    }

    /// What a notice says, if it is there and to be compared.
    async fn compared(&self, owner: MemberId, notice: NoticeId) -> Result<Option<ShownFields>, ServiceError> {
        let content = if owner == self.member {
            match self.own_notice(notice).await? {
                Some(head) if matches!(head.life, Life::Issued | Life::Suspended) => self.own_content(&head).await?,
                _ => None,
            }
        } else {
            let key = area::member_notice(owner, notice);
            let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &key).await?;
            let Some(head) = head else { return Ok(None) };
            let row = area::member_number(owner, head.content_index);
            match self.vault.get(area::HELD_CONTENT, &row).await? {
                Some(Sealed::Plain { bytes, .. }) => Some(StoredStatement::parse(&bytes)?.content()?),
                Some(Sealed::Destroyed) | None => None,
            }
        };
        Ok(content.filter(|content| !content.is_exercise() && Sides::of(content).is_any()))
    }

    /// What a notice meets, among real own and held notices and records.
    async fn met(&self, this: Party, content: &ShownFields) -> BTreeMap<Pair, MetBy> {
        let says = Sides::of(content);
        let keys = content.search_keys();
        let mut met = BTreeMap::new();
        let held = self.indexes.held(false, true);
        let own = [(Shelf::Own, self.indexes.own(false)), (Shelf::Records, &self.indexes.records)];
        let held = held.iter().map(|(origin, index)| (Shelf::Held(*origin), Arc::as_ref(index)));
        for (shelf, index) in own.into_iter().chain(held) {
            let accepts = |_: SubjectType, tag: u32| says.collides(sides_of(tag));
            for (by, matched) in look_up(index, &keys, &accepts) {
                let id = *matched.id.as_bytes();
                let other = match shelf {
                    Shelf::Own => Party::Notice(self.member, NoticeId::from_bytes(id)),
                    Shelf::Held(origin) => Party::Notice(origin, NoticeId::from_bytes(id)),
                    Shelf::Records => Party::Record(id),
                };
                if other == this || met.len() >= MAX_PAIRS {
                    continue;
                }
                let accused = says.accuses && sides_of(matched.tag).protects;
                let (accuses, protects) = if accused { (this, other) } else { (other, this) };
                met.entry(Pair { accuses, protects }).or_insert(by);
            }
            // Searches and deliveries go on in between.
            tokio::task::yield_now().await;
        }
        met
    }
}

#[derive(Clone, Copy)]
enum Shelf {
    Own,
    Held(MemberId),
    Records,
}

/// Entries of an index that mean the same person, by identifier first.
fn look_up(index: &Index, keys: &SearchKeys, accepts: &dyn Fn(SubjectType, u32) -> bool) -> Vec<(MetBy, Match)> {
    let limits = Limits { matches: MAX_PAIRS, work: NAME_WORK };
    let mut found = Vec::new();
    let identifier = |(kind, value): &(String, String)| IdentifierKey::new(kind.parse().ok()?, value).ok();
    for key in keys.identifiers.iter().filter_map(identifier).take(MAX_IDENTIFIERS) {
        let matches = index.find_by_identifier_where(&key, limits, accepts).matches;
        found.extend(matches.into_iter().map(|matched| (MetBy::Identifier, matched)));
    }
    let whole = keys.birth_dates.iter().filter(|date| date.day().is_some()).take(MAX_BIRTH_DATES);
    let whole: Vec<_> = whole.copied().collect();
    for name in keys.names.iter().take(MAX_NAMES) {
        for birth_date in &whole {
            let Ok(mut key) = NameKey::new(name) else { continue };
            key.birth_date = Some(*birth_date);
            // A name without letters, or of too many words, identifies nobody.
            let Ok(matches) = index.find_by_name_where(&key, limits, accepts) else { continue };
            let strong = matches.matches.into_iter().filter(is_strong);
            found.extend(strong.map(|matched| (MetBy::NameAndBirthDate, matched)));
        }
    }
    found
}

fn is_strong(matched: &Match) -> bool {
    matched.score >= STRONG_SCORE && matched.reasons.iter().any(|reason| reason.code == ReasonCode::BirthDate)
}
