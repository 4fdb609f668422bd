//! Serving photographs to the peers that may hold them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::clock::Timestamp;
use eads_domain::id::{BlobId, Hash, MemberId, RequestId};
use eads_domain::slot::{SlotNumber, SlotSet};
use eads_store::blobs::{BlobName, CHUNK_BYTES};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use zeroize::Zeroizing;

use crate::area;
use crate::audit::{Actor, Entry, EntryKind, Shown};
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, BlobKey, Holding, Life, OwnVersion};

/// As it stands in the audit log.
const OPERATION: &str = "FetchBlob";
/// For how long one entry stands for all calls about one photograph, seconds; and how many are remembered.
const ONE_ENTRY_SECONDS: i64 = 3600;
const REMEMBERED: usize = 8192;

/// Which photographs were shown to which peer a short while ago.
#[derive(Debug, Default)]
pub(crate) struct Served(Mutex<BTreeMap<(MemberId, Hash, BlobId), Timestamp>>);

impl Served {
    /// Whether it is to be written down now.
    fn is_new(&self, what: (MemberId, Hash, BlobId), now: Timestamp) -> bool {
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if served.get(&what).is_some_and(|at| now.seconds_since(*at).abs() < ONE_ENTRY_SECONDS) {
            return false;
        }
        if served.len() >= REMEMBERED {
            served.retain(|_, at| now.seconds_since(*at).abs() < ONE_ENTRY_SECONDS);
        }
        // Above the bound each call has its own entry: a peer holds few photographs at a time.
        if served.len() < REMEMBERED {
            served.insert(what, now);
        }
        true
    }
}

/// Bytes of one message: what is urgent passes between two of them.
const MESSAGE_BYTES: usize = 16 * 1024;

/// Which photograph a peer asks for, and from where on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobAsked {
    /// D of the statement that names it.
    pub digest: Hash,
    /// The slot that names it.
    pub slot: SlotNumber,
    /// Which of the slot's.
    pub id: BlobId,
    /// Bytes that the asker holds.
    pub offset: u64,
    /// The most bytes wanted; 0 is all.
    pub window: u32,
}

struct Serving {
    node: Arc<Node>,
    peer: MemberId,
    asked: BlobAsked,
    name: BlobName,
    len: u32,
    at: u32,
    end: u32,
    /// Read and not sent yet, from `sent` on.
    read: Zeroizing<Vec<u8>>,
    sent: usize,
}

impl Node {
    /// A photograph of an own statement from `asked.offset` on, in pieces of at most 16 KiB. Whether `peer` may
    /// hold it is looked at again for every 64 KiB.
    ///
    /// # Errors
    /// `BLOB_UNKNOWN` for what this peer may not hold, whether or not it exists; `BLOB_OFFSET` behind its end.
    pub async fn serve_blob(
        self: Arc<Self>,
        peer: MemberId,
        asked: BlobAsked,
    ) -> Result<BoxStream<'static, Result<Vec<u8>, ServiceError>>, ServiceError> {
        let found = self.blob_for(peer, &asked).await?;
        let Some((name, len)) = found else {
            self.tally.note(peer, OPERATION, "BLOB_UNKNOWN", &[("files", 1)]);
            return Err(unknown());
        };
        self.write_serving(peer, &asked).await?;
        let at = u32::try_from(asked.offset).ok().filter(|at| *at <= len);
        let at = at.ok_or_else(|| ServiceError::invalid("BLOB_OFFSET", "the offset lies behind the end"))?;
        let window = if asked.window == 0 { len } else { asked.window };
        let end = at.saturating_add(window).min(len);
        let serving = Serving { node: self, peer, asked, name, len, at, end, read: Zeroizing::default(), sent: 0 };
        let pieces = stream::unfold(Some(serving), |serving| async move {
            let mut serving = serving?;
            match serving.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(serving))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(pieces.boxed())
    }

    /// Writes down that a peer is shown a photograph: once a while, since it comes in many pieces and may come again.
    async fn write_serving(&self, peer: MemberId, asked: &BlobAsked) -> Result<(), ServiceError> {
        let now = self.clock.now();
        if !self.served_blobs.is_new((peer, asked.digest, asked.id), now) {
            self.tally.note(peer, OPERATION, "OK", &[("pieces", 1)]);
            return Ok(());
        }
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Event, now, request, Actor::Peer(peer), OPERATION);
        entry.peer = Some(peer);
        entry.subject = Some(format!("photograph {}", asked.id));
        entry.shown = vec![Shown { digest: asked.digest, slots: SlotSet::from_iter([asked.slot]) }];
        self.audit.event(entry, "OK").await
    }

    /// The file and its length, if `peer` may hold it now.
    async fn blob_for(&self, peer: MemberId, asked: &BlobAsked) -> Result<Option<(BlobName, u32)>, ServiceError> {
        if self.peers.get(peer).is_none_or(|peer| !peer.is_accepted()) {
            return Ok(None);
        }
        let index = self.store.get(area::BLOB_STATEMENT, asked.digest.as_bytes()).await?;
        let Some(index) = index.as_deref().and_then(area::trailing_number) else { return Ok(None) };
        let holding: Option<Holding> = rows::get(&*self.store, area::HOLDING, &area::index_member(index, peer)).await?;
        let may_hold = |holding: &Holding| {
            holding.digest == asked.digest && holding.slots.contains(asked.slot) && !holding.is_settled()
        };
        let Some(holding) = holding.filter(may_hold) else { return Ok(None) };
        let head = self.own_notice(holding.notice).await?;
        if head.is_none_or(|head| !matches!(head.life, Life::Issued | Life::Suspended)) {
            return Ok(None);
        }
        let key = area::notice_index(holding.notice, index);
        let version: Option<OwnVersion> = rows::get(&*self.store, area::OWN_VERSION, &key).await?;
        let named = |blob: &&BlobKey| blob.id == asked.id && blob.slot == asked.slot.get();
        let blob = version.as_ref().and_then(|version| version.blobs.iter().find(named));
        let Some(blob) = blob.filter(|_| version.as_ref().is_some_and(|version| !version.destroyed)) else {
            return Ok(None);
        };
        Ok(self.own_blob(blob.id).await?.map(|(_, own)| (blob.name(), own.len)))
    }
}

impl Serving {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ServiceError> {
        if self.sent == self.read.len() {
            if self.at == self.end {
                return Ok(None);
            }
            if self.node.blob_for(self.peer, &self.asked).await?.is_none() {
                return Err(unknown());
            }
            let (name, len, at) = (self.name, self.len, self.at);
            // To the end of a chunk, so that none is opened twice.
            let chunk = u32::try_from(CHUNK_BYTES).unwrap_or(u32::MAX);
            let to = (at / chunk).saturating_add(1).saturating_mul(chunk).min(self.end);
            let read = self.node.blobs.with(move |store| store.read(&name, len, at..to)).await?;
            self.read = read.ok_or_else(unknown)?;
            (self.sent, self.at) = (0, to);
        }
        let rest = self.read.get(self.sent..).unwrap_or_default();
        let piece = rest.get(..MESSAGE_BYTES.min(rest.len())).unwrap_or_default().to_vec();
        self.sent += piece.len();
        Ok(Some(piece))
    }
}

fn unknown() -> ServiceError {
    ServiceError::not_found("BLOB_UNKNOWN", "there is no such file for this member")
}
