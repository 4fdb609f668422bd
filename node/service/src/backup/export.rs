//! Writing a backup.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use eads_domain::card::KeyLine;
use eads_domain::clock::Timestamp;
use eads_domain::id::{BlobId, MemberId, RegisterId};
use eads_store::archive::{ArchiveWriter, Written};
use eads_store::blobs::{BlobName, BlobStore};
use eads_store::keys::{KeySlot, KeyTree};
use eads_store::port::{Area, Store};
use eads_store::vault::{self, PARTS, Sealed, Vault};

use super::areas::{self, Keep};
use super::{AUDIT, BEGIN, Begin, CHANGES, DAY_KEY, END, FILE, GONE, PHOTO, ROW, SECRET, Summary, VALUE};
use crate::area::{self, meta};
use crate::audit::AuditLog;
use crate::blobs::OwnBlob;
use crate::error::ServiceError;
use crate::pages::Pages;
use crate::rows;

const VERSION: u16 = 1;

/// Rows that changed: area number, area version, key.
pub type Touched = BTreeSet<([u8; 2], Vec<u8>)>;

/// What is backed up.
#[derive(Clone, Debug)]
pub struct Source {
    /// Whose node.
    pub member: MemberId,
    /// The register on its card.
    pub register: RegisterId,
    /// Its signing keys.
    pub signing: KeyLine,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The key tree.
    pub keys: Arc<KeyTree>,
    /// The sealed files.
    pub blobs: Arc<BlobStore>,
    /// The audit log.
    pub audit: AuditLog,
}

/// A backup in the making.
pub struct Exporter<W> {
    source: Source,
    vault: Vault,
    writer: ArchiveWriter<W>,
    summary: Summary,
}

impl<W: Write> Exporter<W> {
    /// Begins one.
    ///
    /// # Errors
    /// `BACKUP_IO`.
    pub fn begin(source: Source, writer: ArchiveWriter<W>, created: Timestamp) -> Result<Self, ServiceError> {
        let vault = Vault::new(source.store.clone(), source.keys.clone());
        let member = source.member;
        let summary = Summary {
            member,
            created,
            sequence: 0,
            register_size: 0,
            mark: 0,
            audit_base: None,
            audit_entries: 0,
            audit_chain: eads_domain::id::Hash::from_bytes([0; 32]),
            counts: BTreeMap::new(),
        };
        let mut exporter = Self { source, vault, writer, summary };
        let begin = json(&Begin { version: VERSION, member, created })?;
        exporter.writer.record(BEGIN, &[&begin])?;
        Ok(exporter)
    }

    /// Everything as it is read now; rows may change meanwhile.
    ///
    /// # Errors
    /// When store, keys or file fail.
    pub async fn everything(&mut self) -> Result<(), ServiceError> {
        for (area, keep) in areas::kept() {
            let store = self.source.store.clone();
            let mut pages = Pages::of(&*store, area);
            while let Some(page) = pages.next().await? {
                for (key, row) in page {
                    match keep {
                        Keep::Values => self.value(area, &key, &row).await?,
                        _ => self.row(area, &key, row)?,
                    };
                }
            }
        }
        self.writer.record(CHANGES, &[])?;
        Ok(())
    }

    /// Reads again what changed since.
    ///
    /// # Errors
    /// When store, keys or file fail.
    pub async fn changed(&mut self, touched: Touched) -> Result<(), ServiceError> {
        let mut wanted = Touched::new();
        for (prefix, key) in touched {
            if prefix == PARTS.prefix() {
                wanted.extend(vault::owner_of_part(&key).map(|(area, key, _)| (area.prefix(), key.to_vec())));
            } else {
                wanted.insert((prefix, key));
            }
        }
        for (prefix, key) in wanted {
            let Some(area) = areas::of(prefix) else { continue };
            let written = match self.source.store.get(area, &key).await? {
                Some(row) if areas::keep(prefix) == Keep::Values => self.value(area, &key, &row).await?,
                Some(row) => self.row(area, &key, row)?,
                None => false,
            };
            if !written {
                self.writer.record(GONE, &[&area.prefix(), &length(&key), &key])?;
            }
            self.count("changes", 1);
        }
        Ok(())
    }

    /// What belongs to the moment of the last commit, which nobody may change meanwhile.
    ///
    /// # Errors
    /// When store, keys or file fail, or the own checkpoint does not verify.
    pub async fn moment(&mut self, sequence: u64) -> Result<(), ServiceError> {
        let carried = self.source.keys.carry();
        self.writer.record(SECRET, &[carried.secret()])?;
        self.summary.mark = carried.mark();
        self.summary.sequence = sequence;
        if let Some(bytes) = self.source.store.get(area::META, meta::CHECKPOINT).await? {
            let Source { member, register, signing, .. } = &self.source;
            let (signed, _) = signing.checkpoint(&bytes, *member, *register)?;
            self.summary.register_size = signed.checkpoint().size;
        }
        // The beginning first: what records that it moved is then before the end.
        self.summary.audit_base = self.audit_base();
        let (entries, chain) = self.source.audit.head();
        (self.summary.audit_entries, self.summary.audit_chain) = (entries, chain);
        Ok(())
    }

