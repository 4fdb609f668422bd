//! The default engine: a journal that is the truth, and a view of it in sled.
//!
//! **Promises.** Those of the [port](crate::port). A commit is one record of the journal; it is synced, then applied
//! to the view in the same order, then acknowledged. Deleting or damaging the view loses nothing: it is checked at
//! every open and, if it does not agree with the journal, moved aside and built anew ([`OpenReport::rebuilt`]).
//!
//! **Crash windows.** Before the sync: the commit did not happen, or, if the system had already written it by
//! itself, happened. After the sync, before the view: it happened, and the next open applies it. A view that fails
//! while running makes every later call fail with `VIEW_DAMAGED` until a restart; commits under way then are in the
//! journal.
//!
//! **Why a view.** sled's own flush is not durable across a power cut and some cuts leave files that it cannot open,
//! panics on or waits for; its space is never given back. As a view it may do all that.
//!
//! Layout: `<dir>/lock`, `<dir>/journal/`, `<dir>/view/<n>/` (sled), `<dir>/view.rebuild` (a mark: build anew at the next
//! start; anyone may create it, also to regain space), `<dir>/view.damaged-<n>/` (the last two views moved aside, while
//! there is room), `<dir>/view.evidence-<n>/` (views that hold commits which the journal has not; never removed).
//!
//! Reads run on tokio's blocking threads: a row that is not cached is read from disk. Nothing on the query path
//! reads the store, so that the hop costs nobody.

mod applier;
mod rebuild;
mod record;
mod rows;
#[cfg(test)]
mod tests;
mod view;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::applier::Task;
pub use self::rebuild::{RebuildReason, Rebuilt};
pub use self::record::Change;
use self::rows::Outcome;
use self::view::View;
use crate::error::StoreError;
use crate::journal::sync_directory;
use crate::journal::{DEFAULT_SEGMENT_BYTES, Head, Journal, JournalError, JournalOptions, Recovered, Replay, Verified};
use crate::lock::DirectoryLock;
use crate::port::{Area, Batch, Row, Scan, Sequence, Store};
use crate::reserve::{DEFAULT_RESERVE_BYTES, FileSystem, FreeSpace, Reserve};

/// The schema that this program writes. A directory with a newer one is refused.
pub const SCHEMA_VERSION: u32 = 1;

const LABEL: &str = "eads/store";

/// How an embedded store is run.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    segment_bytes: usize,
    cache_bytes: u64,
    reserve_bytes: u64,
    free_space: Arc<dyn FreeSpace>,
    open_limit: Duration,
    #[cfg(test)]
    hook: tests::Hook,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            segment_bytes: DEFAULT_SEGMENT_BYTES,
            cache_bytes: 64 * 1024 * 1024,
            reserve_bytes: DEFAULT_RESERVE_BYTES,
            free_space: Arc::new(FileSystem),
            open_limit: Duration::from_secs(60),
            #[cfg(test)]
            hook: tests::Hook::default(),
        }
    }
}

impl EmbeddedOptions {
    /// Bytes of a journal segment (8 MiB).
    #[must_use]
    pub const fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Bytes of the view that are kept in memory (64 MiB).
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Free bytes of the disk below which only protective batches are written (256 MiB).
    #[must_use]
    pub const fn reserve_bytes(mut self, bytes: u64) -> Self {
        self.reserve_bytes = bytes;
        self
    }

    /// Who says how much room there is (the file system).
    #[must_use]
    pub fn free_space(mut self, source: Arc<dyn FreeSpace>) -> Self {
        self.free_space = source;
        self
    }

    /// How long opening the view may go without progress before it is given up and built anew (60 s).
    #[must_use]
    pub const fn open_limit(mut self, limit: Duration) -> Self {
        self.open_limit = limit;
        self
    }

    #[cfg(test)]
    fn before_open(&self) {
        self.hook.call();
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "tests hang and panic here")]
    const fn before_open(&self) {}
}

/// What opening found and did. Anything in `rebuilt` or `recovered.torn` is worth an administrator's look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The journal's state.
    pub recovered: Recovered,
    /// Why the view was replaced, if it was: an alarm.
    pub rebuilt: Option<Rebuilt>,
    /// How many commits were applied to the view.
    pub replayed: u64,
    /// How many rows there are.
    pub rows: u64,
}

/// What a full check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// The journal, every record of it.
    pub journal: Verified,
    /// Rows in the view, each with a matching checksum.
    pub rows: u64,
}

/// The embedded engine. Dropping it waits until everything submitted is durable and the view is closed.
#[derive(Debug)]
pub struct EmbeddedStore {
    dir: PathBuf,
    report: OpenReport,
    reserve: Reserve,
    // In the order of closing: the journal answers what it still has, then the applier, then the view.
    journal: Option<Journal>,
    tasks: Option<SyncSender<Task>>,
    applier: Option<JoinHandle<()>>,
    view: Arc<View>,
}

