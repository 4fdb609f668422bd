//! sled behind a guard: its panics become errors, and a view that misbehaved once is not asked again.

use std::fs;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, TryLockError, mpsc};
use std::time::Duration;

use super::rows::{BadRow, Outcome, ROWS, Tally, WATERMARK, Watermark, checked, protect, row_key};
use crate::error::{StoreError, is_passing};
use crate::journal::Head;
use crate::port::{Area, Row, Scan};

/// sled's own flush thread; garbage collection runs only there.
const FLUSH_EVERY_MS: u64 = 1000;

/// How long closing may take: after some failures sled waits for threads that are gone.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);
const CLOSE_LIMIT_BAD: Duration = Duration::from_secs(3);

/// An open view.
pub(super) struct View {
    /// `None` once it is closed.
    db: RwLock<Option<sled::Db>>,
    dir: PathBuf,
    marker: PathBuf,
    bad: OnceLock<Bad>,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("dir", &self.dir).field("bad", &self.bad.get()).finish_non_exhaustive()
    }
}

impl View {
    /// Opens sled in `dir`, creating it if need be. May panic or never return, as sled may: call it on a thread of
    /// its own. `marker` is the file that makes the next start build a fresh view.
    pub(super) fn open(dir: &Path, marker: &Path, cache_bytes: u64) -> sled::Result<Self> {
        let config = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let db = RwLock::new(Some(config.open()?));
        Ok(Self { db, dir: dir.to_path_buf(), marker: marker.to_path_buf(), bad: OnceLock::new() })
    }

    /// Its files.
    pub(super) fn directory(&self) -> &Path {
        &self.dir
    }

    /// Whether the view can still be used.
    pub(super) fn healthy(&self) -> Result<(), StoreError> {
        self.bad.get().map_or(Ok(()), |bad| Err(self.error(bad)))
    }

    /// Whether it was stopped by a disk that is full or failing: opened again, it may be whole.
    pub(super) fn is_unwritable(&self) -> bool {
        matches!(self.bad.get(), Some(Bad::Unwritable(..)))
    }

    /// Never asks this view again, and has the next start build a fresh one.
    pub(super) fn fail(&self, what: String) -> StoreError {
        // Without the mark the next start still finds most damage by itself.
        let _ = fs::write(&self.marker, what.as_bytes());
        self.stop(Bad::Damaged(what))
    }

    /// Never asks this view again.
    fn stop(&self, bad: Bad) -> StoreError {
        if self.bad.get().is_none() {
            tracing::error!(view = %self.dir.display(), what = bad.what(), "the view is not used any more");
        }
        self.error(self.bad.get_or_init(|| bad))
    }

    fn error(&self, bad: &Bad) -> StoreError {
        let (dir, what) = (self.dir.clone(), bad.what().to_owned());
        match bad {
            Bad::Damaged(_) => StoreError::ViewDamaged { dir, what },
            Bad::Unwritable(_, passing) => StoreError::ViewUnwritable { dir, what, passing: *passing },
        }
    }

