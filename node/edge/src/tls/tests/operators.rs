//! The operator listener: its own authority, its own extension.

use eads_domain::operator::OperatorName;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt as _;
use tokio_rustls::TlsConnector;

use super::pki::Leaf;
use super::*;
use crate::tls::settings::TlsBase;
use crate::tls::verify::{HandshakeVerifier, Judge};

#[derive(Debug)]
struct Anyone;

/// Whom the listener knows by name, and whether the name is revoked.
type Known = Arc<std::sync::Mutex<Vec<(Vec<u8>, OperatorName, bool)>>>;

struct Staff(Known);

impl OperatorDirectory for Staff {
    fn holder(&self, certificate: &[u8]) -> Result<Option<OperatorName>, CertificateProblem> {
        match self.0.lock().unwrap().iter().find(|(der, ..)| der == certificate) {
            Some((_, _, true)) => Err(CertificateProblem::Revoked),
            Some((_, name, false)) => Ok(Some(name.clone())),
            None => Ok(None),
        }
    }
}

impl Judge for Anyone {
    fn judge(&self, _: &[CertificateDer<'_>], _: rustls::pki_types::UnixTime) -> Result<(), refusal::Rejection> {
        Ok(())
    }
}

struct Desk {
    address: SocketAddr,
    base: TlsBase,
    refusals: mpsc::UnboundedReceiver<Refusal>,
    staff: Known,
    registry: OperatorRegistry,
    _stop: DropGuard,
    _handle: IdentityHandle,
}

impl Desk {
    async fn open(authority: &Authority) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix(START)));
        let server_only = Leaf { usages: vec![ExtendedKeyUsagePurpose::ServerAuth], ..Leaf::default() };
        let handle = IdentityHandle::new(authority.issue(&server_only));
        let (told, refusals) = mpsc::unbounded_channel();
        let (staff, registry) = (Known::default(), OperatorRegistry::new());
        let server = OperatorServer {
            directory: Arc::new(Staff(Arc::clone(&staff))),
            registry: registry.clone(),
            identity: handle.source(),
            anchor: authority.anchor(),
            clock: Arc::clone(&clock) as _,
            refusals: Arc::new(move |refusal: &Refusal| told.send(*refusal).unwrap()),
            settings: TlsSettings::default(),
            limits: Limits::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let routes = Routes::new(PeerServiceServer::new(Mirror { ended: mpsc::unbounded_channel().0 }));
        tokio::spawn(serve_operators(listener, server, routes, shutdown.clone()));
        let base = TlsBase::new(TlsSettings::default(), clock);
        Self { address, base, refusals, staff, registry, _stop: shutdown.drop_guard(), _handle: handle }
    }

    /// Connects as an operator's program would.
    async fn visit(&self, identity: &TlsIdentity) -> Result<Channel, std::io::Error> {
        let verifier = HandshakeVerifier::new(Arc::new(Anyone), self.base.algorithms());
        let config = self.base.client(identity, verifier, settings::ALPN_H2).unwrap();
        let socket = tokio::net::TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        soon(tls.fill_buf()).await?;
        let mut once = Some(hyper_util::rt::TokioIo::new(tls));
        let connector = tower::service_fn(move |_: http::Uri| {
            let io = once.take().ok_or(ConnectFailure::Unreachable);
            async { io }
        });
        let endpoint = tonic::transport::Endpoint::from_static("http://localhost:1");
        Ok(soon(endpoint.connect_with_connector(connector)).await.unwrap())
    }
}

#[tokio::test]
async fn an_operators_certificate_travels_with_each_request() {
    let authority = Authority::new();
    let desk = Desk::open(&authority).await;
    let operator = authority.issue(&Leaf {
        uris: vec!["spiffe://id.eads/operator/siti".to_owned()],
        usages: vec![ExtendedKeyUsagePurpose::ClientAuth],
        ..Leaf::default()
    });
    let channel = soon(Box::pin(desk.visit(&operator))).await.unwrap();
    assert_eq!(whom_it_sees(channel).await.unwrap(), operator.chain()[0].to_vec());
}

#[tokio::test]
async fn an_officers_connections_can_be_cut_and_kept_out() {
    let authority = Authority::new();
    let mut desk = Desk::open(&authority).await;
    let operator = |name: &str| {
        authority.issue(&Leaf {
            uris: vec![format!("spiffe://id.eads/operator/{name}")],
            usages: vec![ExtendedKeyUsagePurpose::ClientAuth],
            ..Leaf::default()
        })
    };
    let enter = |identity: &TlsIdentity, name: &str| {
        desk.staff.lock().unwrap().push((identity.chain()[0].to_vec(), name.parse().unwrap(), false));
    };
    let (siti, budi) = (operator("siti"), operator("budi"));
    enter(&siti, "siti");
    enter(&budi, "budi");
    let (hers, his) = (desk.visit(&siti).await.unwrap(), desk.visit(&budi).await.unwrap());
    whom_it_sees(hers.clone()).await.unwrap();
    let name: OperatorName = "siti".parse().unwrap();
    assert_eq!(desk.registry.count(name.clone()), 1);

    desk.staff.lock().unwrap()[0].2 = true;
    assert_eq!(desk.registry.cut(name), 1);
    assert!(whom_it_sees(hers).await.is_err(), "her connection is gone");
    assert!(soon(Box::pin(desk.visit(&siti))).await.is_err());
    assert_eq!(soon(desk.refusals.recv()).await.unwrap().code().as_str(), "TLS_CERTIFICATE_REVOKED");
    whom_it_sees(his).await.unwrap();
}

#[tokio::test]
async fn another_authority_and_the_listeners_own_certificate_are_refused() {
    let authority = Authority::new();
    let mut desk = Desk::open(&authority).await;
    let server_only = Leaf { usages: vec![ExtendedKeyUsagePurpose::ServerAuth], ..Leaf::default() };
    for (identity, code) in [
        (Authority::new().node("ID"), "TLS_CERTIFICATE_OTHER_CA"),
        (authority.issue(&server_only), "TLS_CERTIFICATE_UNFIT"),
    ] {
        assert!(soon(Box::pin(desk.visit(&identity))).await.is_err());
        let refusal = soon(desk.refusals.recv()).await.unwrap();
        assert_eq!((refusal.code().as_str(), refusal.claimed), (code, None));
    }
}
