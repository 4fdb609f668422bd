//! Errors of the journal. Texts name the file, the offset and the remedy, never a record's content.

use std::io;
use std::path::PathBuf;

use eads_domain::code::{Code, Coded, Fault};

use super::MAX_RECORD;
use crate::lock::LockError;

/// Why the journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Bytes that were acknowledged cannot be read back. The journal never guesses over a hole.
    #[error("{} is damaged at offset {offset}: {reason}; {remedy}", file.display())]
    Damaged {
        /// The file (for a missing one, its name as it should be).
        file: PathBuf,
        /// Bytes from its start.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
        /// What a person can do.
        remedy: &'static str,
    },
    /// The file's format is newer than this program.
    #[error("{} has journal format {found}, this node knows up to {supported}: upgrade the node", file.display())]
    FormatNewer {
        /// The file.
        file: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        supported: u32,
    },
    /// The records' schema is newer than this program.
    #[error("{} has schema {found}, this node knows up to {supported}: upgrade the node", file.display())]
    SchemaNewer {
        /// The file.
        file: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        supported: u32,
    },
    /// The file belongs to another journal.
    #[error("{} is not a file of the journal \"{expected}\": put back the right directory", file.display())]
    WrongLabel {
        /// The file.
        file: PathBuf,
        /// The label of the journal that was opened.
        expected: String,
    },
    /// Records that were asked for are in a snapshot now and no more in the journal.
    #[error(
        "the records from {from} on are no more in the journal: a snapshot stands for those up to {base}; read its rows, then go on from there"
    )]
    Compacted {
        /// The first record that was asked for.
        from: u64,
        /// The last record that the snapshot stands for.
        base: u64,
    },
    /// A record above the limit. Nothing was written.
    #[error("a record of {length} bytes is above the journal's limit of {MAX_RECORD}")]
    RecordTooLarge {
        /// Bytes.
        length: usize,
    },
    /// The next segment cannot be prepared, mostly for want of room. Nothing was written; the next append tries again.
    #[error("cannot prepare the next journal file in {}: {source}; make room, writing resumes by itself", dir.display())]
    NoRoom {
        /// The journal's directory.
        dir: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// A write or a sync failed. What the device holds is unknown, so that nothing is written any more. The outcome
    /// of appends under way is unknown; later ones are not written.
    #[error("{}: the journal stopped: {reason}; check the disk and restart the node", file.display())]
    Stopped {
        /// The file.
        file: PathBuf,
        /// What failed.
        reason: String,
    },
    /// Another process or another journal object has the directory open.
    #[error("{} is in use: two nodes cannot use one directory; stop the other node or give this one its own", dir.display())]
    Locked {
        /// The directory.
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
        source: io::Error,
    },
    /// The journal was closed. The outcome of an append under way is unknown.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    /// Whether an append that returned this error may nevertheless be in the journal.
    pub const fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Stopped { .. } | Self::Closed | Self::Io { .. })
    }
}

/// Out of file handles is no want of room on the disk.
fn no_room_code(source: &io::Error) -> Code {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match source.raw_os_error() {
        Some(ENFILE | EMFILE) => Code::new("OUT_OF_FILE_HANDLES"),
        _ => Code::new("JOURNAL_NO_ROOM"),
    }
}

impl Coded for JournalError {
    fn code(&self) -> Code {
        match self {
            Self::Damaged { .. } => Code::new("JOURNAL_DAMAGED"),
            Self::FormatNewer { .. } => Code::new("JOURNAL_FORMAT_NEWER"),
            Self::SchemaNewer { .. } => Code::new("STORE_SCHEMA_NEWER"),
            Self::WrongLabel { .. } => Code::new("JOURNAL_WRONG"),
            Self::Compacted { .. } => Code::new("CHANGES_COMPACTED"),
            Self::RecordTooLarge { .. } => Code::new("JOURNAL_RECORD_TOO_LARGE"),
            Self::NoRoom { source, .. } => no_room_code(source),
            Self::Stopped { .. } => Code::new("JOURNAL_STOPPED"),
            Self::Locked { .. } => Code::new("STORE_LOCKED"),
            Self::Io { .. } => Code::new("JOURNAL_IO"),
            Self::Closed => Code::new("JOURNAL_CLOSED"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::RecordTooLarge { .. } | Self::Compacted { .. } => Fault::Caller,
            _ => Fault::Ourselves,
        }
    }
}

impl From<LockError> for JournalError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy { dir } => Self::Locked { dir },
            LockError::Io { action, path, source } => Self::Io { action, path, source },
        }
    }
}
