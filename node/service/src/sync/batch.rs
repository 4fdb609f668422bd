//! What travels in a sync stream, in the words of the domain.

use eads_domain::audience::AudienceOpening;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Disclosure;
use eads_domain::id::{Hash, RegisterId};
use eads_domain::slot::SlotNumber;

use crate::rows::DeliveryKind;
use crate::succession::CardStep;

/// Where a follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncCursor {
    /// The register that the cursors belong to.
    pub register: RegisterId,
    /// Leaves held: the next one wanted has this index.
    pub register_cursor: u64,
    /// Deliveries held: the next one wanted has this sequence.
    pub delivery_cursor: u64,
    /// The sequence number of the card held; 0 where it is not said.
    pub card: u64,
}

/// One item of a sync stream.
#[derive(Clone, Debug)]
pub struct SyncBatch {
    /// Cards after the one that the follower holds, in order: they count before anything else.
    pub cards: Vec<CardStep>,
    /// Withdrawals, suspensions and retractions that the follower does not hold yet.
    pub urgent: Vec<Delivery>,
    /// The signed checkpoint to which their inclusion proofs lead; empty without any.
    pub urgent_checkpoint: Vec<u8>,
    /// Index of the first leaf.
    pub first_index: u64,
    /// Leaves.
    pub leaves: Vec<Hash>,
    /// The signed checkpoint after these leaves; empty where the batch only carries what is urgent.
    pub checkpoint: Vec<u8>,
    /// RFC 9162 consistency proof from `first_index`.
    pub consistency: Vec<Hash>,
    /// Deliveries in order.
    pub deliveries: Vec<Delivery>,
    /// The origin's clock.
    pub clock: Timestamp,
    /// More follows at once.
    pub more: bool,
}

impl SyncBatch {
    /// How much of what it brings, for the audit log.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        [
            ("deliveries", count(self.deliveries.len())),
            ("leaves", count(self.leaves.len())),
            ("urgent", count(self.urgent.len())),
        ]
    }

    /// Roughly how many bytes it has.
    pub fn size(&self) -> usize {
        let entries = self.urgent.iter().chain(&self.deliveries);
        let entries: usize = entries.map(|entry| entry.disclosed.as_ref().map_or(0, Disclosed::size)).sum();
        let cards: usize = self.cards.iter().map(|step| step.card.len() + 512).sum();
        entries + cards + self.leaves.len() * 32 + 512
    }
}

/// One entry of a delivery log.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its place in the log.
    pub sequence: u64,
    /// What is delivered.
    pub kind: DeliveryKind,
    /// Register index of the statement.
    pub index: u64,
    /// The statement; absent where the origin has it no more.
    pub disclosed: Option<Disclosed>,
    /// RFC 9162 inclusion proof; only among what is urgent.
    pub inclusion: Vec<Hash>,
    /// The slot whose photographs can be fetched; none where they are gone.
    pub slot: Option<SlotNumber>,
}

/// One statement as one addressee is shown it. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Disclosed {
    /// As signed.
    pub payload: Vec<u8>,
    /// Ed25519.
    pub signature: Vec<u8>,
    /// Proves that the reader is addressed; absent for what is addressed to nobody.
    pub audience: Option<AudienceOpening>,
    /// Openings and commitments of the slots; absent for statements without content.
    pub disclosure: Option<Disclosure>,
    /// The bytes behind the payload's `detail`.
    pub detail: Vec<u8>,
}

impl Disclosed {
    /// Roughly how many bytes it has.
    pub fn size(&self) -> usize {
        let slots = self.disclosure.as_ref().map_or(0, |disclosure| {
            disclosure.openings.iter().map(|opening| opening.value.len() + 40).sum::<usize>()
                + disclosure.commitments.len() * 33
        });
        self.payload.len() + self.signature.len() + self.detail.len() + slots + 512
    }
}
