//! The default engine: a journal that is the truth, and a view of it in sled.
//!
//! **Promises.** Those of the [port](crate::port). A commit is one record of the journal; it is synced, then applied
//! to the view in the same order, then acknowledged. Deleting or damaging the view loses nothing: it is checked at
//! every open and, if it does not agree with the journal, moved aside and built anew ([`OpenReport::rebuilt`]).
//!
//! **Crash windows.** Before the sync: the commit did not happen, or, if the system had already written it by
//! itself, happened. After the sync, before the view: it happened, and the next open applies it.
//!
//! **Faults.** After a failed write or sync of the journal what the device holds is unknown: that commit says so, no
//! further one is written until a restart, reading goes on ([`EmbeddedStore::health`] tells). Want of room or of file
//! handles is not such a failure: the commit did not happen, and later ones do as soon as there is room again. A view
//! that found damage makes every later call fail with `VIEW_DAMAGED` until a restart; commits under way then are in the
//! journal. A view that the disk refused (sled does not recover from that by itself) is closed and opened again, from
//! where the journal goes on; commits that are durable wait for it, others are refused, reads fail with
//! `VIEW_UNWRITABLE`, all for that long only.
//!
//! **A full disk.** Ordinary batches stop at the [reserve](crate::reserve). Protective ones go on, and when others have
//! filled the disk to its end, on what is prepared ahead: the next journal file, and the [ballast](crate::ballast), which
//! gives way to the journal and, before it has to ask, to the view.
//!
//! **Opening.** After a clean end: the last journal file, and what the view vouches for. After any other: every row of
//! the view is read and counted, and the journal is read from the view's last commit on. The rest is read by whoever needs
//! it, and by [`EmbeddedStore::check`].
//!
//! **Why a view.** sled's own flush is not durable across a power cut and some cuts leave files that it cannot open,
//! panics on or waits for; its space is never given back. As a view it may do all that; `compact.rs` says how space
//! comes back.
//!
//! Layout: `<dir>/lock`, `<dir>/journal/`, `<dir>/snapshot/` (what stands for the beginning of the journal),
//! `<dir>/view/<n>/` (sled), `<dir>/view.clean` (the view needs no reading), `<dir>/ballast`, `<dir>/view.rebuild` (a
//! mark: build anew at the next start; anyone may create it), `<dir>/view.damaged-<n>/` (the last two views moved aside,
//! while there is room), `<dir>/view.evidence-<n>/` (views that hold commits which the journal has not; never removed).
//!
//! Reads run on tokio's blocking threads: a row that is not cached is read from disk. Nothing on the query path
//! reads the store, so that the hop costs nobody.

mod applier;
mod clean;
mod compact;
mod options;
mod places;
mod rebuild;
mod record;
mod rows;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::oneshot;

use self::applier::{Applier, Task};
use self::clean::CleanMark;
pub use self::compact::{CompactStep, Compacted, Observe};
pub use self::options::{CheckReport, EmbeddedOptions, OpenReport, Sizes};
use self::places::Places;
use self::rebuild::Source;
pub use self::rebuild::{RebuildReason, Rebuilt};
pub use self::record::Change;
use self::rows::{Outcome, Watermark};
use self::snapshot::Snapshots;
use self::view::Views;
use crate::ballast::Ballast;
use crate::error::StoreError;
use crate::journal::sync_directory;
use crate::journal::{Head, Journal, JournalError, JournalOptions, Replay};
use crate::lock::DirectoryLock;
use crate::port::{Area, Batch, Row, Scan, Sequence, Store};
use crate::reserve::Reserve;

/// The schema that this program writes. A directory with a newer one is refused.
pub const SCHEMA_VERSION: u32 = 1;

const LABEL: &str = "eads/store";

/// Bytes of a record into which several batches are put; a single one may have more.
const RECORD_BYTES: usize = crate::journal::MAX_RECORD / 2;

/// The embedded engine. Dropping it waits until everything submitted is durable and the view is closed.
#[derive(Debug)]
pub struct EmbeddedStore {
    dir: PathBuf,
    options: EmbeddedOptions,
    report: OpenReport,
    reserve: Reserve,
    ballast: Arc<Ballast>,
    places: Places,
    snapshots: Snapshots,
    /// Held by the compaction under way.
    compacting: Mutex<()>,
    journal: Option<Journal>,
    tasks: Option<SyncSender<Task>>,
    applier: Option<JoinHandle<Watermark>>,
    views: Arc<Views>,
    /// Every commit passes it; [`EmbeddedStore::pause`] shuts it.
    gate: tokio::sync::RwLock<()>,
    // Last: released after everything else is closed.
    _lock: DirectoryLock,
}

