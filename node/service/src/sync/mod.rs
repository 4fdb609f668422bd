//! Synchronisation: serving the own register and deliveries, following those of peers, and receipts.
//!
//! Two exclusive cursors a peer, register and delivery; neither ever moves back. What protects people
//! (withdrawals, suspensions, retractions) goes before everything else on every stream.

mod apply;
mod batch;
mod collect;
mod effect;
mod fetch;
mod file;
mod follow;
mod frozen;
mod held_blobs;
mod known;
mod owe;
mod pace;
mod serve;
mod verify;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::id::MemberId;
use tokio::sync::{Notify, OwnedMutexGuard, watch};

pub use batch::{Delivery, Disclosed, SyncBatch, SyncCursor};
pub use file::{FilePart, FileStart, Imported, PartCodec};
pub use follow::run;
pub(crate) use verify::Certificates;

use crate::node::Node;

/// One lock an origin: what is applied from it happens in order, and never beside its own expiry or purge.
#[derive(Debug, Default)]
pub(crate) struct Applying(Mutex<BTreeMap<MemberId, Arc<tokio::sync::Mutex<()>>>>);

impl Applying {
    pub(crate) async fn lock(&self, origin: MemberId) -> OwnedMutexGuard<()> {
        let lock = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(origin).or_default().clone();
        lock.lock_owned().await
    }
}

impl Node {
    /// `peer` can be reached: who waits to try it again tries soon.
    pub fn peer_arrived(&self, peer: MemberId) {
        self.dialled.by(peer).notify_waiters();
    }
}

/// Tells who waits for a peer that the peer has dialled in.
#[derive(Debug, Default)]
pub(crate) struct Dialled(Mutex<BTreeMap<MemberId, Arc<Notify>>>);

impl Dialled {
    pub(crate) fn by(&self, peer: MemberId) -> Arc<Notify> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default().clone()
    }
}

/// Whether the sync stream of a peer has brought everything so far: only then is there room for photographs.
#[derive(Debug, Default)]
pub(crate) struct CaughtUp(Mutex<BTreeMap<MemberId, watch::Sender<bool>>>);

impl CaughtUp {
    pub(crate) fn set(&self, peer: MemberId, caught_up: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default().send_replace(caught_up);
    }

    pub(crate) fn watch(&self, peer: MemberId) -> watch::Receiver<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default().subscribe()
    }
}
