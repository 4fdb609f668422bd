//! Between messages of the sync stream and its batches. Bytes that were signed pass through unchanged; reading
//! checks form and bounds and verifies nothing.

use eads_domain::card::MAX_CARD_BYTES;
use eads_domain::clock::Timestamp;
use eads_domain::id::{BlobId, Hash, RegisterId};
use eads_domain::slot::SlotNumber;
use eads_domain::wire::{InvalidMessage, PROTOCOL, UnverifiedDisclosure};
use eads_proto::v1;
use eads_service::blobs::BlobAsked;
use eads_service::rows::DeliveryKind;
use eads_service::succession::{CardStep, KeyChange};
use eads_service::sync::{Delivery, Disclosed, SyncBatch, SyncCursor};

/// The most leaves of one batch.
const MAX_LEAVES: usize = 4096;
/// The most deliveries of one batch, urgent ones included.
const MAX_DELIVERIES: usize = 64;
/// The longest proof: a register has fewer than 2^63 leaves, and a consistency proof one node more than levels.
const MAX_PROOF: usize = 64;
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// The most cards of one batch.
const MAX_CARDS: usize = 64;

/// Asks for what comes after `cursor`.
pub(in crate::grpc) fn request(cursor: SyncCursor) -> v1::SyncRequest {
    v1::SyncRequest {
        protocol: PROTOCOL,
        register: cursor.register.as_bytes().to_vec(),
        register_cursor: cursor.register_cursor,
        delivery_cursor: cursor.delivery_cursor,
        accept_packed: true,
        card: cursor.card,
    }
}

/// Where the asking peer stands.
pub(in crate::grpc) fn cursor(message: &v1::SyncRequest) -> Result<SyncCursor, InvalidMessage> {
    let expected = 16;
    Ok(SyncCursor {
        register: RegisterId::try_from(message.register.as_slice())
            .map_err(|_| InvalidMessage::Length { field: "register", expected })?,
        register_cursor: message.register_cursor,
        delivery_cursor: message.delivery_cursor,
        card: message.card,
    })
}

/// A batch as it is sent.
pub(in crate::grpc) fn message(batch: SyncBatch) -> v1::SyncResponse {
    v1::SyncResponse {
        urgent: batch.urgent.into_iter().map(delivery_message).collect(),
        urgent_checkpoint: batch.urgent_checkpoint,
        first_index: batch.first_index,
        leaves: batch.leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect(),
        checkpoint: batch.checkpoint,
        consistency: proof_message(&batch.consistency),
        deliveries: batch.deliveries.into_iter().map(delivery_message).collect(),
        clock: batch.clock.as_unix(),
        more: batch.more,
        packed: Vec::new(),
        cards: batch.cards.into_iter().map(step_message).collect(),
    }
}

/// A batch as it came.
pub(in crate::grpc) fn batch(message: v1::SyncResponse) -> Result<SyncBatch, InvalidMessage> {
    if message.urgent.len() + message.deliveries.len() > MAX_DELIVERIES {
        return Err(InvalidMessage::TooLong { field: "deliveries", max: MAX_DELIVERIES });
    }
    let deliveries = |all: Vec<v1::Delivery>| all.into_iter().map(delivery).collect::<Result<Vec<_>, _>>();
    Ok(SyncBatch {
        cards: steps(message.cards)?,
        urgent: deliveries(message.urgent)?,
        urgent_checkpoint: checkpoint("urgent_checkpoint", message.urgent_checkpoint)?,
        first_index: message.first_index,
        leaves: leaves(&message.leaves)?,
        checkpoint: checkpoint("checkpoint", message.checkpoint)?,
        consistency: proof("consistency", &message.consistency)?,
        deliveries: deliveries(message.deliveries)?,
        clock: Timestamp::from_unix(message.clock),
        more: message.more,
    })
}

