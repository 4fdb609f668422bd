//! The mark of a clean end: the view is whole and was left alone since, so that it need not be read to open it.
//!
//! ```text
//! file        = "EADSVIEW" | u32 format=1 | fingerprint[32] | watermark as in the view
//! fingerprint = SHA-256(PAE("eads/v1/view-files", (name, u64 length, i64 mtime seconds, i64 nanoseconds)*))
//! ```
//! It is written after the view was closed and synced, and removed, durably, before the view is opened again. A view
//! without it, or with other files than it names, is read and counted at open. What a failing medium changes in between
//! is found where it is read (each row has a checksum) or by a check.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use eads_domain::encode::sha256_pae;

use super::places::files;
use super::rows::Watermark;
use super::{io_error, sync_directory};
use crate::error::StoreError;

const MAGIC: &[u8; 12] = b"EADSVIEW\0\0\0\x01";

/// What the last run left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CleanMark {
    fingerprint: [u8; 32],
    mark: Watermark,
}

fn path(store: &Path) -> PathBuf {
    store.join("view.clean")
}

impl CleanMark {
    /// Reads the mark and removes it; `None` if there is none that can be trusted.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it cannot be removed: it would vouch for what this run writes.
    pub(super) fn take(store: &Path) -> Result<Option<Self>, StoreError> {
        let file = path(store);
        let Ok(bytes) = fs::read(&file) else {
            return if file.exists() { Self::remove(store).map(|()| None) } else { Ok(None) };
        };
        Self::remove(store)?;
        Ok(Self::decode(&bytes))
    }

    fn remove(store: &Path) -> Result<(), StoreError> {
        fs::remove_file(path(store)).map_err(|source| io_error("remove", &path(store), source))?;
        sync_directory(store).map_err(|source| io_error("sync", store, source))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (fingerprint, mark) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        Some(Self { fingerprint: *fingerprint, mark: Watermark::decode(mark).ok()? })
    }

    /// Whether the files in `dir` are those that were left. Asked before anything opens them.
    pub(super) fn is_of(&self, dir: &Path) -> bool {
        self.fingerprint == fingerprint(dir)
    }

    /// Whether the view was at `mark` then.
    pub(super) fn vouches(&self, mark: &Watermark) -> bool {
        self.mark == *mark
    }

    /// Vouches for the closed view in `dir`.
    pub(super) fn write(store: &Path, dir: &Path, mark: &Watermark) -> Result<(), StoreError> {
        for (file, _) in files(dir) {
            let synced = File::open(&file).and_then(|file| file.sync_all());
            synced.map_err(|source| io_error("sync", &file, source))?;
        }
        sync_directory(dir).map_err(|source| io_error("sync", dir, source))?;
        let bytes = [&MAGIC[..], &fingerprint(dir), &mark.encode()].concat();
        let file = path(store);
        let written = File::create(&file).and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        written.map_err(|source| io_error("write", &file, source))?;
        sync_directory(store).map_err(|source| io_error("sync", store, source))
    }
}

fn fingerprint(dir: &Path) -> [u8; 32] {
    let mut parts = vec![b"eads/v1/view-files".to_vec()];
    for (file, metadata) in files(dir) {
        parts.push(file.strip_prefix(dir).unwrap_or(&file).as_os_str().as_encoded_bytes().to_vec());
        parts.push(metadata.len().to_be_bytes().to_vec());
        parts.push(metadata.mtime().to_be_bytes().to_vec());
        parts.push(metadata.mtime_nsec().to_be_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    *sha256_pae(&parts).as_bytes()
}
