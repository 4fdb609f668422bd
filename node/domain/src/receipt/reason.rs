//! Why a statement was not taken, or why it was destroyed.

use std::fmt;
use std::str::FromStr;

/// A reason in a receipt. Numbers are signed: they never change meaning and are never reused.
///
/// Below 100 stand decisions of the receiving state, from 100 on facts about the statement, from 200 on causes
/// of a purge. A number that this version does not know is kept and shown as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptReason(u16);

macro_rules! reasons {
    ($($(#[$doc:meta])* $constant:ident = $number:literal, $code:literal;)*) => {
        impl ReceiptReason {
            $($(#[$doc])* pub const $constant: Self = Self($number);)*

            const KNOWN: &[(Self, &'static str)] = &[$((Self::$constant, $code)),*];
        }
    };
}

reasons! {
    /// Nothing to explain.
    NONE = 0, "none";
    /// Predominantly political, military, religious or racial (article 3 of INTERPOL's constitution).
    POLITICAL = 1, "political";
    /// The person has refugee status with respect to the origin.
    REFUGEE = 2, "refugee";
    /// A death penalty could be imposed.
    DEATH_PENALTY = 3, "death-penalty";
    /// The act is no crime in the receiving state.
    NO_DUAL_CRIMINALITY = 4, "no-dual-criminality";
    /// Too little to act on.
    INSUFFICIENT = 5, "insufficient";
    /// Already judged for the same act.
    NON_BIS_IN_IDEM = 6, "non-bis-in-idem";
    /// Prosecution or punishment has lapsed.
    TIME_BARRED = 7, "time-barred";
    /// Torture or an unfair trial is to be feared.
    HUMAN_RIGHTS = 8, "human-rights";
    /// A private or administrative matter.
    PRIVATE_MATTER = 9, "private-matter";
    /// The person is protected as a minor or a victim.
    PROTECTED_PERSON = 10, "protected-person";
    /// A national of the receiving state, who is not surrendered.
    OWN_NATIONAL = 11, "own-national";
    /// An exercise, while the receiver takes part in none.
    EXERCISE_NOT_EXPECTED = 12, "exercise-not-expected";
    /// The receiver's agreement takes no such kind.
    KIND_NOT_RECEIVED = 100, "kind-not-received";
    /// The receiver is not in the signed audience.
    NOT_ADDRESSED = 101, "not-addressed";
    /// The content does not open the commitments, or breaks the slot table.
    CONTENT_INVALID = 102, "content-invalid";
    /// No valid approval by a second officer.
    APPROVAL_INVALID = 103, "approval-invalid";
    /// The notice was withdrawn; its tombstone blocks it.
    WITHDRAWN_BEFORE = 104, "withdrawn-before";
    /// A later version is held already.
    SUPERSEDED_BEFORE = 105, "superseded-before";
    /// Its validity had ended on arrival.
    EXPIRED_BEFORE = 106, "expired-before";
    /// The origin is frozen.
    ORIGIN_FROZEN = 107, "origin-frozen";
    /// A schema that this version cannot read.
    SCHEMA_UNKNOWN = 108, "schema-unknown";
    /// It breaks a pre-issue check of its kind.
    CHECK_FAILED = 109, "check-failed";
    /// Signed by a key that was stolen by then, as its origin says itself.
    KEY_STOLEN = 110, "key-stolen";
    /// Kept under an order although it is to be destroyed: no longer in use, and purged when the order ends.
    EVIDENCE_HOLD = 120, "evidence-hold";
    /// Purged because it was withdrawn.
    WITHDRAWN = 200, "withdrawn";
    /// Purged because it was retracted from this receiver.
    RETRACTED = 201, "retracted";
    /// Purged because a later version replaced it.
    SUPERSEDED = 202, "superseded";
    /// Purged because its validity ended.
    EXPIRED = 203, "expired";
    /// Purged because the receiver no longer wants or may have it.
    RECEIVER_DECISION = 204, "receiver-decision";
}

impl ReceiptReason {
    /// From the number in a receipt.
    pub const fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// The number in a receipt.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The code, if this version knows one.
    pub fn as_str(self) -> Option<&'static str> {
        Self::KNOWN.iter().find(|(reason, _)| *reason == self).map(|(_, code)| *code)
    }

    /// Whether a state may give it as its own decision, in an agreement or at the desk.
    pub fn is_decision(self) -> bool {
        (1..100).contains(&self.0) && self.as_str().is_some()
    }

    /// Every reason that a state may give as its own decision.
    pub fn decisions() -> impl Iterator<Item = Self> {
        Self::KNOWN.iter().map(|(reason, _)| *reason).filter(|reason| reason.is_decision())
    }
}

impl fmt::Display for ReceiptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(code) => f.write_str(code),
            None => write!(f, "reason-{}", self.0),
        }
    }
}

/// A reason code that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reason code of a receipt")]
pub struct UnknownReason;

impl FromStr for ReceiptReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::KNOWN.iter().find(|(_, code)| *code == text).map(|(reason, _)| *reason).ok_or(UnknownReason)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_codes_are_unique_and_come_back() {
        let numbers: BTreeSet<_> = ReceiptReason::KNOWN.iter().map(|(reason, _)| reason.number()).collect();
        let codes: BTreeSet<_> = ReceiptReason::KNOWN.iter().map(|(_, code)| *code).collect();
        assert_eq!((numbers.len(), codes.len()), (ReceiptReason::KNOWN.len(), ReceiptReason::KNOWN.len()));
        for (reason, code) in ReceiptReason::KNOWN {
            assert_eq!(code.parse(), Ok(*reason));
            assert_eq!(ReceiptReason::from_number(reason.number()).to_string(), *code);
        }
    }

    #[test]
    fn a_reason_of_a_later_version_is_kept_and_shown() {
        let later = ReceiptReason::from_number(77);
        assert_eq!((later.as_str(), later.to_string().as_str()), (None, "reason-77"));
        assert!(!later.is_decision());
    }
}
