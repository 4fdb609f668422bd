//! `eads audit match`

use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone, json_time, moment};

/// `eads audit match`
#[derive(Debug, clap::Args)]
pub(crate) struct MatchOptions {
    /// The peer.
    #[arg(long, value_name = "MEMBER")]
    peer: MemberId,
    /// Not before this date or time [default: a day before the end].
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Before this date or time, at most 31 days behind the begin [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
}

/// The JSON of `eads audit match`. `agreed` says that nothing speaks against either side.
#[derive(Debug, Serialize)]
struct MatchView {
    peer: String,
    from: Option<String>,
    to: Option<String>,
    agreed: bool,
    both: u64,
    unanswered: u64,
    differing: Vec<ExchangeView>,
    only_here: Vec<ExchangeView>,
    only_there: Vec<String>,
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct ExchangeView {
    request_id: String,
    asker: String,
    answerer: String,
    result: String,
    at: Option<String>,
}

impl MatchOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let unix = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_unix);
        let request = node.long_request(proto::CompareAuditRequest {
            peer: self.peer.to_string(),
            from: unix(self.from),
            to: unix(self.to),
        });
        let found = node::answer(node.audit().compare_audit(request)).await?;
        let view = MatchView {
            peer: self.peer.to_string(),
            from: json_time(found.from),
            to: json_time(found.to),
            agreed: found.differing.is_empty() && found.only_here.is_empty() && found.only_there.is_empty(),
            both: found.both,
            unanswered: found.unanswered,
            differing: found.differing.into_iter().map(ExchangeView::from).collect(),
            only_here: found.only_here.into_iter().map(ExchangeView::from).collect(),
            only_there: found.only_there.iter().map(hex::encode).collect(),
            truncated: found.truncated,
        };
        context.out.emit(&view, |page| view.show(page))?;
        Ok(if view.agreed { Exit::Done } else { Exit::Integrity })
    }
}

impl MatchView {
    fn show(&self, page: &mut Page) {
        let time = |at: &Option<String>| at.clone().unwrap_or_else(|| moment(0));
        page.field("exchanges with", &format!("{} from {} to {}", self.peer, time(&self.from), time(&self.to)));
        page.field("on both sides", &self.both.to_string());
        page.field("refused or unanswered", &self.unanswered.to_string());
        exchanges("Different results", &self.differing, page);
        exchanges("Only here", &self.only_here, page);
        if !self.only_there.is_empty() {
            page.heading("Only there");
            for digest in &self.only_there {
                page.line(&format!("  exchange {digest}"));
            }
        }
        if self.truncated {
            page.toned("There are more than are listed.", Tone::Caution);
        }
        if self.agreed {
            page.toned("Both audit logs tell of the same exchanges.", Tone::Good);
        } else {
            page.toned("The two audit logs do NOT tell of the same exchanges.", Tone::Bad);
        }
    }
}

fn exchanges(heading: &str, list: &[ExchangeView], page: &mut Page) {
    if list.is_empty() {
        return;
    }
    page.heading(heading);
    let mut grid = Grid::new(&["REQUEST", "AT", "ASKED", "ANSWERED", "RESULT HERE"]);
    for one in list {
        grid.row([
            (one.request_id.clone(), Tone::Plain),
            (one.at.clone().unwrap_or_else(|| moment(0)), Tone::Plain),
            (one.asker.clone(), Tone::Plain),
            (one.answerer.clone(), Tone::Plain),
            (one.result.clone(), Tone::Plain),
        ]);
    }
    page.grid(&grid);
}

impl From<proto::AuditExchange> for ExchangeView {
    fn from(one: proto::AuditExchange) -> Self {
        Self {
            request_id: hex::encode(&one.request_id),
            asker: one.asker,
            answerer: one.answerer,
            result: one.result,
            at: json_time(one.at),
        }
    }
}
