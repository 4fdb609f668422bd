//! Applying what a peer sent: verified whole, then written with its cursors in one durable transaction.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;

use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::register::{Frontier, verify_consistency};
use eads_store::port::{Batch, MAX_OPERATIONS, Scan};

use super::effect::Effect;
use super::known::Known;
use super::verify::{self, Verified};
use super::{SyncBatch, SyncCursor};
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{Peer, PeerState};
use crate::rows::{self, Followed};

/// Leaves of one row: 4,096 bytes.
const RUN: usize = 128;
/// The most that one item of a stream may carry; more is the peer's fault.
const MAX_LEAVES: usize = 4096;
const MAX_DELIVERIES: usize = 64;
/// Fewer deliveries than these are not worth another thread.
const FEWEST_VERIFIED: usize = 8;

/// How a batch changed what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// New leaves.
    pub leaves: usize,
    /// Deliveries, urgent ones included.
    pub deliveries: usize,
}

/// One row of leaves: deliveries in order find most of theirs in the same.
#[derive(Default)]
struct LeafRun {
    first: u64,
    leaves: Vec<u8>,
}

impl LeafRun {
    fn leaf(&self, index: u64) -> Option<Hash> {
        let offset = usize::try_from(index.checked_sub(self.first)?).ok()?.checked_mul(32)?;
        self.leaves.get(offset..offset.checked_add(32)?).and_then(|leaf| Hash::try_from(leaf).ok())
    }
}

/// How a batch shows that it goes on from what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consistency {
    /// By its proof, and by its leaves.
    Proven,
    /// By its leaves alone, which with those held give the signed root: a part of a batch has no proof of its own.
    ByLeaves,
}

impl Node {
    /// Where this node stands in the register and deliveries of `origin`.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, or when the store cannot be read.
    pub async fn cursor(&self, origin: MemberId) -> Result<SyncCursor, ServiceError> {
        let peer = self.followed_peer(origin)?;
        let followed: Followed = rows::get(&*self.store, area::FOLLOWED, origin.as_bytes()).await?.unwrap_or_default();
        Ok(SyncCursor {
            register: peer.card.card().register,
            register_cursor: followed.register_cursor,
            delivery_cursor: followed.delivery_cursor,
            card: peer.card.card().sequence,
        })
    }

    pub(super) fn followed_peer(&self, origin: MemberId) -> Result<Arc<Peer>, ServiceError> {
        self.peers
            .get(origin)
            .filter(|peer| peer.is_followed())
            .ok_or_else(|| ServiceError::not_found("PEER_UNKNOWN", format!("{origin} is not a peer")))
    }

    /// Verifies a batch of `origin` and makes it durable: once this returns, all of it is kept and answered.
    ///
    /// # Errors
    /// The peer's fault for anything that does not verify; then nothing of the batch is kept but what urgent
    /// entries before the fault had already changed.
    pub async fn apply(&self, origin: MemberId, batch: SyncBatch) -> Result<Applied, ServiceError> {
        self.apply_with(origin, batch, Consistency::Proven).await
    }

