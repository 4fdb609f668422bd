//! Extending: the same content for longer. The end of validity is the review date, so it takes two officers anew.

use eads_domain::clock::Timestamp;
use eads_domain::id::NoticeId;
use eads_domain::life::NoticeAct;
use eads_domain::slot::{Content, EMERGENCY, SlotNumber};
use eads_domain::statement::Action;
use eads_domain::value::Value;

use super::draft::Place;
use super::{Draft, NewDraft, not_possible};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::OwnNotice;

impl Node {
    /// Drafts an amendment that changes nothing but the end of validity.
    ///
    /// # Errors
    /// `EXTENSION_NOT_LATER`, `VALIDITY_*`, `EMERGENCY_UNCONFIRMED`, `NOTICE_*`.
    pub async fn extend_notice(
        &self,
        call: &Call,
        reference: &str,
        not_after: Timestamp,
    ) -> Result<Draft, ServiceError> {
        let mut entry = self.entry(call, "ExtendNotice");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let _notices = self.notices.lock().await;
        let outcome = self.extend(call.operator.name.as_str(), reference, not_after).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn extend(&self, drafter: &str, reference: &str, not_after: Timestamp) -> Result<Draft, ServiceError> {
        let (notice, head) = self.own_by_reference(reference).await?;
        head.life.after(NoticeAct::Extend).map_err(not_possible)?;
        if not_after <= head.not_after {
            return Err(ServiceError::invalid("EXTENSION_NOT_LATER", "it is valid until then already"));
        }
        let new = NewDraft {
            action: Action::Amend,
            reference: Some(head.reference.clone()),
            values: self.current_values(notice, &head).await?,
            audience: head.audience.clone(),
            not_after,
            hold: false,
            replace: None,
        };
        self.draft_as(drafter, new, Some(NoticeAct::Extend), Place::default()).await
    }

    /// What a notice says now, as a draft of its next version says it: without what the node sets.
    pub(super) async fn current_values(
        &self,
        notice: NoticeId,
        head: &OwnNotice,
    ) -> Result<Vec<(SlotNumber, Value)>, ServiceError> {
        let content = self.own_content(head).await?;
        let content = content
            .ok_or_else(|| ServiceError::internal("CONTENT_GONE", format!("the content of {notice} is gone")))?;
        let of_node = [SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];
        let values = content.values().filter(|(slot, _)| !of_node.contains(slot)).map(|(slot, value)| {
            if slot != SlotNumber::REASONS {
                return (slot, value.clone());
            }
            let reasons = value.items().iter().filter(|reason| reason.as_text() != Some(EMERGENCY));
            (slot, Value::List(reasons.cloned().collect()))
        });
        // Built, so that a value which no longer fits the table is told here and not by an approver.
        let content = Content::build(head.subject, head.kind, values)?;
        Ok(SlotNumber::all()
            .zip(content.values().iter().cloned())
            .filter(|(slot, value)| !of_node.contains(slot) && !value.is_absent())
            .collect())
    }
}
