//! What goes wrong in a federation on one machine, and whose node it was.

use std::path::PathBuf;

use eads_domain::code::{Code, Coded, Fault};
use eads_domain::id::MemberId;

/// A federation that cannot be made, or does not do what is expected of it.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// A file, a port or a process of this machine.
    #[error("{what}: {cause}")]
    Machine {
        /// What was attempted.
        what: String,
        /// Why it failed.
        cause: std::io::Error,
    },
    /// The directory is in use, or its path is not text.
    #[error("{path} cannot hold a federation: {why}", path = path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A member that takes no part.
    #[error("{member} takes no part in this federation")]
    NotAMember {
        /// Which.
        member: MemberId,
    },
    /// A node, a certificate or a card could not be made.
    #[error("{what} of {member} was not made: {code}: {text}")]
    NotMade {
        /// Whose.
        member: MemberId,
        /// What was to be made.
        what: &'static str,
        /// The code of the failure.
        code: String,
        /// In words.
        text: String,
    },
    /// A node that did not say that it is ready.
    #[error("the node of {member} did not get ready: {why}")]
    NotReady {
        /// Whose.
        member: MemberId,
        /// What it did instead.
        why: String,
    },
    /// A command that was to succeed, or to answer in JSON, and did not.
    #[error("`{command}` as {operator} of {member} ended with status {status}: {code}: {text}")]
    Command {
        /// Whose node was asked.
        member: MemberId,
        /// As which operator.
        operator: String,
        /// The command, without profile and format.
        command: String,
        /// Its exit status; -1 if a signal ended it.
        status: i32,
        /// The code of its error.
        code: String,
        /// The words of its error.
        text: String,
    },
    /// Something that was to hold and does not.
    #[error("at {member}: expected {expected}; found {found}")]
    Unexpected {
        /// Where it was looked for.
        member: MemberId,
        /// What was to hold.
        expected: String,
        /// What is there instead.
        found: String,
    },
}

impl FederationError {
    /// A failure of this machine.
    pub fn machine(what: impl Into<String>, cause: std::io::Error) -> Self {
        Self::Machine { what: what.into(), cause }
    }

    /// Something of `member` that could not be made.
    pub fn not_made(member: MemberId, what: &'static str, error: &(impl Coded + ?Sized)) -> Self {
        Self::NotMade { member, what, code: error.code().as_str().to_owned(), text: error.to_string() }
    }

    /// What `member` was expected to show and what it showed.
    pub fn unexpected(member: MemberId, expected: impl Into<String>, found: impl std::fmt::Display) -> Self {
        Self::Unexpected { member, expected: expected.into(), found: found.to_string() }
    }

    /// Whose node it is about, if it is about one.
    pub const fn member(&self) -> Option<MemberId> {
        match self {
            Self::Machine { .. } | Self::Directory { .. } => None,
            Self::NotAMember { member }
            | Self::NotMade { member, .. }
            | Self::NotReady { member, .. }
            | Self::Command { member, .. }
            | Self::Unexpected { member, .. } => Some(*member),
        }
    }
}

impl Coded for FederationError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Machine { .. } => "FEDERATION_MACHINE",
            Self::Directory { .. } => "FEDERATION_DIRECTORY",
            Self::NotAMember { .. } => "FEDERATION_NOT_A_MEMBER",
            Self::NotMade { .. } => "FEDERATION_NOT_MADE",
            Self::NotReady { .. } => "FEDERATION_NOT_READY",
            Self::Command { .. } => "FEDERATION_COMMAND_FAILED",
            Self::Unexpected { .. } => "FEDERATION_UNEXPECTED",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Directory { .. } | Self::NotAMember { .. } => Fault::Caller,
            _ => Fault::Ourselves,
        }
    }
}
