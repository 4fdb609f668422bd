//! Importing a file of records: streaming, resumable, idempotent by each record's own key.
//!
//! What is acknowledged is durable; an interrupted run of the same file continues where its last transaction
//! ended. A record that did not change is not written.

use std::sync::Arc;

use eads_domain::code::Coded as _;
use eads_domain::encode::sha256;
use eads_domain::id::Hash;
use eads_domain::record::Record;
use eads_domain::subject::SubjectType;
use eads_store::keys::KeyTree;
use eads_store::port::{Batch, MAX_OPERATIONS};
use eads_store::vault::{Sealed, Vault};
use serde::{Deserialize, Serialize};

use crate::area;
use crate::audit::Intent;
use crate::context::Call;
use crate::error::ServiceError;
use crate::import::{CsvImporter, ImportOptions, JsonLinesImporter, Mapping, Parsed, Rejection};
use crate::node::Node;
use crate::rows::{self, PurgeJob};

const SCHEMA: u16 = 1;
/// Rows beside the records in one transaction: the progress.
const PROGRESS_ROWS: usize = 1;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// What is imported and how.
#[derive(Clone, Debug)]
pub struct RecordImportOptions {
    /// How the file is written.
    pub format: RecordFormat,
    /// TOML; empty means that columns carry the names of the slot table and the subject is a person.
    pub mapping: String,
    /// Name of the source, where the mapping does not say it.
    pub source: String,
    /// SHA-256 of the file, by which an interrupted run resumes; none never resumes.
    pub file_digest: Option<Hash>,
}

/// How far an import is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that are durably dealt with.
    pub bytes_done: u64,
    /// New records.
    pub inserted: u64,
    /// Records that changed.
    pub changed: u64,
    /// Records that did not.
    pub unchanged: u64,
    /// Rejections since the last report.
    pub rejected: Vec<Rejection>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportRow {
    bytes_done: u64,
    inserted: u64,
    changed: u64,
    unchanged: u64,
}

enum Importer {
    Csv(Box<CsvImporter>),
    JsonLines(Box<JsonLinesImporter>),
}

/// An import that runs.
pub struct RecordImport {
    node: Arc<Node>,
    intent: Option<Intent>,
    importer: Importer,
    resume_key: Option<Vec<u8>>,
    done: ImportRow,
    batch: Batch,
    indexed: Vec<([u8; 16], Record)>,
    rejected: Vec<Rejection>,
}

impl Node {
    /// Begins an import. The file is pushed from its start; what an earlier run did is passed over.
    ///
    /// # Errors
    /// `MAPPING_*`.
    pub async fn import_records(
        self: Arc<Self>,
        call: &Call,
        options: RecordImportOptions,
    ) -> Result<RecordImport, ServiceError> {
        let mut entry = self.entry(call, "ImportRecords");
        entry.subject = Some(options.source.chars().take(64).collect());
        let intent = self.audit.intent(entry).await?;
        let mapping = if options.mapping.trim().is_empty() {
            Mapping::by_name(&options.source, SubjectType::Person)
        } else {
            Mapping::parse(&options.mapping)
        };
        let mapping = match mapping.map_err(ServiceError::from_coded) {
            Ok(mapping) => mapping,
            Err(error) => {
                self.audit.outcome(&intent, error.code().as_str(), Vec::new()).await?;
                return Err(error);
            }
        };
        // A changed mapping is another import of the same file.
        let resume_key = options.file_digest.map(|digest| {
            let what = [digest.as_bytes().as_slice(), options.mapping.as_bytes(), options.source.as_bytes()].concat();
            sha256(&what).as_bytes().to_vec()
        });
        let done: ImportRow = match &resume_key {
            Some(key) => rows::get(&*self.store, area::IMPORT, key).await?.unwrap_or_default(),
            None => ImportRow::default(),
        };
        let import = ImportOptions { mapping, now: self.clock.now(), resume_after: done.bytes_done };
        let importer = match options.format {
            RecordFormat::Csv => Importer::Csv(Box::new(CsvImporter::new(import))),
            RecordFormat::JsonLines => Importer::JsonLines(Box::new(JsonLinesImporter::new(import))),
        };
        Ok(RecordImport {
            node: self,
            intent: Some(intent),
            importer,
            resume_key,
            done,
            batch: Batch::new(),
            indexed: Vec::new(),
            rejected: Vec::new(),
        })
    }
}

impl RecordImport {
    /// How far it is; takes the rejections that were not reported yet.
    pub fn progress(&mut self) -> Progress {
        Progress {
            bytes_done: self.done.bytes_done,
            inserted: self.done.inserted,
            changed: self.done.changed,
            unchanged: self.done.unchanged,
            rejected: std::mem::take(&mut self.rejected),
        }
    }

