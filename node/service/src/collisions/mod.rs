//! Victims among suspects: a notice that accuses and a notice or record that protects, and that seem to mean one
//! person (DESIGN §5).
//!
//! Every notice that arrives or is issued is put up for comparison in the transaction that brings it; one worker
//! compares it with own and held notices and own records and records what met, durably, until one side ends. The
//! work for one notice is bounded: [`MAX_PAIRS`] pairs, a bounded number of look-ups. Exercises never meet anything.
//! Nothing of it leaves this member.

mod compare;

use eads_domain::clock::Timestamp;
use eads_domain::id::{MemberId, NoticeId};
use eads_domain::record::Record;
use eads_domain::screening::Sides;
use eads_domain::slot::Fields;
use eads_domain::subject::NoticeKind;
use eads_store::port::Batch;
use eads_store::vault::Sealed;
use serde::{Deserialize, Serialize};

use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::marks::{Pair, Party};
use crate::node::Node;
use crate::pages::Pages;
use crate::records::RecordHandle;
use crate::rows::{self, HeldNotice};

/// The most pairs that are recorded of one notice.
pub const MAX_PAIRS: usize = 16;

/// How two have met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetBy {
    /// One identifier stands in both.
    Identifier,
    /// The name agrees, and so does the whole birth date.
    NameAndBirthDate,
}

impl MetBy {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::NameAndBirthDate => "name-and-birth-date",
        }
    }
}

/// A pair in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetRow {
    by: MetBy,
    at: Timestamp,
}

/// Two that seem to mean one person.
#[derive(Clone, Debug)]
pub struct Collision {
    /// The one that accuses.
    pub accuses: CollisionSide,
    /// The one that protects.
    pub protects: CollisionSide,
    /// How they met.
    pub by: MetBy,
    /// When that was found here.
    pub at: Timestamp,
}

/// One of the two.
#[derive(Clone, Debug)]
pub struct CollisionSide {
    /// Reference of a notice, handle of a record.
    pub reference: String,
    /// Whose it is.
    pub owner: MemberId,
    /// Kind of a notice; none for a record.
    pub kind: Option<NoticeKind>,
    /// What it is about, in one line.
    pub title: String,
    /// Where it is.
    pub state: &'static str,
}

impl Node {
    /// What has met. Audited.
    ///
    /// # Errors
    /// When store or audit fail.
    pub async fn collisions(&self, call: &Call, limit: usize) -> Result<Vec<Collision>, ServiceError> {
        self.audited(call, "ListCollisions", None, self.list_collisions(limit)).await
    }

    async fn list_collisions(&self, limit: usize) -> Result<Vec<Collision>, ServiceError> {
        let mut found = Vec::new();
        let mut pages = Pages::of(&*self.store, area::COLLISION);
        while let Some(page) = pages.next().await? {
            for (key, row) in &page {
                if found.len() >= limit {
                    return Ok(found);
                }
                let Some(pair) = Pair::parse(key) else { continue };
                let MetRow { by, at } = rows::parse(row)?;
                // One of them is on its way out: the worker forgets the pair.
                let (Some(accuses), Some(protects)) = (self.side(pair.accuses).await?, self.side(pair.protects).await?)
                else {
                    continue;
                };
                found.push(Collision { accuses, protects, by, at });
            }
        }
        Ok(found)
    }

    async fn side(&self, party: Party) -> Result<Option<CollisionSide>, ServiceError> {
        let view = match party {
            Party::Record(key) => {
                let Some(Sealed::Plain { bytes, .. }) = self.vault.get(area::RECORD, &key).await? else {
                    return Ok(None);
                };
                return Ok(Some(CollisionSide {
                    reference: RecordHandle::from_bytes(key).to_string(),
                    owner: self.member,
                    kind: None,
                    title: Record::parse(&bytes)?.title(),
                    state: "current",
                }));
            }
            Party::Notice(owner, notice) if owner == self.member => match self.own_notice(notice).await? {
                Some(head) => self.own_view(notice, &head).await?.0,
                None => return Ok(None),
            },
            Party::Notice(owner, notice) => {
                let key = area::member_notice(owner, notice);
                let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &key).await?;
                let Some(head) = head else { return Ok(None) };
                match self.held_view(owner, notice, &head).await? {
                    Some((view, _)) => view,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(CollisionSide {
            reference: view.reference,
            owner: view.owner,
            kind: Some(view.kind),
            title: view.title,
            state: view.state.as_str(),
        }))
    }

    /// Puts a held notice up for comparison beside the change that brings it; returns whether it has to be.
    pub(crate) fn screen_held(
        &self,
        batch: &mut Batch,
        owner: MemberId,
        notice: NoticeId,
        content: &impl Fields,
    ) -> Result<bool, ServiceError> {
        let is_compared = !content.is_exercise() && Sides::of(content).is_any();
        let due = is_compared || self.marks.has_met(owner, notice);
        if due {
            batch.put(area::SCREEN, area::member_notice(owner, notice), []);
        }
        Ok(due)
    }

    /// The same for an own notice.
    pub(crate) fn screen_own(
        &self,
        batch: &mut Batch,
        notice: NoticeId,
        content: &impl Fields,
    ) -> Result<bool, ServiceError> {
        self.screen_held(batch, self.member, notice, content)
    }

    /// Beside the end of a notice: the pairs that it is part of end, and the challenges against it with it.
    pub(crate) async fn forget_notice(
        &self,
        batch: &mut Batch,
        owner: MemberId,
        notice: NoticeId,
    ) -> Result<(), ServiceError> {
        if self.marks.has_met(owner, notice) {
            batch.put(area::SCREEN, area::member_notice(owner, notice), []);
        }
        self.forget_challenges(batch, owner, notice).await
    }

    /// An own notice is over, durably: it is not found any more, and nothing is said beside it.
    pub(crate) fn own_is_over(&self, notice: NoticeId) {
        self.indexes.remove_own_notice(notice);
        self.marks.uncontest(self.member, notice);
        self.screen_due.notify_one();
    }

    /// Reads the pairs back.
    pub(crate) async fn fill_collisions(&self) -> Result<(), ServiceError> {
        let mut pages = Pages::of(&*self.store, area::COLLISION);
        while let Some(page) = pages.next().await? {
            for pair in page.iter().filter_map(|(key, _)| Pair::parse(key)) {
                self.marks.meet(pair, true);
            }
        }
        Ok(())
    }
}
