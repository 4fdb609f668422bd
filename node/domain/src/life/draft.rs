//! The life of a draft: what one officer prepares and another approves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Refused, Whose};
use crate::operator::Role;

/// Where a draft is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DraftState {
    /// Being written; nobody is asked to approve it.
    Draft,
    /// Waits for a second officer.
    Submitted,
    /// A second officer has signed it.
    Approved,
    /// A second officer has given it back, with a reason.
    Returned,
}

/// What can be done with a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DraftAct {
    /// Write another content in its place.
    Replace,
    /// Hand it to the second officer.
    Submit,
    /// Give it back with a reason.
    Return,
    /// Sign it as the second officer.
    Approve,
    /// Publish it.
    Issue,
    /// Publish a first version before a second officer has seen it.
    IssueInEmergency,
    /// Throw it away.
    Discard,
}

/// What an act leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftStep {
    /// The draft is there, in that state.
    To(DraftState),
    /// The draft has become a statement.
    Published,
    /// The draft is gone.
    Gone,
}

impl DraftState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Draft, Self::Submitted, Self::Approved, Self::Returned];

    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Returned => "returned",
        }
    }

    /// What `act` leads to from here.
    ///
    /// # Errors
    /// [`Refused::Draft`] where it is not possible.
    pub const fn after(self, act: DraftAct) -> Result<DraftStep, Refused> {
        use DraftAct::{Approve, Discard, Issue, IssueInEmergency, Replace, Return, Submit};
        use DraftState::{Approved, Draft, Returned, Submitted};
        match (self, act) {
            (Draft | Returned, Submit) => Ok(DraftStep::To(Submitted)),
            (Draft | Submitted | Returned, Replace) => Ok(DraftStep::To(Draft)),
            (Submitted | Approved, Return) => Ok(DraftStep::To(Returned)),
            // Approved again, the later signature counts: the first officer's certificate may have ended.
            (Submitted | Approved, Approve) => Ok(DraftStep::To(Approved)),
            (Approved, Issue) | (Submitted, IssueInEmergency) => Ok(DraftStep::Published),
            (_, Discard) => Ok(DraftStep::Gone),
            (state, act) => Err(Refused::Draft { state, act }),
        }
    }
}

impl DraftAct {
    /// Every act.
    pub const ALL: [Self; 7] =
        [Self::Replace, Self::Submit, Self::Return, Self::Approve, Self::Issue, Self::IssueInEmergency, Self::Discard];

    /// What it is called in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replacing it",
            Self::Submit => "submitting it",
            Self::Return => "returning it",
            Self::Approve => "approving it",
            Self::Issue => "issuing it",
            Self::IssueInEmergency => "issuing it in an emergency",
            Self::Discard => "discarding it",
        }
    }

    /// The method of the operator interface that does it.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Replace => "CreateDraft",
            Self::Submit => "SubmitDraft",
            Self::Return => "ReturnDraft",
            Self::Approve => "ApproveDraft",
            Self::Issue => "IssueDraft",
            Self::IssueInEmergency => "IssueInEmergency",
            Self::Discard => "DiscardDraft",
        }
    }

    /// The roles of which one is needed.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Replace | Self::Submit | Self::IssueInEmergency => &[Role::Issuer],
            Self::Return | Self::Approve => &[Role::Approver],
            Self::Issue | Self::Discard => &[Role::Issuer, Role::Approver],
        }
    }

    /// Whose act it must be.
    pub const fn whose(self) -> Whose {
        match self {
            Self::Replace | Self::Submit | Self::IssueInEmergency => Whose::Drafter,
            Self::Return | Self::Approve => Whose::Another,
            Self::Issue | Self::Discard => Whose::Anyone,
        }
    }

    /// Whether it may be done by the officer who drafted it (`by_drafter`), or by another.
    ///
    /// # Errors
    /// [`Refused::ByDrafter`], [`Refused::NotByDrafter`].
    pub const fn allow(self, by_drafter: bool) -> Result<(), Refused> {
        match (self.whose(), by_drafter) {
            (Whose::Another, true) => Err(Refused::ByDrafter),
            (Whose::Drafter, false) => Err(Refused::NotByDrafter),
            _ => Ok(()),
        }
    }
}

/// Why a second officer gives a draft back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReturnReason {
    /// Something that the second officer needs is missing.
    Incomplete,
    /// Something is wrong.
    Incorrect,
    /// The legal basis does not carry it.
    LegalBasis,
    /// Too far-reaching for what it is about.
    Disproportionate,
    /// Addressed to members who should not get it.
    Audience,
    /// There is a notice about it already.
    Duplicate,
    /// Predominantly political, military, religious or racial (article 3 of INTERPOL's constitution).
    Political,
    /// The person has to be protected from it.
    Protection,
    /// Something else, said in words.
    Other,
}

impl ReturnReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Incomplete,
        Self::Incorrect,
        Self::LegalBasis,
        Self::Disproportionate,
        Self::Audience,
        Self::Duplicate,
        Self::Political,
        Self::Protection,
        Self::Other,
    ];

    /// The code in commands and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Incorrect => "incorrect",
            Self::LegalBasis => "legal-basis",
            Self::Disproportionate => "disproportionate",
            Self::Audience => "audience",
            Self::Duplicate => "duplicate",
            Self::Political => "political",
            Self::Protection => "protection",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for ReturnReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for DraftState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for DraftAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A reason that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a draft is returned as incomplete, incorrect, legal-basis, disproportionate, audience, duplicate, political, \
     protection or other"
)]
pub struct UnknownReturnReason;

impl crate::code::Coded for UnknownReturnReason {
    fn code(&self) -> crate::code::Code {
        crate::code::Code::new("RETURN_REASON_UNKNOWN")
    }

    fn fault(&self) -> crate::code::Fault {
        crate::code::Fault::Caller
    }
}

impl FromStr for ReturnReason {
    type Err = UnknownReturnReason;

    fn from_str(text: &str) -> Result<Self, UnknownReturnReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(UnknownReturnReason)
    }
}
