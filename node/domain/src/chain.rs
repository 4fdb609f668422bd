//! The chain of a journal: each value commits to every record up to its own, so that whoever holds one value can tell
//! a changed, removed or reordered record before it.
//!
//! The chain is no signature: who can write all records can write a new chain. What holds it down is a value that
//! somebody else keeps.

use crate::encode::sha256_pae;
use crate::id::Hash;

/// The chain value before the first record of the journal called `label`.
pub fn genesis(label: &str) -> Hash {
    sha256_pae(&[b"eads/v1/journal-genesis", label.as_bytes()])
}

/// The chain value after the record `payload` of number `sequence`, which counts from 1.
pub fn link(before: &Hash, sequence: u64, payload: &[u8]) -> Hash {
    sha256_pae(&[b"eads/v1/journal", before.as_bytes(), &sequence.to_be_bytes(), payload])
}
