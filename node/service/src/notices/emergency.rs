//! Emergency issue: the one deferral of four eyes.
//!
//! One officer publishes a first version with a stated reason. It is marked in a slot that every addressee is
//! shown, and the late approval waits as a draft of an amendment from that moment on. If no second officer has
//! published it in time, this node suspends the notice by itself, whatever was restarted in between.

use eads_domain::clock::Timestamp;
use eads_domain::id::{DraftId, NoticeId, RequestId};
use eads_domain::life::{DraftAct, NoticeAct};
use eads_domain::slot::{EMERGENCY, Fields as _, SlotNumber};
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_store::port::{Batch, Scan};

use super::draft::{Place, content_errors};
use super::review::words;
use super::{Draft, DraftOrigin, Issued, NewDraft, not_possible};
use crate::area;
use crate::audit::{Actor, Entry, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::OwnNotice;

const PAGE: usize = 64;
/// The reason of the suspension that the node does by itself.
const OVERDUE: &str = "approval-overdue";

/// What an emergency led to.
#[derive(Clone, Debug)]
pub struct EmergencyIssued {
    /// What was published.
    pub issued: Issued,
    /// Until when a second officer has to have approved it.
    pub until: Timestamp,
    /// The late approval, as it waits for the second officer; none if it could not be drafted.
    pub confirmation: Option<DraftId>,
}

impl Node {
    /// Publishes a first version before a second officer has seen it.
    ///
    /// # Errors
    /// `EMERGENCY_NOT_FIRST` for anything but a first version, `LEGAL_REVIEW_REQUIRED` for one that is marked for
    /// legal review, `DRAFT_OF_ANOTHER`, and those of an issue.
    pub async fn issue_in_emergency(
        &self,
        call: &Call,
        id: DraftId,
        reason: &str,
    ) -> Result<EmergencyIssued, ServiceError> {
        let mut entry = self.entry(call, "IssueInEmergency");
        entry.subject = Some(id.to_string());
        let stated: String = reason.chars().take(super::review::MAX_WORDS).collect();
        self.audit.seal_query(&mut entry, &stated)?;
        let intent = self.audit.intent(entry).await?;
        // Before the lock: what peers give back of own notices is written under it.
        let outcome = match self.may_sequence().await {
            Ok(()) => {
                let _notices = self.notices.lock().await;
                self.issue_alone(call, id, reason).await
            }
            Err(error) => Err(error),
        };
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn issue_alone(&self, call: &Call, id: DraftId, reason: &str) -> Result<EmergencyIssued, ServiceError> {
        let reason = words(reason, "EMERGENCY_REASON", "say why it could not wait for a second officer")?;
        let mut draft = self.draft_by_id(id).await?;
        if draft.action != Action::Issue {
            return Err(ServiceError::conflict(
                "EMERGENCY_NOT_FIRST",
                "only a first version can be issued in an emergency",
            )
            .with_hint("suspending takes one officer; everything else takes two"));
        }
        let by_drafter = draft.drafter == call.operator.name.as_str();
        DraftAct::IssueInEmergency.allow(by_drafter).map_err(ServiceError::denied_by)?;
        draft.state.after(DraftAct::IssueInEmergency).map_err(not_possible)?;
        if draft.content.is_for_legal_review() {
            return Err(ServiceError::denied(
                "LEGAL_REVIEW_REQUIRED",
                "what is marked for legal review is published only after it",
            ));
        }
        let mut reasons = draft.content.value(SlotNumber::REASONS).items().to_vec();
        reasons.push(Value::text(EMERGENCY)?);
        draft.content.set(SlotNumber::REASONS, Value::List(reasons))?;
        let head = self.ready(&draft).await?;
        let committed = draft.committed();
        committed.content().check(Action::Issue).map_err(content_errors)?;
        let issued = self.publish_content(&draft, &committed, head).await?;
        let until = self.clock.now().plus_seconds(self.limits.emergency_seconds);
        tracing::warn!(reference = %issued.reference, %until, "issued in an emergency: a second officer is awaited");
        let confirmation = match self.own_notice(draft.notice).await? {
            Some(head) => self.draft_confirmation(draft.notice, &head, &reason).await.map(|draft| draft.id),
            None => Err(ServiceError::internal("NOTICE_UNKNOWN", "what was issued is not there")),
        };
        if let Err(error) = &confirmation {
            tracing::error!(reference = %issued.reference, "its late approval could not be drafted: {error}");
        }
        Ok(EmergencyIssued { issued, until, confirmation: confirmation.ok() })
    }

    /// The draft by whose approval an emergency ends: the one that waits, or a new one where the notice has changed
    /// since.
    ///
    /// # Errors
    /// `NOTICE_NOT_EMERGENCY`, `NOTICE_STATE`, `NOTICE_*`.
    pub async fn confirm_emergency(&self, call: &Call, reference: &str) -> Result<Draft, ServiceError> {
        let mut entry = self.entry(call, "ConfirmEmergency");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.confirm(reference).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn confirm(&self, reference: &str) -> Result<Draft, ServiceError> {
        let (notice, head) = self.own_by_reference(reference).await?;
        if head.emergency.is_none() {
            return Err(ServiceError::conflict("NOTICE_NOT_EMERGENCY", "two officers have approved it as it stands"));
        }
        match self.confirmation_of(notice).await? {
            Some(draft) if draft.version == head.version.saturating_add(1) => Ok(draft),
            Some(stale) => self.redraft(&head, stale).await,
            None => self.draft_confirmation(notice, &head, "").await,
        }
    }

    async fn redraft(&self, head: &OwnNotice, stale: Draft) -> Result<Draft, ServiceError> {
        let reason = stale.confirms.clone().unwrap_or_default();
        self.discard(stale.id).await?;
        self.draft_confirmation(stale.notice, head, &reason).await
    }

    async fn confirmation_of(&self, notice: NoticeId) -> Result<Option<Draft>, ServiceError> {
        let mut after = None;
        loop {
            let (drafts, next) = self.drafts(None, after).await?;
            let found = drafts.into_iter().find(|draft| draft.notice == notice && draft.confirms.is_some());
            match (found, next) {
                (Some(draft), _) => return Ok(Some(draft)),
                (None, Some(next)) => after = Some(next),
                (None, None) => return Ok(None),
            }
        }
    }

    /// The same content without the mark, in the name of the officer who issued it: another has to approve it.
    async fn draft_confirmation(
        &self,
        notice: NoticeId,
        head: &OwnNotice,
        reason: &str,
    ) -> Result<Draft, ServiceError> {
        let officer = head.emergency.as_ref().map(|emergency| emergency.officer.clone()).unwrap_or_default();
        let new = NewDraft {
            action: Action::Amend,
            reference: Some(head.reference.clone()),
            values: self.current_values(notice, head).await?,
            audience: head.audience.clone(),
            not_after: head.not_after,
            hold: false,
            replace: None,
        };
        let place = Place { origin: DraftOrigin::default(), over: None, confirms: Some(reason.to_owned()) };
        self.draft_as(&officer, new, Some(NoticeAct::Confirm), place).await
    }

    /// Keeps the index of awaited second officers in step with a notice, beside its head.
    pub(crate) fn put_emergency(
        &self,
        batch: &mut Batch,
        notice: NoticeId,
        before: Option<&OwnNotice>,
        after: Option<&OwnNotice>,
    ) {
        let until = |head: &OwnNotice| head.emergency.as_ref().map(|emergency| emergency.until.as_unix());
        let (before, after) = (before.and_then(until), after.and_then(until));
        if let Some(until) = before.filter(|until| Some(*until) != after) {
            batch.delete(area::EMERGENCY, area::time_notice(until, notice));
        }
        if let Some(until) = after {
            batch.put(area::EMERGENCY, area::time_notice(until, notice), []);
        }
    }

    /// Suspends every emergency whose second officer's time is over. Returns how many.
    ///
    /// # Errors
    /// When store, audit or register fail; what is left is done the next time.
    pub async fn lapse_emergencies(&self) -> Result<usize, ServiceError> {
        let now = self.clock.now().as_unix();
        let due = self.store.scan(Scan::new(area::EMERGENCY, PAGE)).await?;
        let due: Vec<Vec<u8>> = due.into_iter().map(|(key, _)| key).take_while(|key| until_of(key) < now).collect();
        if due.is_empty() {
            return Ok(0);
        }
        // Before the lock: what peers give back of own notices is written under it.
        self.may_sequence().await?;
        let mut lapsed = 0;
        for key in due {
            let _notices = self.notices.lock().await;
            if self.lapse(&key).await? {
                lapsed += 1;
            }
        }
        Ok(lapsed)
    }

    async fn lapse(&self, key: &[u8]) -> Result<bool, ServiceError> {
        let notice = key.get(8..).and_then(|notice| NoticeId::try_from(notice).ok());
        let head = match notice {
            Some(notice) => self.own_notice(notice).await?.map(|head| (notice, head)),
            None => None,
        };
        let is_due = |head: &OwnNotice| {
            head.emergency.as_ref().is_some_and(|emergency| emergency.until.as_unix() == until_of(key))
                && head.life.after(NoticeAct::Lapse).is_ok()
        };
        let Some((notice, head)) = head.filter(|(_, head)| is_due(head)) else {
            // It has ended or was approved in the meantime.
            let mut batch = Batch::new();
            batch.protective();
            batch.delete(area::EMERGENCY, key);
            self.store.commit(batch).await?;
            return Ok(false);
        };
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Intent, self.clock.now(), request, Actor::Node, "LapseEmergency");
        entry.subject = Some(head.reference.clone());
        let intent = self.audit.intent(entry).await?;
        let reference = head.reference.clone();
        let outcome = self.publish_suspension(notice, head, OVERDUE).await;
        self.audit.close(intent, &outcome).await?;
        outcome?;
        tracing::warn!(%reference, "suspended: no second officer approved in time what was issued in an emergency");
        // What waits for the second officer follows the notice, so that it can still be signed in.
        if let Some(stale) = self.confirmation_of(notice).await?
            && let Some(head) = self.own_notice(notice).await?
        {
            self.redraft(&head, stale).await?;
        }
        Ok(true)
    }

    /// Notices that wait for a second officer, at most a page of them, and when the first one's time is over.
    pub(crate) async fn emergencies(&self) -> Result<(usize, Option<Timestamp>), ServiceError> {
        let waiting = self.store.scan(Scan::new(area::EMERGENCY, PAGE)).await?;
        let first = waiting.first().map(|(key, _)| Timestamp::from_unix(until_of(key)));
        Ok((waiting.len(), first))
    }
}

fn until_of(key: &[u8]) -> i64 {
    key.first_chunk::<8>().map_or(i64::MAX, |bytes| i64::from_be_bytes(*bytes))
}
