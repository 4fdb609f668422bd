//! `eads audit`: who asked and saw what, and the proof of it.

mod compare;
mod countersign;
mod entry;
mod export;
mod file;
mod search;
mod show;
mod verify;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// `eads audit`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Finds entries: who, when, why, with which outcome, and which statements were shown.
    Search(Box<search::SearchOptions>),
    /// Shows one entry with its intent and outcomes, and what was asked.
    Show(show::ShowOptions),
    /// Writes a span of the log into a file, with its proof beside it.
    Export(export::ExportOptions),
    /// Verifies the whole log, or an exported file, which needs no node.
    Verify(verify::VerifyOptions),
    /// Signs for the log as it stands with the auditor's own key, or lists who has.
    Countersign(countersign::CountersignOptions),
    /// Compares both sides of the exchanges with a peer, by digests.
    Match(compare::MatchOptions),
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Search(options) => options.run(context).await,
            Self::Show(options) => options.run(context).await,
            Self::Export(options) => options.run(context).await,
            Self::Verify(options) => options.run(context).await,
            Self::Countersign(options) => options.run(context).await,
            Self::Match(options) => options.run(context).await,
        }
    }
}
