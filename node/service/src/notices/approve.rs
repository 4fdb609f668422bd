//! Four eyes: another officer of this member signs what is about to be issued.

use eads_domain::approval::Approval;
use eads_domain::id::DraftId;
use eads_store::port::Batch;

use super::Draft;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

impl Node {
    /// Records the approval of a draft by an officer who did not draft it.
    ///
    /// # Errors
    /// `APPROVAL_BY_DRAFTER`, `APPROVAL_OTHER_CERTIFICATE` when the certificate is not the caller's own,
    /// `APPROVAL_*` when it is not this member's approver or the signature is over another content.
    pub async fn approve_draft(
        &self,
        call: &Call,
        id: DraftId,
        signature: &[u8],
        certificate: &[u8],
    ) -> Result<(), ServiceError> {
        let mut entry = self.entry(call, "ApproveDraft");
        entry.subject = Some(id.to_string());
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.approve(call, id, signature, certificate).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn approve(
        &self,
        call: &Call,
        id: DraftId,
        signature: &[u8],
        certificate: &[u8],
    ) -> Result<(), ServiceError> {
        let mut draft = self.draft_by_id(id).await?;
        if draft.drafter == call.operator.name.as_str() {
            return Err(ServiceError::denied("APPROVAL_BY_DRAFTER", "who drafted it cannot approve it")
                .with_hint("a second officer with the role approver has to"));
        }
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
        draft.approval = Some((call.operator.name.to_string(), approval));
        self.write_draft(&draft, Batch::new()).await
    }

    /// Checks an approval against the draft as it stands now.
    pub(crate) fn verify_approval(&self, draft: &Draft, approval: &Approval) -> Result<(), ServiceError> {
        let message = draft.committed().approval_message(draft.not_after);
        let anchor = self.identity.card.card().operator_anchor.as_der();
        let approver = approval.verify(&message, anchor, self.member, self.clock.now())?;
        if approver.name.as_str() == draft.drafter {
            return Err(ServiceError::denied("APPROVAL_BY_DRAFTER", "who drafted it cannot approve it"));
        }
        Ok(())
    }
}
