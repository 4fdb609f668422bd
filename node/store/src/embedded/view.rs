//! sled behind a guard: its panics become errors, and a view that misbehaved once is not asked again.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use super::rows::{BadRow, Outcome, ROWS, Tally, WATERMARK, Watermark, checked, row_key};
use crate::error::StoreError;
use crate::journal::Head;
use crate::lock::DirectoryLock;
use crate::port::{Area, Row, Scan};

/// sled's own flush thread; garbage collection runs only there.
const FLUSH_EVERY_MS: u64 = 1000;

/// How long closing may take: after some failures sled waits for threads that are gone.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);
const CLOSE_LIMIT_BAD: Duration = Duration::from_secs(3);

/// An open view.
pub(super) struct View {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    dir: PathBuf,
    marker: PathBuf,
    bad: OnceLock<String>,
    /// Released after the engine is closed.
    lock: Option<DirectoryLock>,
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
        let db = Some(config.open()?);
        Ok(Self { db, dir: dir.to_path_buf(), marker: marker.to_path_buf(), bad: OnceLock::new(), lock: None })
    }

    /// Keeps the lock of the store's directory for as long as the view is open.
    pub(super) fn hold(&mut self, lock: DirectoryLock) {
        self.lock = Some(lock);
    }

    /// Whether the view can still be trusted.
    pub(super) fn healthy(&self) -> Result<(), StoreError> {
        self.bad.get().map_or(Ok(()), |what| Err(self.damaged(what.clone())))
    }

    /// Never asks this view again, and has the next start build a fresh one.
    pub(super) fn fail(&self, what: String) -> StoreError {
        // Without the mark the next start still finds most damage by itself.
        let _ = fs::write(&self.marker, what.as_bytes());
        self.stop(what)
    }

    /// Never asks this view again; the next start checks it.
    fn stop(&self, what: String) -> StoreError {
        tracing::error!(view = %self.dir.display(), what, "the view is not used any more until a restart");
        self.damaged(self.bad.get_or_init(|| what).clone())
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::ViewDamaged { dir: self.dir.clone(), what }
    }

    fn guard<T>(&self, work: impl FnOnce(&sled::Tree) -> Result<T, Bad>) -> Result<T, StoreError> {
        self.healthy()?;
        let db = self.db.as_ref().ok_or(StoreError::Closed)?;
        match catch_unwind(AssertUnwindSafe(|| work(db))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Bad::Damaged(what))) => Err(self.fail(what)),
            Ok(Err(Bad::Unwritable(what))) => Err(self.stop(what)),
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
                std::ops::Bound::Unbounded => std::ops::Bound::Excluded(vec![ROWS + 1]),
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
                    next.tally.remove(&before);
                }
                match stored {
                    Some(stored) => {
                        next.tally.add(stored);
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

    /// Reads every row, verifies its checksum and counts. `progress` is called now and then.
    pub(super) fn tally(&self, progress: impl Fn()) -> Result<Tally, StoreError> {
        self.guard(|tree| {
            let mut tally = Tally::default();
            for row in tree.range([ROWS]..) {
                let (key, stored) = row?;
                checked(&key, &stored)?;
                tally.add(&stored);
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
        self.db.as_ref().unwrap().insert(key, stored).unwrap();
    }

    pub(super) fn panic_inside(&self) -> StoreError {
        self.guard::<()>(|_| panic!("inside the engine")).unwrap_err()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        let limit = if self.bad.get().is_some() { CLOSE_LIMIT_BAD } else { CLOSE_LIMIT };
        let (sender, receiver) = mpsc::channel();
        let closing = std::thread::Builder::new().name("view-close".to_owned()).spawn(move || {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let _ = db.flush();
                drop(db);
            }));
            let _ = sender.send(());
        });
        // A view that does not close is left behind: the journal has everything.
        if closing.is_ok() && receiver.recv_timeout(limit).is_err() {
            tracing::warn!(view = %self.dir.display(), "the view did not close in time");
        }
    }
}

/// What sled or a row did wrong, as text without contents.
enum Bad {
    /// The files are not to be trusted.
    Damaged(String),
    /// The disk is full or failing: sled does not recover from that while it is open, but its files may be whole.
    Unwritable(String),
}

impl From<sled::Error> for Bad {
    fn from(error: sled::Error) -> Self {
        let what = describe(&error);
        if matches!(error, sled::Error::Io(_)) { Self::Unwritable(what) } else { Self::Damaged(what) }
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
