//! Importing a file of records: streaming, resumable, idempotent by each record's own key.
//!
//! Promises: what [`Progress::bytes_done`] covers is durable; an interrupted run of the same file continues there.
//! Several windows of records are under way at once, and the mark where a run continues is written only when
//! everything before it is durable: after a crash some records are met once more and found unchanged, none is passed
//! over. A record that did not change is not written. One file of a source is imported at a time. Memory: the file's
//! own importer, [`IN_FLIGHT`] windows, and 16 bytes a record where the file is a snapshot.

mod difference;
mod snapshot;
mod window;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eads_domain::code::Coded as _;
use eads_domain::encode::sha256;
use eads_domain::id::Hash;
use eads_domain::operator::Role;
use eads_domain::subject::SubjectType;
use eads_store::port::Batch;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use self::snapshot::Retiring;
use crate::area;
use crate::audit::Intent;
use crate::context::Call;
use crate::error::ServiceError;
use crate::import::{Encoding, FileFormat, FileImporter, ImportOptions, Mapping, Parsed, Rejection};
use crate::node::Node;
use crate::rows;

/// Windows under way at once: enough that the journal writes their transactions in groups, and that one is sealed
/// while another is read and a third compared.
const IN_FLIGHT: usize = 6;
/// Windows that become durable between two writings of the mark where a run continues.
const MARK_EVERY: usize = 8;
/// How long an import waits for another one of the same source, which may be one whose caller is gone.
const WAITS_FOR_SOURCE: Duration = Duration::from_secs(10);

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// Comma-separated values with a header line.
    Csv,
    /// One JSON object a line.
    JsonLines,
    /// A workbook (XLSX).
    Workbook,
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
    /// Name of the file's encoding; empty means that it is found out, or that the file is refused.
    pub encoding: String,
    /// Sheet of a workbook; empty means the first.
    pub sheet: String,
    /// The file is everything that the source has: records that are not in it are retired.
    pub snapshot: bool,
    /// Retire even if more than the guard's share would go.
    pub override_guard: bool,
    /// Say what would happen and change nothing.
    pub dry_run: bool,
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
    /// Records that are retired, or would be.
    pub retired: u64,
    /// The encoding that is read, once it is known and where the format leaves it open.
    pub encoding: Option<Encoding>,
    /// Rejections since the last report.
    pub rejected: Vec<Rejection>,
    /// Of a dry run, since the last report: what would change, by key and field name.
    pub differences: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportRow {
    bytes_done: u64,
    inserted: u64,
    changed: u64,
    unchanged: u64,
    /// [`Parsed::byte_end`] of the last record that is dealt with.
    #[serde(default)]
    mark: u64,
}

