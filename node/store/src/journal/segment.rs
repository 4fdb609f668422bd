//! Reading segments: which there are, and walking the records of one.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use eads_domain::id::Hash;

use super::Head;
use super::error::JournalError;
use super::format::{BadHeader, FORMAT, Frame, HEADER_LEN, Header, genesis, is_zero, link};

pub(super) const RESTORE: &str = "restore the journal from a backup or a replica; nothing was changed";

/// The file of the segment that begins with record `first`.
pub(super) fn file_name(first: u64) -> String {
    format!("{first:016x}.journal")
}

/// The segments under `dir` as (first sequence by name, path), ascending. Other files are not looked at.
pub(super) fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let failed = |source| JournalError::Io { action: "list", path: dir.to_path_buf(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let first = name.strip_suffix(".journal").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        if let Some(first) = first.filter(|first| file_name(*first) == name) {
            found.push((first, path));
        }
    }
    found.sort();
    Ok(found)
}

/// What the journal must go on with: the state after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The sequence that comes next.
    pub(super) next: u64,
    /// The chain value so far.
    pub(super) chain: Hash,
    /// The number of the segment that comes next.
    pub(super) number: u64,
}

impl Position {
    pub(super) fn genesis(label: &str) -> Self {
        Self { next: 1, chain: genesis(label), number: 0 }
    }
}

/// A place where a segment does not go on as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) offset: usize,
    pub(super) reason: &'static str,
}

/// A segment in memory, its header verified.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
}

impl Segment {
    /// Reads a file and verifies its header by itself.
    pub(super) fn read(path: &Path, label: &str, schema: u32) -> Result<Self, JournalError> {
        Self::read_some(path, label, schema, u64::MAX)
    }

    /// Reads and verifies the header only; there are no records to walk then.
    pub(super) fn read_header(path: &Path, label: &str, schema: u32) -> Result<Self, JournalError> {
        Self::read_some(path, label, schema, HEADER_LEN as u64)
    }

    fn read_some(path: &Path, label: &str, schema: u32, limit: u64) -> Result<Self, JournalError> {
        let file = path.to_path_buf();
        let mut bytes = Vec::new();
        match fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(path, 0, "the file is missing"));
            }
            Err(source) => return Err(JournalError::Io { action: "read", path: file, source }),
        }
        let header = Header::decode(&bytes).map_err(|bad| match bad {
            BadHeader::Damaged(reason) => damaged(path, 0, reason),
            BadHeader::Newer(found) => JournalError::FormatNewer { file: file.clone(), found, supported: FORMAT },
        })?;
        if header.label != label {
            return Err(JournalError::WrongLabel { file, expected: label.to_owned() });
        }
        if header.schema > schema {
            return Err(JournalError::SchemaNewer { file, found: header.schema, supported: schema });
        }
        Ok(Self { path: file, header, bytes })
    }

    /// Checks that this segment goes on where the one before ended.
    pub(super) fn follows(&self, at: &Position) -> Result<(), JournalError> {
        let header = &self.header;
        if header.first != at.next || header.number != at.number {
            return Err(damaged(&self.path, 0, "the segment does not follow the one before"));
        }
        if header.chain != at.chain {
            return Err(damaged(&self.path, 0, "the chain is broken: records before were changed or removed"));
        }
        Ok(())
    }

    /// Checks that the chain goes through `base`, where a snapshot begins to stand for what came before.
    pub(super) fn passes(&self, at: &Position, base: Option<Head>) -> Result<(), JournalError> {
        match base {
            Some(base) if base.sequence + 1 == at.next && base.chain != at.chain => {
                Err(damaged(&self.path, 0, "the chain does not go through the snapshot"))
            }
            _ => Ok(()),
        }
    }

    /// A walk over the records from the first.
    pub(super) const fn walk(&self) -> Walk<'_> {
        let header = &self.header;
        let at = Position { next: header.first, chain: header.chain, number: header.number + 1 };
        Walk { segment: self, at, offset: HEADER_LEN, group: Group { first: header.first, offset: HEADER_LEN } }
    }

    pub(super) fn damaged(&self, flaw: Flaw) -> JournalError {
        damaged(&self.path, flaw.offset as u64, flaw.reason)
    }
}

pub(super) fn damaged(file: &Path, offset: u64, reason: &'static str) -> JournalError {
    JournalError::Damaged { file: file.to_path_buf(), offset, reason, remedy: RESTORE }
}

/// The records that one sync made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) first: u64,
    pub(super) offset: usize,
}

/// A walk over one segment that verifies every record it passes.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    segment: &'a Segment,
    /// After the last record passed.
    pub(super) at: Position,
    /// Where the next record begins.
    pub(super) offset: usize,
    /// The group of the last record passed.
    pub(super) group: Group,
}

impl<'a> Walk<'a> {
    /// The next record; `None` at the zeros behind the last one.
    pub(super) fn step(&mut self) -> Result<Option<Frame<'a>>, Flaw> {
        let rest = self.segment.bytes.get(self.offset..).unwrap_or_default();
        let flaw = |reason| Flaw { offset: self.offset, reason };
        if rest.iter().take(8).all(|byte| *byte == 0) {
            return if is_zero(rest) { Ok(None) } else { Err(flaw("a record is missing before later bytes")) };
        }
        let (frame, length) = Frame::decode(rest, &self.segment.header.chain).map_err(flaw)?;
        if frame.sequence != self.at.next || !(frame.group == frame.sequence || frame.group == self.group.first) {
            return Err(flaw("a record is out of order"));
        }
        if frame.chain != link(&self.at.chain, frame.sequence, frame.payload) {
            return Err(flaw("the chain is broken: a record was changed"));
        }
        if frame.group == frame.sequence {
            self.group = Group { first: frame.group, offset: self.offset };
        }
        self.offset += length;
        self.at.next += 1;
        self.at.chain = frame.chain;
        Ok(Some(frame))
    }
}
