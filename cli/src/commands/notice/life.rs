//! `eads notice submit`, `return`, `confirm` and `extend`: what happens to a draft between its two officers.

use std::num::NonZeroU32;

use eads_domain::id::DraftId;
use eads_domain::life::ReturnReason;
use eads_domain::reference::Reference;
use eads_proto::v1 as proto;

use super::draft::days_from_now;
use super::view::DraftView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Page, Tone};

/// `eads notice submit`
#[derive(Debug, clap::Args)]
pub(crate) struct SubmitOptions {
    /// The draft.
    draft: DraftId,
}

/// `eads notice return`
#[derive(Debug, clap::Args)]
pub(crate) struct ReturnOptions {
    /// The draft.
    draft: DraftId,
    /// Why: incomplete, incorrect, legal-basis, disproportionate, audience, duplicate, political, protection or other.
    #[arg(long, value_name = "CODE")]
    reason: ReturnReason,
    /// What has to be changed, in words.
    #[arg(long, value_name = "TEXT")]
    text: String,
}

/// `eads notice confirm`
#[derive(Debug, clap::Args)]
pub(crate) struct ConfirmOptions {
    /// The notice that was issued in an emergency.
    reference: Reference,
}

/// `eads notice extend`
#[derive(Debug, clap::Args)]
pub(crate) struct ExtendOptions {
    /// The notice.
    reference: Reference,
    /// How long it is valid from now on.
    #[arg(long, value_name = "DAYS")]
    valid_days: NonZeroU32,
}

impl SubmitOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::SubmitDraftRequest { draft_id: self.draft.to_string() });
        let submitted = node::answer(node.life().submit_draft(request)).await?;
        show(submitted.draft, context, waits)
    }
}

impl ReturnOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ReturnDraftRequest {
            draft_id: self.draft.to_string(),
            reason: self.reason.to_string(),
            text: self.text,
        });
        let returned = node::answer(node.life().return_draft(request)).await?;
        show(returned.draft, context, |draft, page| {
            page.toned(&format!("The draft is back with {}, who changes it with", draft.drafter), Tone::Good);
            page.line(&format!("  eads notice draft FILE --replace {}", draft.draft_id));
        })
    }
}

impl ConfirmOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ConfirmEmergencyRequest { reference: self.reference.to_string() });
        let confirmation = node::answer(node.life().confirm_emergency(request)).await?;
        show(confirmation.draft, context, waits)
    }
}

impl ExtendOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ExtendNoticeRequest {
            reference: self.reference.to_string(),
            not_after: days_from_now(self.valid_days, context),
        });
        let extension = node::answer(node.life().extend_notice(request)).await?;
        show(extension.draft, context, waits)
    }
}

fn show(
    draft: Option<proto::DraftSummary>,
    context: &Context,
    next: impl FnOnce(&DraftView, &mut Page),
) -> Result<Exit, CliError> {
    let view = DraftView::from(draft.unwrap_or_default());
    context.out.emit(&view, |page| {
        view.show(page, context.now());
        page.gap();
        next(&view, page);
    })?;
    Ok(Exit::Done)
}

fn waits(draft: &DraftView, page: &mut Page) {
    page.line("A second officer, with the role approver, checks and approves it:");
    page.line(&format!("  eads notice approve {}", draft.draft_id));
}
