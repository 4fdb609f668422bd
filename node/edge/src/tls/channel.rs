//! An open connection to one member on which this node asks, whichever side dialled.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eads_domain::id::MemberId;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::failure::{ConnectFailure, classify};
use super::listen::Turned;
use super::transport::Moved;

/// A peer's answer headers may be so long, in bytes.
const MAX_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Unread bytes of one stream: all that can be under way before what protects people. At 64 kbit/s they take 8 s; on
/// a fast line they are several times what is under way.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// Unread bytes of the whole connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Requests that may wait for the connection.
const QUEUED_REQUESTS: usize = 256;

/// How long a dialler waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectTimeouts {
    /// Name look-up and TCP.
    pub connect: Duration,
    /// How long a TLS handshake may stand still; it takes at most four times this. And again for the peer's verdict on
    /// this node's certificate.
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
            handshake: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(30),
        }
    }
}

/// An open connection to one member.
#[derive(Clone, Debug)]
pub struct PeerChannel {
    member: MemberId,
    channel: Channel,
    liveness: Liveness,
    moved: Moved,
    /// Ends a connection that the member opened, and that no other can take the place of.
    cut: Option<CancellationToken>,
}

impl PeerChannel {
    /// Over connections that `dial` makes: at once, and again when a call finds the one before gone.
    pub(super) async fn dialled<D, S>(
        member: MemberId,
        address: &str,
        timeouts: &ConnectTimeouts,
        (open, moved): (&watch::Sender<bool>, Moved),
        dial: D,
    ) -> Result<Self, ConnectFailure>
    where
        D: tower::Service<Uri, Response = TokioIo<S>, Error = ConnectFailure> + Send + 'static,
        D::Future: Send,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // The scheme must be http: the TLS is ours, and tonic would add its own to https.
        let http = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|_| ConnectFailure::EndpointInvalid)?
            .http2_keep_alive_interval(timeouts.keepalive_interval)
            .keep_alive_timeout(timeouts.keepalive_timeout)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .buffer_size(QUEUED_REQUESTS);
        let liveness = Liveness(open.subscribe());
        let channel = http
            .connect_with_connector(dial)
            .await
            .map_err(|error| classify(&error).unwrap_or(ConnectFailure::Unreachable))?;
        Ok(Self { member, channel, liveness, moved, cut: None })
    }

    /// Over the one connection that the member opened. When it is gone, so is the channel.
    pub(super) async fn over<S>(stream: S, turned: Turned, timeouts: &ConnectTimeouts) -> Result<Self, ConnectFailure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Turned { member, open, moved, cut } = turned;
        let once = Arc::new(Mutex::new(Some(stream)));
        let take = tower::service_fn(move |_: Uri| {
            let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            async move { stream.map(TokioIo::new).ok_or(ConnectFailure::Unreachable) }
        });
        let name = format!("{}.eads", member.to_lowercase());
        let channel = Self::dialled(member, &name, timeouts, (&open, moved), take).await?;
        Ok(Self { cut: Some(cut), ..channel })
    }

    /// How much has moved on its connections.
    pub const fn moved(&self) -> &Moved {
        &self.moved
    }

    /// Ends a connection that the member opened, calls in flight included; others end when they are dropped.
    pub fn end(&self) {
        if let Some(cut) = &self.cut {
            cut.cancel();
        }
    }

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
