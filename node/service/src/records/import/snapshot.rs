//! A file that is everything that its source has: what is not in it is retired.
//!
//! Promises: nothing is retired before the whole file has come (its digest proves that) and has been read, every
//! line with a key that can be told; nothing whose key stands in the file, even on a line that was rejected;
//! nothing beyond the guard's share unless an administrator says so. Retiring is deleting the record and destroying
//! its data key. A run that dies half way through has retired only what the next run would retire too.

use std::collections::VecDeque;

use eads_domain::id::Hash;
use eads_domain::record::Record;
use eads_store::port::{Batch, MAX_OPERATIONS, Scan};
use eads_store::vault::{MAX_PARTS, Sealed, Vault};
use sha2::Digest as _;

use super::RecordImport;
use crate::area;
use crate::audit::Intent;
use crate::error::ServiceError;
use crate::rows::PurgeJob;

/// So many records may vanish from any file …
const GUARD_FREE: u64 = 10;
/// … and beyond that one in so many.
const GUARD_SHARE: u64 = 10;
/// Rows that are looked at between two reports.
const PAGE: usize = 500;

/// The row keys of what stands in the file.
pub(super) struct Seen {
    is_kept: bool,
    keys: Vec<[u8; 16]>,
    is_sorted: bool,
    unreadable: u64,
    first_unreadable: Option<u64>,
}

impl Seen {
    pub(super) const fn new(is_kept: bool) -> Self {
        Self { is_kept, keys: Vec::new(), is_sorted: false, unreadable: 0, first_unreadable: None }
    }

    pub(super) fn record(&mut self, key: [u8; 16]) {
        if self.is_kept {
            self.keys.push(key);
            self.is_sorted = false;
        }
    }

    /// A line of which not even the key can be told.
    pub(super) fn unreadable(&mut self, line: u64) {
        self.unreadable += 1;
        self.first_unreadable.get_or_insert(line);
    }

    fn sort(&mut self) {
        if !self.is_sorted {
            self.keys.sort_unstable();
            self.is_sorted = true;
        }
    }

    fn holds(&self, key: &[u8; 16]) -> bool {
        self.keys.binary_search(key).is_ok()
    }
}

/// Where retiring is.
pub(super) enum Retiring {
    /// Looking for records that are not in the file, after this row.
    Looking { after: Option<Vec<u8>>, vanished: VecDeque<[u8; 16]> },
    /// Removing them.
    Removing { intent: Box<Intent>, vanished: VecDeque<[u8; 16]> },
    /// Done, or nothing was to be done.
    Done,
}

impl RecordImport {
    /// One step towards the end; false when there is nothing more to do.
    pub(super) async fn retire_on(&mut self) -> Result<bool, ServiceError> {
        let next = match self.retiring.take() {
            None => {
                self.check_whole()?;
                self.seen.sort();
                Retiring::Looking { after: None, vanished: VecDeque::new() }
            }
            Some(Retiring::Looking { after, vanished }) => self.look(after, vanished).await?,
            Some(Retiring::Removing { intent, vanished }) => self.remove(intent, vanished).await?,
            Some(Retiring::Done) => Retiring::Done,
        };
        let is_on = !matches!(next, Retiring::Done);
        self.retiring = Some(next);
        Ok(is_on)
    }

    /// Whether all of the file has come and every line says which record it is about.
    fn check_whole(&self) -> Result<(), ServiceError> {
        let pushed: [u8; 32] = self.digest.clone().finalize().into();
        if self.options.file_digest != Some(Hash::from_bytes(pushed)) {
            let text = "the file that came is not the one that was announced; nothing was retired";
            return Err(ServiceError::invalid("SNAPSHOT_INCOMPLETE", text));
        }
        match self.seen.first_unreadable {
            None => Ok(()),
            Some(line) => {
                let lines = self.seen.unreadable;
                let text = format!(
                    "{lines} lines, the first of them line {line}, do not say which record they are; nothing was retired"
                );
                Err(ServiceError::invalid("SNAPSHOT_INCOMPLETE", text)
                    .with_hint("correct them and import the file again"))
            }
        }
    }

