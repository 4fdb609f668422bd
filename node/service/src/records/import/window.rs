//! A run of records: compared with what is held, sealed, and sent to the journal in several transactions.

use std::collections::VecDeque;
use std::sync::Arc;

use eads_domain::record::{Record, RecordKey};
use eads_store::port::{Batch, MAX_OPERATIONS};
use eads_store::vault::{Held, Sealed, Vault};

use super::difference::Change;
use super::{FileImporter, Flight, IN_FLIGHT, Parsed, RecordImport, Rejection, stopped};
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::PurgeJob;

const SCHEMA: u16 = 1;
/// Records that are compared and sealed at once.
const RECORDS: usize = 500;

/// One record of a file, with what was computed where it was read.
pub(super) struct Read {
    byte_end: u64,
    /// Bytes of the file that are dealt with when this is.
    file_bytes: u64,
    outcome: Outcome,
}

enum Outcome {
    Record(Box<New>),
    Rejected(Rejection),
}

/// A record to be stored.
struct New {
    key: [u8; 16],
    record: Record,
    bytes: Vec<u8>,
}

/// The row keys and encodings of what was parsed. Blocking, as parsing is.
pub(super) fn prepare(node: &Node, file: &mut FileImporter, parsed: Vec<Parsed>) -> Vec<Read> {
    let read = |one: Parsed| {
        let outcome = match one.outcome {
            Ok(record) => {
                Outcome::Record(Box::new(New { key: node.record_key(&record), bytes: record.encode(), record }))
            }
            Err(rejection) => Outcome::Rejected(rejection),
        };
        Read { byte_end: one.byte_end, file_bytes: file.file_bytes(one.byte_end), outcome }
    };
    parsed.into_iter().map(read).collect()
}

/// What a window of records came to; all of it is durable.
#[derive(Default)]
pub(super) struct Compared {
    pub(super) inserted: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    /// Of a dry run.
    pub(super) changes: Vec<Change>,
}

/// The transactions of a window, and what is to be found once they are durable.
#[derive(Default)]
struct Ready {
    batches: Vec<Batch>,
    new: Vec<New>,
}

impl RecordImport {
    /// Sends records on their way; waits only while too much is under way already.
    pub(super) async fn take(&mut self, read: Vec<Read>) -> Result<(), ServiceError> {
        let mut read = VecDeque::from(read);
        while !read.is_empty() {
            let some: Vec<Read> = read.drain(..read.len().min(RECORDS)).collect();
            self.window(some);
            while self.flying.len() > IN_FLIGHT {
                self.land().await?;
            }
        }
        Ok(())
    }

    fn window(&mut self, read: Vec<Read>) {
        let mut new = Vec::with_capacity(read.len());
        let mut rejected = Vec::new();
        let (mut mark, mut bytes_done) = (0, 0);
        for one in read {
            let is_fresh = one.byte_end > self.resumed;
            (mark, bytes_done) = (one.byte_end, one.file_bytes);
            match one.outcome {
                Outcome::Record(record) => {
                    self.seen.record(record.key);
                    if is_fresh {
                        new.push(*record);
                    }
                }
                Outcome::Rejected(rejection) => {
                    self.see_rejected(&rejection);
                    if is_fresh {
                        rejected.push(rejection);
                    }
                }
            }
        }
        let work = tokio::spawn(store(self.node.clone(), new, self.options.dry_run));
        self.flying.push_back(Flight { work, mark, bytes_done, rejected });
    }

    /// A line that cannot be used still says that its record is there.
    fn see_rejected(&mut self, rejection: &Rejection) {
        match rejection.key.as_deref().and_then(|key| key.parse::<RecordKey>().ok()) {
            Some(key) => {
                let id = Record::id_of(&self.source, &key);
                self.seen.record(self.node.keys.mac("record", id.as_bytes()));
            }
            None => self.seen.unreadable(rejection.line),
        }
    }
}

/// Compares a window with what is held and makes what is new of it durable and findable. No key stands in two
/// windows of a file, so that they need no order.
async fn store(node: Arc<Node>, new: Vec<New>, dry_run: bool) -> Result<Compared, ServiceError> {
    if new.is_empty() {
        return Ok(Compared::default());
    }
    let keys: Vec<Vec<u8>> = new.iter().map(|new| new.key.to_vec()).collect();
    let held = node.vault.get_many(area::RECORD, &keys).await?;
    let comparing = node.clone();
    let compared = tokio::task::spawn_blocking(move || compare(&comparing, new, held, dry_run)).await;
    let (compared, ready) = compared.map_err(|_| stopped())??;
    if ready.batches.is_empty() {
        return Ok(compared);
    }
    futures::future::try_join_all(ready.batches.into_iter().map(|batch| node.store.commit(batch))).await?;
    let indexing = node.clone();
    let indexed = tokio::task::spawn_blocking(move || {
        for new in ready.new {
            indexing.indexes.record(new.key, &new.record);
        }
    });
    indexed.await.map_err(|_| stopped())?;
    if compared.changed > 0 {
        node.purge_due.notify_one();
    }
    Ok(compared)
}

fn compare(
    node: &Node,
    new: Vec<New>,
    held: Vec<Option<Held>>,
    dry_run: bool,
) -> Result<(Compared, Ready), ServiceError> {
    let (mut compared, mut ready) = (Compared::default(), Ready::default());
    let mut batch = Batch::new();
    for (new, held) in new.into_iter().zip(held) {
        match &held {
            Some(Held { value: Sealed::Plain { bytes, .. }, .. }) if bytes.as_slice() == new.bytes.as_slice() => {
                compared.unchanged += 1;
                continue;
            }
            Some(_) => compared.changed += 1,
            None => compared.inserted += 1,
        }
        if dry_run {
            compared.changes.push(Change::of(&new.record, held.as_ref())?);
            continue;
        }
        let own = sealed(node, &new, held.as_ref())?;
        if batch.len() + own.len() > MAX_OPERATIONS {
            ready.batches.push(std::mem::take(&mut batch));
        }
        batch.append(own);
        ready.new.push(new);
    }
    if !batch.is_empty() {
        ready.batches.push(batch);
    }
    Ok((compared, ready))
}

/// The rows of one record, under a key of its own; the key of what it replaces is to be destroyed.
fn sealed(node: &Node, new: &New, held: Option<&Held>) -> Result<Batch, ServiceError> {
    let mut own = Batch::new();
    let (vault, slot): (&Vault, _) = (&node.vault, node.keys.allocate()?);
    match held {
        Some(held) => {
            node.queue_purge(&mut own, &PurgeJob::Key { key: held.slot.into() })?;
            vault.put_over(&mut own, area::RECORD, &new.key, slot, SCHEMA, &new.bytes, held)?;
        }
        None => vault.put(&mut own, area::RECORD, &new.key, slot, SCHEMA, &new.bytes)?,
    }
    Ok(own)
}
