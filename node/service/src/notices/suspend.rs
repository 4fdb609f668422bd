//! Suspending: one officer's act, told to everyone who was ever sent the notice, before anything else.

use eads_domain::audience::Audience;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::id::NoticeId;
use eads_domain::life::NoticeAct;
use eads_domain::slot::{SCHEMA, SlotSet, SlotTable};
use eads_domain::statement::{Action, Payload};

use super::draft::content_errors;
use super::issue::{first_of, owned};
use super::not_possible;
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::register::{Appended, Publication};
use crate::rows::{self, Life, OwnNotice};

impl Node {
    /// Suspends an own notice: from now on it must not be acted on anywhere, until it is resumed.
    ///
    /// # Errors
    /// `NOTICE_*`, and `FIELD_CODE` for a reason that is not in the slot table.
    pub async fn suspend_notice(&self, call: &Call, reference: &str, reason: &str) -> Result<Appended, ServiceError> {
        let mut entry = self.entry(call, "SuspendNotice");
        entry.subject = Some(reference.to_owned());
        let intent = self.audit.intent(entry).await?;
        // Before the lock: what peers give back of own notices is written under it.
        let outcome = match self.may_sequence().await {
            Ok(()) => {
                let _notices = self.notices.lock().await;
                self.suspend(reference, reason).await
            }
            Err(error) => Err(error),
        };
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn suspend(&self, reference: &str, reason: &str) -> Result<Appended, ServiceError> {
        let (notice, head) = self.own_by_reference(reference).await?;
        head.life.after(NoticeAct::Suspend).map_err(not_possible)?;
        self.publish_suspension(notice, head, reason).await
    }

    /// Suspends; the caller holds the notices' lock and knows that it may be.
    pub(super) async fn publish_suspension(
        &self,
        notice: NoticeId,
        head: OwnNotice,
        reason: &str,
    ) -> Result<Appended, ServiceError> {
        let version = head.version.saturating_add(1);
        let mut content = self.state_change(&head, [reason]).await?;
        content.set_identity(head.reference.parse().map_err(ServiceError::from_coded)?, version)?;
        content.check(Action::Suspend).map_err(content_errors)?;
        let committed = CommittedContent::new(notice, Seed::random(&*self.entropy), content);
        let audience = Audience::build(&head.ever_sent, &*self.entropy)?;
        let slots = SlotTable::get().mandatory();
        let publication = Publication {
            action: Action::Suspend,
            notice,
            version,
            schema: SCHEMA,
            not_after: head.not_after,
            slots: committed.slots_root(),
            audience: audience.root(),
            detail: Payload::NO_DETAIL,
            audience_openings: owned(&audience),
            disclosure: committed.disclose(SlotSet::ALL),
            detail_bytes: Vec::new(),
            key: self.keys.allocate()?,
            blobs: Vec::new(),
            deliveries: head.ever_sent.iter().map(|member| (*member, slots)).collect(),
        };
        let appended = self
            .append(vec![publication], true, |appended, batch| {
                let at = first_of(appended)?;
                // Suspended already, nothing is left to be done when the second officer's time is over.
                self.put_emergency(batch, notice, Some(&head), None);
                let next = OwnNotice { life: Life::Suspended, version, latest_index: at.index, ..head.clone() };
                rows::put(batch, area::OWN_NOTICE, notice.as_bytes(), &next)
            })
            .await?;
        first_of(&appended)
    }
}
