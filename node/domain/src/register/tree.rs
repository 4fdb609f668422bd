//! The Merkle tree of RFC 6962, section 2.1, append-only and wholly in memory.
//!
//! Memory is two hashes a leaf (64 bytes). Roots and proofs of every earlier size can be had at any time, in
//! time logarithmic in the size.

use sha2::{Digest as _, Sha256};

use super::Frontier;
use crate::code::{Code, Coded, Fault};
use crate::encode::sha256;
use crate::id::Hash;

/// A place or size beyond the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A size above the tree's.
    #[error("the register has {size} entries, fewer than {asked}")]
    BeyondSize {
        /// What was asked.
        asked: u64,
        /// What there is.
        size: u64,
    },
    /// An index at or above the size asked for, or a consistency proof from a larger size to a smaller.
    #[error("entry or size {asked} does not lie inside a register of size {size}")]
    Outside {
        /// What was asked.
        asked: u64,
        /// The size asked for.
        size: u64,
    },
}

impl Coded for TreeError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::BeyondSize { .. } => "CURSOR_IN_FUTURE",
            Self::Outside { .. } => "REGISTER_OUTSIDE",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// The hash of a leaf over its data: SHA-256(0x00 ‖ data).
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(data);
    Hash::from_bytes(hasher.finalize().into())
}

/// The hash of a node over its children: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    Hash::from_bytes(hasher.finalize().into())
}

/// All complete subtrees of a register, level by level.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `levels[k][i]` is the root over leaves `i·2ᵏ .. (i+1)·2ᵏ`.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree without leaves.
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// Adds a leaf, given by its hash (see [`leaf_hash`]); returns its index.
    pub fn append(&mut self, leaf: Hash) -> u64 {
        let index = self.size();
        let mut hash = leaf;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return index };
            row.push(hash);
            let [.., left, right] = row.as_slice() else { return index };
            if row.len() % 2 == 1 {
                return index;
            }
            hash = node_hash(left, right);
            level += 1;
        }
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The hash of the leaf at `index`, if there is one.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.complete(0, index)
    }

    /// Leaves `from .. to`, cut to what there is.
    pub fn leaves(&self, from: u64, to: u64) -> &[Hash] {
        let clamp = |place: u64| usize::try_from(place.min(self.size())).unwrap_or(usize::MAX);
        self.levels.first().and_then(|leaves| leaves.get(clamp(from)..clamp(to))).unwrap_or(&[])
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        self.range(0, self.size()).unwrap_or_else(empty_root)
    }

    /// The root over the first `size` leaves.
    ///
    /// # Errors
    /// [`TreeError::BeyondSize`].
    pub fn root_at(&self, size: u64) -> Result<Hash, TreeError> {
        self.check(size)?;
        Ok(self.range(0, size).unwrap_or_else(empty_root))
    }

    /// The compact range over all leaves.
    pub fn frontier(&self) -> Frontier {
        let size = self.size();
        let nodes = ones(size).filter_map(|(level, start)| self.complete(level, start >> level)).collect();
        Frontier::from_parts(size, nodes)
    }

    /// The path that proves the leaf at `index` in the tree of the first `size` leaves, from the leaf upwards
    /// (RFC 9162, 2.1.3.1).
    ///
    /// # Errors
    /// [`TreeError::BeyondSize`]; [`TreeError::Outside`] if `index` ≥ `size`.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, TreeError> {
        self.check(size)?;
        if index >= size {
            return Err(TreeError::Outside { asked: index, size });
        }
        let mut path = Vec::new();
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let middle = start + split(end - start);
            let sibling = if index < middle {
                let right = self.range(middle, end);
                end = middle;
                right
            } else {
                let left = self.range(start, middle);
                start = middle;
                left
            };
            path.extend(sibling);
        }
        path.reverse();
        Ok(path)
    }

    /// The path that proves that the tree of the first `from` leaves is a prefix of that of the first `to`
    /// (RFC 9162, 2.1.4.1). Empty if `from` is 0 or equals `to`.
    ///
    /// # Errors
    /// [`TreeError::BeyondSize`]; [`TreeError::Outside`] if `from` > `to`.
    pub fn consistency_proof(&self, from: u64, to: u64) -> Result<Vec<Hash>, TreeError> {
        let mut path = self.full_consistency_path(from, to)?;
        // RFC 9162 leaves out the first node where the verifier has it already, as the smaller root.
        if from.is_power_of_two() && from < to {
            path.remove(0);
        }
        Ok(path)
    }

    /// A consistency path that always begins with the node both roots are built from, also where RFC 9162 leaves
    /// it out: the form that [`EquivocationProof`](super::EquivocationProof) needs.
    ///
    /// # Errors
    /// [`TreeError::BeyondSize`]; [`TreeError::Outside`] if `from` > `to`.
    pub fn full_consistency_path(&self, from: u64, to: u64) -> Result<Vec<Hash>, TreeError> {
        self.check(to)?;
        if from > to {
            return Err(TreeError::Outside { asked: from, size: to });
        }
        if from == 0 || from == to {
            return Ok(Vec::new());
        }
        let mut path = Vec::new();
        let (mut start, mut end) = (0, to);
        while end != from {
            let middle = start + split(end - start);
            if from <= middle {
                path.extend(self.range(middle, end));
                end = middle;
            } else {
                path.extend(self.range(start, middle));
                start = middle;
            }
        }
        path.extend(self.range(start, end));
        path.reverse();
        Ok(path)
    }

    fn check(&self, size: u64) -> Result<(), TreeError> {
        if size > self.size() { Err(TreeError::BeyondSize { asked: size, size: self.size() }) } else { Ok(()) }
    }

    fn complete(&self, level: u32, position: u64) -> Option<Hash> {
        let row = self.levels.get(usize::try_from(level).ok()?)?;
        row.get(usize::try_from(position).ok()?).copied()
    }

    /// MTH over leaves `start .. end`, where `start` is a multiple of the largest power of two in the range;
    /// `None` for an empty range or one beyond the tree.
    fn range(&self, start: u64, end: u64) -> Option<Hash> {
        let length = end.checked_sub(start).filter(|length| *length > 0)?;
        let mut root = None;
        let mut place = end;
        // From the smallest complete subtree at the right to the largest at the left.
        for level in (0..u64::BITS).filter(|level| length >> level & 1 == 1) {
            place -= 1 << level;
            let subtree = self.complete(level, place >> level)?;
            root = Some(root.map_or(subtree, |right| node_hash(&subtree, &right)));
        }
        root
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        for leaf in leaves {
            tree.append(leaf);
        }
        tree
    }
}

/// The largest power of two smaller than `length`, which is at least 2.
const fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// Level and first leaf of each complete subtree of a tree of `size`, largest first.
pub(super) fn ones(size: u64) -> impl Iterator<Item = (u32, u64)> {
    (0..u64::BITS).rev().filter(move |level| size >> level & 1 == 1).scan(0, |start, level| {
        let here = *start;
        *start += 1 << level;
        Some((level, here))
    })
}

#[cfg(test)]
mod tests;
