//! Who is let in at the peer listener, end to end: a refusal has its own code, and stands in the audit log.

use std::sync::Arc;

use eads_node::identity::{Authority, AuthorityKind, Issued};
use eads_tests::content::Terms;
use eads_tests::house::{House, accept_card};
use eads_tests::member::{Member, PASSPHRASE, passphrase};
use eads_tests::wait::until;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A client that lets itself be shown anything.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}

/// Connects to the peer listener of `to`; whether it was let in.
async fn knock(to: &Member, shown: Option<&Issued>, version: &'static SupportedProtocolVersion) -> bool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain = CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes()).map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(to.peers).await.unwrap();
    let name = ServerName::try_from("node.invalid").unwrap();
    let Ok(mut tls) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return false };
    // In TLS 1.3 a refusal comes after the client's own handshake; who is let in is greeted with HTTP/2 settings.
    let mut greeting = [0; 9];
    tls.read_exact(&mut greeting).await.is_ok()
}

/// Waits until the audit log of a node has a refusal of this code that claims to be `claimed`.
async fn refusal(member: &Member, code: &str, claimed: &str) {
    until(&format!("{code} of {claimed:?} is written down"), || async {
        let entries = member.audit_entries().await;
        entries.iter().any(|entry| entry.operation == "TlsRefused" && entry.result == code && entry.peer == claimed)
    })
    .await;
}

/// A node certificate by the authority of `by` for the member `named`.
fn issued(by: &Member, named: &str, made: eads_domain::clock::Timestamp) -> Issued {
    let named = named.parse().unwrap();
    let authority = Authority::open(by.dir(), AuthorityKind::Node, named, &passphrase(PASSPHRASE)).unwrap();
    authority.issue_node(&["127.0.0.1".to_owned()], made).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_let_in_by_its_own_certificate_and_by_no_other() {
    const V13: &SupportedProtocolVersion = &rustls::version::TLS13;
    let house = House::new();
    let my = house.member("MY").await;
    let (id, th) = (Member::create(house.path(), "ID"), Member::create(house.path(), "TH"));
    // A member that nobody accepted.
    assert!(!knock(&my, Some(&issued(&th, "TH", th.now())), V13).await);
    refusal(&my, "TLS_UNKNOWN_PEER", "TH").await;
    let card = id.identity().card;
    let code = card.verification_code().to_string();
    accept_card(&my, "ID", card.bytes().to_vec(), code, &Terms::default().with(id.id)).await;
    assert!(knock(&my, Some(&issued(&id, "ID", id.now())), V13).await, "the peer itself");

    assert!(!knock(&my, None, V13).await);
    refusal(&my, "TLS_NO_CLIENT_CERTIFICATE", "").await;
    // Another member's authority names this member.
    assert!(!knock(&my, Some(&issued(&th, "ID", th.now())), V13).await);
    refusal(&my, "TLS_CERTIFICATE_OTHER_CA", "ID").await;
    // Its own authority, too long ago, and too early.
    let year = 366 * 86_400;
    assert!(!knock(&my, Some(&issued(&id, "ID", id.now().plus_seconds(-2 * year))), V13).await);
    refusal(&my, "TLS_CERTIFICATE_EXPIRED", "ID").await;
    assert!(!knock(&my, Some(&issued(&id, "ID", id.now().plus_seconds(year))), V13).await);
    refusal(&my, "TLS_CERTIFICATE_NOT_YET_VALID", "ID").await;
    assert!(!knock(&my, Some(&issued(&id, "ID", id.now())), &rustls::version::TLS12).await);
    refusal(&my, "TLS_VERSION", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_with_two_names_is_nobodys() {
    let house = House::new();
    let [_id, my] = house.federation(["ID", "MY"]).await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    let uri = |name: &str| rcgen::SanType::URI(name.try_into().unwrap());
    params.subject_alt_names = vec![uri("spiffe://id.eads/node"), uri("spiffe://my.eads/node")];
    let certificate = params.self_signed(&key).unwrap();
    let two = Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem().into() };
    assert!(!knock(&my, Some(&two), &rustls::version::TLS13).await);
    until("it is written down", || async {
        my.audit_entries().await.iter().any(|entry| entry.result == "TLS_URI_SAN_COUNT")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_member_receipts_what_it_is_recalled_and_gets_nothing_new() {
    use eads_proto::v1;
    use eads_tests::content::red;
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let kept = id.issue(&red("kept"), &[&my]).await;
    let recalled = id.issue(&red("recalled"), &[&my]).await;
    id.receipted(&recalled, &my, &["issue accepted"]).await;
    let request = v1::RemovePeerRequest { member: "MY".to_owned(), reason: "test".to_owned() };
    let left = id.operator("admin-1").peering().remove_peer(request).await.unwrap().into_inner();
    assert_eq!(left.unsettled, 2, "what it still owes a purge receipt for");
    let later = id.issue(&red("later"), &[]).await;
    id.withdraw(&recalled).await;
    id.receipted(&recalled, &my, &["issue purged", "withdraw accepted"]).await;
    assert_eq!(my.state_of(&recalled).await, "NOTICE_WITHDRAWN");
    assert_eq!(my.state_of(&kept).await, "valid");
    assert_eq!(my.state_of(&later).await, "NOTICE_UNKNOWN");
    let held = eads_tests::house::peer_status(&my, &id).await;
    assert_eq!(held.register_cursor, 2, "the register is not served any more");
    assert_eq!(eads_tests::house::peer_status(&id, &my).await.state, "recall-only");
}
