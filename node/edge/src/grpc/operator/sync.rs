//! Sync files: the parts as messages, and bytes to and from the administrator who carries them.

use eads_domain::sync_file::SyncFileError;
use eads_proto::v1;
use eads_service::ServiceError;
use eads_service::sync::{FilePart, FileStart, Imported, PartCodec};
use futures::StreamExt as _;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::upload::{Part, Upload};
use super::{OperatorApi, convert};
use crate::error::status;
use crate::grpc::{Answers, finish, sync};

/// Kinds of frames; they are part of the format.
const BATCH: u8 = 1;
const RECEIPTS: u8 = 2;
const POSITION: u8 = 3;
/// The most receipts of one signature and their length, far above what is taken: only the form is read here.
const MAX_PARTS: usize = 1024;
/// Chunks of a file that may wait.
const QUEUE: usize = 2;

const CODEC: PartCodec = PartCodec { encode, decode };

impl OperatorApi {
    pub(super) async fn export_sync_file(
        &self,
        request: Request<v1::ExportSyncRequest>,
    ) -> Result<Response<Answers<v1::ExportSyncResponse>>, Status> {
        let (call, message) = self.admit("ExportSync", request).await?;
        let peer = convert::member(&message.member)?;
        let v1::ExportSyncRequest { register_cursor, delivery_cursor, .. } = message;
        let start = FileStart { register_cursor, delivery_cursor };
        let node = self.node.clone();
        let chunks = finish(async move { node.export_sync(&call, peer, start, CODEC).await }).await?;
        let chunks = ReceiverStream::new(chunks).map(|chunk| match chunk {
            Ok(chunk) => Ok(v1::ExportSyncResponse { chunk }),
            Err(error) => Err(status(&error)),
        });
        Ok(Response::new(chunks.boxed()))
    }

    pub(super) async fn import_sync_file(
        &self,
        request: Request<Streaming<v1::ImportSyncRequest>>,
    ) -> Result<Response<v1::ImportSyncResponse>, Status> {
        let (call, messages) = self.admit("ImportSync", request).await?;
        let mut upload = Upload::<_, std::convert::Infallible>::new(messages, |message: v1::ImportSyncRequest| {
            Some(Part::Chunk(message.chunk))
        });
        let (sender, receiver) = mpsc::channel(QUEUE);
        let node = self.node.clone();
        // A task of its own: what it has begun to apply it finishes, also when the caller goes away.
        let importing = tokio::spawn(async move { node.import_sync(&call, receiver, CODEC).await });
        let uploaded = loop {
            match upload.chunk().await {
                Ok(Some(chunk)) => {
                    if sender.send(chunk).await.is_err() {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            }
        };
        drop(sender);
        let imported = finish(async move {
            importing.await.unwrap_or_else(|stopped| {
                Err(ServiceError::internal("CALL_STOPPED", "the call was interrupted").caused_by(stopped))
            })
        })
        .await;
        // A file that did not come whole is cut off for the import too; why it did not is what the caller needs.
        uploaded?;
        let Imported { member, leaves, deliveries, receipts, cursor } = imported?;
        Ok(Response::new(v1::ImportSyncResponse {
            member: member.to_string(),
            leaves,
            deliveries,
            receipts,
            blobs: 0,
            register_cursor: cursor.register_cursor,
            delivery_cursor: cursor.delivery_cursor,
        }))
    }
}

fn encode(part: FilePart) -> (u8, Vec<u8>) {
    match part {
        FilePart::Batch(batch) => (BATCH, sync::message(*batch).encode_to_vec()),
        FilePart::Receipts { parts, signature } => {
            (RECEIPTS, v1::PostReceiptsRequest { parts, signature }.encode_to_vec())
        }
        FilePart::Position(cursor) => (POSITION, sync::request(cursor).encode_to_vec()),
    }
}

fn decode(kind: u8, body: &[u8]) -> Result<FilePart, ServiceError> {
    let unreadable = |_| ServiceError::from_coded(SyncFileError::Frame);
    match kind {
        BATCH => {
            let message = v1::SyncResponse::decode(body).map_err(unreadable)?;
            Ok(FilePart::Batch(Box::new(sync::batch(message).map_err(ServiceError::from_coded)?)))
        }
        RECEIPTS => {
            let v1::PostReceiptsRequest { parts, signature } =
                v1::PostReceiptsRequest::decode(body).map_err(unreadable)?;
            if parts.len() > MAX_PARTS {
                return Err(ServiceError::from_coded(SyncFileError::Frame));
            }
            Ok(FilePart::Receipts { parts, signature })
        }
        POSITION => {
            let message = v1::SyncRequest::decode(body).map_err(unreadable)?;
            Ok(FilePart::Position(sync::cursor(&message).map_err(ServiceError::from_coded)?))
        }
        _ => Err(ServiceError::from_coded(SyncFileError::Frame)),
    }
}
