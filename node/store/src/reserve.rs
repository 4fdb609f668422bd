//! The disk reserve: ordinary writes stop while there is still room for those that protect people.
//!
//! The free space is asked at most once a second or every 8 MiB written, and before every write while it is short,
//! so that writing resumes by itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

/// What is kept back unless configured otherwise.
pub const DEFAULT_RESERVE_BYTES: u64 = 256 * 1024 * 1024;

const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_AFTER_BYTES: u64 = 8 * 1024 * 1024;

/// A source of the free space of a directory's file system.
pub trait FreeSpace: Send + Sync + fmt::Debug {
    /// Bytes that this process may still write under `dir`.
    ///
    /// # Errors
    /// The system's word.
    fn free(&self, dir: &Path) -> io::Result<u64>;
}

/// The file system's own answer (`statvfs`).
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl FreeSpace for FileSystem {
    fn free(&self, dir: &Path) -> io::Result<u64> {
        fs4::available_space(dir)
    }
}

/// Decides whether a batch may be written.
#[derive(Debug)]
pub struct Reserve {
    dir: PathBuf,
    reserve: u64,
    source: Arc<dyn FreeSpace>,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    free: u64,
    at: Instant,
    written: u64,
}

impl Reserve {
    /// Keeps `reserve` bytes free on the file system of `dir`; 0 keeps nothing.
    pub fn new(dir: &Path, reserve: u64, source: Arc<dyn FreeSpace>) -> Self {
        Self { dir: dir.to_path_buf(), reserve, source, seen: Mutex::new(None) }
    }

    /// Admits a write of about `bytes`.
    ///
    /// # Errors
    /// [`StoreError::DiskReserve`] if it is not `protective` and the disk is short; [`StoreError::Io`] if the
    /// system does not say (protective writes go on then too).
    pub fn admit(&self, bytes: u64, protective: bool) -> Result<(), StoreError> {
        if protective || self.reserve == 0 {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = match seen.as_mut() {
            Some(seen) => {
                seen.written = seen.written.saturating_add(bytes);
                seen.free >= self.reserve && seen.written < ASK_AFTER_BYTES && seen.at.elapsed() < ASK_EVERY
            }
            None => false,
        };
        if fresh {
            return Ok(());
        }
        let free = self.source.free(&self.dir);
        let free =
            free.map_err(|source| StoreError::Io { action: "ask the free space of", path: self.dir.clone(), source })?;
        *seen = Some(Seen { free, at: Instant::now(), written: 0 });
        if free < self.reserve {
            return Err(StoreError::DiskReserve { dir: self.dir.clone(), free, reserve: self.reserve });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Disk {
        free: AtomicU64,
        asked: AtomicU64,
    }

    impl FreeSpace for Disk {
        fn free(&self, _dir: &Path) -> io::Result<u64> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            Ok(self.free.load(Ordering::SeqCst))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn free_space_is_asked_once_a_second_or_every_eight_mebibytes() {
        let disk = Arc::new(Disk::default());
        disk.free.store(1000, Ordering::SeqCst);
        let reserve = Reserve::new(Path::new("/"), 500, disk.clone());
        for _ in 0..10 {
            reserve.admit(10, false).unwrap();
        }
        assert_eq!(disk.asked.load(Ordering::SeqCst), 1);
        reserve.admit(ASK_AFTER_BYTES, false).unwrap();
        assert_eq!(disk.asked.load(Ordering::SeqCst), 2);
        tokio::time::advance(ASK_EVERY).await;
        reserve.admit(10, false).unwrap();
        assert_eq!(disk.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_disk_stops_ordinary_writes_only_and_only_while_it_is_short() {
        let disk = Arc::new(Disk::default());
        let reserve = Reserve::new(Path::new("/"), 500, disk.clone());
        let Err(StoreError::DiskReserve { free: 0, reserve: 500, .. }) = reserve.admit(1, false) else {
            panic!("admitted")
        };
        reserve.admit(1, true).unwrap();
        disk.free.store(500, Ordering::SeqCst);
        reserve.admit(1, false).unwrap();
    }
}
