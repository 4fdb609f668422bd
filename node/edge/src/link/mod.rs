//! Reaching peers: the port of the use cases over mutual TLS and gRPC.
//!
//! What this promises:
//! * One connection a peer at most, opened when it is first needed, opened anew after it broke, and gone at once
//!   when the peer is cut.
//! * Endpoints are tried in the order of the peer's card; the answer of the one that said most is what is reported.
//! * A member that cannot be dialled is reached over the connection that it opened for this; members that cannot be
//!   dialled keep one such connection to each peer ([`keep_reverse_lines`]).
//! * Every call has a deadline, dialling included, and those that carry much one that counts stillness of the line; who waits for a connection that cannot be had learns so together
//!   with the one who dialled.
//! * Whom a connection belongs to is what its certificate proved under that member's own anchors (`tls`).

mod directory;
mod lines;
mod reverse;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use eads_domain::id::{MemberId, RegisterId, RequestId};
use eads_domain::query::{Answer, Query};
use eads_domain::receipt::SignedReceipts;
use eads_service::audit::{MatchAsked, MatchPage};
use eads_service::blobs::BlobAsked;
use eads_service::peers::{LinkError, LinkFailure, PeerLink};
use eads_service::sync::{SyncBatch, SyncCursor};
use eads_service::trust::{Held, HeldCheckpoint, Returned};
use futures::stream::BoxStream;
use tokio::time::{Instant, timeout, timeout_at};

pub use directory::{Endpoints, NodePeers};
pub use reverse::keep_reverse_lines;

use crate::grpc::PeerClient;
use crate::progress::{LEAST_BYTES, Patience, while_moving};
use crate::tls::{ConnectionRegistry, PeerChannel, PeerConnector, ReverseLines};
use lines::Lines;

/// How long calls may stand still. A query brings its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkTimeouts {
    /// Until there is a connection, over all endpoints of the peer.
    pub dial: Duration,
    /// While a sync stream, or one of a photograph, is opened; what then comes in it is the reader's to wait for.
    pub open_sync: Duration,
    /// While receipts are handed over.
    pub post_receipts: Duration,
    /// How many times its stillness a call may take in all.
    pub whole: u32,
    /// While checkpoints are exchanged, or a peer says what it holds of the own register.
    pub exchange: Duration,
}

impl Default for LinkTimeouts {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(60),
            open_sync: Duration::from_secs(15),
            post_receipts: Duration::from_secs(30),
            whole: 20,
            exchange: Duration::from_secs(15),
        }
    }
}

/// The peers of this node over the network.
pub struct GrpcLink {
    lines: Lines,
    endpoints: Arc<dyn Endpoints>,
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
        Self { lines: Lines::new(connector, endpoints.clone()), endpoints, registry, timeouts }
    }

    /// A client of the peer over its one connection.
    async fn client(&self, peer: MemberId) -> Result<PeerClient, LinkError> {
        let channel = timeout(self.timeouts.dial, self.lines.channel(peer)).await.map_err(|_| timed_out())?;
        channel.map(PeerClient::new).map_err(crate::error::connect_error)
    }

    /// Waits for `call` while the line to `peer` moves.
    async fn moving<T>(
        &self,
        peer: MemberId,
        still: Duration,
        call: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        let patience = Patience { still, whole: still.saturating_mul(self.timeouts.whole), least: LEAST_BYTES };
        while_moving(patience, || self.lines.moved(peer), call).await.unwrap_or_else(|| Err(timed_out()))
    }
}

impl ReverseLines for GrpcLink {
    fn adopt(&self, channel: PeerChannel) {
        let member = channel.member();
        self.lines.adopt(channel);
        tracing::info!(peer = %member, "calls go over the connection that the peer opened");
        self.endpoints.arrived(member);
    }
}

fn timed_out() -> LinkError {
    LinkError::new(LinkFailure::TimedOut, "PEER_TIMED_OUT", "the peer did not answer in time")
}

/// Fails rather than waits longer than until `deadline`.
async fn by<T>(deadline: Instant, work: impl Future<Output = Result<T, LinkError>>) -> Result<T, LinkError> {
    timeout_at(deadline, work).await.unwrap_or_else(|_| Err(timed_out()))
}

#[async_trait]
impl PeerLink for GrpcLink {
    async fn sync(
        &self,
        peer: MemberId,
        cursor: SyncCursor,
    ) -> Result<BoxStream<'static, Result<SyncBatch, LinkError>>, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.open_sync, client.sync(cursor)).await
    }

    async fn post_receipts(&self, peer: MemberId, receipts: &SignedReceipts) -> Result<u32, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.post_receipts, client.post_receipts(receipts)).await
    }

    fn moved(&self, peer: MemberId) -> u64 {
        self.lines.moved(peer)
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

    async fn get_held(&self, peer: MemberId, register: RegisterId, receipts_again: bool) -> Result<Held, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.exchange, client.get_held(register, receipts_again)).await
    }

    async fn return_register(
        &self,
        peer: MemberId,
        register: RegisterId,
        first: u64,
    ) -> Result<BoxStream<'static, Result<Returned, LinkError>>, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.open_sync, client.return_register(register, first)).await
    }

    async fn exchange_checkpoints(
        &self,
        peer: MemberId,
        held: Vec<HeldCheckpoint>,
    ) -> Result<Vec<HeldCheckpoint>, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.exchange, client.exchange_checkpoints(held)).await
    }

    async fn match_audit(&self, peer: MemberId, asked: MatchAsked) -> Result<MatchPage, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.exchange, client.match_audit(asked)).await
    }

    async fn fetch_blob(
        &self,
        peer: MemberId,
        asked: BlobAsked,
    ) -> Result<BoxStream<'static, Result<Vec<u8>, LinkError>>, LinkError> {
        let mut client = self.client(peer).await?;
        self.moving(peer, self.timeouts.open_sync, client.fetch_blob(asked)).await
    }

    fn cut(&self, peer: MemberId) {
        self.lines.drop_line(peer);
        let ended = self.registry.cut(peer);
        tracing::info!(%peer, connections = ended, "connections cut");
    }
}
