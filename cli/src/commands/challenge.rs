//! `eads challenge`: somebody says that a notice is wrong, and its owner owes an answer.

use clap::{Subcommand, ValueEnum};
use eads_domain::challenge::{Challenger, Grounds};
use eads_domain::clock::Timestamp;
use eads_domain::id::ChallengeId;
use eads_domain::reference::Reference;
use eads_domain::value::PartialDate;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone, dated, json_time};

/// `eads challenge`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Records a challenge against a notice, own or held; it counts as contested at once.
    Record(RecordOptions),
    /// Lists challenges.
    List(ListOptions),
    /// Records what the owner of the notice answered.
    Answer(AnswerOptions),
    /// Closes a challenge, which is final.
    Close(CloseOptions),
}

/// `eads challenge record`
#[derive(Debug, clap::Args)]
pub(crate) struct RecordOptions {
    /// The notice.
    reference: Reference,
    /// Who challenges it: a member such as MY, or "individual".
    #[arg(long, value_name = "MEMBER|individual")]
    by: Challenger,
    /// Why: a reason code such as contested, identity-in-doubt or political-character, and words after a colon.
    #[arg(long, value_name = "CODE[:WORDS]")]
    reason: String,
    /// The day by whose end (UTC) the owner owes an answer: YYYY-MM-DD.
    #[arg(long, value_name = "DATE", value_parser = end_of_day)]
    answer_by: Timestamp,
    /// Who the individual is and how to answer; sealed, and shown to the desk only.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    contact: String,
}

/// `eads challenge list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Only against this notice.
    reference: Option<Reference>,
    /// Also closed ones.
    #[arg(long)]
    closed: bool,
    /// At most so many; 0 is the node's usual.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
}

/// `eads challenge answer`
#[derive(Debug, clap::Args)]
pub(crate) struct AnswerOptions {
    /// The challenge, as `list` names it.
    challenge: ChallengeId,
    /// What the owner answered.
    #[arg(long, value_name = "TEXT")]
    answer: String,
}

/// `eads challenge close`
#[derive(Debug, clap::Args)]
pub(crate) struct CloseOptions {
    /// The challenge, as `list` names it.
    challenge: ChallengeId,
    /// How it ends.
    #[arg(long = "as", value_name = "ENDING", value_enum)]
    ending: EndingOption,
}

/// How a challenge ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EndingOption {
    /// The notice was wrong.
    Upheld,
    /// The notice stands.
    Rejected,
    /// Taken back by whoever challenged.
    TakenBack,
}

/// A challenge in JSON.
#[derive(Debug, Serialize)]
struct ChallengeView {
    challenge_id: String,
    reference: String,
    owner: String,
    by: String,
    reason: String,
    text: String,
    contact: Option<String>,
    recorded_at: Option<String>,
    answer_by: Option<String>,
    #[serde(skip)]
    answer_by_unix: i64,
    /// "open", "unanswered", "answered", "upheld", "rejected", "taken-back".
    state: String,
    answer: Option<String>,
    answered_at: Option<String>,
    #[serde(skip)]
    answered_at_unix: i64,
    closed_at: Option<String>,
    officer: String,
    exercise: bool,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let (challenge, done) = match self {
            Self::List(options) => return options.run(context).await,
            Self::Record(options) => {
                options.reason.parse::<Grounds>()?;
                let request = node.request(proto::RecordChallengeRequest {
                    reference: options.reference.to_string(),
                    by: options.by.to_string(),
                    reason: options.reason,
                    answer_by: options.answer_by.as_unix(),
                    contact: options.contact,
                });
                let recorded = node::answer(node.challenges().record_challenge(request)).await?;
                (recorded.challenge, "The challenge is recorded; the notice counts as contested.")
            }
            Self::Answer(AnswerOptions { challenge, answer }) => {
                let request = proto::AnswerChallengeRequest { challenge_id: challenge.to_string(), answer };
                let answered = node::answer(node.challenges().answer_challenge(node.request(request))).await?;
                (
                    answered.challenge,
                    "The answer is recorded; the notice counts as contested until the challenge is closed.",
                )
            }
            Self::Close(CloseOptions { challenge, ending }) => {
                let ending = ending.as_str().to_owned();
                let request = proto::CloseChallengeRequest { challenge_id: challenge.to_string(), ending };
                let closed = node::answer(node.challenges().close_challenge(node.request(request))).await?;
                (closed.challenge, "The challenge is closed.")
            }
        };
        let view = ChallengeView::from(challenge.unwrap_or_default());
        context.out.emit(&view, |page| {
            view.show(page, context.now());
            page.gap();
            page.toned(done, Tone::Good);
        })?;
        Ok(Exit::Done)
    }
}

