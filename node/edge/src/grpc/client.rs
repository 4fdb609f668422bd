//! Calling a peer: the client's half of `PeerService`, in the words of the domain.

use std::time::Duration;

use eads_domain::audit::ExchangeDigest;
use eads_domain::code::Coded as _;
use eads_domain::id::{RegisterId, RequestId};
use eads_domain::query::{Answer, Query};
use eads_domain::receipt::SignedReceipts;
use eads_domain::wire::{InvalidMessage, PROTOCOL};
use eads_proto::v1;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_service::audit::{MatchAsked, MatchPage};
use eads_service::blobs::BlobAsked;
use eads_service::peers::{LinkError, LinkFailure};
use eads_service::sync::{SyncBatch, SyncCursor};
use eads_service::trust::{Held, HeldCheckpoint, Returned};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tonic::Request;
use tonic::transport::Channel;

use super::{MAX_ANSWER_BYTES, MAX_PEER_REQUEST_BYTES, pack, sync, trust};
use crate::error::link_error;

/// One peer over an open channel.
pub(crate) struct PeerClient(PeerServiceClient<Channel>);

impl PeerClient {
    pub(crate) fn new(channel: Channel) -> Self {
        let client = PeerServiceClient::new(channel)
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_PEER_REQUEST_BYTES);
        Self(client)
    }

    /// Opens the peer's sync stream. It has no deadline of its own: it stays open.
    pub(crate) async fn sync(
        &mut self,
        cursor: SyncCursor,
    ) -> Result<BoxStream<'static, Result<SyncBatch, LinkError>>, LinkError> {
        let messages = self.0.sync(sync::request(cursor)).await.map_err(|status| link_error(&status))?.into_inner();
        let batch = |message: Result<v1::SyncResponse, tonic::Status>| {
            message
                .map_err(|status| link_error(&status))
                .and_then(|message| pack::unpack(message).and_then(sync::batch).map_err(nonsense))
        };
        Ok(messages.map(batch).boxed())
    }

    /// Hands over receipts; returns how many were new to the peer. It has no deadline of its own: a thin line takes
    /// its time.
    pub(crate) async fn post_receipts(&mut self, receipts: &SignedReceipts) -> Result<u32, LinkError> {
        let request = v1::PostReceiptsRequest::from(receipts);
        let answer = self.0.post_receipts(request).await.map_err(|status| link_error(&status))?;
        Ok(answer.into_inner().recorded)
    }

    /// Asks what the peer holds of the own register.
    pub(crate) async fn get_held(&mut self, register: RegisterId, receipts_again: bool) -> Result<Held, LinkError> {
        let message = v1::GetHeldRequest { register: register.as_bytes().to_vec(), receipts_again };
        let answer = self.0.get_held(message).await.map_err(|status| link_error(&status))?;
        trust::held_of(answer.into_inner()).map_err(nonsense)
    }

    /// Has the own register given back. The stream has no deadline of its own.
    pub(crate) async fn return_register(
        &mut self,
        register: RegisterId,
        first_index: u64,
    ) -> Result<BoxStream<'static, Result<Returned, LinkError>>, LinkError> {
        let message = v1::ReturnRegisterRequest { register: register.as_bytes().to_vec(), first_index };
        let answer = self.0.return_register(message).await.map_err(|status| link_error(&status))?;
        let returned = |message: Result<v1::ReturnRegisterResponse, tonic::Status>| {
            message.map_err(|status| link_error(&status)).and_then(|item| trust::returned(item).map_err(nonsense))
        };
        Ok(answer.into_inner().map(returned).boxed())
    }

    /// Tells which checkpoints are held here; returns which the peer holds.
    pub(crate) async fn exchange_checkpoints(
        &mut self,
        held: Vec<HeldCheckpoint>,
    ) -> Result<Vec<HeldCheckpoint>, LinkError> {
        let message = v1::ExchangeCheckpointsRequest { held: trust::held_messages(held) };
        let answer = self.0.exchange_checkpoints(message).await;
        trust::held(answer.map_err(|status| link_error(&status))?.into_inner().held).map_err(nonsense)
    }

    /// One page of what the peer's audit log holds of exchanges with this member.
    pub(crate) async fn match_audit(&mut self, asked: MatchAsked) -> Result<MatchPage, LinkError> {
        let message = v1::MatchAuditRequest {
            from: asked.from.as_unix(),
            to: asked.to.as_unix(),
            after: asked.after.map(|after| after.as_bytes().to_vec()).unwrap_or_default(),
        };
        let answer = self.0.match_audit(message).await.map_err(|status| link_error(&status))?.into_inner();
        let digests = ExchangeDigest::parse_all(&answer.digests).map_err(|error| {
            LinkError::new(LinkFailure::Incompatible, error.code().as_str(), format!("the peer's answer: {error}"))
        })?;
        Ok(MatchPage { digests, more: answer.more })
    }

    /// Opens the stream of a photograph. It has no deadline of its own: its reader watches its progress.
    pub(crate) async fn fetch_blob(
        &mut self,
        asked: BlobAsked,
    ) -> Result<BoxStream<'static, Result<Vec<u8>, LinkError>>, LinkError> {
        let answer = self.0.fetch_blob(sync::blob_request(asked)).await.map_err(|status| link_error(&status))?;
        let piece = |message: Result<v1::FetchBlobResponse, tonic::Status>| {
            message.map(|message| message.chunk).map_err(|status| link_error(&status))
        };
        Ok(answer.into_inner().map(piece).boxed())
    }

    /// Asks; the peer is told how long it has.
    pub(crate) async fn query(
        &mut self,
        request: RequestId,
        query: &Query,
        deadline: Duration,
    ) -> Result<Answer, LinkError> {
        let message =
            v1::QueryRequest { protocol: PROTOCOL, request_id: request.as_bytes().to_vec(), query: Some(query.into()) };
        let answer = self.0.query(within(message, deadline)).await.map_err(|status| link_error(&status))?;
        answer.into_inner().try_into().map_err(nonsense)
    }
}

/// A request with its deadline in `grpc-timeout`, which the channel keeps too.
fn within<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

/// The peer answered something that cannot be read.
fn nonsense(error: InvalidMessage) -> LinkError {
    LinkError::new(LinkFailure::Incompatible, error.code().as_str(), format!("the peer's answer: {error}"))
}
