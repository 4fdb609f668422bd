//! Data keys at rest and their destruction (PROTOCOL §6).
//!
//! Journal and view are log-structured: what was deleted in them stays readable for a long time. So every
//! personal value is sealed under a **data key**, and deleting means destroying that key. Keys live in their own
//! directory, in three layers, each sealed under the one above:
//!
//! ```text
//! root                          two records: {generation, root key} sealed under the passphrase
//! table-<generation>            the key of each bucket, sealed under the root key
//! bucket-<number>-<generation>  1,024 data keys, sealed under the bucket's key
//! allocated                     how many data keys were ever handed out
//! ```
//!
//! What [`KeyTree::destroy`] promises when it returns: the keys are marked as destroyed in new files under fresh
//! bucket keys, and the only key that opened the old files, the old root key, has been written over in place. No
//! file of the directory, no remnant of a removed one and not the passphrase bring a destroyed key back. If the
//! process or the machine dies before that, the next [`KeyTree::open`] either finishes the purge or finds the
//! keys alive, and no other key is ever harmed.
//!
//! What it does not promise: flash and copy-on-write media may keep old blocks of the root file, and a snapshot
//! of the whole volume brings back everything. The directory belongs in no backup.
//!
//! Everything here blocks on files; callers on a runtime use a blocking thread.

pub(crate) mod aead;
mod allocation;
mod bucket;
mod cache;
mod carried;
mod disk;
mod error;
mod root;
mod rotation;
mod slots;
mod table;
mod tree;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

pub use carried::{Carried, DataKeyBytes, KeySlots};
pub use error::KeyError;
pub(crate) use root::derive;
pub use root::{KdfCost, Passphrase};
pub use tree::{Check, KeyTree};

/// The number of a data key: the bucket and the place in it. Six bytes, big-endian, in every sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeySlot {
    bucket: u32,
    slot: u16,
}

impl KeySlot {
    /// Bytes of an encoded number.
    pub const BYTES: usize = 6;

    /// From its encoding. Whether there is such a key is for the tree to say.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [b0, b1, b2, b3, s0, s1] = bytes;
        Self { bucket: u32::from_be_bytes([b0, b1, b2, b3]), slot: u16::from_be_bytes([s0, s1]) }
    }

    /// Its encoding: `u32 bucket ‖ u16 slot`.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        let [b0, b1, b2, b3] = self.bucket.to_be_bytes();
        let [s0, s1] = self.slot.to_be_bytes();
        [b0, b1, b2, b3, s0, s1]
    }

    /// Its place over all buckets.
    fn ordinal(self) -> u64 {
        u64::from(self.bucket) * u64::from(bucket::KEYS) + u64::from(self.slot)
    }

    /// The number at a place over all buckets.
    fn from_ordinal(ordinal: u64) -> Result<Self, KeyError> {
        let keys = u64::from(bucket::KEYS);
        let bucket = u32::try_from(ordinal / keys).map_err(|_| KeyError::TooLarge)?;
        let slot = u16::try_from(ordinal % keys).map_err(|_| KeyError::TooLarge)?;
        Ok(Self { bucket, slot })
    }
}

impl fmt::Display for KeySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.slot)
    }
}

/// What came out of a sealed value.
#[derive(PartialEq, Eq)]
pub enum Opened {
    /// What was sealed. Wiped when dropped.
    Plain(Zeroizing<Vec<u8>>),
    /// Its key was destroyed: the value was purged, which is no damage.
    Destroyed,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(bytes) => write!(f, "Plain({} bytes)", bytes.len()),
            Self::Destroyed => f.write_str("Destroyed"),
        }
    }
}
