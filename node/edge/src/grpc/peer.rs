//! What peers ask of this node. Who asks is what the TLS layer proved, never anything in a message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId};
use eads_domain::wire::{PROTOCOL, QuestionReceived};
use eads_proto::v1;
use eads_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use eads_service::audit::MatchAsked;
use eads_service::{Node, ServiceError};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{Answers, MAX_ANSWER_BYTES, MAX_PEER_REQUEST_BYTES, finish, pack, sync, trust};
use crate::error::{refused, status};
use crate::progress::{LEAST_BYTES, Patience, while_moving};
use crate::tls::{Moved, PeerIdentity};

/// Sync streams, and streams of photographs, that one member may have open: one, and one more while the node has not
/// noticed the end of the one before.
const MAX_STREAMS_A_MEMBER: usize = 2;
/// How many times the time of stillness a batch may take in all.
const WHOLE_STALLS: u32 = 20;
/// A line that takes longer than this for a batch is thin, and one below the other is not.
const SLOW: Duration = Duration::from_millis(250);
const QUICK: Duration = Duration::from_millis(50);

/// `PeerService` over a node.
pub struct PeerApi {
    node: Arc<Node>,
    streams: Streams,
    blobs: Streams,
    stop: CancellationToken,
}

impl PeerApi {
    /// Answers for `node`; streams end at `stop`, so that peers can go elsewhere before the node is gone.
    pub fn new(node: Arc<Node>, stop: CancellationToken) -> Self {
        Self { node, streams: Streams::default(), blobs: Streams::default(), stop }
    }

    /// As a service with its bounds.
    pub fn into_server(self) -> PeerServiceServer<Self> {
        PeerServiceServer::new(self)
            .max_decoding_message_size(MAX_PEER_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES)
    }
}

