//! `eads audit`: who asked and saw what.

use clap::Subcommand;
use eads_domain::id::RequestId;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone, json_time, moment, plural};

/// `eads audit`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Shows entries: who, when, why, with which outcome, and which statements were shown.
    Show(ShowOptions),
    /// Verifies the whole chain of the audit log.
    Verify(VerifyOptions),
}

/// `eads audit show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// At most so many entries.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Only entries of this request (32 hexadecimal digits, as a search prints it).
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
    /// Oldest first, starting behind this sequence number; without it the newest come first.
    #[arg(long, value_name = "N")]
    after: Option<u64>,
}

/// `eads audit verify`
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {}

/// One entry in JSON. `slots` lists the numbers of the slots that were shown.
#[derive(Debug, Serialize)]
struct EntryView {
    sequence: u64,
    kind: String,
    at: Option<String>,
    request_id: String,
    actor: String,
    roles: Vec<String>,
    operation: String,
    purpose: String,
    legal_basis: String,
    case_reference: String,
    result: String,
    peer: String,
    subject: String,
    shown: Vec<ShownView>,
    query_text: String,
    unfinished: bool,
    chain: String,
}

#[derive(Debug, Serialize)]
struct ShownView {
    digest: String,
    slots: Vec<u8>,
}

/// The JSON of `eads audit verify`.
#[derive(Debug, Serialize)]
struct VerificationView {
    entries: u64,
    sound: bool,
    first_bad: Option<u64>,
    finding: String,
    head: String,
    unfinished: u64,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Show(options) => options.run(context).await,
            Self::Verify(options) => options.run(context).await,
        }
    }
}

impl ShowOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = proto::ListAuditEntriesRequest {
            after: self.after.unwrap_or(0),
            limit: self.limit,
            reverse: self.after.is_none(),
            request_id: self.request.map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        };
        let stream = node::answer(node.audit().list_audit_entries(node.request(request))).await?;
        let entries: Vec<EntryView> = node::collect(stream, node.timeout())
            .await?
            .into_iter()
            .filter_map(|response| response.entry)
            .map(EntryView::from)
            .collect();
        context.out.emit_list(&entries, |page| show_entries(&entries, page))?;
        Ok(Exit::Done)
    }
}

impl VerifyOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.long_request(proto::VerifyAuditRequest {});
        let found = node::answer(node.audit().verify_audit(request)).await?;
        let view = VerificationView {
            entries: found.entries,
            sound: found.sound,
            first_bad: (!found.sound).then_some(found.first_bad),
            finding: found.finding,
            head: hex::encode(&found.head),
            unfinished: found.unfinished,
        };
        context.out.emit(&view, |page| view.show(page))?;
        Ok(if view.sound { Exit::Done } else { Exit::Integrity })
    }
}

impl VerificationView {
    fn show(&self, page: &mut Page) {
        page.field("entries", &self.entries.to_string());
        page.field("head", &self.head);
        if self.unfinished > 0 {
            let text = format!("{} (the answer may have been shown)", self.unfinished);
            page.toned_field("without outcome", &text, Tone::Caution);
        }
        match self.first_bad {
            None => page.toned("The audit log is sound.", Tone::Good),
            Some(bad) => page.toned(&format!("The audit log is NOT sound: entry {bad}: {}", self.finding), Tone::Bad),
        }
    }
}

fn show_entries(entries: &[EntryView], page: &mut Page) {
    let mut grid =
        Grid::new(&["SEQ", "AT", "KIND", "ACTOR", "OPERATION", "PURPOSE", "CASE", "PEER", "RESULT", "SHOWN"]);
    for entry in entries {
        let result = match (entry.result.as_str(), entry.unfinished) {
            (_, true) => ("no outcome".to_owned(), Tone::Caution),
            (result @ ("OK" | "ok" | ""), _) => (result.to_owned(), Tone::Plain),
            (refused, _) => (refused.to_owned(), Tone::Bad),
        };
        let shown = if entry.shown.is_empty() {
            String::new()
        } else {
            plural(entry.shown.len() as u64, "statement", "statements")
        };
        grid.row([
            (entry.sequence.to_string(), Tone::Plain),
            (entry.at.clone().unwrap_or_else(|| moment(0)), Tone::Plain),
            (entry.kind.clone(), Tone::Plain),
            (entry.actor.clone(), Tone::Plain),
            (entry.operation.clone(), Tone::Plain),
            (entry.purpose.clone(), Tone::Plain),
            (entry.case_reference.clone(), Tone::Plain),
            (entry.peer.clone(), Tone::Plain),
            result,
            (shown, Tone::Plain),
        ]);
    }
    if entries.is_empty() {
        page.line("no entries");
    } else {
        page.grid(&grid);
    }
    let asked = entries.iter().filter(|entry| !entry.query_text.is_empty());
    let mut headed = false;
    for entry in asked {
        if !headed {
            page.heading("Asked");
            headed = true;
        }
        page.field(&entry.sequence.to_string(), &entry.query_text);
    }
}

impl From<proto::AuditEntry> for EntryView {
    fn from(entry: proto::AuditEntry) -> Self {
        Self {
            sequence: entry.sequence,
            kind: entry.kind,
            at: json_time(entry.at),
            request_id: hex::encode(&entry.request_id),
            actor: entry.actor,
            roles: entry.roles,
            operation: entry.operation,
            purpose: entry.purpose,
            legal_basis: entry.legal_basis,
            case_reference: entry.case_reference,
            result: entry.result,
            peer: entry.peer,
            subject: entry.subject,
            shown: entry.shown.into_iter().map(ShownView::from).collect(),
            query_text: entry.query_text,
            unfinished: entry.unfinished,
            chain: hex::encode(&entry.chain),
        }
    }
}

impl From<proto::ShownStatement> for ShownView {
    fn from(shown: proto::ShownStatement) -> Self {
        let slots = (0..48).filter(|slot| shown.slots >> slot & 1 == 1).collect();
        Self { digest: hex::encode(&shown.digest), slots }
    }
}
