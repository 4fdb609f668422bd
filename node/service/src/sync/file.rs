//! The same batches as a file, for members that no line connects: written from where the peer stands, applied through
//! the same gate as a stream.
//!
//! A file also carries the receipts that its writer owes the reader, and where the writer stands in the reader's
//! register, so that the reader's next file begins there. Importing a file twice changes nothing; one that was cut off
//! leaves what it brought, and is imported again whole.

use std::sync::Arc;

use eads_domain::code::Coded as _;
use eads_domain::id::MemberId;
use eads_domain::receipt::SignedReceipts;
use eads_domain::sync_file::{FileReader, FileWriter, Header, SyncFileError, SyncFileKey};
use eads_store::port::{Batch, Scan};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::apply::Consistency;
use super::collect::RECEIPTS;
use super::serve::Serving;
use super::{SyncBatch, SyncCursor};
use crate::area;
use crate::audit::Intent;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::Peer;
use crate::rows;

/// Parts of a file that may wait for whoever takes them.
const QUEUE: usize = 2;
/// Bytes of a file that are handed out at one time, at least.
const CHUNK_BYTES: usize = 64 * 1024;

/// One thing that a file carries.
#[derive(Debug)]
pub enum FilePart {
    /// As it would come in a sync stream.
    Batch(Box<SyncBatch>),
    /// Receipts that the writer owes the reader, as it signed them.
    Receipts {
        /// The parts in the order signed.
        parts: Vec<Vec<u8>>,
        /// Over all of them.
        signature: Vec<u8>,
    },
    /// Where the writer stands in the reader's register and deliveries.
    Position(SyncCursor),
}

/// Between parts and the bytes of their messages; the edge knows them.
#[derive(Clone, Copy, Debug)]
pub struct PartCodec {
    /// The kind of a part and its bytes.
    pub encode: fn(FilePart) -> (u8, Vec<u8>),
    /// The part of a kind and its bytes.
    pub decode: fn(u8, &[u8]) -> Result<FilePart, ServiceError>,
}

/// Where a file begins, as far as the caller says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileStart {
    /// Leaves that the peer holds.
    pub register_cursor: Option<u64>,
    /// Deliveries that the peer holds.
    pub delivery_cursor: Option<u64>,
}

/// What a file brought.
#[derive(Clone, Copy, Debug)]
pub struct Imported {
    /// Whose it was.
    pub member: MemberId,
    /// New leaves.
    pub leaves: u64,
    /// New deliveries.
    pub deliveries: u64,
    /// New receipts.
    pub receipts: u64,
    /// Where this node stands now.
    pub cursor: SyncCursor,
}

/// Where a peer stands in the own register, as its last file said.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Position {
    register_cursor: u64,
    delivery_cursor: u64,
    /// The own card that it holds; 0 where it did not say.
    #[serde(default)]
    card: u64,
}

/// How far a file reaches.
#[derive(Default)]
struct Reach {
    leaves: Option<u64>,
    deliveries: Option<u64>,
}

impl Reach {
    /// Whether a later file was taken before this one.
    fn is_before(&self, held: SyncCursor) -> bool {
        self.leaves.is_some_and(|end| end < held.register_cursor)
            && self.deliveries.is_none_or(|end| end <= held.delivery_cursor)
    }
}

impl Node {
    /// A file for `peer`, from where it stands.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `CURSOR_IN_FUTURE`, `AUDIT_UNAVAILABLE`; in the parts what hinders its writing.
    pub async fn export_sync(
        self: Arc<Self>,
        call: &Call,
        peer: MemberId,
        start: FileStart,
        codec: PartCodec,
    ) -> Result<mpsc::Receiver<Result<Vec<u8>, ServiceError>>, ServiceError> {
        let mut entry = self.entry(call, "ExportSync");
        entry.peer = Some(peer);
        let intent = self.audit.intent(entry).await?;
        let (held, serving) = match self.begin_file(peer, start).await {
            Ok(begun) => begun,
            Err(error) => {
                self.audit.outcome(&intent, error.code().as_str(), Vec::new()).await?;
                return Err(error);
            }
        };
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(async move { self.write_file(intent, &held, serving, codec, sender).await });
        Ok(receiver)
    }

    async fn begin_file(
        self: &Arc<Self>,
        peer: MemberId,
        start: FileStart,
    ) -> Result<(Arc<Peer>, Serving), ServiceError> {
        let held = self.followed_peer(peer)?;
        let known: Position = rows::get(&*self.store, area::PEER_POSITION, peer.as_bytes()).await?.unwrap_or_default();
        let cursor = SyncCursor {
            register: self.register_id,
            register_cursor: start.register_cursor.unwrap_or(known.register_cursor),
            delivery_cursor: start.delivery_cursor.unwrap_or(known.delivery_cursor),
            card: known.card,
        };
        if cursor.register_cursor > self.register.size() || cursor.delivery_cursor > self.delivery_next(peer).await {
            return Err(ServiceError::conflict("CURSOR_IN_FUTURE", "the cursor is ahead of the register"));
        }
        Ok((held, Serving::for_file(self.clone(), peer, cursor)))
    }

