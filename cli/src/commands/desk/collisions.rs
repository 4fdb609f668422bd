//! `eads desk collisions`: suspects who may be victims.

use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Page, Tone, dated, json_time};

/// `eads desk collisions`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// At most so many; 0 is the node's usual.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
}

/// Two that seem to mean one person, in JSON.
#[derive(Debug, Serialize)]
struct CollisionView {
    accuses: SideView,
    protects: SideView,
    /// "identifier" or "name-and-birth-date".
    by: String,
    found_at: Option<String>,
    #[serde(skip)]
    found_at_unix: i64,
}

#[derive(Debug, Serialize)]
struct SideView {
    /// "notice" or "record".
    source: String,
    reference: String,
    owner: String,
    /// Null for a record.
    kind: Option<String>,
    title: String,
    state: String,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListCollisionsRequest { limit: self.limit });
        let stream = node::answer(node.desk().list_collisions(request)).await?;
        let found = node::collect(stream, node.timeout()).await?;
        let views: Vec<CollisionView> =
            found.into_iter().filter_map(|one| one.collision).map(CollisionView::from).collect();
        context.out.emit_list(&views, |page| {
            if views.is_empty() {
                page.line("no suspect seems to be a victim");
            }
            for view in &views {
                view.show(page, dated(context.now(), view.found_at_unix));
            }
        })?;
        Ok(Exit::Done)
    }
}

impl CollisionView {
    fn show(&self, page: &mut Page, found: String) {
        page.heading(&format!("{} and {}", self.accuses.reference, self.protects.reference));
        page.toned("SCREEN FIRST: may be a victim (non-punishment)", Tone::Bad);
        page.field("accuses", &self.accuses.in_words());
        page.field("protects", &self.protects.in_words());
        page.field("met by", &format!("{}, {found}", self.by.replace('-', " ")));
    }
}

impl SideView {
    fn in_words(&self) -> String {
        let kind = self.kind.as_deref().unwrap_or("record");
        format!("{} {kind} of {} ({}): {}", self.reference, self.owner, self.state, self.title)
    }
}

impl From<proto::Collision> for CollisionView {
    fn from(found: proto::Collision) -> Self {
        Self {
            accuses: SideView::from(found.accuses.unwrap_or_default()),
            protects: SideView::from(found.protects.unwrap_or_default()),
            by: found.by,
            found_at: json_time(found.found_at),
            found_at_unix: found.found_at,
        }
    }
}

impl From<proto::CollisionSide> for SideView {
    fn from(side: proto::CollisionSide) -> Self {
        Self {
            source: side.source,
            reference: side.reference,
            owner: side.owner,
            kind: (!side.kind.is_empty()).then_some(side.kind),
            title: side.title,
            state: side.state,
        }
    }
}
