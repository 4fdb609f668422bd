//! Photographs: taken in, kept in sealed files, shown to officers, served to peers.
//!
//! **Promises.**
//! * What an officer hands in is decoded within limits and written anew: nothing of the file but its picture is
//!   kept, neither place nor device nor comment. It is durable when the upload is answered.
//! * A photograph is *loose* until a draft of its uploader names it, then it belongs to the draft, then to the
//!   statement. It has an id and a data key of its own in each version, so that ids link nothing and each version is
//!   destroyed alone. What nobody names within a day is destroyed.
//! * A peer is served it only as long as it may hold the slot that names it. The delivery log, durable before the
//!   first byte leaves, is the record of who may.
//! * A held one is visible only when all of it is here and is the very file that the signed value names.

mod keep;
mod picture;
mod serve;
mod show;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use eads_domain::id::{BlobId, Hash};
use eads_domain::value::{BlobRef, Media};
use eads_store::blobs::{BlobError, BlobStore};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use serve::BlobAsked;
pub(crate) use serve::Served;
pub use show::{PhotoShown, PhotoView};

use crate::error::ServiceError;

/// Pictures that are decoded at one time: each takes up to 220 MiB of memory.
const DECODING: usize = 2;
/// How long a caller waits for its turn.
const TURN: Duration = Duration::from_secs(20);

/// The sealed files, and whose turn it is to decode.
#[derive(Debug)]
pub(crate) struct Blobs {
    store: Arc<BlobStore>,
    decoding: Arc<Semaphore>,
}

impl Blobs {
    pub(crate) fn new(store: Arc<BlobStore>) -> Self {
        Self { store, decoding: Arc::new(Semaphore::new(DECODING)) }
    }

    /// The files themselves, for those who check them.
    pub(crate) fn files(&self) -> Arc<BlobStore> {
        self.store.clone()
    }

    /// Does `work` on the files, on a thread that may wait.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&BlobStore) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let store = self.store.clone();
        Ok(tokio::task::spawn_blocking(move || work(&store)).await.map_err(interrupted)??)
    }

    /// Does `work` on a picture, on a thread of its own, when it is its turn.
    async fn decoding<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let turn = self.turn().await?;
        let decoding = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        decoding.await.map_err(interrupted)?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        match tokio::time::timeout(TURN, self.decoding.clone().acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ServiceError::exhausted("PHOTO_BUSY", "too many photographs are handed in at once; try again")),
        }
    }
}

fn interrupted(error: tokio::task::JoinError) -> ServiceError {
    ServiceError::internal("BLOB_STOPPED", "work on a photograph was interrupted").caused_by(error)
}

/// What is known of an own photograph; sealed under its own key, since it tells the picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OwnBlob {
    pub(crate) sha256: Hash,
    pub(crate) len: u32,
    pub(crate) media: Media,
    /// Who handed it in; only this officer's drafts can name it while it is loose.
    pub(crate) uploader: String,
    /// When, Unix seconds: where its loose row stands.
    pub(crate) uploaded: i64,
}

impl OwnBlob {
    fn is(&self, blob: &BlobRef) -> bool {
        (self.sha256, self.len, self.media) == (blob.sha256, blob.len, blob.media)
    }

    fn named(&self, id: BlobId) -> BlobRef {
        BlobRef { id: *id.as_bytes(), sha256: self.sha256, len: self.len, media: self.media }
    }
}
