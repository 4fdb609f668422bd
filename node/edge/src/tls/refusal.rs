//! Why a connection was not accepted: stable codes, and whom it is told to.

use std::net::SocketAddr;

use eads_domain::code::{Code, Coded, Fault};
use eads_domain::id::MemberId;
use rustls::{AlertDescription, CertificateError};

/// What is wrong with a certificate that the other side presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// Not well-formed X.509 v3.
    #[error("the certificate is not well-formed X.509")]
    Malformed,
    /// Its validity is over, by our clock.
    #[error("the certificate has expired")]
    Expired,
    /// Its validity has not begun, by our clock.
    #[error("the certificate is not yet valid; compare the clocks of both nodes")]
    NotYetValid,
    /// Not issued under an anchor of the member that it names.
    #[error("the certificate was not issued by the authority of the member that it names")]
    OtherCa,
    /// Not exactly one URI name.
    #[error("the certificate has {found} URI names where exactly one is required")]
    UriSanCount {
        /// How many it has; counting stops at two.
        found: usize,
    },
    /// The one URI name is not `spiffe://<cc>.eads/node`.
    #[error("the URI name of the certificate is not that of a node")]
    ForeignName,
    /// Names a member that was never accepted here, or was removed and is settled.
    #[error("the member that the certificate names is not a peer of this node")]
    UnknownPeer,
    /// Of an operator who may never work here again.
    #[error("the officer whom the certificate names is revoked")]
    Revoked,
    /// Names another member than the one dialled.
    #[error("the certificate names another member than the one that was dialled")]
    OtherMember,
    /// Not fit for this use: extended key usage, a CA as leaf, an unknown critical extension, a weak algorithm.
    #[error("the certificate may not be used for this purpose")]
    Unfit,
}

impl Coded for CertificateProblem {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Malformed => "TLS_CERTIFICATE_MALFORMED",
            Self::Expired => "TLS_CERTIFICATE_EXPIRED",
            Self::NotYetValid => "TLS_CERTIFICATE_NOT_YET_VALID",
            Self::OtherCa => "TLS_CERTIFICATE_OTHER_CA",
            Self::UriSanCount { .. } => "TLS_URI_SAN_COUNT",
            Self::ForeignName => "TLS_URI_SAN_FOREIGN",
            Self::UnknownPeer => "TLS_UNKNOWN_PEER",
            Self::Revoked => "TLS_CERTIFICATE_REVOKED",
            Self::OtherMember => "TLS_OTHER_MEMBER",
            Self::Unfit => "TLS_CERTIFICATE_UNFIT",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Chosen for the alert that each is turned into (RFC 8446 §6.2).
impl From<CertificateProblem> for CertificateError {
    fn from(problem: CertificateProblem) -> Self {
        match problem {
            CertificateProblem::Malformed => Self::BadEncoding,
            CertificateProblem::Expired => Self::Expired,
            CertificateProblem::NotYetValid => Self::NotValidYet,
            CertificateProblem::OtherCa => Self::UnknownIssuer,
            CertificateProblem::UriSanCount { .. }
            | CertificateProblem::ForeignName
            | CertificateProblem::OtherMember => Self::NotValidForName,
            CertificateProblem::UnknownPeer => Self::ApplicationVerificationFailure,
            CertificateProblem::Revoked => Self::Revoked,
            CertificateProblem::Unfit => Self::InvalidPurpose,
        }
    }
}

/// Why a listener did not accept a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// The client offers nothing newer than TLS 1.2.
    #[error("the client does not offer TLS 1.3")]
    Version,
    /// No key exchange in common, most often because the client lacks X25519MLKEM768.
    #[error("the client does not offer an accepted key exchange (X25519MLKEM768)")]
    KeyExchange,
    /// The client does not negotiate HTTP/2.
    #[error("the client does not offer HTTP/2 (ALPN h2)")]
    Alpn,
    /// The client has no certificate.
    #[error("the client presented no certificate")]
    NoClientCertificate,
    /// The client's certificate does not prove what it says.
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
    /// The client ended the handshake by an alert: it does not accept this node's certificate, or no setting.
    #[error("the client refused this node with the alert {alert:?}")]
    ClientAlert {
        /// What the client said.
        alert: AlertDescription,
    },
    /// The handshake, or the HTTP/2 preface after it, took too long.
    #[error("the handshake took too long")]
    HandshakeTimeout,
    /// The client closed the connection in the middle of the handshake.
    #[error("the client closed the connection during the handshake")]
    HandshakeClosed,
    /// The bytes are not a valid handshake.
    #[error("the handshake is not valid TLS")]
    HandshakeFailed,
    /// As many handshakes as are allowed are under way, in all or from this address.
    #[error("too many handshakes are under way")]
    TooManyHandshakes,
    /// As many connections as are allowed exist, in all or of this member.
    #[error("too many connections exist")]
    TooManyConnections,
    /// This node's own certificate or settings cannot be used.
    #[error("this node's own TLS configuration cannot be used")]
    OwnConfiguration,
}

impl Coded for RefusalReason {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Version => "TLS_VERSION",
            Self::KeyExchange => "TLS_KEY_EXCHANGE",
            Self::Alpn => "TLS_ALPN",
            Self::NoClientCertificate => "TLS_NO_CLIENT_CERTIFICATE",
            Self::Certificate(problem) => return problem.code(),
            Self::ClientAlert { .. } => "TLS_CLIENT_ALERT",
            Self::HandshakeTimeout => "TLS_HANDSHAKE_TIMEOUT",
            Self::HandshakeClosed => "TLS_HANDSHAKE_CLOSED",
            Self::HandshakeFailed => "TLS_HANDSHAKE_FAILED",
            Self::TooManyHandshakes => "TLS_TOO_MANY_HANDSHAKES",
            Self::TooManyConnections => "TLS_TOO_MANY_CONNECTIONS",
            Self::OwnConfiguration => "TLS_OWN_CONFIGURATION",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::OwnConfiguration | Self::TooManyHandshakes => Fault::Ourselves,
            _ => Fault::Peer,
        }
    }
}

/// One connection that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why; [`Coded::code`] of it is the stable code.
    pub reason: RefusalReason,
    /// Where the client called from.
    pub remote: SocketAddr,
    /// The member that the client's certificate named. A claim: nothing was proven.
    pub claimed: Option<MemberId>,
}

impl Refusal {
    /// The stable code of the reason.
    pub fn code(&self) -> Code {
        self.reason.code()
    }
}

/// Where refusals are told, so that they can be audited and counted. Called on a runtime thread: must not block.
pub trait RefusalSink: Send + Sync {
    /// One connection was not accepted.
    fn refused(&self, refusal: &Refusal);
}

impl<F: Fn(&Refusal) + Send + Sync> RefusalSink for F {
    fn refused(&self, refusal: &Refusal) {
        self(refusal);
    }
}

/// A refusal before it is known where the client called from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: RefusalReason,
    pub(super) claimed: Option<MemberId>,
}

impl Rejection {
    pub(super) fn anonymous(reason: impl Into<RefusalReason>) -> Self {
        Self { reason: reason.into(), claimed: None }
    }

    pub(super) fn of(member: MemberId, reason: impl Into<RefusalReason>) -> Self {
        Self { reason: reason.into(), claimed: Some(member) }
    }
}
