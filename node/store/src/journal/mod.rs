//! An append-only file of opaque records that can neither be lost nor quietly changed.
//!
//! **Promises.** An acknowledged record survives a power cut: one `fdatasync` covers its group before anyone in it
//! is answered. Records are numbered without gaps from 1 and chained by hash, so that a changed, removed or reordered
//! record is found. Opening walks everything (with [`JournalOptions::quick`] the last file; the others are verified as
//! they are read): a tail that a power cut tore (part of the last group, never acknowledged) is cut and reported; any
//! other flaw is [`JournalError::Damaged`] with file and offset, and nothing is changed.
//!
//! A journal can be shortened at its beginning once something else stands for the records there
//! ([`Journal::release`]); whoever does so keeps the head up to which that is, and opens with it as
//! [`base`](JournalOptions::base): the chain must go through it.
//!
//! **Crash windows.** A record whose append was not answered may be there after a restart. After a failed write or
//! sync the journal stops for good: what the device holds is unknown, and repeating the sync would not tell. The next
//! opening writes the last group again, so that what it then shows is what the device has.
//!
//! **A full disk** stops writing late, cleanly and not for good: the next segment is always prepared ahead, then the
//! [ballast](crate::ballast) gives way, then appends fail with [`JournalError::NoRoom`], of which nothing stays, until
//! there is room. Want of file handles is the same, under its own code.
//!
//! **Not promised.** A journal whose last records are removed together with everything that remembers them cannot
//! know that they existed: keep its [head](Journal::head) elsewhere (the view does; the audit log is anchored).
//! The chain is no signature: who can write all files can write a new chain.
//!
//! The bytes are described in `format.rs`. Segments are `<16 hex digits: first sequence>.journal`, written as zeros
//! and synced ahead of use (overwriting costs a third of extending); `spare` is the next one, `lock` the lock.

mod error;
mod format;
mod recover;
mod replay;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use eads_domain::id::Hash;
use tokio::sync::{mpsc, oneshot};

pub use self::error::JournalError;
pub(crate) use self::replay::Reader;
pub use self::replay::{Record, Replay, Verified};
pub(crate) use self::writer::{Device, sync_directory};
use crate::ballast::Ballast;
use crate::lock::DirectoryLock;

/// The longest record in bytes.
pub const MAX_RECORD: usize = 1024 * 1024;

/// The size of a segment unless configured otherwise.
pub const DEFAULT_SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// Appends that may wait for the writer before callers wait.
const QUEUE: usize = 256;

/// What a journal is.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    label: String,
    schema: u32,
    segment_bytes: usize,
    quick: bool,
    base: Option<Head>,
    begin: Option<Head>,
    ballast: Option<Arc<Ballast>>,
    device: Device,
}

impl JournalOptions {
    /// A journal called `label` (at most 63 bytes; longer ones are cut), whose records have version 1 of their
    /// schema.
    pub fn new(label: &str) -> Self {
        let mut label = label.to_owned();
        while label.len() > format::MAX_LABEL {
            label.pop();
        }
        let (segment_bytes, device) = (DEFAULT_SEGMENT_BYTES, Device::default());
        Self { label, schema: 1, segment_bytes, quick: false, base: None, begin: None, ballast: None, device }
    }

    /// The version of the records' meaning. A journal with a newer one is not opened; with an older one it goes on in
    /// a new segment.
    #[must_use]
    pub const fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// Bytes of a segment, at least 4 KiB; a record that needs more gets a segment of its own size.
    #[must_use]
    pub const fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Opens without walking the files before the last one. For a journal whose reader remembers the head up to which
    /// it has read, and begins there.
    #[must_use]
    pub const fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// The record up to which something else stands for the records, which may be gone.
    #[must_use]
    pub const fn base(mut self, base: Option<Head>) -> Self {
        self.base = base;
        self
    }

    /// For a directory without a single file: the new journal goes on behind this record of another copy of it. Where
    /// there are files, they say where it begins.
    #[must_use]
    pub const fn begin(mut self, begin: Option<Head>) -> Self {
        self.begin = begin;
        self
    }

    /// Room for the next segment when the disk is full.
    #[must_use]
    pub fn ballast(mut self, ballast: Arc<Ballast>) -> Self {
        self.ballast = Some(ballast);
        self
    }