    pub(super) async fn apply_with(
        &self,
        origin: MemberId,
        mut batch: SyncBatch,
        how: Consistency,
    ) -> Result<Applied, ServiceError> {
        let _applying = self.applying.lock(origin).await;
        if !batch.cards.is_empty() {
            self.adopt_cards(origin, std::mem::take(&mut batch.cards), how == Consistency::ByLeaves).await?;
        }
        let peer = self.followed_peer(origin)?;
        if batch.leaves.len() > MAX_LEAVES || batch.urgent.len() + batch.deliveries.len() > MAX_DELIVERIES {
            return Err(ServiceError::peer("SYNC_BATCH_TOO_LARGE", "a batch carries more than the protocol allows"));
        }
        if peer.state == PeerState::Frozen {
            return self.apply_protective(&peer, batch).await;
        }
        let mut applied = Applied { leaves: batch.leaves.len(), ..Applied::default() };
        let SyncBatch { urgent, urgent_checkpoint, first_index, leaves, checkpoint, consistency, deliveries, .. } =
            batch;
        if !urgent.is_empty() {
            applied.deliveries += self.apply_urgent(&peer, urgent, &urgent_checkpoint).await?;
        }
        let mut followed: Followed =
            rows::get(&*self.store, area::FOLLOWED, origin.as_bytes()).await?.unwrap_or_default();
        let before = (followed.register_cursor, followed.delivery_cursor, followed.checkpoint.clone());
        if !checkpoint.is_empty() {
            // Of a part of a batch the leaves alone decide: with those held they give the signed root or do not.
            let proof = (how == Consistency::Proven).then_some(&*consistency);
            let advanced = self.advance(&peer, &mut followed, first_index, &leaves, &checkpoint, proof);
            if let Err(error) = advanced {
                return Err(self.distrust(&peer, &checkpoint, &consistency, error).await);
            }
        } else if !leaves.is_empty() {
            return Err(ServiceError::peer("CHECKPOINT_MISSING", "leaves came without a checkpoint"));
        }
        let verified = self.verify_all(&peer, deliveries).await?;
        let mut known = LeafRun::default();
        for (offset, delivery) in verified.iter().enumerate() {
            if delivery.sequence != before.1 + offset as u64 {
                return Err(ServiceError::peer("DELIVERY_GAP", "deliveries are not in order without a gap"));
            }
            if delivery.index >= followed.register_cursor {
                return Err(ServiceError::peer("DELIVERY_AHEAD", "a delivery is ahead of the register"));
            }
            self.check_leaf(origin, delivery, first_index, &leaves, &mut known).await?;
        }
        applied.deliveries += verified.len();
        followed.heard_at = self.clock.now();
        let mut write = Batch::new();
        for (run, chunk) in leaves.chunks(RUN).enumerate() {
            let bytes: Vec<u8> = chunk.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
            write.put(area::LEAVES, area::member_number(origin, first_index + (run * RUN) as u64), bytes);
        }
        // The cursor row goes with the first transaction; those for further deliveries move it on.
        followed.delivery_cursor = before.1;
        if before.2 != followed.checkpoint || !leaves.is_empty() || !verified.is_empty() {
            let size = followed.register_cursor;
            self.apply_deliveries(&peer, write, followed, verified).await?;
            if size != before.0 {
                self.advanced(&peer, size).await?;
            }
        }
        Ok(applied)
    }

    /// What protects people: each applied and durable at once, before the rest is even looked at.
    async fn apply_urgent(
        &self,
        peer: &Arc<Peer>,
        urgent: Vec<super::Delivery>,
        checkpoint: &[u8],
    ) -> Result<usize, ServiceError> {
        let card = peer.card.card();
        let (checkpoint, _) =
            peer.keys.checkpoint(checkpoint, card.member, card.register).map_err(ServiceError::from_peer)?;
        let (size, root) = (checkpoint.checkpoint().size, checkpoint.checkpoint().root);
        let paths: Vec<Vec<Hash>> = urgent.iter().map(|delivery| delivery.inclusion.clone()).collect();
        let verified = self.verify_all(peer, urgent).await?;
        let count = verified.len();
        for (delivery, path) in verified.into_iter().zip(paths) {
            let Some(word) = &delivery.word else { continue };
            verify::included(word, delivery.index, size, &path, root)?;
            if !word.statement.payload().action.is_protective() {
                return Err(ServiceError::peer("URGENT_NOT_PROTECTIVE", "only what protects people goes first"));
            }
            let mut batch = Batch::new();
            batch.protective();
            let effect = self.effect(peer, delivery, &Known::default(), &mut batch).await?;
            self.store.commit(batch).await?;
            self.after(effect);
        }
        Ok(count)
    }

