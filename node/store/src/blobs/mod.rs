//! Sealed files: photographs and whatever else is too large for a row (PROTOCOL §6).
//!
//! ```text
//! <dir>/blobs/<key>       a whole file; <key> is the number of its data key, twelve hexadecimal digits
//! <dir>/blobs/<key>.part  one that is still being fetched: whole chunks from the first on
//! <dir>/blobs/<key>.new   one that is being written: of no use after a crash
//! file = sealed(64 KiB of plaintext)* ‖ sealed(the rest)
//! AAD  = PAE("eads/v1/blob-chunk", id[16], u32 chunk number, u8 last)
//! ```
//!
//! **Promises.** A file appears under its name whole and durable, before anything names it, or not at all. Each has
//! a data key of its own, so that it is destroyed alone; the associated data keep chunks in their place, in their
//! number, and in the file of their id. What was fetched survives a crash in whole chunks: each is authenticated
//! when the fetching goes on, and what a power cut left torn is fetched again.
//!
//! **Not promised.** Lengths stand in the clear, to within a chunk's overhead. Removing a file is not destroying
//! it: that is its key's end, in the key tree.
//!
//! Everything here blocks on files; callers on a runtime use a blocking thread.

mod download;
mod error;
mod file;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

pub use download::Download;
pub use error::BlobError;
use file::Chunks;

use crate::journal::sync_directory;
use crate::keys::{KeySlot, KeyTree};
use crate::reserve::{DEFAULT_RESERVE_BYTES, FileSystem, FreeSpace, Reserve};

/// Bytes of plaintext in one chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// The directory under the node's.
pub const DIRECTORY: &str = "blobs";

const PART: &str = "part";
const NEW: &str = "new";

/// Which file: by its data key here, and by the id that everybody calls it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobName {
    /// Its data key, which names the file.
    pub key: KeySlot,
    /// The random id of the statement's value; bound into every chunk.
    pub id: [u8; 16],
}

/// The sealed files of one node.
pub struct BlobStore {
    dir: PathBuf,
    keys: Arc<KeyTree>,
    reserve: Reserve,
}

