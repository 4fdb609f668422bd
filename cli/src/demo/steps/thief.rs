//! A thief who has Thailand's TLS key and everything that Thailand ever sent, but not its signing key, and answers
//! in its place.
//!
//! The thief's listener is a real one, at Thailand's own address and with its genuine certificate, so that the
//! other nodes connect as they always do. What it serves is chosen by [`Attack`].

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use eads_domain::clock::{Clock as _, SystemClock};
use eads_domain::entropy::{SystemEntropy, random};
use eads_domain::id::{Hash, MemberId, NoticeId, RegisterId};
use eads_domain::register::{Checkpoint, SignedCheckpoint};
use eads_domain::statement::{Payload, Statement};
use eads_proto::v1 as proto;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use ed25519_dalek::SigningKey;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::demo::federation::{FederationError, MemberNode};

/// The version of the protocol that is spoken.
const PROTOCOL: u32 = 1;
/// How long a thief waits for anything.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is served to whoever connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// One more leaf, under a checkpoint that another key signed.
    ForgedCheckpoint,
    /// A new statement in Thailand's name, signed with another key.
    ForgedStatement,
    /// A genuine statement, signed by Thailand, as if it were another entry of the register.
    StatementElsewhere,
}

impl Attack {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::ForgedCheckpoint, Self::ForgedStatement, Self::StatementElsewhere];

    /// In words.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::ForgedCheckpoint => "a checkpoint that another key signed",
            Self::ForgedStatement => "a forged statement, signed with another key",
            Self::StatementElsewhere => "a genuine statement replayed as another entry",
        }
    }

    /// The code with which a node has to refuse it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::ForgedCheckpoint => "CHECKPOINT_SIGNATURE",
            Self::ForgedStatement => "STATEMENT_SIGNATURE_INVALID",
            Self::StatementElsewhere => "STATEMENT_NOT_IN_REGISTER",
        }
    }
}

/// What one member was really sent, and how it is known again.
#[derive(Clone, Debug)]
pub(super) struct Loot {
    /// The certificate that the member shows, DER.
    certificate: Vec<u8>,
    /// Its authority, PEM.
    anchor: Vec<u8>,
    checkpoint: Vec<u8>,
    disclosure: proto::Disclosure,
}

/// Reads what `origin` sends to `victim`, with the victim's own TLS key.
pub(super) async fn eavesdrop(victim: &MemberNode, origin: &MemberNode) -> Result<Loot, FederationError> {
    let failed = |error: &dyn std::fmt::Display| {
        FederationError::unexpected(origin.member(), "its register and deliveries, served to a member", error)
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(&origin.dir().join("identity/tls-ca.crt"))?))
        .identity(tls_identity(victim)?)
        .domain_name(origin.peer_address().ip().to_string());
    let channel = Endpoint::from_shared(format!("https://{}", origin.peer_address()))
        .and_then(|endpoint| endpoint.tls_config(tls))
        .map_err(|error| failed(&error))?
        .connect_timeout(PATIENCE)
        .connect()
        .await
        .map_err(|error| failed(&error))?;
    let register = origin.identity()?.card.card().register;
    let request = proto::SyncRequest {
        protocol: PROTOCOL,
        register: register.as_bytes().to_vec(),
        register_cursor: 0,
        delivery_cursor: 0,
        ..Default::default()
    };
    let mut stream =
        PeerServiceClient::new(channel).sync(request).await.map_err(|status| failed(&status.message()))?.into_inner();
    let mut disclosure = None;
    loop {
        let message = tokio::time::timeout(PATIENCE, stream.message()).await;
        let message = message.map_err(|_| failed(&"nothing"))?.map_err(|status| failed(&status.message()))?;
        let message = message.ok_or_else(|| failed(&"the end of the stream"))?;
        disclosure = disclosure.or(message.deliveries.into_iter().find_map(|delivery| delivery.disclosure));
        match &disclosure {
            Some(disclosure) if !message.checkpoint.is_empty() => {
                return Ok(Loot {
                    certificate: certificate(victim)?,
                    anchor: read(&victim.dir().join("identity/tls-ca.crt"))?,
                    checkpoint: message.checkpoint,
                    disclosure: disclosure.clone(),
                });
            }
            _ => {}
        }
    }
}

