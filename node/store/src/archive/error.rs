//! What can be wrong with an archive or its key.

use std::io;

use eads_domain::code::{Code, Coded, Fault};

use crate::keys::KeyError;

/// Why an archive could not be written or read. No text carries anything of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The operating system refused to read or write.
    #[error("the archive cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// Something else than an archive or a key of one.
    #[error("this is not {expected}")]
    Unknown {
        /// What it should be.
        expected: &'static str,
    },
    /// Written by a later version.
    #[error("it was written by a later version (format {format}): use that version, or a newer one")]
    Newer {
        /// Its format.
        format: u16,
    },
    /// It ends before its end.
    #[error("the archive is cut off: the copy is not whole")]
    Truncated,
    /// It is not what was written.
    #[error("the archive is damaged ({what}): take another copy")]
    Damaged {
        /// Where it differs.
        what: &'static str,
    },
    /// The key is intact and is another archive's.
    #[error("this key belongs to another archive: compare the generation in both names")]
    KeyWrong,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key of the archive, or the key file is damaged")]
    PassphraseWrong,
    /// A record above the limit.
    #[error("a record of {length} bytes does not fit an archive")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// The key could not be derived.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Coded for ArchiveError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Io(_) => "BACKUP_IO",
            Self::Unknown { .. } => "BACKUP_UNKNOWN",
            Self::Newer { .. } => "BACKUP_NEWER",
            Self::Truncated => "BACKUP_TRUNCATED",
            Self::Damaged { .. } => "BACKUP_DAMAGED",
            Self::KeyWrong => "BACKUP_KEY_WRONG",
            Self::PassphraseWrong => "ESCROW_PASSPHRASE_WRONG",
            Self::TooLong { .. } => "BACKUP_RECORD_TOO_LONG",
            Self::Keys(error) => return error.code(),
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Io(_) | Self::TooLong { .. } => Fault::Ourselves,
            Self::Keys(error) => error.fault(),
            _ => Fault::Caller,
        }
    }
}
