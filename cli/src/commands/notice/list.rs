//! `eads notice list`, `show` and `status`.

use clap::ValueEnum;
use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_domain::receipt::ReceiptReason;
use eads_domain::reference::Reference;
use eads_domain::slot::SlotNumber;
use eads_domain::subject::NoticeKind;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::examine::{FieldView, Shown};
use super::photo::{PhotoLine, PhotoOptions};
use super::view::NoticeView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Page, Tone, dated, json_time, moment};

/// `eads notice list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Whose: own ones, held ones of others, or both.
    #[arg(long, value_enum, default_value_t = Holding::Both)]
    holding: Holding,
    /// Only these kinds, with commas between them.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    kinds: Vec<NoticeKind>,
    /// Only notices of this member.
    #[arg(long, value_name = "MEMBER")]
    owner: Option<MemberId>,
    /// Only in these states, with commas between them [default: those in force].
    #[arg(long, value_name = "STATES", value_enum, value_delimiter = ',')]
    states: Vec<NoticeState>,
    /// At most so many; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
}

/// Whose notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Holding {
    Own,
    Held,
    Both,
}

/// The states that a notice can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NoticeState {
    Valid,
    Suspended,
    Expired,
    NotYetValid,
    Withdrawn,
    Frozen,
    Quarantined,
    Blocked,
}

/// `eads notice show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The reference that people cite, such as ID-2026-7K3QX9-5.
    reference: Reference,
    #[command(flatten)]
    photo: PhotoOptions,
}

/// `eads notice status`
#[derive(Debug, clap::Args)]
pub(crate) struct StatusOptions {
    /// The reference that people cite, such as ID-2026-7K3QX9-5.
    reference: Reference,
}

/// A notice with what this node was shown of it, in JSON.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct NoticePage {
    #[serde(flatten)]
    pub(in crate::commands) notice: NoticeView,
    fields: Vec<FieldView>,
    withheld: Vec<String>,
    challenges: Vec<ChallengeView>,
    approver: String,
    digest: String,
    photos: Vec<PhotoLine>,
}

/// A challenge as every officer is told of it, in JSON.
#[derive(Debug, Serialize)]
struct ChallengeView {
    by: String,
    reason: String,
    recorded_at: Option<String>,
    answer_by: Option<String>,
    #[serde(skip)]
    answer_by_unix: i64,
    /// "open", "unanswered", "answered".
    state: String,
}

impl ChallengeView {
    fn show(&self, page: &mut Page, owner: &str, now: Timestamp) {
        let due = dated(now, self.answer_by_unix);
        let answer = match self.state.as_str() {
            "unanswered" => format!("NO ANSWER OF {owner} since {due}"),
            "answered" => format!("{owner} has answered"),
            _ => format!("{owner} owes an answer by {due}"),
        };
        page.toned(&format!("challenged by {} ({}): {answer}", self.by, self.reason), Tone::Bad);
    }
}

impl From<proto::NoticeChallenge> for ChallengeView {
    fn from(challenge: proto::NoticeChallenge) -> Self {
        Self {
            by: challenge.by,
            reason: challenge.reason,
            recorded_at: json_time(challenge.recorded_at),
            answer_by: json_time(challenge.answer_by),
            answer_by_unix: challenge.answer_by,
            state: challenge.state,
        }
    }
}

/// Who holds a notice, in JSON.
#[derive(Debug, Serialize)]
struct StatusPage {
    #[serde(flatten)]
    notice: NoticeView,
    holders: Vec<HolderView>,
}

#[derive(Debug, Serialize)]
struct HolderView {
    member: String,
    index: u64,
    version: u32,
    action: String,
    /// "sent", "accepted", "rejected", "quarantined", "delivered", "purged".
    state: String,
    since: Option<String>,
    #[serde(skip)]
    since_unix: i64,
    /// The receipt's reason, as a code.
    reason: Option<String>,
    backups_until: Option<String>,
    #[serde(skip)]
    backups_until_unix: i64,
    /// Since when the peer owes the purge receipt.
    purge_owed_since: Option<String>,
    #[serde(skip)]
    owed_unix: i64,
    /// When two administrators wrote the receipt off.
    written_off_at: Option<String>,
}

impl ListOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListNoticesRequest {
            holding: match self.holding {
                Holding::Own => "own".to_owned(),
                Holding::Held => "held".to_owned(),
                Holding::Both => String::new(),
            },
            kinds: self.kinds.iter().map(ToString::to_string).collect(),
            owner: self.owner.map_or_else(String::new, |owner| owner.to_string()),
            states: self.states.iter().map(|state| state.as_str().to_owned()).collect(),
            limit: self.limit,
        });
        let stream = node::answer(node.notices().list_notices(request)).await?;
        let notices: Vec<NoticeView> = node::collect(stream, node.timeout())
            .await?
            .into_iter()
            .filter_map(|response| response.notice)
            .map(NoticeView::from)
            .collect();
        context.out.emit_list(&notices, |page| NoticeView::show_all(&notices, page))?;
        Ok(Exit::Done)
    }
}

impl NoticeState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Withdrawn => "withdrawn",
            Self::Frozen => "frozen",
            Self::Quarantined => "quarantined",
            Self::Blocked => "blocked",
        }
    }
}

impl ShowOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        self.photo.check(context)?;
        let node = context.node().await?;
        let request = node.request(proto::GetNoticeRequest { reference: self.reference.to_string() });
        let found = node::answer(node.notices().get_notice(request)).await?;
        if self.photo.is_wanted() {
            let images = if found.values.is_empty() { Vec::new() } else { Shown::parse(&found.values)?.images() };
            return self.photo.run(&self.reference.to_string(), &images, &node, context).await;
        }
        let view = NoticePage::try_from(found)?;
        context.out.emit(&view, |page| view.show(page, context.now()))?;
        Ok(Exit::Done)
    }
}

