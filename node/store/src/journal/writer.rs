//! The one thread that writes: gathers a group, writes it, syncs once, answers.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::error::JournalError;
use super::format::{FRAME_LEN, Frame, HEADER_LEN, Header, link};
use super::recover::{OpenSegment, Resume};
use super::segment::{Position, file_name};
use super::{Completion, Head, JournalOptions, Shared};

const GROUP_RECORDS: usize = 256;
const GROUP_BYTES: usize = 1024 * 1024;

/// A record on its way.
pub(super) struct Job {
    pub(super) payload: Vec<u8>,
    pub(super) completion: Completion,
}

/// Where syncs go; tests can break it.
#[derive(Clone, Debug, Default)]
pub(super) struct Device {
    #[cfg(test)]
    pub(super) broken: Arc<std::sync::atomic::AtomicBool>,
    #[cfg(test)]
    pub(super) full: Arc<std::sync::atomic::AtomicBool>,
    #[cfg(test)]
    pub(super) syncs: Arc<std::sync::atomic::AtomicU64>,
}

impl Device {
    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "tests break the device"))]
    fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        {
            use std::sync::atomic::Ordering;
            self.syncs.fetch_add(1, Ordering::SeqCst);
            if self.broken.load(Ordering::SeqCst) {
                return Err(io::Error::other("broken for a test"));
            }
        }
        file.sync_data()
    }

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "tests fill the device"))]
    fn prepare(&self, path: &Path, size: u64) -> io::Result<File> {
        #[cfg(test)]
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path)?;
        write_zeros(&file, 0, usize::try_from(size).unwrap_or(usize::MAX))?;
        // Size and extents too, so that a later fdatasync has no metadata to write.
        file.sync_all()?;
        Ok(file)
    }
}

