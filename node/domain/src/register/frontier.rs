//! What the holder of another's register needs to follow it: the roots of its complete subtrees and nothing else.

use super::tree::{empty_root, node_hash};
use crate::code::{Code, Coded, Fault};
use crate::encode::{Misread, Reader};
use crate::id::Hash;

const VERSION: u8 = 1;

/// A compact range: one hash for each set bit of the size, the largest subtree first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

/// Stored bytes that are no frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored frontier of a register is damaged")]
pub struct FrontierError;

impl Coded for FrontierError {
    fn code(&self) -> Code {
        Code::new("FRONTIER_DAMAGED")
    }

    fn fault(&self) -> Fault {
        Fault::Ourselves
    }
}

impl From<Misread> for FrontierError {
    fn from(_: Misread) -> Self {
        Self
    }
}

impl Frontier {
    /// Of a register without entries.
    pub const fn new() -> Self {
        Self { size: 0, nodes: Vec::new() }
    }

    pub(super) const fn from_parts(size: u64, nodes: Vec<Hash>) -> Self {
        Self { size, nodes }
    }

    /// Adds a leaf, given by its hash; returns its index.
    pub fn append(&mut self, leaf: Hash) -> u64 {
        let index = self.size;
        let mut hash = leaf;
        for _ in 0..index.trailing_ones() {
            if let Some(left) = self.nodes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.nodes.push(hash);
        self.size += 1;
        index
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        let folded = self.nodes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }

    /// `u8 version ‖ u64 size ‖ 32 bytes for each set bit of size`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.size.to_be_bytes());
        for node in &self.nodes {
            out.extend_from_slice(node.as_bytes());
        }
        out
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`FrontierError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FrontierError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(FrontierError);
        }
        let size = reader.u64()?;
        let nodes =
            (0..size.count_ones()).map(|_| reader.array().map(Hash::from_bytes)).collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        Ok(Self { size, nodes })
    }
}

impl Extend<Hash> for Frontier {
    fn extend<I: IntoIterator<Item = Hash>>(&mut self, leaves: I) {
        for leaf in leaves {
            self.append(leaf);
        }
    }
}
