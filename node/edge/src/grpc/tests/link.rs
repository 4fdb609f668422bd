//! The link against peers that answer, refuse, lie, fall silent or are not there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use eads_domain::clock::SystemClock;
use eads_domain::id::{MemberId, RegisterId, RequestId};
use eads_domain::operator::Purpose;
use eads_domain::query::{Answer, NameKey, Query, QueryKey};
use eads_domain::subject::SubjectType;
use eads_proto::v1;
use eads_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use eads_service::ServiceError;
use eads_service::peers::{LinkError, LinkFailure, PeerLink as _};
use eads_service::sync::SyncCursor;
use futures::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::pki::{Authority, member};
use super::*;
use crate::error::status;
use crate::grpc::Answers;
use crate::link::{Endpoints, GrpcLink, LinkTimeouts};
use crate::tls::{
    ConnectTimeouts, ConnectionRegistry, IdentityHandle, Limits, PeerAdmission, PeerConnector, PeerDirectory,
    PeerServer, Refusal, TlsSettings, serve_peers,
};

/// What the peer does when it is asked.
#[derive(Clone, Copy)]
enum Manner {
    Answers,
    Denies,
    Incompatible,
    Silent,
    TalksNonsense,
}

struct Peer(Manner);

#[tonic::async_trait]
impl PeerService for Peer {
    type FetchBlobStream = Answers<v1::FetchBlobResponse>;
    type ReturnRegisterStream = Answers<v1::ReturnRegisterResponse>;

    type SyncStream = Answers<v1::SyncResponse>;

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<Self::SyncStream>, Status> {
        let asked = request.into_inner();
        let leaves = if matches!(self.0, Manner::TalksNonsense) { vec![0; 33] } else { vec![0; 64] };
        let first = v1::SyncResponse { first_index: asked.register_cursor, leaves, ..Default::default() };
        Ok(Response::new(stream::once(async { Ok(first) }).chain(stream::pending()).boxed()))
    }

