//! Errors of the storage port. Texts name files, offsets and remedies, never keys or values.

use std::path::PathBuf;

use eads_domain::code::{Code, Coded, Fault};

use crate::ballast::is_full;
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
    /// The disk refused what the view wanted of it. For a commit the outcome is unknown.
    #[error("{}: {what}; nothing is lost: the view is opened again by itself once the disk allows it", dir.display())]
    ViewUnwritable {
        /// The view's directory.
        dir: PathBuf,
        /// What was seen, without contents.
        what: String,
        /// Whether it was want of room or of file handles, or a disk that is read-only: the files are not to blame.
        passing: bool,
    },
    /// A fresh view could not be built from the journal.
    #[error("{}: the view cannot be built: {what}; check space, permissions and the disk, then start again", dir.display())]
    ViewUnbuildable {
        /// The view's directory.
        dir: PathBuf,
        /// What was seen, without contents.
        what: String,
    },
    /// The snapshot that stands for the beginning of the journal is not what was written.
    #[error("{} is damaged: {reason}; nothing was changed: restore the node's backup, what peers sent is fetched again", file.display())]
    SnapshotDamaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A compaction needs more room than there is. Nothing was changed.
    #[error("compacting needs {needed} bytes, {} has {free} free: make room and try again", dir.display())]
    CompactionNoRoom {
        /// The directory.
        dir: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes needed, the reserve among them.
        needed: u64,
    },
    /// One compaction at a time.
    #[error("a compaction is under way")]
    CompactionRunning,
    /// The compaction was told to end. Nothing was changed.
    #[error("the compaction was stopped before anything was changed")]
    CompactionStopped,
    /// A fresh view does not have the rows of the running one. Nothing was changed.
    #[error("{}: what a fresh view holds differs from the running one, nothing was changed: run `eads-node store check`", dir.display())]
    CompactionDiffers {
        /// The store's directory.
        dir: PathBuf,
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
            | Self::DiskReserve { .. }
            | Self::SnapshotDamaged { .. }
            | Self::CompactionNoRoom { .. }
            | Self::CompactionRunning
            | Self::CompactionStopped
            | Self::CompactionDiffers { .. } => false,
            Self::Journal(error) => error.outcome_unknown(),
            Self::ViewDamaged { .. }
            | Self::ViewUnwritable { .. }
            | Self::ViewUnbuildable { .. }
            | Self::Io { .. }
            | Self::Closed => true,
        }
    }
}

/// Some refusals of the system have remedies of their own.
fn passing_code(source: &std::io::Error) -> Option<Code> {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match source.raw_os_error() {
        Some(ENFILE | EMFILE) => Some(Code::new("OUT_OF_FILE_HANDLES")),
        _ if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => Some(Code::new("DISK_READ_ONLY")),
        _ if is_full(source) => Some(Code::new("DISK_FULL")),
        _ => None,
    }
}

/// Whether a refusal says nothing against the files.
pub(crate) fn is_passing(source: &std::io::Error) -> bool {
    passing_code(source).is_some()
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
            Self::ViewUnwritable { .. } => Code::new("VIEW_UNWRITABLE"),
            Self::ViewUnbuildable { .. } => Code::new("VIEW_UNBUILDABLE"),
            Self::SnapshotDamaged { .. } => Code::new("SNAPSHOT_DAMAGED"),
            Self::CompactionNoRoom { .. } => Code::new("COMPACTION_NO_ROOM"),
            Self::CompactionRunning => Code::new("COMPACTION_RUNNING"),
            Self::CompactionStopped => Code::new("COMPACTION_STOPPED"),
            Self::CompactionDiffers { .. } => Code::new("COMPACTION_DIFFERS"),
            Self::Io { source, .. } => passing_code(source).unwrap_or(Code::new("STORE_IO")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_refuses_for_a_reason_with_a_remedy_has_a_code_of_its_own() {
        for (number, code) in [
            (24, "OUT_OF_FILE_HANDLES"),
            (23, "OUT_OF_FILE_HANDLES"),
            (30, "DISK_READ_ONLY"),
            (28, "DISK_FULL"),
            (5, "STORE_IO"),
        ] {
            let source = std::io::Error::from_raw_os_error(number);
            let error = StoreError::Io { action: "write", path: PathBuf::from("x"), source };
            assert_eq!(error.code().as_str(), code);
        }
    }
}
