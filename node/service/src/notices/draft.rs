//! Drafts: what one officer prepares and another approves. Sealed, and never seen by a peer.

use eads_domain::approval::Approval;
use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::id::{DraftId, MemberId, NoticeId};
use eads_domain::life::{DraftAct, DraftState, NoticeAct, ReturnReason, usual_validity_days};
use eads_domain::reference::Reference;
use eads_domain::slot::{Content, EMERGENCY, Fields as _, SlotNumber, is_minor, whereabouts};
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_store::keys::KeySlot;
use serde::{Deserialize, Serialize};

use super::not_possible;
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{BlobKey, OwnNotice, PurgeJob};

const SECONDS_A_YEAR: i64 = 31_556_952;
const SECONDS_A_DAY: i64 = 86_400;

/// What an officer asks for.
#[derive(Clone, Debug)]
pub struct NewDraft {
    /// Issue, amend, resume or withdraw.
    pub action: Action,
    /// The notice to change; none for an issue.
    pub reference: Option<String>,
    /// Content, or for a resumption or withdrawal its reasons.
    pub values: Vec<(SlotNumber, Value)>,
    /// Members addressed, beside this one.
    pub audience: Vec<MemberId>,
    /// End of validity; 0 is the usual one of the kind, or that of the notice that is amended.
    pub not_after: Timestamp,
    /// Not yet for a second officer: it may be incomplete, and waits to be submitted.
    pub hold: bool,
    /// The draft in whose place this one is written.
    pub replace: Option<DraftId>,
}

/// Why a second officer gave a draft back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Returned {
    /// Who did.
    pub by: String,
    /// Why.
    pub reason: ReturnReason,
    /// In words.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What a second officer says about a draft that is marked for legal review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegalReview {
    /// Who says so.
    pub by: String,
    /// The outcome; only `not-predominant` lets it be approved.
    pub outcome: String,
}

/// Where a draft comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftOrigin {
    /// The import that made it, if one did.
    #[serde(default)]
    pub batch: String,
    /// Key of the list entry in [`area::LISTED`], in hexadecimal digits.
    #[serde(default)]
    pub listed: String,
    /// Digest of the entry's content.
    #[serde(default)]
    pub listed_digest: String,
}

/// A draft.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its identifier.
    pub id: DraftId,
    /// What it will do.
    pub action: Action,
    /// The notice.
    pub notice: NoticeId,
    /// What people will cite.
    pub reference: Reference,
    /// Version that the statement will carry.
    pub version: u16,
    /// All values but the approvals.
    pub content: Content,
    /// Seed of the salts.
    pub seed: Seed,
    /// Members addressed.
    pub audience: Vec<MemberId>,
    /// End of validity.
    pub not_after: Timestamp,
    /// Who drafted it.
    pub drafter: String,
    /// When.
    pub created: Timestamp,
    /// Where it is.
    pub state: DraftState,
    /// The second officer's approval with that officer's name; there exactly when it is approved.
    pub approval: Option<(String, Approval)>,
    /// Why it was given back last; kept until it is approved.
    pub returned: Option<Returned>,
    /// The outcome of the legal review, where it is marked for one.
    pub legal_review: Option<LegalReview>,
    /// For the late approval of an emergency: why it was one.
    pub confirms: Option<String>,
    /// Where it comes from.
    pub origin: DraftOrigin,
    /// Data key under which it is sealed; the statement inherits it.
    pub key: KeySlot,
    /// Its photographs, which the statement inherits too.
    pub blobs: Vec<BlobKey>,
}

impl Draft {
    /// The content with its salts.
    pub fn committed(&self) -> CommittedContent {
        CommittedContent::new(self.notice, self.seed.clone(), self.content.clone())
    }
}

