//! Notices at the desk as JSON and as pages.

use eads_domain::clock::Timestamp;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::commands::caution;
use crate::commands::notice::{NoticePage, NoticeView, state_tone};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Grid, Page, Tone, dated, json_time};

/// A held notice at the desk, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct DeskView {
    #[serde(flatten)]
    pub(super) notice: NoticeView,
    /// "agreement", "amended", "legal-review", "challenge-unanswered", "decided".
    waits_for: String,
    decision_of_desk: Option<DecisionView>,
    /// Whose desk it is.
    desk: String,
    digest: String,
}

/// The same with what was shown of it.
#[derive(Debug, Serialize)]
pub(super) struct DeskPage {
    #[serde(flatten)]
    summary: DeskView,
    /// Null once refused.
    detail: Option<NoticePage>,
}

/// A decision of the desk of this member, in JSON.
#[derive(Debug, Serialize)]
struct DecisionView {
    verdict: String,
    reason: Option<String>,
    officer: String,
    decided_at: Option<String>,
    #[serde(skip)]
    decided_at_unix: i64,
    version: u32,
    for_all_versions: bool,
    note: Option<String>,
}

impl DeskView {
    /// All of them as a table.
    pub(super) fn show_all(notices: &[Self], page: &mut Page) {
        if notices.is_empty() {
            page.line("nothing waits for the desk");
            return;
        }
        let mut grid =
            Grid::new(&["REFERENCE", "OWNER", "KIND", "SUBJECT", "STATE", "WAITS FOR", "DECIDED", "FIRST", "TITLE"]);
        for each in notices {
            let notice = &each.notice;
            grid.row([
                (notice.reference.clone(), Tone::Plain),
                (notice.owner.clone(), Tone::Plain),
                (notice.kind.clone(), Tone::Plain),
                (notice.subject.clone(), Tone::Plain),
                (notice.state.clone(), state_tone(&notice.state)),
                (each.waits_for.clone(), Tone::Caution),
                (each.decision_of_desk.as_ref().map(DecisionView::shortly).unwrap_or_default(), Tone::Plain),
                (caution::in_short(&notice.cautions), Tone::Bad),
                (notice.titled(), Tone::Plain),
            ]);
        }
        page.grid(&grid);
    }

    /// Before anything else that is said of it.
    pub(super) fn begin(&self, page: &mut Page) {
        if self.notice.exercise {
            page.exercise();
        }
    }
}

impl DeskPage {
    /// First what this member decided, then what the owner says.
    pub(super) fn show(&self, page: &mut Page, now: Timestamp) {
        self.summary.begin(page);
        page.heading(&format!("Decision of the desk of {}", self.summary.desk));
        match &self.summary.decision_of_desk {
            Some(decision) => decision.show(page, now),
            None => page.line("none yet"),
        }
        page.field("waits for", &self.summary.waits_for);
        let notice = &self.summary.notice;
        page.heading(&format!("What {} says", notice.owner));
        match &self.detail {
            Some(detail) => detail.show(page, now),
            None => {
                page.field("reference", &notice.reference);
                page.field("kind", &format!("{}, {}", notice.kind, notice.subject));
                page.line("refused: nothing of its content is kept");
            }
        }
    }

    /// D of the version that is shown.
    pub(super) fn digest(&self) -> Result<Vec<u8>, CliError> {
        hex::decode(&self.summary.digest)
            .map_err(|_| CliError::new("NODE_MALFORMED", Exit::NodeFault, "the node's digest cannot be read"))
    }
}

impl DecisionView {
    fn shortly(&self) -> String {
        let reason = self.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{}{reason}, version {}", self.verdict, self.version)
    }

    fn show(&self, page: &mut Page, now: Timestamp) {
        let tone = if self.verdict == "approved" { Tone::Good } else { Tone::Bad };
        page.toned_field("verdict", &self.shortly(), tone);
        page.field("by", &format!("{}, {}", self.officer, dated(now, self.decided_at_unix)));
        page.field("later versions", if self.for_all_versions { "decided the same" } else { "wait for the desk" });
        if let Some(note) = &self.note {
            page.field("note", note);
        }
    }
}

impl From<proto::DeskNotice> for DeskView {
    fn from(found: proto::DeskNotice) -> Self {
        Self {
            notice: NoticeView::from(found.notice.unwrap_or_default()),
            waits_for: found.waits_for,
            decision_of_desk: found.decision.map(DecisionView::from),
            desk: found.desk,
            digest: hex::encode(&found.digest),
        }
    }
}

impl From<proto::DeskDecision> for DecisionView {
    fn from(decision: proto::DeskDecision) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            verdict: decision.verdict,
            reason: some(decision.reason),
            officer: decision.officer,
            decided_at: json_time(decision.decided_at),
            decided_at_unix: decision.decided_at,
            version: decision.version,
            for_all_versions: decision.for_all_versions,
            note: some(decision.note),
        }
    }
}

impl TryFrom<proto::GetDeskNoticeResponse> for DeskPage {
    type Error = CliError;

    fn try_from(found: proto::GetDeskNoticeResponse) -> Result<Self, CliError> {
        Ok(Self {
            summary: DeskView::from(found.notice.unwrap_or_default()),
            detail: found.detail.map(NoticePage::try_from).transpose()?,
        })
    }
}
