//! National records from CSV (RFC 4180): UTF-8 with or without a byte order mark, one header line. What else a file
//! may be written in is decoded [before](super::encoding).
//!
//! The file is pushed in chunks of any size. Quoted fields may hold line ends; blank lines are skipped; a line
//! that cannot be read costs that line only ([`Rejection`]). What stops a run is a header
//! that does not fit the mapping, since then every line would be wrong.

use std::collections::BTreeSet;

use csv_core::ReadRecordResult;
use eads_domain::record::Record;
use eads_domain::slot::SlotSpec;
use unicode_normalization::UnicodeNormalization as _;

use super::cell::{Problem, read_text};
use super::mapping::Meaning;
use super::run::{Run, reject, too_long};
use super::split::{Content, Piece, Splitter};
use super::{ImportError, ImportOptions, Mapping, Parsed, Rejection};

/// Reads one CSV file.
pub struct CsvImporter {
    run: Run,
    splitter: Splitter,
    fields: Fields,
    header: Option<Header>,
    failed: Option<ImportError>,
}

impl CsvImporter {
    /// Begins a file.
    pub fn new(options: ImportOptions) -> Self {
        let delimiter = options.mapping.delimiter;
        let (splitter, fields) = (Splitter::csv(delimiter), Fields::new(delimiter));
        Self { run: Run::new(options), splitter, fields, header: None, failed: None }
    }

    /// Takes the next bytes of the file; gives what became of the records that end in them.
    ///
    /// # Errors
    /// [`ImportError`] if the header does not fit; then for every later call too.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Parsed>, ImportError> {
        self.splitter.push(bytes);
        self.read(false)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`ImportError`] as above, and [`ImportError::HeaderMissing`] for an empty file.
    pub fn finish(mut self) -> Result<Vec<Parsed>, ImportError> {
        let parsed = self.read(true)?;
        if self.header.is_none() { Err(ImportError::HeaderMissing) } else { Ok(parsed) }
    }

    fn read(&mut self, ended: bool) -> Result<Vec<Parsed>, ImportError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut parsed = Vec::new();
        while let Some(piece) = self.splitter.next(ended) {
            match &self.header {
                None => {
                    let header = Header::read(&piece, &mut self.fields, &self.run.mapping);
                    self.header = Some(header.inspect_err(|error| self.failed = Some(error.clone()))?);
                }
                Some(header) => {
                    let outcome = row(&mut self.run, &mut self.fields, header, &piece);
                    parsed.extend(self.run.report(&piece, outcome));
                }
            }
        }
        Ok(parsed)
    }
}

/// What each column means.
pub(super) struct Header {
    pub(super) columns: Vec<Meaning>,
}

impl Header {
    fn read(piece: &Piece, fields: &mut Fields, mapping: &Mapping) -> Result<Self, ImportError> {
        let Content::Record(bytes) = &piece.content else { return Err(ImportError::HeaderUnreadable) };
        let record = fields.read(bytes).ok_or(ImportError::HeaderUnreadable)?;
        let names: Vec<&str> =
            record.map(std::str::from_utf8).collect::<Result<_, _>>().map_err(|_| ImportError::HeaderUnreadable)?;
        Self::of_names(names.into_iter(), mapping)
    }

    /// What columns of these names mean.
    pub(super) fn of_names<'a>(given: impl Iterator<Item = &'a str>, mapping: &Mapping) -> Result<Self, ImportError> {
        let mut names = BTreeSet::new();
        let mut filled = BTreeSet::new();
        let mut columns = Vec::new();
        for name in given {
            let name: String = name.trim().nfc().collect();
            let column = || name.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
            let meaning = mapping.meaning(&name).ok_or_else(|| ImportError::ColumnUnknown { column: column() })?;
            if let Meaning::Field(spec) = meaning
                && !filled.insert(spec.number)
                && !names.contains(&name)
            {
                return Err(ImportError::FieldTwice { field: spec.name.clone() });
            }
            let shown = column();
            if !names.insert(name) {
                return Err(ImportError::ColumnTwice { column: shown });
            }
            columns.push(meaning);
        }
        if let Some(missing) = mapping.expected_columns().find(|column| !names.contains(*column)) {
            return Err(ImportError::ColumnMissing { column: missing.to_owned() });
        }
        let constant = |number| mapping.constants.iter().any(|(constant, _)| *constant == number);
        let doubled = columns.iter().find_map(|meaning| match meaning {
            Meaning::Field(spec) if constant(spec.number) => Some(spec.name.clone()),
            _ => None,
        });
        doubled.map_or(Ok(Self { columns }), |field| Err(ImportError::FieldTwice { field }))
    }
}

