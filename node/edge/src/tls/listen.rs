//! The accept loop that both listeners share: bounded handshakes, then HTTP/2, then a clean end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eads_domain::id::MemberId;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use super::handshake::Accepted;
use super::http2::{self, Ended};
use super::identity::IdentitySource;
use super::limits::{Doors, HandshakePermit, Limits};
use super::refusal::{Refusal, RefusalReason, RefusalSink, Rejection};
use super::registry::Lease;
use super::settings::{ALPN_H2, ALPN_REVERSE, TlsBase};
use super::transport::{Moved, Severable};
use super::{handshake, verify};

/// Pause after `accept` failed, most often for want of file descriptors: connections must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An accepted connection in which this side asks, as its channel needs it.
pub(super) struct Turned {
    pub(super) member: MemberId,
    pub(super) open: Arc<watch::Sender<bool>>,
    pub(super) moved: Moved,
    pub(super) cut: CancellationToken,
}

/// Who may pass a listener, and what the requests of one who passed carry.
#[async_trait]
pub(super) trait Gate: verify::Judge + 'static {
    /// The request extension.
    type Identity: Clone + Send + Sync + 'static;

    /// What a client may ask to speak.
    fn protocols(&self) -> &'static [&'static [u8]] {
        &[ALPN_H2]
    }

    /// Takes a connection in which this side asks; only called for [`ALPN_REVERSE`].
    async fn turn(&self, _stream: Severable<Accepted>, _turned: Turned) {}

    /// Called after the handshake proved that the client holds the key of `chain`, leaf first.
    fn enter(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        remote: SocketAddr,
    ) -> Result<(Self::Identity, Lease), Rejection>;
}

/// A listener's parts, shared by its connections.
pub(super) struct Listener<G> {
    gate: Arc<G>,
    base: TlsBase,
    identity: IdentitySource,
    limits: Limits,
    doors: Arc<Doors>,
    refusals: Arc<dyn RefusalSink>,
    routes: Routes,
    shutdown: CancellationToken,
}

impl<G: Gate> Listener<G> {
    pub(super) fn new(
        gate: G,
        base: TlsBase,
        identity: IdentitySource,
        limits: Limits,
        refusals: Arc<dyn RefusalSink>,
        routes: Routes,
        shutdown: CancellationToken,
    ) -> Self {
        let doors = Doors::new(&limits);
        Self { gate: Arc::new(gate), base, identity, limits, doors, refusals, routes: routes.prepare(), shutdown }
    }

    /// Accepts until shutdown, then waits for the connections to drain.
    pub(super) async fn run(self, listener: TcpListener) {
        let this = Arc::new(self);
        let connections = TaskTracker::new();
        while let Some((socket, remote)) = this.next(&listener).await {
            match this.doors.begin(remote.ip()) {
                Some(permit) => {
                    let this = Arc::clone(&this);
                    connections.spawn(async move { this.attend(socket, remote, permit).await });
                }
                None => this.refuse(remote, Rejection::anonymous(RefusalReason::TooManyHandshakes)),
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    /// The next connection, or `None` at shutdown.
    async fn next(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => return Some(accepted),
                    Err(error) => {
                        tracing::warn!(code = "TLS_ACCEPT_FAILED", %error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    /// One connection from its first byte to its last.
    async fn attend(&self, socket: TcpStream, remote: SocketAddr, permit: HandshakePermit) {
        // Small messages must not wait for each other; where the option is missing the connection works all the same.
        let _ = socket.set_nodelay(true);
        let limit = self.limits.handshake_timeout;
        let handshake = handshake::accept(socket, &self.gate, &self.base, &self.identity, self.gate.protocols(), limit);
        let tls = match self.shutdown.run_until_cancelled(handshake).await {
            None => return,
            Some(Err(rejection)) => return self.refuse(remote, rejection),
            Some(Ok(tls)) => tls,
        };
        drop(permit);
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let (identity, lease) = match self.gate.enter(chain, self.base.now(), remote) {
            Ok(entered) => entered,
            Err(rejection) => {
                self.refuse(remote, rejection);
                return handshake::close(tls).await;
            }
        };
        let Some(place) = self.doors.establish() else {
            self.refuse(remote, Rejection { reason: RefusalReason::TooManyConnections, claimed: lease.member() });
            return handshake::close(tls).await;
        };
        tracing::debug!(%remote, connection = %lease.id, "connection accepted");
        let moved = tls.get_ref().0.moved();
        if let (Some(ALPN_REVERSE), Some(member)) = (tls.get_ref().1.alpn_protocol(), lease.member()) {
            let open = Arc::new(watch::Sender::new(false));
            let turned = Turned { member, open: Arc::clone(&open), moved, cut: lease.cut.clone() };
            return self.gate.turn(Severable::new(tls, lease, open).holding(place), turned).await;
        }
        let (routes, limits) = (self.routes.clone(), &self.limits);
        let ended = http2::serve(tls, routes, (identity, moved), limits, &lease.cut, &self.shutdown).await;
        drop(place);
        tracing::debug!(%remote, connection = %lease.id, ?ended, "connection ended");
        if ended == Ended::Silent {
            self.refuse(remote, Rejection { reason: RefusalReason::HandshakeTimeout, claimed: lease.member() });
        }
    }

    fn refuse(&self, remote: SocketAddr, rejection: Rejection) {
        let refusal = Refusal { reason: rejection.reason, remote, claimed: rejection.claimed };
        tracing::info!(code = %refusal.code(), %remote, claimed = ?refusal.claimed, "connection refused");
        self.refusals.refused(&refusal);
    }
}
