//! The node's two certificate authorities: one for its own TLS certificate, one for its operators.
//!
//! Certificates begin 48 hours before they are made, so that a neighbour whose clock is a day slow connects at once.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use eads_domain::clock::Timestamp;
use eads_domain::entropy::{Entropy, random};
use eads_domain::id::MemberId;
use eads_domain::operator::{OperatorName, Roles};
use eads_edge::tls::CertificateDer;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use zeroize::Zeroizing;

use super::{IdentityError, KeyCost, Passphrase, files, sealed_key};

const DAY: i64 = 86_400;
/// How long before its making a certificate is valid.
const BACKDATE_SECONDS: i64 = 2 * DAY;
/// A year and a day, so that a yearly renewal is in time.
const LEAF_SECONDS: i64 = 366 * DAY;
const CA_SECONDS: i64 = 3652 * DAY;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityKind {
    /// Issues the certificate that peers see; its own is an anchor on the card.
    Node,
    /// Takes the place of [`AuthorityKind::Node`]; on the card beside it until then.
    NextNode,
    /// Issues the certificates of operators and of their listener; its own is the operator anchor on the card.
    Operators,
}

impl AuthorityKind {
    const fn stem(self) -> &'static str {
        match self {
            Self::Node => "identity/tls-ca",
            Self::NextNode => "identity/tls-ca-next",
            Self::Operators => "identity/operator-ca",
        }
    }

    /// Where its certificate lies below the data directory.
    pub(crate) fn certificate(self) -> String {
        format!("{}.crt", self.stem())
    }

    fn name(self, member: MemberId) -> DistinguishedName {
        let mut name = DistinguishedName::new();
        let common_name = match self {
            Self::Node | Self::NextNode => format!("{member} node TLS CA"),
            Self::Operators => format!("{member} operator CA"),
        };
        name.push(DnType::CommonName, common_name);
        name
    }
}

/// A certificate with its key, PEM.
#[derive(Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key, PKCS#8, not encrypted.
    pub key_pem: Zeroizing<String>,
}

impl Issued {
    /// The certificate, DER.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`] for what no authority issued.
    pub fn certificate_der(&self) -> Result<Vec<u8>, IdentityError> {
        let block = pem::parse(&self.certificate_pem).map_err(|error| IdentityError::not_issued(&error))?;
        Ok(block.into_contents())
    }
}

