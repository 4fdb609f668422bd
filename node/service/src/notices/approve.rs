//! Four eyes: another officer of this member signs what is about to be issued.

use eads_domain::approval::Approval;
use eads_domain::id::DraftId;
use eads_domain::life::{DraftAct, DraftState};
use eads_domain::slot::Fields as _;
use eads_store::port::Batch;

use super::{Draft, LegalReview, not_possible};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// The outcomes of a legal review.
const NOT_PREDOMINANT: &str = "not-predominant";
const PREDOMINANT: &str = "predominant";

impl Node {
    /// Records the approval of a draft by an officer who did not draft it.
    ///
    /// # Errors
    /// `DRAFT_STATE`, `LEGAL_REVIEW_*` where it is marked for one and its outcome is not that it may be published,
    /// `APPROVAL_BY_DRAFTER`, `APPROVAL_OTHER_CERTIFICATE` when the certificate is not the caller's own,
    /// `APPROVAL_*` when it is not this member's approver or the signature is over another content.
    pub async fn approve_draft(
        &self,
        call: &Call,
        id: DraftId,
        signature: &[u8],
        certificate: &[u8],
        legal_review: &str,
    ) -> Result<(), ServiceError> {
        let mut entry = self.entry(call, "ApproveDraft");
        entry.subject = Some(id.to_string());
        if [NOT_PREDOMINANT, PREDOMINANT].contains(&legal_review) {
            entry.legal_basis = Some(format!("legal review: {legal_review}"));
        }
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.approve(call, id, signature, certificate, legal_review).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn approve(
        &self,
        call: &Call,
        id: DraftId,
        signature: &[u8],
        certificate: &[u8],
        legal_review: &str,
    ) -> Result<(), ServiceError> {
        let mut draft = self.draft_by_id(id).await?;
        DraftAct::Approve.allow(draft.drafter == call.operator.name.as_str()).map_err(|error| {
            ServiceError::denied_by(error).with_hint("a second officer with the role approver has to")
        })?;
        draft.state.after(DraftAct::Approve).map_err(not_possible)?;
        draft.legal_review = reviewed(&draft, call, legal_review)?;
        if certificate != call.certificate {
            return Err(ServiceError::denied(
                "APPROVAL_OTHER_CERTIFICATE",
                "the approval must be signed with the certificate that makes this call",
            ));
        }
        let signature = signature
            .try_into()
            .map_err(|_| ServiceError::invalid("APPROVAL_SIGNATURE", "an approval's signature is 64 bytes, r and s"))?;
        let approval = Approval { signature, certificate: certificate.to_vec() };
        self.verify_approval(&draft, &approval)?;
        draft.state = DraftState::Approved;
        draft.returned = None;
        draft.approval = Some((call.operator.name.to_string(), approval));
        self.write_draft(&draft, Batch::new()).await
    }

    /// Checks an approval against the draft as it stands now.
    pub(crate) fn verify_approval(&self, draft: &Draft, approval: &Approval) -> Result<(), ServiceError> {
        let message = draft.committed().approval_message(draft.not_after);
        let identity = self.identity();
        let anchor = identity.card.card().operator_anchor.as_der();
        let approver = approval.verify(&message, anchor, self.member, self.clock.now())?;
        if approver.name.as_str() == draft.drafter {
            return Err(ServiceError::denied("APPROVAL_BY_DRAFTER", "who drafted it cannot approve it"));
        }
        Ok(())
    }
}

/// The outcome of the legal review, where the draft is marked for one.
fn reviewed(draft: &Draft, call: &Call, outcome: &str) -> Result<Option<LegalReview>, ServiceError> {
    if !draft.content.is_for_legal_review() || !draft.action.describes_subject() {
        return Ok(None);
    }
    match outcome {
        NOT_PREDOMINANT => Ok(Some(LegalReview { by: call.operator.name.to_string(), outcome: outcome.to_owned() })),
        "" => Err(ServiceError::conflict(
            "LEGAL_REVIEW_REQUIRED",
            "it is marked for legal review: the approval states its outcome",
        )
        .with_hint("approve with `--legal-review not-predominant`, or return it as political")),
        PREDOMINANT => Err(ServiceError::denied(
            "LEGAL_REVIEW_FORBIDS",
            "what is predominantly political, military, religious or racial is not published",
        )
        .with_hint(format!("give it back: `eads notice return {} --reason political --text …`", draft.id))),
        _ => Err(ServiceError::invalid(
            "LEGAL_REVIEW_OUTCOME",
            format!("the outcome is {NOT_PREDOMINANT} or {PREDOMINANT}"),
        )),
    }
}
