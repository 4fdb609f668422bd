//! Compaction: a snapshot takes the place of the journal's beginning, a fresh view that of the running one.
//!
//! sled never gives space back, and the journal keeps every value that ever was. A compaction, while commits go on:
//!
//! 1. reads all rows of the running view into a snapshot without a name, synced;
//! 2. builds a fresh view from it and the commits since;
//! 3. has the applier bring that view to the very commit of the running one, compare their counts and sums, and use
//!    it from then on: readers and commits wait for that long, some milliseconds;
//! 4. gives the snapshot its name: **from here on it stands for the records up to its own**, and never before it has
//!    shown, by step 3, to hold what the journal holds;
//! 5. removes the journal's files before it, the old view, and the snapshot before.
//!
//! Whatever step a crash interrupts, the next open finds the old snapshot and the whole journal, or the new snapshot
//! and the journal after it, and a finished view or none; unfinished ones are removed.
//!
//! It needs room for the snapshot and the fresh view beside everything that is there, and never touches the reserve:
//! it is refused, or given up, before that. Memory is bounded by a page of rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use super::applier::Task;
use super::places::size;
use super::rebuild::{Flaw, follow, load_snapshot};
use super::rows::Watermark;
use super::snapshot::Snapshot;
use super::view::{View, describe};
use super::{EmbeddedStore, SCHEMA_VERSION, Sizes, io_error};
use crate::error::StoreError;
use crate::journal::Head;

/// Rows that are read at once.
const PAGE: usize = 512;
/// Bytes written between two looks at the free space.
const LOOK: u64 = 8 * 1024 * 1024;
/// Commits that the applier may have to follow itself.
const LEVEL: u64 = 128;
/// How often the fresh view is brought closer before the applier takes over.
const ROUNDS: u32 = 32;

/// How far a compaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactStep {
    /// So many rows are in the snapshot.
    Read(u64),
    /// The snapshot is durable and has no name yet.
    SnapshotWritten,
    /// So many rows, or commits after them, are in the fresh view.
    Filled(u64),
    /// The fresh view is nearly level with the running one.
    ViewBuilt,
    /// The fresh view is the running one.
    Swapped,
    /// The snapshot stands for the journal's beginning.
    SnapshotNamed,
    /// The journal's files before it are gone.
    JournalShortened,
    /// The old view and the old snapshot are gone.
    Done,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Rows kept.
    pub rows: u64,
    /// The commit up to which the snapshot stands for the journal; 0 if there was nothing to compact.
    pub sequence: u64,
    /// Bytes before.
    pub before: Sizes,
    /// Bytes after.
    pub after: Sizes,
}

/// Is told each step; `false` ends the compaction if nothing was changed yet.
pub type Observe<'a> = &'a mut dyn FnMut(CompactStep) -> bool;

impl EmbeddedStore {
    /// Compacts while everything goes on. Blocking, for as long as reading and writing all rows takes; not on a
    /// runtime's thread.
    ///
    /// # Errors
    /// [`StoreError::CompactionNoRoom`], [`StoreError::CompactionRunning`], [`StoreError::CompactionStopped`],
    /// [`StoreError::CompactionDiffers`]: nothing was changed. Errors of files: what was done so far holds, and the
    /// next open or compaction clears up.
    pub fn compact(&self, observe: Observe<'_>) -> Result<Compacted, StoreError> {
        let Ok(_one) = self.compacting.try_lock() else { return Err(StoreError::CompactionRunning) };
        let before = self.sizes()?;
        let Some(mark) = self.views.get().watermark()? else {
            return Ok(Compacted { rows: 0, sequence: 0, before, after: before });
        };
        // The fresh view has its share of the running one's size at most.
        let needed = before.live.saturating_add(before.view.min(before.live.saturating_mul(4)));
        self.room(needed)?;
        let fresh = self.places.begin()?;
        let done = self.compact_into(&fresh, mark.head, observe);
        if done.is_err() {
            self.snapshots.abandon();
            self.places.abandon(&fresh);
        }
        let (snapshot, old) = done?;
        let report = self.finish(&snapshot, &old, observe)?;
        Ok(Compacted { before, ..report })
    }

    /// Steps 1 to 3. Nothing outside is changed if it fails.
    fn compact_into(
        &self,
        fresh: &Path,
        head: Head,
        observe: Observe<'_>,
    ) -> Result<(Snapshot, Arc<View>), StoreError> {
        let snapshot = self.write_snapshot(head, observe)?;
        go_on(observe(CompactStep::SnapshotWritten))?;
        let (view, mark) = self.build(fresh, &snapshot, observe)?;
        go_on(observe(CompactStep::ViewBuilt))?;
        let (reply, answer) = sync_channel(1);
        let tasks = self.tasks.clone().ok_or(StoreError::Closed)?;
        tasks.send(Task::Swap { view, mark, reply }).map_err(|_| StoreError::Closed)?;
        let old = answer.recv().map_err(|_| StoreError::Closed)??;
        Ok((snapshot, old))
    }

