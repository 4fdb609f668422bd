use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eads_domain::clock::{ManualClock, Timestamp};
use eads_domain::code::Coded as _;
use eads_domain::entropy::{Entropy, SeededEntropy};
use eads_domain::id::MemberId;
use eads_domain::operator::Role;
use eads_edge::tls::{
    ConnectFailure, ConnectTimeouts, ConnectionRegistry, IdentityHandle, Limits, PeerAdmission, PeerConnector,
    PeerDirectory, PeerServer, Refusal, TlsSettings, serve_peers,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::init::{InitOptions, init};

const START: i64 = 1_795_000_000;
const WORDS: &str = "correct horse battery staple";

struct Node {
    dir: tempfile::TempDir,
    member: MemberId,
    passphrase: Passphrase,
}

impl Node {
    fn new(member: &str) -> Self {
        Self::with_cost(member, KeyCost::Tests)
    }

    fn with_cost(member: &str, cost: KeyCost) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::new(WORDS).unwrap();
        let member = member.parse().unwrap();
        let options = InitOptions {
            member,
            dir: dir.path().to_owned(),
            display_name: "A member".parse().unwrap(),
            standing: eads_domain::card::Standing::Member,
            peer_listen: "127.0.0.1:0".parse().unwrap(),
            operator_listen: "127.0.0.1:0".parse().unwrap(),
            endpoints: vec!["node.example:7443".parse().unwrap()],
            duty_contacts: vec![],
            passphrase: passphrase.clone(),
            cost,
        };
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(&format!("node {member}")));
        init(&options, &ManualClock::new(Timestamp::from_unix(START)), &entropy).unwrap();
        Self { dir, member, passphrase }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn load(&self) -> Result<Identity, IdentityError> {
        Identity::load(self.dir.path(), &self.passphrase)
    }

    fn code(&self) -> &'static str {
        self.load().unwrap_err().code().as_str()
    }
}

