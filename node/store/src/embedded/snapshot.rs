//! A snapshot: all rows in one immutable file, in place of the journal's records up to a commit.
//!
//! ```text
//! file   = header[128] block* end
//! header = "EADSSNAP" | u32 format=1 | u32 schema | u64 sequence | chain[32] | u64 until | u64 rows
//!          | zeros[52] | u32 crc32 of the 124 bytes before
//! block  = u32 len > 0 | u32 crc32 | row*        len: bytes of the rows, at most 1 MiB
//! end    = u32 0 | u32 crc32 | sha256[32] of all blocks' rows
//! row    = u16 len | store key | u16 len | value   keys strictly ascending
//! crc32  = over header.crc32 ‖ u64 number of the block ‖ rows (for the end: ‖ sha256)
//! ```
//! The rows were read while commits went on: each is as some commit from `sequence` to `until` left it. Since a commit
//! says what its rows are and not how they change, applying the commits after `sequence` up to `until` or later gives
//! exactly the rows of that commit. `chain` is the journal's chain value after `sequence`.
//!
//! A file under its final name is whole: it is written as `new`, synced, filled in, compared with the running view,
//! and only then named (see `compact.rs`). Values are sealed by their owners already.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use eads_domain::encode::{Misread, Reader};
use eads_domain::id::Hash;
use sha2::{Digest as _, Sha256};

use super::io_error;
use crate::error::StoreError;
use crate::journal::{Head, sync_directory};
use crate::port::{MAX_KEY, MAX_VALUE, Row};

const MAGIC: &[u8; 8] = b"EADSSNAP";
const FORMAT: u32 = 1;
const HEADER_LEN: usize = 128;
const BLOCK_BYTES: usize = 256 * 1024;
const MAX_BLOCK_BYTES: usize = 1024 * 1024;
const SUFFIX: &str = ".snapshot";
const UNFINISHED: &str = "new";

/// What a snapshot says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The commits after this one must be applied to its rows.
    pub(super) head: Head,
    /// At least up to this one.
    pub(super) until: u64,
    /// How many rows it has.
    pub(super) rows: u64,
    pub(super) schema: u32,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.schema.to_be_bytes());
        out.extend_from_slice(&self.head.sequence.to_be_bytes());
        out.extend_from_slice(self.head.chain.as_bytes());
        out.extend_from_slice(&self.until.to_be_bytes());
        out.extend_from_slice(&self.rows.to_be_bytes());
        out.resize(HEADER_LEN - 4, 0);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, &'static str> {
        const BAD: &str = "its header is damaged";
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or(BAD)?;
        if !body.starts_with(MAGIC) || crc32fast::hash(body) != u32::from_be_bytes(*crc) {
            return Err(BAD);
        }
        let read = |body: &[u8]| {
            let mut reader = Reader::new(body);
            reader.take(MAGIC.len())?;
            let (format, schema) = (reader.u32()?, reader.u32()?);
            let head = Head { sequence: reader.u64()?, chain: Hash::from_bytes(reader.array()?) };
            let header = Self { head, until: reader.u64()?, rows: reader.u64()?, schema };
            Ok::<_, Misread>((format, header))
        };
        let (format, header) = read(body).map_err(|_| BAD)?;
        if format > FORMAT {
            return Err("it is of a newer format: upgrade the node");
        }
        if header.encode() == bytes { Ok(header) } else { Err(BAD) }
    }
}

/// A snapshot that is there under its final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    pub(super) header: Header,
}

/// The snapshots of a store.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    dir: PathBuf,
}

impl Snapshots {
    pub(super) fn of(store: &Path) -> Self {
        Self { dir: store.join("snapshot") }
    }

