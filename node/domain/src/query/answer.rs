//! Answers to queries.

use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::id::{Hash, MemberId, RequestId};
use crate::subject::NoticeKind;

/// What one member answers to one query. No hits and no error is a "no hit"; a missing answer never is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The query's id, the same for every peer asked.
    pub request: RequestId,
    /// Best first.
    pub hits: Vec<Hit>,
    /// More matched than are listed.
    pub truncated: bool,
    /// The answering member's latest signed checkpoint, verbatim; empty before its first entry.
    pub checkpoint: Vec<u8>,
    /// By the answering member's clock.
    pub answered_at: Timestamp,
}

/// A pointer to something that the answering member holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// How well it matches.
    pub score: Score,
    /// Why it matches, a line a part.
    pub reasons: Vec<HitReason>,
    /// What kind of holding it is.
    pub source: HitSource,
    /// Whose data it is.
    pub owner: MemberId,
    /// What to cite; absent where the agreement shows a score only.
    pub reference: Option<HitReference>,
    /// Kind of the notice; absent for a record.
    pub kind: Option<NoticeKind>,
    /// Fields that the agreement shows.
    pub fields: Vec<HitField>,
    /// Where the statement stands in the owner's register; absent for records.
    pub statement: Option<StatementPointer>,
    /// Whether it may be relied on.
    pub state: HitState,
    /// What the officer must do before acting, the gravest first.
    pub cautions: Vec<Caution>,
    /// An exercise notice.
    pub exercise: bool,
}

/// How well something matches, 0 to 1000 thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u16);

impl Score {
    /// A perfect match.
    pub const MAX: Self = Self(1000);

    /// A score, cut to 1000.
    pub const fn saturating(thousandths: u16) -> Self {
        if thousandths > 1000 { Self::MAX } else { Self(thousandths) }
    }

    /// Thousandths, 0 to 1000.
    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One line of an explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitReason {
    /// The rule, `UPPER-KEBAB`.
    pub code: String,
    /// In words, without values that the agreement does not show.
    pub text: String,
    /// Thousandths added to or taken from the score.
    pub weight: i32,
}

/// What kind of holding a hit points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HitSource {
    /// A notice, own or held.
    Notice,
    /// A national record.
    Record,
}

impl HitSource {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Record => "record",
        }
    }
}

/// A notice's reference, or an opaque handle of a record: 1 to 64 printable ASCII characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HitReference(String);

impl HitReference {
    /// The text to cite.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HitReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HitReference {
    type Err = UnknownAnswerCode;

    fn from_str(text: &str) -> Result<Self, UnknownAnswerCode> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnknownAnswerCode { field: "reference" })
        }
    }
}

/// A field that a hit shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HitField {
    /// By the slot table.
    pub name: String,
    /// As it is displayed.
    pub value: String,
}

/// A statement in a register, so that peers that compare can detect different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatementPointer {
    /// Position in the owner's register.
    pub index: u64,
    /// D of the statement.
    pub digest: Hash,
}

/// Whether a hit may be relied on at the moment of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HitState {
    /// A notice in force.
    Valid,
    /// A notice that must not be acted on until it is resumed.
    Suspended,
    /// A notice after its end of validity.
    Expired,
    /// A notice before its begin of validity.
    NotYetValid,
    /// A notice of an origin whose register has forked.
    Frozen,
    /// A held notice that waits for the desk of the member that holds it.
    Quarantined,
    /// A held notice that was challenged and whose owner has not answered in time: only the desk is shown it.
    Blocked,
    /// A record.
    Current,
}

impl HitState {
    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Frozen => "frozen",
            Self::Quarantined => "quarantined",
            Self::Blocked => "blocked",
            Self::Current => "current",
        }
    }

    /// Whether only the desk of the member that holds it is shown it.
    pub const fn is_for_desk(self) -> bool {
        matches!(self, Self::Quarantined | Self::Blocked)
    }
}