#[test]
fn a_wrong_passphrase_is_told_apart_from_damage() {
    let node = Node::new("MY");
    for attempt in 0..40 {
        // CBC padding accepts a wrong key once in about 256 times; what comes out is no key then.
        let wrong = Passphrase::new(format!("not the right words {attempt}")).unwrap();
        let error = Identity::load(node.dir.path(), &wrong).unwrap_err();
        assert_eq!(error.code().as_str(), "PASSPHRASE_WRONG");
    }
    std::fs::write(node.path(place::SIGNING_KEY), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
    assert_eq!(node.code(), "IDENTITY_DAMAGED");
    std::fs::remove_file(node.path(place::SIGNING_KEY)).unwrap();
    assert_eq!(node.code(), "IDENTITY_MISSING");
}

#[test]
fn a_key_that_others_can_read_is_refused_by_name() {
    let node = Node::new("MY");
    for file in [place::SIGNING_KEY, "identity/node.key"] {
        std::fs::set_permissions(node.path(file), std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = node.load().unwrap_err();
        assert_eq!(error.code().as_str(), "IDENTITY_KEY_EXPOSED");
        assert!(error.to_string().contains(file) && error.to_string().contains("0640"), "{error}");
        std::fs::set_permissions(node.path(file), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    node.load().unwrap();
}

#[test]
fn keys_of_another_node_and_mixed_up_files_are_refused() {
    let (my, th) = (Node::new("MY"), Node::new("TH"));
    let copy = |file: &str| std::fs::copy(th.path(file), my.path(file)).unwrap();
    copy("identity/node.crt");
    assert_eq!(my.code(), "TLS_IDENTITY_MISMATCH");
    copy("identity/node.key");
    my.load().unwrap();
    copy(place::COSIGNER_KEY);
    assert_eq!(my.code(), "IDENTITY_NOT_ON_CARD");
    copy(place::SIGNING_KEY);
    assert_eq!(my.code(), "IDENTITY_NOT_ON_CARD");
    std::fs::write(my.path(place::CARD), "no card").unwrap();
    assert_eq!(my.code(), "CARD_ARMOR");
}

#[test]
fn the_offline_key_is_the_one_that_the_card_announces() {
    let node = Node::new("MY");
    let next = open_signing_key(&node.path(place::NEXT_SIGNING_KEY), &node.passphrase).unwrap();
    let announced = node.load().unwrap().card.card().next_signing_key;
    assert_eq!(announced, eads_domain::card::key_digest(&next.verifying_key()));
}

#[test]
fn a_passphrase_loses_one_line_end_and_nothing_else() {
    let of = |bytes: &[u8]| Passphrase::new(bytes).map(|it| it.as_bytes().to_vec()).ok();
    assert_eq!(of(b"a b \r\n"), Some(b"a b ".to_vec()));
    assert_eq!(of(b"a\n\n"), Some(b"a\n".to_vec()));
    assert_eq!(of(b"\n"), None);
    assert_eq!(of(&[b'x'; 1025]), None);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("passphrase");
    assert_eq!(Passphrase::obtain(Some(&file)).unwrap_err().code().as_str(), "PASSPHRASE_UNREADABLE");
    std::fs::write(&file, "five random words\n").unwrap();
    assert_eq!(Passphrase::obtain(Some(&file)).unwrap().as_bytes(), b"five random words");
    assert_eq!(format!("{:?}", Passphrase::new("secret").unwrap()), "Passphrase(..)");
}

/// `None` where there is no such program: the test then shows nothing, and says so.
fn openssl(arguments: &[&str]) -> Option<bool> {
    match Command::new("openssl").args(arguments).output() {
        Ok(output) => {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            Some(output.status.success())
        }
        Err(_) => {
            eprintln!("openssl is not installed: not checked");
            None
        }
    }
}

#[test]
fn openssl_reads_the_encrypted_keys_at_production_cost() {
    let node = Node::new("MY");
    let entropy = SeededEntropy::new("keys");
    let ed25519 = seal_signing_key(&SigningKey::from_bytes(&[7; 32]), &node.passphrase, KeyCost::Production, &entropy);
    write_private(&node.path("ed25519.key"), ed25519.unwrap().as_bytes()).unwrap();
    for file in ["ed25519.key", "identity/tls-ca.key"] {
        let path = node.path(file);
        let path = path.to_str().unwrap();
        let right = openssl(&["pkey", "-in", path, "-passin", &format!("pass:{WORDS}"), "-noout"]);
        assert_ne!(right, Some(false), "{file}");
    }
    let path = node.path(place::SIGNING_KEY);
    let wrong = openssl(&["pkey", "-in", path.to_str().unwrap(), "-passin", "pass:wrong", "-noout"]);
    assert_ne!(wrong, Some(true));
}

#[test]
fn openssl_accepts_the_certificates_under_their_authorities() {
    let node = Node::new("MY");
    let at = (START + 86_400).to_string();
    let verify = |ca: &str, purpose: &str, leaf: &str| {
        let (ca, leaf) = (node.path(ca), node.path(leaf));
        let (ca, leaf) = (ca.to_str().unwrap(), leaf.to_str().unwrap());
        openssl(&["verify", "-x509_strict", "-attime", &at, "-purpose", purpose, "-CAfile", ca, leaf])
    };
    for (ca, purpose, leaf) in [
        ("identity/tls-ca.crt", "sslserver", "identity/node.crt"),
        ("identity/tls-ca.crt", "sslclient", "identity/node.crt"),
        ("identity/operator-ca.crt", "sslserver", "identity/operators.crt"),
        ("identity/operator-ca.crt", "sslclient", "profiles/officer/operator.crt"),
    ] {
        assert_ne!(verify(ca, purpose, leaf), Some(false), "{leaf} as {purpose}");
    }
    assert_ne!(verify("identity/tls-ca.crt", "sslclient", "profiles/officer/operator.crt"), Some(true));
    assert_ne!(verify("identity/operator-ca.crt", "sslserver", "profiles/officer/operator.crt"), Some(true));
}

/// Knows one peer by its card.
struct OnePeer(MemberId, Mutex<Vec<CertificateDer<'static>>>);

impl OnePeer {
    fn of(identity: &Identity) -> Arc<Self> {
        let card = identity.card.card();
        let anchors = card.tls_anchors.iter().map(|anchor| CertificateDer::from(anchor.as_der().to_vec())).collect();
        Arc::new(Self(card.member, Mutex::new(anchors)))
    }
}

impl PeerDirectory for OnePeer {
    fn anchors(&self, member: MemberId) -> PeerAdmission {
        let anchors = self.1.lock().unwrap().clone();
        if member == self.0 { PeerAdmission::Accepted { anchors } } else { PeerAdmission::Unknown }
    }
}

#[tokio::test]
async fn two_nodes_that_exchanged_cards_connect_even_a_day_apart_and_after_renewal() {
    let (my, th) = (Node::new("MY"), Node::new("TH"));
    let (my_identity, th_identity) = (my.load().unwrap(), th.load().unwrap());
    let (knows_th, knows_my) = (OnePeer::of(&th_identity), OnePeer::of(&my_identity));

    let served = IdentityHandle::new(my_identity.node);
    let server = PeerServer {
        identity: served.source(),
        directory: knows_th,
        registry: ConnectionRegistry::new(),
        // A day slow, on the day when the certificates were made.
        clock: Arc::new(ManualClock::new(Timestamp::from_unix(START - 86_400))),
        refusals: Arc::new(|_: &Refusal| {}),
        settings: TlsSettings::default(),
        limits: Limits::default(),
        reverse: None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    let _stop = shutdown.clone().drop_guard();
    tokio::spawn(serve_peers(listener, server, tonic::service::Routes::default(), shutdown));

    let dialled = IdentityHandle::new(th_identity.node);
    let connector = PeerConnector::new(
        dialled.source(),
        knows_my,
        ConnectionRegistry::new(),
        Arc::new(ManualClock::new(Timestamp::from_unix(START))),
        TlsSettings::default(),
        ConnectTimeouts::default(),
    );
    let connect = || async {
        let connecting = connector.connect(my.member, &endpoint);
        tokio::time::timeout(Duration::from_secs(20), connecting).await.expect("does not hang")
    };
    connect().await.unwrap();

    // Renewed from what lies on disk, and read again without a passphrase.
    let authority = Authority::open(my.dir.path(), AuthorityKind::Node, my.member, &my.passphrase).unwrap();
    let renewed = authority.issue_node(&["node.example".to_owned()], Timestamp::from_unix(START)).unwrap();
    replace_node_certificate(my.dir.path(), &renewed).unwrap();
    served.replace(TlsIdentities::load(my.dir.path()).unwrap().node);
    connect().await.unwrap();

    // The other authority of the same member does not speak for its node.
    let operators = Authority::open(my.dir.path(), AuthorityKind::Operators, my.member, &my.passphrase).unwrap();
    let false_one = operators.issue_node(&["node.example".to_owned()], Timestamp::from_unix(START)).unwrap();
    replace_node_certificate(my.dir.path(), &false_one).unwrap();
    served.replace(TlsIdentities::load(my.dir.path()).unwrap().node);
    assert!(matches!(connect().await, Err(ConnectFailure::Untrusted(_))));
}

#[test]
fn an_operators_certificate_made_later_is_like_one_made_at_birth() {
    let node = Node::new("MY");
    let authority = Authority::open(node.dir.path(), AuthorityKind::Operators, node.member, &node.passphrase).unwrap();
    let roles = [Role::Officer, Role::Auditor].into_iter().collect();
    let issued = authority.issue_operator(&"desk-7".parse().unwrap(), roles, Timestamp::from_unix(START)).unwrap();
    let certificate = pem::parse(&issued.certificate_pem).unwrap();
    let operator = eads_domain::operator::Operator::from_certificate(certificate.contents()).unwrap();
    assert_eq!((operator.member, operator.name.as_str(), operator.roles), (node.member, "desk-7", roles));
    write_public(&node.path("desk-7.crt"), issued.certificate_pem.as_bytes()).unwrap();
    let (ca, leaf) = (node.path("identity/operator-ca.crt"), node.path("desk-7.crt"));
    let at = START.to_string();
    let arguments = ["verify", "-x509_strict", "-attime", &at, "-CAfile", ca.to_str().unwrap(), leaf.to_str().unwrap()];
    assert_ne!(openssl(&arguments), Some(false));
}
