//! The `PeerService` of a hostile peer: does what its script says, and keeps what it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use eads_domain::clock::Clock;
use eads_edge::tls::{
    ConnectionRegistry, IdentitySource, Limits, PeerDirectory, PeerServer, Refusal, TlsSettings, serve_peers,
};
use eads_proto::v1;
use eads_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// What a sync stream of the victim gets.
pub enum Session {
    /// These.
    Batches(Vec<v1::SyncResponse>),
    /// This one, without an end.
    Endless(Box<v1::SyncResponse>),
    /// An end with this status.
    Refused(Status),
}

/// How a question is answered.
pub type Reply = Box<dyn Fn(v1::QueryRequest) -> Option<Result<v1::QueryResponse, Status>> + Send>;

/// What is to be done, and what was heard.
#[derive(Default)]
pub struct Script {
    sessions: Mutex<VecDeque<Session>>,
    queued: watch::Sender<u64>,
    streams: AtomicU64,
    reply: Mutex<Option<Reply>>,
    cursors: Mutex<Vec<v1::SyncRequest>>,
    receipts: Mutex<Vec<v1::PostReceiptsRequest>>,
    questions: Mutex<Vec<v1::QueryRequest>>,
    told: Mutex<Vec<v1::ExchangeCheckpointsRequest>>,
    held: Mutex<Vec<v1::HeldCheckpoint>>,
    has: Mutex<v1::GetHeldResponse>,
    returned: Mutex<Vec<v1::ReturnRegisterResponse>>,
    file: Mutex<Vec<u8>>,
}

impl Script {
    /// What the victim's stream gets next, this one or the one after; without any it is silent.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn next(&self, session: Session) {
        self.sessions.lock().expect("no panic").push_back(session);
        self.queued.send_modify(|queued| *queued += 1);
    }

    /// How questions are answered from now on; `None` of the reply means never.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn reply(
        &self,
        reply: impl Fn(v1::QueryRequest) -> Option<Result<v1::QueryResponse, Status>> + Send + 'static,
    ) {
        *self.reply.lock().expect("no panic") = Some(Box::new(reply));
    }

    /// What is served as every photograph from now on.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn serve_file(&self, file: Vec<u8>) {
        *self.file.lock().expect("no panic") = file;
    }

    /// From where the victim asked, each time.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn cursors(&self) -> Vec<v1::SyncRequest> {
        self.cursors.lock().expect("no panic").clone()
    }

    /// The receipts that the victim posted.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn receipts(&self) -> Vec<v1::PostReceiptsRequest> {
        self.receipts.lock().expect("no panic").clone()
    }

    /// What the victim is told from now on when it exchanges checkpoints.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn tell(&self, member: &str, checkpoint: Vec<u8>) {
        let held = v1::HeldCheckpoint { member: member.to_owned(), checkpoint };
        self.held.lock().expect("no panic").push(held);
    }

    /// What the victim told, each time that it exchanged checkpoints.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn told(&self) -> Vec<v1::ExchangeCheckpointsRequest> {
        self.told.lock().expect("no panic").clone()
    }

    /// What the victim is told of its own register, and given back of it, from now on.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn claim(&self, has: v1::GetHeldResponse, returned: Vec<v1::ReturnRegisterResponse>) {
        *self.has.lock().expect("no panic") = has;
        *self.returned.lock().expect("no panic") = returned;
    }

    /// What the victim asked.
    ///
    /// # Panics
    /// Never, unless a test panicked before.
    pub fn questions(&self) -> Vec<v1::QueryRequest> {
        self.questions.lock().expect("no panic").clone()
    }
}

/// One stream, which takes one session after the other. Only the newest does: the victim has let go of those
/// before, even where that has not arrived here yet.
struct Reading {
    script: Arc<Script>,
    number: u64,
    batches: VecDeque<v1::SyncResponse>,
    endless: Option<Box<v1::SyncResponse>>,
}

impl Reading {
    async fn next(&mut self) -> Result<v1::SyncResponse, Status> {
        loop {
            if let Some(batch) = &self.endless {
                // Lets the transport work between two items; a stream that is always ready starves it.
                tokio::task::yield_now().await;
                return Ok((**batch).clone());
            }
            if let Some(batch) = self.batches.pop_front() {
                return Ok(batch);
            }
            let mut queued = self.script.queued.subscribe();
            if self.script.streams.load(Ordering::SeqCst) != self.number {
                return Err(Status::cancelled("a newer stream was opened"));
            }
            let session = self.script.sessions.lock().expect("no panic").pop_front();
            match session {
                Some(Session::Batches(batches)) => self.batches.extend(batches),
                Some(Session::Endless(batch)) => self.endless = Some(batch),
                Some(Session::Refused(status)) => return Err(status),
                None => queued.changed().await.map_err(|_| Status::cancelled("the script is gone"))?,
            }
        }
    }
}

