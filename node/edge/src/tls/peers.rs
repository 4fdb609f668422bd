//! The peer listener: each member under its own anchors.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use eads_domain::clock::Clock;
use eads_domain::id::MemberId;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use webpki::KeyUsage;

use super::admission::{Admission, PeerDirectory, PeerIdentity};
use super::channel::{ConnectTimeouts, PeerChannel};
use super::handshake::Accepted;
use super::identity::IdentitySource;
use super::limits::Limits;
use super::listen::{Gate, Listener, Turned};
use super::refusal::{CertificateProblem, RefusalReason, RefusalSink, Rejection};
use super::registry::{ConnectionRegistry, Lease};
use super::settings::{ALPN_H2, ALPN_REVERSE, TlsBase, TlsSettings};
use super::transport::Severable;
use super::verify::{Judge, leaf, member_of, verify_path};

/// What the peer listener needs.
pub struct PeerServer {
    /// This node's certificate and key.
    pub identity: IdentitySource,
    /// Who may connect, asked at each handshake.
    pub directory: Arc<dyn PeerDirectory>,
    /// Where live connections are kept; share it with the connector.
    pub registry: ConnectionRegistry,
    /// By which certificates' validity is measured.
    pub clock: Arc<dyn Clock>,
    /// Where refusals are told.
    pub refusals: Arc<dyn RefusalSink>,
    /// The administrator's choices.
    pub settings: TlsSettings,
    /// Bounds.
    pub limits: Limits,
    /// Who takes connections of members that cannot be dialled; without it none is accepted.
    pub reverse: Option<Arc<dyn ReverseLines>>,
}

/// Where this node's calls to a member go once that member has opened a connection for them.
pub trait ReverseLines: Send + Sync {
    /// Takes the channel to its member; it takes the place of an earlier one.
    fn adopt(&self, channel: PeerChannel);
}

/// Serves `routes` to peers on `listener` until `shutdown`, then lets requests in flight finish within
/// [`Limits::drain_timeout`] and returns. Each request carries a [`PeerIdentity`].
pub async fn serve_peers(listener: TcpListener, server: PeerServer, routes: Routes, shutdown: CancellationToken) {
    let base = TlsBase::new(server.settings, server.clock);
    let gate = PeerGate {
        judge: PeerJudge { directory: server.directory, algorithms: base.algorithms(), usage: Usage::Client },
        registry: server.registry,
        max_connections: server.limits.max_connections_per_member,
        reverse: server.reverse,
        timeouts: server.limits.connect(),
    };
    Listener::new(gate, base, server.identity, server.limits, server.refusals, routes, shutdown).run(listener).await;
}

/// Which side of a connection a certificate speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// The side that dialled.
    Client,
    /// The side that was dialled, which must be this member.
    Server(MemberId),
}

/// Decides on a node's certificate: one URI name, then that member's anchors only.
pub(super) struct PeerJudge {
    pub(super) directory: Arc<dyn PeerDirectory>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) usage: Usage,
}

impl PeerJudge {
    /// The member that `chain` proves, and as what it is let in.
    pub(super) fn peer(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(MemberId, Admission), Rejection> {
        let [first, intermediates @ ..] = chain else {
            return Err(Rejection::anonymous(RefusalReason::NoClientCertificate));
        };
        let leaf = leaf(first).map_err(Rejection::anonymous)?;
        let member = member_of(&leaf).map_err(Rejection::anonymous)?;
        let usage = match self.usage {
            Usage::Client => KeyUsage::client_auth(),
            Usage::Server(expected) if expected == member => KeyUsage::server_auth(),
            Usage::Server(_) => return Err(Rejection::of(member, CertificateProblem::OtherMember)),
        };
        let (admission, anchors) = self
            .directory
            .anchors(member)
            .into_parts()
            .ok_or_else(|| Rejection::of(member, CertificateProblem::UnknownPeer))?;
        verify_path(&leaf, intermediates, &anchors, &self.algorithms, now, usage)
            .map_err(|problem| Rejection::of(member, problem))?;
        Ok((member, admission))
    }
}

impl fmt::Debug for PeerJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerJudge").field("usage", &self.usage).finish_non_exhaustive()
    }
}

impl Judge for PeerJudge {
    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejection> {
        self.peer(chain, now).map(drop)
    }
}

struct PeerGate {
    judge: PeerJudge,
    registry: ConnectionRegistry,
    max_connections: usize,
    reverse: Option<Arc<dyn ReverseLines>>,
    timeouts: ConnectTimeouts,
}

impl fmt::Debug for PeerGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerGate").field("judge", &self.judge).finish_non_exhaustive()
    }
}

impl Judge for PeerGate {
    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejection> {
        self.judge.judge(chain, now)
    }
}

#[async_trait]
impl Gate for PeerGate {
    type Identity = PeerIdentity;

    fn protocols(&self) -> &'static [&'static [u8]] {
        if self.reverse.is_some() { &[ALPN_H2, ALPN_REVERSE] } else { &[ALPN_H2] }
    }

    async fn turn(&self, stream: Severable<Accepted>, turned: Turned) {
        let Some(lines) = &self.reverse else { return };
        let member = turned.member;
        match PeerChannel::over(stream, turned, &self.timeouts).await {
            Ok(channel) => lines.adopt(channel),
            Err(failure) => tracing::debug!(%member, %failure, "a connection for calls to a member broke"),
        }
    }

    fn enter(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        remote: SocketAddr,
    ) -> Result<(PeerIdentity, Lease), Rejection> {
        let (member, _) = self.judge.peer(chain, now)?;
        let lease = self
            .registry
            .enter(member, self.max_connections)
            .ok_or_else(|| Rejection::of(member, RefusalReason::TooManyConnections))?;
        // Asked again now that a cut would find this connection: a peer removed during its own handshake stays out.
        let (member, admission) = self.judge.peer(chain, now)?;
        Ok((PeerIdentity { member, admission, remote, connection: lease.id }, lease))
    }
}