    async fn post_receipts(
        &self,
        _request: Request<v1::PostReceiptsRequest>,
    ) -> Result<Response<v1::PostReceiptsResponse>, Status> {
        Ok(Response::new(v1::PostReceiptsResponse { recorded: 0 }))
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        let request_id = request.into_inner().request_id;
        match self.0 {
            Manner::Answers => Ok(Response::new(v1::QueryResponse { request_id, ..Default::default() })),
            Manner::Denies => Err(status(&ServiceError::denied("PURPOSE_NOT_AGREED", "not for this purpose"))),
            Manner::Incompatible => Err(status(&ServiceError::incompatible("PROTOCOL_INCOMPATIBLE", "no"))),
            Manner::Silent => std::future::pending().await,
            Manner::TalksNonsense => {
                Ok(Response::new(v1::QueryResponse { request_id: vec![1; 3], ..Default::default() }))
            }
        }
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

/// Whom one side knows.
#[derive(Default)]
struct Known {
    admitted: Mutex<HashMap<MemberId, PeerAdmission>>,
    endpoints: Mutex<Vec<String>>,
}

impl Known {
    fn accept(&self, code: &str, authority: &Authority) {
        let admission = PeerAdmission::Accepted { anchors: vec![authority.anchor()] };
        self.admitted.lock().unwrap().insert(member(code), admission);
    }
}

impl PeerDirectory for Known {
    fn anchors(&self, member: MemberId) -> PeerAdmission {
        self.admitted.lock().unwrap().get(&member).cloned().unwrap_or_default()
    }
}

impl Endpoints for Known {
    fn endpoints(&self, _member: MemberId) -> Vec<String> {
        self.endpoints.lock().unwrap().clone()
    }
}

/// Malaysia's node with the link under test, and a listener that says it is Thailand's.
struct Scene {
    link: GrpcLink,
    registry: ConnectionRegistry,
    known: Arc<Known>,
    known_there: Arc<Known>,
    registry_there: ConnectionRegistry,
    address: SocketAddr,
    _handles: [IdentityHandle; 2],
    _stop: DropGuard,
}

impl Scene {
    async fn of(manner: Manner) -> Self {
        let (here, there) = (Authority::new(), Authority::new());
        let (known, known_there) = (Arc::new(Known::default()), Arc::new(Known::default()));
        known.accept("TH", &there);
        known_there.accept("MY", &here);
        let handle_there = IdentityHandle::new(there.node("TH"));
        let registry_there = ConnectionRegistry::new();
        let server = PeerServer {
            identity: handle_there.source(),
            directory: known_there.clone(),
            registry: registry_there.clone(),
            clock: Arc::new(SystemClock),
            refusals: Arc::new(|_: &Refusal| {}),
            settings: TlsSettings::default(),
            limits: Limits::default(),
            reverse: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve_peers(listener, server, Routes::new(PeerServiceServer::new(Peer(manner))), stop.clone()));
        known.endpoints.lock().unwrap().push(address.to_string());

        let handle = IdentityHandle::new(here.node("MY"));
        let registry = ConnectionRegistry::new();
        let connector = PeerConnector::new(
            handle.source(),
            known.clone(),
            registry.clone(),
            Arc::new(SystemClock),
            TlsSettings::default(),
            ConnectTimeouts::default(),
        );
        let link = GrpcLink::new(connector, known.clone(), registry.clone(), LinkTimeouts::default());
        let _handles = [handle_there, handle];
        let _stop = stop.drop_guard();
        Self { link, registry, known, known_there, registry_there, address, _handles, _stop }
    }

    async fn ask_within(&self, deadline: Duration) -> Result<Answer, LinkError> {
        let query = Query {
            purpose: Purpose::Exercise,
            legal_basis: None,
            subject: SubjectType::Person,
            key: QueryKey::Name(NameKey::new("Aman Rasa").unwrap()),
            kinds: Vec::new(),
            exercise: true,
        };
        soon(self.link.query(member("TH"), RequestId::from_bytes([7; 16]), &query, deadline)).await
    }

    async fn ask(&self) -> Result<Answer, LinkError> {
        self.ask_within(Duration::from_secs(10)).await
    }

    async fn failure(&self) -> (LinkFailure, String) {
        let error = self.ask().await.unwrap_err();
        (error.failure, error.code)
    }
}

const CURSOR: SyncCursor =
    SyncCursor { register: RegisterId::from_bytes([1; 16]), register_cursor: 5, delivery_cursor: 0, card: 1 };

#[tokio::test]
async fn many_calls_go_over_one_connection_and_a_broken_one_is_replaced() {
    let scene = Scene::of(Manner::Answers).await;
    for _ in 0..5 {
        assert_eq!(scene.ask().await.unwrap().request, RequestId::from_bytes([7; 16]));
    }
    let _both = tokio::join!(scene.ask(), scene.ask());
    assert_eq!(scene.registry_there.count(member("MY")), 1);
    assert_eq!(scene.registry_there.cut(member("MY")), 1);
    // The break may surface in one call; after that everything is as before.
    let _ = scene.ask().await;
    assert!(scene.ask().await.is_ok());
    assert_eq!(scene.registry_there.count(member("MY")), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_passed_over() {
    let scene = Scene::of(Manner::Answers).await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    scene.known.endpoints.lock().unwrap().insert(0, dead.to_string());
    assert!(scene.ask().await.is_ok());
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unreachable() {
    let scene = Scene::of(Manner::Answers).await;
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    *scene.known.endpoints.lock().unwrap() = vec![dead.to_string()];
    assert_eq!(scene.failure().await, (LinkFailure::Unreachable, "PEER_UNREACHABLE".to_owned()));
    *scene.known.endpoints.lock().unwrap() = Vec::new();
    assert_eq!(scene.failure().await.0, LinkFailure::Unreachable);
}

#[tokio::test]
async fn a_peer_that_does_not_know_us_has_refused() {
    let scene = Scene::of(Manner::Answers).await;
    scene.known_there.admitted.lock().unwrap().clear();
    assert_eq!(scene.failure().await, (LinkFailure::Refused, "PEER_REFUSED".to_owned()));
}

#[tokio::test]
async fn an_impostor_at_the_endpoint_is_not_believed() {
    let scene = Scene::of(Manner::Answers).await;
    scene.known.accept("TH", &Authority::new());
    assert_eq!(scene.failure().await, (LinkFailure::Unreachable, "TLS_CERTIFICATE_OTHER_CA".to_owned()));
}

#[tokio::test]
async fn what_the_peer_says_is_told_with_its_code() {
    let denies = Scene::of(Manner::Denies).await;
    assert_eq!(denies.failure().await, (LinkFailure::Refused, "PURPOSE_NOT_AGREED".to_owned()));
    let incompatible = Scene::of(Manner::Incompatible).await;
    assert_eq!(incompatible.failure().await, (LinkFailure::Incompatible, "PROTOCOL_INCOMPATIBLE".to_owned()));
}

#[tokio::test]
async fn silence_is_a_time_out_when_the_deadline_says_so() {
    let silent = Scene::of(Manner::Silent).await;
    let error = silent.ask_within(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.failure, LinkFailure::TimedOut);
    // A listener that accepts connections and says nothing at all.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    *silent.known.endpoints.lock().unwrap() = vec![mute.local_addr().unwrap().to_string()];
    silent.link.cut(member("TH"));
    assert_eq!(silent.ask_within(Duration::from_millis(100)).await.unwrap_err().failure, LinkFailure::TimedOut);
}

#[tokio::test]
async fn nonsense_is_incompatible_and_never_an_answer() {
    let scene = Scene::of(Manner::TalksNonsense).await;
    assert_eq!(scene.failure().await, (LinkFailure::Incompatible, "MESSAGE_FIELD_LENGTH".to_owned()));
    let mut batches = soon(scene.link.sync(member("TH"), CURSOR)).await.unwrap();
    let first = soon(batches.next()).await.unwrap().unwrap_err();
    assert_eq!(first.failure, LinkFailure::Incompatible);
}

#[tokio::test]
async fn a_cut_ends_a_live_stream_at_once() {
    let scene = Scene::of(Manner::Answers).await;
    let mut batches = soon(scene.link.sync(member("TH"), CURSOR)).await.unwrap();
    let first = soon(batches.next()).await.unwrap().unwrap();
    assert_eq!((first.first_index, first.leaves.len()), (5, 2));
    scene.known.admitted.lock().unwrap().clear();
    scene.link.cut(member("TH"));
    assert!(soon(batches.next()).await.is_none_or(|item| item.is_err()));
    assert_eq!(scene.registry.count(member("TH")), 0);
    assert_eq!(scene.failure().await.0, LinkFailure::Unreachable);
    assert!(scene.address.port() > 0);
}
