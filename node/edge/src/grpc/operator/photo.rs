//! Photographs between operator messages and whole files.

use eads_domain::value::BlobRef;
use eads_proto::v1;
use eads_service::ServiceError;
use eads_service::blobs::PhotoShown;
use tonic::{Status, Streaming};

use super::convert;
use super::upload::{Part, Upload};
use crate::error::status;

/// Bytes of one message.
const MESSAGE_BYTES: usize = 64 * 1024;

/// The file that comes in chunks; reading ends where it gets longer than any photograph.
pub(super) async fn received(messages: Streaming<v1::UploadPhotoRequest>) -> Result<Vec<u8>, Status> {
    let mut upload = Upload::<_, ()>::new(messages, |message: v1::UploadPhotoRequest| Some(Part::Chunk(message.chunk)));
    let mut file = Vec::new();
    while let Some(chunk) = upload.chunk().await? {
        if file.len() + chunk.len() > BlobRef::MAX_LEN as usize {
            return Err(status(
                &ServiceError::invalid("PHOTO_TOO_LARGE", "a photograph is at most 2 MiB")
                    .with_hint("save it with a lower quality or fewer pixels"),
            ));
        }
        file.extend_from_slice(&chunk);
    }
    Ok(file)
}

/// A photograph in messages: what it is in the first one.
pub(super) fn messages(shown: &PhotoShown) -> Vec<Result<v1::GetPhotoResponse, Status>> {
    let len = u32::try_from(shown.bytes.len()).unwrap_or(u32::MAX);
    let chunks = shown.bytes.chunks(MESSAGE_BYTES).enumerate();
    let message = |(place, chunk): (usize, &[u8])| {
        let first = place == 0;
        Ok(v1::GetPhotoResponse {
            media: if first { shown.media.to_string() } else { String::new() },
            len: if first { len } else { 0 },
            chunk: chunk.to_vec(),
            cautions: if first { convert::cautions(&shown.cautions) } else { Vec::new() },
            exercise: first && shown.exercise,
        })
    };
    chunks.map(message).collect()
}
