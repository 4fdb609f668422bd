//! The workers of a node: one that follows each peer, one that hands receipts to it, and those for keys and
//! validity. They end when the token is cancelled, and never die of an error.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use eads_domain::code::Coded as _;
use eads_domain::id::MemberId;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SyncBatch;
use super::owe::PostError;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{LinkError, LinkFailure};

/// How many times [`crate::limits::Limits::stall`] one batch may take in all, and how much must move in each.
const WHOLE_STALLS: u32 = 20;
const PROGRESS_BYTES: u64 = 1024;

/// Runs every worker of the node until `stop`, then waits for them.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let workers = TaskTracker::new();
    workers.spawn(purge(node.clone(), stop.clone()));
    workers.spawn(expire(node.clone(), stop.clone()));
    workers.spawn(screen(node.clone(), stop.clone()));
    workers.spawn(keep_audit(node.clone(), stop.clone()));
    workers.spawn(tell_refusals(node.clone(), stop.clone()));
    if let Err(error) = node.recall_witnessed().await {
        tracing::error!(code = %error.code(), "what other members hold cannot be read: {error}");
    }
    workers.spawn(end_start_wait(node.clone(), stop.clone()));
    let mut changed = node.peers().watch();
    let mut followed: BTreeMap<MemberId, CancellationToken> = BTreeMap::new();
    loop {
        changed.mark_unchanged();
        for peer in node.peers().all() {
            let member = peer.member();
            if peer.is_followed() && !followed.contains_key(&member) {
                let token = stop.child_token();
                workers.spawn(follow(node.clone(), member, token.clone()));
                workers.spawn(post(node.clone(), member, token.clone()));
                workers.spawn(hear(node.clone(), member, token.clone()));
                workers.spawn(exchange(node.clone(), member, token.clone()));
                workers.spawn(super::fetch::fetch(node.clone(), member, token.clone()));
                followed.insert(member, token);
            }
        }
        tokio::select! {
            () = stop.cancelled() => break,
            _ = changed.changed() => {}
        }
    }
    workers.close();
    workers.wait().await;
}

/// The longest pause while the own disk is short: what is new is refused each time, but withdrawals come first on every
/// connection and must not wait for room.
const SHORT_DISK_PAUSE: Duration = Duration::from_secs(5);

/// Pauses that grow from the first to the longest, with jitter; a success starts over.
pub(super) struct Backoff {
    node: Arc<Node>,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(node: &Arc<Node>) -> Self {
        Self { next: node.limits.backoff.0, node: node.clone() }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.node.limits.backoff.0;
    }

    /// Makes the next pause no longer than this.
    fn at_most(&mut self, pause: Duration) {
        self.next = self.next.min(pause);
    }

    /// Between half and the whole of the pause that is due.
    pub(super) async fn pause(&mut self) {
        let pause = self.due();
        tokio::time::sleep(pause).await;
    }

    /// The same, but at most the first pause once `peer` has dialled in: it is there again.
    pub(super) async fn pause_for(&mut self, peer: MemberId) {
        let first = self.node.limits.backoff.0;
        let dialled = self.node.dialled.by(peer);
        let pause = self.due();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = async {
                dialled.notified().await;
                tokio::time::sleep(first.min(pause)).await;
            } => self.reset(),
        }
    }

    fn due(&mut self) -> Duration {
        let [jitter] = eads_domain::entropy::random::<1>(&*self.node.entropy);
        let pause = self.next.mul_f64(0.5 + f64::from(jitter) / 510.0);
        self.next = self.next.saturating_mul(2).min(self.node.limits.backoff.1);
        pause
    }
}

pub(super) async fn until<F: Future<Output = ()>>(stop: &CancellationToken, work: F) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn follow(node: Arc<Node>, peer: MemberId, stop: CancellationToken) {
    until(&stop, async {
        let mut backoff = Backoff::new(&node);
        loop {
            let ended = Box::pin(node.clone().follow_once(peer, &mut backoff)).await;
            node.caught_up.set(peer, false);
            node.peers().note(peer, |status| {
                status.connected = false;
                status.last_error = Some(ended.clone());
            });
            tracing::info!(%peer, code = ended.code, "sync ended; trying again");
            if ended.code == "DISK_RESERVE" {
                backoff.at_most(SHORT_DISK_PAUSE);
            }
            backoff.pause_for(peer).await;
        }
    })
    .await;
}

