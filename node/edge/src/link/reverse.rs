//! The connections of a member that nobody can dial: one to each peer, on which the peer asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eads_domain::entropy::{Entropy, random};
use eads_domain::id::MemberId;
use eads_service::Node;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::tls::{ConnectFailure, Limits, PeerConnector, ReverseConnection};

/// A connection that lasted so long was a good one: the next pause is a short one again.
const LASTED: Duration = Duration::from_secs(10);

/// Keeps a connection to each followed peer on which the peer is served `routes`, until `stop`. Does nothing for a
/// node whose card says where it can be dialled.
pub async fn keep_reverse_lines(
    node: Arc<Node>,
    entropy: Arc<dyn Entropy>,
    connector: PeerConnector,
    routes: Routes,
    limits: Limits,
    stop: CancellationToken,
) {
    if !node.card().card.card().endpoints.is_empty() {
        return;
    }
    let keeper = Keeper { node, entropy, connector, routes, limits, stop };
    let lines = TaskTracker::new();
    let mut changed = keeper.node.peers().watch();
    let mut kept: BTreeMap<MemberId, CancellationToken> = BTreeMap::new();
    loop {
        changed.mark_unchanged();
        let peers = keeper.node.peers().all();
        kept.retain(|member, line| {
            let stays = peers.iter().any(|peer| peer.member() == *member && peer.is_followed());
            if !stays {
                line.cancel();
            }
            stays
        });
        for peer in peers.iter().filter(|peer| peer.is_followed()) {
            kept.entry(peer.member()).or_insert_with(|| {
                let line = keeper.stop.child_token();
                lines.spawn(keeper.clone().keep(peer.member(), line.clone()));
                line
            });
        }
        tokio::select! {
            () = keeper.stop.cancelled() => break,
            _ = changed.changed() => {}
        }
    }
    lines.close();
    lines.wait().await;
}

#[derive(Clone)]
struct Keeper {
    node: Arc<Node>,
    entropy: Arc<dyn Entropy>,
    connector: PeerConnector,
    routes: Routes,
    limits: Limits,
    stop: CancellationToken,
}

impl Keeper {
    /// Opens the line to one peer again and again. The pause grows while it fails.
    async fn keep(self, peer: MemberId, stop: CancellationToken) {
        let (first, longest) = self.node.limits().backoff;
        let mut pause = first;
        while !stop.is_cancelled() {
            match stop.run_until_cancelled(self.open(peer)).await {
                None => return,
                Some(Ok(line)) => {
                    let begun = Instant::now();
                    let asked = line.serve(self.routes.clone(), &self.limits, &stop).await;
                    if asked && begun.elapsed() >= LASTED.min(longest) {
                        pause = first;
                    }
                }
                Some(Err(failure)) => tracing::debug!(%peer, %failure, "no connection for the peer's calls"),
            }
            let [jitter] = random::<1>(&*self.entropy);
            let due = pause.mul_f64(0.5 + f64::from(jitter) / 510.0);
            pause = pause.saturating_mul(2).min(longest);
            let _ = stop.run_until_cancelled(sleep(due)).await;
        }
    }

    async fn open(&self, peer: MemberId) -> Result<ReverseConnection, ConnectFailure> {
        let mut last = ConnectFailure::Unreachable;
        let known = self.node.peers().get(peer);
        let endpoints = known.iter().flat_map(|peer| peer.card.card().endpoints.iter());
        for endpoint in endpoints {
            match self.connector.reverse(peer, &endpoint.to_string()).await {
                Ok(line) => return Ok(line),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }
}