    async fn look(
        &mut self,
        after: Option<Vec<u8>>,
        mut vanished: VecDeque<[u8; 16]>,
    ) -> Result<Retiring, ServiceError> {
        let mut scan = Scan::new(area::RECORD, PAGE);
        scan.after = after;
        let page = self.node.store.scan(scan).await?;
        for (key, row) in &page {
            let key: [u8; 16] = key.as_slice().try_into().map_err(|_| unreadable())?;
            if self.seen.holds(&key) {
                continue;
            }
            let held = self.node.vault.open_row(area::RECORD, &key, row).await?;
            let Some(Sealed::Plain { bytes, .. }) = held else { continue };
            let record = Record::parse(&bytes)?;
            if record.source() == &self.source {
                vanished.push_back(key);
                if self.options.dry_run {
                    self.differences.retired(&record);
                }
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => Ok(Retiring::Looking { after: Some(key.clone()), vanished }),
            _ => self.decide(vanished).await,
        }
    }

    async fn decide(&mut self, vanished: VecDeque<[u8; 16]>) -> Result<Retiring, ServiceError> {
        let gone = vanished.len() as u64;
        if self.options.dry_run {
            self.retired = gone;
            return Ok(Retiring::Done);
        }
        if gone == 0 {
            return Ok(Retiring::Done);
        }
        let held = self.done.changed + self.done.unchanged + gone;
        if gone > GUARD_FREE && gone * GUARD_SHARE > held && !self.options.override_guard {
            let text = format!(
                "{gone} of {held} records would be retired, more than a tenth of the source; the file is imported and nothing was retired"
            );
            return Err(ServiceError::conflict("MASS_RETIREMENT_GUARD", text).with_hint(
                "compare the file with its source, see what would go with --dry-run; an administrator's --override-guard retires them all the same",
            ));
        }
        let mut entry = self.node.entry(&self.call, "RetireRecords");
        entry.subject = Some(format!("{}: {gone} of {held}", self.source));
        let intent = self.node.audit.intent(entry).await?;
        Ok(Retiring::Removing { intent: Box::new(intent), vanished })
    }

    async fn remove(
        &mut self,
        intent: Box<Intent>,
        mut vanished: VecDeque<[u8; 16]>,
    ) -> Result<Retiring, ServiceError> {
        if vanished.is_empty() {
            self.node.audit.close(*intent, &Ok(())).await?;
            return Ok(Retiring::Done);
        }
        let removed = self.remove_some(&mut vanished).await;
        if removed.is_err() {
            self.node.audit.close(*intent, &removed).await?;
            removed?;
            return Ok(Retiring::Done);
        }
        Ok(Retiring::Removing { intent, vanished })
    }

    /// One transaction of removals.
    async fn remove_some(&mut self, vanished: &mut VecDeque<[u8; 16]>) -> Result<(), ServiceError> {
        /// A removal takes its row, its parts and its job.
        const MOST: usize = MAX_PARTS + 1;
        let mut batch = Batch::new();
        let mut removed = Vec::new();
        while batch.len() + MOST <= MAX_OPERATIONS
            && let Some(key) = vanished.pop_front()
        {
            let held = self.node.vault.get_many(area::RECORD, &[key.to_vec()]).await?;
            if let Some(Some(held)) = held.into_iter().next() {
                Vault::delete_held(&mut batch, area::RECORD, &key, &held);
                self.node.queue_purge(&mut batch, &PurgeJob::Key { key: held.slot.into() })?;
                removed.push(key);
            }
        }
        self.node.store.commit(batch).await?;
        for key in &removed {
            self.node.indexes.remove_record(*key);
        }
        self.retired += removed.len() as u64;
        self.node.purge_due.notify_one();
        Ok(())
    }
}

fn unreadable() -> ServiceError {
    ServiceError::internal("ROW_UNREADABLE", "the key of a record cannot be read")
}
