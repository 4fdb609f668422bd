//! `eads notice approve`: the second of four eyes.
//!
//! The approver's own program decides what is signed: it takes the openings of a draft, computes every
//! commitment and the approval message itself, shows what those bytes say, and signs with the profile's key. A
//! node that shows one thing and commits to another gets no signature.

use std::io::IsTerminal as _;

use eads_domain::approval::Approval;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::examine::Examined;
use super::issue::{self, IssuedView};
use super::selection::{Outcome, Selection, bar};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::{Page, Tone, plural};
use crate::profile::Profile;

/// `eads notice approve`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Issue each draft as soon as it is approved; the profile then needs the role issuer too.
    #[arg(long)]
    issue: bool,
    /// Outcome of the legal review, for drafts that are marked for one: not-predominant, or predominant, which forbids it.
    #[arg(long, value_name = "OUTCOME", value_parser = ["not-predominant", "predominant"])]
    legal_review: Option<String>,
    /// Do not ask. Nobody is asked where standard input is no terminal.
    #[arg(long)]
    yes: bool,
    /// Of a batch, show every content in full and not one line each.
    #[arg(long)]
    full: bool,
}

/// What became of an approved draft, in JSON.
#[derive(Debug, Serialize)]
struct ApprovedView {
    #[serde(skip)]
    draft_id: String,
    reference: String,
    approval_digest: String,
    /// Null where it was not to be issued.
    issued: Option<IssuedView>,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let profile = context.profile()?;
        let node = context.node_of(&profile).await?;
        let drafts = self
            .selection
            .resolve(&node, |draft| draft.approver.is_empty() && !matches!(draft.state.as_str(), "draft" | "returned"))
            .await?;
        let mut outcomes = Vec::with_capacity(drafts.len());
        let mut examined = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match Examined::fetch(&draft, &node).await {
                Ok(draft) => examined.push(draft),
                Err(error) => outcomes.push(Outcome::new(draft, Err(error))),
            }
        }
        if !examined.is_empty() {
            self.show(&examined, context);
            self.confirm(examined.len(), context).await?;
        }
        let bar = bar(context, examined.len());
        for draft in examined {
            let approved = self.approve(&draft, &profile, &node).await;
            outcomes.push(Outcome::new(draft.draft.draft_id, approved));
            bar.inc(1);
        }
        bar.finish_and_clear();
        context.out.emit_list(&outcomes, |page| {
            if !self.selection.is_batch() {
                outcomes.iter().filter_map(|outcome| outcome.done.as_ref()).for_each(|done| done.show(page));
            }
            let verb = if self.issue { "approved and issued" } else { "approved" };
            Outcome::show_failures(&outcomes, verb, page);
        })?;
        Ok(Outcome::exit_of_all(&outcomes))
    }

    /// What is about to be approved, on standard error: the officer looks at this before the act.
    fn show(&self, drafts: &[Examined], context: &Context) {
        let brief = self.selection.is_batch() && !self.full;
        context.out.note_page(|page| {
            for draft in drafts {
                if brief {
                    page.line(&draft.line());
                } else {
                    draft.show(page, context.now());
                    page.gap();
                }
            }
        });
    }

    async fn confirm(&self, drafts: usize, context: &Context) -> Result<(), CliError> {
        if self.yes || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        let act = if self.issue { "Approve and issue" } else { "Approve" };
        if context.out.confirm(&format!("{act} {}?", plural(drafts as u64, "draft", "drafts"))).await {
            Ok(())
        } else {
            Err(CliError::new("NOT_CONFIRMED", Exit::Refused, "nothing was approved"))
        }
    }

    async fn approve(&self, draft: &Examined, profile: &Profile, node: &Node) -> Result<ApprovedView, CliError> {
        let approval = Approval::sign(draft.message(), &profile.signing_key, profile.certificate_der.clone());
        let request = node.request(proto::ApproveDraftRequest {
            draft_id: draft.draft.draft_id.clone(),
            signature: approval.signature.to_vec(),
            certificate: approval.certificate,
            legal_review: self.legal_review.clone().unwrap_or_default(),
        });
        node::answer(node.notices().approve_draft(request)).await?;
        let issued = match self.issue {
            true => Some(
                issue::issue(&draft.draft.draft_id, node)
                    .await
                    .map_err(|error| error.about("approved, but not issued"))?,
            ),
            false => None,
        };
        Ok(ApprovedView {
            draft_id: draft.draft.draft_id.clone(),
            reference: draft.draft.reference.clone(),
            approval_digest: draft.approval_digest().to_owned(),
            issued,
        })
    }
}

impl ApprovedView {
    fn show(&self, page: &mut Page) {
        page.toned(&format!("{} is approved", self.reference), Tone::Good);
        match &self.issued {
            Some(issued) => issued.show(page),
            None => {
                page.line("An issuer publishes it with");
                page.line(&format!("  eads notice issue {}", self.draft_id));
            }
        }
    }
}
