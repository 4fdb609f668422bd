//! Refused connections in the audit log: the first of each kind at once, then one entry a minute with their number.
//!
//! Handshakes never wait for it, and a flood of them costs one entry a minute and kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eads_domain::code::{Code, Coded as _};
use eads_domain::entropy::Entropy;
use eads_domain::id::{MemberId, RequestId};
use eads_service::Node;
use eads_service::audit::{Actor, Entry, EntryKind};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::tls::{Refusal, RefusalSink};

const OPERATION: &str = "TlsRefused";
const WINDOW: Duration = Duration::from_secs(60);
/// Refusals that may wait to be counted; more are counted without their kind.
const WAITING: usize = 1024;

/// Takes refusals from a listener.
pub(super) struct RefusalInbox {
    refusals: mpsc::Sender<(Code, Option<MemberId>)>,
    uncounted: Arc<AtomicU64>,
}

impl RefusalSink for RefusalInbox {
    fn refused(&self, refusal: &Refusal) {
        if self.refusals.try_send((refusal.code(), refusal.claimed)).is_err() {
            self.uncounted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes them down.
pub(super) struct RefusalLog {
    node: Arc<Node>,
    entropy: Arc<dyn Entropy>,
    listener: &'static str,
    refusals: mpsc::Receiver<(Code, Option<MemberId>)>,
    uncounted: Arc<AtomicU64>,
}

impl RefusalLog {
    pub(super) fn new(node: Arc<Node>, entropy: Arc<dyn Entropy>, listener: &'static str) -> (RefusalInbox, Self) {
        let (sender, refusals) = mpsc::channel(WAITING);
        let uncounted = Arc::new(AtomicU64::new(0));
        let inbox = RefusalInbox { refusals: sender, uncounted: uncounted.clone() };
        (inbox, Self { node, entropy, listener, refusals, uncounted })
    }

    /// Until the listener is gone.
    pub(super) async fn run(mut self) {
        let mut tally = Tally::default();
        let mut minutes = interval(WINDOW);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                refusal = self.refusals.recv() => match refusal {
                    Some((code, claimed)) => tally.note(code, claimed).into_iter().collect(),
                    None => break,
                },
                _ = minutes.tick() => self.end_of_window(&mut tally),
            };
            self.write(due).await;
        }
        let due = self.end_of_window(&mut tally);
        self.write(due).await;
    }

    fn end_of_window(&self, tally: &mut Tally) -> Vec<Counted> {
        let mut due = tally.end_of_window();
        let uncounted = self.uncounted.swap(0, Ordering::Relaxed);
        if uncounted > 0 {
            due.push(Counted { code: Code::new("TLS_REFUSALS_UNCOUNTED"), count: uncounted, claimed: Claimed::Nobody });
        }
        due
    }

    async fn write(&self, due: Vec<Counted>) {
        for counted in due {
            let mut entry = Entry::new(
                EntryKind::Event,
                self.node.clock().now(),
                RequestId::random(&*self.entropy),
                Actor::Node,
                OPERATION,
            );
            entry.subject = Some(format!("{} listener, connections: {}", self.listener, counted.count));
            entry.peer = counted.claimed.one();
            if let Err(error) = self.node.audit().event(entry, counted.code.as_str()).await {
                tracing::error!(code = %error.code(), "a refused connection cannot be written to the audit log: {error}");
            }
        }
    }
}

/// Whom the refused certificates named. A claim: nothing was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claimed {
    Nobody,
    One(MemberId),
    Several,
}

impl Claimed {
    const fn of(member: Option<MemberId>) -> Self {
        match member {
            Some(member) => Self::One(member),
            None => Self::Nobody,
        }
    }

    fn and(self, member: Option<MemberId>) -> Self {
        if self == Self::of(member) { self } else { Self::Several }
    }

    const fn one(self) -> Option<MemberId> {
        match self {
            Self::One(member) => Some(member),
            Self::Nobody | Self::Several => None,
        }
    }
}

/// Refusals of one kind that make one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    code: Code,
    count: u64,
    claimed: Claimed,
}

/// Refusals of the running window by kind; there are as many kinds as codes, so it stays small.
#[derive(Debug, Default)]
struct Tally(BTreeMap<Code, Option<(u64, Claimed)>>);

impl Tally {
    /// The first of its kind is due at once; the others at the end of the window.
    fn note(&mut self, code: Code, claimed: Option<MemberId>) -> Option<Counted> {
        match self.0.get_mut(&code) {
            None => {
                self.0.insert(code, None);
                Some(Counted { code, count: 1, claimed: Claimed::of(claimed) })
            }
            Some(counted) => {
                *counted = Some(match *counted {
                    None => (1, Claimed::of(claimed)),
                    Some((count, before)) => (count.saturating_add(1), before.and(claimed)),
                });
                None
            }
        }
    }

    /// What came since the last entry of its kind. A kind that stayed quiet starts over.
    fn end_of_window(&mut self) -> Vec<Counted> {
        let ended = std::mem::take(&mut self.0);
        let due = ended.into_iter().filter_map(|(code, counted)| {
            let (count, claimed) = counted?;
            self.0.insert(code, None);
            Some(Counted { code, count, claimed })
        });
        due.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: Code = Code::new("TLS_VERSION");
    const OTHER_CA: Code = Code::new("TLS_CERTIFICATE_OTHER_CA");

    fn member(code: &str) -> Option<MemberId> {
        Some(code.parse().unwrap())
    }

    #[test]
    fn the_first_of_each_kind_is_written_at_once_and_the_rest_once_a_minute() {
        let mut tally = Tally::default();
        assert!(tally.note(VERSION, None).is_some_and(|first| first.count == 1));
        assert!(tally.note(OTHER_CA, member("MY")).is_some_and(|first| first.claimed.one() == member("MY")));
        for _ in 0..1000 {
            assert_eq!(tally.note(VERSION, None), None);
        }
        let due = tally.end_of_window();
        assert_eq!(due.iter().map(|counted| (counted.code, counted.count)).collect::<Vec<_>>(), [(VERSION, 1000)]);
        // Still within a minute of the last entry.
        assert_eq!(tally.note(VERSION, None), None);
        assert_eq!(tally.end_of_window().len(), 1);
        assert_eq!(tally.end_of_window(), []);
        assert!(tally.note(VERSION, None).is_some(), "after a quiet minute the next one is a first one");
    }

    #[test]
    fn an_entry_names_a_member_only_if_all_of_its_connections_claimed_it() {
        let mut tally = Tally::default();
        tally.note(OTHER_CA, member("MY"));
        tally.note(OTHER_CA, member("MY"));
        tally.note(OTHER_CA, member("MY"));
        assert_eq!(tally.end_of_window().first().and_then(|counted| counted.claimed.one()), member("MY"));
        tally.note(OTHER_CA, member("MY"));
        tally.note(OTHER_CA, member("TH"));
        assert_eq!(tally.end_of_window().first().map(|counted| counted.claimed), Some(Claimed::Several));
        tally.note(OTHER_CA, None);
        tally.note(OTHER_CA, member("TH"));
        assert_eq!(tally.end_of_window().first().map(|counted| counted.claimed), Some(Claimed::Several));
    }
}
