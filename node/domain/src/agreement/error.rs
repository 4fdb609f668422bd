//! What can be wrong with an agreement, and what an agreement refuses.

use crate::code::{Code, Coded, Fault};

/// An agreement file that is not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// Above the bound.
    #[error("the agreement is larger than {} bytes", super::MAX_AGREEMENT_BYTES)]
    TooLarge,
    /// Not TOML, a key that does not exist, one that is missing, or a value of the wrong type.
    #[error("line {line}: {problem}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// In words.
        problem: String,
    },
    /// A value that says nothing here.
    #[error("line {line}, {field}: {problem}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// The key, with its section.
        field: &'static str,
        /// In words.
        problem: String,
    },
    /// A mandatory slot among those that are withheld.
    #[error("line {line}, sends.withhold: {slot} is shown to every addressee and cannot be withheld")]
    WithholdsMandatory {
        /// Counted from 1.
        line: usize,
        /// The slot's name.
        slot: String,
    },
    /// A later format.
    #[error("line {line}, version: this program reads version 1 only; upgrade the node")]
    Version {
        /// Counted from 1.
        line: usize,
    },
}

impl Coded for AgreementError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::TooLarge => "AGREEMENT_TOO_LARGE",
            Self::Malformed { .. } => "AGREEMENT_MALFORMED",
            Self::Value { .. } => "AGREEMENT_VALUE",
            Self::WithholdsMandatory { .. } => "AGREEMENT_WITHHOLDS_MANDATORY",
            Self::Version { .. } => "AGREEMENT_VERSION",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// A query that the agreement does not admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgreementRefusal {
    /// The peer may not ask about such subjects.
    #[error("the agreement does not admit questions about this kind of subject")]
    Subject,
    /// The peer may not ask for this purpose.
    #[error("the agreement does not admit questions for this purpose")]
    Purpose,
}

impl Coded for AgreementRefusal {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Subject => "AGREEMENT_SUBJECT_NOT_ADMITTED",
            Self::Purpose => "AGREEMENT_PURPOSE_NOT_ADMITTED",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}
