//! Notices as officers see them: own ones with all fields, held ones with what their owner shows.

use eads_domain::approval;
use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::life::LONGEST_EMERGENCY_HOURS;
use eads_domain::operator::Operator;
use eads_domain::query::{Caution, HitState};
use eads_domain::receipt::ReceiptStatus;
use eads_domain::screening::Sides;
use eads_domain::slot::{EMERGENCY, Fields as _, LEGAL_REVIEW, SlotNumber, SlotSet};
use eads_domain::subject::{NoticeKind, SubjectType};
use eads_domain::value::Value;
use eads_store::StoreError;
use eads_store::port::Batch;
use eads_store::vault::Sealed;

use crate::area;
use crate::audit::Shown;
use crate::blobs::PhotoView;
use crate::context::Call;
use crate::desk::{DeskRow, Verdict, is_desk};
use crate::error::ServiceError;
use crate::marks::Contest;
use crate::node::Node;
use crate::pages::Pages;
use crate::peers::PeerState;
use crate::rows::{self, Answered, Followed, HeldDecision, HeldNotice, Life, OwnNotice};
use crate::stored::{ShownFields, StoredStatement};

const SECONDS_AN_HOUR: i64 = 3600;

/// Where a notice is, as an officer needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// In force, suspended, over, or not yet begun.
    Of(HitState),
    /// Ended by its owner.
    Withdrawn,
    /// The desk of this member did not take it.
    Refused,
}

impl NoticeState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Of(state) => state.as_str(),
            Self::Withdrawn => "withdrawn",
            Self::Refused => "refused",
        }
    }

    /// Whether only the desk is shown it.
    pub const fn is_for_desk(self) -> bool {
        matches!(self, Self::Of(state) if state.is_for_desk())
    }
}

/// One notice in a list.
#[derive(Clone, Debug)]
pub struct NoticeView {
    /// What people cite.
    pub reference: String,
    /// Whose it is.
    pub owner: MemberId,
    /// The notice.
    pub notice: NoticeId,
    /// Kind.
    pub kind: NoticeKind,
    /// Subject type.
    pub subject: SubjectType,
    /// Where it is.
    pub state: NoticeState,
    /// Version.
    pub version: u16,
    /// Index of its content in the owner's register.
    pub index: u64,
    /// D of its content.
    pub digest: Hash,
    /// When the content was issued.
    pub issued: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Exercise notice.
    pub exercise: bool,
    /// What it is about, in one line; empty once destroyed.
    pub title: String,
    /// Members addressed; known for own notices only.
    pub audience: Vec<MemberId>,
    /// What its owner marks it with: `emergency`, `legal-review`.
    pub marks: Vec<&'static str>,
    /// What must be done before acting on it, the gravest first.
    pub cautions: Vec<Caution>,
    /// Of a held notice, this member's own decision, never the owner's word; empty for an own one.
    pub decision: &'static str,
}

/// One notice in full.
#[derive(Clone, Debug)]
pub struct NoticeDetail {
    /// As in a list.
    pub view: NoticeView,
    /// Values shown to this node.
    pub values: Vec<(SlotNumber, Value)>,
    /// Slots that the owner withholds from this node.
    pub withheld: SlotSet,
    /// Challenges against it that are not closed.
    pub challenges: Vec<Contest>,
    /// Who approved it, as its signed approval says.
    pub approver: String,
    /// Its photographs, as far as they are shown to this node.
    pub photos: Vec<PhotoView>,
}

/// Which notices to list.
#[derive(Clone, Debug, Default)]
pub struct NoticeFilter {
    /// Own ones.
    pub own: bool,
    /// Held ones.
    pub held: bool,
    /// Kinds; empty means all.
    pub kinds: Vec<NoticeKind>,
    /// Owner.
    pub owner: Option<MemberId>,
    /// States by their codes; empty means all but withdrawn and expired.
    pub states: Vec<String>,
    /// The most to list.
    pub limit: usize,
}

impl NoticeFilter {
    fn takes(&self, view: &NoticeView) -> bool {
        let over = matches!(view.state, NoticeState::Withdrawn | NoticeState::Of(HitState::Expired));
        let state = if self.states.is_empty() { !over } else { self.states.iter().any(|s| s == view.state.as_str()) };
        state
            && (self.kinds.is_empty() || self.kinds.contains(&view.kind))
            && self.owner.is_none_or(|owner| owner == view.owner)
    }
}

