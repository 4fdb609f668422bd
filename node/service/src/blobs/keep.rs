//! From loose to a draft's to a statement's, and what nobody names any more.

use std::collections::BTreeSet;

use eads_domain::id::BlobId;
use eads_domain::slot::{Content, SlotNumber};
use eads_domain::value::BlobRef;
use eads_store::blobs::BlobName;
use eads_store::keys::KeySlot;
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;

use super::OwnBlob;
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::{self, BlobKey, BlobWanted, HeldBlobs, OwnNotice, PurgeJob};

const BLOB_SCHEMA: u16 = 1;
const PAGE: usize = 256;

/// The photographs of a draft, as they become its own.
#[derive(Debug, Default)]
pub(crate) struct DraftBlobs {
    /// Its files.
    pub(crate) keys: Vec<BlobKey>,
    /// As its content names them.
    pub(crate) images: Vec<BlobRef>,
    /// Rows that go with the draft's.
    pub(crate) rows: Batch,
    /// Files that were written for it: to be removed if the draft is not.
    pub(crate) fresh: Vec<KeySlot>,
}

impl Node {
    /// Removes files that no row names: what was written before a commit that never came. Wants anew what a peer
    /// served once and is not here any more.
    pub(crate) async fn sweep_blobs(&self) -> Result<(), ServiceError> {
        let mut known = BTreeSet::new();
        let mut own = Pages::of(&*self.store, area::BLOB);
        while let Some(page) = own.next().await? {
            for (_, row) in &page {
                known.insert(self.vault.slot_of(area::BLOB, row)?);
            }
        }
        let mut held = Pages::of(&*self.store, area::HELD_BLOBS);
        while let Some(page) = held.next().await? {
            for (key, row) in &page {
                let keys: Vec<KeySlot> =
                    rows::parse::<HeldBlobs>(row)?.blobs.iter().map(|blob| blob.key.into()).collect();
                known.extend(keys.iter().copied());
                let whole = self.blobs.with(move |store| Ok(keys.iter().all(|key| store.is_whole(*key)))).await?;
                if !whole && self.store.get(area::BLOB_WANTED, key).await?.is_none() {
                    let mut batch = Batch::new();
                    rows::put(&mut batch, area::BLOB_WANTED, key, &BlobWanted::default())?;
                    self.store.commit(batch).await?;
                }
            }
        }
        let removed = self.blobs.with(move |store| store.sweep(|key| known.contains(&key))).await?;
        if removed > 0 {
            tracing::info!(removed, "files that no row names were removed");
        }
        Ok(())
    }

    /// An own photograph with its data key; none if there is none, or it is destroyed.
    pub(super) async fn own_blob(&self, id: BlobId) -> Result<Option<(KeySlot, OwnBlob)>, ServiceError> {
        let Some(row) = self.store.get(area::BLOB, id.as_bytes()).await? else { return Ok(None) };
        let key = self.vault.slot_of(area::BLOB, &row)?;
        match self.vault.open_row(area::BLOB, id.as_bytes(), &row).await? {
            Some(Sealed::Plain { bytes, .. }) => Ok(Some((key, rows::parse(&bytes)?))),
            Some(Sealed::Destroyed) | None => Ok(None),
        }
    }

    /// Puts the row of a photograph whose file is durable.
    pub(super) fn put_own_blob(
        &self,
        batch: &mut Batch,
        id: BlobId,
        key: KeySlot,
        blob: &OwnBlob,
    ) -> Result<(), ServiceError> {
        let bytes = serde_json::to_vec(blob)
            .map_err(|error| ServiceError::internal("ROW_UNWRITABLE", "a row cannot be written").caused_by(error))?;
        Ok(self.vault.put(batch, area::BLOB, id.as_bytes(), key, BLOB_SCHEMA, &bytes)?)
    }

    /// Takes the photographs that a content names for a draft: loose ones of the drafter as they are, those of the
    /// notice's present version as copies under fresh ids and keys. The caller holds the notices' lock.
    ///
    /// # Errors
    /// `PHOTO_UNKNOWN` for any other; nothing is left behind then.
    pub(crate) async fn adopt_blobs(
        &self,
        drafter: &str,
        content: &Content,
        head: Option<&OwnNotice>,
    ) -> Result<DraftBlobs, ServiceError> {
        let mut adopted = DraftBlobs::default();
        let present = match head {
            Some(head) if content.blobs().next().is_some() => self.present_blobs(head).await?,
            _ => Vec::new(),
        };
        for blob in content.blobs() {
            if let Err(error) = self.adopt(drafter, blob, &present, &mut adopted).await {
                self.forget_fresh(&adopted.fresh).await;
                return Err(error);
            }
        }
        Ok(adopted)
    }

