//! A node that answers what a test tells it to, over real mutual TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use eads_proto::v1 as proto;
use eads_proto::v1::audit_service_server::{AuditService, AuditServiceServer};
use eads_proto::v1::node_service_server::{NodeService, NodeServiceServer};
use eads_proto::v1::notice_service_server::{NoticeService, NoticeServiceServer};
use eads_proto::v1::peering_service_server::{PeeringService, PeeringServiceServer};
use eads_proto::v1::record_service_server::{RecordService, RecordServiceServer};
use eads_proto::v1::search_service_server::{SearchService, SearchServiceServer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::runtime::Runtime;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

/// What the node answers, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// One message a source; an error in the middle breaks the stream off.
    pub(crate) answers: Vec<Result<proto::SearchResponse, Status>>,
    pub(crate) draft: Option<proto::GetDraftResponse>,
    pub(crate) drafts: Vec<proto::DraftSummary>,
    pub(crate) notice: Option<proto::GetNoticeResponse>,
    pub(crate) holders: Vec<proto::HolderStatus>,
    pub(crate) status: proto::GetStatusResponse,
    pub(crate) registers: Vec<proto::RegisterVerification>,
    pub(crate) audit: Vec<proto::AuditEntry>,
    /// What the node says that an imported card's code is.
    pub(crate) code: String,
    pub(crate) accepted: Vec<proto::AcceptPeerRequest>,
    /// Where the node wants a record import to begin.
    pub(crate) resume_at: u64,
    pub(crate) rejected: Vec<proto::ImportRejection>,
    pub(crate) approved: Vec<proto::ApproveDraftRequest>,
    pub(crate) created: Vec<proto::CreateDraftRequest>,
    pub(crate) searched: Vec<proto::SearchRequest>,
    pub(crate) received: Vec<u8>,
    /// What the node shows when it is asked for a photograph.
    pub(crate) photo: Vec<u8>,
    /// Files that were handed in.
    pub(crate) uploaded: Vec<Vec<u8>>,
}

/// A running node; it ends with the value.
pub(crate) struct Fake {
    script: Arc<Mutex<Script>>,
    _runtime: Runtime,
}

type Answer<T> = Result<Response<T>, Status>;
type Items<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Clone, Debug)]
struct Services(Arc<Mutex<Script>>);

impl Fake {
    /// Starts it and writes an officer's profile for it to `<home>/profile.toml`.
    pub(crate) fn start(home: &Path, script: Script) -> Self {
        let runtime = Runtime::new().expect("runtime");
        let script = Arc::new(Mutex::new(script));
        let (tls, write_profile) = credentials(home);
        let services = Services(Arc::clone(&script));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
        write_profile(listener.local_addr().expect("an address"));
        runtime.spawn(
            Server::builder()
                .tls_config(tls)
                .expect("TLS")
                .add_service(AuditServiceServer::new(services.clone()))
                .add_service(NodeServiceServer::new(services.clone()))
                .add_service(NoticeServiceServer::new(services.clone()))
                .add_service(PeeringServiceServer::new(services.clone()))
                .add_service(RecordServiceServer::new(services.clone()))
                .add_service(SearchServiceServer::new(services))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self { script, _runtime: runtime }
    }

    /// What it was told and asked.
    pub(crate) fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().expect("script")
    }
}

/// A CA, the node's certificate, and an officer's, as `eads-node init` would make them.
fn credentials(home: &Path) -> (ServerTlsConfig, impl FnOnce(SocketAddr) + use<>) {
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("key");
    let ca_pem = ca.self_signed(&ca_key).expect("CA").pem();
    let issuer = Issuer::new(ca, ca_key);
    let leaf = |name: &str| {
        let key = KeyPair::generate().expect("key");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (parameters.signed_by(&key, &issuer).expect("certificate").pem(), key.serialize_pem())
    };
    let (node_certificate, node_key) = leaf("localhost");
    let (officer_certificate, officer_key) = leaf("officer");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(node_certificate, node_key))
        .client_ca_root(Certificate::from_pem(&ca_pem));
    let home = home.to_owned();
    let write = move |address: SocketAddr| {
        fs::write(home.join("ca.pem"), ca_pem).expect("CA");
        fs::write(home.join("cert.pem"), officer_certificate).expect("certificate");
        fs::write(home.join("key.pem"), officer_key).expect("key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(home.join("key.pem"), fs::Permissions::from_mode(0o600)).expect("mode");
        }
        let profile = format!(
            "endpoint = \"{address}\"\nserver_name = \"localhost\"\nca = \"ca.pem\"\ncertificate = \"cert.pem\"\n\
             key = \"key.pem\"\n"
        );
        fs::write(home.join("profile.toml"), profile).expect("profile");
    };
    (tls, write)
}

