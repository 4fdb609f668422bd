//! How large the batches of one stream are: about as much as its line takes in half a second.
//!
//! What protects people goes between batches, never inside one. On a thin line a batch is small, so that it does not
//! wait; on a fast one it is as large as a follower's transaction.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes of the smallest and largest batch, roughly.
const LEAST: usize = 4 * 1024;
const MOST: usize = 1024 * 1024;
/// The most leaves of one batch, eight rows of 128 at the follower; and the fewest, since each batch of them carries a
/// proof.
const LEAF_BYTES: usize = 32;
const MOST_LEAVES: u64 = 1024;
const FEWEST_LEAVES: u64 = 64;
/// What a line may swallow at once, in windows and buffers, however thin it is: as much says nothing of its speed.
const SWALLOWED: usize = 128 * 1024;
/// A batch that was taken within this may be larger next time.
const QUICK: Duration = Duration::from_millis(100);
/// One that took longer than this must be smaller.
const SLOW: Duration = Duration::from_millis(500);

/// The pace of one stream: doubled by each batch that was taken quickly, once more was given without a rest than any line
/// swallows; halved by each that was taken slowly.
#[derive(Debug)]
pub(super) struct Pace {
    bytes: usize,
    given: Option<Instant>,
    since_rest: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: LEAST, given: None, since_rest: 0 }
    }
}

impl Pace {
    /// For what is no line.
    pub(super) const fn unbounded() -> Self {
        Self { bytes: MOST, given: None, since_rest: 0 }
    }

    /// A batch of so many bytes was given to the line.
    pub(super) fn given(&mut self, bytes: usize) {
        self.given = Some(Instant::now());
        self.since_rest = self.since_rest.saturating_add(bytes);
    }

    /// There is nothing to give: by the next batch the line is empty, and will swallow again.
    pub(super) fn rests(&mut self) {
        *self = Self::default();
    }

    /// The line has taken it, and asks for the next.
    pub(super) fn taken(&mut self) {
        if let Some(given) = self.given.take() {
            self.took(given.elapsed());
        }
    }

    fn took(&mut self, time: Duration) {
        if time < QUICK && self.since_rest > SWALLOWED {
            self.bytes = (self.bytes * 2).min(MOST);
        } else if time > SLOW {
            self.bytes = (self.bytes / 2).max(LEAST);
        }
    }

    /// Bytes of deliveries in the next batch, beside so many leaves.
    pub(super) fn bytes(&self, leaves: u64) -> usize {
        self.bytes.saturating_sub(usize::try_from(leaves).unwrap_or(usize::MAX).saturating_mul(LEAF_BYTES))
    }

    /// Leaves in the next batch: of a small one half.
    pub(super) fn leaves(&self) -> u64 {
        ((self.bytes / LEAF_BYTES / 2) as u64).clamp(FEWEST_LEAVES, MOST_LEAVES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_on_a_fast_line_and_shrink_on_a_thin_one() {
        let mut pace = Pace::default();
        assert_eq!((pace.bytes(0), pace.leaves()), (LEAST, FEWEST_LEAVES));
        assert_eq!(pace.bytes(FEWEST_LEAVES), LEAST / 2, "leaves count too");
        pace.given(SWALLOWED);
        pace.took(Duration::from_millis(1));
        assert_eq!(pace.bytes(0), LEAST, "any line swallows that much");
        pace.given(LEAST);
        for _ in 0..20 {
            pace.took(Duration::from_millis(1));
        }
        assert_eq!((pace.bytes(0), pace.leaves()), (MOST, MOST_LEAVES));
        pace.took(Duration::from_millis(300));
        assert_eq!(pace.bytes(0), MOST, "neither quick nor slow");
        for _ in 0..20 {
            pace.took(Duration::from_secs(3));
        }
        assert_eq!(pace.bytes(0), LEAST);
        pace.took(Duration::from_millis(1));
        pace.rests();
        assert_eq!(pace.bytes(0), LEAST, "a line that rested swallows again");
    }
}