/// Which sources are being imported now.
#[derive(Debug, Default)]
pub(crate) struct Importing(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Importing {
    async fn begin(&self, source: &str) -> Result<OwnedMutexGuard<()>, ServiceError> {
        let turn = {
            let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sources.retain(|_, turn| Arc::strong_count(turn) > 1);
            sources.entry(source.to_owned()).or_default().clone()
        };
        tokio::time::timeout(WAITS_FOR_SOURCE, turn.lock_owned()).await.map_err(|_| {
            ServiceError::conflict("IMPORT_UNDER_WAY", "another file of this source is being imported")
                .with_hint("wait until it is done, and run the same command again")
        })
    }
}

/// A window of records that is under way, and how far the import is when it is durable.
struct Flight {
    work: JoinHandle<Result<window::Compared, ServiceError>>,
    mark: u64,
    bytes_done: u64,
    rejected: Vec<Rejection>,
}

/// An import that runs.
pub struct RecordImport {
    node: Arc<Node>,
    intent: Option<Intent>,
    _turn: OwnedMutexGuard<()>,
    call: Call,
    options: RecordImportOptions,
    /// None only while a blocking thread has it.
    file: Option<Box<FileImporter>>,
    source: eads_domain::record::SourceName,
    /// Of what was pushed.
    digest: Sha256,
    resume_key: Option<Vec<u8>>,
    /// Up to where an earlier run has dealt with the file.
    resumed: u64,
    /// What is durable, and how many windows of it the written mark does not cover.
    done: ImportRow,
    unmarked: usize,
    flying: VecDeque<Flight>,
    rejected: Vec<Rejection>,
    differences: difference::Differences,
    /// Of a snapshot: what stands in the file.
    seen: snapshot::Seen,
    retiring: Option<Retiring>,
    retired: u64,
    has_ended: bool,
}

impl Node {
    /// Begins an import. The file is pushed from its start; what an earlier run did is passed over.
    ///
    /// # Errors
    /// `MAPPING_*`, `ENCODING_UNKNOWN`, `SNAPSHOT_DIGEST_MISSING`, `ROLE_REQUIRED` for who may not override the guard,
    /// `IMPORT_UNDER_WAY`.
    pub async fn import_records(
        self: Arc<Self>,
        call: &Call,
        options: RecordImportOptions,
    ) -> Result<RecordImport, ServiceError> {
        let mut entry = self.entry(call, "ImportRecords");
        entry.subject = Some(options.source.chars().take(64).collect());
        let intent = self.audit.intent(entry).await?;
        match self.clone().begin_import(call, options).await {
            Ok(import) => Ok(RecordImport { intent: Some(intent), ..import }),
            Err(error) => {
                self.audit.outcome(&intent, error.code().as_str(), Vec::new()).await?;
                Err(error)
            }
        }
    }

    async fn begin_import(
        self: Arc<Self>,
        call: &Call,
        options: RecordImportOptions,
    ) -> Result<RecordImport, ServiceError> {
        if options.override_guard && !call.operator.roles.contains(Role::Administrator) {
            return Err(ServiceError::denied("ROLE_REQUIRED", "only an administrator overrides the guard"));
        }
        if options.snapshot && options.file_digest.is_none() {
            let text = "a snapshot is retired by only when the whole file has come: its digest is needed";
            return Err(ServiceError::invalid("SNAPSHOT_DIGEST_MISSING", text));
        }
        let mapping = if options.mapping.trim().is_empty() {
            Mapping::by_name(&options.source, SubjectType::Person)
        } else {
            Mapping::parse(&options.mapping)
        };
        let mapping = mapping.map_err(ServiceError::from_coded)?;
        let format = options.file_format()?;
        let source = mapping.source().clone();
        let turn = self.importing.begin(source.as_str()).await?;
        let resume_key = if options.dry_run { None } else { options.resume_key() };
        let done: ImportRow = match &resume_key {
            Some(key) => rows::get(&*self.store, area::IMPORT, key).await?.unwrap_or_default(),
            None => ImportRow::default(),
        };
        // What a snapshot holds is what its whole file says.
        let resume_after = if options.snapshot { 0 } else { done.mark };
        let import = ImportOptions { mapping, now: self.clock.now(), resume_after };
        let file = Some(Box::new(FileImporter::new(format, import)));
        Ok(RecordImport {
            node: self,
            intent: None,
            _turn: turn,
            call: call.clone(),
            file,
            source,
            digest: Sha256::new(),
            resume_key,
            resumed: done.mark,
            done,
            unmarked: 0,
            flying: VecDeque::new(),
            rejected: Vec::new(),
            differences: difference::Differences::default(),
            seen: snapshot::Seen::new(options.snapshot),
            retiring: None,
            retired: 0,
            has_ended: false,
            options,
        })
    }
}

impl RecordImportOptions {
    fn file_format(&self) -> Result<FileFormat, ServiceError> {
        let encoding = match self.encoding.as_str() {
            "" => None,
            name => Some(name.parse().map_err(|_| {
                let known: Vec<_> = Encoding::ALL.iter().map(|encoding| encoding.as_str()).collect();
                ServiceError::invalid("ENCODING_UNKNOWN", format!("encodings are {}", known.join(", ")))
            })?),
        };
        Ok(match self.format {
            RecordFormat::Csv => FileFormat::Csv { encoding },
            RecordFormat::JsonLines => FileFormat::JsonLines { encoding },
            RecordFormat::Workbook => {
                FileFormat::Workbook { sheet: Some(self.sheet.clone()).filter(|sheet| !sheet.is_empty()) }
            }
        })
    }

    /// A changed mapping, or another reading of the same bytes, is another import.
    fn resume_key(&self) -> Option<Vec<u8>> {
        let digest = self.file_digest?;
        let format = format!("{:?}", self.format);
        let parts = [&self.mapping, &self.source, &self.encoding, &self.sheet, &format];
        let mut what = digest.as_bytes().to_vec();
        for part in parts {
            what.extend_from_slice(&(part.len() as u64).to_be_bytes());
            what.extend_from_slice(part.as_bytes());
        }
        Some(sha256(&what).as_bytes().to_vec())
    }
}

impl RecordImport {
    /// How far it is; takes the rejections and differences that were not reported yet.
    pub fn progress(&mut self) -> Progress {
        Progress {
            bytes_done: self.done.bytes_done,
            inserted: self.done.inserted,
            changed: self.done.changed,
            unchanged: self.done.unchanged,
            retired: self.retired,
            encoding: self.file.as_ref().and_then(|file| file.encoding()),
            rejected: std::mem::take(&mut self.rejected),
            differences: self.differences.take(),
        }
    }

    /// Takes the next bytes of the file. How much of it is durable then says the progress.
    ///
    /// # Errors
    /// `IMPORT_*`, `ENCODING_UNCERTAIN` or `XLSX_*` for a file that cannot be read so, or when the store cannot be
    /// written. That ends the import; it can be begun again.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<Progress, ServiceError> {
        let outcome = self.push_unaudited(bytes).await;
        self.audited(outcome).await?;
        Ok(self.progress())
    }

    async fn push_unaudited(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        if self.options.snapshot {
            self.digest.update(bytes);
        }
        self.file()?.push(bytes).map_err(ServiceError::from_coded)?;
        while self.read_on().await? {}
        Ok(())
    }

    /// Whether transactions are under way, so that [`RecordImport::landed`] will have something to say.
    pub fn is_under_way(&self) -> bool {
        !self.flying.is_empty()
    }

    /// Waits for what is under way; the progress when some of it is durable. Nothing is lost if it is dropped.
    ///
    /// # Errors
    /// When the store cannot be written, as [`RecordImport::push`].
    pub async fn landed(&mut self) -> Result<Progress, ServiceError> {
        let outcome = self.land().await;
        self.audited(outcome).await?;
        Ok(self.progress())
    }

    /// Goes on after the last bytes; `None` when all is done and [`RecordImport::finish`] may follow.
    ///
    /// # Errors
    /// As [`RecordImport::push`], and of a snapshot `SNAPSHOT_INCOMPLETE` and `MASS_RETIREMENT_GUARD`: then the file
    /// is imported and nothing was retired.
    pub async fn advance(&mut self) -> Result<Option<Progress>, ServiceError> {
        let outcome = self.advance_unaudited().await;
        let is_on = self.audited(outcome).await?;
        Ok(if is_on { Some(self.progress()) } else { None })
    }

    async fn advance_unaudited(&mut self) -> Result<bool, ServiceError> {
        if !self.has_ended {
            self.has_ended = true;
            self.file()?.end();
        }
        if self.read_on().await? {
            return Ok(true);
        }
        if self.is_under_way() {
            self.land().await?;
            return Ok(true);
        }
        if self.options.snapshot { self.retire_on().await } else { Ok(false) }
    }

    /// Ends an import whose file has ended and [advanced](RecordImport::advance) to its end.
    ///
    /// # Errors
    /// When the store or the audit log cannot be written.
    pub async fn finish(mut self) -> Result<Progress, ServiceError> {
        let outcome = self.forget_mark().await;
        self.audited(outcome).await?;
        if let Some(intent) = self.intent.take() {
            self.node.audit.close(intent, &Ok(())).await?;
        }
        Ok(self.progress())
    }

    /// The caller is gone before the file has ended; a later run of the same file goes on from here.
    ///
    /// # Errors
    /// When the store cannot be written; `AUDIT_UNAVAILABLE`.
    pub async fn interrupt(mut self) -> Result<(), ServiceError> {
        let outcome = self.keep_mark().await;
        self.audited(outcome).await?;
        match self.intent.take() {
            Some(intent) => self.node.audit.outcome(&intent, "IMPORT_INTERRUPTED", Vec::new()).await,
            None => Ok(()),
        }
    }

    async fn keep_mark(&mut self) -> Result<(), ServiceError> {
        while self.is_under_way() {
            self.land().await?;
        }
        self.write_mark().await
    }

    /// Says durably how far the import is, if it can be resumed.
    async fn write_mark(&mut self) -> Result<(), ServiceError> {
        if let Some(key) = &self.resume_key {
            let mut batch = Batch::new();
            rows::put(&mut batch, area::IMPORT, key, &self.done)?;
            self.node.store.commit(batch).await?;
        }
        self.unmarked = 0;
        Ok(())
    }

    async fn forget_mark(&mut self) -> Result<(), ServiceError> {
        if let Some(key) = &self.resume_key {
            let mut batch = Batch::new();
            batch.delete(area::IMPORT, key.clone());
            self.node.store.commit(batch).await?;
        }
        Ok(())
    }

    /// Reads the next records of what was pushed, if there are any, and sends them on their way.
    async fn read_on(&mut self) -> Result<bool, ServiceError> {
        let Some(parsed) = self.next_parsed().await? else { return Ok(false) };
        self.take(parsed).await?;
        Ok(true)
    }

    async fn next_parsed(&mut self) -> Result<Option<Vec<window::Read>>, ServiceError> {
        let Some(mut file) = self.file.take() else { return Err(stopped()) };
        let node = self.node.clone();
        let read = tokio::task::spawn_blocking(move || {
            let parsed = file.next();
            let parsed = parsed.map(|parsed| parsed.map(|all| window::prepare(&node, &mut file, all)));
            (file, parsed)
        });
        let (file, parsed) = read.await.map_err(|_| stopped())?;
        self.file = Some(file);
        parsed.map_err(ServiceError::from_coded)
    }

    /// Waits until the first window under way is durable, and lets in the ones after it that are too.
    async fn land(&mut self) -> Result<(), ServiceError> {
        let mut waits = true;
        while let Some(flight) = self.flying.front_mut() {
            if !waits && !flight.work.is_finished() {
                break;
            }
            let landed = (&mut flight.work).await;
            let Some(flight) = self.flying.pop_front() else { break };
            let compared = landed.map_err(|_| stopped())??;
            self.done.inserted += compared.inserted;
            self.done.changed += compared.changed;
            self.done.unchanged += compared.unchanged;
            self.done.mark = self.done.mark.max(flight.mark);
            self.done.bytes_done = self.done.bytes_done.max(flight.bytes_done);
            self.differences.extend(&compared.changes);
            self.rejected.extend(flight.rejected);
            self.unmarked += 1;
            waits = false;
        }
        if self.unmarked >= MARK_EVERY { self.write_mark().await } else { Ok(()) }
    }

    fn file(&mut self) -> Result<&mut FileImporter, ServiceError> {
        self.file.as_deref_mut().ok_or_else(stopped)
    }

    /// Writes down how the import ended, if it did.
    async fn audited<T>(&mut self, outcome: Result<T, ServiceError>) -> Result<T, ServiceError> {
        if outcome.is_err()
            && let Some(intent) = self.intent.take()
        {
            self.node.audit.close(intent, &outcome).await?;
        }
        outcome
    }
}

fn stopped() -> ServiceError {
    ServiceError::unavailable("IMPORT_STOPPED", "the import was stopped; run it again, it goes on where it was")
}