impl Services {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().expect("script")
    }
}

fn stream<T: Send + 'static>(items: Vec<Result<T, Status>>) -> Items<T> {
    Box::pin(tokio_stream::iter(items))
}

fn not_here<T>() -> Result<T, Status> {
    Err(Status::unimplemented("not in this fake"))
}

#[tonic::async_trait]
impl SearchService for Services {
    type SearchStream = Items<proto::SearchResponse>;

    async fn search(&self, request: Request<proto::SearchRequest>) -> Answer<Self::SearchStream> {
        let mut script = self.script();
        script.searched.push(request.into_inner());
        Ok(Response::new(stream(script.answers.clone())))
    }
}

#[tonic::async_trait]
impl RecordService for Services {
    type ImportRecordsStream = Items<proto::ImportRecordsResponse>;

    async fn import_records(
        &self,
        request: Request<Streaming<proto::ImportRecordsRequest>>,
    ) -> Answer<Self::ImportRecordsStream> {
        let mut incoming = request.into_inner();
        let services = self.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let (resume_at, rejected) = {
                let script = services.script();
                (script.resume_at, script.rejected.clone())
            };
            let first = proto::ImportRecordsResponse { resume_at, ..Default::default() };
            let _ = sender.send(Ok(first)).await;
            let mut received = Vec::new();
            while let Ok(Some(message)) = incoming.message().await {
                if let Some(proto::import_records_request::Part::Chunk(chunk)) = message.part {
                    received.extend(chunk);
                }
            }
            let bytes_done = received.len() as u64;
            services.script().received = received;
            let last =
                proto::ImportRecordsResponse { bytes_done, inserted: 2, rejected, done: true, ..Default::default() };
            let _ = sender.send(Ok(last)).await;
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver))))
    }

    async fn get_record(&self, _: Request<proto::GetRecordRequest>) -> Answer<proto::GetRecordResponse> {
        let mut refusal = Status::permission_denied("the role officer is needed");
        refusal.metadata_mut().insert("eads-code", "ROLE_REQUIRED".parse().expect("ASCII"));
        refusal.metadata_mut().insert("eads-hint", "use an officer's profile".parse().expect("ASCII"));
        Err(refusal)
    }
}

#[tonic::async_trait]
impl NoticeService for Services {
    type GetPhotoStream = futures::stream::BoxStream<'static, Result<proto::GetPhotoResponse, Status>>;

    type ListDraftsStream = Items<proto::ListDraftsResponse>;
    type ListNoticesStream = Items<proto::ListNoticesResponse>;

    async fn create_draft(&self, request: Request<proto::CreateDraftRequest>) -> Answer<proto::CreateDraftResponse> {
        let message = request.into_inner();
        self.script().created.push(message.clone());
        let (draft_id, reference) = ("00112233445566778899aabbccddeeff".to_owned(), "ID-2026-7K3QX9-5".to_owned());
        let state = if message.hold { "draft" } else { "submitted" }.to_owned();
        Ok(Response::new(proto::CreateDraftResponse { draft_id, reference, not_after: message.not_after, state }))
    }

    async fn list_drafts(&self, _: Request<proto::ListDraftsRequest>) -> Answer<Self::ListDraftsStream> {
        let drafts = self.script().drafts.clone();
        let items = drafts.into_iter().map(|draft| Ok(proto::ListDraftsResponse { draft: Some(draft) }));
        Ok(Response::new(stream(items.collect())))
    }

    async fn get_draft(&self, _: Request<proto::GetDraftRequest>) -> Answer<proto::GetDraftResponse> {
        self.script().draft.clone().map(Response::new).ok_or_else(|| Status::not_found("no such draft"))
    }

    async fn approve_draft(&self, request: Request<proto::ApproveDraftRequest>) -> Answer<proto::ApproveDraftResponse> {
        self.script().approved.push(request.into_inner());
        Ok(Response::new(proto::ApproveDraftResponse {}))
    }

    async fn discard_draft(&self, _: Request<proto::DiscardDraftRequest>) -> Answer<proto::DiscardDraftResponse> {
        not_here()
    }

    async fn issue_draft(&self, _: Request<proto::IssueDraftRequest>) -> Answer<proto::IssueDraftResponse> {
        Ok(Response::new(proto::IssueDraftResponse {
            reference: "ID-2026-7K3QX9-5".to_owned(),
            version: 1,
            index: 4,
            digest: vec![7; 32],
            delivered_to: vec!["MY".to_owned()],
        }))
    }

