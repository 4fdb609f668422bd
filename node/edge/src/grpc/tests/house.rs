//! A whole node on loopback: memory store, real certificates, both listeners.

use std::net::SocketAddr;
use std::sync::Arc;

use eads_domain::card::{Anchor, Card, GENESIS_SEQUENCE, ProtocolRange, SignedCard, Standing, key_digest};
use eads_domain::clock::{Clock as _, SystemClock};
use eads_domain::entropy::SystemEntropy;
use eads_domain::id::{MemberId, RegisterId};
use eads_service::audit::AuditLog;
use eads_service::limits::Limits as ServiceLimits;
use eads_service::officers::{OfficerAuthority, ToCertify};
use eads_service::{Node, NodeIdentity, Parts, ServiceError};
use eads_store::keys::{KdfCost, KeyTree, Passphrase};
use eads_store::{BlobStore, MemoryStore};
use ed25519_dalek::SigningKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::pki::{Authority, Issued, member};
use super::*;
use crate::link::{GrpcLink, LinkTimeouts, NodePeers};
use crate::server::{Listeners, serve};
use crate::tls::{
    CertificateDer, ConnectFailure, ConnectTimeouts, ConnectionRegistry, IdentityHandle, Limits, OperatorRegistry,
    PeerAdmission, PeerChannel, PeerConnector, PeerDirectory, TlsIdentity, TlsSettings,
};

pub(super) struct House {
    pub(super) node: Arc<Node>,
    pub(super) operators_ca: Authority,
    pub(super) tls_ca: Authority,
    pub(super) peer_address: SocketAddr,
    pub(super) stop: CancellationToken,
    pub(super) served: JoinHandle<()>,
    code: String,
    operator_address: SocketAddr,
    /// Everybody has one certificate, however often they connect.
    people: std::sync::Mutex<std::collections::BTreeMap<String, Arc<Issued>>>,
    _handles: [IdentityHandle; 2],
    _dir: tempfile::TempDir,
    _end: DropGuard,
}

impl House {
    /// The node of `code`; `seed` makes its keys.
    pub(super) async fn open(code: &str, seed: u8) -> Self {
        let (operators_ca, tls_ca) = (Authority::new(), Authority::new());
        let peers = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let operators = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (peer_address, operator_address) = (peers.local_addr().unwrap(), operators.local_addr().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::new("correct horse").unwrap();
        let entropy = Arc::new(SystemEntropy);
        let keys = KeyTree::create_with_cost(dir.path(), &passphrase, KdfCost::TESTS, entropy.clone()).unwrap();
        let keys = Arc::new(keys);
        let audit = AuditLog::open(&dir.path().join("audit"), None, keys.clone(), Arc::new(SystemClock)).unwrap();
        let (directory, registry) = (NodePeers::new(), ConnectionRegistry::new());
        let operator_registry = OperatorRegistry::new();
        let node_handle = IdentityHandle::new(tls_ca.node(code));
        let operator_handle = IdentityHandle::new(operators_ca.listener());
        let connector = connector(&node_handle, &directory, &registry);
        let timeouts = LinkTimeouts::default();
        let link = Arc::new(GrpcLink::new(connector.clone(), directory.clone(), registry.clone(), timeouts));
        let signing = SigningKey::from_bytes(&[seed; 32]);
        let node = Node::open(Parts {
            identity: NodeIdentity {
                card: card(code, seed, peer_address, &tls_ca, &operators_ca),
                signing,
                cosigner: SigningKey::from_bytes(&[seed + 1; 32]),
            },
            store: Arc::new(MemoryStore::new()),
            blobs: Arc::new(BlobStore::open(dir.path(), keys.clone()).unwrap()),
            keys,
            audit,
            link: link.clone(),
            authority: Arc::new(NoAuthority),
            lines: Arc::new(operator_registry.clone()),
            clock: Arc::new(SystemClock),
            entropy: entropy.clone(),
            limits: ServiceLimits::default(),
        })
        .await
        .unwrap();
        directory.bind(&node);
        let listeners = Listeners {
            peers,
            peer_identity: node_handle.source(),
            directory,
            registry,
            peer_limits: Limits::default(),
            lines: link,
            connector,
            operators,
            operator_identity: operator_handle.source(),
            operator_anchor: operators_ca.anchor(),
            operator_registry,
            operator_limits: Limits::default(),
            settings: TlsSettings::default(),
        };
        let stop = CancellationToken::new();
        let serving = serve(node.clone(), entropy, listeners, stop.clone());
        let served = tokio::spawn(async move { serving.await.unwrap() });
        Self {
            node,
            operators_ca,
            tls_ca,
            peer_address,
            served,
            code: code.to_owned(),
            operator_address,
            people: std::sync::Mutex::default(),
            _handles: [node_handle, operator_handle],
            _dir: dir,
            _end: stop.clone().drop_guard(),
            stop,
        }
    }

    /// A channel of the operator `name` with `roles`, as the command makes one.
    pub(super) async fn operator(&self, name: &str, roles: &str) -> Channel {
        let issue = || Arc::new(self.operators_ca.operator(&self.code, name, roles));
        let person = self.people.lock().unwrap().entry(name.to_owned()).or_insert_with(issue).clone();
        self.channel(&person).await
    }

    pub(super) async fn channel(&self, operator: &Issued) -> Channel {
        let der = pem::parse(&operator.certificate).unwrap().into_contents();
        self.node.adopt_officers(&[der]).await.unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.operators_ca.pem()))
            .identity(Identity::from_pem(&operator.certificate, &operator.key))
            .domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{}", self.operator_address)).unwrap();
        soon(endpoint.tls_config(tls).unwrap().connect()).await.unwrap()
    }

    /// A channel to this node's peer listener as the node of `code` would open it.
    pub(super) async fn as_peer(&self, code: &str, identity: TlsIdentity) -> (Channel, IdentityHandle) {
        let (connected, handle) = self.connect_as(code, identity).await.unwrap();
        (connected.channel(), handle)
    }

    /// Connects to this node's peer listener as the node of `code`.
    pub(super) async fn connect_as(
        &self,
        code: &str,
        identity: TlsIdentity,
    ) -> Result<(PeerChannel, IdentityHandle), ConnectFailure> {
        assert_ne!(code, self.code);
        let handle = IdentityHandle::new(identity);
        let connector = PeerConnector::new(
            handle.source(),
            Arc::new(Only(self.tls_ca.anchor())),
            ConnectionRegistry::new(),
            Arc::new(SystemClock),
            TlsSettings::default(),
            ConnectTimeouts::default(),
        );
        let connected = soon(connector.connect(member(&self.code), &self.peer_address.to_string())).await?;
        Ok((connected, handle))
    }
}

