//! `[store]`: how the disk is used.

use eads_store::embedded::EmbeddedOptions;
use eads_store::reserve::DEFAULT_RESERVE_BYTES;
use serde::Deserialize;

const MIB: u64 = 1024 * 1024;

/// How the disk is used; each key that is left out has its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Written")]
pub struct StoreConfig {
    reserve_mib: u64,
    compact_above_mib: u64,
}

impl StoreConfig {
    /// For the store.
    pub fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions::default().reserve_bytes(self.reserve_mib * MIB)
    }

    /// Bytes that a compaction must be able to give back before the node does one by itself.
    pub const fn compact_above_bytes(&self) -> u64 {
        self.compact_above_mib * MIB
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { reserve_mib: DEFAULT_RESERVE_BYTES / MIB, compact_above_mib: 256 }
    }
}

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    reserve_mib: u64,
    compact_above_mib: u64,
}

impl Default for Written {
    fn default() -> Self {
        let StoreConfig { reserve_mib, compact_above_mib } = StoreConfig::default();
        Self { reserve_mib, compact_above_mib }
    }
}

impl TryFrom<Written> for StoreConfig {
    type Error = String;

    fn try_from(Written { reserve_mib, compact_above_mib }: Written) -> Result<Self, String> {
        for (key, value, min) in [("reserve_mib", reserve_mib, 64), ("compact_above_mib", compact_above_mib, 16)] {
            if !(min..=MIB).contains(&value) {
                return Err(format!("store.{key} must be {min} to {MIB}, not {value}"));
            }
        }
        Ok(Self { reserve_mib, compact_above_mib })
    }
}
