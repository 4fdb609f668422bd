//! Sealed values over the storage port: what a caller writes here is unreadable without the key tree, cannot be
//! moved to another place, and is gone when its key is destroyed.
//!
//! A value takes one row of its area. If it is longer than [`PART_BYTES`] the rest lies in numbered parts in an
//! area of its own ([`PARTS`]), so that scans of the value's area give one row per value. All rows of one value
//! are written in one batch.
//!
//! The vault hides contents, not that there is something: area, key, schema, length and the number of the data key
//! stand in the clear. Identifiers of persons enter keys as [`KeyTree::mac`] only.

mod error;
mod many;
mod row;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

pub use error::VaultError;
pub use many::Held;
use row::{Binding, Header};

use crate::keys::{KeySlot, KeyTree, Opened};
use crate::port::{Area, Batch, Store};

/// Bytes of plaintext in one row.
pub const PART_BYTES: usize = 4000;
/// The most rows that one value takes: half of the operations of a batch.
pub const MAX_PARTS: usize = 32;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = PART_BYTES * MAX_PARTS;
/// The longest key of a value of more than one part, in bytes.
pub const MAX_PARTED_KEY_BYTES: usize = crate::port::MAX_KEY - 3;
/// Where the parts of all areas' long values lie. Nobody else uses this area.
pub const PARTS: Area = Area::new(0xFF, 1, "parts of sealed values");

/// How often a reader follows a value that is replaced under its hands.
const ATTEMPTS: usize = 16;

/// A store whose values are sealed. Clones share store and keys.
#[derive(Clone, Debug)]
pub struct Vault {
    store: Arc<dyn Store>,
    keys: Arc<KeyTree>,
}

/// What stands under a key.
#[derive(PartialEq, Eq)]
pub enum Sealed {
    /// The value.
    Plain {
        /// The schema that it was put with: how `bytes` are encoded.
        schema: u16,
        /// What was put. Wiped when dropped.
        bytes: Zeroizing<Vec<u8>>,
    },
    /// The value was purged: its key was destroyed. No damage.
    Destroyed,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain { schema, bytes } => write!(f, "Plain(schema {schema}, {} bytes)", bytes.len()),
            Self::Destroyed => f.write_str("Destroyed"),
        }
    }
}

/// How many operations of a batch a value of `length` bytes takes.
pub const fn parts_needed(length: usize) -> usize {
    if length == 0 { 1 } else { length.div_ceil(PART_BYTES) }
}

impl Vault {
    /// Seals what goes into `store` under keys of `keys`.
    pub fn new(store: Arc<dyn Store>, keys: Arc<KeyTree>) -> Self {
        Self { store, keys }
    }

    /// The store below, for rows that hold nothing personal and to commit batches.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The key tree: to allocate and destroy keys, and for identifiers in store keys.
    pub fn keys(&self) -> &Arc<KeyTree> {
        &self.keys
    }

    /// Adds a value to a batch: [`parts_needed`] operations. For a key that holds no value yet, or values that
    /// never take more than one part; over others use [`Vault::replace`], or parts of the old value stay behind.
    ///
    /// Seals at once, on the calling thread; the bucket of a key that was not used for long is read from a file.
    ///
    /// # Errors
    /// [`VaultError::TooLong`]; [`VaultError::Keys`] if the key is destroyed or was never allocated. The batch is
    /// then as it was.
    pub fn put(
        &self,
        batch: &mut Batch,
        area: Area,
        key: &[u8],
        slot: KeySlot,
        schema: u16,
        plaintext: &[u8],
    ) -> Result<(), VaultError> {
        let parts = parts_needed(plaintext.len());
        let too_long = VaultError::TooLong { area: area.name(), length: plaintext.len() };
        let header = match u8::try_from(parts) {
            Ok(parts) if usize::from(parts) <= MAX_PARTS => Header { schema, parts },
            _ => return Err(too_long),
        };
        let seal = |part, link: &[u8], bytes: &[u8]| {
            let sealed = self.keys.seal(slot, &Binding::new(area, key, header, part, link).aad(), bytes);
            sealed.map_err(|error| VaultError::from_keys(error, area.name()))
        };
        let mut chunks = plaintext.chunks(PART_BYTES);
        let first = seal(0, &[], chunks.next().unwrap_or_default())?;
        let mut rows = Batch::new();
        rows.put(area, key, [header.encode().as_slice(), &first].concat());
        for (part, bytes) in (1u8..).zip(chunks) {
            rows.put(PARTS, row::part_key(area, key, part), seal(part, row::link(&first), bytes)?);
        }
        batch.append(rows);
        Ok(())
    }

    /// [`Vault::put`] over a value that may be there, and removes those of its parts that the new one does not
    /// overwrite: [`MAX_PARTS`] operations at most. Reads what is committed: the batch must not hold another
    /// operation on this key.
    ///
    /// # Errors
    /// As [`Vault::put`], and [`VaultError::Store`].
    pub async fn replace(
        &self,
        batch: &mut Batch,
        area: Area,
        key: &[u8],
        slot: KeySlot,
        schema: u16,
        plaintext: &[u8],
    ) -> Result<(), VaultError> {
        let old = self.store.get(area, key).await?;
        self.put_over_row(batch, area, key, slot, schema, plaintext, old.as_deref())
    }

    /// [`Vault::replace`] where the caller has read the committed row under this key, `old`, itself.
    ///
    /// # Errors
    /// As [`Vault::put`].
    #[allow(clippy::too_many_arguments, reason = "those of put and the old row")]
    pub fn put_over_row(
        &self,
        batch: &mut Batch,
        area: Area,
        key: &[u8],
        slot: KeySlot,
        schema: u16,
        plaintext: &[u8],
        old: Option<&[u8]>,
    ) -> Result<(), VaultError> {
        let old_parts = old.map_or(0, parts_of);
        self.put(batch, area, key, slot, schema, plaintext)?;
        let kept = u8::try_from(parts_needed(plaintext.len())).unwrap_or(u8::MAX);
        delete_parts(batch, area, key, kept, old_parts);
        Ok(())
    }