    fn write_snapshot(&self, head: Head, observe: Observe<'_>) -> Result<Snapshot, StoreError> {
        let view = self.views.get();
        let mut writer = self.snapshots.begin(head, SCHEMA_VERSION)?;
        let mut looked = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = view.page(after.as_deref(), PAGE)?;
            for (key, value) in &page {
                writer.add(key, value)?;
            }
            go_on(observe(CompactStep::Read(writer.rows())))?;
            if writer.bytes - looked > LOOK {
                looked = writer.bytes;
                self.room(0)?;
            }
            match page.into_iter().next_back() {
                Some((key, _)) => after = Some(key),
                None => break,
            }
        }
        let until = view.watermark()?.map_or(0, |mark| mark.head.sequence);
        writer.finish(until)
    }

    /// A view of the snapshot and most of the commits since.
    fn build(&self, fresh: &Path, snapshot: &Snapshot, observe: Observe<'_>) -> Result<(View, Watermark), StoreError> {
        let opened =
            catch_unwind(AssertUnwindSafe(|| View::open(fresh, &self.places.marker, self.options.cache_bytes)));
        let unbuildable = |what: String| StoreError::ViewUnbuildable { dir: fresh.to_path_buf(), what };
        let view = opened
            .map_err(|_| unbuildable("the engine panicked".to_owned()))?
            .map_err(|error| unbuildable(describe(&error)))?;
        let (mut steps, mut looked) = (0, 0);
        let mut step = || {
            steps += 1;
            go_on(observe(CompactStep::Filled(steps)))?;
            // A block of the snapshot, or a batch of commits: a megabyte of the view at most.
            if steps - looked >= LOOK / (1024 * 1024) {
                looked = steps;
                self.room(0)?;
            }
            Ok(())
        };
        let built = (|| {
            let mut mark = load_snapshot(&view, snapshot, &mut step)?;
            for _ in 0..ROUNDS {
                let reader = self.journal()?.reader();
                if reader.head().sequence - mark.head.sequence <= LEVEL {
                    break;
                }
                follow(&view, &mut mark, &reader, &mut step)?;
            }
            view.flush()?;
            Ok(mark)
        })();
        match built {
            Ok(mark) => Ok((view, mark)),
            Err(Flaw::Fatal(error)) => Err(error),
            Err(Flaw::View(what)) => {
                // Mostly want of room that came faster than we looked.
                self.room(0)?;
                Err(unbuildable(what.to_string()))
            }
        }
    }

    /// Steps 4 and 5: nothing that fails here undoes the others.
    fn finish(&self, snapshot: &Snapshot, old: &View, observe: Observe<'_>) -> Result<Compacted, StoreError> {
        observe(CompactStep::Swapped);
        self.places.settle(self.views.get().directory())?;
        let named = self.snapshots.name(snapshot)?;
        observe(CompactStep::SnapshotNamed);
        self.journal()?.release(named.header.head)?;
        observe(CompactStep::JournalShortened);
        if old.close() {
            self.places.remove(old.directory())?;
        }
        self.snapshots.remove_older()?;
        observe(CompactStep::Done);
        let after = self.sizes()?;
        Ok(Compacted { rows: named.header.rows, sequence: named.header.head.sequence, before: after, after })
    }

    /// Bytes on disk and of the rows. Blocking.
    ///
    /// # Errors
    /// Those of reading the directory or the view.
    pub fn sizes(&self) -> Result<Sizes, StoreError> {
        let view = self.views.get();
        let live = view.watermark()?.map_or(0, |mark| mark.tally.bytes);
        let (journal, snapshot) = (self.journal()?.bytes()?, self.snapshots.bytes());
        Ok(Sizes { journal, snapshot, view: size(view.directory()), live })
    }

    fn room(&self, needed: u64) -> Result<(), StoreError> {
        let free = self.options.free_space.free(&self.dir);
        let free = free.map_err(|source| io_error("ask the free space of", &self.dir, source))?;
        let needed = needed.saturating_add(self.options.reserve_bytes);
        if free < needed {
            return Err(StoreError::CompactionNoRoom { dir: self.dir.clone(), free, needed });
        }
        Ok(())
    }
}

fn go_on(wanted: bool) -> Result<(), StoreError> {
    if wanted { Ok(()) } else { Err(StoreError::CompactionStopped) }
}
