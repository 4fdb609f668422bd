//! Chunks: where they lie in a file and what they are bound to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::{BlobError, BlobName, CHUNK_BYTES};
use crate::keys::{KeyError, KeyTree, Opened};

const LABEL: &[u8] = b"eads/v1/blob-chunk";
/// Bytes of plaintext in one chunk.
pub(super) const CHUNK: u32 = CHUNK_BYTES as u32;
/// Bytes of a whole chunk on disk.
const SEALED: u64 = (CHUNK_BYTES + KeyTree::OVERHEAD_BYTES) as u64;

/// The chunks of one file of known length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    name: BlobName,
    len: u32,
}

impl Chunks {
    pub(super) const fn new(name: BlobName, len: u32) -> Self {
        Self { name, len }
    }

    /// The length of the plaintext.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// How many there are; an empty file has one, empty too.
    pub(super) fn count(&self) -> u32 {
        self.len.div_ceil(CHUNK).max(1)
    }

    /// Bytes of plaintext in one of them.
    pub(super) fn plain_of(&self, number: u32) -> u32 {
        self.len.saturating_sub(number.saturating_mul(CHUNK)).min(CHUNK)
    }

    /// Bytes of the whole file on disk.
    pub(super) fn sealed_len(&self) -> u64 {
        u64::from(self.len) + u64::from(self.count()) * KeyTree::OVERHEAD_BYTES as u64
    }

    /// Where one begins in the file.
    pub(super) fn offset(number: u32) -> u64 {
        u64::from(number) * SEALED
    }

    /// Bytes of plaintext in the whole chunks of a file of `size` bytes.
    pub(super) fn plain_len(&self, size: u64) -> u32 {
        if size >= self.sealed_len() {
            return self.len;
        }
        u32::try_from(size / SEALED).unwrap_or(u32::MAX).saturating_mul(CHUNK).min(self.len)
    }

    pub(super) fn seal(&self, keys: &KeyTree, number: u32, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        keys.seal(self.name.key, &[LABEL, &self.name.id, &number.to_be_bytes(), &[self.last(number)]], plaintext)
    }

    /// One chunk of a file, authenticated; none if the key is destroyed.
    pub(super) fn read(
        &self,
        keys: &KeyTree,
        file: &File,
        path: &Path,
        number: u32,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, BlobError> {
        let damaged = || BlobError::Damaged { file: path.to_owned() };
        let mut sealed = vec![0; self.plain_of(number) as usize + KeyTree::OVERHEAD_BYTES];
        match file.read_exact_at(&mut sealed, Self::offset(number)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damaged()),
            other => other.map_err(BlobError::io("read", path))?,
        }
        // A chunk under another key would be one of another file.
        if KeyTree::slot_of(&sealed).ok() != Some(self.name.key) {
            return Err(damaged());
        }
        let aad: [&[u8]; 4] = [LABEL, &self.name.id, &number.to_be_bytes(), &[self.last(number)]];
        match keys.unseal(&aad, &sealed) {
            Ok(Opened::Plain(bytes)) => Ok(Some(bytes)),
            Ok(Opened::Destroyed) => Ok(None),
            Err(KeyError::ValueDamaged) => Err(damaged()),
            Err(error) => Err(error.into()),
        }
    }

    fn last(&self, number: u32) -> u8 {
        u8::from(number + 1 == self.count())
    }
}

/// A plaintext in chunks; an empty one is one empty chunk.
pub(super) fn split(plaintext: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty: Option<&[u8]> = plaintext.is_empty().then_some(&[]);
    empty.into_iter().chain(plaintext.chunks(CHUNK_BYTES))
}

/// A new empty file, for its owner alone.
pub(super) fn create(path: &Path) -> Result<File, BlobError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    options.open(path).map_err(BlobError::io("create", path))
}

/// The file, if there is one.
pub(super) fn open(path: &Path) -> Result<Option<File>, BlobError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BlobError::io("open", path)(error)),
    }
}
