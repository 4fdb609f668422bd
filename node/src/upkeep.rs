//! What a running node does for its store by itself: it looks whether the store is well, and compacts it when that pays.

use std::time::Duration;

use eads_domain::code::Coded as _;
use eads_service::audit::Actor;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::{Progress, Refusal, Request, Target, perform};

/// When to look, and when it pays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upkeep {
    /// Between two looks at the store's health.
    look: Duration,
    /// Between start and the first thought of compacting: peers and officers come first.
    settle: Duration,
    /// Between two compactions, and between two that failed.
    rest: Duration,
    /// Bytes that one must be able to give back.
    worth: u64,
}

impl Upkeep {
    /// Every 5 s; compaction after 15 minutes at the earliest and once an hour at the most, if it gives back more than
    /// `worth` bytes and more than what stays.
    pub(crate) const fn new(worth: u64) -> Self {
        let (look, settle, rest) = (Duration::from_secs(5), Duration::from_secs(900), Duration::from_secs(3600));
        Self { look, settle, rest, worth }
    }

    /// Until `stop`.
    pub(crate) async fn run(self, target: Target, stop: CancellationToken) {
        let mut alarm = None;
        let mut next = Instant::now() + self.settle;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.look) => {}
            }
            look(&target, &mut alarm).await;
            if Instant::now() >= next {
                next = Instant::now() + self.rest.min(self.settle);
                if self.pays(&target).await {
                    compact(&target, &stop).await;
                    next = Instant::now() + self.rest;
                }
            }
        }
    }

    async fn pays(&self, target: &Target) -> bool {
        let store = target.store.clone();
        match tokio::task::spawn_blocking(move || store.sizes()).await {
            Ok(Ok(sizes)) => sizes.dead() > self.worth && sizes.dead() > sizes.live,
            _ => false,
        }
    }
}

/// Raises an alarm while the store is not well. `raised` is the one that stands.
async fn look(target: &Target, raised: &mut Option<&'static str>) {
    let store = target.store.clone();
    let Ok(health) = tokio::task::spawn_blocking(move || store.health()).await else { return };
    let Some(node) = &target.node else { return };
    let now = health.as_ref().err().map(|error| error.code().as_str());
    if now == *raised {
        return;
    }
    if let Some(code) = raised.take() {
        node.alarms().clear(code);
        tracing::info!(code, "the store is well again");
    }
    if let Err(error) = health {
        node.alarms().raise(error.code().as_str(), target.clock.now(), error.to_string());
    }
    *raised = now;
}

async fn compact(target: &Target, stop: &CancellationToken) {
    let (progress, _nobody) = Progress::new(stop.clone());
    match perform(Request::Compact {}, Actor::Node, target, &progress).await {
        Ok(outcome) => outcome.lines.iter().for_each(|line| tracing::info!("compacted: {line}")),
        Err(Refusal { code, text, .. }) => tracing::warn!(code, "the store was not compacted: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use eads_store::port::{Area, Batch, Store as _};

    use super::*;
    use crate::control::tests::target;

    const AREA: Area = Area::new(250, 1, "test");

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_is_compacted_by_itself_when_it_pays_and_not_again_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let target = target(dir.path());
        for round in 0_u32..500 {
            let mut batch = Batch::new();
            (0_u8..8).for_each(|row| {
                batch.put(AREA, [row], [&round.to_be_bytes()[..], &[row; 4000]].concat());
            });
            target.store.commit(batch).await.unwrap();
        }
        let before = target.store.sizes().unwrap();
        assert!(before.dead() > before.live, "{before:?}");
        let (look, settle, rest) = (Duration::from_millis(5), Duration::ZERO, Duration::from_secs(3600));
        let stop = CancellationToken::new();
        let too_little = Upkeep { look, settle, rest, worth: before.dead() };
        assert!(!too_little.pays(&target).await);
        let upkeep = Upkeep { worth: before.dead() / 2, ..too_little };
        let running = tokio::spawn(upkeep.run(target.clone(), stop.clone()));
        let compacted =
            || target.audit.list(&eads_service::audit::Find { limit: 10, ..Default::default() }, false).unwrap();
        let mut looks = 0;
        while compacted().iter().filter(|listed| listed.entry.result.as_deref() == Some("OK")).count() == 0 {
            looks += 1;
            assert!(looks < 10_000, "{:?}", compacted());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(compacted()[0].entry.operation, "StoreCompact");
        assert_eq!(compacted()[0].entry.actor, Actor::Node);
        let after = target.store.sizes().unwrap();
        assert!(after.total() < before.total(), "{before:?} {after:?}");
        stop.cancel();
        running.await.unwrap();
        assert_eq!(compacted().len(), 2);
    }
}
