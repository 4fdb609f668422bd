//! Certificates made on the spot, and a directory that tests can change.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use eads_domain::id::MemberId;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::tls::{PeerAdmission, PeerDirectory, TlsIdentity};

/// The moment at which the tests' clocks start.
pub(super) const START: i64 = 1_795_000_000;
pub(super) const YEAR: i64 = 365 * 86_400;

pub(super) fn member(code: &str) -> MemberId {
    code.parse().unwrap()
}

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// All authorities have one name, so that only keys tell them apart: the harder case.
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "TLS CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn anchor(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(super) fn node(&self, code: &str) -> TlsIdentity {
        self.issue(&Leaf { uris: vec![member(code).node_uri()], ..Leaf::default() })
    }

    pub(super) fn issue(&self, leaf: &Leaf) -> TlsIdentity {
        let (chain, key) = self.issue_der(leaf);
        TlsIdentity::from_der(chain, key).unwrap()
    }

    pub(super) fn issue_der(&self, leaf: &Leaf) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName("node.example".try_into().unwrap())];
        params.subject_alt_names.extend(leaf.uris.iter().map(|uri| SanType::URI(uri.as_str().try_into().unwrap())));
        params.extended_key_usages = leaf.usages.clone();
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs((START + leaf.not_before) as u64);
        params.not_after = epoch + Duration::from_secs((START + leaf.not_after) as u64);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

/// What a test wants in a leaf certificate; times are seconds from [`START`].
pub(super) struct Leaf {
    pub(super) uris: Vec<String>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) usages: Vec<ExtendedKeyUsagePurpose>,
}

impl Default for Leaf {
    fn default() -> Self {
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self { uris: Vec::new(), not_before: -172_800, not_after: YEAR, usages }
    }
}

/// The peers of a node under test.
#[derive(Default)]
pub(super) struct Peers(Mutex<HashMap<MemberId, PeerAdmission>>);

impl Peers {
    pub(super) fn set(&self, code: &str, admission: PeerAdmission) {
        self.0.lock().unwrap().insert(member(code), admission);
    }

    pub(super) fn accept(&self, code: &str, authority: &Authority) {
        self.set(code, PeerAdmission::Accepted { anchors: vec![authority.anchor()] });
    }
}

impl PeerDirectory for Peers {
    fn anchors(&self, member: MemberId) -> PeerAdmission {
        self.0.lock().unwrap().get(&member).cloned().unwrap_or_default()
    }
}
