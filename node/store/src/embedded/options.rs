//! How an embedded store is run, and what it says of itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Rebuilt;
use crate::journal::{DEFAULT_SEGMENT_BYTES, Recovered, Verified};
use crate::reserve::{DEFAULT_RESERVE_BYTES, FileSystem, FreeSpace};

/// How an embedded store is run.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    pub(super) segment_bytes: usize,
    pub(super) cache_bytes: u64,
    pub(super) reserve_bytes: u64,
    pub(super) free_space: Arc<dyn FreeSpace>,
    pub(super) open_limit: Duration,
    #[cfg(test)]
    pub(super) hook: super::tests::Hook,
    #[cfg(test)]
    pub(super) device: crate::journal::Device,
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
            hook: super::tests::Hook::default(),
            #[cfg(test)]
            device: crate::journal::Device::default(),
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
    pub(super) fn before_open(&self) -> io::Result<()> {
        self.hook.call()
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, reason = "tests hang and panic here")]
    #[allow(clippy::unnecessary_wraps, reason = "tests refuse here")]
    pub(super) const fn before_open(&self) -> io::Result<()> {
        Ok(())
    }
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
    /// Rows of the snapshot that stands for the records before, if there is one; each was read.
    pub snapshot: Option<u64>,
    /// Rows in the view, each with a matching checksum.
    pub rows: u64,
}

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The journal, what is prepared ahead of use among it.
    pub journal: u64,
    /// The snapshot.
    pub snapshot: u64,
    /// The view.
    pub view: u64,
    /// Keys and values of the rows: what all of these are about.
    pub live: u64,
}

impl Sizes {
    /// Bytes of the files together.
    pub const fn total(&self) -> u64 {
        self.journal.saturating_add(self.snapshot).saturating_add(self.view)
    }

    /// Bytes that a compaction would give back, by estimate: the engine keeps small rows at several times their size.
    pub const fn dead(&self) -> u64 {
        const ENGINE: u64 = 4;
        let told = self.journal.saturating_add(self.snapshot).saturating_sub(self.live);
        told.saturating_add(self.view.saturating_sub(self.live.saturating_mul(ENGINE)))
    }
}
