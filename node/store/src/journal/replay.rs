//! Reading a journal back, verified, while it may be written to.

use std::collections::VecDeque;
use std::path::PathBuf;

use eads_domain::id::Hash;

use super::Head;
use super::error::JournalError;
use super::segment::{Flaw, Position, Segment, damaged, file_name, list};

/// What is needed to read a journal up to the head that it had at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(super) dir: PathBuf,
    pub(super) label: String,
    pub(super) schema: u32,
    pub(super) head: Head,
}

impl Reader {
    /// The last record that is read.
    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    /// The file in which the first record is or should be.
    pub(crate) fn first_file(&self) -> PathBuf {
        self.dir.join(file_name(1))
    }

    pub(crate) fn replay(&self, from: u64) -> Result<Replay, JournalError> {
        Replay::new(self, from.max(1))
    }

    pub(crate) fn verify(&self) -> Result<Verified, JournalError> {
        let mut records = 0;
        let mut head = Head { sequence: 0, chain: super::format::genesis(&self.label) };
        for record in self.replay(1)? {
            let record = record?;
            records += 1;
            head = Head { sequence: record.sequence, chain: record.chain };
        }
        Ok(Verified { records, head })
    }
}

/// A record as it was appended.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place; the first record is 1.
    pub sequence: u64,
    /// The chain value after it.
    pub chain: Hash,
    /// The schema of the program that wrote it.
    pub schema: u32,
    /// The bytes.
    pub payload: Vec<u8>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record {} payload[{}]", self.sequence, self.payload.len())
    }
}

/// The records of a journal in order, each verified by checksum and chain, up to those that were durable when the
/// replay began. Blocking. Ends after the first error.
#[derive(Debug)]
pub struct Replay {
    label: String,
    schema: u32,
    from: u64,
    until: u64,
    dir: PathBuf,
    files: VecDeque<(u64, PathBuf)>,
    /// After the last segment read; `None` before the first.
    at: Option<Position>,
    ready: VecDeque<Record>,
    /// What stands behind the records that are ready.
    flaw: Option<JournalError>,
    ended: bool,
}

impl Replay {
    fn new(journal: &Reader, from: u64) -> Result<Self, JournalError> {
        let until = journal.head.sequence;
        let mut files: VecDeque<_> = list(&journal.dir)?.into();
        // Skip the segments that end before `from`.
        while files.get(1).is_some_and(|(first, _)| *first <= from) {
            files.pop_front();
        }
        let (label, schema, dir) = (journal.label.clone(), journal.schema, journal.dir.clone());
        let at = files.front().is_none_or(|(first, _)| *first == 1).then(|| Position::genesis(&label));
        let (ready, flaw, ended) = (VecDeque::new(), None, false);
        Ok(Self { label, schema, from, until, dir, files, at, ready, flaw, ended })
    }

    /// Reads the next segment; `false` if there is none.
    fn fill(&mut self) -> Result<bool, JournalError> {
        let next = self.at.map(|at| at.next);
        if next.is_some_and(|next| next > self.until) {
            return Ok(false);
        }
        let Some((first, path)) = self.files.pop_front() else {
            let missing = next.unwrap_or(self.from);
            return Err(damaged(&self.dir.join(file_name(missing)), 0, "the file is missing"));
        };
        if next.is_some_and(|next| next != first) || (next.is_none() && first > self.from) {
            let missing = next.unwrap_or(self.from);
            return Err(damaged(&self.dir.join(file_name(missing)), 0, "the file is missing"));
        }
        let segment = Segment::read(&path, &self.label, self.schema)?;
        match self.at {
            Some(at) => segment.follows(&at)?,
            None if segment.header.first != first => {
                return Err(segment.damaged(Flaw { offset: 0, reason: "the file's name does not match its header" }));
            }
            None => {}
        }
        let mut walk = segment.walk();
        while walk.at.next <= self.until {
            let Some(frame) = walk.step().map_err(|flaw| segment.damaged(flaw))? else { break };
            if frame.sequence >= self.from {
                let (sequence, chain, schema) = (frame.sequence, frame.chain, segment.header.schema);
                self.ready.push_back(Record { sequence, chain, schema, payload: frame.payload.to_vec() });
            }
        }
        self.at = Some(walk.at);
        Ok(true)
    }
}

impl Iterator for Replay {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                // The records before it are good and come first: whoever counts knows the first bad one.
                Err(error) => (self.flaw, self.ended) = (Some(error), true),
            }
        }
        self.ready.pop_front().map(Ok).or_else(|| self.flaw.take().map(Err))
    }
}

/// What a full check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records were read.
    pub records: u64,
    /// The last of them.
    pub head: Head,
}
