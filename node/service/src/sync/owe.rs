//! Receipts that this node owes: durable with what they answer, signed and handed over until they are taken.

use eads_domain::id::MemberId;
use eads_domain::receipt::{Receipt, ReceiptError, ReceiptReason, ReceiptStatus, SignedReceipts};
use eads_store::port::{Batch, Scan};

use super::collect::RECEIPTS;
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::LinkError;
use crate::rows::{self, Answered};

/// Why receipts could not be handed over.
#[derive(Debug)]
pub(crate) enum PostError {
    /// The peer could not be reached or refused.
    Link(LinkError),
    /// This node failed.
    Own(ServiceError),
}

impl From<ServiceError> for PostError {
    fn from(error: ServiceError) -> Self {
        Self::Own(error)
    }
}

impl Node {
    /// Puts the answer to a statement, and the receipt that says so, beside the change that it answers.
    pub(crate) fn owe_receipt(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        index: u64,
        answered: &Answered,
    ) -> Result<(), ServiceError> {
        rows::put(batch, area::ANSWERED, &area::member_number(origin, index), answered)?;
        self.owe_again(batch, origin, index, answered)
    }

    /// Owes the receipt of an answer that stands already.
    pub(crate) fn owe_again(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        index: u64,
        answered: &Answered,
    ) -> Result<(), ServiceError> {
        let Some(peer) = self.peers.get(origin) else { return Ok(()) };
        let status = ReceiptStatus::from_byte(answered.status)
            .ok_or_else(|| ServiceError::internal("ROW_UNREADABLE", "an answer has no known status"))?;
        let receipt = Receipt {
            status,
            receiver: self.member,
            origin,
            register: peer.card.card().register,
            index,
            digest: answered.digest,
            shown: answered.slots.bits(),
            reason: ReceiptReason::from_number(answered.reason),
            at: answered.at,
            backups_until: None,
            keyseq: self.identity().card.card().keyseq,
        };
        let key = [area::member_number(origin, index), vec![status.as_byte()]].concat();
        batch.put(area::OWED, key, receipt.to_bytes());
        Ok(())
    }

    /// Signs receipts that are owed, whatever key was in force when they came to be.
    pub(super) fn sign_receipts<'a>(
        &self,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<SignedReceipts, ServiceError> {
        let identity = self.identity();
        let keyseq = identity.card.card().keyseq;
        let receipts = parts.map(|part| Ok(Receipt { keyseq, ..Receipt::parse(part)? }));
        let receipts =
            receipts.collect::<Result<Vec<_>, _>>().map_err(|error: ReceiptError| ServiceError::from_coded(error))?;
        SignedReceipts::sign(&receipts, &identity.signing).map_err(ServiceError::from_coded)
    }

    /// Hands over everything that is owed to `peer`. Returns how many receipts it took.
    pub(crate) async fn post_receipts(&self, peer: MemberId) -> Result<usize, PostError> {
        let mut taken = 0;
        loop {
            let owed = self.store.scan(Scan::new(area::OWED, RECEIPTS).prefix(*peer.as_bytes())).await;
            let owed = owed.map_err(ServiceError::from)?;
            if owed.is_empty() {
                return Ok(taken);
            }
            let signed = self.sign_receipts(owed.iter().map(|(_, part)| part.as_slice()))?;
            self.link.post_receipts(peer, &signed).await.map_err(PostError::Link)?;
            let mut batch = Batch::new();
            batch.protective();
            let keys = owed.iter().map(|(key, _)| (area::OWED, key.clone())).collect();
            let present = self.store.get_many(keys).await.map_err(ServiceError::from)?;
            for ((key, part), now) in owed.iter().zip(present) {
                // What was owed anew meanwhile is another receipt and stays.
                if now.as_deref() == Some(part.as_slice()) {
                    batch.delete(area::OWED, key.clone());
                }
            }
            self.store.commit(batch).await.map_err(ServiceError::from)?;
            taken += owed.len();
        }
    }
}
