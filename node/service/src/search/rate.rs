//! How many questions each peer may ask: a token bucket a peer that refills evenly over the hour.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;

const SECONDS_AN_HOUR: u64 = 3600;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Questions left, in 1/3600.
    left: u64,
    at: Timestamp,
}

/// The buckets.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<BTreeMap<MemberId, Bucket>>,
}

impl Rates {
    /// Takes one question of `peer` from its bucket of `per_hour`; false if none is left.
    pub(crate) fn take(&self, peer: MemberId, per_hour: u32, now: Timestamp) -> bool {
        let full = u64::from(per_hour) * SECONDS_AN_HOUR;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(peer).or_insert(Bucket { left: full, at: now });
        // A clock that jumps back gives nothing and takes nothing.
        let passed = u64::try_from(now.seconds_since(bucket.at)).unwrap_or_default();
        bucket.left = bucket.left.saturating_add(passed.saturating_mul(u64::from(per_hour))).min(full);
        bucket.at = now;
        match bucket.left.checked_sub(SECONDS_AN_HOUR) {
            Some(left) => {
                bucket.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_gets_its_hourly_share_and_then_an_even_trickle() {
        let (rates, peer) = (Rates::default(), MemberId::from_bytes(*b"MY").unwrap());
        let start = Timestamp::from_unix(1_000_000);
        assert!((0..60).all(|_| rates.take(peer, 60, start)));
        assert!(!rates.take(peer, 60, start));
        assert!(!rates.take(peer, 60, start.plus_seconds(59)));
        assert!(rates.take(peer, 60, start.plus_seconds(60)));
        assert!(!rates.take(peer, 60, start.plus_seconds(60)));
    }

    #[test]
    fn a_clock_that_jumps_back_gives_nothing() {
        let (rates, peer) = (Rates::default(), MemberId::from_bytes(*b"MY").unwrap());
        let start = Timestamp::from_unix(1_000_000);
        assert!(rates.take(peer, 1, start));
        assert!(!rates.take(peer, 1, start.plus_seconds(-7200)));
    }

    #[test]
    fn without_a_share_nothing_is_answered() {
        assert!(!Rates::default().take(MemberId::from_bytes(*b"MY").unwrap(), 0, Timestamp::from_unix(0)));
    }
}
