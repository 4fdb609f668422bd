//! Each way of not getting in has its own code, and the client is told.

use rcgen::ExtendedKeyUsagePurpose;
use rustls::AlertDescription;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pki::{Leaf, YEAR};
use super::*;

#[derive(Debug)]
struct TrustAnything;

impl ServerCertVerifier for TrustAnything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client that does not know our settings.
struct Stranger {
    versions: Vec<&'static SupportedProtocolVersion>,
    provider: CryptoProvider,
    alpn: Vec<Vec<u8>>,
    identity: Option<TlsIdentity>,
}

impl Default for Stranger {
    fn default() -> Self {
        Self {
            versions: vec![&TLS13],
            provider: aws_lc_rs::default_provider(),
            alpn: vec![b"h2".to_vec()],
            identity: None,
        }
    }
}

impl Stranger {
    /// Shakes hands and reads; returns the group negotiated, or the alert that was received.
    async fn visit(self, address: SocketAddr) -> Result<NamedGroup, Option<AlertDescription>> {
        let tls = self.arrive(address).await?;
        Ok(tls.get_ref().1.negotiated_key_exchange_group().unwrap().name())
    }

    /// As [`Stranger::visit`], and stays.
    async fn arrive(self, address: SocketAddr) -> Result<TlsStream<TcpStream>, Option<AlertDescription>> {
        let builder = ClientConfig::builder_with_provider(Arc::new(self.provider))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TrustAnything));
        let mut config = match self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        let alert = |error: std::io::Error| match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::AlertReceived(alert) => Some(*alert),
            _ => None,
        };
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("node.example").unwrap();
        let mut tls = soon(TlsConnector::from(Arc::new(config)).connect(name, socket)).await.map_err(alert)?;
        match soon(tls.read(&mut [0; 64])).await {
            Ok(0) => Err(None),
            Ok(_) => Ok(tls),
            Err(error) => Err(alert(error)),
        }
    }
}

async fn refused(server: &mut Server, identity: TlsIdentity) -> (&'static str, Option<String>, AlertDescription) {
    let failure = server.dialler_as(identity).connect().await.expect_err("is refused");
    let ConnectFailure::Refused { alert: Some(alert) } = failure else { panic!("refused by an alert: {failure:?}") };
    let (code, claimed) = server.refusal().await;
    (code, claimed, alert)
}

fn my() -> Option<String> {
    Some("MY".to_owned())
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_the_nodes_own_clock() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    server.clock.advance(YEAR + 1);
    // The dialler shares the server's clock, so the server renews to stay acceptable itself.
    let renewed = Leaf { uris: vec![member("ID").node_uri()], not_after: 2 * YEAR, ..Leaf::default() };
    server.handle.replace(server.authority.issue(&renewed));
    let expected = ("TLS_CERTIFICATE_EXPIRED", my(), AlertDescription::CertificateExpired);
    assert_eq!(refused(&mut server, authority.node("MY")).await, expected);
}

#[tokio::test]
async fn a_certificate_of_the_future_is_refused_under_its_own_code() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    let early = Leaf { uris: vec![member("MY").node_uri()], not_before: 60, ..Leaf::default() };
    let expected = ("TLS_CERTIFICATE_NOT_YET_VALID", my(), AlertDescription::CertificateExpired);
    assert_eq!(refused(&mut server, authority.issue(&early)).await, expected);
}

#[tokio::test]
async fn one_members_authority_cannot_speak_for_another() {
    let mut server = Server::start().await;
    let (malaysia, thailand) = (Authority::new(), Authority::new());
    server.peers.accept("MY", &malaysia);
    server.peers.accept("TH", &thailand);
    let expected = ("TLS_CERTIFICATE_OTHER_CA", my(), AlertDescription::UnknownCA);
    assert_eq!(refused(&mut server, thailand.node("MY")).await, expected);
}

#[tokio::test]
async fn no_uri_name_and_two_uri_names_are_refused() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    server.peers.accept("TH", &authority);
    let expected = ("TLS_URI_SAN_COUNT", None, AlertDescription::BadCertificate);
    assert_eq!(refused(&mut server, authority.issue(&Leaf::default())).await, expected);
    let two = Leaf { uris: vec![member("MY").node_uri(), member("TH").node_uri()], ..Leaf::default() };
    assert_eq!(refused(&mut server, authority.issue(&two)).await, expected);
}

#[tokio::test]
async fn an_operator_or_a_foreign_name_is_no_node() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    let operator = Leaf { uris: vec!["spiffe://my.eads/operator/a".to_owned()], ..Leaf::default() };
    let expected = ("TLS_URI_SAN_FOREIGN", None, AlertDescription::BadCertificate);
    assert_eq!(refused(&mut server, authority.issue(&operator)).await, expected);
}

#[tokio::test]
async fn an_unknown_member_is_refused() {
    let mut server = Server::start().await;
    let expected = ("TLS_UNKNOWN_PEER", my(), AlertDescription::AccessDenied);
    assert_eq!(refused(&mut server, Authority::new().node("MY")).await, expected);
}

#[tokio::test]
async fn a_certificate_for_servers_only_is_not_a_clients() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    let uris = vec![member("MY").node_uri()];
    let leaf = Leaf { uris, usages: vec![ExtendedKeyUsagePurpose::ServerAuth], ..Leaf::default() };
    let expected = ("TLS_CERTIFICATE_UNFIT", my(), AlertDescription::UnsupportedCertificate);
    assert_eq!(refused(&mut server, authority.issue(&leaf)).await, expected);
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let mut server = Server::start().await;
    let told = Stranger::default().visit(server.address).await;
    assert_eq!(told, Err(Some(AlertDescription::CertificateRequired)));
    assert_eq!(server.refusal().await, ("TLS_NO_CLIENT_CERTIFICATE", None));
}

