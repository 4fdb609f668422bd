//! What can go wrong with a sealed value.

use eads_domain::code::{Code, Coded, Fault};

use super::MAX_VALUE_BYTES;
use crate::error::StoreError;
use crate::keys::KeyError;

/// Why a value could not be sealed, written or opened. A purged value is none of these: see [`Sealed::Destroyed`](super::Sealed::Destroyed).
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key tree refused or failed.
    #[error(transparent)]
    Keys(KeyError),
    /// A row that was never written so, stands where it was not put, or lacks a part.
    #[error("a sealed value in {area} is damaged: restore the node's backup; what peers sent is fetched again")]
    Damaged {
        /// The area's name.
        area: &'static str,
    },
    /// More than a value may have.
    #[error("a value of {length} bytes in {area} is above the limit of {MAX_VALUE_BYTES}")]
    TooLong {
        /// The area's name.
        area: &'static str,
        /// Bytes.
        length: usize,
    },
    /// The value was replaced again and again while it was read.
    #[error("a value in {area} changed too often while it was read; try again")]
    Contended {
        /// The area's name.
        area: &'static str,
    },
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

impl VaultError {
    /// A key tree's error about a value of `area`.
    pub(super) fn from_keys(error: KeyError, area: &'static str) -> Self {
        match error {
            KeyError::ValueDamaged => Self::Damaged { area },
            other => Self::Keys(other),
        }
    }
}

impl Coded for VaultError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Damaged { .. } => Code::new("SEALED_VALUE_DAMAGED"),
            Self::TooLong { .. } => Code::new("SEALED_VALUE_TOO_LONG"),
            Self::Contended { .. } => Code::new("SEALED_VALUE_CONTENDED"),
            Self::Stopping => Code::new("STOPPING"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Keys(error) => error.fault(),
            Self::TooLong { .. } | Self::Contended { .. } => Fault::Caller,
            Self::Damaged { .. } | Self::Stopping => Fault::Ourselves,
        }
    }
}