impl ListOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListChallengesRequest {
            reference: self.reference.map_or_else(String::new, |reference| reference.to_string()),
            closed: self.closed,
            limit: self.limit,
        });
        let stream = node::answer(node.challenges().list_challenges(request)).await?;
        let found = node::collect(stream, node.timeout()).await?;
        let views: Vec<ChallengeView> =
            found.into_iter().filter_map(|one| one.challenge).map(ChallengeView::from).collect();
        context.out.emit_list(&views, |page| ChallengeView::show_all(&views, page, context.now()))?;
        Ok(Exit::Done)
    }
}

impl EndingOption {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Upheld => "upheld",
            Self::Rejected => "rejected",
            Self::TakenBack => "taken-back",
        }
    }
}

impl ChallengeView {
    fn show_all(views: &[Self], page: &mut Page, now: Timestamp) {
        if views.is_empty() {
            page.line("no challenges");
            return;
        }
        let mut grid = Grid::new(&["CHALLENGE", "NOTICE", "BY", "REASON", "STATE", "ANSWER DUE", "ANSWER"]);
        for view in views {
            grid.row([
                (view.challenge_id.clone(), Tone::Plain),
                (view.noticed(), Tone::Plain),
                (view.by.clone(), Tone::Plain),
                (view.reason.clone(), Tone::Plain),
                (view.state.clone(), view.tone()),
                (dated(now, view.answer_by_unix), Tone::Plain),
                (view.answered(now), view.tone()),
            ]);
        }
        page.grid(&grid);
    }

    fn show(&self, page: &mut Page, now: Timestamp) {
        if self.exercise {
            page.exercise();
        }
        page.field("challenge", &self.challenge_id);
        page.field("notice", &format!("{} of {}", self.reference, self.owner));
        page.field("by", &self.by);
        page.field("reason", &self.reason);
        if !self.text.is_empty() {
            page.field("in words", &self.text);
        }
        if let Some(contact) = &self.contact {
            page.field("contact", contact);
        }
        page.toned_field("state", &self.state, self.tone());
        page.field("answer due", &dated(now, self.answer_by_unix));
        page.field("answer", &self.answered(now));
    }

    fn noticed(&self) -> String {
        if self.exercise { format!("EXERCISE {}", self.reference) } else { self.reference.clone() }
    }

    /// What the owner answered, or since when it has not.
    fn answered(&self, now: Timestamp) -> String {
        match (&self.answer, self.state.as_str()) {
            (Some(answer), _) => format!("{} ({})", answer, dated(now, self.answered_at_unix)),
            (None, "unanswered") => format!("no answer since {}", dated(now, self.answer_by_unix)),
            (None, _) => "none".to_owned(),
        }
    }

    fn tone(&self) -> Tone {
        match self.state.as_str() {
            "unanswered" => Tone::Bad,
            "open" | "answered" => Tone::Caution,
            _ => Tone::Quiet,
        }
    }
}

impl From<proto::Challenge> for ChallengeView {
    fn from(challenge: proto::Challenge) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            challenge_id: challenge.challenge_id,
            reference: challenge.reference,
            owner: challenge.owner,
            by: challenge.by,
            reason: challenge.reason,
            text: challenge.text,
            contact: some(challenge.contact),
            recorded_at: json_time(challenge.recorded_at),
            answer_by: json_time(challenge.answer_by),
            answer_by_unix: challenge.answer_by,
            state: challenge.state,
            answer: some(challenge.answer),
            answered_at: json_time(challenge.answered_at),
            answered_at_unix: challenge.answered_at,
            closed_at: json_time(challenge.closed_at),
            officer: challenge.officer,
            exercise: challenge.exercise,
        }
    }
}

/// The last second of a day, UTC.
fn end_of_day(text: &str) -> Result<Timestamp, String> {
    let day = text.parse::<PartialDate>().ok().and_then(PartialDate::last_second);
    day.ok_or_else(|| "a day is written YYYY-MM-DD".to_owned())
}