/// Asks for a photograph.
pub(super) fn blob_request(asked: BlobAsked) -> v1::FetchBlobRequest {
    v1::FetchBlobRequest {
        digest: asked.digest.as_bytes().to_vec(),
        slot: asked.slot.into(),
        id: asked.id.as_bytes().to_vec(),
        offset: asked.offset,
        window: asked.window,
    }
}

/// Which photograph is asked for.
pub(super) fn blob_asked(message: &v1::FetchBlobRequest) -> Result<BlobAsked, InvalidMessage> {
    Ok(BlobAsked {
        digest: Hash::try_from(message.digest.as_slice())
            .map_err(|_| InvalidMessage::Length { field: "digest", expected: 32 })?,
        slot: SlotNumber::try_from(message.slot).map_err(|_| InvalidMessage::Unknown { field: "slot" })?,
        id: BlobId::try_from(message.id.as_slice())
            .map_err(|_| InvalidMessage::Length { field: "id", expected: 16 })?,
        offset: message.offset,
        window: message.window,
    })
}

pub(super) fn leaves(bytes: &[u8]) -> Result<Vec<Hash>, InvalidMessage> {
    let (leaves, rest) = bytes.as_chunks::<32>();
    if leaves.len() > MAX_LEAVES {
        return Err(InvalidMessage::TooLong { field: "leaves", max: MAX_LEAVES });
    }
    if !rest.is_empty() {
        return Err(InvalidMessage::Length { field: "leaves", expected: 32 });
    }
    Ok(leaves.iter().copied().map(Hash::from_bytes).collect())
}

pub(super) fn checkpoint(field: &'static str, bytes: Vec<u8>) -> Result<Vec<u8>, InvalidMessage> {
    if bytes.len() > MAX_CHECKPOINT_BYTES {
        return Err(InvalidMessage::TooLong { field, max: MAX_CHECKPOINT_BYTES });
    }
    Ok(bytes)
}

fn step_message(step: CardStep) -> v1::CardStep {
    v1::CardStep {
        card: step.card,
        change: step.change.map(|KeyChange { index, payload, signature }| v1::KeyChange {
            index,
            statement: Some(v1::SignedStatement { payload, signature }),
        }),
    }
}

fn steps(messages: Vec<v1::CardStep>) -> Result<Vec<CardStep>, InvalidMessage> {
    if messages.len() > MAX_CARDS {
        return Err(InvalidMessage::TooLong { field: "cards", max: MAX_CARDS });
    }
    let change = |change: v1::KeyChange| {
        let statement = change.statement.ok_or(InvalidMessage::Missing { field: "change.statement" })?;
        Ok::<_, InvalidMessage>(KeyChange {
            index: change.index,
            payload: statement.payload,
            signature: statement.signature,
        })
    };
    let step = |step: v1::CardStep| {
        if step.card.len() > MAX_CARD_BYTES {
            return Err(InvalidMessage::TooLong { field: "card", max: MAX_CARD_BYTES });
        }
        Ok(CardStep { card: step.card, change: step.change.map(change).transpose()? })
    };
    messages.into_iter().map(step).collect()
}

fn proof(field: &'static str, nodes: &[Vec<u8>]) -> Result<Vec<Hash>, InvalidMessage> {
    if nodes.len() > MAX_PROOF {
        return Err(InvalidMessage::TooLong { field, max: MAX_PROOF });
    }
    let node =
        |bytes: &Vec<u8>| Hash::try_from(bytes.as_slice()).map_err(|_| InvalidMessage::Length { field, expected: 32 });
    nodes.iter().map(node).collect()
}

fn proof_message(nodes: &[Hash]) -> Vec<Vec<u8>> {
    nodes.iter().map(|node| node.as_bytes().to_vec()).collect()
}

