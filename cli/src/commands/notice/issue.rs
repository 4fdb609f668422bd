//! `eads notice issue`: approved drafts into the register.

use eads_proto::v1 as proto;
use serde::Serialize;

use super::selection::{Outcome, Selection, bar};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::{Page, Tone, moment};

/// `eads notice issue`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    selection: Selection,
    /// Issues before a second officer has approved, because it cannot wait: says why. The notice is marked so for
    /// everybody, and suspended by the node if no second officer approves it in time.
    #[arg(long, value_name = "REASON", conflicts_with = "batch")]
    emergency: Option<String>,
}

/// What was published in an emergency, in JSON.
#[derive(Debug, Serialize)]
struct EmergencyView {
    #[serde(flatten)]
    issued: IssuedView,
    until: String,
    /// Null where it has to be made with `eads notice confirm`.
    confirmation_draft_id: Option<String>,
}

/// What was published, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct IssuedView {
    reference: String,
    version: u32,
    index: u64,
    digest: String,
    delivered_to: Vec<String>,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        if let Some(reason) = self.emergency.clone() {
            return self.in_emergency(&reason, &node, context).await;
        }
        let drafts = self.selection.resolve(&node, |draft| !draft.approver.is_empty()).await?;
        let bar = bar(context, drafts.len());
        let mut outcomes = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let issued = issue(&draft, &node).await;
            outcomes.push(Outcome::new(draft, issued));
            bar.inc(1);
        }
        bar.finish_and_clear();
        context.out.emit_list(&outcomes, |page| {
            if !self.selection.is_batch() {
                outcomes.iter().filter_map(|outcome| outcome.done.as_ref()).for_each(|issued| issued.show(page));
            }
            Outcome::show_failures(&outcomes, "issued", page);
        })?;
        Ok(Outcome::exit_of_all(&outcomes))
    }
}

impl Options {
    async fn in_emergency(self, reason: &str, node: &Node, context: &Context) -> Result<Exit, CliError> {
        let mut outcomes = Vec::new();
        for draft in self.selection.resolve(node, |_| true).await? {
            let request =
                node.request(proto::IssueInEmergencyRequest { draft_id: draft.clone(), reason: reason.to_owned() });
            let done = node::answer(node.life().issue_in_emergency(request)).await;
            outcomes.push(Outcome::new(draft, done.map(EmergencyView::from)));
        }
        context.out.emit_list(&outcomes, |page| {
            outcomes.iter().filter_map(|outcome| outcome.done.as_ref()).for_each(|done| done.show(page));
            Outcome::show_failures(&outcomes, "issued", page);
        })?;
        Ok(Outcome::exit_of_all(&outcomes))
    }
}

impl EmergencyView {
    fn show(&self, page: &mut Page) {
        self.issued.show(page);
        page.toned("EMERGENCY: not yet approved by a second officer", Tone::Bad);
        page.line(&format!("Without an approval the notice is suspended after {}. A second officer runs", self.until));
        match &self.confirmation_draft_id {
            Some(draft) => page.line(&format!("  eads notice approve {draft} --issue")),
            None => page.line(&format!("  eads notice confirm {}", self.issued.reference)),
        }
    }
}

impl From<proto::IssueInEmergencyResponse> for EmergencyView {
    fn from(done: proto::IssueInEmergencyResponse) -> Self {
        Self {
            issued: IssuedView::from(done.issued.unwrap_or_default()),
            until: moment(done.until),
            confirmation_draft_id: Some(done.confirmation_draft_id).filter(|id| !id.is_empty()),
        }
    }
}

/// Signs and publishes one draft.
pub(super) async fn issue(draft: &str, node: &Node) -> Result<IssuedView, CliError> {
    let request = node.request(proto::IssueDraftRequest { draft_id: draft.to_owned() });
    node::answer(node.notices().issue_draft(request)).await.map(IssuedView::from)
}

impl IssuedView {
    /// One line for people.
    pub(super) fn show(&self, page: &mut Page) {
        let to = if self.delivered_to.is_empty() {
            "delivered to nobody".to_owned()
        } else {
            format!("on its way to {}", self.delivered_to.join(", "))
        };
        let text = format!("{} version {} is issued as entry {}, {to}", self.reference, self.version, self.index);
        page.toned(&text, Tone::Good);
    }
}

impl From<proto::IssueDraftResponse> for IssuedView {
    fn from(issued: proto::IssueDraftResponse) -> Self {
        Self {
            reference: issued.reference,
            version: issued.version,
            index: issued.index,
            digest: hex::encode(&issued.digest),
            delivered_to: issued.delivered_to,
        }
    }
}
