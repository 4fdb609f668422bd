//! Files that arrive in chunks: options first, then bytes, within a size and without long silences.

use std::time::Duration;

use eads_service::ServiceError;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::error::status;

/// The largest chunk of a file, in bytes.
pub(super) const MAX_CHUNK_BYTES: usize = 1024 * 1024;
/// A caller that sends nothing for so long has given up.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// One message of an upload.
pub(super) enum Part<O> {
    Options(O),
    Chunk(Vec<u8>),
}

/// An upload whose messages `read` takes apart; a message with neither is refused.
pub(super) struct Upload<M, O> {
    messages: Streaming<M>,
    read: fn(M) -> Option<Part<O>>,
}

impl<M, O> Upload<M, O> {
    pub(super) const fn new(messages: Streaming<M>, read: fn(M) -> Option<Part<O>>) -> Self {
        Self { messages, read }
    }

    /// The options, which come first and once.
    pub(super) async fn options(&mut self) -> Result<O, Status> {
        match self.next().await? {
            Some(Part::Options(options)) => Ok(options),
            _ => Err(status(&ServiceError::invalid("IMPORT_OPTIONS_MISSING", "the first message carries the options"))),
        }
    }

    /// The next bytes; none at the end of the file.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Status> {
        match self.next().await? {
            None => Ok(None),
            Some(Part::Chunk(bytes)) if bytes.len() <= MAX_CHUNK_BYTES => Ok(Some(bytes)),
            Some(Part::Chunk(_)) => Err(status(&ServiceError::invalid(
                "IMPORT_CHUNK_TOO_LARGE",
                format!("a chunk is at most {MAX_CHUNK_BYTES} bytes"),
            ))),
            Some(Part::Options(_)) => {
                Err(status(&ServiceError::invalid("IMPORT_OPTIONS_TWICE", "the options come once, and first")))
            }
        }
    }

    /// The whole file, if it is not above `max` bytes.
    pub(super) async fn whole(&mut self, max: usize) -> Result<Vec<u8>, Status> {
        let mut file = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if file.len().saturating_add(chunk.len()) > max {
                return Err(status(&ServiceError::exhausted(
                    "IMPORT_TOO_LARGE",
                    format!("a list is at most {} MiB", max / (1024 * 1024)),
                )));
            }
            file.extend_from_slice(&chunk);
        }
        Ok(file)
    }

    async fn next(&mut self) -> Result<Option<Part<O>>, Status> {
        let message = timeout(MAX_SILENCE, self.messages.message()).await.map_err(|_| {
            status(&ServiceError::unavailable("IMPORT_STALLED", "nothing of the file came for a minute"))
        })??;
        match message.map(self.read) {
            None => Ok(None),
            Some(Some(part)) => Ok(Some(part)),
            Some(None) => Err(status(&ServiceError::invalid(
                "IMPORT_PART_EMPTY",
                "a message carries either the options or a chunk",
            ))),
        }
    }
}
