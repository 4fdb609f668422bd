//! A file that comes in pieces, perhaps over days.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use eads_domain::id::Hash;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::file::{self, Chunks};
use super::{BlobError, BlobName, CHUNK_BYTES};
use crate::keys::{KeyError, KeyTree};

/// Chunks after which what was written is synced.
const SYNC_EVERY: u32 = 4;

/// What was fetched of a file so far: whole chunks on disk, and the beginning of the next one in memory.
pub struct Download {
    keys: Arc<KeyTree>,
    path: PathBuf,
    /// None until the first chunk is whole.
    file: Option<File>,
    name: BlobName,
    chunks: Chunks,
    /// Whole chunks on disk.
    written: u32,
    /// Bytes behind them.
    tail: Zeroizing<Vec<u8>>,
    sum: Sha256,
}

impl Download {
    /// Reads back what is on disk. Whatever does not authenticate, and all behind it, is cut off.
    pub(super) fn open(keys: Arc<KeyTree>, path: PathBuf, name: BlobName, len: u32) -> Result<Self, BlobError> {
        let chunks = Chunks::new(name, len);
        let (mut sum, mut written, mut open) = (Sha256::new(), 0, None);
        if let Some(file) = file::open(&path)? {
            while written < chunks.count() {
                match chunks.read(&keys, &file, &path, written) {
                    Ok(Some(bytes)) => sum.update(bytes.as_slice()),
                    Ok(None) => return Err(KeyError::Destroyed { slot: name.key }.into()),
                    Err(BlobError::Damaged { .. }) => break,
                    Err(error) => return Err(error),
                }
                written += 1;
            }
            let file = OpenOptions::new().write(true).open(&path).map_err(BlobError::io("open", &path))?;
            let end = if written == chunks.count() { chunks.sealed_len() } else { Chunks::offset(written) };
            file.set_len(end).map_err(BlobError::io("cut", &path))?;
            open = Some(file);
        }
        Ok(Self { keys, path, file: open, name, chunks, written, tail: Zeroizing::default(), sum })
    }

    /// Which file it becomes.
    pub const fn name(&self) -> BlobName {
        self.name
    }

    /// Bytes of the plaintext so far: the next one wanted has this offset.
    pub fn held(&self) -> u32 {
        if self.written == self.chunks.count() {
            return self.chunks.len();
        }
        self.written * file::CHUNK + u32::try_from(self.tail.len()).unwrap_or(u32::MAX)
    }

    /// Whether every byte is there.
    pub fn is_complete(&self) -> bool {
        self.written == self.chunks.count()
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<(), BlobError> {
        if bytes.len() as u64 > u64::from(self.chunks.len() - self.held()) {
            return Err(BlobError::TooLarge);
        }
        // A chunk that could not be written stays in memory and is written with the next bytes.
        while !self.is_complete() {
            let whole = self.chunks.plain_of(self.written) as usize;
            let (fill, rest) = bytes.split_at(whole.saturating_sub(self.tail.len()).min(bytes.len()));
            self.tail.extend_from_slice(fill);
            bytes = rest;
            if self.tail.len() < whole {
                return Ok(());
            }
            self.write_chunk()?;
        }
        Ok(())
    }

    fn write_chunk(&mut self) -> Result<(), BlobError> {
        let sealed = self.chunks.seal(&self.keys, self.written, &self.tail)?;
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                options.create(true).truncate(false).write(true).mode(0o600);
                options.open(&self.path).map_err(BlobError::io("create", &self.path))?
            }
        };
        let file = self.file.insert(file);
        file.write_all_at(&sealed, Chunks::offset(self.written)).map_err(BlobError::io("write", &self.path))?;
        self.sum.update(self.tail.as_slice());
        self.tail = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES));
        self.written += 1;
        if self.written.is_multiple_of(SYNC_EVERY) {
            file.sync_data().map_err(BlobError::io("sync", &self.path))?;
        }
        Ok(())
    }

    /// Whether it is whole and the very one; then it is durable, though not under its name yet.
    pub(super) fn finish(mut self, sha256: &Hash) -> Result<bool, BlobError> {
        // The one chunk of an empty file.
        self.append(&[])?;
        if !self.is_complete() || Hash::from_bytes(self.sum.clone().finalize().into()) != *sha256 {
            return Ok(false);
        }
        if let Some(file) = &self.file {
            file.sync_all().map_err(BlobError::io("sync", &self.path))?;
        }
        Ok(true)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({}, {} of {} bytes)", self.name.key, self.held(), self.chunks.len())
    }
}
