//! The table: which generation of each bucket counts, and the key that opens it, all sealed under the root.
//!
//! ```text
//! file      = nonce ‖ sealed(secret[32] ‖ (u64 generation ‖ key[32])*) ‖ tag, one entry a bucket
//! AAD       = PAE("eads/v1/keys/table", tree[16], u64 generation)
//! ```
//!
//! A bucket of generation 0 has no file: none of its keys was ever alive in this tree.

use eads_domain::encode::{Reader, pae};
use eads_domain::entropy::Entropy;
use zeroize::Zeroizing;

use super::aead::{self, SecretKey};
use super::disk::Disk;
use super::root::TreeId;
use super::{KeyError, bucket};

const LABEL: &[u8] = b"eads/v1/keys/table";
const ENTRY_BYTES: usize = 8 + 32;

/// The name of the table of `generation`.
pub(super) fn file_name(generation: u64) -> String {
    format!("table-{generation:016x}")
}

/// The unsealed table.
#[derive(Clone)]
pub(super) struct Table {
    /// Its own generation.
    pub(super) generation: u64,
    /// Keys the identifiers inside store keys; the same for the life of the tree.
    pub(super) secret: SecretKey,
    /// By bucket number.
    pub(super) buckets: Vec<Entry>,
}

/// One bucket of the table.
#[derive(Clone)]
pub(super) struct Entry {
    /// The generation that wrote the bucket's file.
    pub(super) generation: u64,
    /// What opens it; never used for another file.
    pub(super) key: SecretKey,
}

impl Entry {
    /// A bucket without a file: all of its keys are destroyed.
    pub(super) fn spent() -> Self {
        Self { generation: 0, key: Zeroizing::new([0; 32]) }
    }

    pub(super) const fn is_spent(&self) -> bool {
        self.generation == 0
    }
}

impl Table {
    /// The entry of bucket `number`, if there is such a bucket.
    pub(super) fn entry(&self, number: u32) -> Option<&Entry> {
        self.buckets.get(usize::try_from(number).ok()?)
    }

    /// How many keys the buckets of this table hold.
    pub(super) fn capacity(&self) -> u64 {
        self.buckets.len() as u64 * u64::from(bucket::KEYS)
    }

    /// Writes the file of this table, sealed under `root`.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        tree: &TreeId,
        root: &SecretKey,
        entropy: &dyn Entropy,
    ) -> Result<(), KeyError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(32 + self.buckets.len() * ENTRY_BYTES));
        plain.extend_from_slice(self.secret.as_ref());
        for entry in &self.buckets {
            plain.extend_from_slice(&entry.generation.to_be_bytes());
            plain.extend_from_slice(entry.key.as_ref());
        }
        let sealed = aead::seal(root, &aad(tree, self.generation), &plain, entropy).ok_or(KeyError::TooLarge)?;
        disk.write(&file_name(self.generation), &sealed)
    }

    /// Reads the table of `generation`.
    pub(super) fn read(disk: &dyn Disk, tree: &TreeId, generation: u64, root: &SecretKey) -> Result<Self, KeyError> {
        let name = file_name(generation);
        let damaged = |what| KeyError::Damaged { file: disk.path(&name), what };
        let file = disk.read(&name)?.ok_or_else(|| damaged("missing"))?;
        let plain = aead::unseal(root, &aad(tree, generation), &file).ok_or_else(|| damaged("its seal is broken"))?;
        Self::parse(generation, &plain).ok_or_else(|| damaged("an entry that was never written so"))
    }

    fn parse(generation: u64, plain: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(plain);
        let secret = Zeroizing::new(reader.array().ok()?);
        let mut buckets = Vec::with_capacity(reader.remaining() / ENTRY_BYTES);
        while reader.remaining() > 0 {
            let entry = Entry { generation: reader.u64().ok()?, key: Zeroizing::new(reader.array().ok()?) };
            // A bucket never outruns its table: such an entry would be confused with a later write.
            if entry.generation > generation {
                return None;
            }
            buckets.push(entry);
        }
        Some(Self { generation, secret, buckets })
    }
}

fn aad(tree: &TreeId, generation: u64) -> Vec<u8> {
    pae(&[LABEL, tree, &generation.to_be_bytes()])
}