pub(super) fn delivery_message(delivery: Delivery) -> v1::Delivery {
    let kind = match delivery.kind {
        DeliveryKind::Disclose => v1::DeliveryKind::Disclose,
        DeliveryKind::Retract => v1::DeliveryKind::Retract,
        DeliveryKind::Blob => v1::DeliveryKind::Blob,
        DeliveryKind::Empty => v1::DeliveryKind::Empty,
    };
    v1::Delivery {
        sequence: delivery.sequence,
        kind: kind.into(),
        index: delivery.index,
        purged: match delivery.kind {
            DeliveryKind::Empty => false,
            DeliveryKind::Blob => delivery.slot.is_none(),
            DeliveryKind::Disclose | DeliveryKind::Retract => delivery.disclosed.is_none(),
        },
        slot: delivery.slot.map_or(0, u32::from),
        disclosure: delivery.disclosed.map(disclosure_message),
        inclusion: proof_message(&delivery.inclusion),
    }
}

pub(super) fn delivery(message: v1::Delivery) -> Result<Delivery, InvalidMessage> {
    let kind = match message.kind() {
        v1::DeliveryKind::Disclose => DeliveryKind::Disclose,
        v1::DeliveryKind::Retract => DeliveryKind::Retract,
        v1::DeliveryKind::Empty => DeliveryKind::Empty,
        v1::DeliveryKind::Blob => DeliveryKind::Blob,
        v1::DeliveryKind::Unspecified => return Err(InvalidMessage::Unknown { field: "delivery.kind" }),
    };
    let slot = match (kind, message.purged) {
        (DeliveryKind::Blob, false) => {
            let slot = SlotNumber::try_from(message.slot);
            Some(slot.map_err(|_| InvalidMessage::Unknown { field: "delivery.slot" })?)
        }
        _ if message.slot != 0 => return Err(InvalidMessage::Unknown { field: "delivery.slot" }),
        _ => None,
    };
    let disclosed = match (kind, message.purged, message.disclosure) {
        (DeliveryKind::Empty, false, None) | (DeliveryKind::Blob, _, None) => None,
        (DeliveryKind::Disclose | DeliveryKind::Retract, true, None) => None,
        (DeliveryKind::Disclose | DeliveryKind::Retract, false, Some(disclosure)) => Some(disclosed(disclosure)?),
        (DeliveryKind::Disclose | DeliveryKind::Retract, false, None) => {
            return Err(InvalidMessage::Missing { field: "delivery.disclosure" });
        }
        // Content where it is said that there is none.
        (DeliveryKind::Empty | DeliveryKind::Blob, ..) | (_, true, Some(_)) => {
            return Err(InvalidMessage::Unknown { field: "delivery.purged" });
        }
    };
    Ok(Delivery {
        sequence: message.sequence,
        kind,
        index: message.index,
        disclosed,
        inclusion: proof("delivery.inclusion", &message.inclusion)?,
        slot,
    })
}

fn disclosure_message(disclosed: Disclosed) -> v1::Disclosure {
    let (openings, commitments) = match &disclosed.disclosure {
        Some(shown) => (
            shown.openings.iter().map(Into::into).collect(),
            shown
                .commitments
                .iter()
                .map(|(slot, commitment)| v1::SlotCommitment {
                    slot: (*slot).into(),
                    commitment: commitment.as_bytes().to_vec(),
                })
                .collect(),
        ),
        None => (Vec::new(), Vec::new()),
    };
    v1::Disclosure {
        statement: Some(v1::SignedStatement { payload: disclosed.payload, signature: disclosed.signature }),
        audience: disclosed.audience.as_ref().map(Into::into),
        openings,
        commitments,
        detail: disclosed.detail,
    }
}

fn disclosed(message: v1::Disclosure) -> Result<Disclosed, InvalidMessage> {
    let UnverifiedDisclosure { statement, audience, disclosure, detail } = message.try_into()?;
    Ok(Disclosed {
        payload: statement.payload_bytes().to_vec(),
        signature: statement.signature().to_vec(),
        audience,
        disclosure,
        detail,
    })
}

#[cfg(test)]
mod tests;
