//! A range of the log as a file: JSON Lines for programs, CSV for people, both with every entry as it was written.
//!
//! ```text
//! JSON Lines   {"sequence":N,"chain":"<64 hex>","entry":<the entry's bytes>}
//! CSV          sequence, chain, the fields that people look for, and last the entry's bytes
//! ```
//! What was chained is never rebuilt: the entry's bytes stand in the file as they are, and everything else in a line
//! follows from them. A field of a CSV file that a spreadsheet would take for a formula begins with an apostrophe.

use std::fmt::Write as _;
use std::str::FromStr;

use super::Entry;
use crate::id::Hash;

/// How a range is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One JSON object a line.
    JsonLines,
    /// RFC 4180, with a line of names first.
    Csv,
}

impl FileFormat {
    /// The code in proofs and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
        }
    }

    /// What stands before the first entry.
    pub fn header(self) -> String {
        match self {
            Self::JsonLines => String::new(),
            Self::Csv => csv_line(COLUMNS.map(str::to_owned)),
        }
    }
}

impl FromStr for FileFormat {
    type Err = ();

    fn from_str(code: &str) -> Result<Self, ()> {
        [Self::JsonLines, Self::Csv].into_iter().find(|format| format.as_str() == code).ok_or(())
    }
}

const COLUMNS: [&str; 17] = [
    "sequence",
    "chain",
    "at",
    "kind",
    "request",
    "actor",
    "roles",
    "operation",
    "purpose",
    "legal_basis",
    "case_reference",
    "peer",
    "subject",
    "intent",
    "result",
    "shown",
    "entry",
];

/// One entry with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the log.
    pub sequence: u64,
    /// The chain after it.
    pub chain: Hash,
    /// Its bytes as they were written.
    pub payload: String,
}

impl Row {
    /// Its line in a file, with the line's end.
    ///
    /// # Errors
    /// For bytes that are no entry.
    pub fn line(&self, format: FileFormat) -> Result<String, serde_json::Error> {
        let Self { sequence, chain, payload } = self;
        match format {
            FileFormat::JsonLines => Ok(format!("{}{payload}}}\n", json_prefix(*sequence, chain))),
            FileFormat::Csv => Ok(csv_line(self.fields(&Entry::parse(payload.as_bytes())?))),
        }
    }

    /// Reads a line of JSON Lines; none if it is not one, or says anything else beside.
    pub(super) fn from_json_line(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("{\"sequence\":")?;
        let (sequence, rest) = rest.split_once(",\"chain\":\"")?;
        let (chain, rest) = rest.split_once("\",\"entry\":")?;
        let row = Self {
            sequence: sequence.parse().ok()?,
            chain: chain.parse().ok()?,
            payload: rest.strip_suffix('}')?.to_owned(),
        };
        line.starts_with(&json_prefix(row.sequence, &row.chain)).then_some(row)
    }

    /// Reads the fields of a CSV record; none if they do not follow from the entry among them.
    pub(super) fn from_csv(fields: &[&str]) -> Option<Self> {
        let [sequence, chain, .., payload] = fields else { return None };
        let row = Self { sequence: sequence.parse().ok()?, chain: chain.parse().ok()?, payload: (*payload).to_owned() };
        let entry = Entry::parse(payload.as_bytes()).ok()?;
        row.fields(&entry).iter().map(String::as_str).eq(fields.iter().copied()).then_some(row)
    }

    fn fields(&self, entry: &Entry) -> [String; 17] {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let shown = entry.shown.iter().fold(String::new(), |mut out, shown| {
            let slots: Vec<String> = shown.slots.iter().map(|slot| slot.get().to_string()).collect();
            let space = if out.is_empty() { "" } else { " " };
            // Writing to a text does not fail.
            let _ = write!(out, "{space}{}:{}", shown.digest, slots.join(","));
            out
        });
        let fields = [
            self.sequence.to_string(),
            self.chain.to_string(),
            entry.at.to_string(),
            entry.kind.as_str().to_owned(),
            entry.request.to_string(),
            entry.actor.label(),
            entry.actor.roles().join(" "),
            entry.operation.clone(),
            text(&entry.purpose),
            text(&entry.legal_basis),
            text(&entry.case_reference),
            entry.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            text(&entry.subject),
            entry.intent.map(|intent| intent.to_string()).unwrap_or_default(),
            text(&entry.result),
            shown,
            self.payload.clone(),
        ];
        fields.map(unformulated)
    }
}

fn json_prefix(sequence: u64, chain: &Hash) -> String {
    format!("{{\"sequence\":{sequence},\"chain\":\"{chain}\",\"entry\":")
}

/// What no spreadsheet takes for a formula. An entry's own bytes begin with a brace and stay as they are.
fn unformulated(field: String) -> String {
    if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{field}") } else { field }
}

fn csv_line<const N: usize>(fields: [String; N]) -> String {
    let quoted = fields.map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
    format!("{}\r\n", quoted.join(","))
}
