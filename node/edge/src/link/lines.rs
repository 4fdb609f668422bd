//! One open connection a peer, dialled or opened by the peer itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::id::MemberId;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::Endpoints;
use crate::tls::{ConnectFailure, Moved, PeerChannel, PeerConnector};

/// The connections that this node opened.
pub(super) struct Lines {
    connector: PeerConnector,
    endpoints: Arc<dyn Endpoints>,
    lines: Mutex<BTreeMap<MemberId, Arc<Line>>>,
}

#[derive(Default)]
struct Line {
    /// Locked while somebody dials, so that nobody dials beside it.
    state: tokio::sync::Mutex<State>,
    /// What the member opened itself; while it lives nobody dials.
    opened_by_member: Mutex<Option<PeerChannel>>,
    /// What has moved on the connection in use.
    moved: Mutex<Moved>,
}

impl Line {
    fn open_by_member(&self) -> Option<PeerChannel> {
        let opened = self.opened_by_member.lock().unwrap_or_else(PoisonError::into_inner);
        opened.clone().filter(|opened| opened.liveness().is_open())
    }

    fn counts(&self, channel: &PeerChannel) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = channel.moved().clone();
    }
}

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
        let line = self.line(peer);
        if let Some(opened) = line.open_by_member() {
            return Ok(opened.channel());
        }
        let mut state = line.state.lock().await;
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
                line.counts(&open);
                *state = State::Open(open);
                Ok(channel)
            }
            Err(failure) => {
                *state = State::Failed(Instant::now(), failure);
                Err(failure)
            }
        }
    }

    /// From now on the calls to its member go over `channel`, and no longer over one that the member opened before.
    pub(super) fn adopt(&self, channel: PeerChannel) {
        let line = self.line(channel.member());
        line.counts(&channel);
        let before = line.opened_by_member.lock().unwrap_or_else(PoisonError::into_inner).replace(channel);
        if let Some(before) = before {
            before.end();
        }
    }

    /// What has moved on the connection to `peer` that is in use.
    pub(super) fn moved(&self, peer: MemberId) -> u64 {
        let line = self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned();
        line.map_or(0, |line| line.moved.lock().unwrap_or_else(PoisonError::into_inner).total())
    }

    fn line(&self, peer: MemberId) -> Arc<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default().clone()
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
