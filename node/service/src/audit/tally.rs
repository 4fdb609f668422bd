//! What peers do often, or are refused, as one entry in a while instead of one each time: a peer cannot fill the log,
//! and the log still says how much of what each peer did.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use eads_domain::id::{MemberId, RequestId};

use super::{Actor, Entry, EntryKind};
use crate::error::ServiceError;
use crate::node::Node;

/// Peer, operation, result.
type Key = (MemberId, &'static str, &'static str);
/// What was counted, and how often.
type Counts = BTreeMap<&'static str, u64>;

/// What was not written down yet. As many rows as peers, operations and codes, so it stays small.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Key, Counts>>);

impl Tally {
    /// Counts. What is zero is not counted.
    pub(crate) fn note(
        &self,
        peer: MemberId,
        operation: &'static str,
        result: &'static str,
        counts: &[(&'static str, u64)],
    ) {
        if counts.iter().all(|(_, count)| *count == 0) {
            return;
        }
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.entry((peer, operation, result)).or_default();
        for (what, count) in counts.iter().filter(|(_, count)| *count > 0) {
            let sum = row.entry(what).or_default();
            *sum = sum.saturating_add(*count);
        }
    }

    fn take(&self) -> BTreeMap<Key, Counts> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Node {
    /// Writes down what was counted since the last time.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`: what was not written down is counted on.
    pub async fn audit_tally(&self) -> Result<(), ServiceError> {
        let mut failed = Ok(());
        for ((peer, operation, result), counts) in self.tally.take() {
            let request = RequestId::random(&*self.entropy);
            let mut entry = Entry::new(EntryKind::Event, self.clock.now(), request, Actor::Peer(peer), operation);
            entry.peer = Some(peer);
            let words: Vec<String> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
            entry.subject = Some(words.join(", "));
            if let Err(error) = self.audit.event(entry, result).await {
                let counts: Vec<(&'static str, u64)> = counts.into_iter().collect();
                self.tally.note(peer, operation, result, &counts);
                failed = Err(error);
            }
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_one_row_that_counts() {
        let (tally, peer) = (Tally::default(), MemberId::from_bytes(*b"MY").unwrap());
        for _ in 0..1000 {
            tally.note(peer, "ServeSync", "OK", &[("leaves", 2), ("deliveries", 0)]);
        }
        tally.note(peer, "ServeSync", "OK", &[("leaves", 0)]);
        tally.note(peer, "AnswerQuery", "RATE_LIMITED", &[("questions", 1)]);
        let rows = tally.take();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[&(peer, "ServeSync", "OK")], Counts::from([("leaves", 2000)]));
        assert!(tally.take().is_empty());
    }
}