impl Node {
    /// Follows a peer until the stream ends, and says why it did.
    async fn follow_once(self: Arc<Self>, peer: MemberId, backoff: &mut Backoff) -> LinkError {
        let cursor = match self.cursor(peer).await {
            Ok(cursor) => cursor,
            Err(error) => return own_fault(&error),
        };
        let mut batches = match self.link.sync(peer, cursor).await {
            Ok(batches) => batches,
            Err(error) => return error,
        };
        loop {
            let batch = match self.next_batch(peer, &mut batches).await {
                Ok(batch) => batch,
                Err(error) => return error,
            };
            let now = self.clock.now();
            let skew = batch.clock.seconds_since(now);
            let more = batch.more;
            let brought = batch.counts();
            if more || !batch.deliveries.is_empty() {
                self.caught_up.set(peer, false);
            }
            if let Err(error) = self.apply(peer, batch).await {
                tracing::warn!(%peer, code = %error.code(), fault = ?error.fault(), "a sync batch was not applied: {error}");
                self.alarms.raise(&format!("SYNC:{peer}"), now, format!("{peer}: {} {error}", error.code()));
                return own_fault(&error);
            }
            self.tally.note(peer, "ApplySync", "OK", &brought);
            self.alarms.clear(&format!("SYNC:{peer}"));
            backoff.reset();
            if !self.peers.status(peer).connected {
                self.trust.exchange_soon();
            }
            self.caught_up.set(peer, !more);
            self.peers.note(peer, |status| {
                status.connected = true;
                status.last_heard = Some(now);
                status.clock_skew = skew;
                status.last_error = None;
            });
            if skew.abs() > self.limits.clock_tolerance_seconds {
                self.alarms.raise(
                    &format!("CLOCK_SKEW:{peer}"),
                    now,
                    format!("the clock of {peer} differs by {skew} s; compare both with a time source"),
                );
            } else {
                self.alarms.clear(&format!("CLOCK_SKEW:{peer}"));
            }
        }
    }
}

impl Node {
    /// The next batch, waited for as long as the line moves: on a thin one a batch takes its time.
    async fn next_batch(
        &self,
        peer: MemberId,
        batches: &mut BoxStream<'static, Result<SyncBatch, LinkError>>,
    ) -> Result<SyncBatch, LinkError> {
        for _ in 0..WHOLE_STALLS {
            let before = self.link.moved(peer);
            match tokio::time::timeout(self.limits.stall, batches.next()).await {
                Ok(None) => return Err(LinkError::new(LinkFailure::Unreachable, "STREAM_ENDED", "the stream ended")),
                Ok(Some(batch)) => return batch,
                Err(_) if self.link.moved(peer).abs_diff(before) >= PROGRESS_BYTES => {}
                Err(_) => break,
            }
        }
        Err(LinkError::new(LinkFailure::TimedOut, "STALLED", "the peer fell silent"))
    }
}

fn own_fault(error: &ServiceError) -> LinkError {
    LinkError::new(LinkFailure::Incompatible, error.code().as_str(), error.to_string())
}

/// Hands over receipts as they come to be owed, and tries again until they are taken.
async fn post(node: Arc<Node>, peer: MemberId, stop: CancellationToken) {
    until(&stop, async {
        let mut due = node.receipts_due.subscribe();
        let mut backoff = Backoff::new(&node);
        loop {
            due.mark_unchanged();
            match node.post_receipts(peer).await {
                Ok(_) => {
                    backoff.reset();
                    if due.changed().await.is_err() {
                        return;
                    }
                }
                Err(PostError::Link(error)) => {
                    tracing::debug!(%peer, code = error.code, "receipts were not taken; trying again");
                    backoff.pause_for(peer).await;
                }
                Err(PostError::Own(error)) => {
                    tracing::error!(%peer, code = %error.code(), "receipts cannot be written: {error}");
                    backoff.pause().await;
                }
            }
        }
    })
    .await;
}

/// After a start, and when something shows that this node is behind: learns what a peer holds of the own register.
async fn hear(node: Arc<Node>, peer: MemberId, stop: CancellationToken) {
    until(&stop, async {
        let mut listening = node.trust.listening();
        let mut backoff = Backoff::new(&node);
        loop {
            listening.mark_unchanged();
            match node.hear(peer).await {
                Ok(()) => {
                    backoff.reset();
                    if listening.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::info!(%peer, "the peer has not said what it holds: {error}");
                    if error.is_refusal() {
                        node.was_asked(peer, false);
                    }
                    backoff.pause_for(peer).await;
                }
            }
        }
    })
    .await;
}

