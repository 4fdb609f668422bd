//! Whether this node may sign: not before it knows that no peer holds more of its register than it does.
//!
//! After a start it waits for the cursors of all peers that can be reached within a minute, and of one at least; it
//! serves meanwhile. None is awaited if none was ever accepted, and an administrator may override, on record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use eads_domain::id::MemberId;
use eads_store::port::Batch;
use tokio::sync::watch;

use super::Trust;
use crate::area::{self, meta};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// Whether statements are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sequencing {
    /// Yes.
    #[default]
    Open,
    /// Not before enough peers have said what they hold.
    Waiting,
    /// Not before what a peer holds more has been fetched.
    Recovering,
    /// Not before an administrator decides: another copy of this node has signed.
    Cloned,
}

impl Sequencing {
    /// The word in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Recovering => "recovering",
            Self::Cloned => "cloned",
        }
    }
}

/// What the decision rests on.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// Peers at the start.
    awaited: BTreeSet<MemberId>,
    /// Those that were asked; true for those that told their cursors.
    asked: BTreeMap<MemberId, bool>,
    /// The time for all of them is over.
    waited: bool,
    /// An administrator has decided.
    overridden: bool,
    /// The largest size that this member has signed, as far as peers have shown.
    signed: u64,
    cloned: bool,
    /// Restored from a backup: nothing is answered before a peer was heard.
    restored: bool,
}

impl Start {
    fn decide(&self, size: u64) -> Sequencing {
        let heard = self.awaited.is_empty() || self.asked.values().any(|told| *told);
        let all = self.awaited.iter().all(|peer| self.asked.contains_key(peer));
        if self.overridden {
            Sequencing::Open
        } else if self.cloned {
            Sequencing::Cloned
        } else if size < self.signed {
            Sequencing::Recovering
        } else if heard && (all || self.waited) {
            Sequencing::Open
        } else {
            Sequencing::Waiting
        }
    }
}

impl Trust {
    fn start<T>(&self, size: u64, change: impl FnOnce(&mut Start) -> T) -> T {
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut start);
        let decided = start.decide(size);
        self.sequencing.send_if_modified(|now| std::mem::replace(now, decided) != decided);
        changed
    }

    /// Whether statements are signed now.
    pub(crate) fn sequencing(&self) -> Sequencing {
        *self.sequencing.borrow()
    }

    /// Asks every peer anew what it holds.
    pub(crate) fn listen_again(&self) {
        self.listening.send_modify(|asked| *asked += 1);
    }

    pub(crate) fn listening(&self) -> watch::Receiver<u64> {
        self.listening.subscribe()
    }
}

impl Node {
    /// At the start: whom to wait for, and whether this is a restored copy.
    pub(crate) async fn begin_start(&self) -> Result<(), ServiceError> {
        let restored = self.store.get(area::META, meta::RESTORED).await?.is_some();
        let awaited: BTreeSet<MemberId> =
            self.peers.all().iter().filter(|peer| peer.is_followed()).map(|peer| peer.member()).collect();
        let alone = awaited.is_empty();
        self.trust.start(self.register.size(), |start| {
            start.awaited = awaited;
            start.restored = restored;
        });
        if alone { self.no_longer_restored().await } else { Ok(()) }
    }

    /// The time for all peers is over: those of one are enough.
    pub(crate) fn start_wait_over(&self) {
        self.trust.start(self.register.size(), |start| start.waited = true);
    }

    /// A peer was asked what it holds; `told` if it said so, false if it refused.
    pub(crate) fn was_asked(&self, peer: MemberId, told: bool) {
        self.trust.start(self.register.size(), |start| {
            let before = start.asked.entry(peer).or_default();
            *before |= told;
        });
    }

    /// Whether what a peer says of its deliveries is taken: before the first statement after a start.
    pub(crate) fn is_awaited(&self, peer: MemberId) -> bool {
        self.trust.start(self.register.size(), |start| {
            start.awaited.contains(&peer) && !start.asked.get(&peer).copied().unwrap_or_default()
        })
    }

