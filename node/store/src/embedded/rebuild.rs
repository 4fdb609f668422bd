//! Bringing the view up to the journal, or replacing it.
//!
//! The view is opened, checked and brought up to date on a thread of its own, because sled may panic or hang on
//! files that it cannot read. A thread that makes no progress for the limit is left behind; each attempt has its own
//! directory `<dir>/view/<n>`, so that it cannot write into the next view should it wake up.

use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::record;
use super::rows::{Outcome, Tally, Watermark};
use super::view::{View, describe};
use super::{EmbeddedOptions, io_error, malformed};
use crate::error::StoreError;
use crate::journal::{Head, JournalError, Reader, sync_directory};
use crate::port::MAX_OPERATIONS;

/// How many replaced views are kept for those who want to know what happened.
const KEPT: usize = 2;

const DAMAGED: &str = "view.damaged-";
const EVIDENCE: &str = "view.evidence-";

/// Why a view was replaced by one built from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// There was none although the journal has records.
    Missing,
    /// The last run found it damaged and said so.
    Marked(String),
    /// The engine could not open or read it.
    Unreadable(String),
    /// The engine panicked.
    Panicked,
    /// The engine made no progress within the limit.
    Hung,
    /// It holds commits that the journal does not have: **the journal lost records**.
    Ahead {
        /// The last commit in the view.
        view: u64,
        /// The last record of the journal.
        journal: u64,
    },
    /// Its last commit is not the one that the journal has at this place.
    ChainDiffers {
        /// The place.
        sequence: u64,
    },
    /// Rows are missing or too many, or it does not know its own place.
    RowsDiffer,
}

impl RebuildReason {
    /// Whether the view may hold acknowledged commits that are nowhere else.
    const fn is_evidence(&self) -> bool {
        matches!(self, Self::Ahead { .. } | Self::ChainDiffers { .. })
    }
}

impl fmt::Display for RebuildReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the view was missing"),
            Self::Marked(what) => write!(f, "the last run marked the view as damaged: {what}"),
            Self::Unreadable(what) => write!(f, "the view could not be read: {what}"),
            Self::Panicked => f.write_str("the engine panicked on the view"),
            Self::Hung => f.write_str("the engine hung on the view"),
            Self::Ahead { view, journal } => {
                write!(
                    f,
                    "the view holds commits up to {view}, the journal only up to {journal}: the journal lost records"
                )
            }
            Self::ChainDiffers { sequence } => write!(f, "the view's commit {sequence} is not the journal's"),
            Self::RowsDiffer => f.write_str("rows of the view are missing or too many"),
        }
    }
}

/// A view that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Why.
    pub reason: RebuildReason,
    /// Where the old one is now; `None` if there was none, or no room to keep it.
    pub moved_to: Option<PathBuf>,
}

/// A view that is level with the journal.
pub(super) struct Loaded {
    pub(super) view: View,
    pub(super) mark: Watermark,
    /// How many records were applied.
    pub(super) replayed: u64,
}

/// The paths around the view.
pub(super) struct Places {
    dir: PathBuf,
    pub(super) view: PathBuf,
    marker: PathBuf,
}

/// Why loading did not work.
enum Flaw {
    /// A fresh view will do.
    View(RebuildReason),
    /// It will not.
    Fatal(StoreError),
}

impl From<JournalError> for Flaw {
    fn from(error: JournalError) -> Self {
        Self::Fatal(error.into())
    }
}

impl From<StoreError> for Flaw {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ViewDamaged { what, .. } => Self::View(RebuildReason::Unreadable(what)),
            other => Self::Fatal(other),
        }
    }
}

