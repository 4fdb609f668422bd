//! The certificate and key by which this node shows who it is, replaceable while connections are served.

use std::fmt;
use std::sync::Arc;

use eads_domain::clock::Timestamp;
use eads_domain::code::{Code, Coded, Fault};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::sync::watch;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// A certificate or key that cannot serve as an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTlsIdentity {
    /// Not PEM, or without the expected section.
    #[error("no certificate and private key in PEM form were found")]
    Pem,
    /// The leaf certificate is not well-formed X.509.
    #[error("the certificate is not well-formed X.509")]
    Certificate,
    /// The key is not PKCS#8, or not usable.
    #[error("the private key is not an unencrypted PKCS#8 key")]
    Key,
    /// The key is not on P-256.
    #[error("the private key is not a P-256 key; other kinds are refused by the libraries that peers use")]
    KeyKind,
    /// Certificate and key are of different pairs.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl Coded for InvalidTlsIdentity {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Pem => "TLS_IDENTITY_PEM_INVALID",
            Self::Certificate => "TLS_IDENTITY_CERTIFICATE_INVALID",
            Self::Key => "TLS_IDENTITY_KEY_INVALID",
            Self::KeyKind => "TLS_IDENTITY_KEY_KIND",
            Self::Mismatch => "TLS_IDENTITY_MISMATCH",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Ourselves
    }
}

/// A certificate chain, leaf first, with its P-256 key. One that exists is consistent: the key signs for the leaf.
pub struct TlsIdentity {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
}

impl TlsIdentity {
    /// From DER certificates, leaf first and without the anchor, and a PKCS#8 key.
    ///
    /// # Errors
    /// [`InvalidTlsIdentity`] if they do not fit together or the key is not on P-256.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, InvalidTlsIdentity> {
        let leaf = chain.first().ok_or(InvalidTlsIdentity::Certificate)?;
        let not_after = not_after(leaf)?;
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => InvalidTlsIdentity::Mismatch,
            rustls::Error::InvalidCertificate(_) => InvalidTlsIdentity::Certificate,
            _ => InvalidTlsIdentity::Key,
        })?;
        key.key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).ok_or(InvalidTlsIdentity::KeyKind)?;
        Ok(Self { key: Arc::new(key), not_after })
    }

    /// From PEM text: any number of certificates, leaf first, and one PKCS#8 key.
    ///
    /// # Errors
    /// As [`TlsIdentity::from_der`], and [`InvalidTlsIdentity::Pem`] if a section is missing.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, InvalidTlsIdentity> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| InvalidTlsIdentity::Pem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidTlsIdentity::Pem)?;
        if chain.is_empty() {
            return Err(InvalidTlsIdentity::Pem);
        }
        Self::from_der(chain, key)
    }

    /// The last second at which peers accept the leaf certificate.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.key)))
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

fn not_after(leaf: &CertificateDer<'_>) -> Result<Timestamp, InvalidTlsIdentity> {
    validity(leaf).map(|(_, until)| until).ok_or(InvalidTlsIdentity::Certificate)
}

/// The first and the last second at which a DER certificate is valid; none if it is no X.509.
pub fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let moment = |seconds: u64| Timestamp::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX));
    let [from, until] = [validity.not_before, validity.not_after].map(|time| moment(time.to_unix_duration().as_secs()));
    Some((from, until))
}

/// Where the identity is replaced. Dropping it leaves the last identity in use.
#[derive(Debug)]
pub struct IdentityHandle(watch::Sender<Arc<TlsIdentity>>);

impl IdentityHandle {
    /// Starts with `identity`; hand the [`IdentityHandle::source`] to listeners and connectors.
    pub fn new(identity: TlsIdentity) -> Self {
        Self(watch::Sender::new(Arc::new(identity)))
    }

    /// A view that always shows the latest identity.
    pub fn source(&self) -> IdentitySource {
        IdentitySource(self.0.subscribe())
    }

    /// Uses `identity` from the next handshake on; established connections are left alone.
    pub fn replace(&self, identity: TlsIdentity) {
        self.0.send_replace(Arc::new(identity));
    }
}

/// Shows the identity in force.
#[derive(Clone, Debug)]
pub struct IdentitySource(watch::Receiver<Arc<TlsIdentity>>);

impl IdentitySource {
    /// The identity in force now.
    pub fn current(&self) -> Arc<TlsIdentity> {
        Arc::clone(&self.0.borrow())
    }
}
