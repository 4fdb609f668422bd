//! What a dialler makes of the endpoints that it may meet.

use rcgen::ExtendedKeyUsagePurpose;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS12;
use tokio_rustls::TlsAcceptor;

use super::pki::{Leaf, YEAR};
use super::*;

async fn connect(connector: &PeerConnector, address: SocketAddr) -> Option<ConnectFailure> {
    soon(connector.connect(member("ID"), &address.to_string())).await.err()
}

#[tokio::test]
async fn only_the_dialled_member_counts_as_the_peer() {
    let server = Server::start().await;
    let malaysia = Authority::new();
    server.peers.accept("MY", &malaysia);
    let dialler = server.dialler("MY", &malaysia);
    dialler.peers.accept("TH", &server.authority);
    let other = soon(dialler.connector.connect(member("TH"), &dialler.address)).await.err();
    assert_eq!(other, Some(ConnectFailure::Untrusted(CertificateProblem::OtherMember)));

    let id = || vec![member("ID").node_uri()];
    for (leaf, problem) in [
        (Leaf { uris: id(), not_after: -1, ..Leaf::default() }, CertificateProblem::Expired),
        (Leaf::default(), CertificateProblem::UriSanCount { found: 0 }),
        (Leaf { uris: [id(), id()].concat(), ..Leaf::default() }, CertificateProblem::UriSanCount { found: 2 }),
        (
            Leaf { uris: id(), usages: vec![ExtendedKeyUsagePurpose::ClientAuth], ..Leaf::default() },
            CertificateProblem::Unfit,
        ),
    ] {
        server.handle.replace(server.authority.issue(&leaf));
        assert_eq!(connect(&dialler.connector, server.address).await, Some(ConnectFailure::Untrusted(problem)));
    }
    server.handle.replace(server.authority.issue(&Leaf { uris: id(), not_after: 2 * YEAR, ..Leaf::default() }));
    assert_eq!(connect(&dialler.connector, server.address).await, None);
}

#[tokio::test]
async fn an_endpoint_that_nobody_serves_is_unreachable_and_a_silent_one_times_out() {
    let server = Server::start().await;
    let dialler = server.dialler("MY", &Authority::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let impatient = PeerConnector::new(
        dialler._handle.source(),
        Arc::clone(&dialler.peers) as _,
        dialler.registry.clone(),
        Arc::clone(&server.clock) as _,
        TlsSettings::default(),
        ConnectTimeouts { handshake: Duration::from_millis(50), ..ConnectTimeouts::default() },
    );
    assert_eq!(connect(&impatient, address).await, Some(ConnectFailure::TimedOut));
    drop(listener);
    assert_eq!(connect(&impatient, address).await, Some(ConnectFailure::Unreachable));
    let bad = soon(impatient.connect(member("ID"), "no-port")).await.err();
    assert_eq!(bad, Some(ConnectFailure::EndpointInvalid));
    assert_eq!(dialler.registry.connected(), vec![]);
}

#[tokio::test]
async fn an_endpoint_with_old_tls_is_incompatible() {
    let server = Server::start().await;
    let dialler = server.dialler("MY", &Authority::new());
    let (chain, key) = server.authority.issue_der(&Leaf { uris: vec![member("ID").node_uri()], ..Leaf::default() });
    let old = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(old)).accept(socket).await.map(drop)
    });
    assert_eq!(connect(&dialler.connector, address).await, Some(ConnectFailure::Incompatible));
    assert!(soon(task).await.unwrap().is_err());
}

#[test]
fn an_identity_that_does_not_fit_together_is_refused() {
    let authority = Authority::new();
    let (chain, key) = authority.issue_der(&Leaf::default());
    let (_, other_key) = authority.issue_der(&Leaf::default());
    let error = |result: Result<TlsIdentity, InvalidTlsIdentity>| result.err();
    assert_eq!(error(TlsIdentity::from_der(chain.clone(), other_key)), Some(InvalidTlsIdentity::Mismatch));
    assert_eq!(error(TlsIdentity::from_der(vec![], key.clone_key())), Some(InvalidTlsIdentity::Certificate));
    let garbage = vec![CertificateDer::from(vec![0x30, 3, 1])];
    assert_eq!(error(TlsIdentity::from_der(garbage, key.clone_key())), Some(InvalidTlsIdentity::Certificate));
    assert_eq!(error(TlsIdentity::from_pem(b"", b"")), Some(InvalidTlsIdentity::Pem));

    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let params = rcgen::CertificateParams::default();
    let (certificate, pem) = (params.self_signed(&ed25519).unwrap(), ed25519.serialize_pem());
    let kind = TlsIdentity::from_pem(certificate.pem().as_bytes(), pem.as_bytes());
    assert_eq!(error(kind), Some(InvalidTlsIdentity::KeyKind));

    let identity = TlsIdentity::from_der(chain, key).unwrap();
    assert_eq!(identity.not_after(), Timestamp::from_unix(START + YEAR));
}
