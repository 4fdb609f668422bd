//! The rows of a sheet, one after the other, with what merged areas make of them.

use std::collections::HashMap;
use std::io::Read;

use super::archive::{Archive, MAX_CELL_BYTES, Texts, explain, local};
use super::format::{Formats, Kind, Said, said};
use super::{MAX_RECORD_BYTES, Unreadable};
use crate::import::xml::Step;

/// Columns and rows of a sheet (ECMA-376 has no bounds; these are those of every program).
const MAX_COLUMNS: u32 = 16_384;
const MAX_ROWS: u32 = 1_048_576;
/// Merged areas of a sheet.
const MAX_MERGED: usize = 10_000;
/// Bytes after the last row: merged areas, validations, links.
const MAX_TAIL: usize = 8 * 1024 * 1024;

/// What a cell says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    /// A day, ISO 8601.
    Date(String),
    /// Code and reason.
    Problem(&'static str, &'static str),
}

impl Cell {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Date(text) => text.len(),
            Self::Problem(..) => 0,
        }
    }
}

/// A row with something in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// From 1.
    pub(super) number: u32,
    /// By column, from 0, ascending; cells with nothing but white space are left out.
    pub(super) cells: Vec<(u32, Cell)>,
}

/// `C5`, for column 2 of row 5.
pub(super) fn reference(column: u32, row: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    format!("{}{row}", letters.iter().rev().collect::<String>())
}

/// Column, from 0, and row, from 1, of a cell's reference.
fn position(reference: &str) -> Option<(u32, u32)> {
    let digits = reference.find(|c: char| c.is_ascii_digit())?;
    let (letters, digits) = (reference.get(..digits)?, reference.get(digits..)?);
    let mut column = 0_u32;
    for letter in letters.bytes().filter(u8::is_ascii_uppercase) {
        column = column.checked_mul(26)?.checked_add(u32::from(letter - b'A') + 1)?;
    }
    let row = digits.parse().ok()?;
    let is_good = letters.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=MAX_COLUMNS).contains(&column)
        && (1..=MAX_ROWS).contains(&row);
    is_good.then(|| (column - 1, row))
}

/// Gives each row that is not empty to `take`, with how much of the sheet is behind it in thousandths, until that
/// says no.
pub(super) fn read(
    archive: &mut Archive,
    path: &str,
    place: &str,
    take: &mut dyn FnMut(Row, u32) -> bool,
) -> Result<(), Unreadable> {
    let from_1904 = archive.from_1904;
    let formats = archive.formats()?;
    let texts = archive.texts()?;
    let mut merged = Merged::new(merged_areas(archive, path).map_err(|error| error.at(place))?);
    let size = archive.size(path).max(1);
    let missing = || Unreadable::damaged("the sheet's part is missing").at(place);
    let mut xml = archive.part(path)?.ok_or_else(missing)?;
    let cells = CellReader { formats, texts, from_1904 };
    let mut row: Option<Row> = None;
    let (mut last_row, mut next_column) = (0_u32, 0_u32);
    let mut bytes = 0_usize;
    let mut cell = Written::default();
    let mut text_open = false;
    let mut phonetic = 0_usize;
    loop {
        let inside = row.is_some();
        let here = |cell: &Written| match inside {
            true => format!("{place} cell {}", reference(cell.column, last_row)),
            false => place.to_owned(),
        };
        match xml.step().map_err(|error| explain(&error).at(&here(&cell)))? {
            Step::Open { name, .. } => match local(&name) {
                "row" => {
                    let number = match xml.attribute("r") {
                        Some(number) => number.parse().ok().filter(|number| (1..=MAX_ROWS).contains(number)),
                        None => Some(last_row + 1),
                    };
                    let number = number.filter(|number| *number > last_row && *number <= MAX_ROWS);
                    let number = number.ok_or_else(|| Unreadable::damaged("its rows are not in order").at(place))?;
                    (last_row, next_column, bytes) = (number, 0, 0);
                    row = Some(Row { number, cells: Vec::new() });
                }
                "c" => {
                    let at = xml.attribute("r");
                    let column = match &at {
                        Some(at) => position(at).filter(|(_, number)| *number == last_row).map(|(column, _)| column),
                        None => Some(next_column),
                    };
                    let column = column.filter(|column| *column >= next_column && *column < MAX_COLUMNS);
                    cell = Written { column: next_column, ..Written::default() };
                    cell.column = column.ok_or_else(|| {
                        Unreadable::damaged("a cell stands where it cannot").at(&format!("{place} row {last_row}"))
                    })?;
                    next_column = cell.column + 1;
                    cell.kind = xml.attribute("t").unwrap_or_default();
                    cell.style = xml.attribute("s").and_then(|style| style.parse().ok()).unwrap_or(0);
                }
                "rPh" => phonetic += 1,
                "v" | "t" => text_open = phonetic == 0,
                _ => text_open = false,
            },
            Step::Text(text) if text_open && row.is_some() => {
                bytes += text.len();
                cell.text.push_str(&text);
                if cell.text.len() > MAX_CELL_BYTES {
                    return Err(Unreadable::too_large("a cell is longer than a cell can be").at(&here(&cell)));
                }
                if bytes > 4 * MAX_RECORD_BYTES {
                    return Err(Unreadable::too_large("a row is longer than a megabyte").at(&here(&cell)));
                }
            }
            Step::Text(_) => {}
            Step::Close => match local(xml.closed()) {
                "c" => {
                    if let (Some(row), Some(said)) = (&mut row, cells.read(&cell)) {
                        row.cells.push((cell.column, said));
                    }
                    cell.text.clear();
                }
                "row" => {
                    if let Some(mut whole) = row.take() {
                        merged.apply(&mut whole);
                        let done = xml.position().saturating_mul(1000) / size;
                        if !whole.cells.is_empty() && !take(whole, u32::try_from(done.min(1000)).unwrap_or(1000)) {
                            return Ok(());
                        }
                    }
                }
                "rPh" => phonetic = phonetic.saturating_sub(1),
                "v" | "t" => text_open = false,
                "sheetData" => return Ok(()),
                _ => {}
            },
            Step::End => return Ok(()),
        }
    }
}