/// Overwrites `length` bytes from `offset` with zeros.
pub(super) fn write_zeros(file: &File, mut offset: u64, mut length: usize) -> io::Result<()> {
    let zeros = vec![0; length.min(GROUP_BYTES)];
    while length > 0 {
        let chunk = zeros.get(..length.min(zeros.len())).unwrap_or(&zeros);
        file.write_all_at(chunk, offset)?;
        offset += chunk.len() as u64;
        length -= chunk.len();
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

pub(super) struct Writer {
    dir: PathBuf,
    options: JournalOptions,
    device: Device,
    at: Position,
    segment: Option<OpenSegment>,
    spare: Option<JoinHandle<io::Result<File>>>,
    shared: Arc<Shared>,
    /// Received but not in a group yet: it did not fit.
    waiting: Option<Job>,
}

/// Why a group was not written.
enum Failure {
    /// Nothing happened; the next group may succeed.
    NoRoom(io::Error),
    /// Nobody knows what the device holds.
    Fatal(PathBuf, String),
}

impl Writer {
    pub(super) fn new(dir: &Path, options: JournalOptions, resume: Resume, shared: Arc<Shared>) -> Self {
        let device = options.device.clone();
        let (at, segment) = (resume.at, resume.last);
        Self { dir: dir.to_path_buf(), options, device, at, segment, spare: None, shared, waiting: None }
    }

    /// Runs until all senders are gone and everything received is answered.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = self.waiting.take().or_else(|| jobs.blocking_recv()) {
            let group = self.gather(first, &mut jobs);
            if let Some(stopped) = self.stopped() {
                answer_all(group, || stopped_error(&stopped));
                continue;
            }
            match self.write(&group) {
                Ok(heads) => {
                    if let Some(last) = heads.last() {
                        *self.shared.head.lock().unwrap_or_else(PoisonError::into_inner) = *last;
                    }
                    for (job, head) in group.into_iter().zip(heads) {
                        (job.completion)(Ok((head, job.payload)));
                    }
                    self.prepare_ahead();
                }
                Err(Failure::NoRoom(error)) => {
                    tracing::error!(dir = %self.dir.display(), %error, "no room for the next journal file");
                    let copy = || io::Error::new(error.kind(), error.to_string());
                    answer_all(group, || JournalError::NoRoom { dir: self.dir.clone(), source: copy() });
                }
                Err(Failure::Fatal(file, reason)) => {
                    tracing::error!(file = %file.display(), reason, "the journal stopped");
                    let stopped = (file, reason);
                    *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(stopped.clone());
                    answer_all(group, || stopped_error(&stopped));
                }
            }
        }
        if let Some(spare) = self.spare.take() {
            let _ = spare.join();
        }
    }

    fn stopped(&self) -> Option<(PathBuf, String)> {
        self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first record and what else is already waiting, as far as it fits one group and one segment.
    fn gather(&mut self, first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
        let size = |job: &Job| FRAME_LEN + job.payload.len();
        let mut bytes = size(&first);
        // If even the first does not fit, the group goes to a new segment.
        let room = Some(self.room()).filter(|room| bytes <= *room).unwrap_or_else(|| self.options.segment_room());
        let limit = room.min(GROUP_BYTES).max(bytes);
        let mut group = vec![first];
        while group.len() < GROUP_RECORDS {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += size(&job);
            if bytes > limit {
                self.waiting = Some(job);
                break;
            }
            group.push(job);
        }
        group
    }

    /// Bytes that the open segment still takes; a segment of an older schema takes none.
    fn room(&self) -> usize {
        let open = self.segment.as_ref().filter(|segment| segment.schema == self.options.schema);
        open.map_or(0, |segment| usize::try_from(segment.size - segment.offset).unwrap_or(usize::MAX))
    }

    /// Writes a group and syncs once.
    fn write(&mut self, group: &[Job]) -> Result<Vec<Head>, Failure> {
        let length: usize = group.iter().map(|job| FRAME_LEN + job.payload.len()).sum();
        if length > self.room() {
            self.roll_over(length)?;
        }
        let Some(segment) = self.segment.as_mut() else {
            return Err(Failure::Fatal(self.dir.clone(), "no segment is open".to_owned()));
        };
        let mut bytes = Vec::with_capacity(length);
        let mut heads = Vec::with_capacity(group.len());
        let (first, mut chain) = (self.at.next, self.at.chain);
        for (sequence, job) in (first..).zip(group) {
            chain = link(&chain, sequence, &job.payload);
            Frame { sequence, group: first, chain, payload: &job.payload }.encode(&segment.seed, &mut bytes);
            heads.push(Head { sequence, chain });
        }
        let written = segment.file.write_all_at(&bytes, segment.offset);
        // A failed sync is never repeated: the system may have dropped the pages that it could not write.
        written.and_then(|()| self.device.sync(&segment.file)).map_err(|error| {
            Failure::Fatal(segment.path.clone(), format!("writing at offset {} failed: {error}", segment.offset))
        })?;
        segment.offset += length as u64;
        self.at.next += group.len() as u64;
        self.at.chain = chain;
        Ok(heads)
    }

    /// Opens the next segment, with room for `length` bytes. Everything before is durable.
    fn roll_over(&mut self, length: usize) -> Result<(), Failure> {
        let size = (HEADER_LEN + length).max(self.options.segment_size()) as u64;
        let spare = self.dir.join("spare");
        let prepared = self.spare.take().and_then(|thread| thread.join().ok()).and_then(Result::ok);
        let prepared = prepared.filter(|file| file.metadata().is_ok_and(|metadata| metadata.len() >= size));
        let file = prepared.map_or_else(|| self.device.prepare(&spare, size), Ok).map_err(Failure::NoRoom)?;
        let header = Header {
            schema: self.options.schema,
            number: self.at.number,
            first: self.at.next,
            chain: self.at.chain,
            label: self.options.label.clone(),
        };
        let path = self.dir.join(file_name(self.at.next));
        let fatal = |error: io::Error| Failure::Fatal(path.clone(), format!("beginning the file failed: {error}"));
        file.write_all_at(&header.encode(), 0).and_then(|()| self.device.sync(&file)).map_err(fatal)?;
        fs::rename(&spare, &path).and_then(|()| sync_directory(&self.dir)).map_err(fatal)?;
        let (seed, schema, offset) = (header.chain, header.schema, HEADER_LEN as u64);
        self.segment = Some(OpenSegment { file, path, seed, schema, offset, size });
        self.at.number += 1;
        Ok(())
    }

    /// Prepares the next segment in the background once half of the open one is used.
    fn prepare_ahead(&mut self) {
        let half_used = self.segment.as_ref().is_some_and(|segment| segment.offset > segment.size / 2);
        if !half_used || self.spare.is_some() {
            return;
        }
        let (device, path, size) = (self.device.clone(), self.dir.join("spare"), self.options.segment_size() as u64);
        let thread = std::thread::Builder::new().name("journal-spare".to_owned());
        // Without a thread the segment is prepared when it is needed.
        self.spare = thread.spawn(move || device.prepare(&path, size)).ok();
    }
}

fn answer_all(group: Vec<Job>, error: impl Fn() -> JournalError) {
    for job in group {
        (job.completion)(Err(error()));
    }
}

pub(super) fn stopped_error((file, reason): &(PathBuf, String)) -> JournalError {
    JournalError::Stopped { file: file.clone(), reason: reason.clone() }
}