    /// Takes the next bytes of the file; once this returns, every record that they completed is durable.
    ///
    /// # Errors
    /// `IMPORT_*` for a file that cannot be read with this mapping, or when the store cannot be written.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<Progress, ServiceError> {
        let outcome = self.push_audited(bytes).await;
        // A file that cannot be read ends the import; it can be begun again.
        if outcome.is_err()
            && let Some(intent) = self.intent.take()
        {
            self.node.audit.close(intent, &outcome).await?;
        }
        outcome?;
        Ok(self.progress())
    }

    async fn push_audited(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        let parsed = match &mut self.importer {
            Importer::Csv(importer) => importer.push(bytes),
            Importer::JsonLines(importer) => importer.push(bytes),
        };
        self.take(parsed.map_err(ServiceError::from_coded)?).await
    }

    /// The file has ended.
    ///
    /// # Errors
    /// As [`RecordImport::push`].
    pub async fn finish(mut self) -> Result<Progress, ServiceError> {
        let outcome = self.finish_audited().await;
        if let Some(intent) = self.intent.take() {
            self.node.audit.close(intent, &outcome).await?;
        }
        outcome?;
        Ok(self.progress())
    }

    /// The caller is gone before the file has ended; a later run of the same file goes on from here.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`.
    pub async fn interrupt(mut self) -> Result<(), ServiceError> {
        match self.intent.take() {
            Some(intent) => self.node.audit.outcome(&intent, "IMPORT_INTERRUPTED", Vec::new()).await,
            None => Ok(()),
        }
    }

    async fn finish_audited(&mut self) -> Result<(), ServiceError> {
        let blank = ImportOptions {
            mapping: Mapping::by_name("none", SubjectType::Person).map_err(ServiceError::from_coded)?,
            now: self.node.clock.now(),
            resume_after: 0,
        };
        let importer =
            std::mem::replace(&mut self.importer, Importer::JsonLines(Box::new(JsonLinesImporter::new(blank))));
        let parsed = match importer {
            Importer::Csv(importer) => importer.finish(),
            Importer::JsonLines(importer) => importer.finish(),
        };
        self.take(parsed.map_err(ServiceError::from_coded)?).await?;
        if let Some(key) = &self.resume_key {
            let mut batch = Batch::new();
            batch.delete(area::IMPORT, key.clone());
            self.node.store.commit(batch).await?;
        }
        Ok(())
    }

    async fn take(&mut self, parsed: Vec<Parsed>) -> Result<(), ServiceError> {
        for one in parsed {
            match one.outcome {
                Ok(record) => self.record(record).await?,
                Err(rejection) => self.rejected.push(rejection),
            }
            self.done.bytes_done = one.byte_end;
        }
        self.commit().await
    }

    async fn record(&mut self, record: Record) -> Result<(), ServiceError> {
        let key = self.node.record_key(&record);
        // A key that stands twice in one transaction would be judged by what is not durable yet.
        if self.indexed.iter().any(|(pending, _)| *pending == key) {
            self.commit().await?;
        }
        let (vault, keys): (&Vault, &KeyTree) = (&self.node.vault, &self.node.keys);
        let held = vault.get(area::RECORD, &key).await?;
        let bytes = record.encode();
        let mut own = Batch::new();
        let mut counts = self.done;
        match held {
            Some(Sealed::Plain { bytes: held, .. }) if held.as_slice() == bytes.as_slice() => {
                self.done.unchanged += 1;
                return Ok(());
            }
            Some(_) => {
                if let Some(row) = self.node.store.get(area::RECORD, &key).await? {
                    let slot = vault.slot_of(area::RECORD, &row)?;
                    self.node.queue_purge(&mut own, &PurgeJob::Key { key: slot.into() })?;
                }
                counts.changed += 1;
            }
            None => counts.inserted += 1,
        }
        vault.replace(&mut own, area::RECORD, &key, keys.allocate()?, SCHEMA, &bytes).await?;
        if self.batch.len() + own.len() + PROGRESS_ROWS > MAX_OPERATIONS {
            self.commit().await?;
        }
        self.done = counts;
        self.batch.append(own);
        self.indexed.push((key, record));
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), ServiceError> {
        let mut batch = std::mem::take(&mut self.batch);
        if let Some(key) = &self.resume_key {
            rows::put(&mut batch, area::IMPORT, key, &self.done)?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.node.store.commit(batch).await?;
        for (key, record) in self.indexed.drain(..) {
            self.node.indexes.record(key, &record);
        }
        self.node.purge_due.notify_one();
        Ok(())
    }
}
