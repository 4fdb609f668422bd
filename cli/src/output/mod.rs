//! Everything that is printed, and nothing prints elsewhere: results to standard output, the rest to standard
//! error.
//!
//! Tables are for people and may change. JSON is for programs: snake_case fields that keep their names and
//! meanings, times as RFC 3339 in UTC or null, bytes as hexadecimal digits, lists as one array (`json`) or one
//! object a line (`jsonl`).

mod grid;
mod page;
mod text;
mod units;

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Serialize;

pub(crate) use self::grid::Grid;
pub(crate) use self::page::{Page, Tone};
pub(crate) use self::text::clean;
pub(crate) use self::units::{age, bytes, dated, json_time, milliseconds, moment, plural};
use crate::error::CliError;
use crate::exit::Exit;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// JSON Lines: one document a line, a search's as the answers arrive.
    Jsonl,
}

/// The two outputs of the run and how they are dressed.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    colour: bool,
    colour_errors: bool,
}

impl Output {
    /// Colour only on a terminal, and not where `NO_COLOR` is set.
    pub(crate) fn new(format: Format) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            format,
            colour: wanted && std::io::stdout().is_terminal(),
            colour_errors: wanted && std::io::stderr().is_terminal(),
        }
    }

    /// Which format was asked for.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Whether standard output is a terminal.
    #[allow(clippy::unused_self, reason = "all of the output is asked here")]
    pub(crate) fn is_seen(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Whether somebody watches, so that progress and questions make sense.
    pub(crate) fn watched(&self) -> bool {
        self.format == Format::Table && std::io::stderr().is_terminal()
    }

    /// One result: a page for people, a document for programs.
    pub(crate) fn emit<T: Serialize>(&self, value: &T, page: impl FnOnce(&mut Page)) -> Result<(), CliError> {
        match self.format {
            Format::Table => self.print_page(page),
            Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(value).map_err(unwritable)?)),
            Format::Jsonl => self.line(value),
        }
    }

    /// A list of results: a page for people; for programs one array or one line each.
    pub(crate) fn emit_list<T: Serialize>(&self, items: &[T], page: impl FnOnce(&mut Page)) -> Result<(), CliError> {
        match self.format {
            Format::Jsonl => items.iter().try_for_each(|item| self.line(item)),
            _ => self.emit(&items, page),
        }
    }

    /// One line of JSON Lines.
    pub(crate) fn line<T: Serialize>(&self, value: &T) -> Result<(), CliError> {
        print(&format!("{}\n", serde_json::to_string(value).map_err(unwritable)?))
    }

    /// Text that is itself the result (a card, a template, completions), the same in every format.
    pub(crate) fn raw(&self, text: &str) -> Result<(), CliError> {
        print(text)
    }

    fn print_page(&self, fill: impl FnOnce(&mut Page)) -> Result<(), CliError> {
        let mut page = Page::new(self.colour);
        fill(&mut page);
        print(&page.finish())
    }

    /// A remark beside the result; only people read it.
    pub(crate) fn note(&self, text: &str) {
        if self.format == Format::Table {
            let mut page = Page::new(self.colour_errors);
            page.line(text);
            print_error(&page.finish());
        }
    }

    /// A page beside the result, on standard error: what an officer is asked to look at before an act.
    pub(crate) fn note_page(&self, fill: impl FnOnce(&mut Page)) {
        if self.format == Format::Table {
            let mut page = Page::new(self.colour_errors);
            fill(&mut page);
            print_error(&page.finish());
        }
    }

    /// Why the run failed, and what to do next.
    pub(crate) fn error(&self, error: &CliError) {
        if self.format == Format::Table {
            let mut page = Page::new(self.colour_errors);
            page.error(error);
            print_error(&page.finish());
        } else if let Ok(text) = serde_json::to_string(&error.document()) {
            print_error(&format!("{text}\n"));
        }
    }

    /// Asks on standard error and reads one line; only a plain `y` or `yes` is a yes.
    ///
    /// The reading waits on a thread of its own, so that Ctrl-C is still heard.
    pub(crate) async fn confirm(&self, question: &str) -> bool {
        print_error(&format!("{} [y/N] ", clean(question)));
        let reading = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
        });
        reading.await.unwrap_or(false)
    }
}

/// A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => Err(unwritable(cause)),
        _ => Ok(()),
    }
}

/// Where standard error is gone, there is nobody left to tell.
fn print_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn unwritable(cause: impl std::fmt::Display) -> CliError {
    CliError::new("OUTPUT_UNWRITABLE", Exit::Local, format!("cannot write to standard output: {cause}"))
}