#[tonic::async_trait]
impl PeerService for PeerApi {
    type FetchBlobStream = Answers<v1::FetchBlobResponse>;
    type ReturnRegisterStream = Answers<v1::ReturnRegisterResponse>;
    type SyncStream = Answers<v1::SyncResponse>;

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<Self::SyncStream>, Status> {
        let peer = caller(&request)?;
        let moved = request.extensions().get::<Moved>().cloned().unwrap_or_default();
        let message = request.into_inner();
        spoken(message.protocol)?;
        let cursor = sync::cursor(&message).map_err(refused)?;
        let place = self.streams.enter(peer).ok_or_else(|| {
            status(&ServiceError::exhausted(
                "SYNC_STREAMS_TOO_MANY",
                format!("at most {MAX_STREAMS_A_MEMBER} sync streams a member; one that has ended is noticed soon"),
            ))
        })?;
        let batches = self.node.clone().serve_sync(peer, cursor).await.map_err(|error| status(&error))?;
        let (sender, receiver) = mpsc::channel(1);
        let pack: Option<fn(_) -> _> = message.accept_packed.then_some(pack::pack);
        let line = Line { stall: self.node.limits().stall, moved, pack };
        let messages = batches.map(|batch| batch.map(sync::message)).boxed();
        tokio::spawn(pump(messages, sender, line, self.stop.clone(), place));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    async fn post_receipts(
        &self,
        request: Request<v1::PostReceiptsRequest>,
    ) -> Result<Response<v1::PostReceiptsResponse>, Status> {
        let peer = caller(&request)?;
        let v1::PostReceiptsRequest { parts, signature } = request.into_inner();
        let node = self.node.clone();
        let recorded = finish(async move { node.collect_receipts(peer, parts, &signature).await }).await?;
        Ok(Response::new(v1::PostReceiptsResponse { recorded }))
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        let peer = caller(&request)?;
        let message = request.into_inner();
        spoken(message.protocol)?;
        let question = QuestionReceived::try_from(message).map_err(refused)?;
        // Nothing is changed by it, so a caller that goes away ends it.
        let answering = self.node.answer_query(peer, question.request, &question.query);
        let answer = timeout(self.node.limits().search_deadline, answering)
            .await
            .map_err(|_| status(&ServiceError::unavailable("ANSWER_TOO_SLOW", "the answer took too long")))?
            .map_err(|error| status(&error))?;
        Ok(Response::new((&answer).into()))
    }

    async fn fetch_blob(
        &self,
        request: Request<v1::FetchBlobRequest>,
    ) -> Result<Response<Self::FetchBlobStream>, Status> {
        let peer = caller(&request)?;
        let moved = request.extensions().get::<Moved>().cloned().unwrap_or_default();
        let asked = sync::blob_asked(&request.into_inner()).map_err(refused)?;
        let place = self.blobs.enter(peer).ok_or_else(|| {
            status(&ServiceError::exhausted(
                "BLOB_STREAMS_TOO_MANY",
                format!("at most {MAX_STREAMS_A_MEMBER} files at a time a member"),
            ))
        })?;
        let pieces = self.node.clone().serve_blob(peer, asked).await.map_err(|error| status(&error))?;
        let messages = pieces.map(|piece| piece.map(|chunk| v1::FetchBlobResponse { chunk })).boxed();
        let (sender, receiver) = mpsc::channel(1);
        let line = Line { stall: self.node.limits().stall, moved, pack: None };
        tokio::spawn(pump(messages, sender, line, self.stop.clone(), place));
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    async fn exchange_checkpoints(
        &self,
        request: Request<v1::ExchangeCheckpointsRequest>,
    ) -> Result<Response<v1::ExchangeCheckpointsResponse>, Status> {
        let peer = caller(&request)?;
        let told = trust::held(request.into_inner().held).map_err(refused)?;
        let node = self.node.clone();
        let held = finish(async move { node.exchange_checkpoints(peer, told).await }).await?;
        Ok(Response::new(v1::ExchangeCheckpointsResponse { held: trust::held_messages(held) }))
    }

    async fn get_held(&self, request: Request<v1::GetHeldRequest>) -> Result<Response<v1::GetHeldResponse>, Status> {
        let peer = caller(&request)?;
        let message = request.into_inner();
        let register = trust::register(&message.register).map_err(refused)?;
        let node = self.node.clone();
        let held = finish(async move { node.register_held(peer, register, message.receipts_again).await }).await?;
        Ok(Response::new(trust::held_message(held)))
    }

    async fn return_register(
        &self,
        request: Request<v1::ReturnRegisterRequest>,
    ) -> Result<Response<Self::ReturnRegisterStream>, Status> {
        let peer = caller(&request)?;
        let message = request.into_inner();
        let register = trust::register(&message.register).map_err(refused)?;
        let returned = self.node.clone().return_register(peer, register, message.first_index).await;
        let returned = returned.map_err(|error| status(&error))?;
        let answer = |item: Result<_, ServiceError>| item.map(trust::returned_message).map_err(|error| status(&error));
        Ok(Response::new(returned.map(answer).boxed()))
    }

    async fn match_audit(
        &self,
        request: Request<v1::MatchAuditRequest>,
    ) -> Result<Response<v1::MatchAuditResponse>, Status> {
        let peer = caller(&request)?;
        let message = request.into_inner();
        let after = match message.after.as_slice() {
            [] => None,
            after => Some(Hash::try_from(after).map_err(refused)?),
        };
        let asked =
            MatchAsked { from: Timestamp::from_unix(message.from), to: Timestamp::from_unix(message.to), after };
        let node = self.node.clone();
        let page = finish(async move { node.match_audit(peer, asked).await }).await?;
        let digests = page.digests.iter().flat_map(|digest| digest.to_bytes()).collect();
        Ok(Response::new(v1::MatchAuditResponse { digests, more: page.more }))
    }
}

/// The line of a stream: how long a message may wait for it, and what may be done with one.
struct Line<T> {
    /// While nothing moves.
    stall: Duration,
    moved: Moved,
    /// What makes a message smaller while the line is thin.
    pack: Option<fn(T) -> T>,
}

impl<T> Line<T> {
    fn patience(&self) -> Patience {
        Patience { still: self.stall, whole: self.stall.saturating_mul(WHOLE_STALLS), least: LEAST_BYTES }
    }
}

/// Hands messages to the connection one by one. Ends when the peer is gone, one waits while the line stands still,
/// an error was told, or the node stops.
async fn pump<T>(
    mut messages: BoxStream<'static, Result<T, ServiceError>>,
    answers: mpsc::Sender<Result<T, Status>>,
    line: Line<T>,
    stop: CancellationToken,
    place: Place,
) {
    let mut thin = false;
    loop {
        let next = tokio::select! {
            biased;
            () = answers.closed() => return,
            () = stop.cancelled() => Some(Err(ServiceError::unavailable("NODE_STOPPING", "this node is stopping"))),
            next = messages.next() => next,
        };
        let Some(next) = next else { return };
        let last = next.is_err();
        let answer = next.map_err(|error| status(&error));
        let answer = match line.pack.filter(|_| thin) {
            Some(pack) => answer.map(pack),
            None => answer,
        };
        let begun = Instant::now();
        match while_moving(line.patience(), || line.moved.total(), answers.send(answer)).await {
            // Once a line is thin it counts as thin until it keeps nobody waiting.
            Some(Ok(())) if !last => thin = begun.elapsed() > if thin { QUICK } else { SLOW },
            Some(_) => return,
            None => {
                tracing::info!(peer = %place.member, code = "READER_STALLED", "a peer reads nothing; its stream is dropped");
                return;
            }
        }
    }
}

/// The member that the connection was proven to belong to.
fn caller<T>(request: &Request<T>) -> Result<MemberId, Status> {
    let identity = request.extensions().get::<PeerIdentity>().ok_or_else(|| {
        status(&ServiceError::internal("IDENTITY_MISSING", "a request came without the identity of its connection"))
    })?;
    Ok(identity.member)
}

fn spoken(protocol: u32) -> Result<(), Status> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    Err(status(
        &ServiceError::incompatible(
            "PROTOCOL_INCOMPATIBLE",
            format!("protocol {protocol} is not spoken here; this node speaks {PROTOCOL}"),
        )
        .with_hint("compare the versions of both nodes"),
    ))
}

/// How many streams of one kind each member has open.
#[derive(Clone, Debug, Default)]
struct Streams(Arc<Mutex<BTreeMap<MemberId, usize>>>);

impl Streams {
    fn enter(&self, member: MemberId) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(member).or_default();
        if *count >= MAX_STREAMS_A_MEMBER {
            return None;
        }
        *count += 1;
        Some(Place { streams: self.clone(), member })
    }
}