/// Opens the view, or replaces it. Blocking.
pub(super) fn open_view(
    dir: &Path,
    options: &EmbeddedOptions,
    journal: &Reader,
) -> Result<(Loaded, Option<Rebuilt>), StoreError> {
    let places = Places { dir: dir.to_path_buf(), view: dir.join("view"), marker: dir.join("view.rebuild") };
    let reason = match fs::read_to_string(&places.marker) {
        Ok(what) => RebuildReason::Marked(what),
        Err(_) if places.marker.exists() => RebuildReason::Marked("the mark cannot be read".to_owned()),
        Err(_) => match load(&places, options, journal) {
            Ok(loaded) => {
                let missing = loaded.replayed > 0 && loaded.replayed == journal.head().sequence;
                let rebuilt = missing.then_some(Rebuilt { reason: RebuildReason::Missing, moved_to: None });
                return Ok((loaded, rebuilt));
            }
            Err(Flaw::View(reason)) => reason,
            Err(Flaw::Fatal(error)) => return Err(error),
        },
    };
    tracing::error!(view = %places.view.display(), %reason, "the view is replaced by one built from the journal");
    let moved_to = places.move_aside(&reason, options)?;
    match load(&places, options, journal) {
        Ok(loaded) => Ok((loaded, Some(Rebuilt { reason, moved_to }))),
        Err(Flaw::View(what)) => Err(StoreError::ViewUnbuildable { dir: places.view, what: what.to_string() }),
        Err(Flaw::Fatal(error)) => Err(error),
    }
}

impl Places {
    /// Moves the view to where it can do no harm, and takes the mark away.
    fn move_aside(&self, reason: &RebuildReason, options: &EmbeddedOptions) -> Result<Option<PathBuf>, StoreError> {
        let prefix = if reason.is_evidence() { EVIDENCE } else { DAMAGED };
        let aside = self.dir.join(format!("{prefix}{}", self.last_moved()? + 1));
        let moved = match fs::rename(&self.view, &aside) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(io_error("move aside", &self.view, source)),
        };
        match fs::remove_file(&self.marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &self.marker, error));
            }
            _ => {}
        }
        sync_directory(&self.dir).map_err(|source| io_error("sync", &self.dir, source))?;
        self.make_room(options)?;
        Ok(Some(aside).filter(|aside| moved && aside.exists()))
    }

    /// Removes all but the last damaged views, and those too if the disk may not hold one more.
    fn make_room(&self, options: &EmbeddedOptions) -> Result<(), StoreError> {
        let damaged = numbered(&self.dir, DAMAGED)?;
        let needed = damaged.last().map_or(0, |(_, path)| size(path)).saturating_add(options.reserve_bytes);
        let short = options.free_space.free(&self.dir).is_ok_and(|free| free < needed);
        let kept = if short { 0 } else { KEPT };
        for (_, old) in damaged.iter().rev().skip(kept) {
            // What cannot be removed only takes room.
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }

    /// The highest number of a view that was moved aside.
    fn last_moved(&self) -> Result<u64, StoreError> {
        let last = |views: Vec<(u64, PathBuf)>| views.last().map_or(0, |(number, _)| *number);
        Ok(last(numbered(&self.dir, DAMAGED)?).max(last(numbered(&self.dir, EVIDENCE)?)))
    }

    /// The directory for sled: the present one, or a name that no earlier view of this process had.
    fn sled(&self) -> Result<PathBuf, StoreError> {
        fs::create_dir_all(&self.view).map_err(|e| io_error("create", &self.view, e))?;
        if let Some((_, present)) = numbered(&self.view, "")?.pop() {
            return Ok(present);
        }
        Ok(self.view.join((self.last_moved()? + 1).to_string()))
    }
}

/// Entries of `dir` called `<prefix><number>`, by number.
fn numbered(dir: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| io_error("list", dir, e))? {
        let path = entry.map_err(|e| io_error("list", dir, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix(prefix).and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes of the files under `dir`, as far as they can be read.
fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.fold(0, u64::saturating_add)
}

/// Runs [`bring_up`] on its own thread for as long as it makes progress.
fn load(places: &Places, options: &EmbeddedOptions, journal: &Reader) -> Result<Loaded, Flaw> {
    let sled = places.sled()?;
    let progress = Arc::new(Progress::default());
    let (sender, receiver) = mpsc::channel();
    let job = Job {
        dir: places.dir.clone(),
        sled,
        marker: places.marker.clone(),
        options: options.clone(),
        journal: journal.clone(),
        progress: Arc::clone(&progress),
    };
    let thread = std::thread::Builder::new().name("view-open".to_owned());
    let spawned = thread.spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| bring_up(&job)));
        let _ = sender.send(outcome.unwrap_or(Err(Flaw::View(RebuildReason::Panicked))));
    });
    spawned.map_err(|error| Flaw::Fatal(io_error("start a thread for", &places.view, error)))?;
    let mut seen = 0;
    loop {
        match receiver.recv_timeout(options.open_limit) {
            Ok(outcome) => return outcome,
            Err(RecvTimeoutError::Disconnected) => return Err(Flaw::View(RebuildReason::Panicked)),
            Err(RecvTimeoutError::Timeout) => {
                let now = progress.steps.load(Ordering::Relaxed);
                if now == seen {
                    progress.abandoned.store(true, Ordering::Relaxed);
                    return Err(Flaw::View(RebuildReason::Hung));
                }
                seen = now;
            }
        }
    }
}