    async fn write_file(
        &self,
        intent: Intent,
        peer: &Peer,
        serving: Serving,
        codec: PartCodec,
        sender: mpsc::Sender<Result<Vec<u8>, ServiceError>>,
    ) {
        let written = self.write_parts(peer, serving, codec, &sender).await;
        // The last bytes leave when the outcome is durable; without them the file is none.
        let closed = self.audit.close(intent, &written).await;
        let last = written.and_then(|last| closed.map(|()| last));
        // Whoever asked may be gone; there is nobody else to tell.
        let _ = sender.send(last).await;
    }

    /// Writes everything but the end of the file, which it returns.
    async fn write_parts(
        &self,
        peer: &Peer,
        mut serving: Serving,
        codec: PartCodec,
        sender: &mpsc::Sender<Result<Vec<u8>, ServiceError>>,
    ) -> Result<Vec<u8>, ServiceError> {
        let (identity, there, now) = (self.identity(), peer.card.card(), self.clock.now());
        let mut writer = FileWriter::new(identity.card.card(), &identity.signing, there, now, &*self.entropy)
            .map_err(ServiceError::from_coded)?;
        let mut ready = Vec::new();
        let put = |writer: &mut FileWriter<'_>, part: FilePart| {
            let (kind, body) = (codec.encode)(part);
            writer.frame(kind, &body).map_err(ServiceError::from_coded)
        };
        while let Some(batch) = serving.pending().await? {
            put(&mut writer, FilePart::Batch(Box::new(batch)))?;
            ready.append(&mut writer.take());
            if ready.len() >= CHUNK_BYTES && sender.send(Ok(std::mem::take(&mut ready))).await.is_err() {
                return Err(ServiceError::unavailable("EXPORT_ABANDONED", "the caller is gone"));
            }
        }
        for receipts in self.owed_receipts(peer.member()).await? {
            let (parts, signature) = (receipts.parts().to_vec(), receipts.signature().to_vec());
            put(&mut writer, FilePart::Receipts { parts, signature })?;
        }
        put(&mut writer, FilePart::Position(self.cursor(peer.member()).await?))?;
        ready.append(&mut writer.take());
        ready.append(&mut writer.finish().map_err(ServiceError::from_coded)?);
        Ok(ready)
    }

    /// Everything that is owed to `peer`, signed anew. It stays owed: a file may never arrive.
    async fn owed_receipts(&self, peer: MemberId) -> Result<Vec<SignedReceipts>, ServiceError> {
        let mut signed = Vec::new();
        let mut scan = Scan::new(area::OWED, RECEIPTS).prefix(*peer.as_bytes());
        loop {
            let owed = self.store.scan(scan.clone()).await?;
            let Some((last, _)) = owed.last() else { return Ok(signed) };
            scan.after = Some(last.clone());
            signed.push(self.sign_receipts(owed.iter().map(|(_, part)| part.as_slice()))?);
        }
    }

    /// Applies a file of a peer as its bytes come. Run it to its end: what it has begun to apply must be finished.
    ///
    /// # Errors
    /// `SYNC_FILE_*` for a file that is for somebody else, old, cut off, altered or with a gap before it, those of
    /// [`Node::apply`], and `PEER_UNKNOWN`. What came before the fault stays.
    pub async fn import_sync(
        self: Arc<Self>,
        call: &Call,
        mut bytes: mpsc::Receiver<Vec<u8>>,
        codec: PartCodec,
    ) -> Result<Imported, ServiceError> {
        let mut begin = Vec::new();
        let header = loop {
            match Header::parse(&begin) {
                Ok(Some(header)) => break Ok(header),
                Err(error) => break Err(error),
                Ok(None) => match bytes.recv().await {
                    Some(chunk) => begin.extend_from_slice(&chunk),
                    None => break Err(SyncFileError::Truncated),
                },
            }
        };
        let mut entry = self.entry(call, "ImportSync");
        entry.peer = header.as_ref().ok().map(|header| header.origin);
        let intent = self.audit.intent(entry).await?;
        let outcome = match header {
            Ok(header) => self.import_file(&header, &begin, bytes, codec).await,
            Err(error) => Err(ServiceError::from_coded(error)),
        };
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn import_file(
        &self,
        header: &Header,
        begin: &[u8],
        mut bytes: mpsc::Receiver<Vec<u8>>,
        codec: PartCodec,
    ) -> Result<Imported, ServiceError> {
        let origin = header.origin;
        if header.receiver != self.member {
            let text = format!("the sync file is for {}, not for {}", header.receiver, self.member);
            return Err(ServiceError::invalid("SYNC_FILE_OTHER_RECEIVER", text));
        }
        let peer = self.followed_peer(origin)?;
        let card = peer.card.card();
        if header.register != card.register || header.keyseq != card.keyseq {
            let text = format!("the sync file is of another register or key of {origin} than its card names");
            return Err(ServiceError::conflict("SYNC_FILE_OTHER_CARD", text)
                .with_hint("import the member's current card, or have the file exported anew"));
        }
        let key = SyncFileKey::new(&self.identity().signing);
        let mut reader = FileReader::new(header, begin, card.signing_key, &key).map_err(ServiceError::from_coded)?;
        let before = self.cursor(origin).await?;
        let mut brought = Imported { member: origin, leaves: 0, deliveries: 0, receipts: 0, cursor: before };
        let mut reach = Reach::default();
        loop {
            while let Some(frame) = reader.next_frame().map_err(ServiceError::from_coded)? {
                match (codec.decode)(frame.kind, &frame.body)? {
                    FilePart::Batch(batch) => self.take_batch(origin, *batch, &mut brought, &mut reach).await?,
                    FilePart::Receipts { parts, signature } => {
                        brought.receipts += u64::from(self.collect_receipts(origin, parts, &signature).await?);
                    }
                    FilePart::Position(cursor) => self.keep_position(origin, cursor).await?,
                }
            }
            match bytes.recv().await {
                Some(chunk) => reader.push(&chunk),
                None => break,
            }
        }
        reader.finish().map_err(ServiceError::from_coded)?;
        brought.cursor = self.cursor(origin).await?;
        if reach.is_before(before) && brought.leaves + brought.deliveries + brought.receipts == 0 {
            let text = format!("the sync file of {origin} ends before what is held already; nothing was changed");
            return Err(ServiceError::conflict("SYNC_FILE_OLD", text).with_hint("import the latest file"));
        }
        Ok(brought)
    }

    /// Applies what of a batch is not held yet.
    async fn take_batch(
        &self,
        origin: MemberId,
        mut batch: SyncBatch,
        brought: &mut Imported,
        reach: &mut Reach,
    ) -> Result<(), ServiceError> {
        let held = self.cursor(origin).await?;
        if !batch.checkpoint.is_empty() {
            reach.leaves = Some(batch.first_index.saturating_add(batch.leaves.len() as u64));
        }
        if let Some(last) = batch.deliveries.last() {
            reach.deliveries = Some(last.sequence.saturating_add(1));
        }
        trim(&mut batch, held)?;
        if batch.cards.is_empty()
            && batch.urgent.is_empty()
            && batch.checkpoint.is_empty()
            && batch.deliveries.is_empty()
        {
            return Ok(());
        }
        let applied = self.apply_with(origin, batch, Consistency::ByLeaves).await?;
        brought.leaves += applied.leaves as u64;
        brought.deliveries += applied.deliveries as u64;
        Ok(())
    }

    async fn keep_position(&self, peer: MemberId, cursor: SyncCursor) -> Result<(), ServiceError> {
        let SyncCursor { register, register_cursor, delivery_cursor, card } = cursor;
        let known = register_cursor <= self.register.size() && delivery_cursor <= self.delivery_next(peer).await;
        if register != self.register_id || !known {
            // It says nothing about this register as it stands; the next file begins where it would have.
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.protective();
        let position = Position { register_cursor, delivery_cursor, card };
        rows::put(&mut batch, area::PEER_POSITION, peer.as_bytes(), &position)?;
        self.store.commit(batch).await?;
        Ok(())
    }
}

/// Takes from a batch what is held already.
fn trim(batch: &mut SyncBatch, held: SyncCursor) -> Result<(), ServiceError> {
    let gap = |what: &str| {
        let text = format!("the sync file begins after the {what} that is held; a file before it is missing");
        ServiceError::conflict("SYNC_FILE_GAP", text).with_hint("import the files in order, or have one exported anew")
    };
    let end = batch.first_index.saturating_add(batch.leaves.len() as u64);
    if batch.first_index > held.register_cursor && !batch.checkpoint.is_empty() {
        return Err(gap("leaf"));
    }
    if end < held.register_cursor || (end == held.register_cursor && !batch.leaves.is_empty()) {
        batch.leaves.clear();
        batch.checkpoint.clear();
        batch.first_index = held.register_cursor;
    } else if let Ok(known) = usize::try_from(held.register_cursor.saturating_sub(batch.first_index)) {
        batch.leaves.drain(..known.min(batch.leaves.len()));
        batch.first_index = held.register_cursor.min(end);
    }
    batch.urgent.retain(|delivery| delivery.sequence >= held.delivery_cursor);
    batch.deliveries.retain(|delivery| delivery.sequence >= held.delivery_cursor);
    if batch.deliveries.first().is_some_and(|first| first.sequence > held.delivery_cursor) {
        return Err(gap("delivery"));
    }
    Ok(())
}