    /// A peer has shown that this member has signed `size` entries.
    pub(crate) fn has_signed(&self, size: u64) {
        self.trust.start(self.register.size(), |start| start.signed = start.signed.max(size));
    }

    /// Somebody holds a checkpoint that this member signed and this node did not: there is another copy of it.
    pub(crate) fn cloned(&self, peer: MemberId, size: u64) {
        self.alarms.raise(
            "REGISTER_CLONED",
            self.clock.now(),
            format!(
                "{peer} holds a checkpoint over {size} entries that this member signed and that contradicts this \
                 node's register: another copy of this node has signed; nothing is signed here before an \
                 administrator decides"
            ),
        );
        self.trust.start(self.register.size(), |start| start.cloned = true);
    }

    /// Waits a little until statements may be signed.
    ///
    /// # Errors
    /// `SEQUENCING_WAITS`, `REGISTER_CLONED`.
    pub(crate) async fn may_sequence(&self) -> Result<(), ServiceError> {
        let mut state = self.trust.sequencing.subscribe();
        let decided = state.wait_for(|state| matches!(state, Sequencing::Open | Sequencing::Cloned));
        // Whatever it is when the patience is over is looked at anew.
        let _ = tokio::time::timeout(self.limits.sequencing_patience, decided).await;
        self.sequences_now()
    }

    /// Whether statements may be signed at this moment.
    ///
    /// # Errors
    /// `SEQUENCING_WAITS`, `REGISTER_CLONED`.
    pub(crate) fn sequences_now(&self) -> Result<(), ServiceError> {
        match self.trust.sequencing() {
            Sequencing::Open => Ok(()),
            Sequencing::Cloned => Err(ServiceError::conflict(
                "REGISTER_CLONED",
                "another copy of this node has signed; this one signs nothing",
            )
            .with_hint("stop the other copy; then an administrator runs `eads register continue --reason TEXT`")),
            Sequencing::Waiting | Sequencing::Recovering => Err(ServiceError::unavailable(
                "SEQUENCING_WAITS",
                "nothing is signed before a peer has said what it holds of this member's register",
            )
            .with_hint("try again when a peer is connected, or `eads register continue --reason TEXT`")),
        }
    }

    /// Refuses while this is a restored copy that no peer has been heard by: it could show what was withdrawn.
    ///
    /// # Errors
    /// `RECOVERY_PENDING`.
    pub(crate) fn answers_now(&self) -> Result<(), ServiceError> {
        let restored = self.trust.start.lock().unwrap_or_else(PoisonError::into_inner).restored;
        if restored {
            return Err(ServiceError::unavailable(
                "RECOVERY_PENDING",
                "this node was restored and has not heard from a peer what was withdrawn since",
            )
            .with_hint("wait for a peer, or `eads register continue --reason TEXT`"));
        }
        Ok(())
    }

    pub(crate) async fn no_longer_restored(&self) -> Result<(), ServiceError> {
        if self.store.get(area::META, meta::RESTORED).await?.is_some() {
            let mut batch = Batch::new();
            batch.protective();
            batch.delete(area::META, meta::RESTORED);
            self.store.commit(batch).await?;
        }
        self.trust.start(self.register.size(), |start| start.restored = false);
        Ok(())
    }

    /// An administrator lets this node sign, and answer, without waiting for any peer.
    ///
    /// # Errors
    /// `SEQUENCING_OPEN` when nothing waits.
    pub async fn skip_start_wait(&self, call: &Call, reason: &str) -> Result<(), ServiceError> {
        let work = async {
            if self.trust.sequencing() == Sequencing::Open && self.answers_now().is_ok() {
                return Err(ServiceError::conflict("SEQUENCING_OPEN", "this node waits for nobody"));
            }
            self.no_longer_restored().await?;
            self.trust.start(self.register.size(), |start| start.overridden = true);
            Ok(())
        };
        self.audited(call, "SkipStartWait", Some(reason.chars().take(200).collect()), work).await
    }
}