    async fn adopt(
        &self,
        drafter: &str,
        blob: &BlobRef,
        present: &[BlobId],
        adopted: &mut DraftBlobs,
    ) -> Result<(), ServiceError> {
        let unknown = || {
            ServiceError::invalid("PHOTO_UNKNOWN", "the draft names a photograph that is not there for it to use")
                .with_hint(
                    "upload it anew: a draft takes its own officer's uploads of one day, and those of the notice",
                )
        };
        let id = blob.blob_id();
        let (key, own) = self.own_blob(id).await?.filter(|(_, own)| own.is(blob)).ok_or_else(unknown)?;
        if present.contains(&id) {
            return self.copy(drafter, BlobName { key, id: blob.id }, own, adopted).await;
        }
        let loose = area::loose(own.uploaded, id);
        if own.uploader != drafter || self.store.get(area::BLOB_LOOSE, &loose).await?.is_none() {
            return Err(unknown());
        }
        adopted.rows.delete(area::BLOB_LOOSE, loose);
        adopted.add(id, key, *blob);
        Ok(())
    }

    /// A copy under an id and a key of its own.
    async fn copy(
        &self,
        drafter: &str,
        from: BlobName,
        own: OwnBlob,
        adopted: &mut DraftBlobs,
    ) -> Result<(), ServiceError> {
        let id = BlobId::random(&*self.entropy);
        let to = BlobName { key: self.keys.allocate()?, id: *id.as_bytes() };
        let len = own.len;
        let copied = self.blobs.with(move |store| match store.read(&from, len, 0..len)? {
            Some(bytes) => store.write(&to, &bytes).map(|()| true),
            None => Ok(false),
        });
        if !copied.await? {
            return Err(ServiceError::internal("BLOB_GONE", "a photograph of the notice is gone"));
        }
        adopted.fresh.push(to.key);
        let own = OwnBlob { uploader: drafter.to_owned(), uploaded: self.clock.now().as_unix(), ..own };
        self.put_own_blob(&mut adopted.rows, id, to.key, &own)?;
        adopted.add(id, to.key, own.named(id));
        Ok(())
    }

    async fn present_blobs(&self, head: &OwnNotice) -> Result<Vec<BlobId>, ServiceError> {
        let content = self.own_content(head).await?;
        Ok(content.iter().flat_map(crate::stored::ShownFields::blobs).map(|(_, blob)| blob.blob_id()).collect())
    }

    /// Removes files whose rows were never written. One that stays goes at the next start.
    pub(crate) async fn forget_fresh(&self, keys: &[KeySlot]) {
        let keys = keys.to_vec();
        if let Err(error) = self.blobs.with(move |store| store.remove(&keys)).await {
            tracing::warn!("a file that no row names stays until the next start: {error}");
        }
    }

    /// Destroys what was uploaded and named by no draft in time. Returns how many.
    pub(crate) async fn expire_loose_blobs(&self) -> Result<usize, ServiceError> {
        let before = self.clock.now().as_unix().saturating_sub(self.limits.loose_blob_seconds);
        let mut ended = 0;
        loop {
            let due = self.store.scan(Scan::new(area::BLOB_LOOSE, PAGE)).await?;
            let due: Vec<_> = due.into_iter().map(|(key, _)| key).take_while(|key| uploaded(key) < before).collect();
            let full = due.len() == PAGE;
            for key in due {
                let _notices = self.notices.lock().await;
                // A draft may just have taken it.
                if self.store.get(area::BLOB_LOOSE, &key).await?.is_none() {
                    continue;
                }
                let mut batch = Batch::new();
                batch.protective();
                let id = BlobId::try_from(key.get(8..).unwrap_or_default())?;
                batch.delete(area::BLOB_LOOSE, key);
                if let Some((key, _)) = self.own_blob(id).await? {
                    let blob = BlobKey { id, slot: SlotNumber::IMAGES.get(), key: key.into() };
                    self.queue_purge(&mut batch, &PurgeJob::Blob { blob })?;
                }
                self.store.commit(batch).await?;
                self.purge_due.notify_one();
                ended += 1;
            }
            if !full {
                return Ok(ended);
            }
        }
    }
}

impl DraftBlobs {
    fn add(&mut self, id: BlobId, key: KeySlot, image: BlobRef) {
        self.keys.push(BlobKey { id, slot: SlotNumber::IMAGES.get(), key: key.into() });
        self.images.push(image);
    }
}

fn uploaded(key: &[u8]) -> i64 {
    key.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}
