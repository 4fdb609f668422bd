//! The life of a draft and of a notice as tables: which act is possible in which state, what it leads to, and who
//! may do it.
//!
//! Pure: no clock, no store. A state that a table does not list for an act refuses it, so that nothing is
//! possible by being forgotten.

mod draft;
mod notice;
mod validity;

#[cfg(test)]
mod tests;

pub use draft::{DraftAct, DraftState, DraftStep, ReturnReason, UnknownReturnReason};
pub use notice::{Life, NoticeAct};
pub use validity::{LONGEST_EMERGENCY_HOURS, usual_validity_days};

use crate::code::{Code, Coded, Fault};

/// Whose act it must be, beyond a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of any officer with the role.
    Anyone,
    /// Of who drafted it alone.
    Drafter,
    /// Of anybody but who drafted it.
    Another,
    /// Of the node by itself.
    Node,
}

/// An act that is not possible now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not of a draft in this state.
    #[error("the draft is {state}: {act} is not possible")]
    Draft {
        /// Where the draft is.
        state: DraftState,
        /// What was asked.
        act: DraftAct,
    },
    /// Not of a notice in this state.
    #[error("the notice is {life}: {act} is not possible")]
    Notice {
        /// Where the notice is.
        life: Life,
        /// What was asked.
        act: NoticeAct,
    },
    /// The drafter's own approval.
    #[error("who drafted it cannot approve it")]
    ByDrafter,
    /// Another's draft.
    #[error("only who drafted it can change it")]
    NotByDrafter,
}

impl Coded for Refused {
    fn code(&self) -> Code {
        Code::new(match self {
            // What is missing before a draft can be issued is what people need to be told.
            Self::Draft { state: DraftState::Submitted, act: DraftAct::Issue } => "APPROVAL_MISSING",
            Self::Draft { .. } => "DRAFT_STATE",
            Self::Notice { .. } => "NOTICE_STATE",
            Self::ByDrafter => "APPROVAL_BY_DRAFTER",
            Self::NotByDrafter => "DRAFT_OF_ANOTHER",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
