//! The end of validity: an expired notice is unusable at once by its own word, and its content is destroyed.

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::receipt::ReceiptReason;
use eads_store::port::{Batch, Scan};

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, BlobKey, HeldNotice, Life, OwnNotice, PurgeJob};

const PAGE: usize = 256;

impl Node {
    /// Ends every notice, own or held, whose validity is over, and every photograph that no draft named in time.
    /// Returns how many.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn expire(&self) -> Result<usize, ServiceError> {
        let now = self.clock.now().as_unix();
        let mut ended = self.expire_loose_blobs().await?;
        self.expire_decisions().await?;
        self.end_holds().await?;
        self.end_marks().await?;
        self.watch_deadlines().await?;
        loop {
            let due = self.store.scan(Scan::new(area::EXPIRY, PAGE)).await?;
            let full = due.len() == PAGE;
            let due: Vec<_> =
                due.into_iter().take_while(|(key, _)| not_after(key).is_some_and(|at| at < now)).collect();
            let all_due = due.len() == PAGE;
            for (key, _) in due {
                self.expire_one(&key).await?;
                ended += 1;
            }
            if !(full && all_due) {
                return Ok(ended);
            }
        }
    }

    async fn expire_one(&self, key: &[u8]) -> Result<(), ServiceError> {
        let mut batch = Batch::new();
        batch.protective();
        batch.delete(area::EXPIRY, key);
        let Some((owner, notice)) = owner_and_notice(key) else {
            return Err(ServiceError::internal("ROW_UNREADABLE", "an expiry row cannot be read"));
        };
        if owner == self.member {
            let _notices = self.notices.lock().await;
            let head = self.own_notice(notice).await?.filter(|h| matches!(h.life, Life::Issued | Life::Suspended));
            if let Some(head) = head {
                self.put_emergency(&mut batch, notice, Some(&head), None);
                let next = OwnNotice { life: Life::Expired, ..head };
                rows::put(&mut batch, area::OWN_NOTICE, notice.as_bytes(), &next)?;
                self.queue_purge(&mut batch, &PurgeJob::Own { notice })?;
                self.forget_notice(&mut batch, self.member, notice).await?;
            }
            self.store.commit(batch).await?;
            self.own_is_over(notice);
            self.discard_all_of(notice).await?;
        } else {
            let _applying = self.applying.lock(owner).await;
            let held_key = area::member_notice(owner, notice);
            if let Some(held) = rows::get::<HeldNotice>(&*self.store, area::HELD_NOTICE, &held_key).await? {
                self.destroy_held(&mut batch, owner, notice, &held, ReceiptReason::EXPIRED).await?;
            }
            self.store.commit(batch).await?;
            self.held_is_gone(owner, notice);
        }
        self.purge_due.notify_one();
        Ok(())
    }
}

/// The job that destroys what is held of a notice, its photographs among it.
pub(crate) fn held_purge(origin: MemberId, held: &HeldNotice, reason: ReceiptReason, blobs: Vec<BlobKey>) -> PurgeJob {
    PurgeJob::Held {
        origin,
        index: held.content_index,
        digest: held.content_digest,
        slots: held.slots,
        reason: reason.number(),
        key: held.key,
        blobs,
    }
}

fn not_after(key: &[u8]) -> Option<i64> {
    key.first_chunk::<8>().map(|bytes| i64::from_be_bytes(*bytes))
}

fn owner_and_notice(key: &[u8]) -> Option<(MemberId, NoticeId)> {
    let member = MemberId::from_bytes(key.get(8..10)?.try_into().ok()?).ok()?;
    Some((member, NoticeId::try_from(key.get(10..)?).ok()?))
}
