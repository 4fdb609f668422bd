//! What can go wrong with a sealed file. No text carries anything that was sealed.

use std::io;
use std::path::{Path, PathBuf};

use eads_domain::code::{Code, Coded, Fault};

use crate::error::StoreError;
use crate::keys::KeyError;

/// A sealed file was not written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The disk is short, or the operating system refused an operation.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key tree did not do what was asked.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The file is not what was written.
    #[error("{} is damaged: check the medium; what a peer sent is fetched again once the file is removed", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// More bytes than the file was to have, or than can be counted.
    #[error("more bytes than the file has room for")]
    TooLarge,
}

impl BlobError {
    /// What the system said of a file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| StoreError::Io { action, path: path.clone(), source }.into()
    }
}

impl Coded for BlobError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Damaged { .. } => Code::new("BLOB_DAMAGED"),
            Self::TooLarge => Code::new("BLOB_TOO_LARGE"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Keys(error) => error.fault(),
            Self::Damaged { .. } => Fault::Ourselves,
            Self::TooLarge => Fault::Caller,
        }
    }
}
