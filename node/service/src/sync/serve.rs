//! Serving the own register and a peer's delivery log, from any cursor, for as long as the peer listens.

use std::sync::Arc;

use eads_domain::code::Coded as _;
use eads_domain::id::MemberId;
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use super::pace::Pace;
use super::{Delivery, Disclosed, SyncBatch, SyncCursor};
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::PeerState;
use crate::rows::{self, DeliveryKind, DeliveryRow, Holding};
use crate::stored::StoredStatement;
use crate::trust::Sequencing;

/// As it stands in the audit log, counted: the delivery log says what each peer was sent.
const OPERATION: &str = "ServeSync";
/// Urgent entries of one batch.
const URGENT: usize = 8;
/// Deliveries of one batch, as many as a follower takes; the line's pace bounds their bytes.
const DELIVERIES: usize = 64;
/// About what a delivery has: a notice of a person.
const LIKELY_BYTES: usize = 4096;

pub(super) struct Serving {
    node: Arc<Node>,
    peer: MemberId,
    register_cursor: u64,
    delivery_cursor: u64,
    /// The card that the follower holds; 0 where it does not say.
    card: u64,
    /// Urgent entries below this sequence were sent in this stream, or are held by the follower.
    urgent_cursor: u64,
    grown: watch::Receiver<u64>,
    peers: watch::Receiver<u64>,
    greeted: bool,
    pace: Pace,
}

