//! Challenges: somebody says that a notice is wrong, and its owner owes an answer by a time.
//!
//! A challenge is open, then unanswered once its time has passed in silence, or answered; the desk closes it, which
//! is final. While it is not closed the notice counts as contested. Nothing here knows who asked or why: that is
//! sealed by the one who recorded it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::id::MemberId;
use crate::slot::SlotTable;

/// The longest text of a challenge or of an answer, in characters.
pub const MAX_CHALLENGE_CHARS: usize = 2000;

/// Who challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Challenger {
    /// A member.
    Member(MemberId),
    /// Somebody whom the notice is about, or who speaks for such a person. Who it is stands in the sealed text only.
    Individual,
}

const INDIVIDUAL: &str = "individual";

impl fmt::Display for Challenger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member) => member.fmt(f),
            Self::Individual => f.write_str(INDIVIDUAL),
        }
    }
}

impl FromStr for Challenger {
    type Err = ChallengeError;

    fn from_str(text: &str) -> Result<Self, ChallengeError> {
        if text == INDIVIDUAL {
            return Ok(Self::Individual);
        }
        text.parse().map(Self::Member).map_err(|_| ChallengeError::Challenger)
    }
}

impl TryFrom<String> for Challenger {
    type Error = ChallengeError;

    fn try_from(text: String) -> Result<Self, ChallengeError> {
        text.parse()
    }
}

impl From<Challenger> for String {
    fn from(challenger: Challenger) -> Self {
        challenger.to_string()
    }
}

/// Why: a reason code of the slot table, and words. Written `CODE` or `CODE:words`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds {
    /// Of the list `reason`.
    pub code: String,
    /// In words; may be empty.
    pub text: String,
}

impl FromStr for Grounds {
    type Err = ChallengeError;

    fn from_str(text: &str) -> Result<Self, ChallengeError> {
        let (code, words) = text.split_once(':').unwrap_or((text, ""));
        let known = SlotTable::get().codes("reason").is_some_and(|list| list.contains(code.trim()));
        if !known {
            return Err(ChallengeError::Reason);
        }
        Ok(Self { code: code.trim().to_owned(), text: text_of("the reason", words)? })
    }
}

/// A text of a challenge: trimmed, bounded, without characters that steer a terminal.
///
/// # Errors
/// [`ChallengeError::Text`].
pub fn text_of(field: &'static str, text: &str) -> Result<String, ChallengeError> {
    let text = text.trim();
    let is_fit = text.chars().count() <= MAX_CHALLENGE_CHARS && !text.chars().any(|c| c.is_control() && c != '\n');
    if is_fit { Ok(text.to_owned()) } else { Err(ChallengeError::Text { field }) }
}

/// How a challenge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The notice was wrong.
    Upheld,
    /// The notice stands.
    Rejected,
    /// Taken back by whoever challenged.
    TakenBack,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 3] = [Self::Upheld, Self::Rejected, Self::TakenBack];

    /// The code in commands and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upheld => "upheld",
            Self::Rejected => "rejected",
            Self::TakenBack => "taken-back",
        }
    }
}

impl FromStr for Ending {
    type Err = ChallengeError;

    fn from_str(text: &str) -> Result<Self, ChallengeError> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == text).ok_or(ChallengeError::Ending)
    }
}

/// Where a challenge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeState {
    /// The owner's answer is awaited.
    Open,
    /// It is overdue.
    Unanswered,
    /// The owner has answered; the desk has not closed it.
    Answered,
    /// Over.
    Closed(Ending),
}

impl ChallengeState {
    /// The state at `now` of a challenge with these marks.
    pub fn at(now: Timestamp, answer_by: Timestamp, is_answered: bool, ending: Option<Ending>) -> Self {
        match ending {
            Some(ending) => Self::Closed(ending),
            None if is_answered => Self::Answered,
            None if now > answer_by => Self::Unanswered,
            None => Self::Open,
        }
    }

    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Unanswered => "unanswered",
            Self::Answered => "answered",
            Self::Closed(ending) => ending.as_str(),
        }
    }

    /// Whether the notice counts as contested.
    pub const fn contests(self) -> bool {
        !matches!(self, Self::Closed(_))
    }

    /// Whether an answer may be recorded: also a late one, and a second one.
    pub const fn takes_answer(self) -> bool {
        self.contests()
    }
}

/// What is wrong with a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// Neither a member nor `individual`.
    #[error("a challenge is by a member such as MY, or by an \"individual\"")]
    Challenger,
    /// No reason code of the slot table.
    #[error("the reason begins with a reason code such as contested, identity-in-doubt or political-character")]
    Reason,
    /// No ending.
    #[error("a challenge is closed as upheld, rejected or taken-back")]
    Ending,
    /// A text above its bound, or with control characters.
    #[error("{field} is at most {MAX_CHALLENGE_CHARS} characters of plain text")]
    Text {
        /// Which.
        field: &'static str,
    },
}

impl Coded for ChallengeError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Challenger => "CHALLENGER_INVALID",
            Self::Reason => "CHALLENGE_REASON_UNKNOWN",
            Self::Ending => "CHALLENGE_ENDING_UNKNOWN",
            Self::Text { .. } => "CHALLENGE_TEXT_INVALID",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_goes_from_open_to_closed_and_silence_shows() {
        let (before, by, after) = (Timestamp::from_unix(10), Timestamp::from_unix(20), Timestamp::from_unix(21));
        let table = [
            (before, false, None, "open", true),
            (by, false, None, "open", true),
            (after, false, None, "unanswered", true),
            (before, true, None, "answered", true),
            (after, true, None, "answered", true),
            (after, false, Some(Ending::Upheld), "upheld", false),
            (before, true, Some(Ending::Rejected), "rejected", false),
            (after, true, Some(Ending::TakenBack), "taken-back", false),
        ];
        for (now, answered, ending, word, contests) in table {
            let state = ChallengeState::at(now, by, answered, ending);
            assert_eq!((state.as_str(), state.contests(), state.takes_answer()), (word, contests, contests));
        }
    }

    #[test]
    fn grounds_begin_with_a_code_and_challengers_are_members_or_nobody_named() {
        let grounds: Grounds = "identity-in-doubt: born elsewhere, says: not him".parse().unwrap();
        assert_eq!(
            (grounds.code.as_str(), grounds.text.as_str()),
            ("identity-in-doubt", "born elsewhere, says: not him")
        );
        assert_eq!("contested".parse::<Grounds>().unwrap().text, "");
        for bad in ["", "because", "Contested", ":contested"] {
            assert_eq!(bad.parse::<Grounds>(), Err(ChallengeError::Reason), "{bad}");
        }
        assert!(matches!(
            format!("contested:{}", "x".repeat(2001)).parse::<Grounds>(),
            Err(ChallengeError::Text { .. })
        ));
        assert!(matches!("contested:\u{1b}[2J".parse::<Grounds>(), Err(ChallengeError::Text { .. })));
        assert_eq!("MY".parse::<Challenger>().unwrap().to_string(), "MY");
        assert_eq!("individual".parse(), Ok(Challenger::Individual));
        assert_eq!("Jane Doe".parse::<Challenger>(), Err(ChallengeError::Challenger));
    }
}
