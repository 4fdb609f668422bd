//! The tree itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use eads_domain::encode::pae;
use eads_domain::entropy::{Entropy, random};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::aead::{self, NONCE_BYTES, TAG_BYTES, fresh_key};
use super::allocation::Allocation;
use super::bucket::{Bucket, DataKey};
use super::cache::Cache;
use super::carried::{Carried, KeySlots};
use super::disk::{Directory, Disk};
use super::root::{self, KdfCost, Passphrase, PassphraseKey, Root, TreeId};
use super::rotation::{self, Writer};
#[cfg(test)]
use super::table::Entry;
use super::table::Table;
use super::{DataKeyBytes, KeyError, KeySlot, Opened, bucket};
use crate::ballast::Ballast;

const SEALED_FORMAT: u8 = 1;
const SEALED_PREFIX_BYTES: usize = 1 + KeySlot::BYTES;
/// About 8 MiB of unsealed keys.
const CACHED_BUCKETS: usize = 256;

/// The data keys of one node. See the [module](super) for what it promises.
///
/// One value per directory, shared by reference; all methods may be called from any thread. Sealing and opening
/// go on while keys are destroyed.
pub struct KeyTree {
    disk: Box<dyn Disk>,
    entropy: Arc<dyn Entropy>,
    tree: TreeId,
    // Locks are taken in this order.
    allocation: Mutex<Allocation>,
    writer: Mutex<Writer>,
    table: RwLock<Table>,
    cache: Mutex<Cache>,
    /// [`Allocation::next`], for those who only look.
    allocated: AtomicU64,
    ballast: OnceLock<Arc<Ballast>>,
}

/// What a walk over the whole tree found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Bucket files read and unsealed.
    pub buckets: u64,
    /// Keys that are usable, handed out or not.
    pub alive: u64,
    /// Keys that were destroyed.
    pub destroyed: u64,
}

impl KeyTree {
    /// Bytes that [`KeyTree::seal`] adds to a plaintext.
    pub const OVERHEAD_BYTES: usize = SEALED_PREFIX_BYTES + NONCE_BYTES + TAG_BYTES;

    /// Makes a new tree in `<dir>/keys`.
    ///
    /// # Errors
    /// [`KeyError::Exists`] if anything lies there; [`KeyError::Io`].
    pub fn create(dir: &Path, passphrase: &Passphrase, entropy: Arc<dyn Entropy>) -> Result<Self, KeyError> {
        Self::create_with_cost(dir, passphrase, KdfCost::PRODUCTION, entropy)
    }

