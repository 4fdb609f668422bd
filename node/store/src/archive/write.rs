//! Writing an archive.

use std::io::Write;
use std::sync::Arc;

use eads_domain::encode::sha256;
use eads_domain::entropy::Entropy;
use eads_domain::id::Hash;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::ArchiveError;
use super::key::ArchiveKey;
use super::{CHUNK, FORMAT, MAGIC, MAX_BODY, MAX_HEADER, aad};
use crate::keys::aead;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the file.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
    /// The hash at its end.
    pub sha256: Hash,
}

/// An archive in the making: unreadable until [`ArchiveWriter::finish`].
pub struct ArchiveWriter<W> {
    out: Hashed<W>,
    key: ArchiveKey,
    head: Hash,
    chunks: u64,
    records: u64,
    plain: Zeroizing<Vec<u8>>,
    entropy: Arc<dyn Entropy>,
}

struct Hashed<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(self.out.write_all(bytes)?)
    }
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive under a key that seals nothing else. `header` stands in the clear.
    ///
    /// # Errors
    /// [`ArchiveError::TooLong`], [`ArchiveError::Io`].
    pub fn new(out: W, key: ArchiveKey, header: &[u8], entropy: Arc<dyn Entropy>) -> Result<Self, ArchiveError> {
        let too_long = || ArchiveError::TooLong { length: header.len() };
        let length = u32::try_from(header.len()).ok().filter(|_| header.len() <= MAX_HEADER).ok_or_else(too_long)?;
        let head = [MAGIC.as_slice(), &FORMAT.to_be_bytes(), &key.id(), &length.to_be_bytes(), header].concat();
        let mut out = Hashed { out, hash: Sha256::new(), bytes: 0 };
        out.write(&head)?;
        let plain = Zeroizing::new(Vec::with_capacity(2 * CHUNK));
        Ok(Self { out, key, head: sha256(&head), chunks: 0, records: 0, plain, entropy })
    }

    /// Adds a record whose body is `parts` one after the other.
    ///
    /// # Errors
    /// [`ArchiveError::TooLong`], [`ArchiveError::Io`].
    pub fn record(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), ArchiveError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let too_long = || ArchiveError::TooLong { length };
        let stated = u32::try_from(length).ok().filter(|_| length <= MAX_BODY).ok_or_else(too_long)?;
        self.plain.push(kind);
        self.plain.extend_from_slice(&stated.to_be_bytes());
        for part in parts {
            self.plain.extend_from_slice(part);
        }
        self.records += 1;
        while self.plain.len() > CHUNK {
            self.chunk(CHUNK, 0)?;
        }
        Ok(())
    }

    /// Bytes written so far.
    pub const fn bytes(&self) -> u64 {
        self.out.bytes
    }

    /// Ends the archive and hands the file back, flushed and not yet synced.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn finish(mut self) -> Result<(W, Written), ArchiveError> {
        self.chunk(self.plain.len(), 1)?;
        let Hashed { mut out, hash, bytes } = self.out;
        let digest: [u8; 32] = hash.finalize().into();
        out.write_all(&digest)?;
        out.flush()?;
        let written = Written { bytes: bytes + 32, records: self.records, sha256: Hash::from_bytes(digest) };
        Ok((out, written))
    }

    fn chunk(&mut self, length: usize, last: u8) -> Result<(), ArchiveError> {
        let aad = aad(&self.head, self.chunks, last);
        let plain = self.plain.get(..length).unwrap_or_default();
        let sealed = aead::seal(self.key.secret(), &aad, plain, &*self.entropy);
        let sealed = sealed.ok_or(ArchiveError::TooLong { length })?;
        let stated = u32::try_from(sealed.len()).map_err(|_| ArchiveError::TooLong { length })?;
        self.out.write(&[last])?;
        self.out.write(&stated.to_be_bytes())?;
        self.out.write(&sealed)?;
        self.chunks += 1;
        self.plain.drain(..length);
        Ok(())
    }
}
