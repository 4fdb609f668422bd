//! Putting a backup into a new directory: into an empty store, under a new key tree, into an empty audit log.

use std::sync::Arc;

use eads_store::archive::Record;
use eads_store::blobs::BlobStore;
use eads_store::keys::{KeySlot, KeySlots, KeyTree};
use eads_store::port::{Batch, MAX_OPERATIONS, Store};
use eads_store::vault::{Vault, parts_needed};

use super::areas::{self, Keep};
use super::{AUDIT, CHANGES, FILE, GONE, PHOTO, ROW, Restored, Summary, VALUE, malformed, photo, place, value};
use crate::area::{self, meta};
use crate::audit::{AuditLog, Base};
use crate::error::ServiceError;
use crate::pages::Pages;
use crate::rows;

/// What became of a record.
#[derive(Debug)]
pub enum Applied {
    /// It is in the store, or will be with the next ones.
    Kept,
    /// A file for the caller to write: path relative to the directory, permission bits, content.
    File(String, u32, Vec<u8>),
}

/// A restore under way. The directory is worth nothing before [`Restorer::finish`].
pub struct Restorer {
    store: Arc<dyn Store>,
    keys: Arc<KeyTree>,
    vault: Vault,
    blobs: BlobStore,
    audit: AuditLog,
    batch: Batch,
    changing: bool,
    /// The latest entry of the audit log, which is written when it is known whether another follows.
    entry: Option<Vec<u8>>,
}

impl Restorer {
    /// Into an empty store, empty sealed files and an empty audit log, under a tree that was made from the backup's keys.
    pub fn new(store: Arc<dyn Store>, keys: Arc<KeyTree>, blobs: BlobStore, audit: AuditLog) -> Self {
        let vault = Vault::new(store.clone(), keys.clone());
        Self { store, keys, vault, blobs, audit, batch: Batch::new(), changing: false, entry: None }
    }

    /// Applies one record of a backup that was inspected.
    ///
    /// # Errors
    /// When store, keys or audit fail.
    pub async fn apply(&mut self, record: &Record) -> Result<Applied, ServiceError> {
        let body = record.body.as_slice();
        match record.kind {
            ROW => {
                let place = place(body).ok_or_else(malformed)?;
                self.room(1).await?;
                self.batch.put(place.area, place.key, place.rest);
            }
            VALUE => {
                let (place, sealing) = value(body).ok_or_else(malformed)?;
                self.room(parts_needed(place.rest.len())).await?;
                let (area, key) = (place.area, place.key);
                if self.changing {
                    let mut batch = Batch::new();
                    self.vault.replace(&mut batch, area, key, sealing.slot, sealing.schema, place.rest).await?;
                    self.store.commit(batch).await?;
                } else {
                    self.vault.put(&mut self.batch, area, key, sealing.slot, sealing.schema, place.rest)?;
                }
            }
            GONE => {
                let place = place(body).ok_or_else(malformed)?;
                let mut batch = Batch::new();
                if areas::keep(place.area.prefix()) == Keep::Values {
                    self.vault.delete(&mut batch, place.area, place.key).await?;
                } else {
                    batch.delete(place.area, place.key);
                }
                self.store.commit(batch).await?;
            }
            CHANGES => {
                self.flush().await?;
                self.changing = true;
            }
            AUDIT => {
                let entry = body.get(8..).ok_or_else(malformed)?.to_vec();
                if let Some(before) = self.entry.replace(entry) {
                    self.audit.take_back(before, false).await?;
                }
            }
            PHOTO => {
                let (name, plaintext) = photo(body).ok_or_else(malformed)?;
                // The file is durable before a commit names it; one that no row names in the end is swept at the start.
                self.blobs.write(&name, plaintext)?;
            }
            FILE => return file(body).ok_or_else(malformed),
            _ => {}
        }
        if self.changing {
            self.flush().await?;
        }
        Ok(Applied::Kept)
    }

    /// Everything is in: destroys keys that no value needs, holds the audit log against its chain, and has the node
    /// recover from its peers before it answers anybody.
    ///
    /// # Errors
    /// `BACKUP_INCONSISTENT`, or when store, keys or audit fail.
    pub async fn finish(mut self, summary: &Summary, carried: &KeySlots, generation: &str) -> Result<(), ServiceError> {
        self.flush().await?;
        if let Some(last) = self.entry.take() {
            self.audit.take_back(last, true).await?;
        }
        if self.audit.head() != (summary.audit_entries, summary.audit_chain) && summary.audit_entries > 0 {
            return Err(ServiceError::invalid("BACKUP_INCONSISTENT", "the audit log does not have the chain it had"));
        }
        let mut used = KeySlots::default();
        for (area, keep) in areas::kept() {
            if keep != Keep::Values {
                continue;
            }
            let mut pages = Pages::of(&*self.store, area);
            while let Some(page) = pages.next().await? {
                for (_, row) in page {
                    used.insert(self.vault.slot_of(area, &row)?);
                }
            }
        }
        self.audit.day_keys(|slot| used.insert(slot))?;
        let idle: Vec<KeySlot> = carried.iter().filter(|slot| !used.contains(*slot)).collect();
        if !idle.is_empty() {
            let keys = self.keys.clone();
            let destroyed = tokio::task::spawn_blocking(move || keys.destroy(&idle)).await;
            destroyed.map_err(|error| {
                ServiceError::internal("RESTORE_STOPPED", "the restore was interrupted").caused_by(error)
            })??;
        }
        let restored = Restored {
            backup_at: summary.created,
            generation: generation.to_owned(),
            register_size: summary.register_size,
        };
        let mut batch = Batch::new();
        rows::put(&mut batch, area::META, meta::RESTORED, &restored)?;
        // Of the moment at which the log was read, which a removal may have come before.
        if let Some((sequence, chain)) = summary.audit_base {
            rows::put(&mut batch, area::META, meta::AUDIT_BASE, &Base { sequence, chain })?;
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Makes room in the batch for so many operations.
    async fn room(&mut self, operations: usize) -> Result<(), ServiceError> {
        if self.batch.len() + operations > MAX_OPERATIONS { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), ServiceError> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.store.commit(batch).await?;
        }
        Ok(())
    }
}

fn file(body: &[u8]) -> Option<Applied> {
    let mut reader = eads_domain::encode::Reader::new(body);
    let mode = reader.u32().ok()?;
    let length = usize::from(reader.u16().ok()?);
    let path = String::from_utf8(reader.take(length).ok()?.to_vec()).ok()?;
    Some(Applied::File(path, mode, reader.take(reader.remaining()).ok()?.to_vec()))
}