    fn guard<T>(&self, work: impl FnOnce(&sled::Tree) -> Result<T, Bad>) -> Result<T, StoreError> {
        self.healthy()?;
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(StoreError::Closed)?;
        match catch_unwind(AssertUnwindSafe(|| work(db))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Bad::Damaged(what))) => Err(self.fail(what)),
            Ok(Err(bad @ Bad::Unwritable(..))) => Err(self.stop(bad)),
            Err(_) => Err(self.fail("the engine panicked".to_owned())),
        }
    }

    pub(super) fn watermark(&self) -> Result<Option<Watermark>, StoreError> {
        self.guard(|tree| Ok(tree.get(WATERMARK)?.map(|stored| Watermark::decode(&stored)).transpose()?))
    }

    pub(super) fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let key = row_key(&area.store_key(key));
        self.guard(|tree| match tree.get(&key)? {
            Some(stored) => Ok(Some(checked(&key, &stored)?.to_vec())),
            None => Ok(None),
        })
    }

    pub(super) fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let Some((lower, upper)) = scan.bounds() else { return Ok(Vec::new()) };
        let bounds = (
            lower.map(|key| row_key(&key)),
            match upper {
                Bound::Unbounded => Bound::Excluded(vec![ROWS + 1]),
                bound => bound.map(|key| row_key(&key)),
            },
        );
        let row = |found: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, stored) = found?;
            let value = checked(&key, &stored)?.to_vec();
            Ok((key.get(3..).unwrap_or_default().to_vec(), value))
        };
        self.guard(|tree| {
            let rows = tree.range::<Vec<u8>, _>(bounds);
            if scan.reverse {
                rows.rev().take(scan.limit).map(row).collect()
            } else {
                rows.take(scan.limit).map(row).collect()
            }
        })
    }

    /// Applies what commits up to `head` left, in one atomic batch, and moves `mark`. One thread only.
    pub(super) fn apply(&self, outcome: &Outcome, head: Head, mark: &mut Watermark) -> Result<(), StoreError> {
        self.guard(|tree| {
            let mut next = Watermark { head, tally: mark.tally };
            let mut batch = sled::Batch::default();
            for (key, stored) in &outcome.0 {
                if let Some(before) = tree.get(key)? {
                    next.tally.remove(key, &before);
                }
                match stored {
                    Some(stored) => {
                        next.tally.add(key, stored);
                        batch.insert(key.as_slice(), stored.as_slice());
                    }
                    None => batch.remove(key.as_slice()),
                }
            }
            batch.insert(&WATERMARK, next.encode());
            tree.apply_batch(batch)?;
            *mark = next;
            Ok(())
        })
    }

    /// Rows of all areas after the store key `after`, at most `limit`, as store keys and values.
    pub(super) fn page(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let lower = after.map_or(Bound::Included(vec![ROWS]), |after| Bound::Excluded(row_key(after)));
        self.guard(|tree| {
            let rows = tree.range::<Vec<u8>, _>((lower, Bound::Unbounded)).take(limit);
            rows.map(|row| {
                let (key, stored) = row?;
                let value = checked(&key, &stored)?.to_vec();
                Ok((key.get(1..).unwrap_or_default().to_vec(), value))
            })
            .collect()
        })
    }

    /// Puts rows into a view that nobody uses yet, and counts them.
    pub(super) fn load(&self, rows: &[Row], tally: &mut Tally) -> Result<(), StoreError> {
        self.guard(|tree| {
            for (store_key, value) in rows {
                let key = row_key(store_key);
                let stored = protect(&key, value);
                tally.add(&key, &stored);
                tree.insert(key, stored)?;
            }
            Ok(())
        })
    }

    /// Ends loading: from here on the view is that of a commit.
    pub(super) fn begin(&self, mark: &Watermark) -> Result<(), StoreError> {
        self.guard(|tree| {
            tree.insert(WATERMARK, mark.encode())?;
            Ok(())
        })
    }

    /// Hands everything to the system.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        self.guard(|tree| {
            tree.flush()?;
            Ok(())
        })
    }

    /// Reads every row, verifies its checksum and counts. `progress` is called now and then.
    pub(super) fn tally(&self, progress: impl Fn()) -> Result<Tally, StoreError> {
        self.guard(|tree| {
            let mut tally = Tally::default();
            for row in tree.range([ROWS]..) {
                let (key, stored) = row?;
                checked(&key, &stored)?;
                tally.add(&key, &stored);
                if tally.rows % 1024 == 0 {
                    progress();
                }
            }
            Ok(tally)
        })
    }
}

#[cfg(test)]
impl View {
    /// Changes a row as failing memory would.
    pub(super) fn overwrite(&self, key: &[u8], stored: &[u8]) {
        self.db.read().unwrap().as_ref().unwrap().insert(key, stored).unwrap();
    }