/// The thief at work.
pub(super) struct Thief {
    attack: watch::Sender<Attack>,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Thief {
    /// Listens where `robbed` listened, with its TLS key; each victim is served what is made of its loot.
    pub(super) async fn listen(robbed: &MemberNode, loot: Vec<Loot>) -> Result<Self, FederationError> {
        let address: SocketAddr = robbed.peer_address();
        let in_the_way = |cause| FederationError::machine(format!("cannot listen on {address}"), cause);
        let listener = TcpListener::bind(address).await.map_err(in_the_way)?;
        let anchors: Vec<u8> = loot.iter().flat_map(|taken| taken.anchor.iter().copied()).collect();
        let loot = loot.into_iter().map(|taken| (taken.certificate.clone(), taken)).collect();
        let (attack, served) = watch::channel(Attack::ForgedCheckpoint);
        let card = robbed.identity()?.card.card().clone();
        let impostor = Impostor {
            attack: served,
            loot,
            member: card.member,
            register: card.register,
            key: SigningKey::from_bytes(&random(&SystemEntropy)),
        };
        let tls = ServerTlsConfig::new().identity(tls_identity(robbed)?).client_ca_root(Certificate::from_pem(anchors));
        let mut server = Server::builder()
            .tls_config(tls)
            .map_err(|error| FederationError::machine("cannot impersonate a node", std::io::Error::other(error)))?;
        let router = server.add_service(PeerServiceServer::new(impostor));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async {
                // A thief who is forgotten stops as well.
                let _ = stopped.await;
            };
            router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped).await
        });
        Ok(Self { attack, stop, serving })
    }

    /// Serves another attack to whoever connects from now on.
    pub(super) fn turn_to(&self, attack: Attack) {
        self.attack.send_replace(attack);
    }

    /// Goes away and frees the address.
    pub(super) async fn leave(mut self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(PATIENCE, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

/// `PeerService` in another's name.
struct Impostor {
    attack: watch::Receiver<Attack>,
    /// By the certificate of the one who connects.
    loot: BTreeMap<Vec<u8>, Loot>,
    member: MemberId,
    register: RegisterId,
    /// Not Thailand's.
    key: SigningKey,
}

impl Impostor {
    /// What `asked` is answered, made of what the victim was sent once.
    fn forge(&self, asked: &proto::SyncRequest, loot: &Loot) -> Option<proto::SyncResponse> {
        let mut answer = proto::SyncResponse {
            first_index: asked.register_cursor,
            checkpoint: loot.checkpoint.clone(),
            clock: SystemClock.now().as_unix(),
            ..proto::SyncResponse::default()
        };
        let deliver = |index, disclosure| proto::Delivery {
            sequence: asked.delivery_cursor,
            kind: proto::DeliveryKind::Disclose.into(),
            index,
            disclosure: Some(disclosure),
            ..proto::Delivery::default()
        };
        // The last entry that the victim holds; the loot is the first one.
        let last = asked.register_cursor.checked_sub(1)?;
        let attack = *self.attack.borrow();
        match attack {
            Attack::ForgedCheckpoint => {
                let root = Hash::from_bytes(random(&SystemEntropy));
                let checkpoint =
                    Checkpoint { member: self.member, register: self.register, size: asked.register_cursor + 1, root };
                answer.leaves = root.as_bytes().to_vec();
                answer.checkpoint = SignedCheckpoint::sign(checkpoint, &self.key).ok()?.bytes().to_vec();
            }
            Attack::ForgedStatement => {
                let genuine = loot.disclosure.statement.as_ref()?;
                let invented =
                    Payload { notice: NoticeId::random(&SystemEntropy), ..Payload::parse(&genuine.payload).ok()? };
                let forged = Statement::sign(invented, &self.key).ok()?;
                let statement = proto::SignedStatement {
                    payload: forged.payload_bytes().to_vec(),
                    signature: forged.signature().to_vec(),
                };
                let disclosure = proto::Disclosure { statement: Some(statement), ..loot.disclosure.clone() };
                answer.deliveries = vec![deliver(last, disclosure)];
            }
            Attack::StatementElsewhere => answer.deliveries = vec![deliver(last, loot.disclosure.clone())],
        }
        Some(answer)
    }
}

#[tonic::async_trait]
impl PeerService for Impostor {
    type FetchBlobStream = futures::stream::BoxStream<'static, Result<proto::FetchBlobResponse, Status>>;
    type ReturnRegisterStream = futures::stream::BoxStream<'static, Result<proto::ReturnRegisterResponse, Status>>;

    type SyncStream = Pin<Box<dyn tokio_stream::Stream<Item = Result<proto::SyncResponse, Status>> + Send>>;

    async fn sync(&self, request: Request<proto::SyncRequest>) -> Result<Response<Self::SyncStream>, Status> {
        let certificates = request.peer_certs();
        let shown = certificates.as_ref().and_then(|chain| chain.first());
        let loot = shown.and_then(|certificate| self.loot.get(certificate.as_ref()));
        let forged = loot.and_then(|loot| self.forge(request.get_ref(), loot));
        let forged = forged.ok_or_else(|| Status::unavailable("nothing to steal here"))?;
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(forged)))))
    }

    async fn post_receipts(
        &self,
        _request: Request<proto::PostReceiptsRequest>,
    ) -> Result<Response<proto::PostReceiptsResponse>, Status> {
        Err(Status::unavailable("a thief takes no receipts"))
    }

    async fn query(&self, _request: Request<proto::QueryRequest>) -> Result<Response<proto::QueryResponse>, Status> {
        Err(Status::unavailable("a thief answers no questions"))
    }

    async fn fetch_blob(&self, _: Request<proto::FetchBlobRequest>) -> Result<Response<Self::FetchBlobStream>, Status> {
        Err(Status::unimplemented("fetch_blob"))
    }

    async fn exchange_checkpoints(
        &self,
        _: Request<proto::ExchangeCheckpointsRequest>,
    ) -> Result<Response<proto::ExchangeCheckpointsResponse>, Status> {
        Err(Status::unimplemented("exchange_checkpoints"))
    }

    async fn get_held(&self, _: Request<proto::GetHeldRequest>) -> Result<Response<proto::GetHeldResponse>, Status> {
        Err(Status::unimplemented("get_held"))
    }

    async fn match_audit(
        &self,
        _: Request<proto::MatchAuditRequest>,
    ) -> Result<Response<proto::MatchAuditResponse>, Status> {
        Err(Status::unimplemented("match_audit"))
    }

    async fn return_register(
        &self,
        _: Request<proto::ReturnRegisterRequest>,
    ) -> Result<Response<Self::ReturnRegisterStream>, Status> {
        Err(Status::unimplemented("return_register"))
    }
}

/// What a node shows to its peers, with the key.
fn tls_identity(node: &MemberNode) -> Result<Identity, FederationError> {
    let identity = node.dir().join("identity");
    Ok(Identity::from_pem(read(&identity.join("node.crt"))?, read(&identity.join("node.key"))?))
}

/// The certificate that a node shows, DER.
fn certificate(node: &MemberNode) -> Result<Vec<u8>, FederationError> {
    let path = node.dir().join("identity/node.crt");
    let unreadable =
        |error| FederationError::machine(format!("cannot read {}", path.display()), std::io::Error::other(error));
    pem::parse(read(&path)?).map(pem::Pem::into_contents).map_err(unreadable)
}

fn read(path: &Path) -> Result<Vec<u8>, FederationError> {
    fs::read(path).map_err(|cause| FederationError::machine(format!("cannot read {}", path.display()), cause))
}