    #[cfg(test)]
    pub(crate) fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    fn segment_size(&self) -> usize {
        self.segment_bytes.max(4096)
    }

    fn segment_room(&self) -> usize {
        self.segment_size() - format::HEADER_LEN
    }
}

/// The state after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The record's place; 0 before the first.
    pub sequence: u64,
    /// The chain value after it: it commits to every record up to here.
    pub chain: Hash,
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last record; 0 if there is none.
    pub sequence: u64,
    /// The chain value after it.
    pub chain: Hash,
    /// How many files there are; 0 in a new journal.
    pub segments: usize,
    /// What a power cut left behind the last record, now cut.
    pub torn: Option<TornTail>,
}

/// Bytes behind the last whole record that belong to no acknowledged one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where.
    pub file: PathBuf,
    /// Bytes from its start.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// Called once on the writer's thread, in the order of the sequences, when a record is durable (with its bytes, as
/// they were given) or has failed. It must be quick and must not panic; while it blocks, nothing is written.
pub type Completion = Box<dyn FnOnce(Result<(Head, Vec<u8>), JournalError>) + Send>;

/// An open journal. Dropping it waits until everything submitted is written.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    label: String,
    schema: u32,
    jobs: Option<mpsc::Sender<writer::Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    _lock: DirectoryLock,
}

#[derive(Debug)]
struct Shared {
    /// The last durable record.
    head: Mutex<Head>,
    /// Set once, when the journal stops.
    stopped: Mutex<Option<(PathBuf, String)>>,
    /// What [`Journal::release`] or opening was told last.
    base: Mutex<Option<Head>>,
}

