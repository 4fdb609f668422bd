//! `eads agreement`: this member's own rules towards a peer; asks no node.

use std::path::PathBuf;

use clap::Subcommand;
use eads_domain::agreement::Agreement;
use eads_domain::id::MemberId;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::output::Tone;

/// `eads agreement`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Checks an agreement file and says what is wrong with it.
    Check(CheckOptions),
    /// Prints a commented agreement to start from.
    Example(ExampleOptions),
}

/// `eads agreement check`
#[derive(Debug, clap::Args)]
pub(crate) struct CheckOptions {
    /// The agreement, TOML; `-` is standard input.
    file: PathBuf,
}

/// `eads agreement example`
#[derive(Debug, clap::Args)]
pub(crate) struct ExampleOptions {
    /// The peer that it is with.
    member: MemberId,
}

#[derive(Debug, Serialize)]
struct CheckedView {
    member: MemberId,
    reference: String,
    digest: String,
    /// Kinds that the peer is sent.
    sends: Vec<&'static str>,
    /// Subjects that it is answered about, and for which purposes.
    answers: Vec<&'static str>,
    purposes: Vec<&'static str>,
    queries_per_hour: u32,
    /// Kinds that are taken from it.
    receives: Vec<&'static str>,
}

impl Options {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Check(options) => options.run(context),
            Self::Example(options) => {
                context.out.raw(&Agreement::example(options.member))?;
                Ok(Exit::Done)
            }
        }
    }
}

impl CheckOptions {
    fn run(self, context: &Context) -> Result<Exit, CliError> {
        let agreement = Agreement::parse(&files::read_text(&self.file)?)
            .map_err(|error| CliError::from(error).about(self.file.display()))?;
        let view = CheckedView {
            member: agreement.member(),
            reference: agreement.reference().to_owned(),
            digest: agreement.digest().to_string(),
            sends: agreement.sends().kinds.iter().map(|kind| kind.as_str()).collect(),
            answers: agreement.answers().subjects.iter().map(|subject| subject.as_str()).collect(),
            purposes: agreement.answers().purposes.iter().map(|purpose| purpose.as_str()).collect(),
            queries_per_hour: agreement.answers().queries_per_hour,
            receives: agreement.receives().kinds().map(|kind| kind.as_str()).collect(),
        };
        context.out.emit(&view, |page| {
            page.field("member", &view.member.to_string());
            page.field("reference", &view.reference);
            page.field("digest", &view.digest);
            page.field("is sent", &listed(&view.sends));
            page.field("is answered about", &listed(&view.answers));
            page.field("for", &listed(&view.purposes));
            page.field("queries an hour", &view.queries_per_hour.to_string());
            page.field("is taken from", &listed(&view.receives));
            page.toned("The agreement is well formed.", Tone::Good);
        })?;
        Ok(Exit::Done)
    }
}

fn listed(words: &[&str]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
