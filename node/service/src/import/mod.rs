//! Bringing data in: national records from CSV, JSON Lines or workbooks, in the encodings of the region, and the
//! Security Council's consolidated list.
//!
//! Promises: every line of a file comes out once, as a record or as a [`Rejection`] that names line, code and
//! reason; one bad line never stops a run; memory stays bounded whatever the file holds; and a run that was
//! interrupted continues after the last byte it reported, with the same outcome as if it had not been. Nothing
//! here stores anything, and no reason repeats a value of the file.

mod cell;
pub mod csv;
pub mod encoding;
mod file;
pub mod jsonl;
pub mod mapping;
mod run;
mod split;
#[cfg(test)]
mod tests;
pub mod un_list;
mod workbook;
pub mod xml;

use eads_domain::clock::Timestamp;
use eads_domain::code::{Code, Coded, Fault};
use eads_domain::record::Record;

pub use self::csv::CsvImporter;
pub use self::encoding::Encoding;
pub use self::file::{FileFormat, FileImporter};
pub use self::jsonl::JsonLinesImporter;
pub use self::mapping::{Calendar, DateFormat, Mapping, MappingError};

/// The longest record of a file, in bytes, line ends included.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// Something in a file that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The line where it begins, from 1.
    pub line: u64,
    /// The file's own key of it, if it could be read.
    pub key: Option<String>,
    /// A stable code.
    pub code: Code,
    /// What to do about it; repeats no value of the file.
    pub reason: String,
}

/// What became of one record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// How many bytes of the file, as UTF-8, have been dealt with when this has been (of a workbook: how many rows);
    /// where a later run continues.
    pub byte_end: u64,
    /// The line where the record begins, from 1.
    pub line: u64,
    /// The record, or why there is none.
    pub outcome: Result<Record, Rejection>,
}

/// How to read a file once it is text.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// What the columns mean.
    pub mapping: Mapping,
    /// Now: nobody was born later.
    pub now: Timestamp,
    /// The [`Parsed::byte_end`] up to which an earlier run got; 0 for a first one. The file is pushed from its
    /// start all the same, so that header and keys are known; what was reported before is not reported again.
    pub resume_after: u64,
}

/// A file that cannot be read with this mapping at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// No header line.
    #[error("the file has no header line with the names of its columns")]
    HeaderMissing,
    /// A header that is no text, or too long, or has an unclosed quotation mark.
    #[error("the header line cannot be read: it must be text, at most 256 KiB, with quotation marks in pairs")]
    HeaderUnreadable,
    /// The same column name twice.
    #[error("the header has the column \"{column}\" twice")]
    ColumnTwice {
        /// Its name.
        column: String,
    },
    /// A column that the mapping does not know.
    #[error("the column \"{column}\" is neither mapped nor the name of a field; map it, or list it under `ignore`")]
    ColumnUnknown {
        /// Its name.
        column: String,
    },
    /// A column that the mapping names and the header lacks.
    #[error("the header has no column \"{column}\", which the mapping names")]
    ColumnMissing {
        /// Its name.
        column: String,
    },
    /// Two columns for one field.
    #[error("two columns are mapped to the field \"{field}\"")]
    FieldTwice {
        /// Its name.
        field: String,
    },
    /// Text whose encoding cannot be told.
    #[error(
        "the file's encoding is not certain: it could be {}; name it with --encoding",
        candidates.iter().map(|encoding| encoding.as_str()).collect::<Vec<_>>().join(", ")
    )]
    EncodingUncertain {
        /// In which it could be.
        candidates: Vec<Encoding>,
    },
    /// A workbook that cannot be read.
    #[error("{place}: {what}")]
    Workbook {
        /// The error's code.
        code: &'static str,
        /// Sheet and cell, as far as they are known.
        place: String,
        /// What is wrong; repeats no value of the file.
        what: &'static str,
    },
}

impl Coded for ImportError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::HeaderMissing => "IMPORT_HEADER_MISSING",
            Self::HeaderUnreadable => "IMPORT_HEADER_UNREADABLE",
            Self::ColumnTwice { .. } => "IMPORT_COLUMN_TWICE",
            Self::ColumnUnknown { .. } => "IMPORT_COLUMN_UNKNOWN",
            Self::ColumnMissing { .. } => "IMPORT_COLUMN_MISSING",
            Self::FieldTwice { .. } => "IMPORT_FIELD_TWICE",
            Self::EncodingUncertain { .. } => "ENCODING_UNCERTAIN",
            Self::Workbook { code, .. } => code,
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