/// Nothing is committed while this lives.
#[derive(Debug)]
pub struct Pause<'a>(#[allow(dead_code, reason = "held, never read")] tokio::sync::RwLockWriteGuard<'a, ()>);

impl EmbeddedStore {
    /// Opens the store under `dir`, creating it if need be. Blocking. After a clean end it reads the last journal file
    /// only; else it also reads the whole view, and may build it anew.
    ///
    /// # Errors
    /// [`StoreError::Locked`], [`StoreError::SchemaNewer`], [`StoreError::Journal`], [`StoreError::SnapshotDamaged`],
    /// [`StoreError::ViewUnbuildable`], [`StoreError::Io`].
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, StoreError> {
        if !dir.exists() {
            fs::create_dir_all(dir).map_err(|source| io_error("create", dir, source))?;
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            sync_directory(parent).map_err(|source| io_error("sync", parent, source))?;
        }
        let lock = DirectoryLock::acquire(dir)?;
        let clean = CleanMark::take(dir)?;
        let (snapshots, places) = (Snapshots::of(dir), Places::of(dir));
        let snapshot = snapshots.open(SCHEMA_VERSION)?;
        let ballast = Arc::new(Ballast::open(dir, options.reserve_bytes, Arc::clone(&options.free_space)));
        let base = snapshot.as_ref().map(|snapshot| snapshot.header.head);
        let settings = JournalOptions::new(LABEL).schema(SCHEMA_VERSION).segment_bytes(options.segment_bytes);
        let settings = settings.quick(true).base(base).ballast(Arc::clone(&ballast));
        #[cfg(test)]
        let settings = settings.device(options.device.clone());
        let (journal, recovered) = Journal::open(&dir.join("journal"), settings).map_err(|error| match error {
            JournalError::SchemaNewer { found, supported, .. } => {
                StoreError::SchemaNewer { dir: dir.to_path_buf(), found, supported }
            }
            other => other.into(),
        })?;
        if let Some(torn) = &recovered.torn {
            tracing::warn!(file = %torn.file.display(), offset = torn.offset, bytes = torn.bytes, "cut a torn tail");
        }
        if let Some(snapshot) = snapshot.as_ref().filter(|snapshot| snapshot.header.until > recovered.sequence) {
            let (file, reason) = (snapshot.path.clone(), "it shows commits that the journal does not have");
            return Err(StoreError::SnapshotDamaged { file, reason });
        }
        let (options_of_view, journal_of_view) = (options.clone(), journal.reader());
        let source = Source { places: places.clone(), options: options_of_view, journal: journal_of_view, snapshot };
        let (loaded, rebuilt) = rebuild::open_view(&source, clean, &ballast)?;
        let report = OpenReport { recovered, rebuilt, replayed: loaded.replayed, rows: loaded.mark.tally.rows };
        let views = Arc::new(Views::new(loaded.view));
        let (mark, ballast_of_view) = (loaded.mark, Arc::clone(&ballast));
        let applier = Applier { views: Arc::clone(&views), mark, source, ballast: ballast_of_view };
        let (tasks, applier) = applier.start().map_err(|source| io_error("start the writer of", dir, source))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            report,
            reserve: Reserve::new(dir, options.reserve_bytes, Arc::clone(&options.free_space)),
            options,
            ballast,
            places,
            snapshots,
            compacting: Mutex::new(()),
            journal: Some(journal),
            tasks: Some(tasks),
            applier: Some(applier),
            views,
            gate: tokio::sync::RwLock::new(()),
            _lock: lock,
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

    /// Room that is kept for what protects people, also for other files of the directory.
    pub const fn ballast(&self) -> &Arc<Ballast> {
        &self.ballast
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
    /// [`StoreError::Journal`]; errors of single commits come with them, `CHANGES_COMPACTED` if a snapshot has taken
    /// their place: scan the rows, and go on from the head that was before the scan.
    pub fn changes(&self, from: Sequence) -> Result<Changes, StoreError> {
        Ok(Changes { dir: self.dir.clone(), replay: self.journal()?.replay(from.get())? })
    }

    /// Waits for the commits under way, and lets later ones wait for as long as what it gives lives: then everything
    /// that was committed is durable and seen by readers, and nothing is added. Hold it for milliseconds only.
    ///
    /// # Errors
    /// Those of a commit.
    pub async fn pause(&self) -> Result<Pause<'_>, StoreError> {
        let gate = self.gate.write().await;
        // A commit whose caller went away left the gate before it was done; an empty one comes after it.
        let mut last = Batch::new();
        last.protective();
        self.commit_admitted(vec![last]).await?;
        Ok(Pause(gate))
    }

    /// Reads and verifies everything: the snapshot, each record of the journal, each row of the view, and that the rows
    /// are those that the commits left. Commits wait while the view is read.
    ///
    /// # Errors
    /// [`StoreError::Journal`], [`StoreError::SnapshotDamaged`] or [`StoreError::ViewDamaged`]; the first flaw found.
    pub async fn check(&self) -> Result<CheckReport, StoreError> {
        let reader = self.journal()?.reader();
        let tasks = self.tasks.clone().ok_or(StoreError::Closed)?;
        let snapshots = self.snapshots.clone();
        let (reply, answer) = oneshot::channel();
        let files = blocking(move || {
            let snapshot = snapshots.verify()?;
            let journal = reader.verify()?;
            tasks.send(Task::Check { reply }).map_err(|_| StoreError::Closed)?;
            Ok((snapshot, journal))
        });
        let (snapshot, journal) = files.await?;
        let tally = answer.await.map_err(|_| StoreError::Closed)??;
        Ok(CheckReport { journal, snapshot, rows: tally.rows })
    }

    /// What keeps the store from writing or reading, if anything does: an alarm. Also the moment at which what can
    /// mend itself does so: call it now and then.
    ///
    /// # Errors
    /// [`StoreError::Journal`] if the journal stopped, the view's error if the view is not used,
    /// [`StoreError::DiskReserve`] if only protective batches are written.
    pub fn health(&self) -> Result<(), StoreError> {
        self.ballast.grow();
        if let Some(stopped) = self.journal()?.stopped() {
            return Err(stopped.into());
        }
        self.usable()?;
        self.reserve.admit(0, false)
    }

    /// Whether the view can be used; if the disk refused it, it is opened again behind the scenes.
    fn usable(&self) -> Result<(), StoreError> {
        let healthy = self.views.get().healthy();
        let refused = matches!(healthy, Err(StoreError::ViewUnwritable { .. }));
        if let Some(tasks) = self.tasks.as_ref().filter(|_| refused) {
            // A full queue has someone in it who will mend the view.
            let _ = tasks.try_send(Task::Mend);
        }
        healthy
    }

    fn journal(&self) -> Result<&Journal, StoreError> {
        self.journal.as_ref().ok_or(StoreError::Closed)
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.usable()?;
        let (view, key) = (self.views.get(), key.to_vec());
        blocking(move || view.get(area, &key)).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.usable()?;
        let view = self.views.get();
        blocking(move || view.scan(&scan)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Sequence, StoreError> {
        self.commit_record(vec![batch]).await
    }

    async fn get_many(&self, keys: Vec<(Area, Vec<u8>)>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.usable()?;
        let view = self.views.get();
        blocking(move || keys.iter().map(|(area, key)| view.get(*area, key)).collect()).await
    }

    /// As many as fit share a record of the journal, and with it a sync.
    async fn commit_all(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        let mut record: Vec<Batch> = Vec::new();
        let (mut operations, mut bytes) = (0, 0);
        for batch in batches {
            let more = record::size(&batch);
            let full = operations + batch.len() > record::MAX_RECORD_OPERATIONS || bytes + more > RECORD_BYTES;
            // What may use the reserve lends it to nothing else.
            let other = record.first().is_some_and(|first| first.is_protective() != batch.is_protective());
            if !record.is_empty() && (full || other) {
                self.commit_record(std::mem::take(&mut record)).await?;
                (operations, bytes) = (0, 0);
            }
            operations += batch.len();
            bytes += more;
            record.push(batch);
        }
        if record.is_empty() { Ok(()) } else { self.commit_record(record).await.map(drop) }
    }
}

impl EmbeddedStore {
    /// One record of the journal from batches that it can take.
    async fn commit_record(&self, batches: Vec<Batch>) -> Result<Sequence, StoreError> {
        let _open = self.gate.read().await;
        self.commit_admitted(batches).await
    }

    async fn commit_admitted(&self, batches: Vec<Batch>) -> Result<Sequence, StoreError> {
        batches.iter().try_for_each(Batch::check)?;
        self.usable()?;
        let payload = record::encode(&batches);
        self.reserve.admit(payload.len() as u64, batches.iter().all(Batch::is_protective))?;
        let outcomes = batches.iter().map(Outcome::from).collect();
        let tasks = self.tasks.clone().ok_or(StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let completion = move |durable: Result<(Head, Vec<u8>), JournalError>| match durable {
            Ok((head, _)) => {
                // A send that fails drops the reply, which reads as closed.
                let _ = tasks.send(Task::Apply { outcomes, head, reply });
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
        let Some(mark) = self.applier.take().and_then(|applier| applier.join().ok()) else { return };
        let view = self.views.get();
        // Without its mark the next open reads the view.
        let whole = view.watermark().is_ok_and(|stored| stored == Some(mark)) && view.close();
        if whole && let Err(error) = CleanMark::write(&self.dir, view.directory(), &mark) {
            tracing::warn!(%error, "the next start will read the whole view");
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
