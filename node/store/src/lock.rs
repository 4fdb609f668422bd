//! One directory, one process: an advisory lock on `<dir>/lock`, released by the system when its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// A held lock; dropping it releases the directory.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why the lock was not granted.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone else holds it.
    #[error("{} is in use: two nodes cannot use one directory", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// The lock file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Locks `dir`, which must exist.
    ///
    /// # Errors
    /// [`LockError::Busy`] at once if it is held, also by this process; never waits.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| LockError::Io { action: "create", path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Busy { dir: dir.to_path_buf() }),
            Err(TryLockError::Error(source)) => Err(LockError::Io { action: "lock", path, source }),
        }
    }
}

impl From<LockError> for StoreError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Busy { dir } => Self::Locked { dir },
            LockError::Io { action, path, source } => Self::Io { action, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_and_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(dir.path()).unwrap();
        let Err(LockError::Busy { dir: named }) = DirectoryLock::acquire(dir.path()) else { panic!("locked twice") };
        assert_eq!(named, dir.path());
        drop(first);
        assert!(DirectoryLock::acquire(dir.path()).is_ok());
    }
}
