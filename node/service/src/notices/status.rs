//! Who holds what of an own notice, and who has not purged yet, and since when.

use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_domain::receipt::ReceiptStatus;
use eads_domain::statement::Action;

use super::NoticeView;
use crate::context::Call;
use crate::court::owed_since;
use crate::error::ServiceError;
use crate::node::Node;

/// What one peer holds of one statement.
#[derive(Clone, Debug)]
pub struct HolderView {
    /// The peer.
    pub member: MemberId,
    /// Register index of the statement.
    pub index: u64,
    /// Version that it carries.
    pub version: u16,
    /// What it does.
    pub action: Action,
    /// `sent`, `undelivered` where the content was gone before it could be taken, or the latest receipt's status.
    pub state: &'static str,
    /// Of the receipt, or of the sending.
    pub since: Timestamp,
    /// The receipt's reason.
    pub reason: u16,
    /// Until when the peer's backups could still hold it.
    pub backups_until: Option<Timestamp>,
    /// Since when the peer owes the purge receipt.
    pub purge_owed_since: Option<Timestamp>,
    /// When two administrators wrote the receipt off.
    pub written_off: Option<Timestamp>,
}

/// A notice with its holders.
#[derive(Clone, Debug)]
pub struct NoticeHolders {
    /// The notice.
    pub view: NoticeView,
    /// A line for each peer and statement.
    pub holders: Vec<HolderView>,
}

impl Node {
    /// Who was sent what of an own notice and has receipted what.
    ///
    /// # Errors
    /// `NOTICE_UNKNOWN`, `NOTICE_NOT_OWN`.
    pub async fn notice_status(&self, call: &Call, reference: &str) -> Result<NoticeHolders, ServiceError> {
        let mut entry = self.entry(call, "GetNoticeStatus");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.holders(reference).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn holders(&self, reference: &str) -> Result<NoticeHolders, ServiceError> {
        let (notice, head) = self.own_by_reference(reference).await?;
        let mut holders = Vec::new();
        for member in &head.ever_sent {
            let holdings = self.holdings_of(notice, *member).await?;
            for (at, (index, holding)) in holdings.iter().enumerate() {
                let receipt = holding.receipt;
                let status = receipt.and_then(|receipt| ReceiptStatus::from_byte(receipt.status));
                holders.push(HolderView {
                    member: *member,
                    index: *index,
                    version: holding.version,
                    action: holding.action,
                    state: match status {
                        Some(status) => status.as_str(),
                        None if holding.undelivered => "undelivered",
                        None => "sent",
                    },
                    since: receipt.map_or(holding.sent_at, |receipt| receipt.at),
                    reason: receipt.map_or(0, |receipt| receipt.reason),
                    backups_until: receipt.map(|r| r.backups_until).filter(|at| at.as_unix() != 0),
                    purge_owed_since: owed_since(&head, &holdings, at),
                    written_off: holding.written_off,
                });
            }
        }
        holders.sort_by_key(|holder| (holder.index, holder.member));
        let (view, _) = self.own_view(notice, &head).await?;
        Ok(NoticeHolders { view, holders })
    }
}
