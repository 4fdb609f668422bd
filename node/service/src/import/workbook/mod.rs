//! National records from a workbook (XLSX, ECMA-376): one sheet, its first row with anything in it the header.
//!
//! Promises: a row becomes a record exactly as a line of CSV does, or a [`Rejection`](super::Rejection) that names
//! sheet and cell. Nothing is mangled silently: a number is written in full as it stands in its cell, never with an
//! exponent, with the leading zeros that a format of zeros shows; a number of more digits than a spreadsheet keeps,
//! and an error in a cell, are rejected; a date is a date by its number format, whatever the mapping says of
//! written ones. A cell merged downwards has its value in every row; a row with cells merged sideways is rejected.
//!
//! What comes from outside is bounded: [`MAX_FILE`], entries of the archive, bytes that any of them may inflate to
//! and by which ratio, text, columns, merged areas. The sheet is read as a stream on a thread of its own; what is
//! kept of it is the file itself and its table of shared texts.
//!
//! Written by hand rather than with a spreadsheet library, because those inflate without bounds and give no number
//! formats, without which `0012345` in a cell of numbers becomes `12345`.

mod archive;
mod format;
mod sheet;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use eads_domain::record::Record;

use super::cell::{Problem, read_text};
use super::csv::Header;
use super::mapping::{Calendar, DateFormat, Meaning, Style};
use super::run::{Run, reject};
use super::split::{Content, Piece};
use super::{ImportError, ImportOptions, MAX_RECORD_BYTES, Parsed, Rejection};
use archive::Archive;
use sheet::{Cell, Row};

/// Bytes of a file: it is kept in memory.
pub(super) const MAX_FILE: usize = 128 * 1024 * 1024;
/// Rows handed over at once.
const ROWS: usize = 256;
/// How many such runs may wait.
const WAITING: usize = 4;

/// A workbook that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) code: &'static str,
    /// Sheet and cell, as far as it is known.
    pub(super) place: String,
    pub(super) what: &'static str,
}

impl Unreadable {
    fn new(code: &'static str, what: &'static str) -> Self {
        Self { code, place: "the workbook".to_owned(), what }
    }

    fn damaged(what: &'static str) -> Self {
        Self::new("XLSX_DAMAGED", what)
    }

    fn too_large(what: &'static str) -> Self {
        Self::new("XLSX_TOO_LARGE", what)
    }

    fn at(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }
}

impl From<Unreadable> for ImportError {
    fn from(error: Unreadable) -> Self {
        Self::Workbook { code: error.code, place: error.place, what: error.what }
    }
}

/// What the thread that reads the sheet has found.
enum Found {
    /// The sheet's name, first.
    Sheet(String),
    /// Rows, and how much of the sheet is behind them, in thousandths.
    Rows(Vec<Row>, u32),
}

type Sent = Result<Found, Unreadable>;

/// Reads one workbook.
pub(super) struct WorkbookImporter {
    run: Run,
    /// For cells that are dates: they are written as ISO 8601 says, and are of the Common Era.
    dates: Style,
    wanted: Option<String>,
    file: Vec<u8>,
    found: Option<Receiver<Sent>>,
    sheet: String,
    header: Option<Columns>,
    done: u32,
}

/// What the columns mean, by their numbers.
struct Columns {
    meanings: BTreeMap<u32, Meaning>,
}

impl WorkbookImporter {
    /// Begins a file; of the sheet with this name, or the first one.
    pub(super) fn new(options: ImportOptions, sheet: Option<String>) -> Self {
        let run = Run::new(options);
        let style = &run.mapping.style;
        let dates =
            Style { date_format: DateFormat::YearMonthDay, calendar: Calendar::Gregorian, ..Style::clone(style) };
        let (file, sheet_name) = (Vec::new(), String::new());
        Self { run, dates, wanted: sheet, file, found: None, sheet: sheet_name, header: None, done: 0 }
    }

    /// Takes the next bytes of the file. Its directory stands at its end, so that nothing comes of it yet.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if self.file.len() + bytes.len() > MAX_FILE {
            return Err(Unreadable::too_large("the file is larger than 128 MiB; save the sheet as CSV").into());
        }
        self.file.extend_from_slice(bytes);
        Ok(())
    }

    /// What of the sheet has been dealt with, in thousandths.
    pub(super) const fn done(&self) -> u32 {
        self.done
    }

    /// The next rows once the file has ended; none when there are no more. Blocks.
    pub(super) fn more(&mut self) -> Result<Option<Vec<Parsed>>, ImportError> {
        let found = match &self.found {
            Some(found) => found,
            None => {
                let (sender, receiver) = sync_channel(WAITING);
                let (file, wanted) = (std::mem::take(&mut self.file), self.wanted.take());
                let thread = std::thread::Builder::new().name("workbook".to_owned());
                let thread = thread.spawn(move || read(file, wanted.as_deref(), &sender));
                thread.map_err(|_| Unreadable::new("XLSX_UNREADABLE", "there is no thread to read it on"))?;
                self.found.insert(receiver)
            }
        };
        match found.recv() {
            Ok(Ok(Found::Sheet(name))) => {
                self.sheet = name;
                Ok(Some(Vec::new()))
            }
            Ok(Ok(Found::Rows(rows, done))) => {
                let mut parsed = Vec::with_capacity(rows.len());
                for row in rows {
                    parsed.extend(self.row(row)?);
                }
                self.done = done;
                Ok(Some(parsed))
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) if self.header.is_none() => Err(ImportError::HeaderMissing),
            Err(_) => {
                self.done = 1000;
                Ok(None)
            }
        }
    }

    fn row(&mut self, row: Row) -> Result<Option<Parsed>, ImportError> {
        let Some(columns) = &self.header else {
            let columns = Columns::read(&row, &self.sheet, &self.run)?;
            self.header = Some(columns);
            return Ok(None);
        };
        let number = u64::from(row.number);
        let piece = Piece { line: number, byte_end: number, content: Content::TooLong };
        let outcome = record(&mut self.run, columns, &self.dates, &self.sheet, &row);
        Ok(self.run.report(&piece, outcome))
    }
}