    /// The newest one, its header verified; whatever an interrupted compaction left is removed.
    pub(super) fn open(&self, schema: u32) -> Result<Option<Snapshot>, StoreError> {
        let mut present = self.list()?;
        let newest = present.pop();
        for (_, old) in present {
            remove(&old)?;
        }
        remove(&self.dir.join(UNFINISHED))?;
        let Some((sequence, path)) = newest else { return Ok(None) };
        let header = Rows::open(&path)?.header;
        if header.schema > schema {
            return Err(StoreError::SchemaNewer { dir: path, found: header.schema, supported: schema });
        }
        if header.head.sequence != sequence {
            return Err(damaged(&path, "its name is not what its header says"));
        }
        Ok(Some(Snapshot { path, header }))
    }

    /// Reads all of the newest one; returns how many rows it has.
    pub(super) fn verify(&self) -> Result<Option<u64>, StoreError> {
        loop {
            let Some((_, path)) = self.list()?.pop() else { return Ok(None) };
            match verify(&path) {
                // A compaction has put another in its place meanwhile.
                Err(_) if !path.exists() => {}
                read => return read.map(Some),
            }
        }
    }

    /// By sequence, ascending.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| io_error("list", &self.dir, source))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| io_error("list", &self.dir, source))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(sequence) = name.strip_suffix(SUFFIX).and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                found.push((sequence, path));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Begins an unnamed one.
    pub(super) fn begin(&self, head: Head, schema: u32) -> Result<Writer, StoreError> {
        fs::create_dir_all(&self.dir).map_err(|source| io_error("create", &self.dir, source))?;
        let store = self.dir.parent().unwrap_or(Path::new("."));
        sync_directory(store).map_err(|source| io_error("sync", store, source))?;
        Writer::create(self.dir.join(UNFINISHED), Header { head, until: head.sequence, rows: 0, schema })
    }

    /// Gives the finished one its name: from here on it stands for the commits up to its own. The ones before go.
    pub(super) fn name(&self, unnamed: &Snapshot) -> Result<Snapshot, StoreError> {
        let path = self.dir.join(format!("{:016x}{SUFFIX}", unnamed.header.head.sequence));
        fs::rename(&unnamed.path, &path).map_err(|source| io_error("rename", &unnamed.path, source))?;
        sync_directory(&self.dir).map_err(|source| io_error("sync", &self.dir, source))?;
        Ok(Snapshot { path, header: unnamed.header })
    }

    /// Removes all but the newest.
    pub(super) fn remove_older(&self) -> Result<(), StoreError> {
        let mut present = self.list()?;
        present.pop();
        present.iter().try_for_each(|(_, old)| remove(old))
    }

    /// Removes one that was not named.
    pub(super) fn abandon(&self) {
        // What stays is removed at the next opening.
        let _ = remove(&self.dir.join(UNFINISHED));
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        let present = self.list().unwrap_or_default();
        present.iter().map(|(_, path)| fs::metadata(path).map_or(0, |metadata| metadata.len())).sum()
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path, error)),
        _ => Ok(()),
    }
}

fn damaged(path: &Path, reason: &'static str) -> StoreError {
    StoreError::SnapshotDamaged { file: path.to_path_buf(), reason }
}

/// Over which header a block stands, where, and what is in it.
fn checksum(seed: u32, number: u64, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&seed.to_be_bytes());
    crc.update(&number.to_be_bytes());
    crc.update(bytes);
    crc.finalize()
}

/// A snapshot that is being written.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    header: Header,
    /// Of the blocks' checksums. The header itself is written last, so the seed is fixed at the beginning.
    seed: u32,
    blocks: u64,
    block: Vec<u8>,
    digest: Sha256,
    pub(super) bytes: u64,
}

