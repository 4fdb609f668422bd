//! Taking a photograph in.

use eads_domain::encode::sha256;
use eads_domain::id::BlobId;
use eads_domain::value::BlobRef;
use eads_store::blobs::BlobName;
use eads_store::port::{Batch, Scan};

use super::{OwnBlob, picture};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// Photographs that may wait for a draft at one time.
const MAX_LOOSE: usize = 1000;

impl Node {
    /// Takes a JPEG or PNG of at most 2 MiB, keeps its picture alone, and says how a draft names it. It is durable
    /// when this returns, and destroyed after a day unless a draft of the same officer names it.
    ///
    /// # Errors
    /// `PHOTO_TOO_LARGE`, `PHOTO_FORMAT`, `PHOTO_DAMAGED`, `PHOTO_DIMENSIONS` for what it is; `PHOTO_BUSY`,
    /// `PHOTOS_TOO_MANY`; `DISK_RESERVE`, `STORE_IO`.
    pub async fn upload_photo(&self, call: &Call, file: Vec<u8>) -> Result<BlobRef, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "UploadPhoto")).await?;
        let outcome = self.take_photo(call.operator.name.as_str(), file).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn take_photo(&self, uploader: &str, file: Vec<u8>) -> Result<BlobRef, ServiceError> {
        if self.store.scan(Scan::new(area::BLOB_LOOSE, MAX_LOOSE)).await?.len() == MAX_LOOSE {
            return Err(ServiceError::exhausted(
                "PHOTOS_TOO_MANY",
                format!(
                    "{MAX_LOOSE} photographs wait for drafts that name them; they are destroyed a day after they came"
                ),
            ));
        }
        let cleaned = self.blobs.decoding(move || picture::clean(&file)).await?;
        let id = BlobId::random(&*self.entropy);
        let name = BlobName { key: self.keys.allocate()?, id: *id.as_bytes() };
        let own = OwnBlob {
            sha256: sha256(&cleaned.bytes),
            len: u32::try_from(cleaned.bytes.len()).unwrap_or(u32::MAX),
            media: cleaned.media,
            uploader: uploader.to_owned(),
            uploaded: self.clock.now().as_unix(),
        };
        self.blobs.with(move |store| store.write(&name, &cleaned.bytes)).await?;
        let mut batch = Batch::new();
        self.put_own_blob(&mut batch, id, name.key, &own)?;
        batch.put(area::BLOB_LOOSE, area::loose(own.uploaded, id), []);
        if let Err(error) = self.store.commit(batch).await {
            // If it may have happened, the next start knows whether the file is named.
            if !error.outcome_unknown() {
                self.forget_fresh(&[name.key]).await;
            }
            return Err(error.into());
        }
        Ok(own.named(id))
    }
}
