//! Notices and drafts as JSON and as lines of tables.

use eads_domain::clock::Timestamp;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::commands::caution;
use crate::output::{Grid, Page, Tone, dated, json_time, moment};

/// A notice in JSON.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct NoticeView {
    pub(in crate::commands) reference: String,
    pub(in crate::commands) owner: String,
    pub(in crate::commands) kind: String,
    pub(in crate::commands) subject: String,
    pub(in crate::commands) state: String,
    pub(in crate::commands) version: u32,
    pub(super) index: u64,
    issued_at: Option<String>,
    not_after: Option<String>,
    #[serde(skip)]
    not_after_unix: i64,
    pub(in crate::commands) exercise: bool,
    pub(in crate::commands) title: String,
    audience: Vec<String>,
    /// "emergency", "legal-review".
    marks: Vec<String>,
    /// What must be done before acting on it, the gravest first.
    pub(in crate::commands) cautions: Vec<String>,
    /// This member's own decision on a held notice, never the owner's word.
    pub(super) decision: Option<String>,
}

/// A draft in JSON.
#[derive(Debug, Serialize)]
pub(super) struct DraftView {
    pub(super) draft_id: String,
    pub(super) reference: String,
    pub(super) action: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) drafter: String,
    pub(super) approver: Option<String>,
    audience: Vec<String>,
    not_after: Option<String>,
    #[serde(skip)]
    not_after_unix: i64,
    pub(super) batch: Option<String>,
    created_at: Option<String>,
    /// "draft", "submitted", "approved", "returned".
    state: String,
    /// Why it was given back last.
    returned: Option<ReturnedView>,
    /// An approval states the outcome of a legal review.
    legal_review: bool,
    /// Why it was an emergency, where this is its late approval.
    emergency_reason: Option<String>,
}

/// Why a draft was given back, in JSON.
#[derive(Debug, Serialize)]
struct ReturnedView {
    by: String,
    reason: String,
    text: String,
    at: Option<String>,
}

impl NoticeView {
    /// All of them as a table.
    pub(super) fn show_all(notices: &[Self], page: &mut Page) {
        if notices.is_empty() {
            page.line("no notices");
            return;
        }
        let mut grid =
            Grid::new(&["REFERENCE", "OWNER", "KIND", "SUBJECT", "STATE", "VERSION", "VALID UNTIL", "FIRST", "TITLE"]);
        for notice in notices {
            grid.row([
                (notice.reference.clone(), Tone::Plain),
                (notice.owner.clone(), Tone::Plain),
                (notice.kind.clone(), Tone::Plain),
                (notice.subject.clone(), Tone::Plain),
                (notice.state.clone(), state_tone(&notice.state)),
                (notice.version.to_string(), Tone::Plain),
                (moment(notice.not_after_unix), Tone::Plain),
                (caution::in_short(&notice.cautions), Tone::Bad),
                (notice.titled(), Tone::Plain),
            ]);
        }
        page.grid(&grid);
    }

    /// The head of its page.
    pub(in crate::commands) fn show(&self, page: &mut Page, now: Timestamp) {
        if self.exercise {
            page.exercise();
        }
        page.field("reference", &format!("{} (version {})", self.reference, self.version));
        page.field("issued by", &format!("{}; INTERPOL did not review it", self.owner));
        page.field("kind", &format!("{}, {}", self.kind, self.subject));
        page.toned_field("state", &self.state, state_tone(&self.state));
        page.field("issued", self.issued_at.as_deref().unwrap_or("-"));
        page.field("valid until", &dated(now, self.not_after_unix));
        if !self.audience.is_empty() {
            page.field("addressed to", &self.audience.join(", "));
        }
        page.field("entry", &self.index.to_string());
        if let Some(decision) = &self.decision {
            page.field("decided here", decision);
        }
        for caution in caution::in_words(&self.cautions, &self.owner) {
            page.toned(&caution, Tone::Bad);
        }
        if self.marks.iter().any(|mark| mark == "legal-review") {
            page.toned(
                "LEGAL REVIEW: may be political, military, religious or racial; a lawyer decides before it is acted on",
                Tone::Caution,
            );
        }
    }

    /// What it is about, in a line that says so if it is an exercise.
    pub(in crate::commands) fn titled(&self) -> String {
        let exercise = if self.exercise { "EXERCISE " } else { "" };
        let marks: String = self.marks.iter().map(|mark| format!("[{mark}] ")).collect();
        format!("{exercise}{marks}{}", self.title)
    }
}