impl Writer {
    fn create(path: PathBuf, header: Header) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let file = options.open(&path).map_err(|source| io_error("create", &path, source))?;
        let mut file = BufWriter::with_capacity(MAX_BLOCK_BYTES, file);
        // Zeros until it is finished.
        file.write_all(&[0; HEADER_LEN]).map_err(|source| io_error("write", &path, source))?;
        let (blocks, block, digest) = (0, Vec::with_capacity(2 * BLOCK_BYTES), Sha256::new());
        let seed = seed(&header);
        Ok(Self { path, file, header, seed, blocks, block, digest, bytes: HEADER_LEN as u64 })
    }

    /// Adds a row; keys ascend.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        for part in [key, value] {
            // Their limits are far below this one.
            self.block.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            self.block.extend_from_slice(part);
        }
        self.header.rows += 1;
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    /// How many there are.
    pub(super) const fn rows(&self) -> u64 {
        self.header.rows
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.digest.update(&self.block);
        let length = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        let crc = checksum(self.seed, self.blocks, &self.block);
        let block = std::mem::take(&mut self.block);
        self.put(&length.to_be_bytes())?;
        self.put(&crc.to_be_bytes())?;
        self.put(&block)?;
        self.block = block;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|source| io_error("write", &self.path, source))
    }

    /// Ends it durably, still without a name. `until` is the last commit that its rows may show.
    pub(super) fn finish(mut self, until: u64) -> Result<Snapshot, StoreError> {
        self.end_block()?;
        let digest: [u8; 32] = std::mem::take(&mut self.digest).finalize().into();
        let crc = checksum(self.seed, self.blocks, &digest);
        self.put(&0_u32.to_be_bytes())?;
        self.put(&crc.to_be_bytes())?;
        self.put(&digest)?;
        self.header.until = until;
        let header = self.header.encode();
        let failed = |source| io_error("write", &self.path, source);
        let mut file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header)).map_err(failed)?;
        file.sync_all().map_err(|source| io_error("sync", &self.path, source))?;
        Ok(Snapshot { path: self.path, header: self.header })
    }
}

/// Ties blocks to the place in the journal that their snapshot is of.
fn seed(header: &Header) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header.schema.to_be_bytes());
    crc.update(&header.head.sequence.to_be_bytes());
    crc.update(header.head.chain.as_bytes());
    crc.finalize()
}

/// The rows of a snapshot in order, block by block, each verified. Ends with an error unless all of it is whole.
pub(super) struct Rows {
    path: PathBuf,
    file: BufReader<File>,
    pub(super) header: Header,
    blocks: u64,
    rows: u64,
    last: Option<Vec<u8>>,
    digest: Sha256,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|source| io_error("open", path, source))?;
        let mut file = BufReader::with_capacity(MAX_BLOCK_BYTES, file);
        let mut header = [0; HEADER_LEN];
        file.read_exact(&mut header).map_err(|error| unreadable(path, error))?;
        let header = Header::decode(&header).map_err(|reason| damaged(path, reason))?;
        let digest = Sha256::new();
        Ok(Self { path: path.to_path_buf(), file, header, blocks: 0, rows: 0, last: None, digest })
    }

    /// The rows of the next block, as store keys and values; `None` after the last one, when everything has proved whole.
    pub(super) fn block(&mut self) -> Result<Option<Vec<Row>>, StoreError> {
        let (length, crc) = (self.number()?, self.number()?);
        let seed = seed(&self.header);
        if length == 0 {
            let mut digest = [0; 32];
            self.file.read_exact(&mut digest).map_err(|error| unreadable(&self.path, error))?;
            let found: [u8; 32] = std::mem::take(&mut self.digest).finalize().into();
            let whole = checksum(seed, self.blocks, &digest) == crc && digest == found && self.rows == self.header.rows;
            return if whole { Ok(None) } else { Err(self.damaged("rows are missing or changed")) };
        }
        let size = usize::try_from(length).ok().filter(|size| *size <= MAX_BLOCK_BYTES);
        let mut block = vec![0; size.ok_or_else(|| self.damaged("a block's length is absurd"))?];
        self.file.read_exact(&mut block).map_err(|error| unreadable(&self.path, error))?;
        if checksum(seed, self.blocks, &block) != crc {
            return Err(self.damaged("a block's checksum does not match"));
        }
        self.digest.update(&block);
        self.blocks += 1;
        let rows = decode(&block).map_err(|_| self.damaged("a row is malformed"))?;
        for (key, _) in &rows {
            if self.last.as_ref().is_some_and(|last| last >= key) {
                return Err(self.damaged("rows are out of order"));
            }
            self.last = Some(key.clone());
        }
        self.rows += rows.len() as u64;
        Ok(Some(rows))
    }

    fn number(&mut self) -> Result<u32, StoreError> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes).map_err(|error| unreadable(&self.path, error))?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn damaged(&self, reason: &'static str) -> StoreError {
        damaged(&self.path, reason)
    }
}

