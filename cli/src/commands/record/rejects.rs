//! The lines that a record import did not take, as a CSV file: line, key, code, reason.
//!
//! Rows go to a neighbour with the suffix `.partial`, which gets the final name when the import is done. A run
//! that was interrupted leaves the neighbour, and the run that resumes goes on with it: lines before the point
//! of resumption are not sent again, and their rejections would otherwise be lost.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use eads_proto::v1 as proto;

use crate::files::{self, FileError};

/// A rejects file that is being written.
pub(super) struct Rejects {
    target: PathBuf,
    partial: PathBuf,
    rows: csv::Writer<File>,
}

impl Rejects {
    /// Begins the file, or goes on with the rows of the interrupted run.
    pub(super) fn begin(target: &Path, resumed: bool) -> Result<Self, FileError> {
        let partial = files::beside(target, "partial");
        let goes_on = resumed && partial.exists();
        let mut options = OpenOptions::new();
        if goes_on {
            options.append(true)
        } else {
            options.write(true).create(true).truncate(true)
        };
        let file = options.open(&partial).map_err(|cause| unwritable(&partial, cause))?;
        let mut rows = csv::Writer::from_writer(file);
        if !goes_on {
            rows.write_record(["line", "key", "code", "reason"]).map_err(|cause| unwritable(&partial, cause.into()))?;
        }
        Ok(Self { target: target.to_owned(), partial, rows })
    }

    /// One more line that was not taken.
    pub(super) fn add(&mut self, rejection: &proto::ImportRejection) -> Result<(), FileError> {
        self.rows
            .write_record([&rejection.line.to_string(), &rejection.key, &rejection.code, &rejection.reason])
            .map_err(|cause| unwritable(&self.partial, cause.into()))
    }

    /// Hands the rows over to the system, so that an interruption keeps them.
    pub(super) fn keep(&mut self) -> Result<(), FileError> {
        self.rows.flush().map_err(|cause| unwritable(&self.partial, cause))
    }

    /// Gives the file its name.
    pub(super) fn finish(mut self) -> Result<(), FileError> {
        self.keep()?;
        self.rows
            .get_ref()
            .sync_all()
            .and_then(|()| std::fs::rename(&self.partial, &self.target))
            .map_err(|cause| unwritable(&self.target, cause))
    }
}

fn unwritable(path: &Path, cause: std::io::Error) -> FileError {
    FileError::Unwritable { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(line: u64) -> proto::ImportRejection {
        proto::ImportRejection {
            line,
            key: "K,1".to_owned(),
            code: "FIELD_TYPE".to_owned(),
            reason: "birth-date is \"31 Feb\"".to_owned(),
        }
    }

    #[test]
    fn a_resumed_import_keeps_the_rejections_of_the_interrupted_one() {
        let room = tempfile::tempdir().expect("room");
        let target = room.path().join("rejects.csv");
        let mut first = Rejects::begin(&target, false).expect("begun");
        first.add(&rejection(2)).expect("added");
        first.keep().expect("kept");
        drop(first);
        assert!(!target.exists());
        let mut second = Rejects::begin(&target, true).expect("resumed");
        second.add(&rejection(9)).expect("added");
        second.finish().expect("finished");
        let text = std::fs::read_to_string(&target).expect("file");
        assert_eq!(
            text,
            "line,key,code,reason\n2,\"K,1\",FIELD_TYPE,\"birth-date is \"\"31 Feb\"\"\"\n\
             9,\"K,1\",FIELD_TYPE,\"birth-date is \"\"31 Feb\"\"\"\n"
        );
    }

    #[test]
    fn a_fresh_import_does_not_go_on_with_old_rows() {
        let room = tempfile::tempdir().expect("room");
        let target = room.path().join("rejects.csv");
        std::fs::write(files::beside(&target, "partial"), "old").expect("leftover");
        Rejects::begin(&target, false).expect("begun").finish().expect("finished");
        assert_eq!(std::fs::read_to_string(&target).expect("file"), "line,key,code,reason\n");
    }
}
