//! Reading a journal back, verified, while it may be written to and shortened.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use eads_domain::id::Hash;

use super::error::JournalError;
use super::segment::{Flaw, Position, Segment, damaged, file_name, list};
use super::{Head, Shared};

/// What is needed to read a journal up to the head that it had at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(super) dir: PathBuf,
    pub(super) label: String,
    pub(super) schema: u32,
    pub(super) head: Head,
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    /// The same, up to a record at or before the head of its time.
    pub(crate) fn until(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// The journal's last durable record now.
    pub(crate) fn latest(&self) -> Head {
        *self.shared.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where the files are.
    pub(crate) fn directory(&self) -> &std::path::Path {
        &self.dir
    }

    /// The record behind which everything can be read; `None` if that is everything.
    pub(crate) fn base(&self) -> Option<Head> {
        self.shared.base()
    }

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

    /// Reads everything that there is, from the first file on.
    pub(crate) fn verify(&self) -> Result<Verified, JournalError> {
        loop {
            match self.walk() {
                // Shortened meanwhile: what is left is what there is.
                Err(JournalError::Compacted { .. }) => {}
                other => return other,
            }
        }
    }

    fn walk(&self) -> Result<Verified, JournalError> {
        let first = list(&self.dir)?.first().map_or(1, |(first, _)| *first);
        if first > self.base().map_or(0, |base| base.sequence) + 1 {
            return Err(damaged(&self.first_file(), 0, "the file is missing"));
        }
        let mut records = 0;
        let mut head = Head { sequence: 0, chain: super::format::genesis(&self.label) };
        for record in self.replay(first)? {
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
    shared: Arc<Shared>,
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
        let at = files.front().is_some_and(|(first, _)| *first == 1).then(|| Position::genesis(&label));
        let (ready, flaw, ended, shared) = (VecDeque::new(), None, until < from, Arc::clone(&journal.shared));
        Ok(Self { label, schema, from, until, dir, files, at, ready, flaw, ended, shared })
    }

    /// A file that is not there: a snapshot stands for it, or it was lost.
    fn missing(&self, first: u64) -> JournalError {
        match self.shared.base() {
            Some(base) if first <= base.sequence => JournalError::Compacted { from: self.from, base: base.sequence },
            _ => damaged(&self.dir.join(file_name(first)), 0, "the file is missing"),
        }
    }

    /// Reads the next segment; `false` if there is none.
    fn fill(&mut self) -> Result<bool, JournalError> {
        let next = self.at.map(|at| at.next);
        if next.is_some_and(|next| next > self.until) {
            return Ok(false);
        }
        let Some((first, path)) = self.files.pop_front() else {
            return Err(self.missing(next.unwrap_or(self.from)));
        };
        if next.is_some_and(|next| next != first) || (next.is_none() && first > self.from) {
            return Err(self.missing(next.unwrap_or(self.from)));
        }
        let segment = match Segment::read(&path, &self.label, self.schema) {
            Err(_) if !path.exists() => return Err(self.missing(first)),
            read => read?,
        };
        match self.at {
            Some(at) => segment.follows(&at)?,
            None if segment.header.first != first => {
                return Err(segment.damaged(Flaw { offset: 0, reason: "the file's name does not match its header" }));
            }
            None => {}
        }
        let mut walk = segment.walk();
        let base = self.shared.base();
        segment.passes(&walk.at, base)?;
        while walk.at.next <= self.until {
            let Some(frame) = walk.step().map_err(|flaw| segment.damaged(flaw))? else { break };
            segment.passes(&walk.at, base)?;
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
