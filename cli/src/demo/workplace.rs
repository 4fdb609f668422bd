//! The directory of a demonstration: claimed at its start, removed at its end.

use std::fs;
use std::path::{Path, PathBuf};

use eads_domain::entropy::{SystemEntropy, random};

use super::federation::FederationError;

/// A directory that is removed when this is dropped, unless it is to stay. Processes that write to it have to be
/// dropped first.
pub(super) struct Workplace {
    dir: PathBuf,
    stays: bool,
}

impl Workplace {
    /// `named` must be absent or empty; without it a new directory for temporary files is taken.
    pub(super) fn claim(named: Option<&Path>, keep: bool) -> Result<Self, FederationError> {
        let Some(named) = named else {
            let name = format!("eads-demo-{}", hex::encode(random::<4>(&SystemEntropy)));
            return Ok(Self { dir: std::env::temp_dir().join(name), stays: false });
        };
        let occupied = match fs::read_dir(named) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        if occupied {
            // Said before anything is claimed: what was there is not ours to remove.
            return Err(FederationError::Directory { path: named.to_owned(), why: "it is not an empty directory" });
        }
        let dir = std::path::absolute(named)
            .map_err(|cause| FederationError::machine(format!("cannot find {}", named.display()), cause))?;
        Ok(Self { dir, stays: keep })
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where it is, for people.
    pub(super) fn shown(&self) -> String {
        self.dir.display().to_string()
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.stays {
            // It may never have come into being; what cannot be removed is left to the system's own cleaning.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_claimed_is_removed_and_nothing_else() {
        let room = tempfile::tempdir().expect("room");
        let inside = room.path().join("demo");
        let claimed = Workplace::claim(Some(&inside), false).expect("claimed");
        fs::create_dir(claimed.dir()).expect("made");
        fs::write(claimed.dir().join("file"), "text").expect("written");
        assert!(Workplace::claim(Some(&inside), false).is_err());
        assert!(inside.exists());
        drop(claimed);
        assert!(!inside.exists());
    }

    #[test]
    fn a_named_directory_stays_if_that_was_asked_for() {
        let room = tempfile::tempdir().expect("room");
        let claimed = Workplace::claim(Some(room.path()), true).expect("an empty directory");
        drop(claimed);
        assert!(room.path().exists());
    }
}
