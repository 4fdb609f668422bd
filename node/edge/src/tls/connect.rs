//! Dialling a peer: the connection counts only if the other end proves to be that member.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use eads_domain::clock::Clock;
use eads_domain::id::MemberId;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::admission::{Admission, PeerDirectory};
use super::channel::{ConnectTimeouts, PeerChannel};
use super::failure::{ConnectFailure, classify};
use super::handshake::WHOLE_HANDSHAKES;
use super::identity::IdentitySource;
use super::peers::{PeerJudge, Usage};
use super::refusal::{CertificateProblem, RefusalReason, Rejection};
use super::registry::{ConnectionRegistry, Lease};
use super::reverse::ReverseConnection;
use super::settings::{ALPN_H2, ALPN_REVERSE, TlsBase, TlsSettings};
use super::transport::{Metered, Moved, Severable};
use super::verify::HandshakeVerifier;
use crate::progress::{Patience, while_moving};

/// Opens connections to peers. Cheap to clone.
#[derive(Clone)]
pub struct PeerConnector(Arc<Shared>);

struct Shared {
    base: TlsBase,
    identity: IdentitySource,
    directory: Arc<dyn PeerDirectory>,
    registry: ConnectionRegistry,
    timeouts: ConnectTimeouts,
}

impl PeerConnector {
    /// Dials as `identity`; anchors are looked up in `directory` at each handshake, and what is opened is entered
    /// in `registry`.
    pub fn new(
        identity: IdentitySource,
        directory: Arc<dyn PeerDirectory>,
        registry: ConnectionRegistry,
        clock: Arc<dyn Clock>,
        settings: TlsSettings,
        timeouts: ConnectTimeouts,
    ) -> Self {
        let base = TlsBase::new(settings, clock);
        Self(Arc::new(Shared { base, identity, directory, registry, timeouts }))
    }

    /// Connects to `member` at `endpoint`, `host:port`, and waits until the peer has let this node in.
    ///
    /// The channel dials again by itself, with the anchors and the identity then in force, when a call finds the
    /// connection gone; it does not wait between attempts, so a caller that repeats calls must.
    ///
    /// # Errors
    /// [`ConnectFailure`]; later failures of calls are told apart by [`classify`].
    pub async fn connect(&self, member: MemberId, endpoint: &str) -> Result<PeerChannel, ConnectFailure> {
        let address: Arc<str> = authority(endpoint)?.into();
        let timeouts = &self.0.timeouts;
        let (open, moved) = (Arc::new(watch::Sender::new(false)), Moved::default());
        let (shared, there) = (Arc::clone(&self.0), Arc::clone(&address));
        let line = (Arc::clone(&open), moved.clone());
        let dial = tower::service_fn(move |_: Uri| {
            let (shared, address, (open, moved)) = (Arc::clone(&shared), Arc::clone(&there), line.clone());
            async move {
                let Dialled { tls, lease, .. } = shared.dial(member, &address, ALPN_H2, moved).await?;
                Ok(TokioIo::new(Severable::new(tls, lease, open)))
            }
        });
        PeerChannel::dialled(member, &address, timeouts, (&open, moved), dial).await
    }

    /// Connects to `member` at `endpoint` so that the member asks and this node answers.
    ///
    /// # Errors
    /// [`ConnectFailure`].
    pub async fn reverse(&self, member: MemberId, endpoint: &str) -> Result<ReverseConnection, ConnectFailure> {
        let address = authority(endpoint)?;
        let dialled = self.0.dial(member, &address, ALPN_REVERSE, Moved::default()).await?;
        Ok(ReverseConnection::new(dialled))
    }
}

/// A connection that this node opened, both sides proven.
pub(super) struct Dialled {
    pub(super) tls: TlsStream<Metered<TcpStream>>,
    pub(super) lease: Lease,
    pub(super) member: MemberId,
    pub(super) admission: Admission,
    pub(super) remote: SocketAddr,
}

impl fmt::Debug for PeerConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerConnector").field("timeouts", &self.0.timeouts).finish_non_exhaustive()
    }
}

/// `endpoint` as host and port, nothing else.
fn authority(endpoint: &str) -> Result<String, ConnectFailure> {
    let authority: http::uri::Authority = endpoint.parse().map_err(|_| ConnectFailure::EndpointInvalid)?;
    match authority.port_u16() {
        Some(port) if port != 0 && !authority.as_str().contains('@') => Ok(authority.to_string()),
        _ => Err(ConnectFailure::EndpointInvalid),
    }
}

