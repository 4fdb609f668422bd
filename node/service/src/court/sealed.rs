//! Rows on file, each sealed under a key of its own, so that taking one away destroys it.

use eads_store::keys::KeySlot;
use eads_store::port::{Area, Batch};
use eads_store::vault::Sealed;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CaseId;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::{self, Key, PurgeJob};

const SCHEMA: u16 = 1;

/// A row with its data key.
#[derive(Clone, Debug)]
pub(crate) struct OnFile<T> {
    pub(crate) key: KeySlot,
    pub(crate) row: T,
}

impl Node {
    /// All rows of `area`.
    pub(crate) async fn all_on_file<T: DeserializeOwned>(
        &self,
        area: Area,
    ) -> Result<Vec<(CaseId, OnFile<T>)>, ServiceError> {
        let mut found = Vec::new();
        let mut pages = Pages::of(&*self.store, area);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let Some(Sealed::Plain { bytes, .. }) = self.vault.open_row(area, key, value).await? else { continue };
                let id = CaseId::from_key(key)
                    .ok_or_else(|| ServiceError::internal("ROW_UNREADABLE", "the key of a row cannot be read"))?;
                found.push((id, OnFile { key: self.vault.slot_of(area, value)?, row: rows::parse(&bytes)? }));
            }
        }
        Ok(found)
    }

    /// Writes a row, new or changed; durable when this returns.
    pub(crate) async fn put_on_file<T: Serialize>(
        &self,
        area: Area,
        id: CaseId,
        file: &OnFile<T>,
        protective: bool,
    ) -> Result<(), ServiceError> {
        let bytes = serde_json::to_vec(&file.row)
            .map_err(|error| ServiceError::internal("ROW_UNWRITABLE", "a row cannot be written").caused_by(error))?;
        let mut batch = Batch::new();
        if protective {
            batch.protective();
        }
        self.vault.replace(&mut batch, area, id.as_bytes(), file.key, SCHEMA, &bytes).await?;
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Takes a row away and destroys its key.
    pub(crate) async fn take_off_file(&self, area: Area, id: CaseId, key: KeySlot) -> Result<(), ServiceError> {
        let mut batch = Batch::new();
        batch.protective();
        self.vault.delete(&mut batch, area, id.as_bytes()).await?;
        self.queue_purge(&mut batch, &PurgeJob::Key { key: Key::from(key) })?;
        self.store.commit(batch).await?;
        self.purge_due.notify_one();
        Ok(())
    }
}