impl Node {
    /// The stream of `peer` from `cursor`. The first item comes at once; later ones with each append, and a
    /// heartbeat in between.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `LOG_RESET` for another register, `CURSOR_IN_FUTURE` for a cursor ahead of what this
    /// node holds.
    pub async fn serve_sync(
        self: Arc<Self>,
        peer: MemberId,
        cursor: SyncCursor,
    ) -> Result<BoxStream<'static, Result<SyncBatch, ServiceError>>, ServiceError> {
        match self.clone().open_sync(peer, cursor).await {
            Ok(batches) => {
                self.tally.note(peer, OPERATION, "OK", &[("streams", 1)]);
                Ok(batches)
            }
            Err(error) => {
                self.tally.note(peer, OPERATION, error.code().as_str(), &[("streams", 1)]);
                Err(error)
            }
        }
    }

    async fn open_sync(
        self: Arc<Self>,
        peer: MemberId,
        cursor: SyncCursor,
    ) -> Result<BoxStream<'static, Result<SyncBatch, ServiceError>>, ServiceError> {
        if self.peers.get(peer).is_none_or(|peer| !peer.is_followed()) {
            return Err(ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"));
        }
        if cursor.register != self.register_id {
            return Err(ServiceError::conflict(
                "LOG_RESET",
                format!("this member's register is {}; import its current card", self.register_id),
            ));
        }
        self.answers_now()?;
        let size = self.register.size();
        let deliveries = self.delivery_next(peer).await;
        if cursor.register_cursor > size || cursor.delivery_cursor > deliveries {
            if self.trust.sequencing() != Sequencing::Open {
                return Err(ServiceError::unavailable(
                    "REGISTER_RECOVERING",
                    "this member's register is being taken up again from what its peers hold",
                ));
            }
            self.trust.listen_again();
            self.alarms.raise(
                "REGISTER_ROLLED_BACK",
                self.clock.now(),
                format!("{peer} holds more of the own register than this node: it may run on an old copy"),
            );
            return Err(ServiceError::conflict("CURSOR_IN_FUTURE", "the cursor is ahead of the register"));
        }
        let card = self.own_card_sequence();
        if cursor.card > card {
            let text = format!("{peer} holds card {} of this member, but this node runs with card {card}", cursor.card);
            self.alarms.raise("IDENTITY_OLD", self.clock.now(), format!("{text}; restore the identity as it was last"));
        }
        self.peers.note(peer, |status| status.card_held = cursor.card);
        self.dialled.by(peer).notify_waiters();
        let serving = Serving::new(self, peer, cursor);
        let batches = stream::unfold(Some(serving), |serving| async move {
            let mut serving = serving?;
            match serving.next().await {
                Ok(batch) => Some((Ok(batch), Some(serving))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(batches.boxed())
    }
}

impl Serving {
    fn new(node: Arc<Node>, peer: MemberId, cursor: SyncCursor) -> Self {
        Self {
            grown: node.register.watch(),
            peers: node.peers.watch(),
            peer,
            register_cursor: cursor.register_cursor,
            delivery_cursor: cursor.delivery_cursor,
            urgent_cursor: cursor.delivery_cursor,
            card: cursor.card,
            greeted: false,
            pace: Pace::default(),
            node,
        }
    }

    /// For a file: what there is now, without a greeting, in batches as large as they get.
    pub(super) fn for_file(node: Arc<Node>, peer: MemberId, cursor: SyncCursor) -> Self {
        Self { greeted: true, pace: Pace::unbounded(), ..Self::new(node, peer, cursor) }
    }

    /// The next batch; none when everything there is now was given.
    pub(super) async fn pending(&mut self) -> Result<Option<SyncBatch>, ServiceError> {
        loop {
            if let Some(batch) = self.cards().await? {
                return Ok(Some(batch));
            }
            let before = (self.register_cursor, self.delivery_cursor, self.urgent_cursor);
            let card = self.node.own_card_sequence();
            let batch = match self.node.peers.get(self.peer).map(|peer| peer.state) {
                Some(PeerState::Accepted) => self.whole().await,
                Some(PeerState::RecallOnly | PeerState::Frozen) => self.recall().await,
                Some(PeerState::Candidate) | None => {
                    Err(ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"))
                }
            }?;
            if self.card == 0 || self.node.own_card_sequence() == card {
                return Ok(batch);
            }
            // The key was changed meanwhile: the follower must know the new one before it sees its word.
            (self.register_cursor, self.delivery_cursor, self.urgent_cursor) = before;
        }
    }

    /// Cards that the follower does not hold, before everything that they are needed for.
    async fn cards(&mut self) -> Result<Option<SyncBatch>, ServiceError> {
        let cards = self.node.card_steps(self.card).await?;
        if cards.is_empty() {
            return Ok(None);
        }
        self.card += cards.len() as u64;
        Ok(Some(SyncBatch { cards, more: true, ..self.empty() }))
    }

    async fn next(&mut self) -> Result<SyncBatch, ServiceError> {
        self.pace.taken();
        if self.card > 0 {
            self.node.peers.note(self.peer, |status| status.card_held = self.card);
        }
        loop {
            self.grown.mark_unchanged();
            self.peers.mark_unchanged();
            if let Some(batch) = self.pending().await? {
                self.greeted = true;
                self.pace.given(batch.size());
                self.node.tally.note(self.peer, OPERATION, "OK", &batch.counts());
                return Ok(batch);
            }
            self.pace.rests();
            tokio::select! {
                _ = self.grown.changed() => {}
                _ = self.peers.changed() => {}
                () = tokio::time::sleep(self.node.limits.heartbeat) => self.greeted = false,
            }
        }
    }

    /// What protects people, before anything else.
    async fn urgent(&mut self) -> Result<Option<SyncBatch>, ServiceError> {
        let size = self.node.register.size();
        let pending = self.node.urgent_after(self.peer, self.urgent_cursor, size).await?;
        let Some((last, _)) = pending.last() else { return Ok(None) };
        self.urgent_cursor = last + 1;
        let checkpoint = self.node.checkpoint_at(size);
        let mut batch = SyncBatch { more: true, ..self.empty() };
        for (sequence, row) in pending {
            let mut delivery = self.node.delivery(self.peer, sequence, row).await?;
            delivery.inclusion = self.node.register.inclusion(row.index, size).unwrap_or_default();
            batch.urgent.push(delivery);
        }
        batch.urgent_checkpoint = checkpoint.map(|c| c.bytes().to_vec()).unwrap_or_default();
        Ok(Some(batch))
    }

    async fn recall(&mut self) -> Result<Option<SyncBatch>, ServiceError> {
        match self.urgent().await? {
            Some(batch) => Ok(Some(batch)),
            None => Ok((!self.greeted).then(|| self.empty())),
        }
    }

    async fn whole(&mut self) -> Result<Option<SyncBatch>, ServiceError> {
        if let Some(batch) = self.urgent().await? {
            return Ok(Some(batch));
        }
        let size = self.node.register.size();
        let first = self.register_cursor;
        let next = size.min(first + self.pace.leaves());
        let deliveries =
            self.node.deliveries(self.peer, self.delivery_cursor, next, self.pace.bytes(next - first)).await?;
        if next == first && deliveries.is_empty() && self.greeted {
            return Ok(None);
        }
        let mut batch = self.empty();
        batch.leaves = (first..next).filter_map(|index| self.node.register.leaf(index)).collect();
        batch.checkpoint = if next > 0 {
            self.node.checkpoint_at(next).map(|c| c.bytes().to_vec()).unwrap_or_default()
        } else {
            Vec::new()
        };
        batch.consistency = self.node.register.consistency(first, next).unwrap_or_default();
        if let Some(last) = deliveries.last() {
            self.delivery_cursor = last.sequence + 1;
            self.urgent_cursor = self.urgent_cursor.max(self.delivery_cursor);
        }
        batch.deliveries = deliveries;
        self.register_cursor = next;
        batch.more = next < size || self.delivery_cursor < self.node.delivery_next(self.peer).await;
        Ok(Some(batch))
    }

    fn empty(&self) -> SyncBatch {
        SyncBatch {
            cards: Vec::new(),
            urgent: Vec::new(),
            urgent_checkpoint: Vec::new(),
            first_index: self.register_cursor,
            leaves: Vec::new(),
            checkpoint: Vec::new(),
            consistency: Vec::new(),
            deliveries: Vec::new(),
            clock: self.node.clock.now(),
            more: false,
        }
    }
}

impl Node {
    /// The earliest urgent entries of a peer's log from `cursor` on, of indexes below `size`.
    async fn urgent_after(
        &self,
        peer: MemberId,
        cursor: u64,
        size: u64,
    ) -> Result<Vec<(u64, DeliveryRow)>, ServiceError> {
        let last = self.store.scan(Scan::new(area::DELIVERY, 1).prefix(*peer.as_bytes()).reverse()).await?.pop();
        let Some((key, value)) = last else { return Ok(Vec::new()) };
        let mut at = (area::trailing_number(&key).unwrap_or_default(), rows::parse::<DeliveryRow>(&value)?);
        let mut pending = Vec::new();
        // Each entry names the urgent one before it, so the walk touches urgent entries only.
        loop {
            if at.1.urgent && at.0 >= cursor && at.1.index < size {
                pending.push(at);
            }
            let Some(before) = at.1.urgent_before.checked_sub(1).filter(|before| *before >= cursor) else { break };
            let row = rows::get(&*self.store, area::DELIVERY, &area::member_number(peer, before)).await?;
            let Some(row) = row else { break };
            at = (before, row);
        }
        pending.reverse();
        pending.truncate(URGENT);
        Ok(pending)
    }

    /// The next deliveries from `cursor` on, of indexes below `size`, within what the line can take.
    async fn deliveries(
        &self,
        peer: MemberId,
        cursor: u64,
        size: u64,
        bytes: usize,
    ) -> Result<Vec<Delivery>, ServiceError> {
        let mut scan = Scan::new(area::DELIVERY, DELIVERIES).prefix(*peer.as_bytes());
        scan.after = cursor.checked_sub(1).map(|before| area::member_number(peer, before));
        let mut deliveries = Vec::new();
        let mut bytes_needed = 0;
        let mut entries = Vec::new();
        for (key, value) in self.store.scan(scan).await? {
            let row: DeliveryRow = rows::parse(&value)?;
            if row.index >= size {
                break;
            }
            entries.push((area::trailing_number(&key).unwrap_or_default(), row));
        }
        // On a thin line few of them go, and no more are read.
        for some in entries.chunks(bytes.div_ceil(LIKELY_BYTES).clamp(1, DELIVERIES)) {
            let keys = some.iter().flat_map(|(_, row)| {
                let holding = (area::HOLDING, area::index_member(row.index, peer));
                [holding, (area::OWN_CONTENT, area::index(row.index))]
            });
            let found = self.store.get_many(keys.collect()).await?;
            for ((sequence, row), found) in some.iter().zip(found.chunks_exact(2)) {
                let [holding, content] = found else { break };
                let delivery = self.delivery_of(peer, *sequence, *row, holding.as_deref(), content.as_deref()).await?;
                bytes_needed += delivery.disclosed.as_ref().map_or(0, Disclosed::size);
                if bytes_needed > bytes && !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                deliveries.push(delivery);
            }
        }
        Ok(deliveries)
    }

    /// One entry with what the peer is shown of its statement.
    async fn delivery(&self, peer: MemberId, sequence: u64, row: DeliveryRow) -> Result<Delivery, ServiceError> {
        let holding = self.store.get(area::HOLDING, &area::index_member(row.index, peer)).await?;
        let content = self.store.get(area::OWN_CONTENT, &area::index(row.index)).await?;
        self.delivery_of(peer, sequence, row, holding.as_deref(), content.as_deref()).await
    }

    /// The same with the rows of the holding and of the content, which the caller has read.
    async fn delivery_of(
        &self,
        peer: MemberId,
        sequence: u64,
        row: DeliveryRow,
        holding: Option<&[u8]>,
        content: Option<&[u8]>,
    ) -> Result<Delivery, ServiceError> {
        let mut delivery =
            Delivery { sequence, kind: row.kind, index: row.index, disclosed: None, inclusion: Vec::new(), slot: None };
        if row.kind == DeliveryKind::Empty {
            return Ok(delivery);
        }
        // What was retracted since is not shown any more, not even to a follower that is far behind.
        let Some(holding) = holding.map(rows::parse::<Holding>).transpose()? else { return Ok(delivery) };
        let slots = row.slots.intersection(holding.slots);
        if let Some(slot) = row.blob_slot() {
            delivery.slot = Some(slot).filter(|slot| slots.contains(*slot));
            return Ok(delivery);
        }
        let retracted = slots.is_empty() && !row.slots.is_empty();
        let content = match content {
            Some(content) => self.vault.open_row(area::OWN_CONTENT, &area::index(row.index), content).await?,
            None => None,
        };
        // What an order keeps here of a notice that has ended is not sent to anybody any more.
        let kept = holding.action.describes_subject() && self.is_kept_and_over(holding.notice).await?;
        match content {
            Some(Sealed::Plain { bytes, .. }) if !retracted && !kept => {
                delivery.disclosed = Some(StoredStatement::parse(&bytes)?.disclosed(peer, slots));
            }
            _ if holding.awaits_receipt() => self.never_held(row.index, peer).await?,
            _ => {}
        }
        Ok(delivery)
    }

    /// The peer asks for what is gone, so it never held it: nothing is owed for it.
    async fn never_held(&self, index: u64, peer: MemberId) -> Result<(), ServiceError> {
        let key = area::index_member(index, peer);
        let notice = {
            let _notices = self.notices.lock().await;
            // Read anew under the lock: a receipt that came meanwhile must not be overwritten.
            let holding: Option<Holding> = rows::get(&*self.store, area::HOLDING, &key).await?;
            let Some(holding) = holding.filter(Holding::awaits_receipt) else { return Ok(()) };
            let mut batch = Batch::new();
            batch.protective();
            let holding = Holding { undelivered: true, ..holding };
            rows::put(&mut batch, area::HOLDING, &key, &holding)?;
            self.store.commit(batch).await?;
            holding.notice
        };
        self.settle(notice).await
    }
}