#[tokio::test]
async fn tls_1_2_is_refused_distinguishably() {
    let mut server = Server::start().await;
    let told = Stranger { versions: vec![&TLS12], ..Stranger::default() }.visit(server.address).await;
    assert_eq!(told, Err(Some(AlertDescription::ProtocolVersion)));
    assert_eq!(server.refusal().await, ("TLS_VERSION", None));
}

#[tokio::test]
async fn another_application_protocol_is_refused() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    for (alpn, alert) in [(vec![b"http/1.1".to_vec()], Some(AlertDescription::NoApplicationProtocol)), (vec![], None)] {
        let told = Stranger { alpn, identity: Some(authority.node("MY")), ..Stranger::default() };
        assert_eq!(told.visit(server.address).await, Err(alert));
        assert_eq!(server.refusal().await, ("TLS_ALPN", None));
    }
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_and_x25519_only_where_configured() {
    let authority = Authority::new();
    let mut strict = Server::start().await;
    let lenient = Server::start_with(Limits::default(), TlsSettings { allow_x25519: true }).await;
    let classical = || {
        let kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
        CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
    };
    for server in [&strict, &lenient] {
        server.peers.accept("MY", &authority);
        let modern = Stranger { identity: Some(authority.node("MY")), ..Stranger::default() };
        assert_eq!(modern.visit(server.address).await, Ok(NamedGroup::X25519MLKEM768));
    }
    let old = || Stranger { identity: Some(authority.node("MY")), provider: classical(), ..Stranger::default() };
    assert_eq!(old().visit(lenient.address).await, Ok(NamedGroup::X25519));
    assert_eq!(old().visit(strict.address).await, Err(Some(AlertDescription::HandshakeFailure)));
    assert_eq!(strict.refusal().await, ("TLS_KEY_EXCHANGE", None));
}

#[tokio::test]
async fn a_client_that_refuses_this_node_is_told_apart_from_one_that_was_refused() {
    let mut server = Server::start().await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    let dialler = server.dialler("MY", &authority);
    dialler.peers.accept("ID", &Authority::new());
    assert_eq!(dialler.connect().await.err(), Some(ConnectFailure::Untrusted(CertificateProblem::OtherCa)));
    assert_eq!(server.refusal().await, ("TLS_CLIENT_ALERT", None));
}

#[tokio::test]
async fn silence_and_noise_and_a_hang_up_end_a_handshake_under_their_own_codes() {
    let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let mut server = Server::start_with(limits, TlsSettings::default()).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(server.refusal().await, ("TLS_HANDSHAKE_TIMEOUT", None));
    drop(silent);

    let mut noisy = TcpStream::connect(server.address).await.unwrap();
    noisy.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    drop(noisy);
    assert_eq!(server.refusal().await, ("TLS_HANDSHAKE_FAILED", None));

    drop(TcpStream::connect(server.address).await.unwrap());
    assert_eq!(server.refusal().await, ("TLS_HANDSHAKE_CLOSED", None));
}

#[tokio::test]
async fn a_peer_that_never_speaks_http2_is_dropped_and_a_quiet_one_is_not() {
    let limits = Limits { handshake_timeout: Duration::from_millis(800), ..Limits::default() };
    let mut server = Server::start_with(limits, TlsSettings::default()).await;
    let authority = Authority::new();
    server.peers.accept("MY", &authority);
    let quiet = server.dialler("MY", &authority).connect().await.unwrap();
    let mute = Stranger { identity: Some(authority.node("MY")), ..Stranger::default() };
    let mut mute = mute.arrive(server.address).await.unwrap();

    assert_eq!(server.refusal().await, ("TLS_HANDSHAKE_TIMEOUT", my()));
    let end = soon(mute.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok() || end.is_err_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof));
    assert!(quiet.liveness().is_open());
    assert_eq!(whom_it_sees(quiet.channel()).await.unwrap(), b"MY Accepted");
}

#[tokio::test]
async fn handshakes_are_bounded_in_all_and_per_address() {
    for limits in [
        Limits { max_handshakes: 2, ..Limits::default() },
        Limits { max_handshakes_per_address: 2, ..Limits::default() },
    ] {
        let mut server = Server::start_with(limits, TlsSettings::default()).await;
        let _idle = [
            TcpStream::connect(server.address).await.unwrap(),
            TcpStream::connect(server.address).await.unwrap(),
            TcpStream::connect(server.address).await.unwrap(),
        ];
        assert_eq!(server.refusal().await, ("TLS_TOO_MANY_HANDSHAKES", None));
    }
}

#[tokio::test]
async fn connections_are_bounded_in_all_and_per_member() {
    let authority = Authority::new();
    for (limits, claimed) in [
        (Limits { max_connections_per_member: 1, ..Limits::default() }, my()),
        (Limits { max_connections: 1, ..Limits::default() }, my()),
    ] {
        let mut server = Server::start_with(limits, TlsSettings::default()).await;
        server.peers.accept("MY", &authority);
        let dialler = server.dialler("MY", &authority);
        let first = dialler.connect().await.unwrap();
        assert_eq!(dialler.connect().await.err(), Some(ConnectFailure::Refused { alert: None }));
        assert_eq!(server.refusal().await, ("TLS_TOO_MANY_CONNECTIONS", claimed));
        assert_eq!(whom_it_sees(first.channel()).await.unwrap(), b"MY Accepted");
    }
}