impl Drop for Reading {
    /// What was taken and not sent is the next stream's.
    fn drop(&mut self) {
        if !self.batches.is_empty() {
            let rest = std::mem::take(&mut self.batches).into();
            self.script.sessions.lock().expect("no panic").push_front(Session::Batches(rest));
            self.script.queued.send_modify(|queued| *queued += 1);
        }
    }
}

struct Api(Arc<Script>);

#[tonic::async_trait]
impl PeerService for Api {
    type FetchBlobStream = BoxStream<'static, Result<v1::FetchBlobResponse, Status>>;
    type ReturnRegisterStream = BoxStream<'static, Result<v1::ReturnRegisterResponse, Status>>;

    type SyncStream = BoxStream<'static, Result<v1::SyncResponse, Status>>;

    async fn sync(&self, request: Request<v1::SyncRequest>) -> Result<Response<Self::SyncStream>, Status> {
        self.0.cursors.lock().expect("no panic").push(request.into_inner());
        let number = self.0.streams.fetch_add(1, Ordering::SeqCst) + 1;
        let reading = Reading { script: self.0.clone(), number, batches: VecDeque::new(), endless: None };
        let batches = stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await {
                Ok(batch) => Some((Ok(batch), Some(reading))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(batches.boxed()))
    }

    async fn post_receipts(
        &self,
        request: Request<v1::PostReceiptsRequest>,
    ) -> Result<Response<v1::PostReceiptsResponse>, Status> {
        let posted = request.into_inner();
        let recorded = u32::try_from(posted.parts.len()).unwrap_or_default();
        self.0.receipts.lock().expect("no panic").push(posted);
        Ok(Response::new(v1::PostReceiptsResponse { recorded }))
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        let question = request.into_inner();
        self.0.questions.lock().expect("no panic").push(question.clone());
        let answer = self.0.reply.lock().expect("no panic").as_ref().and_then(|reply| reply(question));
        match answer {
            Some(answer) => answer.map(Response::new),
            None => std::future::pending().await,
        }
    }

    async fn fetch_blob(
        &self,
        request: Request<v1::FetchBlobRequest>,
    ) -> Result<Response<Self::FetchBlobStream>, Status> {
        let asked = request.into_inner();
        let file = self.0.file.lock().expect("no panic").clone();
        let from = usize::try_from(asked.offset).map_or(file.len(), |from| from.min(file.len()));
        let to = file.len().min(from + usize::try_from(asked.window).expect("a window"));
        let chunks: Vec<_> =
            file[from..to].chunks(16 * 1024).map(|chunk| Ok(v1::FetchBlobResponse { chunk: chunk.to_vec() })).collect();
        Ok(Response::new(stream::iter(chunks).boxed()))
    }

    async fn exchange_checkpoints(
        &self,
        request: Request<v1::ExchangeCheckpointsRequest>,
    ) -> Result<Response<v1::ExchangeCheckpointsResponse>, Status> {
        self.0.told.lock().expect("no panic").push(request.into_inner());
        let held = self.0.held.lock().expect("no panic").clone();
        Ok(Response::new(v1::ExchangeCheckpointsResponse { held }))
    }

    async fn get_held(&self, _: Request<v1::GetHeldRequest>) -> Result<Response<v1::GetHeldResponse>, Status> {
        Ok(Response::new(self.0.has.lock().expect("no panic").clone()))
    }

    async fn match_audit(&self, _: Request<v1::MatchAuditRequest>) -> Result<Response<v1::MatchAuditResponse>, Status> {
        Err(Status::unimplemented("match_audit"))
    }

    async fn return_register(
        &self,
        _: Request<v1::ReturnRegisterRequest>,
    ) -> Result<Response<Self::ReturnRegisterStream>, Status> {
        let returned = self.0.returned.lock().expect("no panic").clone();
        Ok(Response::new(stream::iter(returned.into_iter().map(Ok)).boxed()))
    }
}

/// Listens at `address` until `stop`.
///
/// # Panics
/// When the address is taken.
pub(super) async fn serve(
    address: SocketAddr,
    identity: IdentitySource,
    directory: Arc<dyn PeerDirectory>,
    clock: Arc<dyn Clock>,
    script: Arc<Script>,
    stop: CancellationToken,
) {
    let listener = TcpListener::bind(address).await.expect("a free address");
    let server = PeerServer {
        identity,
        directory,
        registry: ConnectionRegistry::new(),
        clock,
        refusals: Arc::new(|_: &Refusal| {}),
        settings: TlsSettings::default(),
        limits: Limits { drain_timeout: std::time::Duration::ZERO, ..Limits::default() },
        reverse: None,
    };
    let service = PeerServiceServer::new(Api(script)).max_encoding_message_size(usize::MAX);
    tokio::spawn(serve_peers(listener, server, Routes::new(service), stop));
}