/// Nobody is enrolled here by request.
struct NoAuthority;

impl OfficerAuthority for NoAuthority {
    fn certify(&self, _: ToCertify<'_>) -> Result<Vec<u8>, ServiceError> {
        Err(ServiceError::unavailable("NOT_HERE", "this house has no authority"))
    }
}

/// Knows everybody by one anchor.
struct Only(CertificateDer<'static>);

impl PeerDirectory for Only {
    fn anchors(&self, _: MemberId) -> PeerAdmission {
        PeerAdmission::Accepted { anchors: vec![self.0.clone()] }
    }
}

fn connector(handle: &IdentityHandle, directory: &Arc<NodePeers>, registry: &ConnectionRegistry) -> PeerConnector {
    PeerConnector::new(
        handle.source(),
        directory.clone(),
        registry.clone(),
        Arc::new(SystemClock),
        TlsSettings::default(),
        ConnectTimeouts::default(),
    )
}

fn card(code: &str, seed: u8, address: SocketAddr, tls_ca: &Authority, operators_ca: &Authority) -> SignedCard {
    let key = |offset: u8| SigningKey::from_bytes(&[seed + offset; 32]);
    let anchor = |authority: &Authority| Anchor::from_der(authority.anchor().to_vec()).unwrap();
    let card = Card {
        member: member(code),
        standing: Standing::Member,
        display_name: format!("Police of {code}").parse().unwrap(),
        endpoints: vec![address.to_string().parse().unwrap()],
        tls_anchors: vec![anchor(tls_ca)],
        operator_anchor: anchor(operators_ca),
        signing_key: key(0).verifying_key(),
        keyseq: 0,
        cosigner_key: key(1).verifying_key(),
        register: RegisterId::from_bytes([seed; 16]),
        protocol: ProtocolRange::new(1, 1).unwrap(),
        duty_contacts: Vec::new(),
        sequence: GENESIS_SEQUENCE,
        previous: None,
        issued: SystemClock.now(),
        next_signing_key: key_digest(&key(2).verifying_key()),
        compromised_from: None,
    };
    SignedCard::sign(card, &key(0)).unwrap()
}