impl Node {
    /// Prepares a draft. Nothing of it is signed or sent.
    ///
    /// # Errors
    /// `CONTENT_*` and the kind's own codes for what the slot table refuses, `AUDIENCE_*` for members that may
    /// not be sent it, `VALIDITY_*` for the end of validity, `NOTICE_*` for the notice's state.
    pub async fn create_draft(&self, call: &Call, new: NewDraft) -> Result<Draft, ServiceError> {
        let mut entry = self.entry(call, "CreateDraft");
        entry.subject.clone_from(&new.reference);
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = match new.replace {
            Some(old) => self.replace_draft(call.operator.name.as_str(), old, new).await,
            None => self.draft(call.operator.name.as_str(), new, DraftOrigin::default()).await,
        };
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    /// Prepares a draft without an entry of its own; the caller holds the notices' lock and has audited.
    pub(crate) async fn draft(&self, drafter: &str, new: NewDraft, origin: DraftOrigin) -> Result<Draft, ServiceError> {
        let act = NoticeAct::of(new.action);
        self.draft_as(drafter, new, act, Place { origin, ..Place::default() }).await
    }

    /// Writes a draft anew in its own place: the same notice and the same act, another content, no approval.
    async fn replace_draft(&self, drafter: &str, id: DraftId, new: NewDraft) -> Result<Draft, ServiceError> {
        let old = self.draft_by_id(id).await?;
        DraftAct::Replace.allow(old.drafter == drafter).map_err(ServiceError::denied_by)?;
        old.state.after(DraftAct::Replace).map_err(not_possible)?;
        let cited = new.reference.as_ref().map(|reference| reference.parse::<Reference>());
        let cited = cited.transpose().map_err(ServiceError::from_coded)?;
        let same = new.action == old.action
            && match new.action {
                Action::Issue => cited.is_none(),
                _ => cited == Some(old.reference),
            };
        if !same {
            return Err(ServiceError::conflict("DRAFT_OTHER", "a draft is replaced by one of the same act and notice"));
        }
        if old.confirms.is_some() {
            return Err(ServiceError::conflict(
                "DRAFT_OTHER",
                "what confirms an emergency says what the emergency said",
            )
            .with_hint("to say something else, draft an amendment: its approval ends the emergency too"));
        }
        let act = NoticeAct::of(new.action);
        let place = Place { origin: old.origin.clone(), over: Some(old), ..Place::default() };
        self.draft_as(drafter, new, act, place).await
    }

    /// Prepares a draft of `act` at its place; `act` is none for a first version.
    pub(super) async fn draft_as(
        &self,
        drafter: &str,
        new: NewDraft,
        act: Option<NoticeAct>,
        place: Place,
    ) -> Result<Draft, ServiceError> {
        let now = self.clock.now();
        let (notice, head) = match (&new.reference, new.action) {
            (None, Action::Issue) => {
                (place.over.as_ref().map_or_else(|| NoticeId::random(&*self.entropy), |old| old.notice), None)
            }
            (Some(reference), Action::Amend | Action::Resume | Action::Withdraw) => {
                let (notice, head) = self.own_by_reference(reference).await?;
                (notice, Some(head))
            }
            (_, Action::Issue) => {
                return Err(ServiceError::invalid("REFERENCE_NOT_WANTED", "a new notice gets its reference here"));
            }
            (None, _) => return Err(ServiceError::invalid("REFERENCE_MISSING", "name the notice by its reference")),
            _ => return Err(ServiceError::invalid("ACTION_NOT_DRAFTED", "this action is not drafted")),
        };
        if let (Some(head), Some(act)) = (&head, act) {
            check_act(act, head)?;
        }
        let reference = match (&head, &place.over) {
            (Some(head), _) => head.reference.parse().map_err(ServiceError::from_coded)?,
            (None, Some(old)) => old.reference,
            (None, None) => self.fresh_reference(now).await?,
        };
        let version = head.as_ref().map_or(1, |head| head.version.saturating_add(1));
        let mut content = self.content(&new, head.as_ref()).await?;
        content.set_identity(reference, version)?;
        if !new.hold {
            content.check_draft(new.action).map_err(content_errors)?;
        }
        if head.as_ref().is_some_and(|head| head.exercise != content.is_exercise()) {
            return Err(ServiceError::invalid("EXERCISE_CHANGED", "an exercise notice stays one, and a real one too"));
        }
        let (audience, not_after) = match (&head, new.action) {
            (Some(head), Action::Resume) => (head.audience.clone(), head.not_after),
            (Some(head), Action::Withdraw) => (head.ever_sent.clone(), head.not_after),
            (_, _) => {
                let not_after = match (&head, new.not_after.as_unix()) {
                    (Some(head), 0) => head.not_after,
                    (None, 0) => now.plus_seconds(usual_validity(&content)),
                    _ => new.not_after,
                };
                self.check_validity(now, not_after)?;
                self.check_audience(&content, &new.audience)?;
                (new.audience.clone(), not_after)
            }
        };
        let adopted = self.adopt_blobs(drafter, &content, head.as_ref()).await?;
        content.set_images(adopted.images);
        let draft = Draft {
            id: place.over.as_ref().map_or_else(|| DraftId::random(&*self.entropy), |old| old.id),
            action: new.action,
            notice,
            reference,
            version,
            content,
            seed: Seed::random(&*self.entropy),
            audience,
            not_after,
            drafter: drafter.to_owned(),
            created: now,
            state: if new.hold { DraftState::Draft } else { DraftState::Submitted },
            approval: None,
            returned: place.over.as_ref().and_then(|old| old.returned.clone()),
            legal_review: None,
            confirms: place.confirms,
            origin: place.origin,
            key: self.keys.allocate()?,
            blobs: adopted.keys,
        };
        let mut beside = adopted.rows;
        let replaces = place.over.is_some();
        if let Some(old) = place.over {
            self.queue_purge(&mut beside, &PurgeJob::Key { key: old.key.into() })?;
            for blob in old.blobs {
                self.queue_purge(&mut beside, &PurgeJob::Blob { blob })?;
            }
        }
        if let Err(error) = self.write_draft(&draft, beside).await {
            self.forget_fresh(&adopted.fresh).await;
            return Err(error);
        }
        if replaces {
            self.purge_due.notify_one();
        }
        Ok(draft)
    }

    async fn content(&self, new: &NewDraft, head: Option<&OwnNotice>) -> Result<Content, ServiceError> {
        for slot in [SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS] {
            if new
                .values
                .iter()
                .any(|(number, value)| *number == slot && !value.is_absent() && !value.items().is_empty())
            {
                return Err(ServiceError::invalid(
                    "FIELD_OF_THE_NODE",
                    "reference, version and approvals are the node's",
                ));
            }
        }
        let values = new
            .values
            .iter()
            .filter(|(slot, _)| ![SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS].contains(slot));
        let reasons = new.values.iter().filter(|(slot, _)| *slot == SlotNumber::REASONS);
        if reasons.flat_map(|(_, value)| value.items()).any(|reason| reason.as_text() == Some(EMERGENCY)) {
            return Err(ServiceError::invalid("FIELD_OF_THE_NODE", "the mark of an emergency is the node's")
                .with_hint("an issuer runs `eads notice issue DRAFT --emergency REASON`"));
        }
        match (head, new.action) {
            (Some(head), Action::Resume | Action::Withdraw) => {
                let where_said = |(slot, value): &(SlotNumber, Value)| {
                    !value.is_absent() && whereabouts(head.subject).contains(*slot)
                };
                if new.values.iter().any(where_said) {
                    return Err(ServiceError::invalid(
                        "CONSENT_REQUIRED",
                        "a resumption or withdrawal says nothing of where somebody is",
                    )
                    .with_hint("with the person's consent, amend the notice first; then withdraw it"));
                }
                let reasons = new.values.iter().find(|(slot, _)| *slot == SlotNumber::REASONS);
                let reasons = reasons.map(|(_, value)| value.items()).unwrap_or_default();
                self.state_change(head, reasons.iter().filter_map(Value::as_text)).await
            }
            (Some(head), _) => Ok(Content::build(head.subject, head.kind, values.cloned())?),
            (None, _) => {
                let code = |slot| new.values.iter().find(|(number, _)| *number == slot).and_then(|(_, v)| v.as_text());
                let subject = code(SlotNumber::SUBJECT).unwrap_or_default().parse()?;
                let kind = code(SlotNumber::KIND).unwrap_or_default().parse()?;
                Ok(Content::build(subject, kind, values.cloned())?)
            }
        }
    }

    /// What changes the state of an own notice: its mandatory slots and the reasons.
    pub(crate) async fn state_change<'a>(
        &self,
        head: &OwnNotice,
        reasons: impl IntoIterator<Item = &'a str>,
    ) -> Result<Content, ServiceError> {
        let content = self.own_content(head).await?;
        let content = content.ok_or_else(|| ServiceError::internal("CONTENT_GONE", "the notice's content is gone"))?;
        let values = content.values().map(|(slot, value)| (slot, value.clone()));
        let latest = Content::build(head.subject, head.kind, values)?;
        Ok(latest.state_change(reasons)?)
    }

