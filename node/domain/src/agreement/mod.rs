//! Agreements: this node's own rules towards one peer, one TOML file each.
//!
//! What is not written is not allowed. An agreement that exists is complete and consistent: every word in it is
//! known, no mandatory slot is withheld. [`Agreement::example`] gives a commented file to start from.

mod error;
mod example;
mod file;

use std::collections::{BTreeMap, BTreeSet};

pub use error::{AgreementError, AgreementRefusal};

use crate::encode::sha256_pae;
use crate::id::{Hash, MemberId};
use crate::operator::Purpose;
use crate::query::Query;
use crate::receipt::ReceiptReason;
use crate::slot::{SlotSet, SlotTable};
use crate::subject::{NoticeKind, SubjectType};

const LABEL: &[u8] = b"eads/v1/agreement";
/// The largest agreement file, bytes.
pub const MAX_AGREEMENT_BYTES: usize = 64 * 1024;
/// The most queries an hour that an agreement can allow.
pub const MAX_QUERIES_PER_HOUR: u32 = 1_000_000;

/// This node's rules towards one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    member: MemberId,
    reference: String,
    sends: Sends,
    answers: Answers,
    receives: Receives,
    source: String,
}

/// What the peer is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sends {
    /// Kinds of notices that it may be addressed with.
    pub kinds: BTreeSet<NoticeKind>,
    /// Slots that are not opened to it; never a mandatory one.
    pub withhold: BTreeMap<SubjectType, SlotSet>,
}

/// What the peer is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Subjects that it may ask about.
    pub subjects: BTreeSet<SubjectType>,
    /// Purposes for which it may ask.
    pub purposes: BTreeSet<Purpose>,
    /// What a hit shows.
    pub shows: Shows,
    /// How many queries it may ask in any hour; 0 is none.
    pub queries_per_hour: u32,
}

/// What a hit shows to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// That there is one, and how well it matches.
    Score,
    /// Also what to cite, its kind, and where it stands in the register.
    Reference,
    /// Also the fields of these names of the slot table.
    Fields(BTreeSet<String>),
}

impl Shows {
    /// Whether a hit shows what to cite.
    pub const fn shows_reference(&self) -> bool {
        !matches!(self, Self::Score)
    }

    /// Whether a hit shows the field called `name`.
    pub fn shows_field(&self, name: &str) -> bool {
        matches!(self, Self::Fields(names) if names.contains(name))
    }
}

/// What is taken from the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receives {
    decisions: BTreeMap<NoticeKind, Decision>,
    /// A notice of the peer that was challenged is shown to the desk only once the peer's answer is overdue.
    pub block_when_unanswered: bool,
}

/// What becomes of a peer's notice on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// In use at once.
    Actionable,
    /// Stored, not in use until the desk approves.
    Quarantine,
    /// Not taken, with a signed reason.
    Refuse(ReceiptReason),
}

impl Agreement {
    /// Reads an agreement file.
    ///
    /// # Errors
    /// [`AgreementError`], which names the line.
    pub fn parse(toml: &str) -> Result<Self, AgreementError> {
        file::parse(toml)
    }

    /// A commented file for `member` that parses, to be edited.
    pub fn example(member: MemberId) -> String {
        example::example(member)
    }

    /// The peer.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The treaty or memorandum on which it rests.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// What the peer is sent.
    pub const fn sends(&self) -> &Sends {
        &self.sends
    }

    /// What the peer is answered.
    pub const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// What is taken from the peer.
    pub const fn receives(&self) -> &Receives {
        &self.receives
    }

    /// The file as it was read.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// SHA-256(PAE("eads/v1/agreement", file)): what two administrators confirm.
    pub fn digest(&self) -> Hash {
        sha256_pae(&[LABEL, self.source.as_bytes()])
    }

    /// The slots that the peer is shown of a notice; `None` if it is not sent such notices at all. Mandatory
    /// slots are always among them.
    pub fn allowed_slots(&self, subject: SubjectType, kind: NoticeKind) -> Option<SlotSet> {
        if !self.sends.kinds.contains(&kind) {
            return None;
        }
        let withheld = self.sends.withhold.get(&subject).copied().unwrap_or_default();
        Some(SlotSet::ALL.difference(withheld).union(SlotTable::get().mandatory()))
    }

    /// What becomes of a notice of this kind from the peer.
    pub fn decision(&self, kind: NoticeKind) -> Decision {
        self.receives.decision(kind)
    }

    /// Whether the peer may ask this at all; how often is counted elsewhere.
    ///
    /// # Errors
    /// [`AgreementRefusal`], by what does not fit.
    pub fn admit(&self, query: &Query) -> Result<(), AgreementRefusal> {
        let Answers { subjects, purposes, queries_per_hour, .. } = &self.answers;
        if *queries_per_hour == 0 || !subjects.contains(&query.subject) {
            Err(AgreementRefusal::Subject)
        } else if !purposes.contains(&query.purpose) {
            Err(AgreementRefusal::Purpose)
        } else {
            Ok(())
        }
    }
}

impl Receives {
    /// What becomes of a notice of this kind.
    pub fn decision(&self, kind: NoticeKind) -> Decision {
        self.decisions.get(&kind).copied().unwrap_or(Decision::Refuse(ReceiptReason::KIND_NOT_RECEIVED))
    }

    /// Kinds that are taken, with or without approval of the desk.
    pub fn kinds(&self) -> impl Iterator<Item = NoticeKind> {
        let taken = |decision: &Decision| !matches!(decision, Decision::Refuse(_));
        self.decisions.iter().filter(move |(_, decision)| taken(decision)).map(|(kind, _)| *kind)
    }
}

impl Default for Answers {
    /// No answers.
    fn default() -> Self {
        Self { subjects: BTreeSet::new(), purposes: BTreeSet::new(), shows: Shows::Score, queries_per_hour: 0 }
    }
}

#[cfg(test)]
mod tests;
