//! Many values at once, and writing over them without reading each one again: for imports.

use super::{Header, MAX_PARTS, Sealed, Vault, VaultError, delete_parts, parts_needed};
use crate::keys::KeySlot;
use crate::port::{Area, Batch};

/// A committed value, with what replacing or removing it takes.
#[derive(Debug)]
pub struct Held {
    /// The value.
    pub value: Sealed,
    /// Its data key: what to destroy in order to purge it.
    pub slot: KeySlot,
    parts: u8,
}

impl Vault {
    /// The values under many keys, in the order of the keys. Not one state: commits may fall between the reads.
    ///
    /// # Errors
    /// As [`Vault::get`]; then none is given.
    pub async fn get_many(&self, area: Area, keys: &[Vec<u8>]) -> Result<Vec<Option<Held>>, VaultError> {
        let rows = self.store.get_many(keys.iter().map(|key| (area, key.clone())).collect()).await?;
        let mut found = Vec::with_capacity(rows.len());
        for (key, row) in keys.iter().zip(rows) {
            found.push(match row {
                Some(row) => self.held(area, key, &row).await?,
                None => None,
            });
        }
        Ok(found)
    }

    /// The value of a row that a scan gave, with what removing it takes; `None` if it was removed since.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn held(&self, area: Area, key: &[u8], row: &[u8]) -> Result<Option<Held>, VaultError> {
        let (header, _) = Header::split(row).ok_or(VaultError::Damaged { area: area.name() })?;
        let slot = self.slot_of(area, row)?;
        let value = self.open_row(area, key, row).await?;
        Ok(value.map(|value| Held { value, slot, parts: header.parts }))
    }

    /// [`Vault::put`] over a value that nobody has changed since it was read: [`MAX_PARTS`] operations at most.
    ///
    /// # Errors
    /// As [`Vault::put`].
    #[allow(clippy::too_many_arguments, reason = "those of put, and what it overwrites")]
    pub fn put_over(
        &self,
        batch: &mut Batch,
        area: Area,
        key: &[u8],
        slot: KeySlot,
        schema: u16,
        plaintext: &[u8],
        over: &Held,
    ) -> Result<(), VaultError> {
        self.put(batch, area, key, slot, schema, plaintext)?;
        let kept = u8::try_from(parts_needed(plaintext.len())).unwrap_or(MAX_PARTS as u8);
        delete_parts(batch, area, key, kept, over.parts);
        Ok(())
    }

    /// [`Vault::delete`] of a value that nobody has changed since it was read.
    pub fn delete_held(batch: &mut Batch, area: Area, key: &[u8], held: &Held) {
        batch.delete(area, key);
        delete_parts(batch, area, key, 1, held.parts);
    }
}
