//! Which members may connect, and as what: asked anew at each handshake.

use std::net::SocketAddr;

use eads_domain::id::MemberId;
use rustls::pki_types::CertificateDer;

use super::registry::ConnectionId;

/// What this node grants a member, with the anchors that only that member's certificates are checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PeerAdmission {
    /// Never accepted, or removed and settled: no connection.
    #[default]
    Unknown,
    /// An accepted peer.
    Accepted {
        /// The TLS anchors of its card.
        anchors: Vec<CertificateDer<'static>>,
    },
    /// Removed, with notices still out: withdrawals, retractions and receipts only (PROTOCOL §4).
    RecallOnly {
        /// The TLS anchors of its last card.
        anchors: Vec<CertificateDer<'static>>,
    },
    /// Caught in two irreconcilable checkpoints: suspend, withdraw, retract and receipts only (PROTOCOL §3).
    Frozen {
        /// The TLS anchors of its card.
        anchors: Vec<CertificateDer<'static>>,
    },
}

impl PeerAdmission {
    pub(super) fn into_parts(self) -> Option<(Admission, Vec<CertificateDer<'static>>)> {
        match self {
            Self::Unknown => None,
            Self::Accepted { anchors } => Some((Admission::Accepted, anchors)),
            Self::RecallOnly { anchors } => Some((Admission::RecallOnly, anchors)),
            Self::Frozen { anchors } => Some((Admission::Frozen, anchors)),
        }
    }
}

/// The peers as the node's administrators decided. Asked on a runtime thread: must answer from memory.
///
/// Whoever changes an answer must call [`super::ConnectionRegistry::cut`] **after** the change: a connection
/// keeps the admission that it was accepted with.
pub trait PeerDirectory: Send + Sync {
    /// What `member` is granted now.
    fn anchors(&self, member: MemberId) -> PeerAdmission;
}

/// As what a peer was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Admission {
    /// With everything that its agreement permits.
    Accepted,
    /// For withdrawals, retractions and receipts only.
    RecallOnly,
    /// For suspend, withdraw, retract and receipts only.
    Frozen,
}

/// Request extension: the peer that a request came from, as its certificate proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Who.
    pub member: MemberId,
    /// As what it was let in when the connection was made.
    pub admission: Admission,
    /// From where. Network addresses prove nothing; for logs only.
    pub remote: SocketAddr,
    /// Which connection of this process.
    pub connection: ConnectionId,
}
