//! Registers: a member's append-only Merkle log of its statements (PROTOCOL §3).
//!
//! RFC 6962 hashing, RFC 9162 proofs, checkpoints as C2SP signed notes. Everything here is arithmetic over hashes
//! and signatures; what a leaf stands for is the statement's matter.

pub mod checkpoint;
pub mod equivocation;
pub mod proof;
pub mod tree;

mod frontier;
mod note;

#[cfg(test)]
mod interop;

pub use checkpoint::{Checkpoint, CheckpointError, Cosignature, SignedCheckpoint};
pub use equivocation::{Equivocation, EquivocationError, EquivocationProof};
pub use frontier::{Frontier, FrontierError};
pub use proof::{ProofError, verify_consistency, verify_inclusion};
pub use tree::{Tree, TreeError, empty_root, leaf_hash, node_hash};