/// The right of one stream to be open.
#[derive(Debug)]
struct Place {
    streams: Streams,
    member: MemberId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.member) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eads_service::sync::SyncBatch;
    use futures::stream;

    fn member(code: &str) -> MemberId {
        code.parse().unwrap()
    }

    fn line<T>() -> Line<T> {
        Line { stall: Duration::from_secs(9), moved: Moved::default(), pack: None }
    }

    fn heartbeat() -> SyncBatch {
        SyncBatch {
            cards: Vec::new(),
            urgent: Vec::new(),
            urgent_checkpoint: Vec::new(),
            first_index: 0,
            leaves: Vec::new(),
            checkpoint: Vec::new(),
            consistency: Vec::new(),
            deliveries: Vec::new(),
            clock: Timestamp::from_unix(1),
            more: false,
        }
    }

    #[test]
    fn a_member_has_two_sync_streams_and_gets_a_place_back_when_one_ends() {
        let streams = Streams::default();
        let first = streams.enter(member("MY")).unwrap();
        let _second = streams.enter(member("MY")).unwrap();
        assert!(streams.enter(member("MY")).is_none());
        assert!(streams.enter(member("TH")).is_some());
        drop(first);
        assert!(streams.enter(member("MY")).is_some());
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_loses_its_stream_and_its_place() {
        let streams = Streams::default();
        let (sender, _receiver) = mpsc::channel(1);
        let batches = stream::repeat_with(|| Ok(heartbeat())).boxed();
        let place = streams.enter(member("MY")).unwrap();
        let line = Line { stall: Duration::from_millis(1), moved: Moved::default(), pack: None };
        pump(batches, sender, line, CancellationToken::new(), place).await;
        assert!(streams.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_stopping_node_says_so_on_its_streams() {
        let (sender, mut receiver) = mpsc::channel(1);
        let stop = CancellationToken::new();
        stop.cancel();
        let place = Streams::default().enter(member("MY")).unwrap();
        pump::<SyncBatch>(stream::pending().boxed(), sender, line(), stop, place).await;
        let told = receiver.recv().await.unwrap().unwrap_err();
        assert_eq!(told.code(), tonic::Code::Unavailable);
        assert_eq!(told.metadata().get("eads-code").unwrap(), "NODE_STOPPING");
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_reader_and_after_an_error() {
        let place = || Streams::default().enter(member("MY")).unwrap();
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        pump::<SyncBatch>(stream::pending().boxed(), sender, line(), CancellationToken::new(), place()).await;

        let (sender, mut receiver) = mpsc::channel(1);
        let failing = stream::iter([Err(ServiceError::denied("PEER_UNKNOWN", "no")), Ok(heartbeat())]).boxed();
        pump(failing, sender, line(), CancellationToken::new(), place()).await;
        assert!(receiver.recv().await.unwrap().is_err());
        assert!(receiver.recv().await.is_none());
    }

    #[test]
    fn another_protocol_version_is_told_by_its_own_code() {
        assert!(spoken(1).is_ok());
        for other in [0, 2, u32::MAX] {
            let told = spoken(other).unwrap_err();
            assert_eq!(told.code(), tonic::Code::Unimplemented);
            assert_eq!(told.metadata().get("eads-code").unwrap(), "PROTOCOL_INCOMPATIBLE");
        }
    }

    #[test]
    fn a_request_without_a_proven_identity_is_not_served() {
        assert_eq!(caller(&Request::new(())).unwrap_err().code(), tonic::Code::Internal);
    }
}