/// What an officer must do before acting on a hit, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caution {
    /// The owner's register has forked: its word is not to be relied on before this member's administrators say so.
    RegisterForked,
    /// The owner's word is too old for a coercive act.
    ConfirmWithOwner,
    /// The person may be a victim: screen first, do not punish.
    ScreenFirst,
    /// One officer issued it in an emergency, and the owner's second officer has not approved it yet.
    EmergencyUnapproved,
    /// Somebody has challenged the notice, and the challenge is not closed.
    Contested,
    /// The person asked for is marked, with consent, as not the one that is meant.
    NotThisPerson,
}

impl Caution {
    /// Every caution, the gravest first.
    pub const ALL: [Self; 6] = [
        Self::RegisterForked,
        Self::ConfirmWithOwner,
        Self::ScreenFirst,
        Self::EmergencyUnapproved,
        Self::Contested,
        Self::NotThisPerson,
    ];

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RegisterForked => "register-forked",
            Self::ConfirmWithOwner => "confirm-with-owner",
            Self::ScreenFirst => "screen-first",
            Self::EmergencyUnapproved => "emergency-unapproved",
            Self::Contested => "contested",
            Self::NotThisPerson => "not-this-person",
        }
    }
}

/// A code in an answer that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {field} of a hit is not one that this version knows")]
pub struct UnknownAnswerCode {
    /// The field that carries it.
    pub field: &'static str,
}

impl Coded for UnknownAnswerCode {
    fn code(&self) -> Code {
        Code::new("ANSWER_CODE_UNKNOWN")
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

fn find<T: Copy>(
    all: &[T],
    text: &str,
    code: fn(T) -> &'static str,
    field: &'static str,
) -> Result<T, UnknownAnswerCode> {
    all.iter().copied().find(|&item| code(item) == text).ok_or(UnknownAnswerCode { field })
}

impl FromStr for HitSource {
    type Err = UnknownAnswerCode;

    fn from_str(text: &str) -> Result<Self, UnknownAnswerCode> {
        find(&[Self::Notice, Self::Record], text, Self::as_str, "source")
    }
}

impl FromStr for HitState {
    type Err = UnknownAnswerCode;

    fn from_str(text: &str) -> Result<Self, UnknownAnswerCode> {
        let all = [
            Self::Valid,
            Self::Suspended,
            Self::Expired,
            Self::NotYetValid,
            Self::Frozen,
            Self::Quarantined,
            Self::Blocked,
            Self::Current,
        ];
        find(&all, text, Self::as_str, "state")
    }
}

impl FromStr for Caution {
    type Err = UnknownAnswerCode;

    fn from_str(text: &str) -> Result<Self, UnknownAnswerCode> {
        find(&Self::ALL, text, Self::as_str, "caution")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_as_what_they_were() {
        for state in ["valid", "suspended", "expired", "not-yet-valid", "frozen", "quarantined", "blocked", "current"] {
            assert_eq!(state.parse::<HitState>().unwrap().as_str(), state);
        }
        for caution in ["register-forked", "confirm-with-owner", "screen-first", "contested"] {
            assert_eq!(caution.parse::<Caution>().unwrap().as_str(), caution);
        }
        assert!("".parse::<HitState>().is_err());
        assert!("Notice".parse::<HitSource>().is_err());
    }

    #[test]
    fn a_score_never_exceeds_a_thousand() {
        assert_eq!(Score::saturating(u16::MAX).thousandths(), 1000);
        assert_eq!(Score::saturating(999).thousandths(), 999);
    }

    #[test]
    fn a_reference_is_short_and_printable() {
        assert!("ID-2026-7K3QX9-5".parse::<HitReference>().is_ok());
        for text in ["", "a b", "ก", "x\n", &"x".repeat(65)] {
            assert!(text.parse::<HitReference>().is_err());
        }
    }
}
