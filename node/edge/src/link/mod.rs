//! Reaching peers: the port of the use cases over mutual TLS and gRPC.
//!
//! What this promises:
//! * One connection a peer at most, opened when it is first needed, opened anew after it broke, and gone at once
//!   when the peer is cut.
//! * Endpoints are tried in the order of the peer's card; the answer of the one that said most is what is reported.
//! * Every call has a deadline, dialling included; who waits for a connection that cannot be had learns so together
//!   with the one who dialled.
//! * Whom a connection belongs to is what its certificate proved under that member's own anchors (`tls`).

mod directory;
mod lines;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eads_domain::id::{MemberId, RequestId};
use eads_domain::query::{Answer, Query};
use eads_domain::receipt::SignedReceipts;
use eads_service::peers::{LinkError, LinkFailure, PeerLink};
use eads_service::sync::{SyncBatch, SyncCursor};
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout_at};

pub use directory::{Endpoints, NodePeers};

use crate::grpc::PeerClient;
use crate::tls::{ConnectionRegistry, PeerConnector};
use lines::Lines;

/// How long calls may take, dialling included. A query brings its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTimeouts {
    /// Until a sync stream is open; what then comes in it is the reader's to wait for.
    pub open_sync: Duration,
    /// Until receipts are taken.
    pub post_receipts: Duration,
}

impl Default for LinkTimeouts {
    fn default() -> Self {
        Self { open_sync: Duration::from_secs(15), post_receipts: Duration::from_secs(30) }
    }
}

/// The peers of this node over the network.
pub struct GrpcLink {
    lines: Lines,
    registry: ConnectionRegistry,
    timeouts: LinkTimeouts,
}

impl GrpcLink {
    /// Dials by `connector` to where `endpoints` says; `registry` must be the connector's, and the peer listener's
    /// too, so that a cut reaches both directions.
    pub fn new(
        connector: PeerConnector,
        endpoints: Arc<dyn Endpoints>,
        registry: ConnectionRegistry,
        timeouts: LinkTimeouts,
    ) -> Self {
        Self { lines: Lines::new(connector, endpoints), registry, timeouts }
    }

    /// A client of the peer over its one connection.
    async fn client(&self, peer: MemberId) -> Result<PeerClient, LinkError> {
        self.lines.channel(peer).await.map(PeerClient::new).map_err(crate::error::connect_error)
    }
}

/// Fails rather than waits longer than until `deadline`.
async fn by<T>(deadline: Instant, work: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| {
        Err(LinkError::new(LinkFailure::TimedOut, "PEER_TIMED_OUT", "the peer did not answer in time"))
    })
}

#[async_trait]
impl PeerLink for GrpcLink {
    async fn sync(
        &self,
        peer: MemberId,
        cursor: SyncCursor,
    ) -> Result<BoxStream<'static, Result<SyncBatch, LinkError>>, LinkError> {
        by(Instant::now() + self.timeouts.open_sync, async { self.client(peer).await?.sync(cursor).await }).await
    }

    async fn post_receipts(&self, peer: MemberId, receipts: &SignedReceipts) -> Result<u32, LinkError> {
        let deadline = Instant::now() + self.timeouts.post_receipts;
        by(deadline, async {
            let mut client = self.client(peer).await?;
            client.post_receipts(receipts, deadline.saturating_duration_since(Instant::now())).await
        })
        .await
    }

    async fn query(
        &self,
        peer: MemberId,
        request: RequestId,
        query: &Query,
        deadline: Duration,
    ) -> Result<Answer, LinkError> {
        let deadline = Instant::now() + deadline;
        by(deadline, async {
            let mut client = self.client(peer).await?;
            client.query(request, query, deadline.saturating_duration_since(Instant::now())).await
        })
        .await
    }

    fn cut(&self, peer: MemberId) {
        self.lines.drop_line(peer);
        let ended = self.registry.cut(peer);
        tracing::info!(%peer, connections = ended, "connections cut");
    }
}
