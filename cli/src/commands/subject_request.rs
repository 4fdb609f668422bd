//! `eads subject-request`: what a person may ask about themselves.

use clap::{Subcommand, ValueEnum};
use eads_domain::clock::Timestamp;
use eads_domain::operator::Purpose;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::arguments::{self, Day};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone, dated, json_time, moment};

/// `eads subject-request`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Puts a person's access request on file, with its deadline.
    Open(OpenOptions),
    /// Lists requests, the most urgent first.
    List(ListOptions),
    /// Finds everything held about the person of a request, and every look-up of the person; auditors only.
    Find(FindOptions),
    /// Records what the person was answered.
    Answer(AnswerOptions),
}

/// `eads subject-request open`
#[derive(Debug, clap::Args)]
pub(crate) struct OpenOptions {
    /// The person's name, in any script.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Date of birth, as far as known: YYYY, YYYY-MM or YYYY-MM-DD.
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    birth_date: String,
    /// Number of a travel or identity document.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    document: String,
    /// The day on which the request came.
    #[arg(long, value_name = "DATE")]
    received: Day,
    /// The day until which it is to be answered [default: 30 days after it came].
    #[arg(long, value_name = "DATE")]
    deadline: Option<Day>,
}

/// `eads subject-request list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Also those that are answered.
    #[arg(long)]
    all: bool,
}

/// `eads subject-request find`
#[derive(Debug, clap::Args)]
pub(crate) struct FindOptions {
    /// The request, as the list names it.
    request: String,
    /// Why it is looked for; kept in the audit log.
    #[arg(long, value_name = "CODE", value_parser = arguments::purpose(), default_value = "audit")]
    purpose: Purpose,
    #[command(flatten)]
    grounds: arguments::Grounds,
}

/// `eads subject-request answer`
#[derive(Debug, clap::Args)]
pub(crate) struct AnswerOptions {
    /// The request, as the list names it.
    request: String,
    /// What the person was given.
    #[arg(long, value_enum)]
    decision: Decision,
    /// Why so, and where the answer is on file.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What a person was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Decision {
    /// Everything that was found.
    Granted,
    /// A part of it.
    Partly,
    /// Nothing.
    Refused,
}

#[derive(Debug, Serialize)]
struct OpenedView {
    request_id: String,
    deadline: Option<String>,
}

#[derive(Debug, Serialize)]
struct RequestView {
    request_id: String,
    name: String,
    birth_date: String,
    document: String,
    received: Option<String>,
    deadline: Option<String>,
    #[serde(skip)]
    deadline_unix: i64,
    /// "open", "due", "overdue", "answered".
    state: String,
    /// "granted", "partly", "refused".
    decision: Option<String>,
    reason: Option<String>,
    answered_by: Option<String>,
    answered_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct FoundView {
    request_id: String,
    holdings: Vec<HoldingView>,
    lookups: Vec<LookupView>,
    /// More was found than is listed.
    truncated: bool,
    /// Look-ups whose question is destroyed or cannot be read: not compared.
    unreadable: u64,
}

#[derive(Debug, Serialize)]
struct HoldingView {
    source: String,
    owner: String,
    reference: String,
    kind: String,
    state: String,
    score: u32,
    reasons: Vec<String>,
    title: String,
}

#[derive(Debug, Serialize)]
struct LookupView {
    sequence: u64,
    at: Option<String>,
    actor: String,
    operation: String,
    purpose: String,
    case_reference: String,
    request_id: String,
    asked: String,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Open(options) => options.run(context).await,
            Self::List(options) => options.run(context).await,
            Self::Find(options) => options.run(context).await,
            Self::Answer(options) => options.run(context).await,
        }
    }
}

impl OpenOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::OpenSubjectRequestRequest {
            name: self.name,
            birth_date: self.birth_date,
            document: self.document,
            received: self.received.first(),
            deadline: self.deadline.map_or(0, Day::last),
        });
        let answer = node::answer(node.subjects().open_subject_request(request)).await?;
        let view = OpenedView { request_id: answer.request_id, deadline: json_time(answer.deadline) };
        context.out.emit(&view, |page| {
            page.field("request", &view.request_id);
            page.field("to be answered", &dated(context.now(), answer.deadline));
        })?;
        Ok(Exit::Done)
    }
}

impl ListOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListSubjectRequestsRequest { all: self.all });
        let found = node::answer(node.subjects().list_subject_requests(request)).await?.requests;
        let requests: Vec<RequestView> = found.into_iter().map(RequestView::from).collect();
        context.out.emit_list(&requests, |page| show_requests(&requests, page, context.now()))?;
        Ok(Exit::Done)
    }
}