    pub(super) fn check_validity(&self, now: Timestamp, not_after: Timestamp) -> Result<(), ServiceError> {
        if not_after <= now {
            return Err(ServiceError::invalid("VALIDITY_OVER", "the end of validity lies in the past"));
        }
        if not_after.seconds_since(now) > self.limits.longest_validity_seconds {
            let years = self.limits.longest_validity_seconds / SECONDS_A_YEAR;
            return Err(ServiceError::invalid(
                "VALIDITY_TOO_LONG",
                format!("a notice is valid for at most {years} years"),
            ));
        }
        Ok(())
    }

    /// Every member addressed must be an accepted peer whose agreement allows this kind about this subject.
    pub(crate) fn check_audience(&self, content: &Content, audience: &[MemberId]) -> Result<(), ServiceError> {
        for (position, member) in audience.iter().enumerate() {
            if audience.iter().take(position).any(|earlier| earlier == member) {
                return Err(ServiceError::invalid("AUDIENCE_TWICE", format!("{member} is addressed twice")));
            }
            let peer = self.peers.get(*member).filter(|peer| peer.is_accepted()).ok_or_else(|| {
                ServiceError::invalid("AUDIENCE_UNKNOWN", format!("{member} is not an accepted peer"))
                    .with_hint("see `eads peer list`")
            })?;
            let slots = peer.agreement.as_ref().and_then(|a| a.allowed_slots(content.subject(), content.kind()));
            if slots.is_none() {
                return Err(ServiceError::denied(
                    "AUDIENCE_NOT_PERMITTED",
                    format!("the agreement with {member} does not send {} notices about this subject", content.kind()),
                ));
            }
        }
        Ok(())
    }

