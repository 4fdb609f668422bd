//! The own register: who has cosigned it, whether statements are signed, what was lost; and the order to go on.

use eads_proto::v1 as proto;
use serde::Serialize;

use crate::commands::peer::PeerView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone, plural};

/// `eads register status`
#[derive(Debug, clap::Args)]
pub(crate) struct StatusOptions {}

/// `eads register continue`
#[derive(Debug, clap::Args)]
pub(crate) struct ContinueOptions {
    /// Why nobody needs to be waited for; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// The JSON of `eads register status`.
#[derive(Debug, Serialize)]
struct RegisterStatus {
    register: String,
    size: u64,
    checkpoint: String,
    /// "open", "waiting", "recovering", "cloned".
    sequencing: String,
    cosigned: Vec<CosignedView>,
    unrecovered: u64,
    unrecovered_entries: Vec<u64>,
    recalled: Vec<RecalledView>,
}

#[derive(Debug, Serialize)]
struct CosignedView {
    member: String,
    size: u64,
    at: Option<String>,
}

#[derive(Debug, Serialize)]
struct RecalledView {
    reference: String,
    index: u64,
    action: String,
    member: String,
}

#[derive(Debug, Serialize)]
struct ContinuedView {
    sequencing: &'static str,
}

impl StatusOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let status = node::answer(node.status().get_status(node.request(proto::GetStatusRequest {}))).await?;
        let view = RegisterStatus::from(status);
        context.out.emit(&view, |page| view.show(page))?;
        Ok(Exit::Done)
    }
}

impl ContinueOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::SkipStartWaitRequest { reason: self.reason });
        node::answer(node.status().skip_start_wait(request)).await?;
        context.out.emit(&ContinuedView { sequencing: "open" }, |page| {
            page.line("The node signs and answers without waiting for any peer. The order is in the audit log.");
        })?;
        Ok(Exit::Done)
    }
}

impl RegisterStatus {
    fn show(&self, page: &mut Page) {
        page.field("register", &format!("{} ({})", self.register, plural(self.size, "entry", "entries")));
        show_sequencing(&self.sequencing, page);
        page.heading("Cosigned by");
        if self.cosigned.is_empty() {
            page.line("nobody yet");
        } else {
            let mut grid = Grid::new(&["MEMBER", "ENTRIES", "AT"]);
            for cosigned in &self.cosigned {
                let tone = if cosigned.size == self.size { Tone::Good } else { Tone::Plain };
                grid.row([
                    (cosigned.member.clone(), Tone::Plain),
                    (cosigned.size.to_string(), tone),
                    (cosigned.at.clone().unwrap_or_default(), Tone::Plain),
                ]);
            }
            page.grid(&grid);
        }
        if self.unrecovered > 0 {
            page.heading("Lost");
            let lost = plural(self.unrecovered, "entry", "entries");
            page.toned(&format!("the content of {lost} could not be recovered from any peer"), Tone::Bad);
            let listed: Vec<String> = self.unrecovered_entries.iter().map(u64::to_string).collect();
            page.line(&listed.join(", "));
        }
        if !self.recalled.is_empty() {
            page.heading("Ended or suspended by entries that were lost");
            for one in &self.recalled {
                let reference = if one.reference.is_empty() { "a notice that was lost" } else { &one.reference };
                let what = if one.action == "withdraw" { "withdrawn" } else { "suspended" };
                page.toned(&format!("{reference}: {what} by entry {}, says {}", one.index, one.member), Tone::Caution);
            }
        }
    }
}

/// A line unless all is well.
pub(in crate::commands) fn show_sequencing(sequencing: &str, page: &mut Page) {
    match sequencing {
        "open" => {}
        "waiting" => page.toned_field("signing", "waits until a peer has said what it holds", Tone::Caution),
        "recovering" => page.toned_field("signing", "waits for entries that a peer gives back", Tone::Caution),
        "cloned" => page.toned_field("signing", "STOPPED: another copy of this node has signed", Tone::Bad),
        other => page.toned_field("signing", other, Tone::Caution),
    }
}

impl From<proto::GetStatusResponse> for RegisterStatus {
    fn from(status: proto::GetStatusResponse) -> Self {
        let peers = status.peers.into_iter().map(PeerView::from);
        let cosigned = peers.filter(|peer| peer.cosigned_size > 0).map(|peer| CosignedView {
            member: peer.member,
            size: peer.cosigned_size,
            at: peer.cosigned_at,
        });
        let recalled = status.recalled.into_iter().map(|one| RecalledView {
            reference: one.reference,
            index: one.index,
            action: one.action,
            member: one.member,
        });
        Self {
            register: hex::encode(&status.register),
            size: status.register_size,
            checkpoint: String::from_utf8_lossy(&status.checkpoint).into_owned(),
            sequencing: status.sequencing,
            cosigned: cosigned.collect(),
            unrecovered: status.unrecovered,
            unrecovered_entries: status.unrecovered_entries,
            recalled: recalled.collect(),
        }
    }
}
