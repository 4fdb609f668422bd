//! Which drafts an act is about: named ones, or a whole batch.

use std::time::Duration;

use eads_domain::id::DraftId;
use eads_proto::v1 as proto;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::{Page, Tone, plural};

/// Below so many drafts a progress bar only flickers.
const BAR_FROM: usize = 10;

/// Named drafts, or a batch.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Selection {
    /// Drafts, as `eads notice draft` and `eads notice drafts` print them.
    #[arg(value_name = "DRAFT")]
    drafts: Vec<DraftId>,
    /// All drafts of this batch, as `eads notice import` prints it.
    #[arg(long, value_name = "BATCH")]
    batch: Option<String>,
}

/// What became of one draft.
#[derive(Debug, Serialize)]
pub(super) struct Outcome<T> {
    pub(super) draft_id: String,
    /// What was done; null where it failed.
    pub(super) done: Option<T>,
    /// Why it failed.
    pub(super) error: Option<Failure>,
    #[serde(skip)]
    exit: Exit,
}

/// Why one draft of several failed.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    code: String,
    text: String,
    hint: Option<String>,
}

impl Selection {
    /// Whether a batch was asked for.
    pub(super) const fn is_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// The drafts: named ones as they are, of a batch those that `wanted` keeps.
    pub(super) async fn resolve(
        &self,
        node: &Node,
        wanted: impl Fn(&proto::DraftSummary) -> bool,
    ) -> Result<Vec<String>, CliError> {
        let Some(batch) = &self.batch else { return Ok(self.drafts.iter().map(ToString::to_string).collect()) };
        let request = node.request(proto::ListDraftsRequest { batch: batch.clone(), limit: 0 });
        let stream = node::answer(node.notices().list_drafts(request)).await?;
        let drafts = node::collect(stream, node.timeout()).await?;
        let known = !drafts.is_empty();
        let chosen: Vec<String> = drafts
            .into_iter()
            .filter_map(|response| response.draft)
            .filter(|draft| wanted(draft))
            .map(|draft| draft.draft_id)
            .collect();
        match (known, chosen.is_empty()) {
            (false, _) => Err(CliError::new("BATCH_NOT_FOUND", Exit::NotFound, "no such batch, or nothing left of it")),
            (true, true) => {
                let text = "no draft of this batch is waiting for that";
                Err(CliError::new("BATCH_NOTHING_TO_DO", Exit::Refused, text)
                    .with_hint("see the state of its drafts with `eads notice drafts --batch`"))
            }
            (true, false) => Ok(chosen),
        }
    }
}

impl<T> Outcome<T> {
    /// From how the act on one draft ended.
    pub(super) fn new(draft_id: String, done: Result<T, CliError>) -> Self {
        match done {
            Ok(done) => Self { draft_id, done: Some(done), error: None, exit: Exit::Done },
            Err(error) => {
                let failure = Failure {
                    code: error.code().to_owned(),
                    text: error.text().to_owned(),
                    hint: error.hint().map(str::to_owned),
                };
                Self { draft_id, done: None, error: Some(failure), exit: error.exit() }
            }
        }
    }

    /// How the whole ends: as the first failure does.
    pub(super) fn exit_of_all(outcomes: &[Self]) -> Exit {
        outcomes.iter().map(|outcome| outcome.exit).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done)
    }

    /// The failures, and how many drafts went through.
    pub(super) fn show_failures(outcomes: &[Self], verb: &str, page: &mut Page) {
        let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        for outcome in outcomes {
            if let Some(failure) = &outcome.error {
                page.toned(&format!("{}: {}: {}", outcome.draft_id, failure.code, failure.text), Tone::Bad);
                if let Some(hint) = &failure.hint {
                    page.line(&format!("  {hint}"));
                }
            }
        }
        if outcomes.len() > 1 {
            let total = plural(outcomes.len() as u64, "draft", "drafts");
            let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
            page.toned(&format!("{} of {total} {verb}", outcomes.len() - failed), tone);
        }
    }
}

/// A bar over many drafts, where somebody watches.
pub(super) fn bar(context: &Context, drafts: usize) -> ProgressBar {
    if drafts < BAR_FROM || !context.out.watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(drafts as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {per_sec}  {eta} to go") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
