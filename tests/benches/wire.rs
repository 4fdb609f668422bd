//! The other end of a measured connection: the product's own mutual TLS and gRPC, and behind it no node.
//!
//! It answers every question with the same bytes at once, takes receipts and counts them, and says nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eads_domain::id::MemberId;
use eads_domain::receipt::{Receipt, ReceiptStatus};
use eads_edge::tls::{
    CertificateDer, ConnectTimeouts, ConnectionRegistry, IdentityHandle, Limits, PeerAdmission, PeerConnector,
    PeerDirectory, PeerServer, Refusal, TlsSettings, serve_peers,
};
use eads_proto::v1;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use eads_tests::member::Member;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::raw::GroupLog;

/// Trusts the members that it was made of.
struct Known(BTreeMap<MemberId, Vec<CertificateDer<'static>>>);

impl Known {
    fn of(members: &[&Member]) -> Arc<Self> {
        let anchors = |member: &&Member| {
            let identity = member.identity();
            let anchors = identity.card.card().tls_anchors.iter();
            (member.id, anchors.map(|anchor| CertificateDer::from(anchor.as_der().to_vec())).collect())
        };
        Arc::new(Self(members.iter().map(anchors).collect()))
    }
}

impl PeerDirectory for Known {
    fn anchors(&self, member: MemberId) -> PeerAdmission {
        match self.0.get(&member) {
            Some(anchors) => PeerAdmission::Accepted { anchors: anchors.clone() },
            None => PeerAdmission::Unknown,
        }
    }
}

/// A connection as `from` to whoever serves as `to` at its address.
pub(crate) async fn dial(from: &Member, to: &Member) -> PeerServiceClient<Channel> {
    let handle = IdentityHandle::new(from.identity().node);
    let connector = PeerConnector::new(
        handle.source(),
        Known::of(&[to]),
        ConnectionRegistry::new(),
        from.clock.clone(),
        TlsSettings::default(),
        ConnectTimeouts::default(),
    );
    let channel = connector.connect(to.id, &to.peers.to_string()).await.expect("a connection");
    PeerServiceClient::new(channel.channel()).max_decoding_message_size(64 * 1024 * 1024)
}

/// What a silent peer does and has been told.
#[derive(Default)]
pub(crate) struct Echo {
    /// The answer to every question.
    pub(crate) answer: v1::QueryResponse,
    /// Where the bytes of every question are made durable before it is answered.
    pub(crate) log: Option<(GroupLog, Vec<u8>)>,
    /// Receipts taken.
    pub(crate) receipts: Arc<AtomicU64>,
    /// Those among them that say that something was destroyed.
    pub(crate) purged: Arc<AtomicU64>,
}

/// Serves as `member`, whose node does not run, for `caller`, until the token is dropped.
pub(crate) async fn serve(member: &Member, caller: &Member, echo: Echo) -> tokio_util::sync::DropGuard {
    let listener = TcpListener::bind(member.peers).await.expect("a free address");
    let handle = IdentityHandle::new(member.identity().node);
    let server = PeerServer {
        identity: handle.source(),
        directory: Known::of(&[caller]),
        registry: ConnectionRegistry::new(),
        clock: member.clock.clone(),
        refusals: Arc::new(|_: &Refusal| {}),
        settings: TlsSettings::default(),
        limits: Limits { drain_timeout: Duration::ZERO, ..Limits::default() },
        reverse: None,
    };
    let stop = CancellationToken::new();
    let (routes, token) = (Routes::new(PeerServiceServer::new(echo)), stop.clone());
    tokio::spawn(async move {
        // The identity lives as long as the server.
        let _handle = handle;
        let _ = serve_peers(listener, server, routes, token).await;
    });
    stop.drop_guard()
}

#[tonic::async_trait]
impl PeerService for Echo {
    type FetchBlobStream = BoxStream<'static, Result<v1::FetchBlobResponse, Status>>;
    type ReturnRegisterStream = BoxStream<'static, Result<v1::ReturnRegisterResponse, Status>>;
    type SyncStream = BoxStream<'static, Result<v1::SyncResponse, Status>>;

    async fn sync(&self, _: Request<v1::SyncRequest>) -> Result<Response<Self::SyncStream>, Status> {
        Ok(Response::new(stream::pending().boxed()))
    }

    async fn post_receipts(
        &self,
        request: Request<v1::PostReceiptsRequest>,
    ) -> Result<Response<v1::PostReceiptsResponse>, Status> {
        let parts = request.into_inner().parts;
        let is_purge = |part: &&Vec<u8>| Receipt::parse(part).is_ok_and(|part| part.status == ReceiptStatus::Purged);
        self.purged.fetch_add(parts.iter().filter(is_purge).count() as u64, Ordering::SeqCst);
        self.receipts.fetch_add(parts.len() as u64, Ordering::SeqCst);
        Ok(Response::new(v1::PostReceiptsResponse { recorded: u32::try_from(parts.len()).unwrap_or_default() }))
    }

    async fn query(&self, _: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        if let Some((log, bytes)) = &self.log {
            log.append(bytes.clone()).await;
        }
        Ok(Response::new(self.answer.clone()))
    }

    async fn fetch_blob(&self, _: Request<v1::FetchBlobRequest>) -> Result<Response<Self::FetchBlobStream>, Status> {
        Err(Status::unimplemented("fetch_blob"))
    }

    async fn exchange_checkpoints(
        &self,
        _: Request<v1::ExchangeCheckpointsRequest>,
    ) -> Result<Response<v1::ExchangeCheckpointsResponse>, Status> {
        Err(Status::unimplemented("exchange_checkpoints"))
    }

    async fn get_held(&self, _: Request<v1::GetHeldRequest>) -> Result<Response<v1::GetHeldResponse>, Status> {
        Err(Status::unimplemented("get_held"))
    }

    async fn match_audit(&self, _: Request<v1::MatchAuditRequest>) -> Result<Response<v1::MatchAuditResponse>, Status> {
        Err(Status::unimplemented("match_audit"))
    }

    async fn return_register(
        &self,
        _: Request<v1::ReturnRegisterRequest>,
    ) -> Result<Response<Self::ReturnRegisterStream>, Status> {
        Err(Status::unimplemented("return_register"))
    }
}
