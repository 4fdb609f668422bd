//! Answers as JSON and as a page.

use eads_domain::clock::Timestamp;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::outcome::{Answers, Summary};
use crate::commands::caution;
use crate::output::{Grid, Page, Tone, age, json_time, milliseconds};

/// The JSON of a search; with `jsonl` the sources and then [`SummaryView`] are lines of their own.
#[derive(Debug, Serialize)]
pub(super) struct SearchView<'a> {
    #[serde(flatten)]
    summary: SummaryView,
    request_id: String,
    sources: &'a [SourceView],
}

/// What the answers together are worth.
#[derive(Debug, Serialize)]
pub(super) struct SummaryView {
    complete: bool,
    peers_asked: usize,
    peers_answered: usize,
    missing: Vec<String>,
    conflicts: Vec<String>,
    summary: String,
}

/// One source that answered, or did not.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct SourceView {
    pub(super) request_id: String,
    pub(super) member: String,
    /// "hit", "no-hit", "refused", "timed-out", "unreachable", "incompatible".
    pub(super) outcome: String,
    pub(super) code: String,
    pub(super) text: String,
    pub(super) as_of: Option<String>,
    #[serde(skip)]
    pub(super) as_of_unix: i64,
    pub(super) checkpoint: String,
    pub(super) took_ms: u32,
    pub(super) truncated: bool,
    pub(super) hits: Vec<HitView>,
}

/// A pointer to something that a member holds.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct HitView {
    pub(super) score: u32,
    pub(super) source: String,
    pub(super) owner: String,
    pub(super) reference: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) cautions: Vec<String>,
    pub(super) exercise: bool,
    pub(super) fields: Vec<FieldView>,
    pub(super) reasons: Vec<ReasonView>,
    pub(super) statement: Option<StatementView>,
}

/// A field that the agreement shows.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct FieldView {
    name: String,
    value: String,
}

/// One line of an explanation.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ReasonView {
    code: String,
    text: String,
    weight: i32,
}

/// Where the statement stands in its owner's register.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct StatementView {
    pub(super) index: u64,
    pub(super) digest: String,
}

impl SourceView {
    /// Whether this is an answer, hit or no hit. Anything else, also a word not known here, is none.
    pub(super) fn answered(&self) -> bool {
        matches!(self.outcome.as_str(), "hit" | "no-hit")
    }

    /// How old the register is that the answer rests on.
    fn as_of_in_words(&self, now: Timestamp) -> String {
        if self.as_of_unix == 0 { "-".to_owned() } else { age(now, self.as_of_unix) }
    }

    fn why(&self) -> String {
        match (self.code.as_str(), self.text.as_str()) {
            ("", text) => text.to_owned(),
            (code, "") => code.to_owned(),
            (code, text) => format!("{code}: {text}"),
        }
    }
}

/// Everything in one document.
pub(super) fn document<'a>(answers: &'a Answers, summary: &Summary) -> SearchView<'a> {
    SearchView { summary: SummaryView::from(summary), request_id: answers.id().to_string(), sources: answers.sources() }
}

/// Everything on one page: sources, hits, and last of all whether the answer is complete.
pub(super) fn show(answers: &Answers, summary: &Summary, explain: bool, page: &mut Page, now: Timestamp) {
    show_sources(answers.sources(), page, now);
    let hits = || answers.sources().iter().flat_map(|source| source.hits.iter().map(move |hit| (source, hit)));
    if summary.hits > 0 {
        page.heading("Hits");
        let mut grid = Grid::new(&["#", "SCORE", "FROM", "OWNER", "REFERENCE", "KIND", "STATE", "REASONS"]);
        for (number, (source, hit)) in hits().enumerate() {
            grid.row([
                ((number + 1).to_string(), Tone::Plain),
                (hit.score.to_string(), Tone::Plain),
                (source.member.clone(), Tone::Plain),
                (hit.owner.clone(), Tone::Plain),
                (if hit.reference.is_empty() { "(not shown)".to_owned() } else { hit.reference.clone() }, Tone::Plain),
                (if hit.kind.is_empty() { hit.source.clone() } else { hit.kind.clone() }, Tone::Plain),
                (hit.state.clone(), state_tone(&hit.state)),
                (codes(hit), Tone::Plain),
            ]);
        }
        page.grid(&grid);
        for (number, (_, hit)) in hits().enumerate() {
            show_details(number + 1, hit, explain, page);
        }
    }
    page.gap();
    for source in answers.sources().iter().filter(|source| source.truncated && !source.hits.is_empty()) {
        page.toned(&format!("{} has more hits than it shows: narrow the search", source.member), Tone::Caution);
    }
    for conflict in &summary.conflicts {
        page.toned(&format!("{conflict}: tell the administrators, somebody was told something else"), Tone::Bad);
    }
    page.toned(&format!("request {}", answers.id()), Tone::Quiet);
    page.toned(&summary.sentence(), if summary.complete() { Tone::Good } else { Tone::Bad });
}