    async fn fresh_reference(&self, now: Timestamp) -> Result<Reference, ServiceError> {
        for _ in 0..16 {
            let reference = Reference::generate(self.member, year_of(now), &*self.entropy);
            if self.store.get(area::REFERENCE, &self.reference_key(&reference.to_string())).await?.is_none() {
                return Ok(reference);
            }
        }
        Err(ServiceError::internal("REFERENCES_USED_UP", "no free reference was found"))
    }
}

/// Where a draft is written, and what comes with it.
#[derive(Default)]
pub(super) struct Place {
    pub(super) origin: DraftOrigin,
    /// The draft that it replaces.
    pub(super) over: Option<Draft>,
    /// The stated reason of the emergency that it confirms.
    pub(super) confirms: Option<String>,
}

fn check_act(act: NoticeAct, head: &OwnNotice) -> Result<(), ServiceError> {
    head.life.after(act).map_err(not_possible)?;
    let needs_confirmation = matches!(act, NoticeAct::Extend | NoticeAct::Resume);
    if needs_confirmation && head.emergency.is_some() {
        return Err(ServiceError::conflict(
            "EMERGENCY_UNCONFIRMED",
            "it was issued in an emergency, and no second officer has approved it yet",
        )
        .with_hint(format!("draft its late approval with `eads notice confirm {}`", head.reference)));
    }
    Ok(())
}

/// The usual validity of a content, seconds.
fn usual_validity(content: &Content) -> i64 {
    i64::from(usual_validity_days(content.kind(), is_minor(content))) * SECONDS_A_DAY
}

/// Several findings as one error: the first one's code, all of their texts.
pub(crate) fn content_errors(errors: Vec<eads_domain::slot::ContentError>) -> ServiceError {
    let told = |error: &eads_domain::slot::ContentError| match error.hint() {
        Some(hint) => format!("{} {}: {error} ({hint})", error.code(), error.field().unwrap_or_default()),
        None => format!("{} {error}", error.code()),
    };
    let texts: Vec<String> = match errors.as_slice() {
        [single] => vec![single.to_string()],
        several => several.iter().map(told).collect(),
    };
    let hint = errors.first().and_then(eads_domain::slot::ContentError::hint);
    match errors.into_iter().next() {
        Some(first) => {
            let error = ServiceError::from_coded(first).with_text(texts.join("; "));
            match hint {
                Some(hint) if texts.len() == 1 => error.with_hint(hint),
                _ => error,
            }
        }
        None => ServiceError::invalid("CONTENT_REFUSED", "the content is refused"),
    }
}

/// The calendar year of a moment, UTC.
fn year_of(now: Timestamp) -> u16 {
    now.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or(1970)
}