    async fn suspend_notice(&self, _: Request<proto::SuspendNoticeRequest>) -> Answer<proto::SuspendNoticeResponse> {
        not_here()
    }

    async fn list_notices(&self, _: Request<proto::ListNoticesRequest>) -> Answer<Self::ListNoticesStream> {
        not_here()
    }

    async fn get_notice(&self, _: Request<proto::GetNoticeRequest>) -> Answer<proto::GetNoticeResponse> {
        self.script().notice.clone().map(Response::new).ok_or_else(|| Status::not_found("no such notice"))
    }

    async fn get_notice_status(
        &self,
        _: Request<proto::GetNoticeStatusRequest>,
    ) -> Answer<proto::GetNoticeStatusResponse> {
        let script = self.script();
        let notice = script.notice.clone().and_then(|found| found.notice);
        Ok(Response::new(proto::GetNoticeStatusResponse { notice, holders: script.holders.clone() }))
    }

    async fn import_notices(
        &self,
        _: Request<Streaming<proto::ImportNoticesRequest>>,
    ) -> Answer<proto::ImportNoticesResponse> {
        not_here()
    }

    async fn upload_photo(
        &self,
        request: Request<Streaming<proto::UploadPhotoRequest>>,
    ) -> Result<Response<proto::UploadPhotoResponse>, Status> {
        let (mut chunks, mut file) = (request.into_inner(), Vec::new());
        while let Some(message) = chunks.message().await? {
            file.extend(message.chunk);
        }
        let mut script = self.script();
        let photo = proto::Photo {
            id: vec![u8::try_from(script.uploaded.len()).expect("few"); 16],
            sha256: eads_domain::encode::sha256(&file).as_bytes().to_vec(),
            len: u32::try_from(file.len()).expect("short"),
            media: "image/jpeg".to_owned(),
            held: u32::try_from(file.len()).expect("short"),
        };
        script.uploaded.push(file);
        Ok(Response::new(proto::UploadPhotoResponse { photo: Some(photo) }))
    }

    async fn get_photo(&self, _: Request<proto::GetPhotoRequest>) -> Result<Response<Self::GetPhotoStream>, Status> {
        let photo = self.script().photo.clone();
        let len = u32::try_from(photo.len()).expect("short");
        let message = |(place, chunk): (usize, &[u8])| {
            let media = if place == 0 { "image/png".to_owned() } else { String::new() };
            Ok(proto::GetPhotoResponse { media, len, chunk: chunk.to_vec(), ..proto::GetPhotoResponse::default() })
        };
        let messages: Vec<_> = photo.chunks(100).enumerate().map(message).collect();
        Ok(Response::new(Box::pin(futures::stream::iter(messages))))
    }
}

#[tonic::async_trait]
impl NodeService for Services {
    async fn get_status(&self, _: Request<proto::GetStatusRequest>) -> Answer<proto::GetStatusResponse> {
        Ok(Response::new(self.script().status.clone()))
    }

    async fn verify_registers(
        &self,
        _: Request<proto::VerifyRegistersRequest>,
    ) -> Answer<proto::VerifyRegistersResponse> {
        Ok(Response::new(proto::VerifyRegistersResponse { registers: self.script().registers.clone() }))
    }

    async fn skip_start_wait(
        &self,
        _: Request<proto::SkipStartWaitRequest>,
    ) -> Result<Response<proto::SkipStartWaitResponse>, Status> {
        Err(Status::unimplemented("skip_start_wait"))
    }
}

#[tonic::async_trait]
impl PeeringService for Services {
    type ExportSyncStream = futures::stream::BoxStream<'static, Result<proto::ExportSyncResponse, Status>>;

    async fn export_card(&self, _: Request<proto::ExportCardRequest>) -> Answer<proto::ExportCardResponse> {
        not_here()
    }

    async fn import_card(&self, _: Request<proto::ImportCardRequest>) -> Answer<proto::ImportCardResponse> {
        let verification_code = self.script().code.clone();
        Ok(Response::new(proto::ImportCardResponse { verification_code, ..Default::default() }))
    }

    async fn accept_peer(&self, request: Request<proto::AcceptPeerRequest>) -> Answer<proto::AcceptPeerResponse> {
        let mut script = self.script();
        script.accepted.push(request.into_inner());
        Ok(Response::new(proto::AcceptPeerResponse { accepted: script.accepted.len() > 1 }))
    }

