//! Between the two officers: a draft is submitted, and given back with a reason.

use eads_domain::id::DraftId;
use eads_domain::life::{DraftAct, DraftState, ReturnReason};
use eads_domain::statement::Action;
use eads_store::port::Batch;

use super::draft::content_errors;
use super::{Draft, Returned, not_possible};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// The longest text by which an officer explains an act, characters.
pub(super) const MAX_WORDS: usize = 2000;

impl Node {
    /// Hands a draft to the second officer. Everything that is wrong with it is told at once.
    ///
    /// # Errors
    /// `DRAFT_OF_ANOTHER`, `DRAFT_STATE`, those of the content and its checks, `AUDIENCE_*`, `VALIDITY_*`.
    pub async fn submit_draft(&self, call: &Call, id: DraftId) -> Result<Draft, ServiceError> {
        let mut entry = self.entry(call, "SubmitDraft");
        entry.subject = Some(id.to_string());
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.submit(call, id).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn submit(&self, call: &Call, id: DraftId) -> Result<Draft, ServiceError> {
        let mut draft = self.draft_by_id(id).await?;
        let by_drafter = draft.drafter == call.operator.name.as_str();
        DraftAct::Submit.allow(by_drafter).map_err(ServiceError::denied_by)?;
        draft.state.after(DraftAct::Submit).map_err(not_possible)?;
        draft.content.check_draft(draft.action).map_err(content_errors)?;
        if matches!(draft.action, Action::Issue | Action::Amend) {
            self.check_validity(self.clock.now(), draft.not_after)?;
            self.check_audience(&draft.content, &draft.audience)?;
        }
        draft.state = DraftState::Submitted;
        self.write_draft(&draft, Batch::new()).await?;
        Ok(draft)
    }

    /// Gives a draft back to who drafted it. An approval that it had is gone.
    ///
    /// # Errors
    /// `APPROVAL_BY_DRAFTER` for one's own draft, `DRAFT_STATE`, `RETURN_TEXT` for no or too many words.
    pub async fn return_draft(
        &self,
        call: &Call,
        id: DraftId,
        reason: ReturnReason,
        text: &str,
    ) -> Result<Draft, ServiceError> {
        let mut entry = self.entry(call, "ReturnDraft");
        entry.subject = Some(id.to_string());
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.give_draft_back(call, id, reason, text).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn give_draft_back(
        &self,
        call: &Call,
        id: DraftId,
        reason: ReturnReason,
        text: &str,
    ) -> Result<Draft, ServiceError> {
        let text = words(text, "RETURN_TEXT", "say in words what has to be changed")?;
        let mut draft = self.draft_by_id(id).await?;
        let by_drafter = draft.drafter == call.operator.name.as_str();
        DraftAct::Return.allow(by_drafter).map_err(ServiceError::denied_by)?;
        draft.state.after(DraftAct::Return).map_err(not_possible)?;
        draft.state = DraftState::Returned;
        draft.approval = None;
        draft.legal_review = None;
        draft.returned = Some(Returned { by: call.operator.name.to_string(), reason, text, at: self.clock.now() });
        self.write_draft(&draft, Batch::new()).await?;
        Ok(draft)
    }
}

/// A text in which an officer explains something: not empty, and bounded.
pub(super) fn words(text: &str, code: &'static str, wanted: &'static str) -> Result<String, ServiceError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ServiceError::invalid(code, wanted));
    }
    if text.chars().count() > MAX_WORDS || text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(ServiceError::invalid(code, format!("at most {MAX_WORDS} characters, without control characters")));
    }
    Ok(text.to_owned())
}
