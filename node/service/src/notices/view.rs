//! Notices as officers see them: own ones with all fields, held ones with what their owner shows.

use eads_domain::approval;
use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::operator::Operator;
use eads_domain::query::{Caution, HitState};
use eads_domain::receipt::ReceiptStatus;
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
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::peers::PeerState;
use crate::rows::{self, Answered, Followed, HeldDecision, HeldNotice, Life, OwnNotice};
use crate::stored::{ShownFields, StoredStatement};

/// Where a notice is, as an officer needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    /// In force, suspended, over, or not yet begun.
    Of(HitState),
    /// Ended by its owner.
    Withdrawn,
    /// Waits for the desk.
    Quarantined,
}

impl NoticeState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Of(state) => state.as_str(),
            Self::Withdrawn => "withdrawn",
            Self::Quarantined => "quarantined",
        }
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
    /// What must be done before acting on it.
    pub caution: Option<Caution>,
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
        let outcome = self.list(filter).await;
        match &outcome {
            Ok(views) => {
                let shown = views.iter().map(|v| Shown { digest: v.digest, slots: SlotSet::EMPTY }).collect();
                self.audit.outcome(&intent, "OK", shown).await?;
            }
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome
    }

    async fn list(&self, filter: &NoticeFilter) -> Result<Vec<NoticeView>, ServiceError> {
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
                    if filter.takes(&view) {
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
    /// `NOTICE_UNKNOWN`, `NOTICE_WITHDRAWN` for a held one that is gone.
    pub async fn get_notice(&self, call: &Call, reference: &str) -> Result<NoticeDetail, ServiceError> {
        let mut entry = self.entry(call, "GetNotice");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.detail(reference).await;
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

    pub(crate) async fn detail(&self, reference: &str) -> Result<NoticeDetail, ServiceError> {
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
            found.ok_or_else(|| {
                ServiceError::not_found(
                    "NOTICE_WITHDRAWN",
                    format!("{} has withdrawn this notice, or it has ended; nothing of it is kept", referred.owner),
                )
            })?
        };
        let values: Vec<_> = content.iter().flat_map(ShownFields::values).map(|(s, v)| (s, v.clone())).collect();
        let approvals = content.as_ref().and_then(|content| content.shown(SlotNumber::APPROVALS));
        let approver = approvals
            .and_then(|value| approval::from_value(value).ok()?.into_iter().next())
            .and_then(|one| Operator::from_certificate(&one.certificate).ok())
            .map(|officer| officer.name.to_string());
        Ok(NoticeDetail {
            withheld: content.as_ref().map_or(SlotSet::EMPTY, |content| content.slots().complement()),
            caution: self.caution(&view).await?,
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
        let content = self.own_content(head).await?;
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
        };
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
        let frozen = self.peers.get(owner).is_some_and(|peer| peer.state == PeerState::Frozen);
        let state = match head.decision {
            _ if frozen => NoticeState::Of(HitState::Frozen),
            HeldDecision::Quarantined => NoticeState::Quarantined,
            HeldDecision::Actionable => NoticeState::Of(self.validity(head.suspended, head.issued, head.not_after)),
        };
        let text = |slot| content.shown(slot).and_then(Value::as_text).unwrap_or_default().to_owned();
        let view = NoticeView {
            reference: text(SlotNumber::REFERENCE),
            owner,
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
            title: content.title(),
            audience: Vec::new(),
            marks: marks(&content),
        };
        Ok(Some((view, Some(content))))
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

    /// Nothing of an owner whose register has forked is to be relied on; a coercive notice of another state must be confirmed first when its owner was last heard too long ago.
    pub(crate) async fn caution(&self, view: &NoticeView) -> Result<Option<Caution>, ServiceError> {
        let emergency = view.marks.contains(&EMERGENCY).then_some(Caution::EmergencyUnapproved);
        if view.owner == self.member {
            return Ok(emergency);
        }
        if view.state == NoticeState::Of(HitState::Frozen) {
            return Ok(Some(Caution::RegisterForked));
        }
        if emergency.is_some() {
            return Ok(emergency);
        }
        if !view.kind.is_coercive() {
            return Ok(None);
        }
        let followed: Option<Followed> = rows::get(&*self.store, area::FOLLOWED, view.owner.as_bytes()).await?;
        let heard = followed.map(|followed| followed.heard_at).max(self.peers.status(view.owner).last_heard);
        let fresh = heard.is_some_and(|at| self.clock.now().seconds_since(at) <= self.limits.view_age_seconds);
        Ok((!fresh).then_some(Caution::ConfirmWithOwner))
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