fn show_requests(requests: &[RequestView], page: &mut Page, now: Timestamp) {
    if requests.is_empty() {
        page.line("no requests");
        return;
    }
    let mut grid = Grid::new(&["REQUEST", "NAME", "BORN", "STATE", "DEADLINE", "DECISION"]);
    for request in requests {
        let tone = match request.state.as_str() {
            "overdue" => Tone::Bad,
            "due" => Tone::Caution,
            _ => Tone::Plain,
        };
        grid.row([
            (request.request_id.clone(), Tone::Plain),
            (request.name.clone(), Tone::Plain),
            (request.birth_date.clone(), Tone::Plain),
            (request.state.clone(), tone),
            (dated(now, request.deadline_unix), tone),
            (request.decision.clone().unwrap_or_default(), Tone::Plain),
        ]);
    }
    page.grid(&grid);
}

impl FindOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.long_request(proto::FindSubjectRequest {
            request_id: self.request.clone(),
            purpose: self.purpose.as_str().to_owned(),
            legal_basis: self.grounds.legal_basis,
            case_reference: self.grounds.case,
        });
        let found = node::answer(node.subjects().find_subject(request)).await?;
        let view = FoundView::new(self.request, found);
        context.out.emit(&view, |page| view.show(page))?;
        Ok(Exit::Done)
    }
}

impl AnswerOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let decision = match self.decision {
            Decision::Granted => "granted",
            Decision::Partly => "partly",
            Decision::Refused => "refused",
        };
        let request = node.request(proto::AnswerSubjectRequestRequest {
            request_id: self.request.clone(),
            decision: decision.to_owned(),
            reason: self.reason,
        });
        node::answer(node.subjects().answer_subject_request(request)).await?;
        #[derive(Debug, Serialize)]
        struct AnsweredView {
            request_id: String,
            decision: &'static str,
        }
        let view = AnsweredView { request_id: self.request, decision };
        context.out.emit(&view, |page| page.toned(&format!("On record as {decision}."), Tone::Good))?;
        Ok(Exit::Done)
    }
}

impl FoundView {
    fn new(request_id: String, found: proto::FindSubjectResponse) -> Self {
        let holding = |one: proto::SubjectHolding| HoldingView {
            source: one.source,
            owner: one.owner,
            reference: one.reference,
            kind: one.kind,
            state: one.state,
            score: one.score,
            reasons: one.reasons,
            title: one.title,
        };
        let lookup = |one: proto::SubjectLookup| LookupView {
            sequence: one.sequence,
            at: json_time(one.at),
            actor: one.actor,
            operation: one.operation,
            purpose: one.purpose,
            case_reference: one.case_reference,
            request_id: hex::encode(&one.request_id),
            asked: one.asked,
        };
        Self {
            request_id,
            holdings: found.holdings.into_iter().map(holding).collect(),
            lookups: found.lookups.into_iter().map(lookup).collect(),
            truncated: found.truncated,
            unreadable: found.unreadable,
        }
    }

    fn show(&self, page: &mut Page) {
        page.heading("Held");
        if self.holdings.is_empty() {
            page.line("nothing");
        } else {
            let mut grid = Grid::new(&["SCORE", "SOURCE", "OWNER", "REFERENCE", "KIND", "STATE", "ABOUT"]);
            for one in &self.holdings {
                let score = one.score.to_string();
                let cells = [&score, &one.source, &one.owner, &one.reference, &one.kind, &one.state, &one.title];
                grid.row(cells.map(|text| (text.clone(), Tone::Plain)));
            }
            page.grid(&grid);
        }
        page.heading("Looked up");
        if self.lookups.is_empty() {
            page.line("never, as far as questions can be read");
        } else {
            let mut grid = Grid::new(&["SEQ", "AT", "BY", "OPERATION", "PURPOSE", "CASE", "ASKED"]);
            for one in &self.lookups {
                let at = one.at.clone().unwrap_or_else(|| moment(0));
                let fields = [
                    &one.sequence.to_string(),
                    &at,
                    &one.actor,
                    &one.operation,
                    &one.purpose,
                    &one.case_reference,
                    &one.asked,
                ]
                .map(|text| (text.clone(), Tone::Plain));
                grid.row(fields);
            }
            page.grid(&grid);
        }
        if self.unreadable > 0 {
            let text = format!("{} look-ups could not be compared: their questions are gone", self.unreadable);
            page.toned(&text, Tone::Caution);
        }
        if self.truncated {
            page.toned("More was found than is listed.", Tone::Caution);
        }
    }
}

impl From<proto::AccessRequest> for RequestView {
    fn from(request: proto::AccessRequest) -> Self {
        let named = |text: String| (!text.is_empty()).then_some(text);
        Self {
            request_id: request.request_id,
            name: request.name,
            birth_date: request.birth_date,
            document: request.document,
            received: json_time(request.received),
            deadline: json_time(request.deadline),
            deadline_unix: request.deadline,
            state: request.state,
            decision: named(request.decision),
            reason: named(request.reason),
            answered_by: named(request.answered_by),
            answered_at: json_time(request.answered_at),
        }
    }
}
