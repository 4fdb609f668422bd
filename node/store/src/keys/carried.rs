//! What of a key tree goes into a backup, and comes out of it as a new tree.
//!
//! The new tree has a new root, new bucket keys and **fresh data keys**: values are sealed anew under them. Only the
//! numbers stay, so that whatever names a key still does, and with them the secret behind [`KeyTree::mac`], so that
//! whatever stands under an identifier is found again. A key that is not carried is destroyed in the new tree.
//! Keys whose values cannot be sealed anew, because a chain commits to their ciphertext, are carried as they are.
//!
//! [`KeyTree::mac`]: super::KeyTree::mac

use std::collections::BTreeMap;
use std::fmt;

use eads_domain::entropy::Entropy;
use zeroize::Zeroizing;

use super::aead::{SecretKey, fresh_key};
use super::bucket::{self, Bucket};
use super::disk::Disk;
use super::root::TreeId;
use super::table::Entry;
use super::{KeyError, KeySlot};

const WORDS: usize = bucket::KEYS as usize / 64;

/// A set of numbers of keys: 128 bytes a bucket.
#[derive(Clone, Debug, Default)]
pub struct KeySlots(BTreeMap<u32, [u64; WORDS]>);

impl KeySlots {
    /// Adds one; numbers that no key can have are left out.
    pub fn insert(&mut self, slot: KeySlot) {
        if slot.slot < bucket::KEYS {
            let words = self.0.entry(slot.bucket).or_insert([0; WORDS]);
            if let Some(word) = words.get_mut(usize::from(slot.slot) / 64) {
                *word |= 1 << (slot.slot % 64);
            }
        }
    }

    /// Whether it is there.
    pub fn contains(&self, slot: KeySlot) -> bool {
        let word = self.0.get(&slot.bucket).and_then(|words| words.get(usize::from(slot.slot) / 64));
        word.is_some_and(|word| word & (1 << (slot.slot % 64)) != 0)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = KeySlot> {
        let all = self.0.keys().flat_map(|bucket| (0..bucket::KEYS).map(|slot| KeySlot { bucket: *bucket, slot }));
        all.filter(|slot| self.contains(*slot))
    }

    /// One above the greatest, counted over all buckets.
    fn end(&self) -> u64 {
        self.iter().last().map_or(0, |slot| slot.ordinal() + 1)
    }
}

/// One data key itself. Wiped when dropped, never printed.
pub struct DataKeyBytes(pub(super) SecretKey);

impl DataKeyBytes {
    /// From 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKeyBytes(..)")
    }
}

/// What is carried from one tree to another.
pub struct Carried {
    pub(super) secret: SecretKey,
    pub(super) mark: u64,
    pub(super) alive: KeySlots,
    pub(super) known: Vec<(KeySlot, SecretKey)>,
}

impl Carried {
    /// From the secret behind the identifiers and the number above all keys that were handed out.
    ///
    /// # Errors
    /// [`KeyError::TooLarge`] for a number that no tree reaches.
    pub fn new(secret: [u8; 32], mark: u64) -> Result<Self, KeyError> {
        KeySlot::from_ordinal(mark)?;
        Ok(Self { secret: Zeroizing::new(secret), mark, alive: KeySlots::default(), known: Vec::new() })
    }

    /// The secret behind the identifiers.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The number above all keys that were handed out, counted over all buckets.
    pub const fn mark(&self) -> u64 {
        self.mark
    }

    /// A key with a value that will be sealed anew: fresh in the new tree.
    pub fn alive(&mut self, slot: KeySlot) {
        self.alive.insert(slot);
    }

    /// A key that stays as it is.
    pub fn known(&mut self, slot: KeySlot, key: DataKeyBytes) {
        self.alive.insert(slot);
        self.known.push((slot, key.0));
    }

    /// Every key that is carried.
    pub const fn slots(&self) -> &KeySlots {
        &self.alive
    }