    /// Verifies signatures and openings away from the runtime's threads, on all processors.
    pub(super) async fn verify_all(
        &self,
        peer: &Arc<Peer>,
        mut all: Vec<super::Delivery>,
    ) -> Result<Vec<Verified>, ServiceError> {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = all.len().div_ceil(workers).max(FEWEST_VERIFIED);
        let mut shares = Vec::new();
        while !all.is_empty() {
            let rest = all.split_off(share.min(all.len()));
            let (me, peer, certificates) = (self.member, peer.clone(), self.certificates.clone());
            shares.push(tokio::task::spawn_blocking(move || {
                let verify = |delivery| verify::delivery(me, &peer, &certificates, delivery);
                all.into_iter().map(verify).collect::<Result<Vec<_>, _>>()
            }));
            all = rest;
        }
        let mut verified = Vec::new();
        for share in shares {
            verified.extend(share.await.map_err(|error| {
                ServiceError::internal("VERIFY_STOPPED", "verification was interrupted").caused_by(error)
            })??);
        }
        Ok(verified)
    }

    /// Follows the register to a new checkpoint, in memory.
    fn advance(
        &self,
        peer: &Peer,
        followed: &mut Followed,
        first_index: u64,
        leaves: &[Hash],
        checkpoint: &[u8],
        consistency: Option<&[Hash]>,
    ) -> Result<(), ServiceError> {
        let card = peer.card.card();
        let signed =
            peer.keys.bare_checkpoint(checkpoint, card.member, card.register).map_err(ServiceError::from_peer)?;
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        let mut frontier = frontier(followed)?;
        if size < frontier.size() {
            return Err(self.suspect(card.member, "CHECKPOINT_SHRINKS", "its checkpoint is smaller than one before"));
        }
        if first_index != frontier.size() || size != first_index + leaves.len() as u64 {
            return Err(ServiceError::peer(
                "CHECKPOINT_SKIPS",
                "the leaves do not lead from the cursor to the checkpoint",
            ));
        }
        let changes = peer.keys.spans().filter_map(|span| Some((span.from.checked_sub(first_index)?, span.change?)));
        for (at, change) in changes {
            if usize::try_from(at).ok().and_then(|at| leaves.get(at)).is_some_and(|leaf| *leaf != change) {
                return Err(ServiceError::peer("KEY_CHANGE_NOT_IN_REGISTER", "its key-change is not where it said"));
            }
        }
        let old_root = frontier.root();
        for leaf in leaves {
            frontier.append(*leaf);
        }
        if frontier.root() != root {
            return Err(self.suspect(card.member, "CHECKPOINT_INCONSISTENT", "its leaves do not have the signed root"));
        }
        if let Some(consistency) = consistency.filter(|_| first_index > 0) {
            verify_consistency(first_index, old_root, size, root, consistency).map_err(|error| {
                self.suspect(card.member, "CHECKPOINT_INCONSISTENT", "its checkpoint does not extend the one before")
                    .caused_by(error)
            })?;
        }
        followed.register_cursor = size;
        followed.frontier = hex::encode(frontier.to_bytes());
        followed.checkpoint = String::from_utf8_lossy(signed.bytes()).into_owned();
        Ok(())
    }

    fn suspect(&self, member: MemberId, code: &'static str, text: &'static str) -> ServiceError {
        self.alarms.raise(&format!("{code}:{member}"), self.clock.now(), format!("{member}: {text}"));
        ServiceError::peer(code, text)
    }

    /// The statement is the very one that its leaf commits to.
    async fn check_leaf(
        &self,
        origin: MemberId,
        delivery: &Verified,
        first_index: u64,
        leaves: &[Hash],
        known: &mut LeafRun,
    ) -> Result<(), ServiceError> {
        let Some(word) = &delivery.word else { return Ok(()) };
        let fresh = delivery.index.checked_sub(first_index).and_then(|at| leaves.get(usize::try_from(at).ok()?));
        let leaf = match fresh {
            Some(leaf) => Some(*leaf),
            None => {
                if known.leaf(delivery.index).is_none() {
                    *known = self.held_run(origin, delivery.index).await?;
                }
                known.leaf(delivery.index)
            }
        };
        if leaf == Some(word.statement.leaf()) {
            Ok(())
        } else {
            Err(ServiceError::peer("STATEMENT_NOT_IN_REGISTER", "the statement is not the one in the register"))
        }
    }

