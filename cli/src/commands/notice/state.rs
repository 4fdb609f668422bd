//! `eads notice suspend`, `resume` and `withdraw`.

use eads_domain::reference::Reference;
use eads_domain::slot::{Content, SlotNumber, SlotTable};
use eads_domain::value::Value;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::draft;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::Tone;

/// `eads notice suspend`
#[derive(Debug, clap::Args)]
pub(crate) struct SuspendOptions {
    /// The notice.
    reference: Reference,
    /// Why, as a code of the slot table: contested, under-review, identity-in-doubt, court-order …
    #[arg(long, value_name = "CODE", value_parser = reason)]
    reason: String,
}

/// `eads notice resume` and `withdraw`
#[derive(Debug, clap::Args)]
pub(crate) struct StateOptions {
    /// The notice.
    reference: Reference,
    /// Why, as a code of the slot table: review-completed, arrested, located, warrant-cancelled, issued-in-error …
    #[arg(long, value_name = "CODE", value_parser = reason)]
    reason: String,
}

/// What is drafted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Resume,
    Withdraw,
}

#[derive(Debug, Serialize)]
struct SuspendedView {
    reference: String,
    index: u64,
}

impl SuspendOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request =
            node.request(proto::SuspendNoticeRequest { reference: self.reference.to_string(), reason: self.reason });
        let suspended = node::answer(node.notices().suspend_notice(request)).await?;
        let view = SuspendedView { reference: self.reference.to_string(), index: suspended.index };
        context.out.emit(&view, |page| {
            page.toned(&format!("{} is suspended by entry {}.", view.reference, view.index), Tone::Good);
            page.line("Holders are told first of all. To end the suspension:");
            page.line(&format!("  eads notice resume {} --reason review-completed", view.reference));
        })?;
        Ok(Exit::Done)
    }
}

impl StateOptions {
    pub(super) async fn run(self, change: Change, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::GetNoticeRequest { reference: self.reference.to_string() });
        let found = node::answer(node.notices().get_notice(request)).await?;
        let summary = found.notice.unwrap_or_default();
        let values = if found.values.is_empty() {
            // It has ended and nothing of it is left to be repeated: the node says what may become of it.
            let reasons = Value::List(vec![Value::text(&self.reason)?]);
            vec![proto::SlotValue { slot: SlotNumber::REASONS.get().into(), value: reasons.encode() }]
        } else {
            let slots = found.values.iter().filter_map(|each| {
                let slot = u8::try_from(each.slot).ok().and_then(|slot| SlotNumber::new(slot).ok())?;
                Some((slot, each.value.as_slice()))
            });
            draft::values(&Content::from_slot_values(slots)?.state_change([self.reason.as_str()])?)
        };
        let request = proto::CreateDraftRequest {
            action: change.as_str().to_owned(),
            reference: self.reference.to_string(),
            values,
            audience: summary.audience,
            not_after: summary.not_after,
            ..proto::CreateDraftRequest::default()
        };
        draft::create(request, change.as_str(), &node, context).await
    }
}

impl Change {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Withdraw => "withdraw",
        }
    }
}

/// A reason code of the slot table.
fn reason(text: &str) -> Result<String, String> {
    let Some(list) = SlotTable::get().codes("reason") else { return Ok(text.to_owned()) };
    if list.contains(text) { Ok(text.to_owned()) } else { Err(format!("the reasons are {}", list.codes.join(", "))) }
}
