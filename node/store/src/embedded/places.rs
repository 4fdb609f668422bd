//! Where views are: the present one, one being built, and those moved aside.
//!
//! ```text
//! view/<n>            the present view; of several the highest
//! view/<n>.building   a mark: view/<n> is not finished and nobody's
//! view.damaged-<n>, view.evidence-<n>
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{EmbeddedOptions, io_error};
use crate::error::StoreError;
use crate::journal::sync_directory;

/// How many replaced views are kept for those who want to know what happened.
const KEPT: usize = 2;

const DAMAGED: &str = "view.damaged-";
const EVIDENCE: &str = "view.evidence-";
const BUILDING: &str = ".building";

/// The paths around the view.
#[derive(Clone, Debug)]
pub(super) struct Places {
    dir: PathBuf,
    pub(super) view: PathBuf,
    pub(super) marker: PathBuf,
}

impl Places {
    pub(super) fn of(store: &Path) -> Self {
        Self { dir: store.to_path_buf(), view: store.join("view"), marker: store.join("view.rebuild") }
    }

    /// Moves the view to where it can do no harm, and takes the mark away. `evidence` is never removed.
    pub(super) fn move_aside(&self, evidence: bool, options: &EmbeddedOptions) -> Result<Option<PathBuf>, StoreError> {
        let prefix = if evidence { EVIDENCE } else { DAMAGED };
        let highest = numbered(&self.view, "").unwrap_or_default().last().map_or(0, |(number, _)| *number);
        let aside = self.dir.join(format!("{prefix}{}", (self.last_moved()? + 1).max(highest)));
        let moved = match fs::rename(&self.view, &aside) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(io_error("move aside", &self.view, source)),
        };
        match fs::remove_file(&self.marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &self.marker, error));
            }
            _ => {}
        }
        sync_directory(&self.dir).map_err(|source| io_error("sync", &self.dir, source))?;
        self.make_room(options)?;
        Ok(Some(aside).filter(|aside| moved && aside.exists()))
    }

    /// Removes all but the last damaged views, and those too if the disk may not hold one more.
    fn make_room(&self, options: &EmbeddedOptions) -> Result<(), StoreError> {
        let damaged = numbered(&self.dir, DAMAGED)?;
        let needed = damaged.last().map_or(0, |(_, path)| size(path)).saturating_add(options.reserve_bytes);
        let short = options.free_space.free(&self.dir).is_ok_and(|free| free < needed);
        let kept = if short { 0 } else { KEPT };
        for (_, old) in damaged.iter().rev().skip(kept) {
            // What cannot be removed only takes room.
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }

    /// The highest number of a view that was moved aside.
    fn last_moved(&self) -> Result<u64, StoreError> {
        let last = |views: Vec<(u64, PathBuf)>| views.last().map_or(0, |(number, _)| *number);
        Ok(last(numbered(&self.dir, DAMAGED)?).max(last(numbered(&self.dir, EVIDENCE)?)))
    }

    /// The directory for sled: the present one, or a name that no earlier view of this process had. What an
    /// interrupted compaction left is removed.
    pub(super) fn present(&self) -> Result<PathBuf, StoreError> {
        fs::create_dir_all(&self.view).map_err(|e| io_error("create", &self.view, e))?;
        for entry in fs::read_dir(&self.view).map_err(|e| io_error("list", &self.view, e))? {
            let mark = entry.map_err(|e| io_error("list", &self.view, e))?.path();
            let name = mark.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_suffix(BUILDING).and_then(|number| number.parse::<u64>().ok());
            if let Some(number) = number {
                self.remove(&self.view.join(number.to_string()))?;
            }
        }
        let mut finished = numbered(&self.view, "")?;
        let present = finished.pop();
        for (_, old) in finished {
            self.remove(&old)?;
        }
        match present {
            Some((_, path)) => Ok(path),
            None => Ok(self.view.join((self.last_moved()? + 1).to_string())),
        }
    }

    /// A directory for a view that is built while the present one is used.
    pub(super) fn begin(&self) -> Result<PathBuf, StoreError> {
        let present = numbered(&self.view, "")?.last().map_or(0, |(number, _)| *number);
        let path = self.view.join((present.max(self.last_moved()?) + 1).to_string());
        let mark = self.building(&path);
        File::create(&mark).and_then(|file| file.sync_all()).map_err(|source| io_error("create", &mark, source))?;
        sync_directory(&self.view).map_err(|source| io_error("sync", &self.view, source))?;
        Ok(path)
    }

    /// From here on the view that was built is the present one.
    pub(super) fn settle(&self, path: &Path) -> Result<(), StoreError> {
        let mark = self.building(path);
        fs::remove_file(&mark).map_err(|source| io_error("remove", &mark, source))?;
        sync_directory(&self.view).map_err(|source| io_error("sync", &self.view, source))
    }

    /// Removes a view that is nobody's, its mark last.
    pub(super) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        for outcome in [fs::remove_dir_all(path), fs::remove_file(self.building(path))] {
            match outcome {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", path, error)),
                _ => {}
            }
        }
        sync_directory(&self.view).map_err(|source| io_error("sync", &self.view, source))
    }

    /// Gives up a view that was being built. What stays is removed at the next opening.
    pub(super) fn abandon(&self, path: &Path) {
        let _ = self.remove(path);
    }

    fn building(&self, path: &Path) -> PathBuf {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(BUILDING);
        path.with_file_name(name)
    }
}

/// Entries of `dir` called `<prefix><number>`, by number.
fn numbered(dir: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| io_error("list", dir, e))? {
        let path = entry.map_err(|e| io_error("list", dir, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(number) = name.strip_prefix(prefix).and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The files under `dir`, as far as they can be read.
pub(super) fn files(dir: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => found.extend(files(&entry.path())),
            Ok(metadata) => found.push((entry.path(), metadata)),
            Err(_) => {}
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// Bytes of the files under `dir`, as far as they can be read.
pub(super) fn size(dir: &Path) -> u64 {
    files(dir).iter().fold(0, |sum, (_, metadata)| sum.saturating_add(metadata.len()))
}
