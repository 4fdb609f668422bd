//! What a purge asks of the holds: which content an order keeps, and that its owner is told so.

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::receipt::ReceiptReason;
use eads_store::port::Batch;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, Answered, Life, PurgeJob};

impl Node {
    /// The jobs whose content no order keeps. The owner of a peer's content that is kept is told so, once.
    pub(crate) async fn without_held(
        &self,
        jobs: Vec<(Vec<u8>, PurgeJob)>,
    ) -> Result<Vec<(Vec<u8>, PurgeJob)>, ServiceError> {
        if self.court.kept_notices().is_empty() {
            return Ok(jobs);
        }
        let mut free = Vec::with_capacity(jobs.len());
        for (row, job) in jobs {
            let kept = match &job {
                PurgeJob::Own { notice } => self.court.keeps(self.member, *notice),
                PurgeJob::Held { origin, index, .. } => self.is_kept(*origin, *index).await?,
                PurgeJob::Blob { .. } | PurgeJob::Key { .. } => false,
            };
            if !kept {
                free.push((row, job));
            }
        }
        Ok(free)
    }

    /// Whether an own notice has ended and is kept under an order.
    pub(crate) async fn is_kept_and_over(&self, notice: NoticeId) -> Result<bool, ServiceError> {
        if !self.court.keeps(self.member, notice) {
            return Ok(false);
        }
        let head = self.own_notice(notice).await?;
        Ok(head.is_some_and(|head| matches!(head.life, Life::Withdrawn | Life::Expired)))
    }

    async fn is_kept(&self, origin: MemberId, index: u64) -> Result<bool, ServiceError> {
        let _applying = self.applying.lock(origin).await;
        let key = area::member_number(origin, index);
        let Some(answered) = rows::get::<Answered>(&*self.store, area::ANSWERED, &key).await? else {
            return Ok(false);
        };
        if !self.court.keeps(origin, answered.notice) {
            return Ok(false);
        }
        let reason = ReceiptReason::EVIDENCE_HOLD.number();
        if answered.reason != reason {
            let mut batch = Batch::new();
            batch.protective();
            let told = Answered { reason, at: self.clock.now(), ..answered };
            self.owe_receipt(&mut batch, origin, index, &told)?;
            self.store.commit(batch).await?;
            self.receipts_due.send_modify(|due| *due += 1);
        }
        Ok(true)
    }
}
