//! What waits for the desk, and what it decided.

use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::query::HitState;
use eads_domain::slot::{SlotSet, needs_legal_review};

use super::DeskRow;
use crate::area;
use crate::audit::Shown;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::{NoticeDetail, NoticeState, NoticeView, split};
use crate::pages::Pages;
use crate::rows::{self, HeldDecision, HeldNotice};

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct DeskFilter {
    /// Exercises only, or real notices only.
    pub exercise: bool,
    /// Also what was decided upon.
    pub decided: bool,
    /// The most to list.
    pub limit: usize,
}

/// A held notice at the desk.
#[derive(Clone, Debug)]
pub struct DeskNotice {
    /// As officers would see it; of a refused one what the decision says of it.
    pub view: NoticeView,
    /// Why it is here.
    pub waits_for: &'static str,
    /// The latest decision, on whatever version.
    pub decision: Option<DeskRow>,
}

/// The same in full.
#[derive(Clone, Debug)]
pub struct DeskDetail {
    /// What the desk knows of it.
    pub notice: DeskNotice,
    /// The notice; none once refused.
    pub detail: Option<NoticeDetail>,
}

impl Node {
    /// Held notices that officers are not shown; with `decided` also those that the desk decided upon. Audited with
    /// every statement that it shows.
    ///
    /// # Errors
    /// When store or audit fail.
    pub async fn desk_list(&self, call: &Call, filter: DeskFilter) -> Result<Vec<DeskNotice>, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "ListDesk")).await?;
        let outcome = self.list_desk(filter).await;
        match &outcome {
            Ok(notices) => {
                let shown = notices.iter().map(|n| Shown { digest: n.view.digest, slots: SlotSet::EMPTY }).collect();
                self.audit.outcome(&intent, "OK", shown).await?;
            }
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome
    }

    async fn list_desk(&self, filter: DeskFilter) -> Result<Vec<DeskNotice>, ServiceError> {
        let mut notices = self.marks.waiting();
        let now = self.clock.now();
        notices
            .extend(self.marks.unanswered(now).into_iter().filter(|(owner, notice)| self.is_blocked(*owner, *notice)));
        if filter.decided {
            let mut pages = Pages::of(&*self.store, area::DESK);
            while let Some(page) = pages.next().await? {
                for (key, _) in &page {
                    notices.push(split(key)?);
                }
            }
        }
        notices.sort_unstable();
        notices.dedup();
        let mut listed = Vec::new();
        for (owner, notice) in notices {
            if listed.len() >= filter.limit {
                break;
            }
            let found = self.desk_notice(owner, notice).await?;
            listed.extend(found.filter(|found| found.view.exercise == filter.exercise));
        }
        Ok(listed)
    }

    /// One held notice as the desk sees it.
    ///
    /// # Errors
    /// `DESK_OWN_NOTICE`, `NOTICE_*`.
    pub async fn desk_show(&self, call: &Call, reference: &str) -> Result<DeskDetail, ServiceError> {
        let mut entry = self.entry(call, "GetDeskNotice");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.show_desk(reference).await;
        match &outcome {
            Ok(found) => {
                let values = found.detail.iter().flat_map(|detail| &detail.values);
                let slots = values.map(|(slot, _)| *slot).collect();
                let shown = vec![Shown { digest: found.notice.view.digest, slots }];
                self.audit.outcome(&intent, "OK", shown).await?;
            }
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome
    }

    async fn show_desk(&self, reference: &str) -> Result<DeskDetail, ServiceError> {
        let (owner, notice) = self.held_referred(reference).await?;
        let Some(found) = self.desk_notice(owner, notice).await? else {
            return Err(self.why_gone(owner, notice).await?);
        };
        let key = area::member_notice(owner, notice);
        let detail = match self.store.get(area::HELD_NOTICE, &key).await? {
            Some(_) => Some(self.detail(reference, true).await?),
            None => None,
        };
        Ok(DeskDetail { notice: found, detail })
    }

    /// After a decision: the notice as it stands now.
    pub(super) async fn desk_notice_now(&self, owner: MemberId, notice: NoticeId) -> Result<DeskNotice, ServiceError> {
        match self.desk_notice(owner, notice).await? {
            Some(found) => Ok(found),
            None => Err(self.why_gone(owner, notice).await?),
        }
    }

    async fn desk_notice(&self, owner: MemberId, notice: NoticeId) -> Result<Option<DeskNotice>, ServiceError> {
        let key = area::member_notice(owner, notice);
        let decision: Option<DeskRow> = rows::get(&*self.store, area::DESK, &key).await?;
        let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &key).await?;
        let held = match &head {
            Some(head) => self.held_view(owner, notice, head).await?,
            None => None,
        };
        let (Some(head), Some((view, content))) = (head, held) else {
            return Ok(decision.map(|row| DeskNotice {
                view: remnant(owner, notice, &row),
                waits_for: "decided",
                decision: Some(row),
            }));
        };
        let is_flagged = content.as_ref().is_some_and(|content| needs_legal_review(content));
        let waits_for = match (head.decision, &decision) {
            (HeldDecision::Actionable, _) if view.state == NoticeState::Of(HitState::Blocked) => "challenge-unanswered",
            (HeldDecision::Actionable, _) => "decided",
            (HeldDecision::Quarantined, Some(_)) => "amended",
            (HeldDecision::Quarantined, None) if is_flagged => "legal-review",
            (HeldDecision::Quarantined, None) => "agreement",
        };
        Ok(Some(DeskNotice { view, waits_for, decision }))
    }
}

/// What is left of a refused notice.
fn remnant(owner: MemberId, notice: NoticeId, row: &DeskRow) -> NoticeView {
    NoticeView {
        reference: row.reference.clone(),
        owner,
        notice,
        kind: row.kind,
        subject: row.subject,
        state: NoticeState::Refused,
        version: row.version,
        index: row.index,
        digest: row.digest,
        issued: row.at,
        not_after: row.keep_until,
        exercise: row.exercise,
        title: String::new(),
        audience: Vec::new(),
        marks: Vec::new(),
        cautions: Vec::new(),
        decision: row.verdict.as_str(),
    }
}

impl DeskNotice {
    /// D of the version held, or of the one that was refused.
    pub const fn digest(&self) -> Hash {
        self.view.digest
    }
}
