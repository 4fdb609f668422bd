//! A connection that this node opened so that it is asked: for a member that nobody can dial.
//!
//! Both sides prove themselves as on any other connection: the listener's certificate says which peer asks, and the
//! directory says as what it is let in.

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::admission::PeerIdentity;
use super::connect::Dialled;
use super::http2::{self, Ended};
use super::limits::Limits;
use super::registry::Lease;
use super::transport::Metered;

/// An open connection on which the peer asks.
pub struct ReverseConnection {
    tls: TlsStream<Metered<TcpStream>>,
    lease: Lease,
    identity: PeerIdentity,
}

impl ReverseConnection {
    pub(super) fn new(dialled: Dialled) -> Self {
        let Dialled { tls, lease, member, admission, remote } = dialled;
        let identity = PeerIdentity { member, admission, remote, connection: lease.id };
        Self { tls, lease, identity }
    }

    /// Who asks.
    pub const fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Serves `routes` on it as a listener would, until the peer leaves, it is cut, or `shutdown`. Whether the peer
    /// has asked anything at all.
    pub async fn serve(self, routes: Routes, limits: &Limits, shutdown: &CancellationToken) -> bool {
        let Self { tls, lease, identity } = self;
        let moved = tls.get_ref().0.moved();
        http2::serve(tls, routes, (identity, moved), limits, &lease.cut, shutdown).await != Ended::Silent
    }
}
