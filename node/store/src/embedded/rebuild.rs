//! Bringing the view up to the journal, or replacing it.
//!
//! The view is opened, checked and brought up to date on a thread of its own, because sled may panic or hang on
//! files that it cannot read. A thread that makes no progress for the limit is left behind; each attempt has its own
//! directory `<dir>/view/<n>`, so that it cannot write into the next view should it wake up.

use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::clean::CleanMark;
use super::places::Places;
use super::record;
use super::rows::{Outcome, Tally, Watermark};
use super::snapshot::{Rows, Snapshot};
use super::view::{View, describe};
use super::{EmbeddedOptions, io_error};
use crate::ballast::Ballast;
use crate::error::{StoreError, is_passing};
use crate::journal::{Head, JournalError, Reader};
use crate::port::MAX_OPERATIONS;

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
    /// It is older than the snapshot: the commits between are no more in the journal.
    Behind {
        /// The last commit in the view.
        view: u64,
        /// The last commit that the snapshot stands for.
        snapshot: u64,
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
            Self::Behind { view, snapshot } => {
                write!(f, "the view ends at commit {view}, the journal begins after {snapshot}")
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
    /// Whether there was nothing before.
    fresh: bool,
}

/// What a view is made from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) places: Places,
    pub(super) options: EmbeddedOptions,
    pub(super) journal: Reader,
    pub(super) snapshot: Option<Snapshot>,
}

/// Why loading did not work.
#[derive(Debug)]
pub(super) enum Flaw {
    /// A fresh view will do.
    View(RebuildReason),
    /// It will not.
    Fatal(StoreError),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View(reason) => reason.fmt(f),
            Self::Fatal(error) => error.fmt(f),
        }
    }
}

impl From<JournalError> for Flaw {
    fn from(error: JournalError) -> Self {
        Self::Fatal(error.into())
    }
}

impl From<StoreError> for Flaw {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ViewDamaged { what, .. } | StoreError::ViewUnwritable { what, passing: false, .. } => {
                Self::View(RebuildReason::Unreadable(what))
            }
            other => Self::Fatal(other),
        }
    }
}

/// Opens the view, or replaces it; if the disk is full, on what the ballast gives. Blocking.
pub(super) fn open_view(
    source: &Source,
    clean: Option<CleanMark>,
    ballast: &Ballast,
) -> Result<(Loaded, Option<Rebuilt>), StoreError> {
    ballast.ease_if_short();
    let load = |clean| {
        let refused = |flaw: &Flaw| matches!(flaw, Flaw::Fatal(StoreError::ViewUnwritable { .. }));
        ballast.retry(refused, || load(source, clean))
    };
    let places = &source.places;
    let reason = match fs::read_to_string(&places.marker) {
        Ok(what) => RebuildReason::Marked(what),
        Err(_) if places.marker.exists() => RebuildReason::Marked("the mark cannot be read".to_owned()),
        Err(_) => match load(clean) {
            Ok(loaded) => {
                let missing = loaded.fresh && source.journal.head().sequence > 0;
                let rebuilt = missing.then_some(Rebuilt { reason: RebuildReason::Missing, moved_to: None });
                return Ok((loaded, rebuilt));
            }
            Err(Flaw::View(reason)) => reason,
            Err(Flaw::Fatal(error)) => return Err(error),
        },
    };
    tracing::error!(view = %places.view.display(), %reason, "the view is replaced by one built from the journal");
    let moved_to = places.move_aside(reason.is_evidence(), &source.options)?;
    match load(None) {
        Ok(loaded) => Ok((loaded, Some(Rebuilt { reason, moved_to }))),
        Err(Flaw::View(what)) => Err(StoreError::ViewUnbuildable { dir: places.view.clone(), what: what.to_string() }),
        Err(Flaw::Fatal(error)) => Err(error),
    }
}

