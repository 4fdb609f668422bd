//! Certificate checks: one URI name selects the member, then only that member's anchors are tried.

use std::fmt;
use std::sync::{Arc, OnceLock};

use eads_domain::id::MemberId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::refusal::{CertificateProblem, Rejection};

/// Parses a leaf certificate.
pub(super) fn leaf<'a>(der: &'a CertificateDer<'a>) -> Result<EndEntityCert<'a>, CertificateProblem> {
    EndEntityCert::try_from(der).map_err(|error| problem(&error))
}

/// The member that the one URI name of a node's certificate states.
pub(super) fn member_of(leaf: &EndEntityCert<'_>) -> Result<MemberId, CertificateProblem> {
    let mut names = leaf.valid_uri_names();
    match (names.next(), names.next()) {
        (Some(name), None) => node_member(name).ok_or(CertificateProblem::ForeignName),
        (first, second) => {
            Err(CertificateProblem::UriSanCount { found: usize::from(first.is_some()) + usize::from(second.is_some()) })
        }
    }
}

/// Reads `spiffe://<cc>.eads/node`; nothing but the canonical spelling counts.
fn node_member(uri: &str) -> Option<MemberId> {
    let letters = uri.strip_prefix("spiffe://")?.strip_suffix(".eads/node")?;
    let member: MemberId = letters.to_ascii_uppercase().parse().ok()?;
    (member.node_uri() == uri).then_some(member)
}

/// Checks that `leaf` was issued under one of `anchors`, is valid at `now` and fit for `usage`.
///
/// The anchors' own validity is not checked: they stand because a card names them, not because of their dates.
pub(super) fn verify_path(
    leaf: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    anchors: &[CertificateDer<'static>],
    algorithms: &WebPkiSupportedAlgorithms,
    now: UnixTime,
    usage: KeyUsage,
) -> Result<(), CertificateProblem> {
    let anchors: Vec<_> = anchors.iter().filter_map(|anchor| anchor_from_trusted_cert(anchor).ok()).collect();
    leaf.verify_for_usage(algorithms.all, &anchors, intermediates, now, usage, None, None)
        .map(drop)
        .map_err(|error| problem(&error))
}

fn problem(error: &webpki::Error) -> CertificateProblem {
    match error {
        webpki::Error::CertExpired { .. } => CertificateProblem::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateProblem::NotYetValid,
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => CertificateProblem::OtherCa,
        webpki::Error::BadDer
        | webpki::Error::BadDerTime
        | webpki::Error::TrailingData(_)
        | webpki::Error::MalformedExtensions
        | webpki::Error::ExtensionValueInvalid
        | webpki::Error::InvalidCertValidity
        | webpki::Error::InvalidSerialNumber
        | webpki::Error::UnsupportedCertVersion => CertificateProblem::Malformed,
        _ => CertificateProblem::Unfit,
    }
}

/// Decides on the chain that a client or server presents, leaf first.
pub(super) trait Judge: fmt::Debug + Send + Sync {
    /// `Ok` lets the handshake go on.
    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejection>;
}

/// Asks a [`Judge`] during one handshake and remembers why it said no: an alert alone has too few words.
#[derive(Debug)]
pub(super) struct HandshakeVerifier<J> {
    judge: Arc<J>,
    algorithms: WebPkiSupportedAlgorithms,
    rejection: OnceLock<Rejection>,
}

impl<J: Judge> HandshakeVerifier<J> {
    pub(super) fn new(judge: Arc<J>, algorithms: WebPkiSupportedAlgorithms) -> Arc<Self> {
        Arc::new(Self { judge, algorithms, rejection: OnceLock::new() })
    }

    /// Why the certificate was refused, if it was.
    pub(super) fn rejection(&self) -> Option<Rejection> {
        self.rejection.get().copied()
    }

    fn verify(&self, leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(rest).map(|der| CertificateDer::from(der.as_ref())).collect();
        self.judge.judge(&chain, now).map_err(|rejection| {
            // One verifier sees one handshake, so the first rejection is the only one.
            let _ = self.rejection.set(rejection);
            let error = match rejection.reason {
                super::RefusalReason::Certificate(problem) => problem.into(),
                _ => rustls::CertificateError::ApplicationVerificationFailure,
            };
            Error::InvalidCertificate(error)
        })
    }
}

/// TLS 1.2 is never negotiated; should a library ever ask, the answer is no.
fn no_tls12() -> Error {
    Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled)
}

impl<J: Judge> ClientCertVerifier for HandshakeVerifier<J> {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A list of authorities would tell anyone who connects which peers this node has.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl<J: Judge> ServerCertVerifier for HandshakeVerifier<J> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::node_member;

    #[test]
    fn only_the_canonical_node_uri_names_a_member() {
        assert_eq!(node_member("spiffe://my.eads/node"), "MY".parse().ok());
        for uri in [
            "spiffe://MY.eads/node",
            "spiffe://my.eads/node/",
            "spiffe://my.eads/operator/a",
            "spiffe://mys.eads/node",
            "spiffe://my.example/node",
            "https://my.eads/node",
            "spiffe://my.eads/node?x",
            "spiffe://.eads/node",
            "",
        ] {
            assert_eq!(node_member(uri), None, "{uri}");
        }
    }
}