    fn audit_base(&self) -> Option<(u64, eads_domain::id::Hash)> {
        self.source.audit.begins_behind().map(|base| (base.sequence, base.chain))
    }

    /// The audit log up to the moment, with the keys of its questions that still exist.
    ///
    /// # Errors
    /// `BACKUP_OUTRUN` when old entries were removed since that moment. When audit, keys or file fail.
    pub fn audit(&mut self) -> Result<(), ServiceError> {
        if self.audit_base() != self.summary.audit_base {
            return Err(ServiceError::unavailable("BACKUP_OUTRUN", "old audit entries were removed meanwhile")
                .with_hint("take the backup again"));
        }
        let mut day_keys: BTreeSet<KeySlot> = BTreeSet::new();
        let until = self.summary.audit_entries;
        for record in self.source.audit.clone().raw(until)? {
            let (sequence, payload, day_key) = record?;
            day_keys.extend(day_key);
            self.writer.record(AUDIT, &[&sequence.to_be_bytes(), &payload])?;
            self.count("audit entries", 1);
        }
        for slot in day_keys {
            if let Some(key) = self.source.keys.export(slot)? {
                self.writer.record(DAY_KEY, &[&slot.to_bytes(), key.as_bytes()])?;
                self.count("day keys", 1);
            }
        }
        Ok(())
    }

    /// A file of the node's directory; `path` is relative to it, with `/` between its parts.
    ///
    /// # Errors
    /// `BACKUP_RECORD_TOO_LONG`, `BACKUP_IO`.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), ServiceError> {
        let path = path.as_bytes();
        self.writer.record(FILE, &[&mode.to_be_bytes(), &length(path), path, content])?;
        self.count("files", 1);
        Ok(())
    }

    /// Bytes written so far.
    pub const fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    /// Ends the backup and hands the file back, not yet synced.
    ///
    /// # Errors
    /// `BACKUP_IO`.
    pub fn finish(mut self) -> Result<(W, Written, Summary), ServiceError> {
        let end = json(&self.summary)?;
        self.writer.record(END, &[&end])?;
        let (out, written) = self.writer.finish()?;
        Ok((out, written, self.summary))
    }

    fn row(&mut self, area: Area, key: &[u8], row: Vec<u8>) -> Result<bool, ServiceError> {
        let Some((area, key, row)) = areas::own(self.source.member, area, key, row) else { return Ok(false) };
        self.writer.record(ROW, &[&area.prefix(), &length(&key), &key, &row])?;
        self.count(area.name(), 1);
        Ok(true)
    }

    /// `false` if there is no value any more.
    async fn value(&mut self, area: Area, key: &[u8], row: &[u8]) -> Result<bool, ServiceError> {
        let Some(Sealed::Plain { schema, bytes }) = self.vault.open_row(area, key, row).await? else {
            return Ok(false);
        };
        // A value that was replaced while it was opened is read again among the changes.
        let slot = self.vault.slot_of(area, row)?;
        let head = [area.prefix().as_slice(), &slot.to_bytes(), &schema.to_be_bytes(), &length(key)].concat();
        self.writer.record(VALUE, &[&head, key, &bytes])?;
        if area == area::BLOB {
            self.photo(slot, key, &bytes)?;
        }
        self.count(area.name(), 1);
        Ok(true)
    }

    /// The file of an own photograph; one that is being destroyed has none any more.
    fn photo(&mut self, slot: KeySlot, id: &[u8], row: &[u8]) -> Result<(), ServiceError> {
        let own: OwnBlob = rows::parse(row)?;
        let id = BlobId::try_from(id)?;
        let name = BlobName { key: slot, id: *id.as_bytes() };
        if let Some(plaintext) = self.source.blobs.read(&name, own.len, 0..own.len)? {
            self.writer.record(PHOTO, &[&slot.to_bytes(), id.as_bytes(), &plaintext])?;
            self.count("photographs", 1);
        }
        Ok(())
    }

    fn count(&mut self, what: &str, more: u64) {
        *self.summary.counts.entry(what.to_owned()).or_insert(0) += more;
    }
}

/// Keys and paths are far below the limit of two bytes.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, ServiceError> {
    serde_json::to_vec(value)
        .map_err(|error| ServiceError::internal("ROW_UNWRITABLE", "a backup cannot be written").caused_by(error))
}
