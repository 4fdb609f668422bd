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
use crate::ballast::is_full;

const GROUP_RECORDS: usize = 256;
const GROUP_BYTES: usize = 1024 * 1024;

/// A record on its way.
pub(super) struct Job {
    pub(super) payload: Vec<u8>,
    pub(super) completion: Completion,
}

/// Where writes and syncs go; tests can break it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    #[cfg(test)]
    pub(crate) broken: Arc<std::sync::atomic::AtomicBool>,
    #[cfg(test)]
    pub(crate) full: Arc<std::sync::atomic::AtomicBool>,
    /// Writes fail half-way for want of room, as on file systems that never write in place.
    #[cfg(test)]
    pub(crate) short: Arc<std::sync::atomic::AtomicBool>,
    #[cfg(test)]
    pub(crate) syncs: Arc<std::sync::atomic::AtomicU64>,
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

    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "tests break the device"))]
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.short.load(std::sync::atomic::Ordering::SeqCst) {
            file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write_all_at(bytes, offset)
    }

    /// The next segment: zeros that are on the device. One that an earlier run prepared and did not use will do.
    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "tests fill the device"))]
    fn prepare(&self, path: &Path, size: u64) -> io::Result<File> {
        #[cfg(test)]
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        if file.metadata()?.len() != size || !is_zeros(&file, HEADER_LEN as u64, length)? {
            file.set_len(0)?;
            write_zeros(&file, 0, length)?;
        }
        // Size and extents too, so that a later fdatasync has no metadata to write.
        file.sync_all()?;
        Ok(file)
    }
}

fn is_zeros(file: &File, mut offset: u64, end: usize) -> io::Result<bool> {
    let mut chunk = vec![0; GROUP_BYTES];
    while offset < end as u64 {
        let rest = usize::try_from(end as u64 - offset).unwrap_or(GROUP_BYTES).min(GROUP_BYTES);
        let part = chunk.get_mut(..rest).unwrap_or_default();
        file.read_exact_at(part, offset)?;
        if !super::format::is_zero(part) {
            return Ok(false);
        }
        offset += rest as u64;
    }
    Ok(true)
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
    /// Held open: syncing the directory must not want a file handle.
    names: File,
    options: JournalOptions,
    device: Device,
    at: Position,
    segment: Option<OpenSegment>,
    spare: Option<Spare>,
    shared: Arc<Shared>,
    /// Received but not in a group yet: it did not fit.
    waiting: Option<Job>,
}

/// The segment after the open one.
enum Spare {
    Preparing(JoinHandle<io::Result<File>>),
    Ready(File),
}

impl Spare {
    /// What became of it, if that can be told without waiting; a failed one is none.
    fn settled(self) -> Option<Self> {
        match self {
            Self::Preparing(thread) if thread.is_finished() => Self::Preparing(thread).wait().map(Self::Ready),
            other => Some(other),
        }
    }

    fn wait(self) -> Option<File> {
        match self {
            Self::Preparing(thread) => thread.join().ok().and_then(Result::ok),
            Self::Ready(file) => Some(file),
        }
    }
}

/// Why a group was not written.
enum Failure {
    /// Nothing happened; the next group may succeed.
    NoRoom(io::Error),
    /// Nobody knows what the device holds.
    Fatal(PathBuf, String),
}

impl Writer {
    pub(super) fn new(dir: &Path, names: File, options: JournalOptions, resume: Resume, shared: Arc<Shared>) -> Self {
        let device = options.device.clone();
        let (at, segment) = (resume.at, resume.last);
        Self { dir: dir.to_path_buf(), names, options, device, at, segment, spare: None, shared, waiting: None }
    }

    /// Runs until all senders are gone and everything received is answered.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        self.prepare_ahead();
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
            let _ = spare.wait();
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
        let written = self.device.write(&segment.file, &bytes, segment.offset);
        if let Err(error) = written {
            // Where there was no room for all of it, nothing of it may stay: only then is it certainly not written.
            let undone = is_full(&error)
                && write_zeros(&segment.file, segment.offset, bytes.len()).is_ok()
                && self.device.sync(&segment.file).is_ok();
            return Err(if undone { Failure::NoRoom(error) } else { segment.fatal(&error) });
        }
        // A failed sync is never repeated: the system may have dropped the pages that it could not write.
        self.device.sync(&segment.file).map_err(|error| segment.fatal(&error))?;
        segment.offset += length as u64;
        self.at.next += group.len() as u64;
        self.at.chain = chain;
        Ok(heads)
    }

    /// Opens the next segment, with room for `length` bytes. Everything before is durable.
    fn roll_over(&mut self, length: usize) -> Result<(), Failure> {
        let size = (HEADER_LEN + length).max(self.options.segment_size()) as u64;
        let spare = self.dir.join("spare");
        let prepared = self.spare.take().and_then(Spare::wait);
        let prepared = prepared.filter(|file| file.metadata().is_ok_and(|metadata| metadata.len() >= size));
        let file = prepared.map_or_else(|| self.prepare(&spare, size), Ok).map_err(Failure::NoRoom)?;
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
        fs::rename(&spare, &path).and_then(|()| self.names.sync_all()).map_err(fatal)?;
        let (seed, schema, offset) = (header.chain, header.schema, HEADER_LEN as u64);
        self.segment = Some(OpenSegment { file, path, seed, schema, offset, size });
        self.at.number += 1;
        Ok(())
    }

    fn prepare(&self, path: &Path, size: u64) -> io::Result<File> {
        let work = || self.device.prepare(path, size);
        match &self.options.ballast {
            Some(ballast) => ballast.retry(is_full, work),
            None => work(),
        }
    }

    /// Always has the next segment ready, prepared in the background: a full disk then stops writing late.
    fn prepare_ahead(&mut self) {
        if let Some(spare) = self.spare.take() {
            self.spare = spare.settled();
        }
        if self.spare.is_some() {
            return;
        }
        let (device, path, size) = (self.device.clone(), self.dir.join("spare"), self.options.segment_size() as u64);
        let thread = std::thread::Builder::new().name("journal-spare".to_owned());
        // Without a thread the segment is prepared when it is needed.
        self.spare = thread.spawn(move || device.prepare(&path, size)).ok().map(Spare::Preparing);
    }
}

impl OpenSegment {
    fn fatal(&self, error: &io::Error) -> Failure {
        Failure::Fatal(self.path.clone(), format!("writing at offset {} failed: {error}", self.offset))
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