    pub(super) fn write_buckets(
        &self,
        disk: &dyn Disk,
        tree: &TreeId,
        generation: u64,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Entry>, KeyError> {
        if self.alive.end() > self.mark {
            return Err(KeyError::TooLarge);
        }
        let keys = u64::from(bucket::KEYS);
        let count = u32::try_from(self.mark.div_ceil(keys).max(1)).map_err(|_| KeyError::TooLarge)?;
        let mut entries = Vec::new();
        for number in 0..count {
            let unused = |slot: u16| KeySlot { bucket: number, slot }.ordinal() >= self.mark;
            if !self.alive.0.contains_key(&number) && !unused(bucket::KEYS - 1) {
                entries.push(Entry::spent());
                continue;
            }
            let alive = |slot: u16| unused(slot) || self.alive.contains(KeySlot { bucket: number, slot });
            let known: Vec<(u16, SecretKey)> = self
                .known
                .iter()
                .filter(|(slot, _)| slot.bucket == number)
                .map(|(slot, key)| (slot.slot, key.clone()))
                .collect();
            let entry = Entry { generation, key: fresh_key(entropy) };
            Bucket::carried(alive, &known, entropy).write(disk, tree, number, &entry, entropy)?;
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").field("mark", &self.mark).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eads_domain::entropy::SystemEntropy;

    use super::super::{KdfCost, KeyTree, Opened, Passphrase};
    use super::*;

    const AAD: &[&[u8]] = &[b"test"];

    fn passphrase() -> Passphrase {
        Passphrase::new(b"a passphrase".to_vec()).unwrap()
    }

    fn create(dir: &std::path::Path, carried: &Carried) -> KeyTree {
        let entropy = Arc::new(SystemEntropy);
        KeyTree::create_carried(dir, &passphrase(), KdfCost::TESTS, entropy, carried).unwrap()
    }

    #[test]
    fn numbers_and_identifiers_stay_and_keys_are_fresh_or_known_or_destroyed() {
        let (old_dir, new_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let entropy = Arc::new(SystemEntropy);
        let old = KeyTree::create_with_cost(old_dir.path(), &passphrase(), KdfCost::TESTS, entropy.clone()).unwrap();
        let slots: Vec<KeySlot> = (0..3000).map(|_| old.allocate().unwrap()).collect();
        let (renewed, known, left) = (slots[2500], slots[2600], slots[2700]);
        let sealed: Vec<Vec<u8>> =
            [renewed, known, left].iter().map(|slot| old.seal(*slot, AAD, b"x").unwrap()).collect();
        let mut carried = old.carry();
        carried.alive(renewed);
        carried.known(known, old.export(known).unwrap().unwrap());
        let new = create(new_dir.path(), &carried);
        assert_eq!(new.mac("label", b"bytes"), old.mac("label", b"bytes"));
        assert!(new.unseal(AAD, &sealed[0]).is_err(), "a fresh key under the old number");
        assert!(matches!(new.unseal(AAD, &sealed[1]), Ok(Opened::Plain(plain)) if plain.as_slice() == b"x"));
        assert_eq!(new.unseal(AAD, &sealed[2]).unwrap(), Opened::Destroyed);
        assert!(new.is_destroyed(slots[5]).unwrap(), "in a bucket that needs no file");
        // It goes on where the old one was, and survives what trees go through.
        let next = new.allocate().unwrap();
        assert!(next > slots[2999]);
        let value = new.seal(renewed, AAD, b"anew").unwrap();
        new.destroy(&[known, slots[5]]).unwrap();
        drop(new);
        let new = KeyTree::open(new_dir.path(), &passphrase(), entropy).unwrap();
        assert_eq!(new.unseal(AAD, &sealed[1]).unwrap(), Opened::Destroyed);
        assert!(matches!(new.unseal(AAD, &value), Ok(Opened::Plain(_))));
        assert!(new.allocate().unwrap() > next);
        let checked = new.check().unwrap();
        // One key of the three old buckets, and the whole fourth one, which was made for the last allocations.
        assert_eq!((checked.alive, checked.destroyed), (1025, 3071));
    }

    #[test]
    fn a_key_above_the_mark_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut carried = Carried::new([0; 32], 256).unwrap();
        carried.alive(KeySlot::from_bytes([0, 0, 0, 1, 0, 0]));
        let made =
            KeyTree::create_carried(dir.path(), &passphrase(), KdfCost::TESTS, Arc::new(SystemEntropy), &carried);
        assert!(matches!(made, Err(KeyError::TooLarge)));
    }
}
