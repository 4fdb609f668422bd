//! Errors of the storage port. Texts name files, offsets and remedies, never keys or values.

use std::path::PathBuf;

use eads_domain::code::{Code, Coded, Fault};

use crate::journal::JournalError;
use crate::port::{MAX_KEY, MAX_OPERATIONS, MAX_VALUE};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// More operations than a batch may have.
    #[error("a batch of {operations} operations is above the limit of {MAX_OPERATIONS}; commit it in steps")]
    BatchTooLarge {
        /// How many there were.
        operations: usize,
    },
    /// A key above the limit.
    #[error("a key of {length} bytes in {area} is above the limit of {MAX_KEY}")]
    KeyTooLarge {
        /// The area's name.
        area: &'static str,
        /// Bytes.
        length: usize,
    },
    /// A value above the limit.
    #[error("a value of {length} bytes in {area} is above the limit of {MAX_VALUE}; store it in parts")]
    ValueTooLarge {
        /// The area's name.
        area: &'static str,
        /// Bytes.
        length: usize,
    },
    /// Another process has the directory open.
    #[error("{} is in use: two nodes cannot use one directory; stop the other node or give this one its own", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory was written by a newer version of the node.
    #[error("{} has schema {found}, this node knows up to {supported}: upgrade the node, or restore a backup that it wrote", dir.display())]
    SchemaNewer {
        /// The directory.
        dir: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        supported: u32,
    },
    /// The disk is nearly full; only protective batches are written. Nothing of this batch was.
    #[error("{} has {free} bytes free, {reserve} are kept for withdrawals and purges: make room, writing resumes by itself", dir.display())]
    DiskReserve {
        /// The directory.
        dir: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes kept back.
        reserve: u64,
    },
    /// The journal failed. For a commit the outcome is unknown unless [`StoreError::outcome_unknown`] says otherwise.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The view under the directory is not to be trusted; the journal is. For a commit the outcome is unknown.
    #[error("{}: {what}; nothing is lost: restart the node, it checks the view and rebuilds it from the journal", dir.display())]
    ViewDamaged {
        /// The view's directory.
        dir: PathBuf,
        /// What was seen, without contents.
        what: String,
    },
    /// A fresh view could not be built from the journal.
    #[error("{}: the view cannot be built: {what}; check space, permissions and the disk, then start again", dir.display())]
    ViewUnbuildable {
        /// The view's directory.
        dir: PathBuf,
        /// What was seen, without contents.
        what: String,
    },
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The store is closing or its reader threads are gone. For a commit the outcome is unknown.
    #[error("the store is closed; start the node again")]
    Closed,
}

impl StoreError {
    /// Whether a commit that returned this error may nevertheless have happened (it then is in the journal and
    /// will be seen after a restart).
    pub const fn outcome_unknown(&self) -> bool {
        match self {
            Self::BatchTooLarge { .. }
            | Self::KeyTooLarge { .. }
            | Self::ValueTooLarge { .. }
            | Self::Locked { .. }
            | Self::SchemaNewer { .. }
            | Self::DiskReserve { .. } => false,
            Self::Journal(error) => error.outcome_unknown(),
            Self::ViewDamaged { .. } | Self::ViewUnbuildable { .. } | Self::Io { .. } | Self::Closed => true,
        }
    }
}

impl Coded for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::BatchTooLarge { .. } => Code::new("BATCH_TOO_LARGE"),
            Self::KeyTooLarge { .. } => Code::new("STORE_KEY_TOO_LARGE"),
            Self::ValueTooLarge { .. } => Code::new("STORE_VALUE_TOO_LARGE"),
            Self::Locked { .. } => Code::new("STORE_LOCKED"),
            Self::SchemaNewer { .. } => Code::new("STORE_SCHEMA_NEWER"),
            Self::DiskReserve { .. } => Code::new("DISK_RESERVE"),
            Self::Journal(error) => error.code(),
            Self::ViewDamaged { .. } => Code::new("VIEW_DAMAGED"),
            Self::ViewUnbuildable { .. } => Code::new("VIEW_UNBUILDABLE"),
            Self::Io { .. } => Code::new("STORE_IO"),
            Self::Closed => Code::new("STORE_CLOSED"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::BatchTooLarge { .. } | Self::KeyTooLarge { .. } | Self::ValueTooLarge { .. } => Fault::Caller,
            Self::Journal(error) => error.fault(),
            _ => Fault::Ourselves,
        }
    }
}