/// A cell as it stands in the file.
#[derive(Default)]
struct Written {
    column: u32,
    kind: String,
    style: usize,
    text: String,
}

struct CellReader {
    formats: Formats,
    texts: Texts,
    from_1904: bool,
}

impl CellReader {
    /// What it says; `None` if nothing.
    fn read(&self, cell: &Written) -> Option<Cell> {
        let text = |text: &str| {
            let text = unescaped(text);
            (!text.trim().is_empty()).then_some(Cell::Text(text))
        };
        match cell.kind.as_str() {
            "s" => {
                let number = cell.text.trim();
                if number.is_empty() {
                    return None;
                }
                match number.parse().ok().and_then(|number| self.texts.get(number)) {
                    Some(shared) => text(shared),
                    None => Some(Cell::Problem("XLSX_DAMAGED", "the cell refers to a text that is not there")),
                }
            }
            "str" | "inlineStr" => text(&cell.text),
            "e" => Some(Cell::Problem("XLSX_CELL_ERROR", "a formula in the cell ended in an error")),
            "b" => text(&cell.text),
            "d" => cell.text.get(..10).map(|day| Cell::Date(day.to_owned())).or_else(|| text(&cell.text)),
            _ if cell.text.trim().is_empty() => None,
            _ => {
                let kind: Kind = self.formats.kind(cell.style);
                Some(match said(&cell.text, kind, self.from_1904) {
                    Said::Text(text) => Cell::Text(text),
                    Said::Date(day) => Cell::Date(day),
                    Said::Problem(code, reason) => Cell::Problem(code, reason),
                })
            }
        }
    }
}