    /// Has the engine report `error` now.
    pub(super) fn refuse(&self, error: std::io::Error) -> StoreError {
        self.guard::<()>(|_| Err(sled::Error::Io(error).into())).unwrap_err()
    }

    pub(super) fn panic_inside(&self) -> StoreError {
        self.guard::<()>(|_| panic!("inside the engine")).unwrap_err()
    }
}

impl View {
    /// Waits for those who read, and closes the engine; `false` if it did not close in order and in time, and then
    /// its threads are left behind: the journal has everything.
    pub(super) fn close(&self) -> bool {
        let limit = if self.bad.get().is_some() { CLOSE_LIMIT_BAD } else { CLOSE_LIMIT };
        let Some(db) = self.take(limit) else { return false };
        let (sender, receiver) = mpsc::channel();
        let closing = std::thread::Builder::new().name("view-close".to_owned()).spawn(move || {
            let flushed = catch_unwind(AssertUnwindSafe(|| {
                let flushed = db.flush().is_ok();
                drop(db);
                flushed
            }));
            let _ = sender.send(flushed.unwrap_or(false));
        });
        let closed = closing.ok().and_then(|_| receiver.recv_timeout(limit).ok());
        if closed.is_none() {
            tracing::warn!(view = %self.dir.display(), "the view did not close in time");
        }
        closed == Some(true) && self.bad.get().is_none()
    }

    /// The engine, once nobody is inside it.
    fn take(&self, limit: Duration) -> Option<sled::Db> {
        const STEP: Duration = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        loop {
            match self.db.try_write() {
                Ok(mut db) => return db.take(),
                Err(TryLockError::Poisoned(db)) => return db.into_inner().take(),
                Err(TryLockError::WouldBlock) if waited < limit => {
                    std::thread::sleep(STEP);
                    waited += STEP;
                }
                Err(TryLockError::WouldBlock) => return None,
            }
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.db.get_mut().unwrap_or_else(PoisonError::into_inner).is_some() {
            self.close();
        }
    }
}

/// The view that is used at present.
#[derive(Debug)]
pub(super) struct Views(RwLock<Arc<View>>);

impl Views {
    pub(super) fn new(view: View) -> Self {
        Self(RwLock::new(Arc::new(view)))
    }

    pub(super) fn get(&self) -> Arc<View> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place; who asked the old one already, still gets its answer.
    pub(super) fn replace(&self, view: View) -> Arc<View> {
        std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), Arc::new(view))
    }
}

/// What sled or a row did wrong, as text without contents.
#[derive(Debug)]
enum Bad {
    /// The files are not to be trusted.
    Damaged(String),
    /// The disk is full or failing: sled does not recover from that while it is open, but its files may be whole.
    /// With whether the files are not to blame.
    Unwritable(String, bool),
}

impl Bad {
    fn what(&self) -> &str {
        let (Self::Damaged(what) | Self::Unwritable(what, _)) = self;
        what
    }
}

impl From<sled::Error> for Bad {
    fn from(error: sled::Error) -> Self {
        let what = describe(&error);
        match error {
            sled::Error::Io(source) => Self::Unwritable(what, is_passing(&source)),
            _ => Self::Damaged(what),
        }
    }
}

impl From<BadRow> for Bad {
    fn from(_: BadRow) -> Self {
        Self::Damaged("a row's checksum does not match".to_owned())
    }
}

/// sled's errors as text; two of their kinds may carry bytes of keys.
pub(super) fn describe(error: &sled::Error) -> String {
    match error {
        sled::Error::CollectionNotFound(_) => "a collection is missing".to_owned(),
        sled::Error::ReportableBug(_) => "the engine found a mistake of its own".to_owned(),
        sled::Error::Unsupported(what) => format!("the engine does not support its files: {what}"),
        sled::Error::Io(error) => format!("the engine cannot read or write: {error}"),
        sled::Error::Corruption { at, .. } => match at {
            Some(at) => format!("the engine found damage at {at:?}"),
            None => "the engine found damage".to_owned(),
        },
    }
}
