//! Verifying an exported file against its proof, line by line, without a node.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use eads_domain::audit::{AuditProof, FileChecker, FileFinding, FileFormat, Verified};
use eads_domain::card::SignedCard;

use crate::files::{self, FileError};

/// The longest line of a file, in bytes: an entry has at most 1 MiB, which CSV holds once and quoted.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// The proof beside a file.
pub(super) fn proof_of(file: &Path) -> PathBuf {
    files::beside(file, "proof.json")
}

/// Why nothing was verified, or what was found.
pub(super) enum Failed {
    File(FileError),
    Finding(FileFinding),
}

impl From<FileError> for Failed {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<FileFinding> for Failed {
    fn from(finding: FileFinding) -> Self {
        Self::Finding(finding)
    }
}

/// Checks `file` against `proof` under `card`.
pub(super) fn check(file: &Path, proof: &AuditProof, card: &SignedCard) -> Result<Verified, Failed> {
    let unreadable = |cause| FileError::Unreadable { path: file.to_owned(), cause };
    let mut checker = FileChecker::begin(proof, card)?;
    let opened = File::open(file).map_err(unreadable)?;
    match proof.file_format()? {
        FileFormat::JsonLines => {
            let mut lines = BufReader::new(opened);
            let mut line = Vec::new();
            loop {
                line.clear();
                lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(unreadable)?;
                if line.is_empty() {
                    break;
                }
                // A line without its end is one that was cut; what is no text is no entry.
                let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
                checker.json_line(text.unwrap_or_default())?;
            }
        }
        FileFormat::Csv => {
            let mut records = csv::ReaderBuilder::new().flexible(true).from_reader(BufReader::new(opened));
            for record in records.records() {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => match error.into_kind() {
                        csv::ErrorKind::Io(cause) => return Err(unreadable(cause).into()),
                        // What is no record is no entry.
                        _ => csv::StringRecord::new(),
                    },
                };
                checker.csv_record(&record.iter().collect::<Vec<_>>())?;
            }
        }
    }
    Ok(checker.finish()?)
}
