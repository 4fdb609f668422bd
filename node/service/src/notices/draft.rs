//! Drafts: what one officer prepares and another approves. Sealed, and never seen by a peer.

use eads_domain::approval::{self, Approval};
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::id::{DraftId, MemberId, NoticeId};
use eads_domain::reference::Reference;
use eads_domain::slot::{Content, Fields as _, SlotNumber};
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_store::keys::KeySlot;
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;
use serde::{Deserialize, Serialize};

use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{BlobKey, Key, Life, OwnNotice, PurgeJob};

const DRAFT_SCHEMA: u16 = 1;
const PAGE: usize = 200;
const SECONDS_A_YEAR: i64 = 31_556_952;

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
    /// End of validity.
    pub not_after: Timestamp,
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
    /// The second officer's approval with that officer's name.
    pub approval: Option<(String, Approval)>,
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftRow {
    action: u8,
    notice: NoticeId,
    reference: String,
    version: u16,
    values: Vec<(u8, String)>,
    seed: String,
    audience: Vec<MemberId>,
    not_after: Timestamp,
    drafter: String,
    created: Timestamp,
    approver: String,
    approval: String,
    origin: DraftOrigin,
    key: Key,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blobs: Vec<BlobKey>,
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
        let outcome = self.draft(call.operator.name.as_str(), new, DraftOrigin::default()).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    /// Prepares a draft without an entry of its own; the caller holds the notices' lock and has audited.
    pub(crate) async fn draft(&self, drafter: &str, new: NewDraft, origin: DraftOrigin) -> Result<Draft, ServiceError> {
        let now = self.clock.now();
        let (notice, head) = match (&new.reference, new.action) {
            (None, Action::Issue) => (NoticeId::random(&*self.entropy), None),
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
        if let Some(head) = &head {
            check_life(new.action, head)?;
        }
        let reference = match &head {
            Some(head) => head.reference.parse().map_err(ServiceError::from_coded)?,
            None => self.fresh_reference(now).await?,
        };
        let version = head.as_ref().map_or(1, |head| head.version.saturating_add(1));
        let mut content = self.content(&new, head.as_ref()).await?;
        content.set_identity(reference, version)?;
        content.check_draft(new.action).map_err(content_errors)?;
        if head.as_ref().is_some_and(|head| head.exercise != content.is_exercise()) {
            return Err(ServiceError::invalid("EXERCISE_CHANGED", "an exercise notice stays one, and a real one too"));
        }
        let (audience, not_after) = match (&head, new.action) {
            (Some(head), Action::Resume) => (head.audience.clone(), head.not_after),
            (Some(head), Action::Withdraw) => (head.ever_sent.clone(), head.not_after),
            (_, _) => {
                self.check_validity(now, new.not_after)?;
                self.check_audience(&content, &new.audience)?;
                (new.audience.clone(), new.not_after)
            }
        };
        let adopted = self.adopt_blobs(drafter, &content, head.as_ref()).await?;
        content.set_images(adopted.images);
        let draft = Draft {
            id: DraftId::random(&*self.entropy),
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
            approval: None,
            origin,
            key: self.keys.allocate()?,
            blobs: adopted.keys,
        };
        if let Err(error) = self.write_draft(&draft, adopted.rows).await {
            self.forget_fresh(&adopted.fresh).await;
            return Err(error);
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
        match (head, new.action) {
            (Some(head), Action::Resume | Action::Withdraw) => {
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

    fn check_validity(&self, now: Timestamp, not_after: Timestamp) -> Result<(), ServiceError> {
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

    /// Writes a draft, and `beside` it what belongs to it, in one commit.
    pub(crate) async fn write_draft(&self, draft: &Draft, beside: Batch) -> Result<(), ServiceError> {
        let row = DraftRow {
            action: draft.action.byte(),
            notice: draft.notice,
            reference: draft.reference.to_string(),
            version: draft.version,
            values: draft
                .content
                .to_slot_values()
                .iter()
                .map(|(slot, value)| (slot.get(), hex::encode(value)))
                .collect(),
            seed: hex::encode(draft.seed.as_bytes()),
            audience: draft.audience.clone(),
            not_after: draft.not_after,
            drafter: draft.drafter.clone(),
            created: draft.created,
            approver: draft.approval.as_ref().map(|(name, _)| name.clone()).unwrap_or_default(),
            approval: match &draft.approval {
                Some((_, one)) => hex::encode(approval::to_value(std::slice::from_ref(one))?.encode()),
                None => String::new(),
            },
            origin: draft.origin.clone(),
            key: draft.key.into(),
            blobs: draft.blobs.clone(),
        };
        let bytes = serde_json::to_vec(&row)
            .map_err(|error| ServiceError::internal("ROW_UNWRITABLE", "a draft cannot be written").caused_by(error))?;
        let mut batch = beside;
        if draft.action == Action::Withdraw {
            // What leads to a withdrawal goes through on a full disk as the withdrawal itself does.
            batch.protective();
        }
        self.vault.replace(&mut batch, area::DRAFT, draft.id.as_bytes(), draft.key, DRAFT_SCHEMA, &bytes).await?;
        self.store.commit(batch).await?;
        Ok(())
    }

    /// The draft of that identifier.
    ///
    /// # Errors
    /// `DRAFT_UNKNOWN`.
    pub async fn draft_by_id(&self, id: DraftId) -> Result<Draft, ServiceError> {
        match self.vault.get(area::DRAFT, id.as_bytes()).await? {
            Some(Sealed::Plain { bytes, .. }) => read_draft(id, &bytes),
            Some(Sealed::Destroyed) | None => {
                Err(ServiceError::not_found("DRAFT_UNKNOWN", "there is no such draft; see `eads notice drafts`"))
            }
        }
    }

    /// All drafts, or those of one batch, oldest page first; `after` is exclusive.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn drafts(
        &self,
        batch: Option<&str>,
        after: Option<DraftId>,
    ) -> Result<(Vec<Draft>, Option<DraftId>), ServiceError> {
        let mut scan = Scan::new(area::DRAFT, PAGE);
        scan.after = after.map(|id| id.as_bytes().to_vec());
        let page = self.store.scan(scan).await?;
        let mut drafts = Vec::new();
        let mut last = None;
        for (key, value) in &page {
            let id = DraftId::try_from(key.as_slice())?;
            last = Some(id);
            if let Some(Sealed::Plain { bytes, .. }) = self.vault.open_row(area::DRAFT, key, value).await? {
                let draft = read_draft(id, &bytes)?;
                if batch.is_none_or(|batch| draft.origin.batch == batch) {
                    drafts.push(draft);
                }
            }
        }
        Ok((drafts, last.filter(|_| page.len() == PAGE)))
    }

    /// Throws a draft away and destroys its key.
    ///
    /// # Errors
    /// `DRAFT_UNKNOWN`.
    pub async fn discard_draft(&self, call: &Call, id: DraftId) -> Result<(), ServiceError> {
        let mut entry = self.entry(call, "DiscardDraft");
        entry.subject = Some(id.to_string());
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.discard(id).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    /// Throws away every draft on a notice that has ended: nothing about its subject stays behind.
    pub(crate) async fn discard_all_of(&self, notice: NoticeId) -> Result<(), ServiceError> {
        let mut after = None;
        loop {
            let (drafts, next) = self.drafts(None, after).await?;
            for draft in drafts.into_iter().filter(|draft| draft.notice == notice) {
                self.discard(draft.id).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub(crate) async fn discard(&self, id: DraftId) -> Result<(), ServiceError> {
        let draft = self.draft_by_id(id).await?;
        let mut batch = Batch::new();
        batch.protective();
        self.vault.delete(&mut batch, area::DRAFT, id.as_bytes()).await?;
        self.queue_purge(&mut batch, &PurgeJob::Key { key: draft.key.into() })?;
        for blob in draft.blobs {
            self.queue_purge(&mut batch, &PurgeJob::Blob { blob })?;
        }
        self.store.commit(batch).await?;
        self.purge_due.notify_one();
        Ok(())
    }
}

fn read_draft(id: DraftId, bytes: &[u8]) -> Result<Draft, ServiceError> {
    let unreadable = || ServiceError::internal("ROW_UNREADABLE", "a draft cannot be read");
    let row: DraftRow = crate::rows::parse(bytes)?;
    let mut values = Vec::with_capacity(row.values.len());
    for (slot, value) in row.values {
        let bytes = hex::decode(value).map_err(|error| unreadable().caused_by(error))?;
        values.push((SlotNumber::new(slot)?, bytes));
    }
    let content = Content::from_slot_values(values.iter().map(|(slot, bytes)| (*slot, bytes.as_slice())))?;
    let approval = if row.approval.is_empty() {
        None
    } else {
        let bytes = hex::decode(row.approval).map_err(|error| unreadable().caused_by(error))?;
        let approvals = approval::from_value(&Value::parse(&bytes)?)?;
        approvals.into_iter().next().map(|one| (row.approver, one))
    };
    let seed = hex::decode(row.seed).ok().and_then(|seed| <[u8; 32]>::try_from(seed).ok()).ok_or_else(unreadable)?;
    Ok(Draft {
        id,
        action: Action::try_from(row.action)?,
        notice: row.notice,
        reference: row.reference.parse().map_err(ServiceError::from_coded)?,
        version: row.version,
        content,
        seed: Seed::from_bytes(seed),
        audience: row.audience,
        not_after: row.not_after,
        drafter: row.drafter,
        created: row.created,
        approval,
        origin: row.origin,
        key: row.key.into(),
        blobs: row.blobs,
    })
}

fn check_life(action: Action, head: &OwnNotice) -> Result<(), ServiceError> {
    let allowed = match action {
        Action::Amend => head.life == Life::Issued,
        Action::Resume => head.life == Life::Suspended,
        Action::Withdraw => matches!(head.life, Life::Issued | Life::Suspended),
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    let life = match head.life {
        Life::Issued => "in force",
        Life::Suspended => "suspended",
        Life::Withdrawn => "withdrawn",
        Life::Expired => "expired",
    };
    Err(ServiceError::conflict("NOTICE_STATE", format!("the notice is {life}: {action} is not possible")))
}

/// Several findings as one error: the first one's code, all of their texts.
pub(crate) fn content_errors(errors: Vec<eads_domain::slot::ContentError>) -> ServiceError {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match errors.into_iter().next() {
        Some(first) => ServiceError::from_coded(first).with_text(texts.join("; ")),
        None => ServiceError::invalid("CONTENT_REFUSED", "the content is refused"),
    }
}

/// The calendar year of a moment, UTC.
fn year_of(now: Timestamp) -> u16 {
    now.to_string().get(..4).and_then(|year| year.parse().ok()).unwrap_or(1970)
}