    /// [`KeyTree::create`] with another cost of the passphrase derivation.
    ///
    /// # Errors
    /// As [`KeyTree::create`].
    pub fn create_with_cost(
        dir: &Path,
        passphrase: &Passphrase,
        cost: KdfCost,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyError> {
        Self::create_on(Box::new(Directory::create(&dir.join("keys"))?), passphrase, cost, entropy)
    }

    /// Opens the tree in `<dir>/keys`, and finishes or drops what was going on when it was last used.
    ///
    /// # Errors
    /// [`KeyError::Missing`], [`KeyError::Locked`], [`KeyError::PassphraseWrong`], [`KeyError::Damaged`] with the
    /// file, [`KeyError::Newer`], [`KeyError::Io`]. Nothing is written before the passphrase has proved right.
    pub fn open(dir: &Path, passphrase: &Passphrase, entropy: Arc<dyn Entropy>) -> Result<Self, KeyError> {
        Self::open_on(Box::new(Directory::open(&dir.join("keys"))?), passphrase, entropy)
    }

    pub(super) fn create_on(
        disk: Box<dyn Disk>,
        passphrase: &Passphrase,
        cost: KdfCost,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyError> {
        let carried = Carried { secret: fresh_key(&*entropy), mark: 0, alive: KeySlots::default(), known: Vec::new() };
        Self::create_carrying(disk, passphrase, cost, entropy, &carried)
    }

    pub(super) fn create_carrying(
        disk: Box<dyn Disk>,
        passphrase: &Passphrase,
        cost: KdfCost,
        entropy: Arc<dyn Entropy>,
        carried: &Carried,
    ) -> Result<Self, KeyError> {
        const FIRST: u64 = 1;
        let tree: TreeId = random(&*entropy);
        let kek = PassphraseKey::derive(passphrase, cost, random(&*entropy))?;
        let root = fresh_key(&*entropy);
        let buckets = carried.write_buckets(&*disk, &tree, FIRST, &*entropy)?;
        let table = Table { generation: FIRST, secret: carried.secret.clone(), buckets };
        table.write(&*disk, &tree, &root, &*entropy)?;
        let allocation = Allocation::create(&*disk, &tree, carried.mark)?;
        disk.sync_names()?;
        // Last: a directory without a root is no tree, so a creation that was interrupted is none either.
        let record = kek.record(&tree, FIRST, &root, &*entropy)?;
        disk.write(root::FILE, &[record.as_slice(), &record].concat())?;
        disk.sync_names()?;
        Ok(Self::assemble(disk, entropy, tree, kek, table, allocation))
    }

    pub(super) fn open_on(
        disk: Box<dyn Disk>,
        passphrase: &Passphrase,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeyError> {
        let root = Root::read(&*disk)?;
        let (kek, root_key) = root.unseal(passphrase)?;
        let table = Table::read(&*disk, &root.tree, root.generation, &root_key)?;
        rotation::recover(&*disk, &root, &table)?;
        let allocation = Allocation::open(&*disk, &root.tree, table.capacity())?;
        Ok(Self::assemble(disk, entropy, root.tree, kek, table, allocation))
    }

    fn assemble(
        disk: Box<dyn Disk>,
        entropy: Arc<dyn Entropy>,
        tree: TreeId,
        kek: PassphraseKey,
        table: Table,
        allocation: Allocation,
    ) -> Self {
        let writer = Writer { kek, next_generation: table.generation.saturating_add(1), halted: false };
        Self {
            disk,
            entropy,
            tree,
            allocated: AtomicU64::new(allocation.next),
            ballast: OnceLock::new(),
            allocation: Mutex::new(allocation),
            writer: Mutex::new(writer),
            table: RwLock::new(table),
            cache: Mutex::new(Cache::new(CACHED_BUCKETS)),
        }
    }

    /// Lets the tree take room from `ballast` when the disk is full. The first one counts.
    pub fn use_ballast(&self, ballast: Arc<Ballast>) {
        let _ = self.ballast.set(ballast);
    }

    /// The ballast that was given, for other files of the same directory.
    pub fn ballast(&self) -> Option<&Arc<Ballast>> {
        self.ballast.get()
    }

    /// A data key that was never handed out before, durable already. Every 256th call waits for a sync, every
    /// thousandth or so for new keys.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::Halted`], [`KeyError::TooLarge`] after 2^42 keys.
    pub fn allocate(&self) -> Result<KeySlot, KeyError> {
        let mut allocation = lock(&self.allocation);
        if allocation.is_exhausted() {
            while self.capacity() < allocation.next_mark() {
                self.grow()?;
            }
            allocation.advance(&*self.disk, &self.tree)?;
        }
        let slot = KeySlot::from_ordinal(allocation.next)?;
        allocation.next += 1;
        self.allocated.store(allocation.next, Ordering::Release);
        Ok(slot)
    }

    /// Seals `plaintext` under the data key `slot`:
    /// `u8 format=1 ‖ slot[6] ‖ nonce[12] ‖ ciphertext ‖ tag[16]`, AAD = PAE(`aad_parts`).
    ///
    /// # Errors
    /// [`KeyError::Destroyed`], [`KeyError::Unknown`] for a key that was not allocated, [`KeyError::Damaged`],
    /// [`KeyError::Io`].
    pub fn seal(&self, slot: KeySlot, aad_parts: &[&[u8]], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.check_allocated(slot)?;
        let DataKey::Alive(key) = self.data_key(slot)? else { return Err(KeyError::Destroyed { slot }) };
        let sealed = aead::seal(&key, &pae(aad_parts), plaintext, &*self.entropy).ok_or(KeyError::TooLarge)?;
        let mut out = Vec::with_capacity(SEALED_PREFIX_BYTES + sealed.len());
        out.push(SEALED_FORMAT);
        out.extend_from_slice(&slot.to_bytes());
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    /// What [`KeyTree::seal`] sealed with the same `aad_parts`, or [`Opened::Destroyed`] if its key is gone.
    ///
    /// # Errors
    /// [`KeyError::ValueDamaged`] if bytes or `aad_parts` differ, [`KeyError::Unknown`], [`KeyError::Damaged`],
    /// [`KeyError::Io`].
    pub fn unseal(&self, aad_parts: &[&[u8]], sealed: &[u8]) -> Result<Opened, KeyError> {
        let slot = Self::slot_of(sealed)?;
        let bytes = sealed.get(SEALED_PREFIX_BYTES..).ok_or(KeyError::ValueDamaged)?;
        match self.data_key(slot)? {
            DataKey::Destroyed => Ok(Opened::Destroyed),
            DataKey::Alive(key) => {
                aead::unseal(&key, &pae(aad_parts), bytes).map(Opened::Plain).ok_or(KeyError::ValueDamaged)
            }
        }
    }

    /// The key that a sealed value names: what to destroy in order to purge it.
    ///
    /// # Errors
    /// [`KeyError::ValueDamaged`] for bytes that no sealing gives.
    pub fn slot_of(sealed: &[u8]) -> Result<KeySlot, KeyError> {
        match sealed.split_first_chunk::<SEALED_PREFIX_BYTES>() {
            Some(([SEALED_FORMAT, slot @ ..], _)) => Ok(KeySlot::from_bytes(*slot)),
            _ => Err(KeyError::ValueDamaged),
        }
    }

    /// Whether the key was destroyed.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], [`KeyError::Damaged`], [`KeyError::Io`].
    pub fn is_destroyed(&self, slot: KeySlot) -> Result<bool, KeyError> {
        Ok(matches!(self.data_key(slot)?, DataKey::Destroyed))
    }

    /// Whether sealing or opening under this key needs no file to be read.
    pub fn is_warm(&self, slot: KeySlot) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.entry(slot.bucket).is_some_and(|entry| lock(&self.cache).holds(slot.bucket, entry.generation))
    }

    /// Destroys keys for good: after `Ok` they are gone from the medium as the [module](super) says. Keys that
    /// are destroyed already are no error. Callers batch: the cost is per bucket and per call, not per key.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] if one was never allocated, and then none is destroyed; [`KeyError::Damaged`],
    /// [`KeyError::Io`]; [`KeyError::Halted`] after a failure whose extent only a restart finds out. After any
    /// error the keys are alive or destroyed, and must not be reported as purged.
    pub fn destroy(&self, slots: &[KeySlot]) -> Result<(), KeyError> {
        let mut by_bucket: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for slot in slots {
            self.check_allocated(*slot)?;
            by_bucket.entry(slot.bucket).or_default().push(slot.slot);
        }
        let mut writer = lock(&self.writer);
        if writer.halted {
            return Err(KeyError::Halted);
        }
        let mut changed = BTreeMap::new();
        for (number, slots) in by_bucket {
            if let Some(rest) = self.bucket(number)?.and_then(|bucket| bucket.without(&slots)) {
                changed.insert(number, rest);
            }
        }
        if changed.is_empty() { Ok(()) } else { self.rotate(&mut writer, changed) }
    }

    /// An identifier as it may stand in a store key: HMAC-SHA-256 under a secret of this tree over
    /// PAE(`label`, `bytes`), cut to 16 bytes. The secret lives as long as the tree; destroying keys does not
    /// change it.
    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub fn mac(&self, label: &str, bytes: &[u8]) -> [u8; 16] {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut mac = Hmac::<Sha256>::new_from_slice(table.secret.as_ref()).expect("a key of 32 bytes");
        mac.update(&pae(&[b"eads/v1/keys/mac", label.as_bytes(), bytes]));
        let mut out = [0; 16];
        out.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        out
    }

    /// Reads and unseals every file of the tree.
    ///
    /// # Errors
    /// The first damage: [`KeyError::Damaged`] with the file; [`KeyError::Io`].
    pub fn check(&self) -> Result<Check, KeyError> {
        let buckets = self.table.read().unwrap_or_else(PoisonError::into_inner).buckets.len();
        let mut check = Check::default();
        for number in (0u32..).take(buckets) {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            let entry = table.entry(number).ok_or(KeyError::TooLarge)?;
            let alive = Bucket::read(&*self.disk, &self.tree, number, entry)?.alive() as u64;
            check.buckets += 1;
            check.alive += alive;
            check.destroyed += u64::from(bucket::KEYS) - alive;
        }
        Ok(check)
    }

    /// Makes a new tree in `<dir>/keys` in which the keys of `carried` have the numbers that they had.
    ///
    /// # Errors
    /// As [`KeyTree::create`].
    pub fn create_carried(
        dir: &Path,
        passphrase: &Passphrase,
        cost: KdfCost,
        entropy: Arc<dyn Entropy>,
        carried: &Carried,
    ) -> Result<Self, KeyError> {
        Self::create_carrying(Box::new(Directory::create(&dir.join("keys"))?), passphrase, cost, entropy, carried)
    }

    /// For a backup: the secret of [`KeyTree::mac`], and the number above all that were ever handed out.
    pub fn carry(&self) -> Carried {
        let mark = lock(&self.allocation).mark();
        let secret = self.table.read().unwrap_or_else(PoisonError::into_inner).secret.clone();
        Carried { secret, mark, alive: KeySlots::default(), known: Vec::new() }
    }

    /// For a backup: one key itself, or `None` if it was destroyed. Only for keys whose sealed values must stay as
    /// they are, such as those of the audit log.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], [`KeyError::Damaged`], [`KeyError::Io`].
    pub fn export(&self, slot: KeySlot) -> Result<Option<DataKeyBytes>, KeyError> {
        self.check_allocated(slot)?;
        Ok(match self.data_key(slot)? {
            DataKey::Alive(key) => Some(DataKeyBytes(key)),
            DataKey::Destroyed => None,
        })
    }

    /// Adds buckets: a quarter of what there is, so that the table is rewritten ever more rarely.
    fn grow(&self) -> Result<(), KeyError> {
        let mut writer = lock(&self.writer);
        let first = self.table.read().unwrap_or_else(PoisonError::into_inner).buckets.len();
        let added = (first / 4).clamp(1, 16);
        let mut fresh = BTreeMap::new();
        for number in first..first + added {
            let number = u32::try_from(number).map_err(|_| KeyError::TooLarge)?;
            fresh.insert(number, Bucket::generate(&*self.entropy));
        }
        self.rotate(&mut writer, fresh)
    }

    fn rotate(&self, writer: &mut Writer, changed: BTreeMap<u32, Bucket>) -> Result<(), KeyError> {
        let current = self.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        // New files, all of them: what is old goes only after them, so that even a purge needs room first.
        let mut prepare = || rotation::prepare(&*self.disk, &*self.entropy, &self.tree, writer, &current, &changed);
        let prepared = match self.ballast.get() {
            Some(ballast) => ballast.retry(KeyError::is_full, prepare),
            None => prepare(),
        }?;
        drop(current);
        rotation::commit(&*self.disk, writer, &prepared)?;
        {
            // Readers hold the table while they read a bucket's file: none of them still looks for an old one
            // once this is through, and only then are old files removed.
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            let mut cache = lock(&self.cache);
            *table = prepared.table.clone();
            for (number, bucket) in changed {
                cache.insert(number, table.generation, Arc::new(bucket));
            }
        }
        rotation::finish(&*self.disk, writer, &prepared)
    }

    fn data_key(&self, slot: KeySlot) -> Result<DataKey, KeyError> {
        self.bucket(slot.bucket)?.and_then(|bucket| bucket.key(slot.slot)).ok_or(KeyError::Unknown { slot })
    }

    /// A bucket as the present table names it, or `None` if there is no such bucket.
    fn bucket(&self, number: u32) -> Result<Option<Arc<Bucket>>, KeyError> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.entry(number) else { return Ok(None) };
        if let Some(bucket) = lock(&self.cache).get(number, entry.generation) {
            return Ok(Some(bucket));
        }
        let bucket = Arc::new(Bucket::read(&*self.disk, &self.tree, number, entry)?);
        lock(&self.cache).insert(number, entry.generation, Arc::clone(&bucket));
        Ok(Some(bucket))
    }

    fn capacity(&self) -> u64 {
        self.table.read().unwrap_or_else(PoisonError::into_inner).capacity()
    }

    fn check_allocated(&self, slot: KeySlot) -> Result<(), KeyError> {
        let known = slot.slot < bucket::KEYS && slot.ordinal() < self.allocated.load(Ordering::Acquire);
        if known { Ok(()) } else { Err(KeyError::Unknown { slot }) }
    }
}

#[cfg(test)]
impl KeyTree {
    /// Directory, identity and generation.
    pub(super) fn parts(&self) -> (&dyn Disk, &TreeId, u64) {
        (&*self.disk, &self.tree, self.table.read().unwrap().generation)
    }

    /// Makes the table as large as if so many keys existed; the buckets added have no files.
    pub(super) fn pretend_capacity(&self, keys: u64) {
        let mut table = self.table.write().unwrap();
        while table.capacity() < keys {
            let entry = Entry { generation: 1, key: fresh_key(&*self.entropy) };
            table.buckets.push(entry);
        }
    }
}

impl fmt::Debug for KeyTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTree").field("disk", &self.disk).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
