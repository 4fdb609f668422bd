//! Tables without borders, so that they can be read, copied and cut by columns.

use comfy_table::{Attribute, Cell, ContentArrangement, Table};

use super::page::Tone;
use super::text::clean;

/// Rows under headings; every cell is cleaned.
#[derive(Debug)]
pub(crate) struct Grid {
    headings: Vec<&'static str>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Grid {
    /// An empty table with its headings.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// A row; every cell carries a tone.
    pub(crate) fn row<const N: usize>(&mut self, cells: [(String, Tone); N]) {
        self.rows.push(cells.into_iter().map(|(cell, tone)| (clean(&cell), tone)).collect());
    }

    /// The lines of the table.
    pub(super) fn lines(&self, colour: bool) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if colour {
            table.enforce_styling();
        } else {
            // Without this the table would dress its headings on a terminal even where colour is not wanted.
            table.force_no_tty();
        }
        table.set_header(self.headings.iter().map(|heading| {
            let cell = Cell::new(heading);
            if colour { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
        for row in &self.rows {
            table.add_row(row.iter().map(|(text, tone)| {
                let cell = Cell::new(text);
                match (colour, tone.colour()) {
                    (true, Some(shade)) => cell.fg(shade),
                    _ => cell,
                }
            }));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_nothing_trails() {
        let mut grid = Grid::new(&["MEMBER", "STATE"]);
        grid.row([("MY".to_owned(), Tone::Plain), ("accepted".to_owned(), Tone::Good)]);
        grid.row([("TH".to_owned(), Tone::Plain), ("a\u{1b}[0m".to_owned(), Tone::Bad)]);
        assert_eq!(grid.lines(false).join("\n"), "MEMBER  STATE\nMY      accepted\nTH      a\\u{1b}[0m");
    }
}
