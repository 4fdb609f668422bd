//! What opening does: walk what must be walked, cut a torn tail, refuse a hole.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::format::{Frame, has_later_group};
use super::segment::{Flaw, Group, Position, Segment, Walk, damaged, file_name, list};
use super::{Head, JournalOptions, Recovered, TornTail};

/// Where the writer goes on.
pub(super) struct Resume {
    pub(super) at: Position,
    /// The last segment; `None` in a journal without one.
    pub(super) last: Option<OpenSegment>,
}

/// A segment that is written to.
pub(super) struct OpenSegment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// The chain value in its header.
    pub(super) seed: eads_domain::id::Hash,
    pub(super) schema: u32,
    /// Where the next record goes.
    pub(super) offset: u64,
    /// Bytes of the file.
    pub(super) size: u64,
}

pub(super) fn recover(dir: &Path, options: &JournalOptions) -> Result<(Resume, Recovered), JournalError> {
    let files = needed(dir, options)?;
    let mut at = begin(dir, options, &files)?;
    let mut torn = None;
    let mut last = None;
    for (number, (first, path)) in files.iter().enumerate() {
        let is_last = number + 1 == files.len();
        let skipped = options.quick && !is_last;
        let read = if skipped { Segment::read_header } else { Segment::read };
        if !(options.quick && number > 0) && *first != at.next {
            return Err(damaged(&dir.join(file_name(at.next)), 0, "the file is missing"));
        }
        let segment = read(path, &options.label, options.schema)?;
        if options.quick && number > 0 {
            // Whoever reads the records before verifies that this is what follows them.
            at = Position { next: *first, chain: segment.header.chain, ..at };
        }
        if skipped {
            segment.follows(&at)?;
            at.number += 1;
            continue;
        }
        segment.follows(&at)?;
        let mut walk = segment.walk();
        segment.passes(&walk.at, options.base)?;
        let flaw = loop {
            match walk.step() {
                Ok(Some(_)) => segment.passes(&walk.at, options.base)?,
                Ok(None) => break None,
                Err(flaw) => break Some(flaw),
            }
        };
        if let Some(flaw) = flaw.filter(|_| !is_last || !is_torn(&segment, &walk)) {
            return Err(segment.damaged(flaw));
        }
        at = walk.at;
        if is_last {
            torn = flaw.map(|flaw| torn_tail(&segment, flaw));
            last = Some(reopen(&segment, walk.offset, walk.group, options)?);
        }
    }
    let (sequence, chain) = (at.next - 1, at.chain);
    if options.base.is_some_and(|base| base.sequence > sequence) {
        return Err(damaged(&dir.join(file_name(at.next)), 0, "records are missing that the snapshot was made after"));
    }
    Ok((Resume { at, last }, Recovered { sequence, chain, segments: files.len(), torn }))
}

/// The files that are not wholly behind the base; those that are, left by an interrupted shortening, are removed.
fn needed(dir: &Path, options: &JournalOptions) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let mut files = list(dir)?;
    let after = options.base.map_or(1, |base| base.sequence + 1);
    let begin = files.iter().rposition(|(first, _)| *first <= after).unwrap_or(0);
    for (_, path) in files.drain(..begin) {
        std::fs::remove_file(&path).map_err(|source| JournalError::Io { action: "remove", path, source })?;
    }
    Ok(files)
}

/// Where the first file must begin.
fn begin(dir: &Path, options: &JournalOptions, files: &[(u64, PathBuf)]) -> Result<Position, JournalError> {
    let Some((first, path)) = files.first() else {
        let genesis = Position::genesis(&options.label);
        let behind = |begin: Head| Position { next: begin.sequence + 1, chain: begin.chain, ..genesis };
        return Ok(options.begin.map_or(genesis, behind));
    };
    let Some(base) = options.base.filter(|_| *first > 1) else { return Ok(Position::genesis(&options.label)) };
    if *first > base.sequence + 1 {
        return Err(damaged(&dir.join(file_name(base.sequence + 1)), 0, "the file is missing"));
    }
    // The snapshot vouches for what is before; the chain must go through it.
    let header = Segment::read_header(path, &options.label, options.schema)?.header;
    Ok(Position { next: *first, chain: header.chain, number: header.number })
}

/// Whether a flaw at the end of the walk is what a power cut leaves: the last group, never acknowledged, only
/// partly on the device. A record that is whole but does not belong, or anything of a later group, is none.
fn is_torn(segment: &Segment, walk: &Walk<'_>) -> bool {
    let rest = segment.bytes.get(walk.offset..).unwrap_or_default();
    let seed = &segment.header.chain;
    Frame::decode(rest, seed).is_err() && !has_later_group(rest, seed, walk.at.next)
}

fn torn_tail(segment: &Segment, flaw: Flaw) -> TornTail {
    let rest = segment.bytes.get(flaw.offset..).unwrap_or_default();
    let bytes = rest.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    TornTail { file: segment.path.clone(), offset: flaw.offset as u64, bytes: bytes as u64 }
}

/// Opens the last segment for writing with nothing but zeros behind its last record, all of it durable.
fn reopen(segment: &Segment, end: usize, group: Group, options: &JournalOptions) -> Result<OpenSegment, JournalError> {
    let path = &segment.path;
    let failed = |action| move |source| JournalError::Io { action, path: path.clone(), source };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open"))?;
    // The last group is written again as it is: after a failed sync the system may show bytes that the device
    // never got, and would not write them again by itself.
    let whole = segment.bytes.len().max(options.segment_size());
    let group_bytes = segment.bytes.get(group.offset..end).unwrap_or_default();
    file.write_all_at(group_bytes, group.offset as u64).map_err(failed("rewrite"))?;
    let written = segment.bytes.get(end..).unwrap_or_default();
    let dirty = written.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let missing = whole - segment.bytes.len();
    super::writer::write_zeros(&file, end as u64, dirty).map_err(failed("cut the tail of"))?;
    super::writer::write_zeros(&file, segment.bytes.len() as u64, missing).map_err(failed("extend"))?;
    file.sync_all().map_err(failed("sync"))?;
    Ok(OpenSegment {
        file,
        path: path.clone(),
        seed: segment.header.chain,
        schema: segment.header.schema,
        offset: end as u64,
        size: whole as u64,
    })
}
