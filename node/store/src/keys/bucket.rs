//! A bucket: 1,024 data keys in one sealed file, each alive or marked as destroyed.
//!
//! ```text
//! file = nonce ‖ sealed((u8 state ‖ key[32])*) ‖ tag       state: 1 alive, 0 destroyed, its key then zeros
//! AAD  = PAE("eads/v1/keys/bucket", tree[16], u32 number, u64 generation)
//! ```
//!
//! A file is never changed. A bucket that loses a key is written anew under a new name and a new bucket key, so
//! that neither the old file nor any remnant of it can be opened with what the tree still holds.

use eads_domain::encode::pae;
use eads_domain::entropy::Entropy;
use zeroize::Zeroizing;

use super::KeyError;
use super::aead::{self, SecretKey};
use super::disk::Disk;
use super::root::TreeId;
use super::table::Entry;

/// Keys in a bucket.
pub(super) const KEYS: u16 = 1024;

const LABEL: &[u8] = b"eads/v1/keys/bucket";
const CELL_BYTES: usize = 1 + 32;
const ALIVE: u8 = 1;
const DESTROYED: u8 = 0;

/// The name of the file of bucket `number` as `generation` wrote it.
pub(super) fn file_name(number: u32, generation: u64) -> String {
    format!("bucket-{number:08x}-{generation:016x}")
}

/// A data key, or the mark that there was one.
pub(super) enum DataKey {
    /// Usable.
    Alive(SecretKey),
    /// Purged.
    Destroyed,
}

/// An unsealed bucket. Wiped when dropped.
pub(super) struct Bucket(Zeroizing<Vec<u8>>);

impl Bucket {
    /// Fresh random keys, all alive.
    pub(super) fn generate(entropy: &dyn Entropy) -> Self {
        let mut cells = Zeroizing::new(vec![0; usize::from(KEYS) * CELL_BYTES]);
        entropy.fill(&mut cells);
        for state in cells.iter_mut().step_by(CELL_BYTES) {
            *state = ALIVE;
        }
        Self(cells)
    }

    /// A bucket whose every key is destroyed; it needs no file.
    fn spent() -> Self {
        Self(Zeroizing::new(vec![DESTROYED; usize::from(KEYS) * CELL_BYTES]))
    }

    /// A bucket in which `alive` says which keys live: those of `known` as they are, the others fresh.
    pub(super) fn carried(alive: impl Fn(u16) -> bool, known: &[(u16, SecretKey)], entropy: &dyn Entropy) -> Self {
        let dead: Vec<u16> = (0..KEYS).filter(|slot| !alive(*slot)).collect();
        let mut bucket = Self::generate(entropy);
        for (slot, key) in known {
            if let Some(cell) = bucket.0.chunks_exact_mut(CELL_BYTES).nth((*slot).into())
                && let Some((_, bytes)) = cell.split_first_mut()
            {
                bytes.copy_from_slice(key.as_ref());
            }
        }
        bucket.without(&dead).unwrap_or(bucket)
    }

    /// The key in `slot`, if there is such a slot.
    pub(super) fn key(&self, slot: u16) -> Option<DataKey> {
        let (state, key) = self.0.chunks_exact(CELL_BYTES).nth(slot.into())?.split_first()?;
        if *state == DESTROYED {
            return Some(DataKey::Destroyed);
        }
        let mut out = Zeroizing::new([0; 32]);
        out.copy_from_slice(key.first_chunk::<32>()?);
        Some(DataKey::Alive(out))
    }

    /// This bucket without the keys in `slots`, or `None` if none of them is alive.
    pub(super) fn without(&self, slots: &[u16]) -> Option<Self> {
        let mut cells = self.0.clone();
        let mut changed = false;
        for slot in slots {
            if let Some(cell) = cells.chunks_exact_mut(CELL_BYTES).nth((*slot).into()) {
                changed |= cell.first() == Some(&ALIVE);
                cell.fill(DESTROYED);
            }
        }
        changed.then_some(Self(cells))
    }

    /// How many keys are alive.
    pub(super) fn alive(&self) -> usize {
        self.0.iter().step_by(CELL_BYTES).filter(|state| **state == ALIVE).count()
    }

    /// Writes the file of this bucket as `entry` says.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        tree: &TreeId,
        number: u32,
        entry: &Entry,
        entropy: &dyn Entropy,
    ) -> Result<(), KeyError> {
        let aad = aad(tree, number, entry.generation);
        let sealed = aead::seal(&entry.key, &aad, &self.0, entropy).ok_or(KeyError::TooLarge)?;
        disk.write(&file_name(number, entry.generation), &sealed)
    }

    /// Reads the file of bucket `number` that `entry` names.
    pub(super) fn read(disk: &dyn Disk, tree: &TreeId, number: u32, entry: &Entry) -> Result<Self, KeyError> {
        if entry.is_spent() {
            return Ok(Self::spent());
        }
        let name = file_name(number, entry.generation);
        let damaged = |what| KeyError::Damaged { file: disk.path(&name), what };
        let file = disk.read(&name)?.ok_or_else(|| damaged("missing"))?;
        let aad = aad(tree, number, entry.generation);
        let cells = aead::unseal(&entry.key, &aad, &file).ok_or_else(|| damaged("its seal is broken"))?;
        let well_formed = cells.len() == usize::from(KEYS) * CELL_BYTES
            && cells.chunks_exact(CELL_BYTES).all(|cell| match cell.first() {
                Some(&ALIVE) => true,
                Some(&DESTROYED) => cell.iter().all(|byte| *byte == DESTROYED),
                _ => false,
            });
        if well_formed { Ok(Self(cells)) } else { Err(damaged("a key that was never written so")) }
    }
}

fn aad(tree: &TreeId, number: u32, generation: u64) -> Vec<u8> {
    pae(&[LABEL, tree, &number.to_be_bytes(), &generation.to_be_bytes()])
}