fn unreadable(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(path, "it is cut off"),
        _ => io_error("read", path, error),
    }
}

fn decode(block: &[u8]) -> Result<Vec<Row>, Misread> {
    let mut reader = Reader::new(block);
    let mut rows = Vec::new();
    while reader.remaining() > 0 {
        let length = usize::from(reader.u16()?);
        let key = reader.take(length)?.to_vec();
        let length = usize::from(reader.u16()?);
        let value = reader.take(length)?.to_vec();
        // Two bytes of area before the key.
        if key.len() < 2 || key.len() > MAX_KEY + 2 || value.len() > MAX_VALUE {
            return Err(Misread::Truncated);
        }
        rows.push((key, value));
    }
    Ok(rows)
}

/// Reads all of a snapshot.
fn verify(path: &Path) -> Result<u64, StoreError> {
    let mut rows = Rows::open(path)?;
    while rows.block()?.is_some() {}
    Ok(rows.rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(dir: &Path, rows: u32) -> Snapshot {
        let head = Head { sequence: 7, chain: Hash::from_bytes([9; 32]) };
        let mut writer = Snapshots::of(dir).begin(head, 1).unwrap();
        for row in 0..rows {
            writer.add(&[&[1, 1][..], &row.to_be_bytes()].concat(), &vec![row as u8; 300]).unwrap();
        }
        let snapshots = Snapshots::of(dir);
        snapshots.name(&writer.finish(9).unwrap()).unwrap()
    }

    #[test]
    fn a_snapshot_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = written(dir.path(), 3000);
        assert_eq!(Snapshots::of(dir.path()).open(1).unwrap(), Some(snapshot.clone()));
        assert_eq!((snapshot.header.until, snapshot.header.rows), (9, 3000));
        assert_eq!(verify(&snapshot.path).unwrap(), 3000);
        let mut rows = Rows::open(&snapshot.path).unwrap();
        let mut count = 0_u32;
        while let Some(block) = rows.block().unwrap() {
            for (key, value) in block {
                assert_eq!((&key[2..], value), (&count.to_be_bytes()[..], vec![count as u8; 300]));
                count += 1;
            }
        }
        assert_eq!(count, 3000);
        assert!(Snapshots::of(dir.path()).open(0).is_err(), "a newer schema");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_passes() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = written(dir.path(), 1000);
        let whole = fs::read(&snapshot.path).unwrap();
        let step = whole.len() / 97;
        for at in (0..HEADER_LEN).chain((HEADER_LEN..whole.len()).step_by(step)).chain(whole.len() - 40..whole.len()) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            fs::write(&snapshot.path, flipped).unwrap();
            let error = verify(&snapshot.path).unwrap_err();
            assert!(matches!(error, StoreError::SnapshotDamaged { .. }), "byte {at}: {error}");
        }
        for length in [0, 5, HEADER_LEN, whole.len() / 2, whole.len() - 1] {
            fs::write(&snapshot.path, &whole[..length]).unwrap();
            assert!(verify(&snapshot.path).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn an_unfinished_snapshot_is_none_and_older_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let snapshot = written(dir.path(), 3);
        let old = snapshot.path.with_file_name(format!("{:016x}{SUFFIX}", 3));
        fs::copy(&snapshot.path, &old).unwrap();
        let unfinished = snapshot.path.with_file_name(UNFINISHED);
        fs::write(&unfinished, b"half").unwrap();
        assert_eq!(Snapshots::of(dir.path()).open(1).unwrap(), Some(snapshot));
        assert!(!old.exists() && !unfinished.exists());
    }
}
