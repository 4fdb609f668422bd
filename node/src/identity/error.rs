//! What can be wrong with a node's identity, and what to do about it.

use std::io;
use std::path::PathBuf;

use eads_domain::card::CardError;
use eads_domain::code::{Code, Coded, Fault};
use eads_edge::tls::InvalidTlsIdentity;

/// The identity cannot be read, written or extended. No text carries anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is not there.
    #[error("{} is missing: give the data directory that `init` made, or restore it", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A key file that others than its owner can read or write.
    #[error(
        "{} is open to others (mode {mode:04o}): run `chmod 600` on it, and think about who may have seen it",
        path.display()
    )]
    KeyExposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The passphrase does not open a key.
    #[error("the passphrase does not open {}", path.display())]
    PassphraseWrong {
        /// Which file.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("{} is damaged: restore it from the backup of the identity", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// A key belongs to another card than the one beside it.
    #[error("{} is not the key that the card beside it names", path.display())]
    NotOnCard {
        /// Which file.
        path: PathBuf,
    },
    /// The card does not verify.
    #[error("{}: {source}", path.display())]
    Card {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: CardError,
    },
    /// A certificate and its key cannot be used.
    #[error("{}: {source}", path.display())]
    Tls {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it.
        source: InvalidTlsIdentity,
    },
    /// An earlier change was interrupted, and the node has not been started since.
    #[error("{} holds a change that was interrupted: restart the node, which ends it", path.display())]
    ChangeUnfinished {
        /// Where it lies.
        path: PathBuf,
    },
    /// A certificate or key could not be made.
    #[error("a key or certificate could not be made: {what}")]
    NotIssued {
        /// What went wrong, from the library.
        what: String,
    },
}

impl IdentityError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        if source.kind() == io::ErrorKind::NotFound {
            Self::Missing { path }
        } else {
            Self::Io { action, path, source }
        }
    }

    pub(crate) fn not_issued(cause: &impl ToString) -> Self {
        Self::NotIssued { what: cause.to_string() }
    }
}

impl Coded for IdentityError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Missing { .. } => "IDENTITY_MISSING",
            Self::Io { .. } => "IDENTITY_IO",
            Self::KeyExposed { .. } => "IDENTITY_KEY_EXPOSED",
            Self::PassphraseWrong { .. } => "PASSPHRASE_WRONG",
            Self::Damaged { .. } => "IDENTITY_DAMAGED",
            Self::NotOnCard { .. } => "IDENTITY_NOT_ON_CARD",
            Self::Card { source, .. } => return source.code(),
            Self::Tls { source, .. } => return source.code(),
            Self::ChangeUnfinished { .. } => "IDENTITY_CHANGE_UNFINISHED",
            Self::NotIssued { .. } => "IDENTITY_NOT_ISSUED",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::PassphraseWrong { .. } | Self::Missing { .. } => Fault::Caller,
            _ => Fault::Ourselves,
        }
    }
}