/// Reads the workbook and sends what it finds until nobody listens.
fn read(file: Vec<u8>, wanted: Option<&str>, found: &SyncSender<Sent>) {
    let outcome = Archive::open(file).and_then(|mut archive| {
        let (name, path) = archive.sheet(wanted)?;
        if found.send(Ok(Found::Sheet(name.clone()))).is_err() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(ROWS);
        let place = format!("sheet \"{name}\"");
        sheet::read(&mut archive, &path, &place, &mut |row, done| {
            rows.push(row);
            rows.len() < ROWS
                || found.send(Ok(Found::Rows(std::mem::replace(&mut rows, Vec::with_capacity(ROWS)), done))).is_ok()
        })?;
        let _ = found.send(Ok(Found::Rows(rows, 1000)));
        Ok(())
    });
    if let Err(error) = outcome {
        let _ = found.send(Err(error));
    }
}

impl Columns {
    fn read(row: &Row, sheet: &str, run: &Run) -> Result<Self, ImportError> {
        let mut numbers = Vec::with_capacity(row.cells.len());
        let mut names = Vec::with_capacity(row.cells.len());
        for (column, cell) in &row.cells {
            let (Cell::Text(text) | Cell::Date(text)) = cell else {
                let place = format!("sheet \"{sheet}\" cell {}", sheet::reference(*column, row.number));
                let what = "the header has no text there";
                return Err(ImportError::Workbook { code: "IMPORT_HEADER_UNREADABLE", place, what });
            };
            numbers.push(*column);
            names.push(text.as_str());
        }
        let header = Header::of_names(names.into_iter(), &run.mapping)?;
        Ok(Self { meanings: numbers.into_iter().zip(header.columns).collect() })
    }
}

fn record(run: &mut Run, columns: &Columns, dates: &Style, sheet: &str, row: &Row) -> Result<Record, Rejection> {
    let line = u64::from(row.number);
    let place = |column: u32| format!("sheet \"{sheet}\" cell {}", sheet::reference(column, row.number));
    let at =
        |column: u32, problem: Problem| Problem { reason: format!("{}: {}", place(column), problem.reason), ..problem };
    let bytes: usize = row.cells.iter().map(|(_, cell)| cell.len()).sum();
    if bytes > MAX_RECORD_BYTES {
        return Err(reject(line, None, &[super::run::too_long()]));
    }
    let key = row.cells.iter().find(|(column, _)| columns.meanings.get(column) == Some(&Meaning::Key));
    let key = match key {
        Some((_, Cell::Text(text) | Cell::Date(text))) => Some(text.as_str()),
        Some((column, Cell::Problem(code, reason))) => {
            return Err(reject(line, None, &[at(*column, Problem::new(code, *reason))]));
        }
        None => None,
    };
    let mut stray = None;
    let (style, today) = (&run.mapping.style, run.today);
    let mut values = Vec::with_capacity(row.cells.len());
    for (column, cell) in &row.cells {
        let spec = match columns.meanings.get(column) {
            Some(Meaning::Field(spec)) => *spec,
            Some(Meaning::Key | Meaning::Ignored) => continue,
            None => {
                stray.get_or_insert(*column);
                continue;
            }
        };
        let value = match cell {
            Cell::Text(text) => read_text(spec, text, style, today),
            Cell::Date(text) => read_text(spec, &of_the_common_era(text, style), dates, today),
            Cell::Problem(code, reason) => Err(Problem::new(code, *reason)),
        };
        values.push((spec.number, value.map_err(|problem| at(*column, problem))));
    }
    if let Some(column) = stray {
        let problem = Problem::new("XLSX_COLUMN_NAMELESS", "something stands under no name of the header");
        let rejection = reject(line, None, &[at(column, problem)]);
        return Err(Rejection { key: key.map(str::to_owned), ..rejection });
    }
    run.record(line, key, values)
}

/// A date that somebody typed with a Buddhist year into a sheet that counts otherwise, where the mapping says that
/// years are Buddhist: a sheet set to Thai keeps the year of the Common Era by itself.
fn of_the_common_era(date: &str, style: &Style) -> String {
    let year = date.get(..4).and_then(|year| year.parse::<u16>().ok());
    match (style.calendar, year, date.get(4..)) {
        (Calendar::Buddhist, Some(year @ 2400..), Some(rest)) => format!("{:04}{rest}", year - 543),
        _ => date.to_owned(),
    }
}