impl Shared {
    fn base(&self) -> Option<Head> {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What shortening a journal gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Files removed.
    pub files: u64,
    /// Bytes that they had.
    pub bytes: u64,
}

impl Journal {
    /// Opens the journal under `dir`, creating both if need be. Blocking: reads everything.
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Damaged`], [`JournalError::FormatNewer`],
    /// [`JournalError::SchemaNewer`], [`JournalError::WrongLabel`], [`JournalError::Io`].
    pub fn open(dir: &Path, options: JournalOptions) -> Result<(Self, Recovered), JournalError> {
        let failed = |action| move |source| JournalError::Io { action, path: dir.to_path_buf(), source };
        fs::create_dir_all(dir).map_err(failed("create"))?;
        let lock = DirectoryLock::acquire(dir)?;
        let (resume, recovered) = recover::recover(dir, &options)?;
        // A file that was named just before a power cut must keep its name now that it is built upon.
        sync_directory(dir).map_err(failed("sync"))?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync_directory(parent).map_err(failed("sync the parent of"))?;
        let head = Head { sequence: recovered.sequence, chain: recovered.chain };
        let base = Mutex::new(options.base);
        let shared = Arc::new(Shared { head: Mutex::new(head), stopped: Mutex::new(None), base });
        let (label, schema) = (options.label.clone(), options.schema);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let names = fs::File::open(dir).map_err(failed("open"))?;
        let writer = writer::Writer::new(dir, names, options, resume, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name(format!("journal-{label}"));
        let thread = thread.spawn(move || writer.run(receiver)).map_err(failed("start the writer of"))?;
        let (jobs, thread) = (Some(sender), Some(thread));
        Ok((Self { dir: dir.to_path_buf(), label, schema, jobs, thread, shared, _lock: lock }, recovered))
    }

    /// Appends a record and returns when it is durable. Appends of one task are in its order; those of several
    /// tasks share syncs. A dropped future does not undo its append.
    ///
    /// # Errors
    /// [`JournalError::RecordTooLarge`], [`JournalError::NoRoom`] (both: nothing written),
    /// [`JournalError::Stopped`], [`JournalError::Closed`].
    pub async fn append(&self, payload: impl Into<Vec<u8>> + Send) -> Result<Head, JournalError> {
        let (sender, receiver) = oneshot::channel();
        let completion = move |outcome: Result<(Head, Vec<u8>), JournalError>| {
            let _ = sender.send(outcome.map(|(head, _)| head));
        };
        self.submit(payload.into(), Box::new(completion)).await?;
        receiver.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Hands a record to the writer and returns; `completion` gets the outcome.
    ///
    /// # Errors
    /// [`JournalError::RecordTooLarge`], [`JournalError::Stopped`] (it stopped before; nothing written), or
    /// [`JournalError::Closed`]; `completion` is not called then.
    pub async fn submit(&self, payload: Vec<u8>, completion: Completion) -> Result<(), JournalError> {
        if payload.len() > MAX_RECORD {
            return Err(JournalError::RecordTooLarge { length: payload.len() });
        }
        if let Some(stopped) = self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Err(writer::stopped_error(stopped));
        }
        let jobs = self.jobs.as_ref().ok_or(JournalError::Closed)?;
        jobs.send(writer::Job { payload, completion }).await.map_err(|_| JournalError::Closed)
    }

    /// The last durable record.
    pub fn head(&self) -> Head {
        *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records from `from` on (1 is the first) up to the present head, verified as they are read. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the directory cannot be listed; the records' own errors come with them.
    pub fn replay(&self, from: u64) -> Result<Replay, JournalError> {
        self.reader().replay(from)
    }

    /// The same up to the record `until`, if there are that many.
    ///
    /// # Errors
    /// As [`Journal::replay`].
    pub fn replay_until(&self, from: u64, until: u64) -> Result<Replay, JournalError> {
        let mut reader = self.reader();
        reader.head.sequence = reader.head.sequence.min(until);
        reader.replay(from)
    }

    /// The first record of each file, ascending. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the directory cannot be listed.
    pub fn files(&self) -> Result<Vec<u64>, JournalError> {
        Ok(segment::list(&self.dir)?.into_iter().map(|(first, _)| first).collect())
    }

    /// The record up to which something else stands for the records; none if all of them are here.
    pub fn base(&self) -> Option<Head> {
        self.shared.base()
    }

    /// The chain value before the first record that is here: that of the base, or where every chain begins.
    pub fn origin(&self) -> Head {
        self.base().unwrap_or_else(|| Head { sequence: 0, chain: format::genesis(&self.label) })
    }

    /// Reads and verifies everything up to the present head. Blocking.
    ///
    /// # Errors
    /// The first flaw found.
    pub fn verify(&self) -> Result<Verified, JournalError> {
        self.reader().verify()
    }

    /// Reads without holding the journal open.
    pub(crate) fn reader(&self) -> Reader {
        let (dir, label, shared) = (self.dir.clone(), self.label.clone(), Arc::clone(&self.shared));
        Reader { dir, label, schema: self.schema, head: self.head(), shared }
    }

    /// Removes the files that hold no record after `base`, because something durable stands for them from now on.
    /// Readers that want them get [`JournalError::Compacted`]. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Io`]; what was not removed is at the next opening.
    pub fn release(&self, base: Head) -> Result<Released, JournalError> {
        *self.shared.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base);
        let files = segment::list(&self.dir)?;
        let next = files.iter().skip(1).map(|(first, _)| *first);
        let mut released = Released::default();
        for ((_, path), _) in files.iter().zip(next).take_while(|(_, next)| *next <= base.sequence + 1) {
            released.bytes += fs::metadata(path).map_or(0, |metadata| metadata.len());
            let failed = |source| JournalError::Io { action: "remove", path: path.clone(), source };
            fs::remove_file(path).map_err(failed)?;
            released.files += 1;
        }
        let failed = |source| JournalError::Io { action: "sync", path: self.dir.clone(), source };
        sync_directory(&self.dir).map_err(failed)?;
        Ok(released)
    }

    /// Bytes of all its files, those prepared ahead of use too. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Io`] if the directory cannot be listed.
    pub fn bytes(&self) -> Result<u64, JournalError> {
        let spare = fs::metadata(self.dir.join("spare")).map_or(0, |metadata| metadata.len());
        let sizes = segment::list(&self.dir)?.into_iter();
        Ok(sizes.map(|(_, path)| fs::metadata(path).map_or(0, |metadata| metadata.len())).sum::<u64>() + spare)
    }

    /// Why nothing is written any more, if that is so.
    pub fn stopped(&self) -> Option<JournalError> {
        let stopped = self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.as_ref().map(writer::stopped_error)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