struct Job {
    dir: PathBuf,
    sled: PathBuf,
    marker: PathBuf,
    options: EmbeddedOptions,
    journal: Reader,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    steps: AtomicU64,
    /// Nobody waits any more.
    abandoned: AtomicBool,
}

impl Job {
    fn step(&self) {
        self.progress.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn still_wanted(&self) -> Result<(), Flaw> {
        let abandoned = self.progress.abandoned.load(Ordering::Relaxed);
        if abandoned { Err(Flaw::View(RebuildReason::Hung)) } else { Ok(()) }
    }
}

/// Opens, checks and brings the view up to the journal's head.
fn bring_up(job: &Job) -> Result<Loaded, Flaw> {
    job.options.before_open();
    job.still_wanted()?;
    let view = open_released(job)?;
    job.step();
    job.still_wanted()?;
    let head = job.journal.head();
    let found = view.watermark()?;
    if let Some(mark) = found.filter(|mark| mark.head.sequence > head.sequence) {
        return Err(ahead(job, mark.head.sequence));
    }
    let tally = view.tally(|| job.step())?;
    if tally != found.map_or(Tally::default(), |mark| mark.tally) {
        return Err(Flaw::View(RebuildReason::RowsDiffer));
    }
    let genesis = Head { sequence: 0, chain: head.chain };
    let mut mark = found.unwrap_or(Watermark { head: genesis, tally });
    let mut outcome = Outcome::default();
    let (mut operations, mut replayed) = (0, 0);
    let start = mark.head;
    let mut reached = start;
    for record in job.journal.replay(start.sequence)? {
        let record = record?;
        if record.sequence == start.sequence {
            if record.chain != start.chain {
                return Err(Flaw::View(RebuildReason::ChainDiffers { sequence: record.sequence }));
            }
            continue;
        }
        let changes = record::decode(&record.payload).map_err(|record::Malformed| Flaw::Fatal(malformed(&job.dir)))?;
        if operations + changes.len() > MAX_OPERATIONS {
            view.apply(&outcome, reached, &mut mark)?;
            (outcome, operations) = (Outcome::default(), 0);
            job.step();
            job.still_wanted()?;
        }
        outcome.add(&changes);
        operations += changes.len();
        replayed += 1;
        reached = Head { sequence: record.sequence, chain: record.chain };
    }
    if reached != mark.head {
        view.apply(&outcome, reached, &mut mark)?;
    }
    Ok(Loaded { view, mark, replayed })
}

/// Opens sled; waits while an earlier view of this process, which our own lock does not cover, still closes.
fn open_released(job: &Job) -> Result<View, Flaw> {
    const STEP: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match View::open(&job.sled, &job.marker, job.options.cache_bytes) {
            Ok(view) => return Ok(view),
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && waited < job.options.open_limit =>
            {
                std::thread::sleep(STEP);
                waited += STEP;
                job.step();
            }
            Err(error) => return Err(Flaw::View(RebuildReason::Unreadable(describe(&error)))),
        }
    }
}

/// A view that knows more than the journal. If there is no journal at all, somebody took it away: starting empty
/// beside the evidence would be no repair.
fn ahead(job: &Job, view: u64) -> Flaw {
    let journal = job.journal.head().sequence;
    if journal > 0 {
        return Flaw::View(RebuildReason::Ahead { view, journal });
    }
    let file = job.journal.first_file();
    let reason = "the file is missing, but the view was built from it";
    let remedy = "restore the journal from a backup or a replica; to begin empty, move the whole directory away";
    Flaw::Fatal(JournalError::Damaged { file, offset: 0, reason, remedy }.into())
}