    /// A leaf of a peer's register, as held here.
    pub(crate) async fn held_leaf(&self, origin: MemberId, index: u64) -> Result<Option<Hash>, ServiceError> {
        Ok(self.held_run(origin, index).await?.leaf(index))
    }

    /// The row of leaves in which the one at `index` stands, if it is held.
    async fn held_run(&self, origin: MemberId, index: u64) -> Result<LeafRun, ServiceError> {
        let mut scan = Scan::new(area::LEAVES, 1).prefix(*origin.as_bytes()).reverse();
        scan.after = index.checked_add(1).map(|next| area::member_number(origin, next));
        let Some((key, leaves)) = self.store.scan(scan).await?.pop() else { return Ok(LeafRun::default()) };
        Ok(LeafRun { first: area::trailing_number(&key).unwrap_or_default(), leaves })
    }

    async fn apply_deliveries(
        &self,
        peer: &Arc<Peer>,
        mut write: Batch,
        mut followed: Followed,
        verified: Vec<Verified>,
    ) -> Result<(), ServiceError> {
        let origin = peer.member();
        let mut rest = verified.into_iter().peekable();
        loop {
            let run = next_run(&mut rest);
            let known = Known::of(&*self.store, origin, &run).await?;
            let mut effects: Vec<Effect> = Vec::new();
            let mut transactions = Vec::new();
            for delivery in run {
                let mut own = Batch::new();
                let next = delivery.sequence + 1;
                let effect = self.effect(peer, delivery, &known, &mut own).await?;
                if write.len() + own.len() + 1 > MAX_OPERATIONS {
                    transactions.push(with_cursor(std::mem::take(&mut write), origin, &followed)?);
                }
                write.append(own);
                effects.push(effect);
                followed.delivery_cursor = next;
            }
            transactions.push(with_cursor(std::mem::take(&mut write), origin, &followed)?);
            self.store.commit_all(transactions).await?;
            for effect in effects {
                self.after(effect);
            }
            if rest.peek().is_none() {
                return Ok(());
            }
        }
    }
}

/// What can be applied at once. An effect is computed from what is durable, so two statements about one notice are
/// never of one run, nor photographs and the statement that names them.
fn next_run(rest: &mut Peekable<impl Iterator<Item = Verified>>) -> Vec<Verified> {
    let (mut notices, mut indexes): (BTreeSet<NoticeId>, BTreeSet<u64>) = (BTreeSet::new(), BTreeSet::new());
    let mut run: Vec<Verified> = Vec::new();
    let first_is_blob = rest.peek().is_some_and(|first| first.blob.is_some());
    while let Some(next) = rest.next_if(|next| {
        next.blob.is_some() == first_is_blob
            && !indexes.contains(&next.index)
            && !next.notices().iter().any(|notice| notices.contains(notice))
    }) {
        notices.extend(next.notices());
        indexes.insert(next.index);
        run.push(next);
    }
    run
}

/// A transaction with the row that says how far it leads.
fn with_cursor(mut batch: Batch, origin: MemberId, followed: &Followed) -> Result<Batch, ServiceError> {
    rows::put(&mut batch, area::FOLLOWED, origin.as_bytes(), followed)?;
    Ok(batch)
}

pub(crate) fn frontier(followed: &Followed) -> Result<Frontier, ServiceError> {
    let bytes = hex::decode(&followed.frontier)
        .map_err(|error| ServiceError::internal("ROW_UNREADABLE", "a frontier cannot be read").caused_by(error))?;
    if bytes.is_empty() { Ok(Frontier::default()) } else { Ok(Frontier::parse(&bytes)?) }
}
