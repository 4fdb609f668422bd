//! A run of records: compared with what is held, sealed, and sent to the journal in several transactions.

use std::collections::VecDeque;
use std::sync::Arc;

use eads_domain::record::{Record, RecordKey};
use eads_store::port::{Batch, MAX_OPERATIONS};
use eads_store::vault::{Held, Sealed, Vault};

use super::difference::Change;
use super::{FileImporter, Flight, IN_FLIGHT, ImportRow, Parsed, RecordImport, Rejection, stopped};
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::PurgeJob;

const SCHEMA: u16 = 1;
/// Records that are compared and sealed at once.
const RECORDS: usize = 500;
/// Operations of a transaction that are left for the progress.
const MARK_ROWS: usize = 1;

/// One record of a file, with what was computed where it was read.
pub(super) struct Read {
    pub(super) byte_end: u64,
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

/// What a window of records comes to.
#[derive(Default)]
struct Compared {
    inserted: u64,
    changed: u64,
    unchanged: u64,
    /// Transactions, each with what is to be found once it is durable.
    batches: Vec<(Batch, Vec<Box<New>>)>,
    /// Of a dry run.
    changes: Vec<Change>,
}

impl RecordImport {
    /// Sends records on their way; waits only while too much is under way already.
    pub(super) async fn take(&mut self, read: Vec<Read>) -> Result<(), ServiceError> {
        let mut read = VecDeque::from(read);
        while !read.is_empty() {
            let some: Vec<Read> = read.drain(..read.len().min(RECORDS)).collect();
            self.window(some).await?;
        }
        Ok(())
    }

    async fn window(&mut self, read: Vec<Read>) -> Result<(), ServiceError> {
        let mut new = Vec::with_capacity(read.len());
        let mut rejected = Vec::new();
        let mut after = self.ahead;
        for one in read {
            let is_fresh = one.byte_end > self.resumed;
            after.mark = after.mark.max(one.byte_end);
            after.bytes_done = after.bytes_done.max(one.file_bytes);
            match one.outcome {
                Outcome::Record(record) => {
                    self.seen.record(record.key);
                    if is_fresh {
                        new.push(record);
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
        let compared = self.compare(new).await?;
        after.inserted += compared.inserted;
        after.changed += compared.changed;
        after.unchanged += compared.unchanged;
        self.differences.extend(&compared.changes);
        self.send(compared.batches, after, rejected)?;
        while self.flying.iter().map(|flight| flight.commits.len()).sum::<usize>() > IN_FLIGHT {
            self.land().await?;
        }
        Ok(())
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

    async fn compare(&mut self, new: Vec<Box<New>>) -> Result<Compared, ServiceError> {
        if new.is_empty() {
            return Ok(Compared::default());
        }
        let keys: Vec<Vec<u8>> = new.iter().map(|new| new.key.to_vec()).collect();
        let held = self.node.vault.get_many(area::RECORD, &keys).await?;
        let (node, dry_run) = (self.node.clone(), self.options.dry_run);
        let compared = tokio::task::spawn_blocking(move || compare(&node, new, held, dry_run)).await;
        compared.map_err(|_| stopped())?
    }

    fn send(
        &mut self,
        mut batches: Vec<(Batch, Vec<Box<New>>)>,
        after: ImportRow,
        rejected: Vec<Rejection>,
    ) -> Result<(), ServiceError> {
        // What is durable by now is known to be so when this transaction is.
        if let Some((last, _)) = batches.last_mut() {
            self.put_mark(last)?;
        }
        let commits = batches.into_iter().map(|(batch, new)| tokio::spawn(commit(self.node.clone(), batch, new)));
        self.flying.push_back(Flight { commits: commits.collect(), after, rejected });
        self.ahead = after;
        Ok(())
    }
}

fn compare(node: &Node, new: Vec<Box<New>>, held: Vec<Option<Held>>, dry_run: bool) -> Result<Compared, ServiceError> {
    let mut compared = Compared::default();
    let (mut batch, mut indexed) = (Batch::new(), Vec::new());
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
        if batch.len() + own.len() + MARK_ROWS > MAX_OPERATIONS {
            compared.batches.push((std::mem::take(&mut batch), std::mem::take(&mut indexed)));
        }
        batch.append(own);
        indexed.push(new);
    }
    if !batch.is_empty() {
        compared.batches.push((batch, indexed));
    }
    Ok(compared)
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

/// Makes a transaction durable, and what is in it findable.
async fn commit(node: Arc<Node>, batch: Batch, new: Vec<Box<New>>) -> Result<(), ServiceError> {
    node.store.commit(batch).await?;
    let indexing = node.clone();
    let indexed = tokio::task::spawn_blocking(move || {
        for new in new {
            indexing.indexes.record(new.key, &new.record);
        }
    });
    indexed.await.map_err(|_| stopped())?;
    node.purge_due.notify_one();
    Ok(())
}
