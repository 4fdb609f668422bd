//! The few file operations under the key tree, each with what it promises across a power cut.
//!
//! The tree's safety is an argument about the order of these operations, so they are a port: tests replace the
//! directory by a model that loses, tears and reorders whatever was not yet promised.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::KeyError;

/// No file of a tree is larger: a table of this size names 1.5 million buckets, or 1.5 thousand million keys.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The directory that holds a key tree.
pub(super) trait Disk: Send + Sync + fmt::Debug {
    /// Where the file `name` lies, for messages.
    fn path(&self, name: &str) -> PathBuf;

    /// The names of all files.
    fn names(&self) -> Result<Vec<String>, KeyError>;

    /// The whole file, or `None` if there is none of that name.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, KeyError>;

    /// Writes a whole file. When this returns the content is durable; the name is after [`Disk::sync_names`] only.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), KeyError>;

    /// Writes over a part of an existing file, in place. Durable when this returns; a power cut before that
    /// leaves the part old, new or torn, and the rest of the file alone.
    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), KeyError>;

    /// Removes a file; a name that is not there is no error. Durable after [`Disk::sync_names`] only.
    fn remove(&self, name: &str) -> Result<(), KeyError>;

    /// Makes every earlier creation and removal durable.
    fn sync_names(&self) -> Result<(), KeyError>;
}

/// A real directory, held under a lock for as long as this value lives.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
    /// Held open, so that syncing names wants no file handle.
    names: File,
    /// The files that are written in place, open since the first time: a purge that has begun must not end for want of
    /// a file handle.
    in_place: Mutex<BTreeMap<String, File>>,
}

impl Directory {
    const LOCK: &'static str = "lock";

    /// Makes the directory, for its owner alone, and locks it.
    pub(super) fn create(path: &Path) -> Result<Self, KeyError> {
        let io = |action| io_error(action, path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("create the directory"))?;
        if fs::read_dir(path).map_err(io("list"))?.next().is_some() {
            return Err(KeyError::Exists { path: path.to_owned() });
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|dir| dir.sync_all()).map_err(io_error("sync", parent))?;
        }
        Self::lock(path)
    }

    /// Locks a directory that exists.
    pub(super) fn open(path: &Path) -> Result<Self, KeyError> {
        if path.is_dir() { Self::lock(path) } else { Err(KeyError::Missing { path: path.to_owned() }) }
    }

    fn lock(path: &Path) -> Result<Self, KeyError> {
        let file = path.join(Self::LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&file)
            .map_err(io_error("open", &file))?;
        match lock.try_lock() {
            Ok(()) => {
                let names = File::open(path).map_err(io_error("open", path))?;
                Ok(Self { path: path.to_owned(), _lock: lock, names, in_place: Mutex::default() })
            }
            Err(TryLockError::WouldBlock) => Err(KeyError::Locked { path: file }),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &file)(source)),
        }
    }
}

impl Disk for Directory {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn names(&self) -> Result<Vec<String>, KeyError> {
        let entries = fs::read_dir(&self.path).map_err(io_error("list", &self.path))?;
        entries
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_, _>>()
            .map_err(io_error("list", &self.path))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, KeyError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("open", &path)(source)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(io_error("read", &path))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(KeyError::Damaged { file: path, what: "larger than any file of a key tree" });
        }
        Ok(Some(bytes))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), KeyError> {
        let path = self.path(name);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("create", &path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error("write", &path))
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), KeyError> {
        let path = self.path(name);
        let mut open = self.in_place.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match open.entry(name.to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => {
                none.insert(OpenOptions::new().write(true).open(&path).map_err(io_error("open", &path))?)
            }
        };
        file.write_all_at(bytes, offset).and_then(|()| file.sync_data()).map_err(io_error("write", &path))
    }

    fn remove(&self, name: &str) -> Result<(), KeyError> {
        let path = self.path(name);
        self.in_place.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &path)(source)),
            _ => Ok(()),
        }
    }

    fn sync_names(&self) -> Result<(), KeyError> {
        self.names.sync_all().map_err(io_error("sync", &self.path))
    }
}

fn io_error(action: &'static str, file: &Path) -> impl Fn(io::Error) -> KeyError {
    let file = file.to_owned();
    move |source| KeyError::Io { action, file: file.clone(), source }
}
