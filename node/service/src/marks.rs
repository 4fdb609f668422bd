//! What officers must be told of a notice beside what it says, in memory: that it waits for the desk, that it met
//! another one, that it is contested. A view of the store, so that no look-up costs a search one read more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use eads_domain::challenge::{ChallengeState, Challenger};
use eads_domain::clock::Timestamp;
use eads_domain::id::{ChallengeId, MemberId, NoticeId};
use eads_domain::query::Caution;

use crate::error::ServiceError;
use crate::node::Node;

/// A challenge that is not closed, as every officer is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// Which.
    pub id: ChallengeId,
    /// Who challenges.
    pub by: Challenger,
    /// A reason code.
    pub reason: String,
    /// When it was recorded here.
    pub recorded: Timestamp,
    /// By when the owner owes an answer.
    pub answer_by: Timestamp,
    /// The owner has answered.
    pub answered: bool,
}

impl Contest {
    /// Where it is at `now`.
    pub fn state(&self, now: Timestamp) -> ChallengeState {
        ChallengeState::at(now, self.answer_by, self.answered, None)
    }
}

/// A notice or a record, as one side of a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    /// Owner and notice.
    Notice(MemberId, NoticeId),
    /// An own record, by the key of its row.
    Record([u8; 16]),
}

impl Party {
    /// Bytes of a party in a key.
    const BYTES: usize = 19;

    /// `"n" ‖ owner ‖ notice`, or `"r" ‖ two zeros ‖ key`.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Notice(owner, notice) => [b"n".as_slice(), owner.as_bytes(), notice.as_bytes()].concat(),
            Self::Record(key) => [b"r\0\0".as_slice(), &key].concat(),
        }
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (owner, id) = rest.split_first_chunk::<2>()?;
        let id: [u8; 16] = id.try_into().ok()?;
        match kind {
            b'n' => Some(Self::Notice(MemberId::from_bytes(*owner).ok()?, NoticeId::from_bytes(id))),
            b'r' => Some(Self::Record(id)),
            _ => None,
        }
    }
}

/// The one that accuses, and the one that protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) accuses: Party,
    pub(crate) protects: Party,
}

impl Pair {
    pub(crate) fn key(self) -> Vec<u8> {
        [self.accuses.to_bytes(), self.protects.to_bytes()].concat()
    }

    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let (accuses, protects) = key.split_at_checked(Party::BYTES)?;
        Some(Self { accuses: Party::parse(accuses)?, protects: Party::parse(protects)? })
    }

    pub(crate) fn sides(self) -> [Party; 2] {
        [self.accuses, self.protects]
    }
}

#[derive(Debug, Default)]
struct Known {
    waiting: BTreeSet<(MemberId, NoticeId)>,
    met: BTreeMap<Party, BTreeSet<Pair>>,
    contests: BTreeMap<(MemberId, NoticeId), Vec<Contest>>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Marks(RwLock<Known>);

impl Marks {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a held notice waits for the desk.
    pub(crate) fn waits(&self, owner: MemberId, notice: NoticeId, waits: bool) {
        if waits {
            self.write().waiting.insert((owner, notice));
        } else if self.is_waiting(owner, notice) {
            self.write().waiting.remove(&(owner, notice));
        }
    }

    pub(crate) fn is_waiting(&self, owner: MemberId, notice: NoticeId) -> bool {
        self.read().waiting.contains(&(owner, notice))
    }

    /// Held notices that wait for the desk.
    pub(crate) fn waiting(&self) -> Vec<(MemberId, NoticeId)> {
        self.read().waiting.iter().copied().collect()
    }

    /// Records that two have met, or that they do so no more.
    pub(crate) fn meet(&self, pair: Pair, meet: bool) {
        let mut known = self.write();
        for side in pair.sides() {
            let met = known.met.entry(side).or_default();
            if meet {
                met.insert(pair);
            } else {
                met.remove(&pair);
            }
            if met.is_empty() {
                known.met.remove(&side);
            }
        }
    }

    /// The pairs that a notice or record is part of.
    pub(crate) fn pairs(&self, party: Party) -> Vec<Pair> {
        self.read().met.get(&party).into_iter().flatten().copied().collect()
    }

    pub(crate) fn has_met(&self, owner: MemberId, notice: NoticeId) -> bool {
        self.read().met.contains_key(&Party::Notice(owner, notice))
    }

    /// What must be done before acting on an own record.
    pub(crate) fn record_cautions(&self, key: [u8; 16]) -> Vec<Caution> {
        let met = self.read().met.contains_key(&Party::Record(key));
        met.then_some(Caution::ScreenFirst).into_iter().collect()
    }

    /// Keeps a challenge as it is now; a closed one is none any more.
    pub(crate) fn contest(&self, owner: MemberId, notice: NoticeId, contest: Contest, closed: bool) {
        let mut known = self.write();
        let all = known.contests.entry((owner, notice)).or_default();
        all.retain(|other| other.id != contest.id);
        if !closed {
            all.push(contest);
        }
        if all.is_empty() {
            known.contests.remove(&(owner, notice));
        }
    }

    /// Forgets every challenge of a notice.
    pub(crate) fn uncontest(&self, owner: MemberId, notice: NoticeId) {
        self.write().contests.remove(&(owner, notice));
    }

    /// Challenges against a notice that are not closed.
    pub(crate) fn contests(&self, owner: MemberId, notice: NoticeId) -> Vec<Contest> {
        self.read().contests.get(&(owner, notice)).cloned().unwrap_or_default()
    }

    pub(crate) fn is_contested(&self, owner: MemberId, notice: NoticeId) -> bool {
        self.read().contests.contains_key(&(owner, notice))
    }

    /// Whether an answer of the owner is overdue.
    pub(crate) fn is_unanswered(&self, owner: MemberId, notice: NoticeId, now: Timestamp) -> bool {
        let known = self.read();
        let mut contests = known.contests.get(&(owner, notice)).into_iter().flatten();
        contests.any(|contest| contest.state(now) == ChallengeState::Unanswered)
    }

    /// Notices of which an answer is overdue.
    pub(crate) fn unanswered(&self, now: Timestamp) -> Vec<(MemberId, NoticeId)> {
        let known = self.read();
        let overdue = known
            .contests
            .iter()
            .filter(|(_, contests)| contests.iter().any(|contest| contest.state(now) == ChallengeState::Unanswered));
        overdue.map(|(notice, _)| *notice).collect()
    }
}

impl Node {
    /// Fills the marks from the store.
    pub(crate) async fn fill_marks(&self) -> Result<(), ServiceError> {
        self.fill_collisions().await?;
        self.fill_challenges().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_comes_back_from_its_key_and_shows_on_both_sides() {
        let owner = MemberId::from_bytes(*b"MY").unwrap();
        let (red, record) = (Party::Notice(owner, NoticeId::from_bytes([7; 16])), Party::Record([9; 16]));
        let pair = Pair { accuses: red, protects: record };
        assert_eq!(Pair::parse(&pair.key()), Some(pair));
        assert_eq!(Pair::parse(&[0; 38]), None);
        let marks = Marks::default();
        marks.meet(pair, true);
        assert!(marks.has_met(owner, NoticeId::from_bytes([7; 16])));
        assert_eq!(marks.record_cautions([9; 16]), [Caution::ScreenFirst]);
        marks.meet(pair, false);
        assert!(!marks.has_met(owner, NoticeId::from_bytes([7; 16])));
        assert!(marks.record_cautions([9; 16]).is_empty() && marks.pairs(red).is_empty());
    }
}
