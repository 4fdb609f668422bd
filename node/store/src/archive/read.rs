//! Reading an archive.

use std::io::{self, Read};

use eads_domain::encode::sha256;
use eads_domain::id::Hash;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::error::ArchiveError;
use super::key::ArchiveKey;
use super::write::Written;
use super::{CHUNK, FORMAT, MAGIC, MAX_BODY, MAX_HEADER, aad};
use crate::keys::aead::{self, NONCE_BYTES, TAG_BYTES};

const RECORD_HEAD: usize = 5;

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Its kind, which the writer gave it.
    pub kind: u8,
    /// Its body. Wiped when dropped.
    pub body: Zeroizing<Vec<u8>>,
}

/// An archive that is being read. What it gives was written so; whether it is whole is known when it has given
/// everything.
pub struct ArchiveReader<R> {
    input: Hashed<R>,
    header: Vec<u8>,
    key: [u8; 16],
    secret: Option<ArchiveKey>,
    head: Hash,
    chunks: u64,
    records: u64,
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

struct Hashed<R> {
    input: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<(), ArchiveError> {
        fill(&mut self.input, into)?;
        self.hash.update(&*into);
        self.bytes += into.len() as u64;
        Ok(())
    }
}

fn fill(input: &mut impl Read, into: &mut [u8]) -> Result<(), ArchiveError> {
    input.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Truncated,
        _ => ArchiveError::Io(error),
    })
}

impl<R: Read> ArchiveReader<R> {
    /// Reads what stands in the clear.
    ///
    /// # Errors
    /// [`ArchiveError::Unknown`], [`ArchiveError::Newer`], [`ArchiveError::Truncated`], [`ArchiveError::Io`].
    pub fn open(input: R) -> Result<Self, ArchiveError> {
        let unknown = || ArchiveError::Unknown { expected: "a backup" };
        let mut input = Hashed { input, hash: Sha256::new(), bytes: 0 };
        let mut magic = [0; 8];
        input
            .read(&mut magic)
            .map_err(|error| if matches!(error, ArchiveError::Truncated) { unknown() } else { error })?;
        if &magic != MAGIC {
            return Err(unknown());
        }
        let mut format = [0; 2];
        input.read(&mut format)?;
        let format = u16::from_be_bytes(format);
        if format != FORMAT {
            return Err(ArchiveError::Newer { format });
        }
        let (mut key, mut length) = ([0; 16], [0; 4]);
        input.read(&mut key)?;
        input.read(&mut length)?;
        let stated = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if stated > MAX_HEADER {
            return Err(ArchiveError::Damaged { what: "its header" });
        }
        let mut header = vec![0; stated];
        input.read(&mut header)?;
        let head = [magic.as_slice(), &FORMAT.to_be_bytes(), &key, &length, &header].concat();
        Ok(Self {
            input,
            header,
            key,
            secret: None,
            head: sha256(&head),
            chunks: 0,
            records: 0,
            plain: Zeroizing::default(),
            at: 0,
            ended: false,
        })
    }

    /// What stands in the clear; true only if the archive opens.
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// Which key opens it.
    pub const fn key_id(&self) -> [u8; 16] {
        self.key
    }

    /// Takes the key.
    ///
    /// # Errors
    /// [`ArchiveError::KeyWrong`] for another archive's.
    pub fn unlock(&mut self, key: ArchiveKey) -> Result<(), ArchiveError> {
        if key.id() != self.key {
            return Err(ArchiveError::KeyWrong);
        }
        self.secret = Some(key);
        Ok(())
    }

    /// The next record; none at the end, and then the whole file has proved intact.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`], [`ArchiveError::Truncated`], [`ArchiveError::KeyWrong`] without a key,
    /// [`ArchiveError::Io`].
    pub fn next_record(&mut self) -> Result<Option<Record>, ArchiveError> {
        while self.left() < RECORD_HEAD {
            if !self.chunk()? {
                return if self.left() == 0 { Ok(None) } else { Err(damaged("a record is cut off")) };
            }
        }
        let head = self.plain.get(self.at..).and_then(|rest| rest.first_chunk::<RECORD_HEAD>().copied());
        let Some([kind, l0, l1, l2, l3]) = head else { return Err(damaged("a record is cut off")) };
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if length > MAX_BODY {
            return Err(damaged("a record is too long"));
        }
        while self.left() < RECORD_HEAD + length {
            if !self.chunk()? {
                return Err(damaged("a record is cut off"));
            }
        }
        let start = self.at + RECORD_HEAD;
        let body = self.plain.get(start..start + length).unwrap_or_default().to_vec();
        self.at = start + length;
        self.records += 1;
        Ok(Some(Record { kind, body: Zeroizing::new(body) }))
    }

    /// What the whole file was, once [`ArchiveReader::next_record`] has given its last record.
    pub fn totals(&self) -> Written {
        let digest: [u8; 32] = self.input.hash.clone().finalize().into();
        Written { bytes: self.input.bytes + 32, records: self.records, sha256: Hash::from_bytes(digest) }
    }

    fn left(&self) -> usize {
        self.plain.len().saturating_sub(self.at)
    }

    /// Opens the next chunk behind what is left; `false` behind the last.
    fn chunk(&mut self) -> Result<bool, ArchiveError> {
        if self.ended {
            return Ok(false);
        }
        let secret = self.secret.as_ref().ok_or(ArchiveError::KeyWrong)?;
        let (mut last, mut length) = ([0; 1], [0; 4]);
        self.input.read(&mut last)?;
        self.input.read(&mut length)?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > CHUNK + NONCE_BYTES + TAG_BYTES {
            return Err(damaged("a chunk is too long"));
        }
        let mut sealed = vec![0; length];
        self.input.read(&mut sealed)?;
        let plain = aead::unseal(secret.secret(), &aad(&self.head, self.chunks, last[0]), &sealed);
        let plain = plain.ok_or_else(|| damaged("a chunk does not open"))?;
        self.plain.drain(..self.at);
        self.at = 0;
        self.plain.extend_from_slice(&plain);
        self.chunks += 1;
        if last == [1] {
            self.ended = true;
            self.end()?;
        }
        Ok(true)
    }

    /// The hash, and nothing behind it.
    fn end(&mut self) -> Result<(), ArchiveError> {
        let mut stated = [0; 32];
        fill(&mut self.input.input, &mut stated)?;
        let digest: [u8; 32] = self.input.hash.clone().finalize().into();
        if digest != stated {
            return Err(damaged("its hash differs"));
        }
        match self.input.input.read(&mut [0; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(damaged("bytes follow its end")),
            Err(error) => Err(error.into()),
        }
    }
}

fn damaged(what: &'static str) -> ArchiveError {
    ArchiveError::Damaged { what }
}
