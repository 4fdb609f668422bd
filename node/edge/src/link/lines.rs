//! One open connection a peer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::id::MemberId;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::Endpoints;
use crate::tls::{ConnectFailure, PeerChannel, PeerConnector};

/// The connections that this node opened.
pub(super) struct Lines {
    connector: PeerConnector,
    endpoints: Arc<dyn Endpoints>,
    lines: Mutex<BTreeMap<MemberId, Arc<Line>>>,
}

/// Holds the lock while it dials, so that nobody dials beside it.
#[derive(Default)]
struct Line(tokio::sync::Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Closed,
    Open(PeerChannel),
    /// The last attempt failed, at that moment.
    Failed(Instant, ConnectFailure),
}

impl Lines {
    pub(super) fn new(connector: PeerConnector, endpoints: Arc<dyn Endpoints>) -> Self {
        Self { connector, endpoints, lines: Mutex::default() }
    }

    /// The channel to `peer`, dialled if there is none that lives.
    pub(super) async fn channel(&self, peer: MemberId) -> Result<Channel, ConnectFailure> {
        let asked = Instant::now();
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default().clone();
        let mut state = line.0.lock().await;
        match &*state {
            State::Open(open) if open.liveness().is_open() => return Ok(open.channel()),
            // Somebody dialled while this call waited: a second attempt would find the same.
            State::Failed(at, failure) if *at >= asked => return Err(*failure),
            _ => {}
        }
        // A caller that gives up while it dials leaves a line that the next one dials.
        *state = State::Closed;
        match self.dial(peer).await {
            Ok(open) => {
                let channel = open.channel();
                *state = State::Open(open);
                Ok(channel)
            }
            Err(failure) => {
                *state = State::Failed(Instant::now(), failure);
                Err(failure)
            }
        }
    }

    /// Forgets the connection. One that is being dialled belongs to the callers that wait for it, and ends with
    /// them.
    pub(super) fn drop_line(&self, peer: MemberId) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
    }

    /// Tries the endpoints in order. The failure that says most is reported.
    async fn dial(&self, peer: MemberId) -> Result<PeerChannel, ConnectFailure> {
        let mut worst = ConnectFailure::Unreachable;
        for endpoint in self.endpoints.endpoints(peer) {
            match self.connector.connect(peer, &endpoint).await {
                Ok(channel) => return Ok(channel),
                Err(failure) => {
                    tracing::debug!(%peer, endpoint, %failure, "an endpoint of a peer was not reached");
                    if telling(failure) > telling(worst) {
                        worst = failure;
                    }
                }
            }
        }
        Err(worst)
    }
}

/// How much a failure says: what the peer's own node answered counts above silence.
const fn telling(failure: ConnectFailure) -> u8 {
    match failure {
        ConnectFailure::Refused { .. } => 6,
        ConnectFailure::Untrusted(_) => 5,
        ConnectFailure::Incompatible => 4,
        ConnectFailure::OwnConfiguration | ConnectFailure::EndpointInvalid => 3,
        ConnectFailure::Cut => 2,
        ConnectFailure::TimedOut => 1,
        ConnectFailure::Unreachable => 0,
    }
}
