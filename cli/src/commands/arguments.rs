//! Arguments that several commands take, parsed into words of the domain.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use eads_domain::id::MemberId;
use eads_domain::operator::Purpose;
use eads_domain::query::IdentifierType;

/// Why something is asked; every code is listed in the help.
pub(super) fn purpose() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new(Purpose::ALL.map(Purpose::as_str)).try_map(|code| Purpose::from_str(&code))
}

/// What kind of identifier something is; every code is listed in the help.
pub(super) fn identifier_type() -> impl TypedValueParser<Value = IdentifierType> {
    PossibleValuesParser::new(IdentifierType::ALL.map(IdentifierType::as_str))
        .try_map(|code| IdentifierType::from_str(&code))
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
    fn an_audience_is_all_or_members() {
        let member = |text: &str| text.parse::<MemberId>().expect("member");
        assert_eq!("all".parse(), Ok(Audience::All));
        assert_eq!("TH, MY,TH".parse(), Ok(Audience::Members(vec![member("MY"), member("TH")])));
        for wrong in ["", "my", "MY,", "ALL", "MY;TH"] {
            assert_eq!(wrong.parse::<Audience>(), Err(InvalidAudience), "{wrong}");
        }
    }
}
