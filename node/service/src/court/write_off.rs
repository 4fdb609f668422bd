//! Giving up on a purge receipt that does not come: two administrators, on record; it is no receipt.

use eads_domain::clock::Timestamp;
use eads_domain::id::{MemberId, NoticeId};
use eads_store::port::Batch;
use serde::{Deserialize, Serialize};

use super::hold::second_required;
use super::owed_since;
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, Holding, Life};

/// A first administrator's word.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteOff {
    administrator: String,
    at: Timestamp,
}

impl Node {
    /// One administrator's word that `member` will not receipt the purge of an own notice; the second one's settles
    /// it. Returns whether it is effective, and of how many statements the receipt is waited for no more.
    ///
    /// # Errors
    /// `NOTICE_*`, `NOTHING_OWED`, `SECOND_ADMINISTRATOR_REQUIRED`.
    pub async fn write_off(
        &self,
        call: &Call,
        reference: &str,
        member: MemberId,
        reason: &str,
    ) -> Result<(bool, u64), ServiceError> {
        let mut entry = self.entry(call, "WriteOffReceipt");
        entry.peer = Some(member);
        entry.subject = Some(format!("{}: {reason}", reference.chars().take(32).collect::<String>()));
        let intent = self.audit.intent(entry).await?;
        let outcome = self.give_up(call, reference, member).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn give_up(&self, call: &Call, reference: &str, member: MemberId) -> Result<(bool, u64), ServiceError> {
        let (notice, owed) = {
            let _notices = self.notices.lock().await;
            let (notice, head) = self.own_by_reference(reference).await?;
            let holdings = self.holdings_of(notice, member).await?;
            let ended = matches!(head.life, Life::Withdrawn | Life::Expired);
            let owed: Vec<(u64, Holding)> = (0..holdings.len())
                .filter_map(|at| {
                    let (index, holding) = holdings.get(at)?;
                    // Once a notice has ended, the word that it did is waited for too.
                    let waited = owed_since(&head, &holdings, at).is_some() || (ended && holding.awaits_receipt());
                    waited.then(|| (*index, holding.clone()))
                })
                .collect();
            if owed.is_empty() {
                return Err(ServiceError::conflict("NOTHING_OWED", format!("{member} owes nothing for this notice")));
            }
            let word = WriteOff { administrator: call.operator.name.to_string(), at: self.clock.now() };
            if !self.is_second(notice, member, &word).await? {
                return Ok((false, owed.len() as u64));
            }
            let mut batch = Batch::new();
            batch.protective();
            batch.delete(area::WRITE_OFF, row(notice, member));
            let mut written = 0;
            for (index, holding) in owed {
                if batch.room() == 0 {
                    self.store.commit(std::mem::take(&mut batch)).await?;
                    batch.protective();
                }
                let holding = Holding { written_off: Some(word.at), ..holding };
                rows::put(&mut batch, area::HOLDING, &area::index_member(index, member), &holding)?;
                written += 1;
            }
            self.store.commit(batch).await?;
            (notice, written)
        };
        self.settle(notice).await?;
        self.look_for_owed().await?;
        Ok((true, owed))
    }

    /// Whether another administrator has said so before; the first word is kept.
    async fn is_second(&self, notice: NoticeId, member: MemberId, word: &WriteOff) -> Result<bool, ServiceError> {
        let key = row(notice, member);
        match rows::get::<WriteOff>(&*self.store, area::WRITE_OFF, &key).await? {
            Some(first) if first.administrator == word.administrator => Err(second_required()),
            Some(_) => Ok(true),
            None => {
                let mut batch = Batch::new();
                batch.protective();
                rows::put(&mut batch, area::WRITE_OFF, &key, word)?;
                self.store.commit(batch).await?;
                Ok(false)
            }
        }
    }
}

fn row(notice: NoticeId, member: MemberId) -> Vec<u8> {
    [notice.as_bytes().as_slice(), member.as_bytes()].concat()
}