    /// Removes a value with all its parts; one that is not there is no error. Reads what is committed, like
    /// [`Vault::replace`]. Removing is not purging: the bytes stay on the medium until the key is destroyed.
    ///
    /// # Errors
    /// [`VaultError::Store`].
    pub async fn delete(&self, batch: &mut Batch, area: Area, key: &[u8]) -> Result<(), VaultError> {
        let parts = self.parts(area, key).await?;
        batch.delete(area, key);
        delete_parts(batch, area, key, 1, parts);
        Ok(())
    }

    /// The value under a key, or `None`.
    ///
    /// # Errors
    /// [`VaultError::Damaged`], [`VaultError::Contended`], [`VaultError::Store`], [`VaultError::Keys`].
    pub async fn get(&self, area: Area, key: &[u8]) -> Result<Option<Sealed>, VaultError> {
        match self.store.get(area, key).await? {
            Some(row) => self.open_row(area, key, &row).await,
            None => Ok(None),
        }
    }

    /// The value of a row that a scan of `area` gave. A scan is no snapshot: if a long value was replaced since,
    /// this is the new one, and `None` if it was removed.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn open_row(&self, area: Area, key: &[u8], row: &[u8]) -> Result<Option<Sealed>, VaultError> {
        let mut row = std::borrow::Cow::Borrowed(row);
        for _ in 0..ATTEMPTS {
            match self.open_parts(area, key, &row).await {
                Err(VaultError::Damaged { .. }) if parts_of(&row) > 1 => {}
                other => return other.map(Some),
            }
            // Its parts are another value's: either somebody just replaced this one, or they are damaged.
            match self.store.get(area, key).await? {
                None => return Ok(None),
                Some(present) if present == *row => return Err(VaultError::Damaged { area: area.name() }),
                Some(present) => row = present.into(),
            }
        }
        Err(VaultError::Contended { area: area.name() })
    }

    /// The data key of a row that `get` or `scan` of the store gave: what to destroy in order to purge the value.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] for a row that no [`Vault::put`] wrote.
    pub fn slot_of(&self, area: Area, row: &[u8]) -> Result<KeySlot, VaultError> {
        let damaged = VaultError::Damaged { area: area.name() };
        let Some((_, sealed)) = Header::split(row) else { return Err(damaged) };
        KeyTree::slot_of(sealed).map_err(|_| damaged)
    }

    async fn open_parts(&self, area: Area, key: &[u8], row: &[u8]) -> Result<Sealed, VaultError> {
        let damaged = || VaultError::Damaged { area: area.name() };
        let (header, first) = Header::split(row).ok_or_else(damaged)?;
        let binding = Binding::new(area, key, header, 0, &[]);
        let Opened::Plain(mut bytes) = self.unseal(area, &binding, first).await? else { return Ok(Sealed::Destroyed) };
        bytes.reserve_exact((usize::from(header.parts) - 1) * PART_BYTES);
        for part in 1..header.parts {
            let sealed = self.store.get(PARTS, &row::part_key(area, key, part)).await?.ok_or_else(damaged)?;
            let binding = Binding::new(area, key, header, part, row::link(first));
            match self.unseal(area, &binding, &sealed).await? {
                Opened::Plain(more) => bytes.extend_from_slice(&more),
                Opened::Destroyed => return Ok(Sealed::Destroyed),
            }
        }
        Ok(Sealed::Plain { schema: header.schema, bytes })
    }

    /// Opens one part; a bucket that is not in memory is read on a blocking thread first.
    async fn unseal(&self, area: Area, binding: &Binding<'_>, sealed: &[u8]) -> Result<Opened, VaultError> {
        let named = |error| VaultError::from_keys(error, area.name());
        let slot = KeyTree::slot_of(sealed).map_err(named)?;
        if !self.keys.is_warm(slot) {
            let keys = Arc::clone(&self.keys);
            let read = tokio::task::spawn_blocking(move || keys.is_destroyed(slot)).await;
            read.map_err(|_| VaultError::Stopping)?.map_err(named)?;
        }
        self.keys.unseal(&binding.aad(), sealed).map_err(named)
    }

    /// How many parts the committed value under a key has; none if there is no value.
    async fn parts(&self, area: Area, key: &[u8]) -> Result<u8, VaultError> {
        Ok(self.store.get(area, key).await?.map_or(0, |row| parts_of(&row)))
    }
}

/// How many parts the value of this first row has; none for a row that no [`Vault::put`] wrote.
pub fn parts_in(row: &[u8]) -> Option<u8> {
    Header::split(row).map(|(header, _)| header.parts)
}

/// The value that a row of [`PARTS`] belongs to, by its key: area, key, and which part of it this is.
pub fn owner_of_part(part_key: &[u8]) -> Option<(Area, &[u8], u8)> {
    let ([id, version], rest) = part_key.split_first_chunk::<2>()?;
    let (part, key) = rest.split_last()?;
    Some((Area::new(*id, *version, "the owner of a part"), key, *part))
}

/// How many parts a row says its value has; as many as possible if the row is damaged, so that none is forgotten.
fn parts_of(row: &[u8]) -> u8 {
    Header::split(row).map_or(MAX_PARTS as u8, |(header, _)| header.parts)
}

fn delete_parts(batch: &mut Batch, area: Area, key: &[u8], from: u8, to: u8) {
    for part in from..to {
        batch.delete(PARTS, row::part_key(area, key, part));
    }
}
