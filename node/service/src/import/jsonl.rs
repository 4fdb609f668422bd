//! National records from JSON Lines: one object a line, UTF-8, its members named like the fields.
//!
//! The file is pushed in chunks of any size; blank lines are skipped; a line that cannot be read costs that line
//! only. A line has at most 256 KiB and [`MAX_DEPTH`] levels.

use std::fmt;

use eads_domain::record::Record;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value as Json;

use super::cell::{Problem, read_json};
use super::mapping::Meaning;
use super::run::{Run, reject, too_long};
use super::split::{Content, Piece, Splitter};
use super::{ImportError, ImportOptions, Parsed, Rejection};

/// Levels of objects and arrays in a line, the line's own object included.
pub const MAX_DEPTH: usize = 8;

/// Reads one JSON Lines file.
pub struct JsonLinesImporter {
    run: Run,
    splitter: Splitter,
}

impl JsonLinesImporter {
    /// Begins a file.
    pub fn new(options: ImportOptions) -> Self {
        Self { run: Run::new(options), splitter: Splitter::lines() }
    }

    /// Takes the next bytes of the file; gives what became of the lines that end in them.
    ///
    /// # Errors
    /// None today: a line of this format can only spoil itself. The signature is that of
    /// [`CsvImporter::push`](super::CsvImporter::push).
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Parsed>, ImportError> {
        self.splitter.push(bytes);
        Ok(self.read(false))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// None today, as above. An empty file has no records.
    pub fn finish(mut self) -> Result<Vec<Parsed>, ImportError> {
        Ok(self.read(true))
    }

    fn read(&mut self, ended: bool) -> Vec<Parsed> {
        let mut parsed = Vec::new();
        while let Some(piece) = self.splitter.next(ended) {
            let outcome = line(&mut self.run, &piece);
            parsed.extend(self.run.report(&piece, outcome));
        }
        parsed
    }
}

fn line(run: &mut Run, piece: &Piece) -> Result<Record, Rejection> {
    let number = piece.line;
    let members = match &piece.content {
        Content::Record(bytes) => object(bytes),
        Content::TooLong | Content::Quotes => Err(too_long()),
    };
    let members = members.map_err(|problem| reject(number, None, &[problem]))?;

    let mut key = None;
    let mut values = Vec::with_capacity(members.len());
    let mut unknown = 0_usize;
    for (name, member) in &members {
        match run.mapping.meaning(name) {
            Some(Meaning::Key) => key = key_text(member),
            Some(Meaning::Field(spec)) => {
                let value = if run.mapping.constants.iter().any(|(constant, _)| *constant == spec.number) {
                    Err(Problem::new("IMPORT_FIELD_TWICE", format!("{}: the mapping has a constant for it", spec.name)))
                } else {
                    read_json(spec, member, &run.mapping.style, run.today)
                };
                values.push((spec.number, value));
            }
            Some(Meaning::Ignored) => {}
            None => unknown += 1,
        }
    }
    if unknown > 0 {
        let reason = format!("{unknown} members are neither mapped nor fields; map them, or list them under `ignore`");
        return Err(reject(number, None, &[Problem::new("IMPORT_COLUMN_UNKNOWN", reason)]));
    }
    run.record(number, key.as_deref(), values)
}

/// A key may be a text or a whole number.
fn key_text(member: &Json) -> Option<String> {
    match member {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

/// The members of the object in a line, in their order.
fn object(bytes: &[u8]) -> Result<Vec<(String, Json)>, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::new("JSON_NOT_UTF8", "the line is not UTF-8; save the file as UTF-8"))?;
    if depth(text) > MAX_DEPTH {
        return Err(Problem::new("JSON_TOO_DEEP", format!("more than {MAX_DEPTH} levels of objects and arrays")));
    }
    let members: Members = serde_json::from_str(text).map_err(|error| {
        // The parser's own words may quote the line.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the line ends inside a value",
            serde_json::error::Category::Data => "not an object, or a member that comes twice",
            _ => "not JSON",
        };
        Problem::new("JSON_MALFORMED", format!("{what}, at column {}", error.column()))
    })?;
    Ok(members.0)
}

/// How deep brackets stand, those in texts left out. Counted before parsing, which recurses.
fn depth(text: &str) -> usize {
    let (mut deepest, mut now, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The members of an object, none of which comes twice.
struct Members(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Json)> = Vec::new();
                let mut names = std::collections::HashSet::new();
                while let Some((name, member)) = map.next_entry::<String, Json>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom("a member comes twice"));
                    }
                    members.push((name, member));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
