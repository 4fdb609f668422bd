//! Receipts that peers give for own statements: verified before they count, kept as they were signed.

use std::collections::BTreeSet;

use eads_domain::encode::sha256;
use eads_domain::id::MemberId;
use eads_domain::receipt::{Receipt, ReceiptStatus};
use eads_store::port::Batch;

use crate::area;
use crate::audit::{Actor, Entry, EntryKind};
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, Holding, HoldingReceipt};

/// Receipts of one signature: as many as fit one row as they were signed.
pub(crate) const RECEIPTS: usize = 40;

impl Node {
    /// Takes receipts of `peer`. Returns how many were new; what was held already, and what answers nothing that
    /// was ever sent, does not count.
    ///
    /// # Errors
    /// `RECEIPT*` when the signature is not the peer's or a part is malformed: then none of them counts.
    pub async fn collect_receipts(
        &self,
        peer: MemberId,
        parts: Vec<Vec<u8>>,
        signature: &[u8],
    ) -> Result<u32, ServiceError> {
        let known = self
            .peers
            .get(peer)
            .filter(|peer| peer.is_followed())
            .ok_or_else(|| ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"))?;
        if parts.len() > RECEIPTS {
            return Err(ServiceError::peer("RECEIPTS_TOO_MANY", format!("at most {RECEIPTS} receipts a signature")));
        }
        let receipts = known.keys.fresh_receipts(&parts, signature, peer).map_err(ServiceError::from_peer)?;
        let _notices = self.notices.lock().await;
        let mut batch = Batch::new();
        batch.protective();
        let mut touched = BTreeSet::new();
        let mut recorded = 0;
        let keys = receipts.receipts().iter().map(|receipt| (area::HOLDING, area::index_member(receipt.index, peer)));
        let keys: Vec<_> = keys.collect();
        let holdings = self.store.get_many(keys.clone()).await?;
        for (receipt, ((_, key), holding)) in receipts.receipts().iter().zip(keys.into_iter().zip(holdings)) {
            let holding: Option<Holding> = holding.as_deref().map(rows::parse).transpose()?;
            if let Some(holding) = self.matched(receipt, holding) {
                touched.insert(holding.notice);
                rows::put(&mut batch, area::HOLDING, &key, &holding)?;
                recorded += 1;
            }
        }
        if recorded == 0 {
            return Ok(0);
        }
        let bytes = [receipts.signature().as_slice(), &receipts.parts().concat()].concat();
        batch.put(area::RECEIPT, area::member_digest(peer, sha256(&bytes)), bytes);
        let request = eads_domain::id::RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Event, self.clock.now(), request, Actor::Peer(peer), "PostReceipts");
        entry.subject = Some(format!("{recorded} receipts"));
        self.audit.event(entry, "OK").await?;
        self.store.commit(batch).await?;
        drop(_notices);
        self.settle_all(touched.into_iter().collect()).await?;
        Ok(recorded)
    }

    /// The holding that a receipt changes, if it answers what was sent and says something new.
    fn matched(&self, receipt: &Receipt, holding: Option<Holding>) -> Option<Holding> {
        if receipt.origin != self.member || receipt.register != self.register_id {
            return None;
        }
        let mut holding = holding.filter(|holding| holding.digest == receipt.digest)?;
        let next = HoldingReceipt {
            status: receipt.status.as_byte(),
            reason: receipt.reason.number(),
            at: receipt.at,
            backups_until: receipt.backups_until.unwrap_or_default(),
        };
        // A purge is final, and what was said earlier does not undo what was said later: receipts can overtake
        // each other on their way. The peer's clock decides only between words of one step, since it may jump.
        let outdated = holding.receipt.is_some_and(|held| {
            let purged = held.status == ReceiptStatus::Purged.as_byte();
            let advances = step(next.status) > step(held.status);
            held == next || (purged && receipt.status != ReceiptStatus::Purged) || (!advances && held.at > next.at)
        });
        if outdated {
            return None;
        }
        holding.receipt = Some(next);
        holding.undelivered = false;
        Some(holding)
    }
}

/// How far a statement has come at its holder: decided, seen by an officer, destroyed.
const fn step(status: u8) -> u8 {
    match ReceiptStatus::from_byte(status) {
        None | Some(ReceiptStatus::Quarantined) => 0,
        Some(ReceiptStatus::Accepted | ReceiptStatus::Rejected) => 1,
        Some(ReceiptStatus::Delivered) => 2,
        Some(ReceiptStatus::Purged) => 3,
    }
}