impl EmbeddedStore {
    /// Opens the store under `dir`, creating it if need be. Blocking: reads the whole journal and view, and may build
    /// the view anew.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::SchemaNewer`], [`StoreError::Journal`], [`StoreError::ViewUnbuildable`],
    /// [`StoreError::Io`].
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, StoreError> {
        if !dir.exists() {
            fs::create_dir_all(dir).map_err(|source| io_error("create", dir, source))?;
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            sync_directory(parent).map_err(|source| io_error("sync", parent, source))?;
        }
        let lock = DirectoryLock::acquire(dir)?;
        let journal = JournalOptions::new(LABEL).schema(SCHEMA_VERSION).segment_bytes(options.segment_bytes);
        let (journal, recovered) = Journal::open(&dir.join("journal"), journal).map_err(|error| match error {
            JournalError::SchemaNewer { found, supported, .. } => {
                StoreError::SchemaNewer { dir: dir.to_path_buf(), found, supported }
            }
            other => other.into(),
        })?;
        if let Some(torn) = &recovered.torn {
            tracing::warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes, "cut a torn tail");
        }
        let (loaded, rebuilt) = rebuild::open_view(dir, &options, &journal.reader())?;
        let report = OpenReport { recovered, rebuilt, replayed: loaded.replayed, rows: loaded.mark.tally.rows };
        let mut view = loaded.view;
        view.hold(lock);
        let view = Arc::new(view);
        let started = applier::start(Arc::clone(&view), loaded.mark);
        let (tasks, applier) = started.map_err(|source| io_error("start the writer of", dir, source))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            report,
            reserve: Reserve::new(dir, options.reserve_bytes, options.free_space),
            journal: Some(journal),
            tasks: Some(tasks),
            applier: Some(applier),
            view,
        })
    }

    /// What opening found and did.
    pub const fn report(&self) -> &OpenReport {
        &self.report
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// The last durable commit and the chain value that commits to all of them.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn head(&self) -> Result<Head, StoreError> {
        Ok(self.journal()?.head())
    }

    /// The commits from `from` on, for other views of the same journal. Blocking.
    ///
    /// # Errors
    /// [`StoreError::Journal`]; errors of single commits come with them.
    pub fn changes(&self, from: Sequence) -> Result<Changes, StoreError> {
        Ok(Changes { dir: self.dir.clone(), replay: self.journal()?.replay(from.get())? })
    }

    /// Reads and verifies everything: each record of the journal, each row of the view, and that the rows are those
    /// that the commits left. Commits wait while the view is read.
    ///
    /// # Errors
    /// [`StoreError::Journal`] or [`StoreError::ViewDamaged`]; the first flaw found.
    pub async fn check(&self) -> Result<CheckReport, StoreError> {
        let reader = self.journal()?.reader();
        let tasks = self.tasks.clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let journal = blocking(move || {
            let journal = reader.verify()?;
            tasks.send(Task::Check { reply }).map_err(|_| StoreError::Closed)?;
            Ok(journal)
        });
        let journal = journal.await?;
        let tally = answer.await.map_err(|_| StoreError::Closed)??;
        Ok(CheckReport { journal, rows: tally.rows })
    }

    fn journal(&self) -> Result<&Journal, StoreError> {
        self.journal.as_ref().ok_or(StoreError::Closed)
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let (view, key) = (Arc::clone(&self.view), key.to_vec());
        blocking(move || view.get(area, &key)).await
    }

    async fn get_many(&self, area: Area, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let (view, keys) = (Arc::clone(&self.view), keys.to_vec());
        blocking(move || keys.iter().map(|key| view.get(area, key)).collect()).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        let view = Arc::clone(&self.view);
        blocking(move || view.scan(&scan)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Sequence, StoreError> {
        batch.check()?;
        self.view.healthy()?;
        let payload = record::encode(&batch);
        self.reserve.admit(payload.len() as u64, batch.is_protective())?;
        let outcome = Outcome::from(&batch);
        let tasks = self.tasks.clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let completion = move |durable: Result<(Head, Vec<u8>), JournalError>| match durable {
            Ok((head, _)) => {
                // A send that fails drops the reply, which reads as closed.
                let _ = tasks.send(Task::Apply { outcome, head, reply });
            }
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        };
        self.journal()?.submit(payload, Box::new(completion)).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        drop(self.journal.take());
        drop(self.tasks.take());
        if let Some(applier) = self.applier.take() {
            let _ = applier.join();
        }
    }
}

/// One commit as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its place.
    pub sequence: Sequence,
    /// Its changes in order.
    pub changes: Vec<Change>,
}

/// Commits in order, up to those that were durable when this began. Blocking.
#[derive(Debug)]
pub struct Changes {
    dir: PathBuf,
    replay: Replay,
}

impl Iterator for Changes {
    type Item = Result<Commit, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.replay.next()?.map_err(StoreError::from).and_then(|record| {
            let sequence = Sequence::new(record.sequence);
            let changes = record::decode(&record.payload).map_err(|record::Malformed| malformed(&self.dir))?;
            Ok(Commit { sequence, changes })
        }))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}

/// A record that passed every check of the journal and still is no commit: another program wrote it.
fn malformed(dir: &Path) -> StoreError {
    let (file, offset) = (dir.join("journal"), 0);
    let reason = "a whole record is not a commit of this store";
    let remedy = "restore the journal from a backup or a replica; nothing was changed";
    JournalError::Damaged { file, offset, reason, remedy }.into()
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_path_buf(), source }
}
