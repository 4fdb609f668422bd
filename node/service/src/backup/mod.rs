//! What of a node goes into a backup, and comes back out of it.
//!
//! **In it**: this member's own register with its contents, notices, drafts, photographs, references, delivery logs, what each
//! peer was sent and receipted, peers with their agreements and their last verified checkpoints (as witnessed by this member), records, lists, jobs
//! on own keys, the audit log with the keys of its questions, and the node's identity and configuration. Own values
//! are sealed anew under the archive's key; identity keys stay sealed under the node's passphrase within it.
//!
//! **Never in it**: what peers sent (held notices and contents, leaves, cursors, marks, receipts that are owed) and
//! the data keys of values: a restored node follows every peer from the start, and so learns of every withdrawal
//! before it shows anything.
//!
//! **Of one moment.** The rows are read while the node works, then those that changed meanwhile are read again, the
//! last of them while commits wait: what the file holds is the state after one commit.
//!
//! ```text
//! kind 1 begin    JSON [`Begin`]                                   the first record
//!      2 row      area[2] ‖ u16 len ‖ key ‖ value
//!      3 value    area[2] ‖ slot[6] ‖ u16 schema ‖ u16 len ‖ key ‖ plaintext
//!      4 gone     area[2] ‖ u16 len ‖ key                          of an earlier row or value
//!      5 changes  (empty)                                          rows from here on replace earlier ones
//!      6 secret   the secret behind identifiers in keys[32]
//!      7 day key  slot[6] ‖ key[32]
//!      8 audit    u64 sequence ‖ entry
//!      9 file     u32 mode ‖ u16 len ‖ path ‖ content
//!     10 photo    slot[6] ‖ id[16] ‖ plaintext
//!     11 end      JSON [`Summary`]                                 the last record
//! ```

mod areas;
mod export;
mod inspect;
mod restore;

use std::collections::BTreeMap;

use eads_domain::clock::Timestamp;
use eads_domain::encode::Reader;
use eads_domain::id::{Hash, MemberId};
use eads_store::archive::ArchiveError;
use eads_store::blobs::BlobName;
use eads_store::journal::Head;
use eads_store::keys::KeySlot;
use eads_store::port::Area;
use serde::{Deserialize, Serialize};

pub use export::{Exporter, Source, Touched};
pub use inspect::{Inspection, inspect};
pub use restore::{Applied, Restorer};

use crate::error::ServiceError;

const BEGIN: u8 = 1;
const ROW: u8 = 2;
const VALUE: u8 = 3;
const GONE: u8 = 4;
const CHANGES: u8 = 5;
const SECRET: u8 = 6;
const DAY_KEY: u8 = 7;
const AUDIT: u8 = 8;
const FILE: u8 = 9;
const PHOTO: u8 = 10;
const END: u8 = 11;

/// The first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Version of these records.
    pub version: u16,
    /// Whose node.
    pub member: MemberId,
    /// When it was begun, by the node's clock.
    pub created: Timestamp,
}

/// The last record: of what moment the backup is, and how much is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Whose node.
    pub member: MemberId,
    /// When it was begun, by the node's clock.
    pub created: Timestamp,
    /// The last commit that is in it.
    pub sequence: u64,
    /// Entries of the own register.
    pub register_size: u64,
    /// Above all numbers of keys that were handed out.
    pub mark: u64,
    /// The last entry that the audit log does not have any more, and the chain after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_base: Option<(u64, Hash)>,
    /// The last entry of the audit log.
    pub audit_entries: u64,
    /// The audit log's chain after the last of them.
    pub audit_chain: Hash,
    /// Records by what they are; rows and values by their area.
    pub counts: BTreeMap<String, u64>,
}

impl Summary {
    /// Behind which entry the audit log begins; none if all are in it.
    pub fn audit_begins_behind(&self) -> Option<Head> {
        self.audit_base.map(|(sequence, chain)| Head { sequence, chain })
    }
}

/// What a row restored by this node says in [`META`](crate::area::META) until its peers were heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// When the backup was begun.
    pub backup_at: Timestamp,
    /// Which backup it was.
    pub generation: String,
    /// Entries of the own register in it.
    pub register_size: u64,
}

/// A row, a value or its end, taken apart.
struct Place<'a> {
    area: Area,
    key: &'a [u8],
    rest: &'a [u8],
}

/// A value's data key and schema.
struct Sealing {
    slot: KeySlot,
    schema: u16,
}

fn place(body: &[u8]) -> Option<Place<'_>> {
    let mut reader = Reader::new(body);
    let prefix = reader.array().ok()?;
    located(prefix, &mut reader)
}

fn value(body: &[u8]) -> Option<(Place<'_>, Sealing)> {
    let mut reader = Reader::new(body);
    let prefix = reader.array().ok()?;
    let slot = KeySlot::from_bytes(reader.array().ok()?);
    let schema = reader.u16().ok()?;
    Some((located(prefix, &mut reader)?, Sealing { slot, schema }))
}

fn located<'a>(prefix: [u8; 2], reader: &mut Reader<'a>) -> Option<Place<'a>> {
    let area = areas::of(prefix)?;
    let length = usize::from(reader.u16().ok()?);
    let key = reader.take(length).ok()?;
    let rest = reader.take(reader.remaining()).ok()?;
    Some(Place { area, key, rest })
}

/// A photograph's name in the store of sealed files, and the rest.
fn photo(body: &[u8]) -> Option<(BlobName, &[u8])> {
    let (key, rest) = body.split_first_chunk::<{ KeySlot::BYTES }>()?;
    let (id, plaintext) = rest.split_first_chunk::<16>()?;
    Some((BlobName { key: KeySlot::from_bytes(*key), id: *id }, plaintext))
}

fn malformed() -> ServiceError {
    ServiceError::from(ArchiveError::Damaged { what: "a record that no version writes" })
}
