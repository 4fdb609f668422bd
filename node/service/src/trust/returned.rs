//! Giving another member its own register back: what is held of its leaves, its statements and its withdrawals.

use std::sync::Arc;

use eads_domain::id::{Hash, MemberId, NoticeId, RegisterId};
use eads_store::port::{Batch, MAX_OPERATIONS, Scan};
use eads_store::vault::Sealed;
use futures::SinkExt as _;
use futures::channel::mpsc;
use futures::stream::{BoxStream, StreamExt as _};

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::peers::Peer;
use crate::rows::{self, Answered, DeliveryKind, Followed, HeldNotice, Mark, OwnersState};
use crate::stored::StoredStatement;
use crate::sync::{Delivery, Disclosed};

/// Leaves of one item.
const LEAVES: usize = 1024;
/// Statements of one item.
const STATEMENTS: usize = 8;
/// Marks of one item.
const MARKS: usize = 64;

/// What a peer holds of a member's register and deliveries.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Leaves.
    pub register_cursor: u64,
    /// The last delivery, plus one.
    pub delivery_cursor: u64,
    /// The member's own signed checkpoint at `register_cursor`; empty at 0.
    pub checkpoint: Vec<u8>,
}

/// What remains at a holder of a withdrawal or a suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterMark {
    /// The notice.
    pub notice: NoticeId,
    /// Where the statement stands.
    pub index: u64,
    /// Its D.
    pub digest: Hash,
    /// Withdrawn; else suspended.
    pub withdrawn: bool,
}

/// One item of what is given back: leaves first, the last of them with the checkpoint; then statements, then marks.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// Index of the first leaf.
    pub first_index: u64,
    /// Leaves.
    pub leaves: Vec<Hash>,
    /// The owner's own signed checkpoint to which all leaves lead.
    pub checkpoint: Vec<u8>,
    /// Statements that are held, as far as they were shown.
    pub statements: Vec<Delivery>,
    /// Withdrawals and suspensions of which no statement is kept.
    pub marks: Vec<RegisterMark>,
}

type Giving = mpsc::Sender<Result<Returned, ServiceError>>;

/// Who waits for an item takes it in time, or gets no more.
enum End {
    Gone,
    Failed(ServiceError),
}

impl<E: Into<ServiceError>> From<E> for End {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Node {
    fn owner(&self, peer: MemberId, register: RegisterId) -> Result<Arc<Peer>, ServiceError> {
        let owner = self.peers.get(peer).filter(|peer| peer.is_followed());
        let owner = owner.ok_or_else(|| ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"))?;
        if owner.card.card().register != register {
            return Err(ServiceError::conflict("LOG_RESET", "another register of this member is followed here"));
        }
        Ok(owner)
    }

    /// What is held here of `peer`'s own register. `receipts_again` owes it every receipt anew: it has lost them.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `LOG_RESET`.
    pub async fn register_held(
        &self,
        peer: MemberId,
        register: RegisterId,
        receipts_again: bool,
    ) -> Result<Held, ServiceError> {
        let owner = self.owner(peer, register)?;
        let followed: Followed = rows::get(&*self.store, area::FOLLOWED, peer.as_bytes()).await?.unwrap_or_default();
        let checkpoint = self.held_checkpoint(&owner).await?;
        if receipts_again {
            let _taking = self.trust.taking.lock(peer).await;
            self.owe_all_again(peer).await?;
        }
        Ok(Held {
            register_cursor: checkpoint.as_ref().map_or(0, |signed| signed.checkpoint().size),
            delivery_cursor: followed.delivery_cursor,
            checkpoint: checkpoint.map(|signed| signed.bytes().to_vec()).unwrap_or_default(),
        })
    }

    async fn owe_all_again(&self, peer: MemberId) -> Result<(), ServiceError> {
        let mut pages = Pages::of(&*self.store, area::ANSWERED).prefix(peer.as_bytes());
        while let Some(page) = pages.next().await? {
            for chunk in page.chunks(MAX_OPERATIONS) {
                let mut batch = Batch::new();
                for (key, _) in chunk {
                    let _applying = self.applying.lock(peer).await;
                    let Some(answered) = rows::get::<Answered>(&*self.store, area::ANSWERED, key).await? else {
                        continue;
                    };
                    self.owe_again(&mut batch, peer, area::trailing_number(key).unwrap_or_default(), &answered)?;
                }
                self.store.commit(batch).await?;
            }
        }
        self.receipts_due.send_modify(|due| *due += 1);
        Ok(())
    }

    /// Gives `peer` its own register back from `first` on.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `LOG_RESET`.
    pub async fn return_register(
        self: Arc<Self>,
        peer: MemberId,
        register: RegisterId,
        first: u64,
    ) -> Result<BoxStream<'static, Result<Returned, ServiceError>>, ServiceError> {
        let owner = self.owner(peer, register)?;
        let (mut giving, taken) = mpsc::channel(1);
        tokio::spawn(async move {
            let _taking = self.trust.taking.lock(peer).await;
            if let Err(End::Failed(error)) = self.give_back(&owner, first, &mut giving).await {
                let _ = giving.send(Err(error)).await;
            }
        });
        Ok(taken.boxed())
    }