impl BlobStore {
    /// The files under `<dir>/blobs`, which is made if need be; [`DEFAULT_RESERVE_BYTES`] of the disk stay free.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub fn open(dir: &Path, keys: Arc<KeyTree>) -> Result<Self, BlobError> {
        Self::open_with(dir, keys, DEFAULT_RESERVE_BYTES, Arc::new(FileSystem))
    }

    /// [`BlobStore::open`] with another reserve and source of the free space.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub fn open_with(
        dir: &Path,
        keys: Arc<KeyTree>,
        reserve_bytes: u64,
        free_space: Arc<dyn FreeSpace>,
    ) -> Result<Self, BlobError> {
        let blobs = dir.join(DIRECTORY);
        if !blobs.is_dir() {
            DirBuilder::new().mode(0o700).create(&blobs).map_err(BlobError::io("create", &blobs))?;
            sync_directory(dir).map_err(BlobError::io("sync", dir))?;
        }
        let reserve = Reserve::new(&blobs, reserve_bytes, free_space);
        Ok(Self { dir: blobs, keys, reserve })
    }

    /// Writes a whole file. When this returns it is durable under its name, and may be named by a commit.
    ///
    /// # Errors
    /// [`BlobError::Store`] with `DISK_RESERVE` or `STORE_IO`, [`BlobError::Keys`], [`BlobError::TooLarge`];
    /// nothing is left behind then.
    pub fn write(&self, name: &BlobName, plaintext: &[u8]) -> Result<(), BlobError> {
        let len = u32::try_from(plaintext.len()).map_err(|_| BlobError::TooLarge)?;
        self.reserve.admit(u64::from(len), false)?;
        let new = self.path(name.key, Some(NEW));
        let written = self.write_new(name, len, plaintext, &new).and_then(|()| self.appear(name.key, &new));
        if written.is_err() {
            // The error that matters is the first one; a neighbour that stays is removed at the next start.
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn write_new(&self, name: &BlobName, len: u32, plaintext: &[u8], path: &Path) -> Result<(), BlobError> {
        use std::io::Write as _;
        let chunks = Chunks::new(*name, len);
        let mut file = file::create(path)?;
        for (number, bytes) in (0u32..).zip(file::split(plaintext)) {
            let sealed = chunks.seal(&self.keys, number, bytes)?;
            file.write_all(&sealed).map_err(BlobError::io("write", path))?;
        }
        file.sync_all().map_err(BlobError::io("sync", path))
    }

    /// Gives a durable neighbour its name.
    fn appear(&self, key: KeySlot, neighbour: &Path) -> Result<(), BlobError> {
        let path = self.path(key, None);
        fs::rename(neighbour, &path).map_err(BlobError::io("rename", neighbour))?;
        sync_directory(&self.dir).map_err(BlobError::io("sync", &self.dir))
    }

    /// A range of the plaintext of a whole file of `len` bytes; what lies behind its end is cut off. None if there
    /// is no such file, or its key is destroyed.
    ///
    /// # Errors
    /// [`BlobError::Damaged`], [`BlobError::Store`], [`BlobError::Keys`].
    pub fn read(&self, name: &BlobName, len: u32, range: Range<u32>) -> Result<Option<Zeroizing<Vec<u8>>>, BlobError> {
        let path = self.path(name.key, None);
        let Some(file) = file::open(&path)? else { return Ok(None) };
        let chunks = Chunks::new(*name, len);
        if file.metadata().map_err(BlobError::io("read", &path))?.len() != chunks.sealed_len() {
            return Err(BlobError::Damaged { file: path });
        }
        let (from, to) = (range.start.min(len), range.end.min(len));
        let mut plaintext = Zeroizing::new(Vec::with_capacity(usize::try_from(to.saturating_sub(from)).unwrap_or(0)));
        let mut at = from;
        while at < to {
            let number = at / file::CHUNK;
            let Some(bytes) = chunks.read(&self.keys, &file, &path, number)? else { return Ok(None) };
            let start = number * file::CHUNK;
            let (skip, end) = ((at - start) as usize, (to - start) as usize);
            let wanted = bytes.get(skip..end.min(bytes.len())).unwrap_or_default();
            if wanted.is_empty() {
                return Err(BlobError::Damaged { file: path });
            }
            plaintext.extend_from_slice(wanted);
            at += u32::try_from(wanted.len()).unwrap_or(u32::MAX - at);
        }
        Ok(Some(plaintext))
    }

    /// Whether the whole file is here.
    pub fn is_whole(&self, key: KeySlot) -> bool {
        self.path(key, None).is_file()
    }

    /// Bytes of the plaintext that are here, whole or in part, by the length of the file.
    pub fn held(&self, name: &BlobName, len: u32) -> u32 {
        if self.is_whole(name.key) {
            return len;
        }
        let size = fs::metadata(self.path(name.key, Some(PART))).map_or(0, |meta| meta.len());
        Chunks::new(*name, len).plain_len(size)
    }

    /// Goes on with what was fetched so far of a file of `len` bytes. Reads and authenticates all of that.
    ///
    /// # Errors
    /// [`BlobError::Store`], [`BlobError::Keys`].
    pub fn download(&self, name: BlobName, len: u32) -> Result<Download, BlobError> {
        Download::open(Arc::clone(&self.keys), self.path(name.key, Some(PART)), name, len)
    }

    /// Takes the next bytes of a download. What fills a chunk is sealed and written; every 256 KiB is synced.
    ///
    /// # Errors
    /// [`BlobError::Store`] with `DISK_RESERVE` or `STORE_IO`, [`BlobError::Keys`] once the key is destroyed,
    /// [`BlobError::TooLarge`] for more than the whole file.
    pub fn append(&self, download: &mut Download, bytes: &[u8]) -> Result<(), BlobError> {
        self.reserve.admit(bytes.len() as u64, false)?;
        download.append(bytes)
    }

    /// Ends a download: if all of it is there and its SHA-256 is `sha256`, it is durable under its name when this
    /// returns `true`. Otherwise what was fetched is removed.
    ///
    /// # Errors
    /// [`BlobError::Store`], [`BlobError::Keys`].
    pub fn finish(&self, download: Download, sha256: &eads_domain::id::Hash) -> Result<bool, BlobError> {
        let key = download.name().key;
        match download.finish(sha256)? {
            true => self.appear(key, &self.path(key, Some(PART))).map(|()| true),
            false => self.remove(&[key]).map(|()| false),
        }
    }

    /// Removes files, whole or in part; those that are not there are no error. Durable when this returns.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub fn remove(&self, keys: &[KeySlot]) -> Result<(), BlobError> {
        let mut removed = false;
        for key in keys {
            // What is still being written first: it cannot take its name any more then.
            for suffix in [Some(NEW), Some(PART), None] {
                removed |= self.remove_file(&self.path(*key, suffix))?;
            }
        }
        if removed {
            sync_directory(&self.dir).map_err(BlobError::io("sync", &self.dir))?;
        }
        Ok(())
    }

    /// Removes every file that is not one of a key that `known` knows, and what was being written when the node
    /// died. To be called before anything else is. Returns how many went.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub fn sweep(&self, known: impl Fn(KeySlot) -> bool) -> Result<usize, BlobError> {
        let mut removed = 0;
        let listed = BlobError::io("list", &self.dir);
        for entry in fs::read_dir(&self.dir).map_err(&listed)? {
            let entry = entry.map_err(&listed)?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let (stem, suffix) = name.split_once('.').unwrap_or((name, ""));
            let stays = key_of(stem).is_some_and(&known) && matches!(suffix, "" | PART);
            if !stays && self.remove_file(&entry.path())? {
                removed += 1;
            }
        }
        if removed > 0 {
            sync_directory(&self.dir).map_err(BlobError::io("sync", &self.dir))?;
        }
        Ok(removed)
    }

    /// Every whole file with its length on disk, in no order: for those who check or copy the store.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub fn list(&self) -> Result<Vec<(KeySlot, u64)>, BlobError> {
        let listed = BlobError::io("list", &self.dir);
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(&listed)? {
            let entry = entry.map_err(&listed)?;
            if let Some(key) = entry.file_name().to_str().and_then(key_of) {
                all.push((key, entry.metadata().map_err(&listed)?.len()));
            }
        }
        Ok(all)
    }

    fn remove_file(&self, path: &Path) -> Result<bool, BlobError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BlobError::io("remove", path)(error)),
        }
    }

    fn path(&self, key: KeySlot, suffix: Option<&str>) -> PathBuf {
        let digits: String = key.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(match suffix {
            Some(suffix) => format!("{digits}.{suffix}"),
            None => digits,
        })
    }
}

/// The key that a file is named by.
fn key_of(stem: &str) -> Option<KeySlot> {
    if stem.len() != 2 * KeySlot::BYTES || !stem.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u64::from_str_radix(stem, 16).ok()?;
    let [_, _, key @ ..] = number.to_be_bytes();
    Some(KeySlot::from_bytes(key))
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}
