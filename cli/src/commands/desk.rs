//! `eads desk`: whether another state's notice may be acted on at home.

mod collisions;
mod view;

use clap::Subcommand;
use eads_domain::receipt::ReceiptReason;
use eads_domain::reference::Reference;
use eads_proto::v1 as proto;
use serde::Serialize;

use self::view::{DeskPage, DeskView};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::Tone;

/// `eads desk`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Lists held notices that wait for a decision: officers are not shown them.
    List(ListOptions),
    /// Shows a notice with what this member decided about it, apart from what its owner says.
    Show(ShowOptions),
    /// Lets officers act on a notice; its owner gets a receipt.
    Approve(ApproveOptions),
    /// Does not take a notice: its content is destroyed, and its owner gets a signed receipt with the reason.
    Refuse(RefuseOptions),
    /// Takes the latest decision about a notice back.
    Undo(UndoOptions),
    /// Lists suspects who may be victims: a notice that accuses and one that protects and that seem to mean one person.
    Collisions(collisions::Options),
}

/// `eads desk list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Also notices that were decided upon.
    #[arg(long)]
    decided: bool,
    /// Exercise notices only; without it, real ones only.
    #[arg(long)]
    exercise: bool,
    /// At most so many; 0 is the node's usual.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
}

/// `eads desk show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The reference that people cite, such as ID-2026-7K3QX9-5.
    reference: Reference,
}

/// `eads desk approve`
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveOptions {
    /// The notice.
    reference: Reference,
    #[command(flatten)]
    common: DecisionOptions,
}

/// `eads desk refuse`
#[derive(Debug, clap::Args)]
pub(crate) struct RefuseOptions {
    /// The notice.
    reference: Reference,
    /// Why; its owner sees it: political, refugee, death-penalty, no-dual-criminality, insufficient …
    #[arg(long, value_name = "CODE", value_parser = reason)]
    reason: ReceiptReason,
    #[command(flatten)]
    common: DecisionOptions,
}

/// `eads desk undo`
#[derive(Debug, clap::Args)]
pub(crate) struct UndoOptions {
    /// The notice.
    reference: Reference,
}

/// What both decisions take.
#[derive(Debug, clap::Args)]
struct DecisionOptions {
    /// Decide later versions the same; without it, an amendment waits for the desk again.
    #[arg(long)]
    for_all_versions: bool,
    /// For this member's own files; says nothing of the subject.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    /// Decide without looking at the notice and being asked.
    #[arg(long)]
    yes: bool,
}

/// What became of a decision that was taken back, in JSON.
#[derive(Debug, Serialize)]
struct UndoneView {
    reference: String,
    /// It waits for the desk again.
    waits: bool,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::List(options) => options.run(context).await,
            Self::Show(options) => options.run(context).await,
            Self::Approve(options) => options.run(context).await,
            Self::Refuse(options) => options.run(context).await,
            Self::Undo(options) => options.run(context).await,
            Self::Collisions(options) => options.run(context).await,
        }
    }
}

impl ListOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let Self { decided, exercise, limit } = self;
        let request = node.request(proto::ListDeskRequest { exercise, decided, limit });
        let stream = node::answer(node.desk().list_desk(request)).await?;
        let found = node::collect(stream, node.timeout()).await?;
        let notices: Vec<DeskView> = found.into_iter().filter_map(|one| one.notice).map(DeskView::from).collect();
        context.out.emit_list(&notices, |page| {
            if exercise {
                page.exercise();
            }
            DeskView::show_all(&notices, page);
        })?;
        Ok(Exit::Done)
    }
}

impl ShowOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let found = fetch(&self.reference, &node).await?;
        context.out.emit(&found, |page| found.show(page, context.now()))?;
        Ok(Exit::Done)
    }
}

impl ApproveOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let question = format!("Let officers act on {}?", self.reference);
        let digest = self.common.looked_at(&self.reference, &question, &node, context).await?;
        let request = node.request(proto::ApproveHeldNoticeRequest {
            reference: self.reference.to_string(),
            digest,
            for_all_versions: self.common.for_all_versions,
            note: self.common.note,
        });
        let decided = node::answer(node.desk().approve_held_notice(request)).await?;
        let view = DeskView::from(decided.notice.unwrap_or_default());
        context.out.emit(&view, |page| {
            view.begin(page);
            page.toned(&format!("Officers may act on {} from now on.", self.reference), Tone::Good);
        })?;
        Ok(Exit::Done)
    }
}

impl RefuseOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let question = format!("Refuse {} ({}) and destroy what is held of it?", self.reference, self.reason);
        let digest = self.common.looked_at(&self.reference, &question, &node, context).await?;
        let request = node.request(proto::RefuseHeldNoticeRequest {
            reference: self.reference.to_string(),
            digest,
            reason: self.reason.to_string(),
            for_all_versions: self.common.for_all_versions,
            note: self.common.note,
        });
        let decided = node::answer(node.desk().refuse_held_notice(request)).await?;
        let view = DeskView::from(decided.notice.unwrap_or_default());
        context.out.emit(&view, |page| {
            view.begin(page);
            page.toned(&format!("{} is refused ({}).", self.reference, self.reason), Tone::Good);
            page.line("What was held of it is being destroyed; then its owner is told, with the reason.");
        })?;
        Ok(Exit::Done)
    }
}

impl UndoOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::UndoDeskDecisionRequest { reference: self.reference.to_string() });
        let undone = node::answer(node.desk().undo_desk_decision(request)).await?;
        let view = UndoneView { reference: self.reference.to_string(), waits: undone.waits };
        context.out.emit(&view, |page| {
            if view.waits {
                page.toned(
                    &format!("{} waits for the desk again; officers are not shown it.", view.reference),
                    Tone::Good,
                );
            } else {
                page.toned(&format!("The refusal of {} is taken back.", view.reference), Tone::Good);
                page.line("Its content was destroyed: ask its owner for an amendment, which is decided anew.");
            }
        })?;
        Ok(Exit::Done)
    }
}

impl DecisionOptions {
    /// The digest of the version that the approver looked at and agreed to decide about; empty for whatever is held.
    async fn looked_at(
        &self,
        reference: &Reference,
        question: &str,
        node: &Node,
        context: &Context,
    ) -> Result<Vec<u8>, CliError> {
        if self.yes || !context.out.watched() {
            return Ok(Vec::new());
        }
        let found = fetch(reference, node).await?;
        context.out.note_page(|page| found.show(page, context.now()));
        if context.out.confirm(question).await {
            return found.digest();
        }
        Err(CliError::new("NOT_CONFIRMED", Exit::Refused, "nothing was decided"))
    }
}

async fn fetch(reference: &Reference, node: &Node) -> Result<DeskPage, CliError> {
    let request = node.request(proto::GetDeskNoticeRequest { reference: reference.to_string() });
    DeskPage::try_from(node::answer(node.desk().get_desk_notice(request)).await?)
}

/// A reason that a state may give as its own decision.
fn reason(text: &str) -> Result<ReceiptReason, String> {
    let known = text.parse::<ReceiptReason>().ok().filter(|reason| reason.is_decision());
    let all = || ReceiptReason::decisions().map(|reason| reason.to_string()).collect::<Vec<_>>().join(", ");
    known.ok_or_else(|| format!("the reasons are {}", all()))
}
