//! What can go wrong with the key tree, whose fault it is, and what to do about it.

use std::io;
use std::path::PathBuf;

use eads_domain::code::{Code, Coded, Fault};

use super::KeySlot;

/// The key tree did not do what was asked. No text carries key material or anything that was sealed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key tree in this directory.
    #[error("{} holds no key tree: give the data directory that `init` made", path.display())]
    Missing {
        /// Where the root file should be.
        path: PathBuf,
    },
    /// A key tree may only be created where nothing lies yet.
    #[error("{} is not empty: a new key tree never replaces an old one", path.display())]
    Exists {
        /// The directory that is not empty.
        path: PathBuf,
    },
    /// Another process, or another part of this one, holds the tree.
    #[error("the key tree is in use ({} is locked): two nodes cannot use one directory", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The root is intact and this passphrase does not open it.
    #[error("the passphrase does not open the key tree")]
    PassphraseWrong,
    /// A passphrase of no bytes protects nothing.
    #[error("the passphrase is empty")]
    PassphraseEmpty,
    /// The cost of the passphrase derivation is outside the accepted range.
    #[error("the cost of the passphrase derivation is out of range")]
    CostOutOfRange,
    /// A file is not what was written.
    #[error(
        "{} is damaged ({what}): stop the node, check the medium, restore the node's backup; what peers sent is fetched again",
        file.display()
    )]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// How it differs from what was written.
        what: &'static str,
    },
    /// Written by a later version of this program.
    #[error("{} was written by a later version: upgrade the node", file.display())]
    Newer {
        /// The file with the later version.
        file: PathBuf,
    },
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", file.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A write failed where it is unknown what reached the medium; the next start finds out and finishes it.
    #[error("an earlier purge could not be finished on the medium: check the disk, then restart the node")]
    Halted,
    /// No key was ever handed out under this number.
    #[error("the key {slot} was never handed out: the key tree is older than the data that names it")]
    Unknown {
        /// The number.
        slot: KeySlot,
    },
    /// The key was destroyed; nothing can be sealed under it any more.
    #[error("the key {slot} was destroyed")]
    Destroyed {
        /// The key.
        slot: KeySlot,
    },
    /// A sealed value is not what was sealed, or does not stand where it was put.
    #[error("a sealed value is damaged, or stands where it was not put")]
    ValueDamaged,
    /// More plaintext than one sealing can take (64 GiB), or more keys than can be numbered.
    #[error("more than the key tree can take")]
    TooLarge,
}

impl KeyError {
    /// Whether it is want of room on the disk.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if crate::ballast::is_full(source))
    }
}

impl Coded for KeyError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Missing { .. } => "KEYS_MISSING",
            Self::Exists { .. } => "KEYS_EXIST",
            Self::Locked { .. } => "KEYS_LOCKED",
            Self::PassphraseWrong => "PASSPHRASE_WRONG",
            Self::PassphraseEmpty => "PASSPHRASE_EMPTY",
            Self::CostOutOfRange => "KEYS_COST_OUT_OF_RANGE",
            Self::Damaged { .. } => "KEYS_DAMAGED",
            Self::Newer { .. } => "KEYS_NEWER",
            Self::Io { .. } => "KEYS_IO",
            Self::Halted => "KEYS_HALTED",
            Self::Unknown { .. } => "KEY_UNKNOWN",
            Self::Destroyed { .. } => "KEY_DESTROYED",
            Self::ValueDamaged => "SEALED_VALUE_DAMAGED",
            Self::TooLarge => "KEYS_TOO_LARGE",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Missing { .. }
            | Self::Exists { .. }
            | Self::Locked { .. }
            | Self::PassphraseWrong
            | Self::PassphraseEmpty
            | Self::CostOutOfRange
            | Self::Destroyed { .. }
            | Self::TooLarge => Fault::Caller,
            Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::Io { .. }
            | Self::Halted
            | Self::Unknown { .. }
            | Self::ValueDamaged => Fault::Ourselves,
        }
    }
}
