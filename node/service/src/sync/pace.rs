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
const MOST_LEAVES: u64 = 1024;
const FEWEST_LEAVES: u64 = 128;
/// A batch that was taken within this may be larger next time.
const QUICK: Duration = Duration::from_millis(100);
/// One that took longer than this must be smaller.
const SLOW: Duration = Duration::from_millis(500);

/// The pace of one stream: doubled by each batch that was taken quickly, halved by each that was taken slowly.
#[derive(Debug)]
pub(super) struct Pace {
    bytes: usize,
    given: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: LEAST, given: None }
    }
}

impl Pace {
    /// For what is no line.
    pub(super) const fn unbounded() -> Self {
        Self { bytes: MOST, given: None }
    }

    /// A batch was given to the line.
    pub(super) fn given(&mut self) {
        self.given = Some(Instant::now());
    }

    /// The line has taken it, and asks for the next.
    pub(super) fn taken(&mut self) {
        if let Some(given) = self.given.take() {
            self.took(given.elapsed());
        }
    }

    fn took(&mut self, time: Duration) {
        if time < QUICK {
            self.bytes = (self.bytes * 2).min(MOST);
        } else if time > SLOW {
            self.bytes = (self.bytes / 2).max(LEAST);
        }
    }

    /// Bytes of deliveries in the next batch.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves in the next batch.
    pub(super) fn leaves(&self) -> u64 {
        (self.bytes as u64 / 32).clamp(FEWEST_LEAVES, MOST_LEAVES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_on_a_fast_line_and_shrink_on_a_thin_one() {
        let mut pace = Pace::default();
        assert_eq!((pace.bytes(), pace.leaves()), (LEAST, 128));
        for _ in 0..20 {
            pace.took(Duration::from_millis(1));
        }
        assert_eq!((pace.bytes(), pace.leaves()), (MOST, MOST_LEAVES));
        pace.took(Duration::from_millis(300));
        assert_eq!(pace.bytes(), MOST, "neither quick nor slow");
        for _ in 0..20 {
            pace.took(Duration::from_secs(3));
        }
        assert_eq!(pace.bytes(), LEAST);
    }
}
