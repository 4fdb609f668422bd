//! Room that is taken ahead of need: a file that gives its blocks back, step by step, when the disk is full.
//!
//! **Promises.** Ordinary writes stop at the [disk reserve](crate::reserve). When other programs fill the disk to its
//! end all the same, what protects people still needs a little: the next journal file, the engine's pages, the new
//! files of a purge. Whoever needs it calls [`Ballast::ease`]; the file becomes smaller by [`STEP`] and its room goes to
//! whoever writes next. It is small steps, so that a program that fills the disk does not get all of it at once. The
//! file grows back when there is room again.
//!
//! **Not promised.** That the room goes to us. And when all of it is used up, nothing more can be written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs4::FileExt as _;

use crate::reserve::FreeSpace;

/// What is given back at once.
pub const STEP: u64 = 4 * 1024 * 1024;
/// The most that is kept.
const LARGEST: u64 = 32 * 1024 * 1024;
/// Below this much free space the engine is helped before it asks.
const SHORT: u64 = 4 * 1024 * 1024;

/// The file `<dir>/ballast`.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
    /// What it has when it is whole; 0 if there is none.
    whole: u64,
    reserve: u64,
    source: Arc<dyn FreeSpace>,
    /// What it has now.
    left: Mutex<u64>,
}

impl Ballast {
    /// The ballast of a store that keeps `reserve` bytes free: an eighth of that, at most 32 MiB, in whole steps. It is
    /// made if there is room for it beside the reserve.
    pub fn open(dir: &Path, reserve: u64, source: Arc<dyn FreeSpace>) -> Self {
        let path = dir.join("ballast");
        let whole = (reserve / 8).min(LARGEST) / STEP * STEP;
        let left = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let ballast = Self { path, whole, reserve, source, left: Mutex::new(left) };
        ballast.grow();
        ballast
    }

    /// Gives one step back; `false` if nothing is left.
    pub fn ease(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left == 0 {
            return false;
        }
        let next = left.saturating_sub(STEP);
        let shrunk = OpenOptions::new().write(true).open(&self.path).and_then(|file| file.set_len(next));
        match shrunk {
            Ok(()) => {
                tracing::warn!(left = next, "the disk is full; some of the ballast was given up");
                *left = next;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the disk is full and the ballast cannot be given up");
                false
            }
        }
    }

    /// Gives one step back if the disk is so short that the engine might fail.
    pub fn ease_if_short(&self) {
        if self.whole > 0 && self.free().is_some_and(|free| free < SHORT) {
            self.ease();
        }
    }

    /// Makes it whole again if there is room for that beside the reserve.
    pub fn grow(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = self.whole.saturating_sub(*left);
        if missing == 0 || self.free().is_none_or(|free| free < self.reserve.saturating_add(missing)) {
            return;
        }
        match self.allocate() {
            Ok(()) => *left = self.whole,
            // A file system that cannot promise room has no ballast.
            Err(error) => tracing::warn!(%error, "no ballast could be set aside"),
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let file: File = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        file.allocate(self.whole)?;
        file.sync_all()
    }

    fn free(&self) -> Option<u64> {
        self.path.parent().and_then(|dir| self.source.free(dir).ok())
    }

    /// Does `work`, and again for as long as it fails for want of room and a step can be given back.
    ///
    /// # Errors
    /// The last of `work`.
    pub fn retry<T, E>(&self, full: impl Fn(&E) -> bool, mut work: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        loop {
            match work() {
                Err(error) if full(&error) && self.ease() => {}
                done => return done,
            }
        }
    }
}

/// Whether an error is want of room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Disk(AtomicU64);

    impl FreeSpace for Disk {
        fn free(&self, _dir: &Path) -> io::Result<u64> {
            Ok(self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn it_takes_real_room_gives_it_back_in_steps_and_grows_again() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = tempfile::tempdir().unwrap();
        let reserve = 8 * 3 * STEP;
        let disk = Arc::new(Disk(AtomicU64::new(reserve)));
        let file = dir.path().join("ballast");
        let ballast = Ballast::open(dir.path(), reserve, disk.clone());
        assert!(!file.exists(), "not into the reserve");
        assert!(!ballast.ease());
        disk.0.store(reserve + 3 * STEP, Ordering::SeqCst);
        ballast.grow();
        let blocks = || fs::metadata(&file).unwrap().blocks() * 512;
        assert!(blocks() >= 3 * STEP);
        ballast.ease_if_short();
        assert!(blocks() >= 3 * STEP, "there is room");
        disk.0.store(0, Ordering::SeqCst);
        ballast.ease_if_short();
        assert!((2 * STEP..3 * STEP).contains(&blocks()));
        let mut tries = 0;
        let done: Result<(), ()> = ballast.retry(
            |()| true,
            || {
                tries += 1;
                Err(())
            },
        );
        assert_eq!((done, tries, blocks()), (Err(()), 3, 0), "until nothing is left");
        disk.0.store(u64::MAX, Ordering::SeqCst);
        ballast.grow();
        assert!(blocks() >= 3 * STEP);
    }
}
