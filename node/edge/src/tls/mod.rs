//! Mutual TLS for peers and operators, with no certificate authority above the members (PROTOCOL §8).
//!
//! What this promises:
//! * TLS 1.3 only, hybrid post-quantum key exchange first, both sides authenticated, no tickets, no resumption,
//!   no early data, no server name sent.
//! * A certificate counts only for the member that its one URI name states, and only under that member's own
//!   anchors, looked up in the [`PeerDirectory`] at each handshake. Anchors of different members never meet.
//! * A refusal has a stable code, reaches the caller's [`RefusalSink`], and tells the client by a TLS alert.
//! * Handshakes, connections (in all and per member), streams, headers and waits are bounded ([`Limits`]).
//! * [`ConnectionRegistry::cut`] ends every live connection of a member at once, in both directions.
//! * A member that cannot be dialled opens connections in which it is asked ([`ReverseConnection`]), under the same
//!   proofs and bounds.
//! * Time-outs measure stillness of the line, not how long something takes.
//! * Certificates are replaced while the listener runs ([`IdentityHandle::replace`]).
//!
//! What it does not do: it knows nothing of agreements, roles or requests. Each request carries a
//! [`PeerIdentity`] or an [`OperatorIdentity`] as an extension; what that identity may do is decided in `service`.

mod admission;
mod channel;
mod connect;
mod failure;
mod handshake;
mod http2;
mod identity;
mod limits;
mod listen;
mod operators;
mod peers;
mod refusal;
mod registry;
mod reverse;
mod settings;
mod transport;
mod verify;

#[cfg(test)]
mod tests;

pub use admission::{Admission, PeerAdmission, PeerDirectory, PeerIdentity};
pub use channel::{ConnectTimeouts, Liveness, PeerChannel};
pub use connect::PeerConnector;
pub use failure::{ConnectFailure, classify};
pub use identity::{IdentityHandle, IdentitySource, InvalidTlsIdentity, TlsIdentity, validity};
pub use limits::Limits;
pub use operators::{OperatorDirectory, OperatorIdentity, OperatorServer, serve_operators};
pub use peers::{PeerServer, ReverseLines, serve_peers};
pub use refusal::{CertificateProblem, Refusal, RefusalReason, RefusalSink};
pub use registry::{ConnectionId, ConnectionRegistry, OperatorRegistry, Registry};
pub use reverse::ReverseConnection;
pub use rustls::pki_types::CertificateDer;
pub use settings::TlsSettings;
pub use transport::Moved;