/// Runs [`bring_up`] on its own thread for as long as it makes progress.
pub(super) fn load(source: &Source, clean: Option<CleanMark>) -> Result<Loaded, Flaw> {
    let sled = source.places.present()?;
    let progress = Arc::new(Progress::default());
    let (sender, receiver) = mpsc::channel();
    let job = Job { source: source.clone(), sled, clean, progress: Arc::clone(&progress) };
    let thread = std::thread::Builder::new().name("view-open".to_owned());
    let spawned = thread.spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| bring_up(&job)));
        let _ = sender.send(outcome.unwrap_or(Err(Flaw::View(RebuildReason::Panicked))));
    });
    spawned.map_err(|error| Flaw::Fatal(io_error("start a thread for", &source.places.view, error)))?;
    let mut seen = 0;
    loop {
        match receiver.recv_timeout(source.options.open_limit) {
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
    source: Source,
    sled: PathBuf,
    clean: Option<CleanMark>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    steps: AtomicU64,
    /// Nobody waits any more.
    abandoned: AtomicBool,
}

impl Job {
    fn step(&self) -> Result<(), Flaw> {
        self.progress.steps.fetch_add(1, Ordering::Relaxed);
        let abandoned = self.progress.abandoned.load(Ordering::Relaxed);
        if abandoned { Err(Flaw::View(RebuildReason::Hung)) } else { Ok(()) }
    }
}

/// Opens, checks and brings the view up to the journal's head.
fn bring_up(job: &Job) -> Result<Loaded, Flaw> {
    let source = &job.source;
    source.options.before_open().map_err(|error| refused(job, &error.into()))?;
    job.step()?;
    // What vouches for the files must do so before the engine touches them.
    let untouched = job.clean.filter(|clean| clean.is_of(&job.sled));
    let view = open_released(job)?;
    job.step()?;
    let head = source.journal.head();
    let found = view.watermark()?;
    if let Some(mark) = found.filter(|mark| mark.head.sequence > head.sequence) {
        return Err(ahead(job, mark.head.sequence));
    }
    if !found.is_some_and(|mark| untouched.is_some_and(|clean| clean.vouches(&mark))) {
        let tally = view.tally(|| {
            let _ = job.step();
        })?;
        if tally != found.map_or(Tally::default(), |mark| mark.tally) {
            return Err(Flaw::View(RebuildReason::RowsDiffer));
        }
    }
    let fresh = found.is_none();
    let mut mark = match (found, &source.snapshot) {
        (Some(mark), _) => mark,
        (None, Some(snapshot)) => load_snapshot(&view, snapshot, &mut || job.step())?,
        (None, None) => Watermark { head: Head { sequence: 0, chain: head.chain }, tally: Tally::default() },
    };
    let replayed = follow(&view, &mut mark, &source.journal, &mut || job.step())?;
    Ok(Loaded { view, mark, replayed, fresh })
}

/// Fills a view that nobody uses yet.
pub(super) fn load_snapshot(
    view: &View,
    snapshot: &Snapshot,
    step: &mut dyn FnMut() -> Result<(), Flaw>,
) -> Result<Watermark, Flaw> {
    let mut rows = Rows::open(&snapshot.path)?;
    let mut tally = Tally::default();
    while let Some(block) = rows.block()? {
        view.load(&block, &mut tally)?;
        step()?;
    }
    // Last: a view without its mark is no view.
    let mark = Watermark { head: snapshot.header.head, tally };
    view.begin(&mark)?;
    Ok(mark)
}

/// Applies the records after `mark` up to the reader's head; returns how many.
pub(super) fn follow(
    view: &View,
    mark: &mut Watermark,
    journal: &Reader,
    step: &mut dyn FnMut() -> Result<(), Flaw>,
) -> Result<u64, Flaw> {
    let start = mark.head;
    let base = journal.base().map_or(0, |base| base.sequence);
    if start.sequence < base {
        return Err(Flaw::View(RebuildReason::Behind { view: start.sequence, snapshot: base }));
    }
    if journal.base().is_some_and(|base| base.sequence == start.sequence && base.chain != start.chain) {
        return Err(Flaw::View(RebuildReason::ChainDiffers { sequence: start.sequence }));
    }
    let (mut outcome, mut operations, mut replayed) = (Outcome::default(), 0, 0);
    let mut reached = start;
    // The record of the mark shows that the view is of this journal; at its base the journal itself does.
    let from = if start.sequence == base { base + 1 } else { start.sequence };
    for record in journal.replay(from)? {
        let record = record?;
        if record.sequence == start.sequence {
            if record.chain != start.chain {
                return Err(Flaw::View(RebuildReason::ChainDiffers { sequence: record.sequence }));
            }
            continue;
        }
        let changes = record::decode(&record.payload).map_err(|record::Malformed| Flaw::Fatal(malformed(journal)))?;
        if operations + changes.len() > MAX_OPERATIONS {
            view.apply(&outcome, reached, mark)?;
            (outcome, operations) = (Outcome::default(), 0);
            step()?;
        }
        outcome.add(&changes);
        operations += changes.len();
        replayed += 1;
        reached = Head { sequence: record.sequence, chain: record.chain };
    }
    if reached != mark.head {
        view.apply(&outcome, reached, mark)?;
    }
    Ok(replayed)
}

fn malformed(journal: &Reader) -> StoreError {
    super::malformed(journal.directory())
}

/// Opens sled; waits while an earlier view of this process, which our own lock does not cover, still closes.
fn open_released(job: &Job) -> Result<View, Flaw> {
    const STEP: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match View::open(&job.sled, &job.source.places.marker, job.source.options.cache_bytes) {
            Ok(view) => return Ok(view),
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && waited < job.source.options.open_limit =>
            {
                std::thread::sleep(STEP);
                waited += STEP;
                job.step()?;
            }
            Err(error) => return Err(refused(job, &error)),
        }
    }
}

/// A view that cannot be opened: a fresh one will do, unless its files are not to blame.
fn refused(job: &Job, error: &sled::Error) -> Flaw {
    let what = describe(error);
    match error {
        sled::Error::Io(source) if is_passing(source) => {
            Flaw::Fatal(StoreError::ViewUnwritable { dir: job.sled.clone(), what, passing: true })
        }
        _ => Flaw::View(RebuildReason::Unreadable(what)),
    }
}

/// A view that knows more than the journal. If there is no journal at all, somebody took it away: starting empty
/// beside the evidence would be no repair.
fn ahead(job: &Job, view: u64) -> Flaw {
    let journal = job.source.journal.head().sequence;
    if journal > 0 {
        return Flaw::View(RebuildReason::Ahead { view, journal });
    }
    let file = job.source.journal.first_file();
    let reason = "the file is missing, but the view was built from it";
    let remedy = "restore the journal from a backup or a replica; to begin empty, move the whole directory away";
    Flaw::Fatal(JournalError::Damaged { file, offset: 0, reason, remedy }.into())
}