impl Node {
    /// Notices that match, own ones first. Audited with every statement that it shows.
    ///
    /// # Errors
    /// When store or audit fail.
    pub async fn list_notices(&self, call: &Call, filter: &NoticeFilter) -> Result<Vec<NoticeView>, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "ListNotices")).await?;
        let outcome = self.list(filter, is_desk(call)).await;
        match &outcome {
            Ok(views) => {
                let shown = views.iter().map(|v| Shown { digest: v.digest, slots: SlotSet::EMPTY }).collect();
                self.audit.outcome(&intent, "OK", shown).await?;
            }
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome
    }

    async fn list(&self, filter: &NoticeFilter, desk: bool) -> Result<Vec<NoticeView>, ServiceError> {
        let mut views = Vec::new();
        let areas = [(filter.own, area::OWN_NOTICE), (filter.held, area::HELD_NOTICE)];
        for (_, area) in areas.into_iter().filter(|(wanted, _)| *wanted) {
            let mut pages = Pages::of(&*self.store, area);
            while let Some(page) = pages.next().await? {
                for (key, value) in &page {
                    if views.len() >= filter.limit {
                        return Ok(views);
                    }
                    let view = if area == area::OWN_NOTICE {
                        self.own_view(NoticeId::try_from(key.as_slice())?, &rows::parse(value)?).await?.0
                    } else {
                        let (owner, notice) = split(key)?;
                        match self.held_view(owner, notice, &rows::parse(value)?).await? {
                            Some((view, _)) => view,
                            None => continue,
                        }
                    };
                    if filter.takes(&view) && (desk || !view.state.is_for_desk()) {
                        views.push(view);
                    }
                }
            }
        }
        Ok(views)
    }

    /// One notice, own or held.
    ///
    /// # Errors
    /// `NOTICE_UNKNOWN`, `NOTICE_WITHDRAWN` for a held one that is gone, `NOTICE_REFUSED` for one that the desk
    /// refused, `NOTICE_AT_DESK` for one that only the desk is shown.
    pub async fn get_notice(&self, call: &Call, reference: &str) -> Result<NoticeDetail, ServiceError> {
        let mut entry = self.entry(call, "GetNotice");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.detail(reference, is_desk(call)).await;
        match &outcome {
            Ok(detail) => {
                let shown = detail.values.iter().map(|(slot, _)| *slot).collect();
                self.audit.outcome(&intent, "OK", vec![Shown { digest: detail.view.digest, slots: shown }]).await?;
                self.delivered(&detail.view).await?;
            }
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome
    }

    /// A notice in full; what only the desk is shown is refused to others.
    pub(crate) async fn detail(&self, reference: &str, desk: bool) -> Result<NoticeDetail, ServiceError> {
        let referred = self.referred(reference).await?;
        let (view, content) = if referred.owner == self.member {
            let (notice, head) = self.own_by_reference(reference).await?;
            self.own_view(notice, &head).await?
        } else {
            let key = area::member_notice(referred.owner, referred.notice);
            let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &key).await?;
            let found = match head {
                Some(head) => self.held_view(referred.owner, referred.notice, &head).await?,
                None => None,
            };
            match found {
                Some(found) => found,
                None => return Err(self.why_gone(referred.owner, referred.notice).await?),
            }
        };
        if view.state.is_for_desk() && !desk {
            return Err(ServiceError::denied(
                "NOTICE_AT_DESK",
                format!("this notice of {} waits for the desk of {}: it must not be acted on", view.owner, self.member),
            )
            .with_hint("an approver decides with `eads desk`"));
        }
        let values: Vec<_> = content.iter().flat_map(ShownFields::values).map(|(s, v)| (s, v.clone())).collect();
        let approvals = content.as_ref().and_then(|content| content.shown(SlotNumber::APPROVALS));
        let approver = approvals
            .and_then(|value| approval::from_value(value).ok()?.into_iter().next())
            .and_then(|one| Operator::from_certificate(&one.certificate).ok())
            .map(|officer| officer.name.to_string());
        Ok(NoticeDetail {
            withheld: content.as_ref().map_or(SlotSet::EMPTY, |content| content.slots().complement()),
            challenges: self.marks.contests(view.owner, view.notice),
            photos: self.photo_views(&view, &values).await?,
            values,
            approver: approver.unwrap_or_default(),
            view,
        })
    }

    /// The owner of a held notice is told that an officer has seen it.
    async fn delivered(&self, view: &NoticeView) -> Result<(), ServiceError> {
        if view.owner == self.member {
            return Ok(());
        }
        let _applying = self.applying.lock(view.owner).await;
        let key = area::member_number(view.owner, view.index);
        let answered: Option<Answered> = rows::get(&*self.store, area::ANSWERED, &key).await?;
        if let Some(answered) = answered.filter(|answered| answered.status == ReceiptStatus::Accepted.as_byte()) {
            let mut batch = Batch::new();
            let delivered = Answered { status: ReceiptStatus::Delivered.as_byte(), at: self.clock.now(), ..answered };
            self.owe_receipt(&mut batch, view.owner, view.index, &delivered)?;
            match self.store.commit(batch).await {
                Ok(_) => self.receipts_due.send_modify(|due| *due += 1),
                // Reading goes on while the disk is short; the owner is told at the next look.
                Err(StoreError::DiskReserve { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The content of an own notice, while it exists.
    pub(crate) async fn own_content(&self, head: &OwnNotice) -> Result<Option<ShownFields>, ServiceError> {
        match self.vault.get(area::OWN_CONTENT, &area::index(head.content_index)).await? {
            Some(Sealed::Plain { bytes, .. }) => Ok(Some(StoredStatement::parse(&bytes)?.content()?)),
            Some(Sealed::Destroyed) | None => Ok(None),
        }
    }

    /// An own notice as it is shown, with its content while that exists.
    pub(crate) async fn own_view(
        &self,
        notice: NoticeId,
        head: &OwnNotice,
    ) -> Result<(NoticeView, Option<ShownFields>), ServiceError> {
        // What has ended and is still there, under an order or for a moment, is nobody's reading matter.
        let content = match head.life {
            Life::Issued | Life::Suspended => self.own_content(head).await?,
            Life::Withdrawn | Life::Expired => None,
        };
        let state = match head.life {
            Life::Withdrawn => NoticeState::Withdrawn,
            Life::Expired => NoticeState::Of(HitState::Expired),
            Life::Issued | Life::Suspended => {
                NoticeState::Of(self.validity(head.life == Life::Suspended, head.issued, head.not_after))
            }
        };
        let view = NoticeView {
            reference: head.reference.clone(),
            owner: self.member,
            notice,
            kind: head.kind,
            subject: head.subject,
            state,
            version: head.version,
            index: head.content_index,
            digest: head.content_digest,
            issued: head.issued,
            not_after: head.not_after,
            exercise: head.exercise,
            title: content.as_ref().map(ShownFields::title).unwrap_or_default(),
            audience: head.audience.clone(),
            marks: content.as_ref().map(marks).unwrap_or_default(),
            cautions: Vec::new(),
            decision: "",
        };
        let view = self.cautioned(view, content.as_ref()).await?;
        Ok((view, content))
    }

    /// A held notice as it is shown; none if its content was destroyed a moment ago.
    pub(crate) async fn held_view(
        &self,
        owner: MemberId,
        notice: NoticeId,
        head: &HeldNotice,
    ) -> Result<Option<(NoticeView, Option<ShownFields>)>, ServiceError> {
        let key = area::member_number(owner, head.content_index);
        let Some(Sealed::Plain { bytes, .. }) = self.vault.get(area::HELD_CONTENT, &key).await? else {
            return Ok(None);
        };
        let content = StoredStatement::parse(&bytes)?.content()?;
        let alone = content.is_emergency().then(|| self.clock.now().seconds_since(head.issued));
        // Its owner should have suspended it by now; that is not waited for.
        let overdue = alone.is_some_and(|seconds| seconds > i64::from(LONGEST_EMERGENCY_HOURS) * SECONDS_AN_HOUR);
        let frozen = self.peers.get(owner).is_some_and(|peer| peer.state == PeerState::Frozen);
        let state = match head.decision {
            HeldDecision::Quarantined => HitState::Quarantined,
            HeldDecision::Actionable if self.is_blocked(owner, notice) => HitState::Blocked,
            HeldDecision::Actionable if frozen => HitState::Frozen,
            HeldDecision::Actionable => self.validity(head.suspended || overdue, head.issued, head.not_after),
        };
        let text = |slot| content.shown(slot).and_then(Value::as_text).unwrap_or_default().to_owned();
        let view = NoticeView {
            reference: text(SlotNumber::REFERENCE),
            owner,
            notice,
            kind: head.kind,
            subject: head.subject,
            state: NoticeState::Of(state),
            version: head.version,
            index: head.content_index,
            digest: head.content_digest,
            issued: head.issued,
            not_after: head.not_after,
            exercise: head.exercise,
            title: content.title(),
            audience: Vec::new(),
            marks: marks(&content),
            cautions: Vec::new(),
            decision: match head.decision {
                HeldDecision::Actionable if head.by_desk => "approved",
                HeldDecision::Actionable => "actionable",
                HeldDecision::Quarantined => "quarantined",
            },
        };
        Ok(Some((self.cautioned(view, Some(&content)).await?, Some(content))))
    }

    fn validity(&self, suspended: bool, issued: Timestamp, not_after: Timestamp) -> HitState {
        let now = self.clock.now();
        if now > not_after {
            HitState::Expired
        } else if suspended {
            HitState::Suspended
        } else if issued.seconds_since(now) > self.limits.clock_tolerance_seconds {
            HitState::NotYetValid
        } else {
            HitState::Valid
        }
    }

    /// A view with what must be done before acting on it.
    async fn cautioned(&self, mut view: NoticeView, content: Option<&ShownFields>) -> Result<NoticeView, ServiceError> {
        let is_forked = self.peers.get(view.owner).is_some_and(|peer| peer.state == PeerState::Frozen);
        let says = content.map(Sides::of).unwrap_or_default();
        let cautions = [
            (is_forked, Caution::RegisterForked),
            (!is_forked && self.is_stale(&view).await?, Caution::ConfirmWithOwner),
            (says.screen_first() || self.marks.has_met(view.owner, view.notice), Caution::ScreenFirst),
            (view.marks.contains(&EMERGENCY), Caution::EmergencyUnapproved),
            (self.marks.is_contested(view.owner, view.notice), Caution::Contested),
        ];
        view.cautions = cautions.into_iter().filter_map(|(applies, caution)| applies.then_some(caution)).collect();
        Ok(view)
    }

    /// Whether a coercive notice of another state must be confirmed with its owner, who was last heard too long ago.
    async fn is_stale(&self, view: &NoticeView) -> Result<bool, ServiceError> {
        if view.owner == self.member || !view.kind.is_coercive() {
            return Ok(false);
        }
        let followed: Option<Followed> = rows::get(&*self.store, area::FOLLOWED, view.owner.as_bytes()).await?;
        let heard = followed.map(|followed| followed.heard_at).max(self.peers.status(view.owner).last_heard);
        let fresh = heard.is_some_and(|at| self.clock.now().seconds_since(at) <= self.limits.view_age_seconds);
        Ok(!fresh)
    }

    /// Whether a challenged notice of a peer is withheld from officers, because its owner owes an answer for too long
    /// and the agreement says so.
    pub(crate) fn is_blocked(&self, owner: MemberId, notice: NoticeId) -> bool {
        self.marks.is_unanswered(owner, notice, self.clock.now())
            && self
                .peers
                .get(owner)
                .and_then(|peer| peer.agreement.as_ref().map(|agreement| agreement.receives().block_when_unanswered))
                .unwrap_or_default()
    }

    /// Why nothing is held of a notice that was known.
    pub(crate) async fn why_gone(&self, owner: MemberId, notice: NoticeId) -> Result<ServiceError, ServiceError> {
        let key = area::member_notice(owner, notice);
        let decided: Option<DeskRow> = rows::get(&*self.store, area::DESK, &key).await?;
        Ok(match decided.filter(|row| row.verdict == Verdict::Refused) {
            Some(row) => ServiceError::not_found(
                "NOTICE_REFUSED",
                format!("the desk of {} refused this notice of {owner} ({})", self.member, row.reason()),
            ),
            None => ServiceError::not_found(
                "NOTICE_WITHDRAWN",
                format!("{owner} has withdrawn this notice, or it has ended; nothing of it is kept"),
            ),
        })
    }
}

/// What an owner marks a content with.
fn marks(content: &ShownFields) -> Vec<&'static str> {
    let reasons = content.reasons();
    [EMERGENCY, LEGAL_REVIEW].into_iter().filter(|mark| reasons.contains(mark)).collect()
}

pub(crate) fn split(key: &[u8]) -> Result<(MemberId, NoticeId), ServiceError> {
    let unreadable = || ServiceError::internal("ROW_UNREADABLE", "the key of a held notice cannot be read");
    let (member, notice) = key.split_first_chunk::<2>().ok_or_else(unreadable)?;
    Ok((MemberId::from_bytes(*member)?, NoticeId::try_from(notice)?))
}
