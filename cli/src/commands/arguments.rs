//! Arguments that several commands take, parsed into words of the domain.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_domain::operator::Purpose;
use eads_domain::query::IdentifierType;

/// Why something is asked; every code is listed in the help.
pub(super) fn purpose() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new(Purpose::ALL.map(Purpose::as_str)).try_map(|code| Purpose::from_str(&code))
}

/// On which grounds something of this node's is looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Grounds {
    /// On which legal basis, as a code or short text; kept in the audit log.
    #[arg(
        long,
        value_name = "TEXT",
        env = "EADS_LEGAL_BASIS",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub(super) legal_basis: String,
    /// The case; kept in the audit log.
    #[arg(long, value_name = "REFERENCE", default_value = "", hide_default_value = true)]
    pub(super) case: String,
}

/// What kind of identifier something is; every code is listed in the help.
pub(super) fn identifier_type() -> impl TypedValueParser<Value = IdentifierType> {
    PossibleValuesParser::new(IdentifierType::ALL.map(IdentifierType::as_str))
        .try_map(|code| IdentifierType::from_str(&code))
}

/// A day in UTC, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(Timestamp);

/// A text that is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give a day as YYYY-MM-DD")]
pub(super) struct InvalidDay;

impl Day {
    /// Its first second, Unix.
    pub(super) const fn first(self) -> i64 {
        self.0.as_unix()
    }

    /// Its last second, Unix.
    pub(super) const fn last(self) -> i64 {
        self.0.plus_seconds(86_399).as_unix()
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        Timestamp::start_of_day(text).map(Self).ok_or(InvalidDay)
    }
}

/// To whom a notice is addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Every accepted peer at the moment of drafting.
    All,
    /// These members.
    Members(Vec<MemberId>),
}

/// An audience that is neither `all` nor member ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give `all`, or member ids with commas between them, each two capital letters (MY,TH)")]
pub(super) struct InvalidAudience;

impl FromStr for Audience {
    type Err = InvalidAudience;

    fn from_str(text: &str) -> Result<Self, InvalidAudience> {
        if text == "all" {
            return Ok(Self::All);
        }
        let members: Result<Vec<MemberId>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        let mut members = members.map_err(|_| InvalidAudience)?;
        members.sort_unstable();
        members.dedup();
        Ok(Self::Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_a_first_and_a_last_second() {
        let day: Day = "2026-11-24".parse().expect("a day");
        assert_eq!((day.first(), day.last()), (1_795_478_400, 1_795_564_799));
        for wrong in ["", "2026-11", "2026-02-30", "24.11.2026", "2026-11-24T00:00"] {
            assert_eq!(wrong.parse::<Day>(), Err(InvalidDay), "{wrong}");
        }
    }

    #[test]
    fn an_audience_is_all_or_members() {
        let member = |text: &str| text.parse::<MemberId>().expect("member");
        assert_eq!("all".parse(), Ok(Audience::All));
        assert_eq!("TH, MY,TH".parse(), Ok(Audience::Members(vec![member("MY"), member("TH")])));
        for wrong in ["", "my", "MY,", "ALL", "MY;TH"] {
            assert_eq!(wrong.parse::<Audience>(), Err(InvalidAudience), "{wrong}");
        }
    }
}
