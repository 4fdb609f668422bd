//! A page for people, built line by line and printed in one piece.

use comfy_table::Color;

use super::grid::Grid;
use super::text::clean;
use crate::error::CliError;

/// What a piece of text means, where colour may say it as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing particular.
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Caution,
    /// Wrong, refused or dangerous.
    Bad,
    /// Beside the point.
    Quiet,
}

impl Tone {
    /// Its colour in a table.
    pub(super) const fn colour(self) -> Option<Color> {
        match self {
            Self::Plain => None,
            Self::Good => Some(Color::Green),
            Self::Caution => Some(Color::Yellow),
            Self::Bad => Some(Color::Red),
            Self::Quiet => Some(Color::DarkGrey),
        }
    }

    /// Its SGR parameter on a line.
    const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Good => Some("32"),
            Self::Caution => Some("33"),
            Self::Bad => Some("31"),
            Self::Quiet => Some("90"),
        }
    }
}

/// Lines that end up on one of the two outputs.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    colour: bool,
    prefix: &'static str,
}

/// How wide the name of a field is, so that values line up.
const FIELD_WIDTH: usize = 18;

impl Page {
    pub(super) const fn new(colour: bool) -> Self {
        Self { text: String::new(), colour, prefix: "" }
    }

    /// From here on every line says that it belongs to an exercise.
    pub(crate) const fn exercise(&mut self) {
        self.prefix = "EXERCISE  ";
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: &str) {
        self.toned(text, Tone::Plain);
    }

    /// A line with a tone.
    pub(crate) fn toned(&mut self, text: &str, tone: Tone) {
        let line = self.dressed(&clean(text), tone.parameter());
        self.push(&line);
    }

    /// An empty line, but never at the top nor twice.
    pub(crate) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A heading over what follows.
    pub(crate) fn heading(&mut self, text: &str) {
        self.gap();
        let line = self.dressed(&clean(text), Some("1"));
        self.push(&line);
    }

    /// A named value.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        self.toned_field(name, value, Tone::Plain);
    }

    /// A named value with a tone.
    pub(crate) fn toned_field(&mut self, name: &str, value: &str, tone: Tone) {
        let value = self.dressed(&clean(value), tone.parameter());
        self.push(format!("{:<FIELD_WIDTH$}  {value}", clean(name)).trim_end());
    }

    /// A table; nothing at all where it has no rows is up to the caller.
    pub(crate) fn grid(&mut self, grid: &Grid) {
        for line in grid.lines(self.colour) {
            self.push(&line);
        }
    }

    /// An error with its hint; several lines of text stay several lines.
    pub(crate) fn error(&mut self, error: &CliError) {
        let label = self.dressed(&format!("error[{}]:", clean(error.code())), Some("1;31"));
        let mut lines = error.text().lines();
        let first = clean(lines.next().unwrap_or_default());
        self.push(format!("{label} {first}").trim_end());
        for line in lines {
            self.push(&format!("  {}", clean(line)));
        }
        if let Some(hint) = error.hint() {
            let label = self.dressed("hint:", Some("1"));
            self.push(&format!("  {label} {}", clean(hint)));
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(self.prefix);
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn dressed(&self, text: &str, parameter: Option<&str>) -> String {
        match parameter {
            Some(parameter) if self.colour => format!("\u{1b}[{parameter}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }
}
