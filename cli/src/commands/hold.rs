//! `eads hold`: content that is to be destroyed is kept under a named order.

use clap::Subcommand;
use eads_domain::reference::Reference;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::arguments::Day;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Tone, json_time, moment};

/// `eads hold`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Asks for a hold on a notice or on the look-ups of some days; takes effect with a second administrator's word.
    Place(PlaceOptions),
    /// Lists holds, and how much each keeps from being destroyed.
    List(ListOptions),
    /// Ends a hold, and what it kept is destroyed; takes effect with a second administrator's word.
    Release(ReleaseOptions),
}

/// `eads hold place`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["reference", "audit_from"]))]
pub(crate) struct PlaceOptions {
    /// A notice, own or held, by the reference that people cite.
    reference: Option<Reference>,
    /// Instead of a notice: the first day whose look-ups stay readable in the audit log.
    #[arg(long, value_name = "DATE", requires = "audit_to")]
    audit_from: Option<Day>,
    /// The last such day.
    #[arg(long, value_name = "DATE", requires = "audit_from")]
    audit_to: Option<Day>,
    /// What the order is cited by.
    #[arg(long, value_name = "REFERENCE")]
    order: String,
    /// The last day of the hold.
    #[arg(long, value_name = "DATE")]
    until: Day,
    /// Why; kept with the hold.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `eads hold list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Also holds that are over.
    #[arg(long)]
    all: bool,
}

/// `eads hold release`
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseOptions {
    /// The hold, as the list names it.
    hold: String,
    /// Why it ends; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct PlacedView {
    hold_id: String,
    in_force: bool,
}

#[derive(Debug, Serialize)]
struct ReleasedView {
    hold_id: String,
    released: bool,
}

#[derive(Debug, Serialize)]
struct HoldView {
    hold_id: String,
    reference: Option<String>,
    owner: Option<String>,
    audit_from: Option<String>,
    audit_to: Option<String>,
    order: String,
    reason: String,
    until: Option<String>,
    /// "pending", "in-force", "releasing", "released", "ended".
    state: String,
    administrators: Vec<String>,
    since: Option<String>,
    /// Contents that would be destroyed by now.
    kept: u64,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Place(options) => options.run(context).await,
            Self::List(options) => options.run(context).await,
            Self::Release(options) => options.run(context).await,
        }
    }
}

impl PlaceOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::PlaceHoldRequest {
            reference: self.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
            audit_from: self.audit_from.map_or(0, Day::first),
            audit_to: self.audit_to.map_or(0, Day::last),
            order: self.order,
            until: self.until.last(),
            reason: self.reason,
        });
        let answer = node::answer(node.court().place_hold(request)).await?;
        let view = PlacedView { hold_id: answer.hold_id, in_force: answer.in_force };
        context.out.emit(&view, |page| {
            page.field("hold", &view.hold_id);
            if view.in_force {
                page.toned("In force: nothing of it is destroyed while it stands.", Tone::Good);
                page.line("What ends stays out of force and out of every search; auditors alone can open it.");
            } else {
                page.toned("Not in force yet: a second administrator has to place the same hold.", Tone::Caution);
            }
        })?;
        Ok(Exit::Done)
    }
}

impl ReleaseOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ReleaseHoldRequest { hold_id: self.hold.clone(), reason: self.reason });
        let answer = node::answer(node.court().release_hold(request)).await?;
        let view = ReleasedView { hold_id: self.hold, released: answer.released };
        context.out.emit(&view, |page| {
            if view.released {
                page.toned("The hold is over: what it kept is being destroyed, and receipted.", Tone::Good);
            } else {
                page.line("Confirmed. The hold stands until a second administrator runs");
                page.line(&format!("  eads hold release {} --reason TEXT", view.hold_id));
            }
        })?;
        Ok(Exit::Done)
    }
}

impl ListOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListHoldsRequest { all: self.all });
        let found = node::answer(node.court().list_holds(request)).await?.holds;
        let holds: Vec<HoldView> = found.into_iter().map(HoldView::from).collect();
        context.out.emit_list(&holds, |page| {
            if holds.is_empty() {
                page.line("no holds");
                return;
            }
            let mut grid = Grid::new(&["HOLD", "WHAT", "ORDER", "STATE", "UNTIL", "KEPT", "ADMINISTRATORS"]);
            for hold in &holds {
                let tone = if hold.state == "in-force" { Tone::Good } else { Tone::Caution };
                grid.row([
                    (hold.hold_id.clone(), Tone::Plain),
                    (hold.what(), Tone::Plain),
                    (hold.order.clone(), Tone::Plain),
                    (hold.state.clone(), tone),
                    (hold.until.clone().unwrap_or_default(), Tone::Plain),
                    (hold.kept.to_string(), Tone::Plain),
                    (hold.administrators.join(", "), Tone::Plain),
                ]);
            }
            page.grid(&grid);
        })?;
        Ok(Exit::Done)
    }
}

impl HoldView {
    fn what(&self) -> String {
        let day = |at: &Option<String>| at.as_deref().and_then(|at| at.get(..10)).unwrap_or("-").to_owned();
        match &self.reference {
            Some(reference) => reference.clone(),
            None => format!("look-ups {} to {}", day(&self.audit_from), day(&self.audit_to)),
        }
    }
}

impl From<proto::EvidenceHold> for HoldView {
    fn from(hold: proto::EvidenceHold) -> Self {
        let is_audit = hold.reference.is_empty();
        let named = |text: String| (!text.is_empty()).then_some(text);
        Self {
            hold_id: hold.hold_id,
            reference: named(hold.reference),
            owner: named(hold.owner),
            audit_from: is_audit.then(|| moment(hold.audit_from)),
            audit_to: is_audit.then(|| moment(hold.audit_to)),
            order: hold.order,
            reason: hold.reason,
            until: json_time(hold.until),
            state: hold.state,
            administrators: hold.administrators,
            since: json_time(hold.since),
            kept: hold.kept,
        }
    }
}
