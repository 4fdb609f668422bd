//! The audit log as others see it: its entries, a range of it as a file with its proof, what an auditor signs, and
//! what two nodes tell each other of one exchange.
//!
//! An auditor verifies an exported file with this crate alone, without the node that wrote it.

mod countersign;
mod entry;
mod exchange;
mod file;
mod proof;

#[cfg(test)]
mod tests;

pub use countersign::{Countersignature, CountersignatureError};
pub use entry::{Actor, Entry, EntryKind, Shown};
pub use exchange::{Exchange, ExchangeDigest, ExchangeResult, InvalidDigests};
pub use file::{FileFormat, Row};
pub use proof::{AnchorProof, AuditProof, FileChecker, FileFinding, Verified};

use crate::encode::sha256_pae;
use crate::id::Hash;

/// The label that separates the audit log's chain from any other.
pub const LABEL: &str = "eads/v1/audit";

/// The commitment to a day key that stands beside a question sealed under it.
pub fn key_commitment(key: &[u8]) -> Hash {
    sha256_pae(&[b"eads/v1/audit-key", key])
}