/// After that time the cursors of one peer are enough.
async fn end_start_wait(node: Arc<Node>, stop: CancellationToken) {
    until(&stop, tokio::time::sleep(node.limits.start_wait)).await;
    node.start_wait_over();
}

/// Compares checkpoints with a peer: when one has moved on, and now and then.
async fn exchange(node: Arc<Node>, peer: MemberId, stop: CancellationToken) {
    until(&stop, async {
        let mut due = node.trust.exchange_due();
        loop {
            due.mark_unchanged();
            if let Err(error) = node.exchange_with(peer).await {
                tracing::debug!(%peer, "checkpoints were not exchanged: {error}");
            }
            tokio::time::sleep(node.limits.exchange_gap).await;
            tokio::select! {
                _ = due.changed() => {}
                () = tokio::time::sleep(node.limits.exchange_interval) => {}
            }
        }
    })
    .await;
}

/// Destroys keys: at the start whatever a crash left, then as jobs come, a few at a time.
async fn purge(node: Arc<Node>, stop: CancellationToken) {
    until(&stop, async {
        let mut backoff = Backoff::new(&node);
        if let Err(error) = node.settle_ended().await {
            tracing::error!(code = %error.code(), "ended notices cannot be settled: {error}");
        }
        loop {
            match node.purge().await {
                Ok(_) => {
                    backoff.reset();
                    node.alarms.clear("PURGE");
                    node.purge_due().await;
                    tokio::time::sleep(node.limits.purge_gather).await;
                }
                Err(error) => {
                    tracing::error!(code = %error.code(), "keys cannot be destroyed: {error}");
                    node.alarms.raise("PURGE", node.clock.now(), format!("keys cannot be destroyed: {error}"));
                    backoff.pause().await;
                }
            }
        }
    })
    .await;
}

/// Ends validities that are over.
async fn expire(node: Arc<Node>, stop: CancellationToken) {
    until(&stop, async {
        loop {
            if let Err(error) = node.expire().await {
                tracing::error!(code = %error.code(), "ended validities cannot be written: {error}");
            }
            if let Err(error) = node.lapse_emergencies().await {
                tracing::error!(code = %error.code(), "an emergency could not be suspended: {error}");
            }
            tokio::time::sleep(node.limits.expiry_interval).await;
        }
    })
    .await;
}

/// Compares notices with each other as they come and go.
async fn screen(node: Arc<Node>, stop: CancellationToken) {
    until(&stop, async {
        let mut backoff = Backoff::new(&node);
        loop {
            match node.screen().await {
                Ok(_) => {
                    backoff.reset();
                    node.alarms.clear("SCREENING");
                    node.screen_due.notified().await;
                }
                Err(error) => {
                    tracing::error!(code = %error.code(), "notices cannot be compared: {error}");
                    node.alarms.raise("SCREENING", node.clock.now(), format!("notices cannot be compared: {error}"));
                    backoff.pause().await;
                }
            }
        }
    })
    .await;
}

/// Anchors the head of the audit log, and ends the retention of old questions and entries.
async fn keep_audit(node: Arc<Node>, stop: CancellationToken) {
    until(&stop, async {
        loop {
            if let Err(error) = node.forget_queries().await {
                tracing::error!(code = %error.code(), "old questions were not forgotten: {error}");
            }
            match node.prune_audit().await {
                Ok(Some(last)) => tracing::info!(last, "the retention of audit entries ended; they were removed"),
                Ok(None) => node.alarms.clear("AUDIT_RETENTION"),
                Err(error) => {
                    let text = format!("old audit entries are not removed: {error}");
                    node.alarms.raise("AUDIT_RETENTION", node.clock.now(), text);
                }
            }
            tokio::time::sleep(node.limits.anchor_interval).await;
            if let Err(error) = node.anchor_audit().await {
                tracing::error!(code = %error.code(), "the audit log was not anchored: {error}");
            }
        }
    })
    .await;
}

/// Writes down what peers do often or were refused, a few entries a peer, so that a flood cannot fill the log.
async fn tell_refusals(node: Arc<Node>, stop: CancellationToken) {
    until(&stop, async {
        loop {
            tokio::time::sleep(node.limits.refusals_interval).await;
            if let Err(error) = node.audit_tally().await {
                tracing::error!(code = %error.code(), "what peers did was not written down: {error}");
            }
        }
    })
    .await;
    // What was counted since is written down before the end.
    if let Err(error) = node.audit_tally().await {
        tracing::error!(code = %error.code(), "what peers did was not written down: {error}");
    }
}
