//! Waiting for as long as bytes move: a thin line is slow, a dead one is still.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Bytes that count as progress of a call or stream within one period of stillness: more than the pings of an idle
/// connection, less than the thinnest line carries.
pub(crate) const LEAST_BYTES: u64 = 1024;

/// How long to wait for something on a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Without progress.
    pub(crate) still: Duration,
    /// In all, with whatever progress: who trickles ends here.
    pub(crate) whole: Duration,
    /// Bytes within [`Patience::still`] that are progress.
    pub(crate) least: u64,
}

/// The outcome of `work`, or none when less than the least moved for the time of stillness, or the whole time is over.
pub(crate) async fn while_moving<T>(
    patience: Patience,
    moved: impl Fn() -> u64,
    work: impl Future<Output = T>,
) -> Option<T> {
    let end = Instant::now() + patience.whole;
    let mut work = std::pin::pin!(work);
    loop {
        let before = moved();
        let until = end.min(Instant::now() + patience.still);
        if let Ok(outcome) = timeout_at(until, work.as_mut()).await {
            return Some(outcome);
        }
        // A new connection counts from zero again: a smaller number is movement too.
        if until == end || moved().abs_diff(before) < patience.least {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::time::sleep;

    const PATIENCE: Patience =
        Patience { still: Duration::from_millis(50), whole: Duration::from_secs(60), least: LEAST_BYTES };

    #[tokio::test]
    async fn what_moves_is_waited_for_longer_than_what_is_still() {
        let moved = AtomicU64::new(0);
        let count = || moved.fetch_add(LEAST_BYTES, Ordering::Relaxed);
        let slow = while_moving(PATIENCE, count, sleep(Duration::from_millis(180)));
        assert!(slow.await.is_some());
        assert!(while_moving(PATIENCE, || 7, std::future::pending::<()>()).await.is_none());
    }

    #[tokio::test]
    async fn a_trickle_is_no_progress_and_progress_does_not_last_for_ever() {
        let moved = AtomicU64::new(0);
        let trickle = || moved.fetch_add(LEAST_BYTES - 1, Ordering::Relaxed);
        assert!(while_moving(PATIENCE, trickle, std::future::pending::<()>()).await.is_none());
        let brisk = || moved.fetch_add(LEAST_BYTES, Ordering::Relaxed);
        let bounded = Patience { whole: Duration::from_millis(120), ..PATIENCE };
        assert!(while_moving(bounded, brisk, std::future::pending::<()>()).await.is_none());
    }
}
