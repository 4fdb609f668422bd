//! Why no node was made.

use std::path::PathBuf;

use eads_domain::card::CardError;
use eads_domain::code::{Code, Coded, Fault};
use eads_domain::operator::OperatorError;
use eads_store::keys::KeyError;

use crate::identity::{IdentityError, PassphraseError};

/// No node was made, and nothing was left behind unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A node is never made over anything.
    #[error("{} is not an empty directory: a node is only made in a new one", dir.display())]
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory has no name to make another beside it.
    #[error("{} cannot become a data directory: give one that has a name", dir.display())]
    NoName {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory above is not there: a mistyped path, most often.
    #[error("the directory above {} does not exist: make it first", dir.display())]
    NoParent {
        /// The directory that was to be made.
        dir: PathBuf,
    },
    /// Another `init` is at work, or one was stopped by force.
    #[error("{} exists: another init is at work there, or was stopped; if none is, remove it", path.display())]
    Unfinished {
        /// The directory in which nodes are made.
        path: PathBuf,
    },
    /// The passphrase cannot protect new keys.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// Keys, certificates or files could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The card could not be made: too many endpoints, for example.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The key tree could not be made.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// An operator's name or roles are not valid.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}

impl Coded for InitError {
    fn code(&self) -> Code {
        match self {
            Self::NotEmpty { .. } => Code::new("INIT_NOT_EMPTY"),
            Self::NoName { .. } => Code::new("INIT_NO_NAME"),
            Self::NoParent { .. } => Code::new("INIT_NO_PARENT"),
            Self::Unfinished { .. } => Code::new("INIT_UNFINISHED"),
            Self::Passphrase(error) => error.code(),
            Self::Identity(error) => error.code(),
            Self::Card(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Operator(error) => error.code(),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::NotEmpty { .. }
            | Self::NoName { .. }
            | Self::NoParent { .. }
            | Self::Unfinished { .. }
            | Self::Card(_) => Fault::Caller,
            Self::Passphrase(error) => error.fault(),
            Self::Identity(error) => error.fault(),
            Self::Keys(error) => error.fault(),
            Self::Operator(error) => error.fault(),
        }
    }
}
