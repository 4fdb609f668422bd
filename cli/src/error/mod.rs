//! What goes wrong, as an officer and a script are told: a stable code, words, what to do next, an exit status.
//!
//! Each area has its own error enum; all of them, and what the node answers, end up as [`CliError`] through the
//! one table in [`table`].

mod status;
mod table;

use std::borrow::Cow;

pub(crate) use self::status::tls_failure;
use eads_domain::code::Coded;
use serde::Serialize;

use crate::exit::Exit;

/// An error on its way to standard error.
#[derive(Debug)]
pub(crate) struct CliError {
    code: Cow<'static, str>,
    text: String,
    hint: Option<String>,
    exit: Exit,
}

/// The documented JSON shape: `{"error":{"code":…,"text":…,"hint":…}}`.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorDocument<'a> {
    error: ErrorBody<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    text: &'a str,
    hint: Option<&'a str>,
}

impl CliError {
    /// An error with the hint that its code has in the table.
    pub(crate) fn new(code: &'static str, exit: Exit, text: impl Into<String>) -> Self {
        Self { code: Cow::Borrowed(code), text: text.into(), hint: table::hint(code).map(str::to_owned), exit }
    }

    /// The same with another hint.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, naming what it is about in front of the text.
    #[must_use]
    pub(crate) fn about(mut self, what: impl std::fmt::Display) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// The officer pressed Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self::new("INTERRUPTED", Exit::Interrupted, "interrupted; no file was left half written")
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The words.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How the run ends.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// As the JSON output shows it.
    pub(crate) fn document(&self) -> ErrorDocument<'_> {
        ErrorDocument { error: ErrorBody { code: &self.code, text: &self.text, hint: self.hint() } }
    }
}

impl<E: Coded> From<E> for CliError {
    fn from(error: E) -> Self {
        let code = error.code();
        Self {
            code: Cow::Borrowed(code.as_str()),
            text: error.to_string(),
            hint: table::hint(code.as_str()).map(str::to_owned),
            exit: table::exit(code, error.fault()),
        }
    }
}