impl DraftView {
    /// All of them as a table.
    pub(super) fn show_all(drafts: &[Self], page: &mut Page) {
        if drafts.is_empty() {
            page.line("no drafts");
            return;
        }
        let mut grid = Grid::new(&[
            "DRAFT",
            "ACTION",
            "REFERENCE",
            "KIND",
            "SUBJECT",
            "DRAFTER",
            "APPROVER",
            "TO",
            "VALID UNTIL",
            "BATCH",
        ]);
        for draft in drafts {
            let approver = match (&draft.approver, draft.state.as_str()) {
                (Some(name), _) => (name.clone(), Tone::Good),
                (None, "returned") => ("returned".to_owned(), Tone::Bad),
                (None, "draft") => ("held back".to_owned(), Tone::Plain),
                (None, _) => ("none yet".to_owned(), Tone::Caution),
            };
            grid.row([
                (draft.draft_id.clone(), Tone::Plain),
                (draft.action.clone(), Tone::Plain),
                (draft.reference.clone(), Tone::Plain),
                (draft.kind.clone(), Tone::Plain),
                (draft.subject.clone(), Tone::Plain),
                (draft.drafter.clone(), Tone::Plain),
                approver,
                (audience(&draft.audience), Tone::Plain),
                (moment(draft.not_after_unix), Tone::Plain),
                (draft.batch.clone().unwrap_or_default(), Tone::Plain),
            ]);
        }
        page.grid(&grid);
    }

    /// The head of its page.
    pub(super) fn show(&self, page: &mut Page, now: Timestamp) {
        page.field("draft", &self.draft_id);
        page.field("action", &self.action);
        page.field("reference", &self.reference);
        page.field("kind", &format!("{}, {}", self.kind, self.subject));
        page.field("drafter", &self.drafter);
        page.field("approver", self.approver.as_deref().unwrap_or("none yet"));
        page.field("addressed to", &audience(&self.audience));
        page.field("valid until", &dated(now, self.not_after_unix));
        if let Some(batch) = &self.batch {
            page.field("batch", batch);
        }
        if let Some(returned) = &self.returned {
            let text = format!("{} by {}: {}", returned.reason, returned.by, returned.text);
            page.toned_field("returned", &text, Tone::Bad);
        }
        if self.state == "draft" {
            page.field("held back", "not yet for a second officer");
        }
        if let Some(reason) = &self.emergency_reason {
            page.toned_field("emergency", reason, Tone::Bad);
        }
        if self.legal_review {
            page.toned("LEGAL REVIEW: an approval states its outcome with --legal-review", Tone::Caution);
        }
    }
}

fn audience(members: &[String]) -> String {
    if members.is_empty() { "nobody: it stays here".to_owned() } else { members.join(", ") }
}

pub(in crate::commands) fn state_tone(state: &str) -> Tone {
    match state {
        "valid" => Tone::Good,
        "not-yet-valid" => Tone::Caution,
        _ => Tone::Bad,
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl From<proto::NoticeSummary> for NoticeView {
    fn from(notice: proto::NoticeSummary) -> Self {
        Self {
            reference: notice.reference,
            owner: notice.owner,
            kind: notice.kind,
            subject: notice.subject,
            state: notice.state,
            version: notice.version,
            index: notice.index,
            issued_at: json_time(notice.issued_at),
            not_after: json_time(notice.not_after),
            not_after_unix: notice.not_after,
            exercise: notice.exercise,
            title: notice.title,
            audience: notice.audience,
            marks: notice.marks,
            cautions: notice.cautions,
            decision: some(notice.decision),
        }
    }
}

impl From<proto::DraftSummary> for DraftView {
    fn from(draft: proto::DraftSummary) -> Self {
        Self {
            draft_id: draft.draft_id,
            reference: draft.reference,
            action: draft.action,
            kind: draft.kind,
            subject: draft.subject,
            drafter: draft.drafter,
            approver: some(draft.approver),
            audience: draft.audience,
            not_after: json_time(draft.not_after),
            not_after_unix: draft.not_after,
            batch: some(draft.batch),
            created_at: json_time(draft.created_at),
            state: draft.state,
            returned: draft.returned.map(|returned| ReturnedView {
                by: returned.by,
                reason: returned.reason,
                text: returned.text,
                at: json_time(returned.at),
            }),
            legal_review: draft.legal_review,
            emergency_reason: some(draft.emergency_reason),
        }
    }
}
