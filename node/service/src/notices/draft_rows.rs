//! Drafts as they are kept: sealed under a data key of their own, which goes with them.

use eads_domain::approval;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Seed;
use eads_domain::id::{DraftId, MemberId, NoticeId};
use eads_domain::life::DraftState;
use eads_domain::slot::{Content, SlotNumber};
use eads_domain::statement::Action;
use eads_domain::value::Value;
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;
use serde::{Deserialize, Serialize};

use super::draft::{Draft, DraftOrigin, LegalReview, Returned};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{BlobKey, Key, PurgeJob};

const DRAFT_SCHEMA: u16 = 1;
const PAGE: usize = 200;

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
    #[serde(default = "submitted")]
    state: DraftState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returned: Option<Returned>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legal_review: Option<LegalReview>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirms: Option<String>,
    origin: DraftOrigin,
    key: Key,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blobs: Vec<BlobKey>,
}

/// Rows from before drafts could be held back were all submitted.
const fn submitted() -> DraftState {
    DraftState::Submitted
}

impl Node {
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
            state: draft.state,
            returned: draft.returned.clone(),
            legal_review: draft.legal_review.clone(),
            confirms: draft.confirms.clone(),
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
        state: if approval.is_some() { DraftState::Approved } else { row.state },
        approval,
        returned: row.returned,
        legal_review: row.legal_review,
        confirms: row.confirms,
        origin: row.origin,
        key: row.key.into(),
        blobs: row.blobs,
    })
}