impl Shared {
    async fn dial(
        &self,
        member: MemberId,
        address: &str,
        protocol: &'static [u8],
        moved: Moved,
    ) -> Result<Dialled, ConnectFailure> {
        let judge = Arc::new(PeerJudge {
            directory: Arc::clone(&self.directory),
            algorithms: self.base.algorithms(),
            usage: Usage::Server(member),
        });
        if self.directory.anchors(member).into_parts().is_none() {
            return Err(ConnectFailure::Untrusted(CertificateProblem::UnknownPeer));
        }
        let socket = timeout(self.timeouts.connect, TcpStream::connect(address))
            .await
            .map_err(|_| ConnectFailure::TimedOut)?
            .map_err(|error| classify(&error).unwrap_or(ConnectFailure::Unreachable))?;
        // Where the option is missing the connection works all the same.
        let _ = socket.set_nodelay(true);
        let remote = socket.peer_addr().map_err(|_| ConnectFailure::Unreachable)?;
        let mut tls = self.handshake(member, &judge, protocol, Metered::new(socket, moved)).await?;
        self.await_verdict(&mut tls).await?;

        let lease = self.registry.enter(member, usize::MAX).ok_or(ConnectFailure::Cut)?;
        // Asked again now that a cut would find this connection: a peer removed meanwhile stays out.
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let (member, admission) = judge.peer(chain, self.base.now()).map_err(untrusted)?;
        Ok(Dialled { tls, lease, member, admission, remote })
    }

    async fn handshake(
        &self,
        member: MemberId,
        judge: &Arc<PeerJudge>,
        protocol: &'static [u8],
        socket: Metered<TcpStream>,
    ) -> Result<TlsStream<Metered<TcpStream>>, ConnectFailure> {
        let verifier = HandshakeVerifier::new(Arc::clone(judge), self.base.algorithms());
        let config = self
            .base
            .client(&self.identity.current(), Arc::clone(&verifier) as _, protocol)
            .map_err(|_| ConnectFailure::OwnConfiguration)?;
        // Required by the library; neither sent nor checked.
        let name = ServerName::try_from(format!("{}.eads", member.to_lowercase()))
            .map_err(|_| ConnectFailure::OwnConfiguration)?;
        let (still, moved) = (self.timeouts.handshake, socket.moved());
        let patience = Patience { still, whole: still.saturating_mul(WHOLE_HANDSHAKES), least: 1 };
        let connected =
            while_moving(patience, || moved.total(), TlsConnector::from(Arc::new(config)).connect(name, socket))
                .await
                .ok_or(ConnectFailure::TimedOut)?;
        let tls = connected.map_err(|error| match verifier.rejection() {
            Some(rejection) => untrusted(rejection),
            None => classify(&error).unwrap_or(ConnectFailure::Unreachable),
        })?;
        if tls.get_ref().1.alpn_protocol() == Some(protocol) { Ok(tls) } else { Err(ConnectFailure::Incompatible) }
    }

    /// Waits for the peer's first bytes: its HTTP/2 settings, or the alert by which it refuses this node. Without
    /// this a refusal would surface only at the first call.
    async fn await_verdict(&self, tls: &mut TlsStream<Metered<TcpStream>>) -> Result<(), ConnectFailure> {
        match timeout(self.timeouts.handshake, tls.fill_buf()).await {
            Ok(Ok([])) => Err(ConnectFailure::Refused { alert: None }),
            Ok(Err(error)) => Err(classify(&error).unwrap_or(ConnectFailure::Unreachable)),
            // A server may let the client speak first (RFC 9113 §3.4): silence is no refusal.
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }
}

fn untrusted(rejection: Rejection) -> ConnectFailure {
    ConnectFailure::Untrusted(match rejection.reason {
        RefusalReason::Certificate(problem) => problem,
        _ => CertificateProblem::Unfit,
    })
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn an_endpoint_is_host_and_port_and_nothing_else() {
        for good in ["node.example:7443", "127.0.0.1:1", "[::1]:7443"] {
            assert_eq!(authority(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "node.example", "a@node.example:1", "node.example:0", "node.example:99999", "http://x:1", "x:1/y"]
        {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }
}