    async fn give(&self, giving: &mut Giving, item: Returned) -> Result<(), End> {
        match tokio::time::timeout(self.limits.stall, giving.send(Ok(item))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn give_back(&self, owner: &Peer, first: u64, giving: &mut Giving) -> Result<(), End> {
        let origin = owner.member();
        let Some(held) = self.held_checkpoint(owner).await? else { return Ok(()) };
        let size = held.checkpoint().size;
        let mut next = first.min(size);
        while next < size {
            let leaves = self.held_leaves(origin, next, size.min(next + LEAVES as u64)).await?;
            let count = leaves.len() as u64;
            if count == 0 {
                return Err(ServiceError::internal("LEAVES_MISSING", "leaves of a peer's register are missing").into());
            }
            let last = next + count >= size;
            let checkpoint = if last { held.bytes().to_vec() } else { Vec::new() };
            self.give(giving, Returned { first_index: next, leaves, checkpoint, ..Returned::default() }).await?;
            next += count;
        }
        if first >= size {
            let checkpoint = held.bytes().to_vec();
            self.give(giving, Returned { first_index: first, checkpoint, ..Returned::default() }).await?;
        }
        self.give_statements(origin, first, size, giving).await?;
        self.give_marks(origin, first, size, giving).await
    }

    /// Leaves `from .. to` of a peer's register.
    async fn held_leaves(&self, origin: MemberId, from: u64, to: u64) -> Result<Vec<Hash>, ServiceError> {
        let mut look = Scan::new(area::LEAVES, 1).prefix(*origin.as_bytes()).reverse();
        look.after = from.checked_add(1).map(|next| area::member_number(origin, next));
        let Some(first_run) = self.store.scan(look).await?.pop() else { return Ok(Vec::new()) };
        let mut rest = Scan::new(area::LEAVES, LEAVES).prefix(*origin.as_bytes());
        rest.after = Some(first_run.0.clone());
        let mut leaves = Vec::new();
        for (key, run) in std::iter::once(first_run).chain(self.store.scan(rest).await?) {
            let start = area::trailing_number(&key).unwrap_or(u64::MAX);
            for (offset, leaf) in run.chunks_exact(32).enumerate() {
                let index = start.saturating_add(offset as u64);
                if index >= to {
                    return Ok(leaves);
                }
                if index >= from {
                    leaves.push(Hash::try_from(leaf)?);
                }
            }
        }
        Ok(leaves)
    }

    async fn give_statements(&self, origin: MemberId, first: u64, size: u64, giving: &mut Giving) -> Result<(), End> {
        let mut indexes = Vec::new();
        let mut pages = Pages::of(&*self.store, area::HELD_NOTICE).prefix(origin.as_bytes());
        while let Some(page) = pages.next().await? {
            for (_, value) in page {
                let head: HeldNotice = rows::parse(&value)?;
                if (first..size).contains(&head.content_index) {
                    indexes.push(head.content_index);
                }
            }
        }
        indexes.sort_unstable();
        for chunk in indexes.chunks(STATEMENTS) {
            let mut statements = Vec::new();
            for index in chunk {
                let row = area::member_number(origin, *index);
                let Some(Sealed::Plain { bytes, .. }) = self.vault.get(area::HELD_CONTENT, &row).await? else {
                    continue;
                };
                let stored = StoredStatement::parse(&bytes)?;
                let disclosed = Disclosed {
                    payload: stored.payload,
                    signature: stored.signature,
                    audience: stored.audience.into_iter().next().map(|(_, opening)| opening),
                    disclosure: Some(stored.disclosure),
                    detail: stored.detail,
                };
                statements.push(Delivery {
                    sequence: 0,
                    kind: DeliveryKind::Disclose,
                    index: *index,
                    slot: None,
                    disclosed: Some(disclosed),
                    inclusion: Vec::new(),
                });
            }
            self.give(giving, Returned { statements, ..Returned::default() }).await?;
        }
        Ok(())
    }

    async fn give_marks(&self, origin: MemberId, first: u64, size: u64, giving: &mut Giving) -> Result<(), End> {
        for (area, withdrawn) in [(area::MARK, true), (area::OWNERS_STATE, false)] {
            let mut pages = Pages::of(&*self.store, area).prefix(origin.as_bytes());
            while let Some(page) = pages.next().await? {
                let mut marks = Vec::new();
                for (key, value) in page {
                    let index = if withdrawn {
                        Some(rows::parse::<Mark>(&value)?.index)
                    } else {
                        let state: OwnersState = rows::parse(&value)?;
                        state.suspended.then_some(state.index)
                    };
                    let Some(index) = index.filter(|index| (first..size).contains(index)) else { continue };
                    let (_, notice) = crate::notices::split(&key)?;
                    let row = area::member_number(origin, index);
                    let answered: Option<Answered> = rows::get(&*self.store, area::ANSWERED, &row).await?;
                    if let Some(answered) = answered.filter(|answered| answered.notice == notice) {
                        marks.push(RegisterMark { notice, index, digest: answered.digest, withdrawn });
                    }
                }
                for chunk in marks.chunks(MARKS) {
                    self.give(giving, Returned { marks: chunk.to_vec(), ..Returned::default() }).await?;
                }
            }
        }
        Ok(())
    }
}
