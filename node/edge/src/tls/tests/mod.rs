//! Real sockets, real certificates: the node of Indonesia under test, its neighbours around it.

mod connect;
mod live;
mod operators;
mod pki;
mod refusals;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use eads_domain::clock::{ManualClock, Timestamp};
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use eads_proto::v1::{
    PostReceiptsRequest, PostReceiptsResponse, QueryRequest, QueryResponse, SyncRequest, SyncResponse,
};
use futures::{Stream, StreamExt as _};
use pki::{Authority, Peers, START, member};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::*;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("does not hang")
}

/// A service that says whom it sees and, through `ended`, when the handler of a stream is gone.
#[derive(Clone)]
struct Mirror {
    ended: mpsc::UnboundedSender<()>,
}

struct TellEnd(mpsc::UnboundedSender<()>);

impl Drop for TellEnd {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tonic::async_trait]
impl PeerService for Mirror {
    type FetchBlobStream = futures::stream::BoxStream<'static, Result<eads_proto::v1::FetchBlobResponse, Status>>;
    type ReturnRegisterStream =
        futures::stream::BoxStream<'static, Result<eads_proto::v1::ReturnRegisterResponse, Status>>;

    type SyncStream = Pin<Box<dyn Stream<Item = Result<SyncResponse, Status>> + Send>>;

    /// One message, then silence for ever.
    async fn sync(&self, _request: Request<SyncRequest>) -> Result<Response<Self::SyncStream>, Status> {
        let told = TellEnd(self.ended.clone());
        let first = futures::stream::once(async { Ok(SyncResponse::default()) });
        let rest = futures::stream::pending().map(move |item| {
            let _ = &told;
            item
        });
        Ok(Response::new(Box::pin(first.chain(rest))))
    }

    /// Never answers.
    async fn post_receipts(
        &self,
        _request: Request<PostReceiptsRequest>,
    ) -> Result<Response<PostReceiptsResponse>, Status> {
        let _told = TellEnd(self.ended.clone());
        std::future::pending().await
    }

    /// Answers with the caller's member, admission and certificate.
    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let seen = match (request.extensions().get::<PeerIdentity>(), request.extensions().get::<OperatorIdentity>()) {
            (Some(peer), None) => format!("{} {:?}", peer.member, peer.admission).into_bytes(),
            (None, Some(operator)) => operator.certificate.to_vec(),
            _ => return Err(Status::internal("exactly one identity is expected")),
        };
        Ok(Response::new(QueryResponse { request_id: seen, ..QueryResponse::default() }))
    }

    async fn fetch_blob(
        &self,
        _: Request<eads_proto::v1::FetchBlobRequest>,
    ) -> Result<Response<Self::FetchBlobStream>, Status> {
        Err(Status::unimplemented("fetch_blob"))
    }

    async fn exchange_checkpoints(
        &self,
        _: Request<eads_proto::v1::ExchangeCheckpointsRequest>,
    ) -> Result<Response<eads_proto::v1::ExchangeCheckpointsResponse>, Status> {
        Err(Status::unimplemented("exchange_checkpoints"))
    }

    async fn get_held(
        &self,
        _: Request<eads_proto::v1::GetHeldRequest>,
    ) -> Result<Response<eads_proto::v1::GetHeldResponse>, Status> {
        Err(Status::unimplemented("get_held"))
    }

    async fn match_audit(
        &self,
        _: Request<eads_proto::v1::MatchAuditRequest>,
    ) -> Result<Response<eads_proto::v1::MatchAuditResponse>, Status> {
        Err(Status::unimplemented("match_audit"))
    }

    async fn return_register(
        &self,
        _: Request<eads_proto::v1::ReturnRegisterRequest>,
    ) -> Result<Response<Self::ReturnRegisterStream>, Status> {
        Err(Status::unimplemented("return_register"))
    }
}

/// A listener of Indonesia's node.
struct Server {
    address: SocketAddr,
    authority: Authority,
    peers: Arc<Peers>,
    registry: ConnectionRegistry,
    clock: Arc<ManualClock>,
    handle: IdentityHandle,
    refusals: mpsc::UnboundedReceiver<Refusal>,
    ended: mpsc::UnboundedReceiver<()>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    _stop: DropGuard,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(Limits::default(), TlsSettings::default()).await
    }

    async fn start_with(limits: Limits, settings: TlsSettings) -> Self {
        let authority = Authority::new();
        let handle = IdentityHandle::new(authority.node("ID"));
        let peers = Arc::new(Peers::default());
        let registry = ConnectionRegistry::new();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(START)));
        let (told, refusals) = mpsc::unbounded_channel();
        let (ended_sender, ended) = mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let server = PeerServer {
            identity: handle.source(),
            directory: Arc::clone(&peers) as _,
            registry: registry.clone(),
            clock: Arc::clone(&clock) as _,
            refusals: Arc::new(move |refusal: &Refusal| told.send(*refusal).unwrap()),
            settings,
            limits,
            reverse: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(PeerServiceServer::new(Mirror { ended: ended_sender }));
        let task = tokio::spawn(serve_peers(listener, server, routes, shutdown.clone()));
        let _stop = shutdown.clone().drop_guard();
        Self { address, authority, peers, registry, clock, handle, refusals, ended, shutdown, task, _stop }
    }

    /// A connector of member `code` that knows this server, with its own certificate from `authority`.
    fn dialler(&self, code: &str, authority: &Authority) -> Dialler {
        self.dialler_as(authority.node(code))
    }

    fn dialler_as(&self, identity: TlsIdentity) -> Dialler {
        let peers = Arc::new(Peers::default());
        peers.accept("ID", &self.authority);
        let (registry, handle) = (ConnectionRegistry::new(), IdentityHandle::new(identity));
        let connector = PeerConnector::new(
            handle.source(),
            Arc::clone(&peers) as _,
            registry.clone(),
            Arc::clone(&self.clock) as _,
            TlsSettings::default(),
            ConnectTimeouts::default(),
        );
        Dialler { connector, peers, registry, address: self.address.to_string(), _handle: handle }
    }

    async fn refusal(&mut self) -> (&'static str, Option<String>) {
        use eads_domain::code::Coded as _;
        let refusal = soon(self.refusals.recv()).await.expect("a refusal");
        assert_eq!(refusal.code(), refusal.reason.code());
        (refusal.code().as_str(), refusal.claimed.map(|member| member.to_string()))
    }
}

struct Dialler {
    connector: PeerConnector,
    peers: Arc<Peers>,
    registry: ConnectionRegistry,
    address: String,
    _handle: IdentityHandle,
}

impl Dialler {
    async fn connect(&self) -> Result<PeerChannel, ConnectFailure> {
        soon(self.connector.connect(member("ID"), &self.address)).await
    }
}

async fn whom_it_sees(channel: Channel) -> Result<Vec<u8>, Status> {
    let answer = soon(PeerServiceClient::new(channel).query(QueryRequest::default())).await?;
    Ok(answer.into_inner().request_id)
}
