//! Dialling a peer: the connection counts only if the other end proves to be that member.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
use tonic::transport::{Channel, Endpoint};

use super::admission::PeerDirectory;
use super::failure::{ConnectFailure, classify};
use super::identity::IdentitySource;
use super::peers::{PeerJudge, Usage};
use super::refusal::{CertificateProblem, RefusalReason, Rejection};
use super::registry::ConnectionRegistry;
use super::settings::{ALPN_H2, TlsBase, TlsSettings};
use super::transport::Severable;
use super::verify::HandshakeVerifier;

/// A peer's answer headers may be so long, in bytes.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Unread bytes of one stream and of the whole connection.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Requests that may wait for the connection.
const QUEUED_REQUESTS: usize = 256;

/// How long a dialler waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectTimeouts {
    /// Name look-up and TCP.
    pub connect: Duration,
    /// TLS; and again for the peer's verdict on this node's certificate.
    pub handshake: Duration,
    /// A ping is sent this often, also on an idle connection.
    pub keepalive_interval: Duration,
    /// A connection whose ping is unanswered for so long is closed.
    pub keepalive_timeout: Duration,
}

impl Default for ConnectTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(10),
        }
    }
}

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
        // The scheme must be http: the TLS is ours, and tonic would add its own to https.
        let address: Arc<str> = authority(endpoint)?.into();
        let timeouts = &self.0.timeouts;
        let http = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|_| ConnectFailure::EndpointInvalid)?
            .http2_keep_alive_interval(timeouts.keepalive_interval)
            .keep_alive_timeout(timeouts.keepalive_timeout)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .buffer_size(QUEUED_REQUESTS);
        let open = Arc::new(watch::Sender::new(false));
        let liveness = Liveness(open.subscribe());
        let shared = Arc::clone(&self.0);
        let dial = tower::service_fn(move |_: Uri| {
            let (shared, address, open) = (Arc::clone(&shared), Arc::clone(&address), Arc::clone(&open));
            async move { shared.dial(member, &address, open).await.map(TokioIo::new) }
        });
        let channel = http
            .connect_with_connector(dial)
            .await
            .map_err(|error| classify(&error).unwrap_or(ConnectFailure::Unreachable))?;
        Ok(PeerChannel { member, channel, liveness })
    }
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
        open: Arc<watch::Sender<bool>>,
    ) -> Result<Severable<TlsStream<TcpStream>>, ConnectFailure> {
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
        let mut tls = self.handshake(member, &judge, socket).await?;
        self.await_verdict(&mut tls).await?;

        let lease = self.registry.enter(member, usize::MAX).ok_or(ConnectFailure::Cut)?;
        // Asked again now that a cut would find this connection: a peer removed meanwhile stays out.
        let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
        judge.peer(chain, self.base.now()).map_err(untrusted)?;
        Ok(Severable::new(tls, lease, open))
    }

    async fn handshake(
        &self,
        member: MemberId,
        judge: &Arc<PeerJudge>,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ConnectFailure> {
        let verifier = HandshakeVerifier::new(Arc::clone(judge), self.base.algorithms());
        let config = self
            .base
            .client(&self.identity.current(), Arc::clone(&verifier) as _)
            .map_err(|_| ConnectFailure::OwnConfiguration)?;
        // Required by the library; neither sent nor checked.
        let name = ServerName::try_from(format!("{}.eads", member.to_lowercase()))
            .map_err(|_| ConnectFailure::OwnConfiguration)?;
        let connected = timeout(self.timeouts.handshake, TlsConnector::from(Arc::new(config)).connect(name, socket))
            .await
            .map_err(|_| ConnectFailure::TimedOut)?;
        let tls = connected.map_err(|error| match verifier.rejection() {
            Some(rejection) => untrusted(rejection),
            None => classify(&error).unwrap_or(ConnectFailure::Unreachable),
        })?;
        if tls.get_ref().1.alpn_protocol() == Some(ALPN_H2) { Ok(tls) } else { Err(ConnectFailure::Incompatible) }
    }

    /// Waits for the peer's first bytes: its HTTP/2 settings, or the alert by which it refuses this node. Without
    /// this a refusal would surface only at the first call.
    async fn await_verdict(&self, tls: &mut TlsStream<TcpStream>) -> Result<(), ConnectFailure> {
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

/// An open connection to one member.
#[derive(Clone, Debug)]
pub struct PeerChannel {
    member: MemberId,
    channel: Channel,
    liveness: Liveness,
}

impl PeerChannel {
    /// Who is at the other end.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The channel for gRPC clients. The connection closes when the last clone is dropped.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Tells when the connection breaks.
    pub fn liveness(&self) -> Liveness {
        self.liveness.clone()
    }
}

/// Whether a connection lives: closed by either side, broken, found dead by keepalive, or cut all count as its end.
#[derive(Clone, Debug)]
pub struct Liveness(watch::Receiver<bool>);

impl Liveness {
    /// Whether the connection is open now.
    pub fn is_open(&self) -> bool {
        *self.0.borrow() && self.0.has_changed().is_ok()
    }

    /// Waits until the connection has ended.
    pub async fn closed(&mut self) {
        // An error means that the channel itself is gone, and the connection with it.
        let _ = self.0.wait_for(|open| !open).await;
    }
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