/// `_x000D_` and the like stand for characters that XML cannot hold (ECMA-376 part 1, 22.9.2.19).
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        let code = rest.get(at + 2..at + 6).filter(|_| rest.get(at + 6..at + 7) == Some("_"));
        let character = code.and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match character {
            Some(character) => {
                out.push(character);
                rest = after.get(7..).unwrap_or_default();
            }
            None => {
                out.push_str("_x");
                rest = after.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// A merged area: columns from 0, rows from 1, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Area {
    columns: (u32, u32),
    rows: (u32, u32),
}

/// The merged areas of a sheet, as rows are met.
struct Merged {
    /// By first row, the last one first.
    ahead: Vec<Area>,
    here: Vec<Area>,
    /// What the first cells of areas say, by column and first row.
    values: HashMap<(u32, u32), Cell>,
}

impl Merged {
    fn new(mut areas: Vec<Area>) -> Self {
        areas.sort_by_key(|area| std::cmp::Reverse(area.rows.0));
        Self { ahead: areas, here: Vec::new(), values: HashMap::new() }
    }

    /// Fills in what areas say that reach into this row.
    fn apply(&mut self, row: &mut Row) {
        while self.ahead.last().is_some_and(|area| area.rows.0 <= row.number) {
            self.here.extend(self.ahead.pop());
        }
        self.here.retain(|area| {
            let is_over = area.rows.1 < row.number;
            if is_over {
                self.values.remove(&(area.columns.0, area.rows.0));
            }
            !is_over
        });
        for area in &self.here {
            let first = (area.columns.0, area.rows.0);
            let place = row.cells.binary_search_by_key(&area.columns.0, |(column, _)| *column);
            let sideways = area.columns.0 != area.columns.1;
            let said = if sideways {
                Some(Cell::Problem("XLSX_MERGED", "cells are merged sideways; take the merge apart"))
            } else if area.rows.0 == row.number {
                place.ok().and_then(|at| row.cells.get(at)).map(|(_, cell)| cell.clone())
            } else {
                self.values.get(&first).cloned()
            };
            let Some(said) = said else { continue };
            if area.rows.0 == row.number {
                self.values.insert(first, said.clone());
            }
            // A row of nothing but what a merge says is no row.
            match place {
                Ok(at) => row.cells.get_mut(at).into_iter().for_each(|(_, cell)| *cell = said.clone()),
                Err(at) if !row.cells.is_empty() => row.cells.insert(at, (area.columns.0, said)),
                Err(_) => {}
            }
        }
    }
}

/// The merged areas stand after the rows, which they are needed for: one pass over the bytes finds them.
fn merged_areas(archive: &mut Archive, path: &str) -> Result<Vec<Area>, Unreadable> {
    const END: &[u8] = b"sheetData>";
    const BLOCK: usize = 64 * 1024;
    let Some((mut part, max)) = archive.inflate(path)? else { return Ok(Vec::new()) };
    let mut tail: Vec<u8> = Vec::new();
    let mut ended = false;
    let mut total = 0_u64;
    loop {
        let kept = tail.len();
        tail.resize(kept + BLOCK, 0);
        let room = tail.get_mut(kept..).unwrap_or_default();
        let read = part.read(room).map_err(|_| Unreadable::damaged("the sheet is damaged or cut off"))?;
        tail.truncate(kept + read);
        total += read as u64;
        if total > max {
            return Err(Unreadable::too_large("it inflates to far more than a sheet would"));
        }
        if read == 0 {
            break;
        }
        let from = kept.saturating_sub(END.len());
        let found = tail.get(from..).and_then(|bytes| bytes.windows(END.len()).rposition(|bytes| bytes == END));
        if let Some(at) = found {
            ended = true;
            tail.drain(..from + at + END.len());
        } else if !ended {
            let useless = tail.len().saturating_sub(END.len());
            tail.drain(..useless);
        }
        if tail.len() > MAX_TAIL {
            return Err(Unreadable::too_large("there is too much after its last row"));
        }
    }
    let text = String::from_utf8_lossy(&tail);
    let mut areas = Vec::new();
    for element in text.split("mergeCell ").skip(1) {
        let reference = element.split_once("ref=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(area, _)| area);
        let ends = reference.and_then(|area| area.split_once(':'));
        let ends = ends.and_then(|(from, to)| Some((position(from)?, position(to)?)));
        if let Some(((left, top), (right, bottom))) = ends
            && left <= right
            && top <= bottom
        {
            areas.push(Area { columns: (left, right), rows: (top, bottom) });
        }
        if areas.len() > MAX_MERGED {
            return Err(Unreadable::too_large("it has more than 10,000 merged areas"));
        }
    }
    Ok(areas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        for (text, column, row) in [("A1", 0, 1), ("Z9", 25, 9), ("AA10", 26, 10), ("XFD1048576", 16_383, 1_048_576)] {
            assert_eq!(position(text), Some((column, row)));
            assert_eq!(reference(column, row), text);
        }
        for text in ["", "A", "1", "A0", "XFE1", "a1", "A1048577", "A-1", "ZZZZZZZZZZ1", "$A$1"] {
            assert_eq!(position(text), None, "{text}");
        }
    }

    #[test]
    fn escaped_characters_are_themselves_again() {
        assert_eq!(unescaped("a_x000D_b_x005F_x0041_"), "a\rb_x0041_");
        assert_eq!(unescaped("_x12_ _xZZZZ_ _x"), "_x12_ _xZZZZ_ _x");
    }
}
