//! Storage of one node: a small port, the engines behind it, and what protects values at rest.
//!
//! * [`port`]: what every engine promises: reads, ordered scans, one durable and atomic write.
//! * [`conformance`]: the behaviour that the port means, as a suite that each engine runs.
//! * [`memory`]: an engine for tests and simulations; nothing survives it.
//! * [`embedded`]: the default engine: an append-only journal that is the truth, and a sled view of it that may
//!   be thrown away at any time.
//! * [`blobs`]: sealed files for what is too large for a row.
//! * [`journal`]: the append-only, checksummed, hash-chained file; the audit log uses it too.
//! * [`keys`] and [`vault`]: the key tree, sealed values, and purging.
//! * [`archive`]: the sealed file of a backup.
//! * [`reserve`] and [`ballast`]: room that is kept on the disk for what protects people.
//!
//! Nothing here knows what the values mean.

pub mod archive;
pub mod ballast;
pub mod blobs;
pub mod conformance;
pub mod embedded;
pub mod error;
pub mod journal;
pub mod keys;
pub mod lock;
pub mod memory;
pub mod port;
pub mod reserve;
pub mod vault;

pub use blobs::BlobStore;
pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use journal::Journal;
pub use memory::MemoryStore;
pub use port::{Area, Batch, Op, Scan, Sequence, Store};
