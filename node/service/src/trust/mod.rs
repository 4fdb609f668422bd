//! What makes a member's register one register for everybody: cosigning, gossip, and what follows when two of its
//! checkpoints contradict each other (PROTOCOL §3).
//!
//! What this promises:
//! * A checkpoint is cosigned only after it was shown to continue everything that was verified before.
//! * A peer is frozen by its own signatures and by nothing else: a missing proof, a time-out or a third member's
//!   word freezes nobody.
//! * What others tell is bounded: one checkpoint an origin and teller.
//! * A node that ran on an old copy takes up its own register from what its peers hold before it signs anything, and
//!   what a peer gives back counts only under this member's own signatures.

mod compare;
mod exchange;
mod proof_file;
mod recover;
mod regain;
mod returned;
mod sequencing;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use eads_domain::id::{Hash, MemberId};
use tokio::sync::watch;

pub use exchange::{Cosigned, HeldCheckpoint};
pub(crate) use proof_file::proof_file;
pub(crate) use recover::Recovered;
pub use regain::Recalled;
pub use returned::{Held, RegisterMark, Returned};
pub use sequencing::Sequencing;

/// How many of the latest roots of an origin are remembered: most checkpoints that others hold are among them.
const RECENT: usize = 256;

/// What is known of registers beside the store.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// One exchange a teller at a time.
    taking: crate::sync::Applying,
    due: watch::Sender<u64>,
    known: Mutex<BTreeMap<MemberId, Known>>,
    start: Mutex<sequencing::Start>,
    sequencing: watch::Sender<Sequencing>,
    listening: watch::Sender<u64>,
    /// What peers give back is taken from one after the other.
    recovering: tokio::sync::Mutex<()>,
}

/// What is remembered of one origin's register.
#[derive(Debug, Default)]
struct Known {
    recent: BTreeMap<u64, Hash>,
    /// The smallest size that somebody holds a checkpoint of and that was not reached here yet.
    ahead: Option<u64>,
}

impl Trust {
    /// Wakes who exchanges checkpoints.
    pub(crate) fn exchange_soon(&self) {
        self.due.send_modify(|due| *due += 1);
    }

    pub(crate) fn exchange_due(&self) -> watch::Receiver<u64> {
        self.due.subscribe()
    }

    /// Another register of `origin` is followed from now on.
    pub(crate) fn forget(&self, origin: MemberId) {
        self.known(origin, |known| *known = Known::default());
    }

    fn known<T>(&self, origin: MemberId, change: impl FnOnce(&mut Known) -> T) -> T {
        change(self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(origin).or_default())
    }
}

impl Known {
    fn reached(&mut self, size: u64, root: Hash) {
        self.recent.insert(size, root);
        if self.recent.len() > RECENT {
            self.recent.pop_first();
        }
    }

    fn held_ahead(&mut self, size: u64) {
        self.ahead = Some(self.ahead.map_or(size, |ahead| ahead.min(size)));
    }
}