/// An authority with its key in hand.
#[derive(Debug)]
pub struct Authority {
    member: MemberId,
    kind: AuthorityKind,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one, valid for ten years.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`].
    pub fn create(kind: AuthorityKind, member: MemberId, now: Timestamp) -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(|error| IdentityError::not_issued(&error))?;
        let params = authority_params(kind, member, now);
        let certificate = params.self_signed(&key).map_err(|error| IdentityError::not_issued(&error))?;
        Ok(Self {
            member,
            kind,
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Writes certificate and encrypted key below the data directory `dir`, where neither may exist.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn store(
        &self,
        dir: &Path,
        passphrase: &Passphrase,
        cost: KeyCost,
        entropy: &dyn Entropy,
    ) -> Result<(), IdentityError> {
        let stem = self.kind.stem();
        let key = self.sealed_key(passphrase, cost, entropy)?;
        files::write_private(&dir.join(format!("{stem}.key")), key.as_bytes())?;
        files::write_public(&dir.join(format!("{stem}.crt")), self.certificate_pem.as_bytes())
    }

    /// Its key as encrypted PEM.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`].
    pub(crate) fn sealed_key(
        &self,
        passphrase: &Passphrase,
        cost: KeyCost,
        entropy: &dyn Entropy,
    ) -> Result<String, IdentityError> {
        sealed_key::seal_p256(self.issuer.key().serialized_der(), passphrase, cost, entropy)
    }

    /// Reads the one of `member` below the data directory `dir`.
    ///
    /// # Errors
    /// [`IdentityError`]; `PASSPHRASE_WRONG` if the passphrase does not open its key.
    pub fn open(
        dir: &Path,
        kind: AuthorityKind,
        member: MemberId,
        passphrase: &Passphrase,
    ) -> Result<Self, IdentityError> {
        let path = dir.join(format!("{}.crt", kind.stem()));
        let certificate_pem = files::read_text(&path)?;
        let damaged = || IdentityError::Damaged { path: path.clone() };
        let block = pem::parse(&certificate_pem).map_err(|_| damaged())?;
        let key_path = dir.join(format!("{}.key", kind.stem()));
        let key = sealed_key::open(&key_path, passphrase)?;
        let key = KeyPair::try_from(key.as_slice()).map_err(|_| IdentityError::Damaged { path: key_path })?;
        // Name and key identifier of an authority follow from member and key, so its certificate need not be read.
        let params = authority_params(kind, member, Timestamp::from_unix(0));
        let certificate = CertificateDer::from(block.into_contents());
        Ok(Self { member, kind, certificate_pem, certificate, issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, DER: the anchor.
    pub fn anchor(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its own certificate, PEM.
    pub fn anchor_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for the node, valid for a year: its URI name, and `hosts`, DNS names or addresses, for other
    /// programs. Peers look at the URI name only.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`], also if a host is neither a DNS name nor an address.
    pub fn issue_node(&self, hosts: &[String], now: Timestamp) -> Result<Issued, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{} node", self.member));
        params.subject_alt_names = vec![uri(&self.member.node_uri())?];
        params.subject_alt_names.extend(host_names(hosts)?);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params, now)
    }

    /// A certificate for the operator listener under `hosts`, DNS names or addresses, valid for a year.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`], also if a host is neither a DNS name nor an address.
    pub fn issue_listener(&self, hosts: &[String], now: Timestamp) -> Result<Issued, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{} operator listener", self.member));
        params.subject_alt_names = host_names(hosts)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params, now)
    }

    /// A client certificate for an operator, valid for a year, and its key.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`].
    pub fn issue_operator(&self, name: &OperatorName, roles: Roles, now: Timestamp) -> Result<Issued, IdentityError> {
        self.issue(self.operator_params(name, roles)?, now)
    }

    /// A client certificate, DER, for an operator who has the key to `point` (P-256, SEC 1, uncompressed), valid for
    /// `days`, with a random serial number.
    ///
    /// # Errors
    /// [`IdentityError::NotIssued`].
    pub fn certify_operator(
        &self,
        name: &OperatorName,
        roles: Roles,
        point: &[u8],
        days: u32,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<CertificateDer<'static>, IdentityError> {
        let mut params = self.operator_params(name, roles)?;
        let mut serial: [u8; 16] = random(entropy);
        // Positive, and of one length.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let params = leaf_params(params, now, i64::from(days) * DAY);
        let signed = params.signed_by(&OperatorKey(point), &self.issuer);
        Ok(signed.map_err(|error| IdentityError::not_issued(&error))?.der().clone())
    }

    fn operator_params(&self, name: &OperatorName, roles: Roles) -> Result<CertificateParams, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationalUnitName, roles.to_string());
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.subject_alt_names = vec![uri(&format!("spiffe://{}.eads/operator/{name}", self.member.to_lowercase()))?];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params)
    }

    fn issue(&self, params: CertificateParams, now: Timestamp) -> Result<Issued, IdentityError> {
        let params = leaf_params(params, now, LEAF_SECONDS);
        let key = KeyPair::generate().map_err(|error| IdentityError::not_issued(&error))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| IdentityError::not_issued(&error))?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: Zeroizing::new(key.serialize_pem()) })
    }
}

/// A key of which only the public half is here.
struct OperatorKey<'a>(&'a [u8]);

impl PublicKeyData for OperatorKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn leaf_params(mut params: CertificateParams, now: Timestamp, seconds: i64) -> CertificateParams {
    set_validity(&mut params, now, seconds);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority_params(kind: AuthorityKind, member: MemberId, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = kind.name(member);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_SECONDS);
    params
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, seconds: i64) {
    let moment =
        |time: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(time.as_unix()).unwrap_or(0));
    params.not_before = moment(now.plus_seconds(-BACKDATE_SECONDS));
    params.not_after = moment(now.plus_seconds(seconds));
}

fn uri(uri: &str) -> Result<SanType, IdentityError> {
    Ok(SanType::URI(uri.try_into().map_err(|error| IdentityError::not_issued(&error))?))
}

fn host_names(hosts: &[String]) -> Result<Vec<SanType>, IdentityError> {
    let mut names = Vec::new();
    for host in hosts {
        let name = match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.as_str().try_into().map_err(|error| IdentityError::not_issued(&error))?),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