    async fn list_peers(&self, _: Request<proto::ListPeersRequest>) -> Answer<proto::ListPeersResponse> {
        Ok(Response::new(proto::ListPeersResponse { peers: self.script().status.peers.clone() }))
    }

    async fn remove_peer(&self, _: Request<proto::RemovePeerRequest>) -> Answer<proto::RemovePeerResponse> {
        Ok(Response::new(proto::RemovePeerResponse { unsettled: 2 }))
    }

    async fn unfreeze_peer(
        &self,
        _: Request<proto::UnfreezePeerRequest>,
    ) -> Result<Response<proto::UnfreezePeerResponse>, Status> {
        Err(Status::unimplemented("unfreeze_peer"))
    }

    async fn rebaseline_peer(
        &self,
        _: Request<proto::RebaselinePeerRequest>,
    ) -> Result<Response<proto::RebaselinePeerResponse>, Status> {
        Err(Status::unimplemented("rebaseline_peer"))
    }

    async fn export_proof(
        &self,
        _: Request<proto::ExportProofRequest>,
    ) -> Result<Response<proto::ExportProofResponse>, Status> {
        Err(Status::unimplemented("export_proof"))
    }

    async fn export_sync(
        &self,
        _: Request<proto::ExportSyncRequest>,
    ) -> Result<Response<Self::ExportSyncStream>, Status> {
        Err(Status::unimplemented("export_sync"))
    }

    async fn import_sync(
        &self,
        _: Request<Streaming<proto::ImportSyncRequest>>,
    ) -> Result<Response<proto::ImportSyncResponse>, Status> {
        Err(Status::unimplemented("import_sync"))
    }
}

#[tonic::async_trait]
impl AuditService for Services {
    type ListAuditEntriesStream = Items<proto::ListAuditEntriesResponse>;
    type ExportAuditStream = Items<proto::ExportAuditResponse>;

    async fn get_audit_entry(&self, _: Request<proto::GetAuditEntryRequest>) -> Answer<proto::GetAuditEntryResponse> {
        let mut entries = self.script().audit.clone();
        let entry = entries.pop();
        Ok(Response::new(proto::GetAuditEntryResponse { entry, related: entries, payload: b"{}".to_vec() }))
    }

    async fn export_audit(&self, _: Request<proto::ExportAuditRequest>) -> Answer<Self::ExportAuditStream> {
        Err(Status::unimplemented("export_audit"))
    }

    async fn countersign_audit(
        &self,
        _: Request<proto::CountersignAuditRequest>,
    ) -> Answer<proto::CountersignAuditResponse> {
        Err(Status::unimplemented("countersign_audit"))
    }

    async fn list_audit_countersignatures(
        &self,
        _: Request<proto::ListAuditCountersignaturesRequest>,
    ) -> Answer<proto::ListAuditCountersignaturesResponse> {
        let kept = proto::AuditCountersignature {
            sequence: 8,
            chain: vec![3; 32],
            at: 1_795_492_085,
            auditor: "auditor".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(proto::ListAuditCountersignaturesResponse { countersignatures: vec![kept] }))
    }

    async fn compare_audit(&self, _: Request<proto::CompareAuditRequest>) -> Answer<proto::CompareAuditResponse> {
        let missing = proto::AuditExchange {
            request_id: vec![4; 16],
            asker: "ID".to_owned(),
            answerer: "MY".to_owned(),
            result: "hit".to_owned(),
            at: 1_795_492_085,
        };
        Ok(Response::new(proto::CompareAuditResponse {
            from: 1_795_492_000,
            to: 1_795_492_100,
            both: 7,
            only_here: vec![missing],
            unanswered: 2,
            only_there: vec![vec![5; 32]],
            ..Default::default()
        }))
    }

    async fn list_audit_entries(
        &self,
        _: Request<proto::ListAuditEntriesRequest>,
    ) -> Answer<Self::ListAuditEntriesStream> {
        let entries = self.script().audit.clone();
        let items = entries.into_iter().map(|entry| Ok(proto::ListAuditEntriesResponse { entry: Some(entry) }));
        Ok(Response::new(stream(items.collect())))
    }

    async fn verify_audit(&self, _: Request<proto::VerifyAuditRequest>) -> Answer<proto::VerifyAuditResponse> {
        Ok(Response::new(proto::VerifyAuditResponse {
            entries: 9,
            sound: false,
            first_bad: 4,
            finding: "chain hash differs".to_owned(),
            head: vec![1; 32],
            unfinished: 1,
            last: 9,
            anchors: 1,
            anchored_through: 3,
            code: "AUDIT_DAMAGED".to_owned(),
            ..Default::default()
        }))
    }
}
