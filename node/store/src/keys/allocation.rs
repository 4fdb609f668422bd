//! Which keys have been handed out: a mark on the medium, moved ahead of use in blocks.
//!
//! ```text
//! file `allocated` = two records (see `slots`): magic[8] ‖ tree[16] ‖ u64 mark ‖ zeros
//! ```
//!
//! Every key below the mark may have been handed out, none at or above it has. A start continues at the mark, so
//! a crash wastes one block at most. Records are written by turns and the mark moves by one block, so a record that is
//! lost said no more than its companion plus a block; if both are lost, every key that exists counts as handed
//! out. Losing this file therefore wastes keys and never hands one out twice.

use eads_domain::encode::Reader;

use super::disk::Disk;
use super::root::TreeId;
use super::{KeyError, slots};

/// Keys in a block; a bucket is a whole number of blocks.
pub(super) const BLOCK: u64 = 256;

/// The name of the file.
pub(super) const FILE: &str = "allocated";

const LABEL: &str = "eads/v1/keys/allocated";
const MAGIC: [u8; 8] = *b"eads-out";

/// The mark, and the next key below it.
#[derive(Debug)]
pub(super) struct Allocation {
    /// The next key to hand out, as a number over all buckets.
    pub(super) next: u64,
    mark: u64,
    /// The record to write next: the one with the lower mark.
    record: usize,
}

impl Allocation {
    /// Writes the file of a new tree; its name is durable after the next [`Disk::sync_names`].
    pub(super) fn create(disk: &dyn Disk, tree: &TreeId, mark: u64) -> Result<Self, KeyError> {
        Self::rewrite(disk, tree, mark)
    }

    /// Every key below may have been handed out.
    pub(super) const fn mark(&self) -> u64 {
        self.mark
    }

    /// Reads the mark; `capacity` is the number of keys that exist.
    pub(super) fn open(disk: &dyn Disk, tree: &TreeId, capacity: u64) -> Result<Self, KeyError> {
        let file = disk.read(FILE)?.unwrap_or_default();
        let marks = slots::decode(LABEL, &file).map(|body| parse(body?, tree));
        let mark = match marks {
            [Some(first), Some(second)] => {
                let record = usize::from(second < first);
                let mark = first.max(second);
                if mark > capacity {
                    return Err(KeyError::Damaged { file: disk.path(FILE), what: "it names keys that never existed" });
                }
                return Ok(Self { next: mark, mark, record });
            }
            [Some(mark), None] | [None, Some(mark)] => mark.saturating_add(BLOCK),
            [None, None] => capacity,
        };
        tracing::warn!(file = FILE, "the mark of used keys was damaged; some unused keys are given up");
        let allocation = Self::rewrite(disk, tree, mark.min(capacity))?;
        disk.sync_names()?;
        Ok(allocation)
    }

    /// Whether the block is used up.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.next >= self.mark
    }

    /// The mark after one more block: so many keys must exist before [`Allocation::advance`].
    pub(super) const fn next_mark(&self) -> u64 {
        self.mark.saturating_add(BLOCK)
    }

    /// Moves the mark by one block, durably.
    pub(super) fn advance(&mut self, disk: &dyn Disk, tree: &TreeId) -> Result<(), KeyError> {
        let mark = self.next_mark();
        disk.overwrite(FILE, slots::offset(self.record), &encode(tree, mark))?;
        self.mark = mark;
        self.record = 1 - self.record;
        Ok(())
    }

    fn rewrite(disk: &dyn Disk, tree: &TreeId, mark: u64) -> Result<Self, KeyError> {
        let record = encode(tree, mark);
        disk.write(FILE, &[record.as_slice(), &record].concat())?;
        Ok(Self { next: mark, mark, record: 0 })
    }
}

fn encode(tree: &TreeId, mark: u64) -> Vec<u8> {
    slots::encode(LABEL, &[MAGIC.as_slice(), tree, &mark.to_be_bytes()].concat())
}

fn parse(body: &[u8], tree: &TreeId) -> Option<u64> {
    let mut reader = Reader::new(body);
    let ours = reader.array().ok()? == MAGIC && reader.array().ok()? == *tree;
    let mark = reader.u64().ok()?;
    ours.then_some(mark)
}