impl NoticePage {
    /// Everything that this node was shown of it.
    pub(in crate::commands) fn show(&self, page: &mut Page, now: Timestamp) {
        self.notice.show(page, now);
        if !self.approver.is_empty() {
            page.field("approved by", &self.approver);
        }
        for challenge in &self.challenges {
            challenge.show(page, &self.notice.owner, now);
        }
        page.heading("Content");
        if self.fields.is_empty() {
            page.line("destroyed: nothing of it is kept");
        }
        FieldView::show_all(&self.fields, page);
        PhotoLine::show_all(&self.photos, page);
        if !self.withheld.is_empty() {
            page.toned(&format!("not shown to this node: {}", self.withheld.join(", ")), Tone::Quiet);
        }
        page.toned(&format!("statement {}", self.digest), Tone::Quiet);
    }
}

impl TryFrom<proto::GetNoticeResponse> for NoticePage {
    type Error = CliError;

    fn try_from(found: proto::GetNoticeResponse) -> Result<Self, CliError> {
        // Of an own notice that has ended nothing is left but that it was.
        let (fields, withheld) = if found.values.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            let shown = Shown::parse(&found.values)?;
            let withheld = found
                .withheld
                .iter()
                .filter_map(|slot| u8::try_from(*slot).ok().and_then(|slot| SlotNumber::new(slot).ok()))
                .filter_map(|slot| shown.name_of(slot));
            (shown.fields(), withheld.collect())
        };
        Ok(Self {
            notice: NoticeView::from(found.notice.unwrap_or_default()),
            fields,
            withheld,
            challenges: found.challenges.into_iter().map(ChallengeView::from).collect(),
            approver: found.approver,
            digest: hex::encode(&found.digest),
            photos: PhotoLine::all(&found.photos),
        })
    }
}

impl StatusOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::GetNoticeStatusRequest { reference: self.reference.to_string() });
        let found = node::answer(node.notices().get_notice_status(request)).await?;
        let view = StatusPage {
            notice: NoticeView::from(found.notice.unwrap_or_default()),
            holders: found.holders.into_iter().map(HolderView::from).collect(),
        };
        context.out.emit(&view, |page| view.show(page, context.now()))?;
        Ok(Exit::Done)
    }
}

impl StatusPage {
    fn show(&self, page: &mut Page, now: Timestamp) {
        self.notice.show(page, now);
        page.heading("Holders");
        if self.holders.is_empty() {
            page.line("nobody was ever sent it");
            return;
        }
        let mut grid = Grid::new(&["MEMBER", "ACTION", "VERSION", "STATE", "SINCE", "REASON", "BACKUPS UNTIL"]);
        for holder in &self.holders {
            grid.row([
                (holder.member.clone(), Tone::Plain),
                (holder.action.clone(), Tone::Plain),
                (holder.version.to_string(), Tone::Plain),
                (holder.state.clone(), holder.tone()),
                (dated(now, holder.since_unix), Tone::Plain),
                (holder.reason.clone().unwrap_or_default(), Tone::Plain),
                (moment(holder.backups_until_unix), Tone::Plain),
            ]);
        }
        page.grid(&grid);
        page.gap();
        self.show_owed(page);
    }

    /// Who owes a purge receipt, and since when; whose receipt is waited for no more.
    fn show_owed(&self, page: &mut Page) {
        let mut owing = false;
        for holder in self.holders.iter().filter(|holder| holder.owed_unix != 0) {
            owing = true;
            let kept =
                if holder.reason.as_deref() == Some("evidence-hold") { " (kept there under an order)" } else { "" };
            let since = moment(holder.owed_unix);
            page.toned(
                &format!("{} owes the purge of version {} since {since}{kept}", holder.member, holder.version),
                Tone::Bad,
            );
        }
        for holder in self.holders.iter().filter(|holder| holder.written_off_at.is_some()) {
            let at = holder.written_off_at.as_deref().unwrap_or_default();
            let (action, member) = (&holder.action, &holder.member);
            page.toned(&format!("{member}'s receipt for the {action} was written off at {at}"), Tone::Caution);
        }
        if !owing && matches!(self.notice.state.as_str(), "withdrawn" | "expired") {
            page.toned("Nobody owes a purge receipt any more.", Tone::Good);
        }
    }
}

impl HolderView {
    fn tone(&self) -> Tone {
        match self.state.as_str() {
            "accepted" | "delivered" | "purged" | "undelivered" => Tone::Good,
            "rejected" => Tone::Bad,
            _ => Tone::Caution,
        }
    }
}

impl From<proto::HolderStatus> for HolderView {
    fn from(holder: proto::HolderStatus) -> Self {
        Self {
            member: holder.member,
            index: holder.index,
            version: holder.version,
            action: holder.action,
            state: holder.state,
            since: json_time(holder.since),
            since_unix: holder.since,
            reason: (holder.reason != 0).then(|| reason_code(holder.reason)),
            backups_until: json_time(holder.backups_until),
            backups_until_unix: holder.backups_until,
            purge_owed_since: json_time(holder.purge_owed_since),
            owed_unix: holder.purge_owed_since,
            written_off_at: json_time(holder.written_off_at),
        }
    }
}

/// The code of a receipt's reason; the number itself where this command does not know it.
fn reason_code(number: u32) -> String {
    u16::try_from(number).map_or_else(|_| number.to_string(), |number| ReceiptReason::from_number(number).to_string())
}