fn show_sources(sources: &[SourceView], page: &mut Page, now: Timestamp) {
    let mut grid = Grid::new(&["MEMBER", "OUTCOME", "HITS", "AS OF", "TOOK", "WHY"]);
    for source in sources {
        let tone = match source.outcome.as_str() {
            "hit" => Tone::Caution,
            "no-hit" => Tone::Good,
            _ => Tone::Bad,
        };
        let count = if source.answered() { source.hits.len().to_string() } else { "-".to_owned() };
        grid.row([
            (source.member.clone(), Tone::Plain),
            (source.outcome.clone(), tone),
            (count, Tone::Plain),
            (source.as_of_in_words(now), Tone::Plain),
            (milliseconds(source.took_ms), Tone::Plain),
            (source.why(), Tone::Plain),
        ]);
    }
    page.grid(&grid);
}

/// What an officer must know before acting on a hit, and, if asked for, why it matched.
fn show_details(number: usize, hit: &HitView, explain: bool, page: &mut Page) {
    let cautions = cautions(hit);
    if cautions.is_empty() && hit.fields.is_empty() && !explain {
        return;
    }
    page.heading(&format!("Hit {number}"));
    for caution in &cautions {
        page.toned(caution, Tone::Bad);
    }
    for field in &hit.fields {
        page.field(&field.name, &field.value);
    }
    if explain {
        for reason in &hit.reasons {
            page.line(&format!("{:>+5}  {}  {}", reason.weight, reason.code, reason.text));
        }
        if let Some(statement) = &hit.statement {
            page.toned(&format!("entry {} of {}, {}", statement.index, hit.owner, statement.digest), Tone::Quiet);
        }
    }
}

/// What must be done before acting, in words. A hit that is not in force is never to be acted on.
fn cautions(hit: &HitView) -> Vec<String> {
    let asked = caution::in_words(&hit.cautions, &hit.owner);
    let force = (!in_force(&hit.state)).then(|| format!("NOT IN FORCE ({}): do not act on it", hit.state));
    asked.into_iter().chain(force).collect()
}

fn in_force(state: &str) -> bool {
    matches!(state, "valid" | "current")
}

fn state_tone(state: &str) -> Tone {
    if in_force(state) { Tone::Good } else { Tone::Bad }
}

fn codes(hit: &HitView) -> String {
    hit.reasons.iter().map(|reason| reason.code.as_str()).collect::<Vec<_>>().join(", ")
}

impl From<&Summary> for SummaryView {
    fn from(summary: &Summary) -> Self {
        Self {
            complete: summary.complete(),
            peers_asked: summary.asked,
            peers_answered: summary.answered,
            missing: summary.missing.clone(),
            conflicts: summary.conflicts.clone(),
            summary: summary.sentence(),
        }
    }
}

impl From<proto::SearchResponse> for SourceView {
    fn from(answer: proto::SearchResponse) -> Self {
        Self {
            request_id: hex::encode(&answer.request_id),
            member: answer.member,
            outcome: answer.outcome,
            code: answer.code,
            text: answer.text,
            as_of: json_time(answer.as_of),
            as_of_unix: answer.as_of,
            checkpoint: String::from_utf8_lossy(&answer.checkpoint).into_owned(),
            took_ms: answer.took_ms,
            truncated: answer.truncated,
            hits: answer.hits.into_iter().map(HitView::from).collect(),
        }
    }
}

impl From<proto::Hit> for HitView {
    fn from(hit: proto::Hit) -> Self {
        let reason =
            |reason: proto::HitReason| ReasonView { code: reason.code, text: reason.text, weight: reason.weight };
        Self {
            score: hit.score,
            source: hit.source,
            owner: hit.owner,
            reference: hit.reference,
            kind: hit.kind,
            state: hit.state,
            cautions: hit.cautions,
            exercise: hit.exercise,
            fields: hit.fields.into_iter().map(|field| FieldView { name: field.name, value: field.value }).collect(),
            reasons: hit.reasons.into_iter().map(reason).collect(),
            statement: hit
                .statement
                .map(|pointer| StatementView { index: pointer.index, digest: hex::encode(&pointer.digest) }),
        }
    }
}