/// Takes single records apart. Building the parser costs more than a record does: it is kept.
struct Fields {
    parser: csv_core::Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Fields {
    fn new(delimiter: u8) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { parser, text: Vec::new(), ends: Vec::new() }
    }

    /// The fields of one record; none if the bytes are not exactly one.
    fn read(&mut self, bytes: &[u8]) -> Option<impl ExactSizeIterator<Item = &[u8]>> {
        self.parser.reset();
        // No field is longer than the record, and there is at most one more than there are delimiters in it.
        self.text.resize(bytes.len().max(1), 0);
        self.ends.resize(bytes.len() + 1, 0);
        let (mut rest, mut written, mut count) = (bytes, 0, 0);
        loop {
            let (text, ends) = (self.text.get_mut(written..)?, self.ends.get_mut(count..)?);
            let (outcome, read, more, ended) = self.parser.read_record(rest, text, ends);
            rest = rest.get(read..)?;
            written += more;
            count += ended;
            match outcome {
                // Told once more that there is nothing, the parser ends the last field.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => break,
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull | ReadRecordResult::End => return None,
            }
        }
        if !rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return None;
        }
        let (text, ends) = (self.text.get(..written)?, self.ends.get(..count)?);
        let begins = |at: usize| at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        Some(ends.iter().enumerate().map(move |(at, end)| text.get(begins(at)..*end).unwrap_or_default()))
    }
}

fn row(run: &mut Run, fields: &mut Fields, header: &Header, piece: &Piece) -> Result<Record, Rejection> {
    let line = piece.line;
    let problem = |code, reason: &str| reject(line, None, &[Problem::new(code, reason)]);
    let bytes = match &piece.content {
        Content::Record(bytes) => bytes,
        Content::TooLong => return Err(reject(line, None, &[too_long()])),
        Content::Quotes => {
            return Err(problem(
                "CSV_QUOTES",
                "quotation marks that do not pair; inside a quoted field write them twice",
            ));
        }
    };
    if std::str::from_utf8(bytes).is_err() {
        return Err(problem("CSV_NOT_UTF8", "the line is not UTF-8; save the file as UTF-8"));
    }
    let record = fields
        .read(bytes)
        .ok_or_else(|| problem("CSV_LINE_END", "a carriage return without a line feed; end lines with LF or CRLF"))?;
    if record.len() != header.columns.len() {
        let counts = format!("{} columns instead of {}", record.len(), header.columns.len());
        return Err(problem("CSV_RAGGED", &counts));
    }
    let cells: Vec<(Meaning, &str)> =
        header.columns.iter().copied().zip(record.map(|cell| std::str::from_utf8(cell).unwrap_or_default())).collect();
    let key = cells.iter().find(|(meaning, _)| *meaning == Meaning::Key).map(|(_, cell)| *cell);
    let (style, today) = (&run.mapping.style, run.today);
    let field = |(meaning, cell): (Meaning, &str)| match meaning {
        Meaning::Field(spec) => Some(value_of(spec, cell, style, today)),
        Meaning::Key | Meaning::Ignored => None,
    };
    let values: Vec<_> = cells.iter().copied().filter_map(field).collect();
    run.record(line, key, values)
}

fn value_of(
    spec: &'static SlotSpec,
    cell: &str,
    style: &super::mapping::Style,
    today: Option<eads_domain::value::PartialDate>,
) -> (eads_domain::slot::SlotNumber, Result<eads_domain::value::Value, Problem>) {
    (spec.number, read_text(spec, cell, style, today))
}
