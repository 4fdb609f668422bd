//! Between messages about registers and the words of the domain: form and bounds; nothing is verified here.

use eads_domain::id::{Hash, NoticeId, RegisterId};
use eads_domain::wire::InvalidMessage;
use eads_proto::v1;
use eads_service::trust::{Held, HeldCheckpoint, RegisterMark, Returned};

use super::sync;

/// One a peer, and the own.
const MAX_HELD: usize = 65;
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;
/// The most statements, and marks, of one item.
const MAX_RETURNED: usize = 64;

/// Checkpoints as they are told.
pub(super) fn held_messages(held: Vec<HeldCheckpoint>) -> Vec<v1::HeldCheckpoint> {
    let message =
        |held: HeldCheckpoint| v1::HeldCheckpoint { member: held.member.to_string(), checkpoint: held.checkpoint };
    held.into_iter().map(message).collect()
}

/// Checkpoints as they came.
pub(super) fn held(messages: Vec<v1::HeldCheckpoint>) -> Result<Vec<HeldCheckpoint>, InvalidMessage> {
    if messages.len() > MAX_HELD {
        return Err(InvalidMessage::TooLong { field: "held", max: MAX_HELD });
    }
    messages.into_iter().map(one).collect()
}

fn one(message: v1::HeldCheckpoint) -> Result<HeldCheckpoint, InvalidMessage> {
    if message.checkpoint.len() > MAX_CHECKPOINT_BYTES {
        return Err(InvalidMessage::TooLong { field: "held.checkpoint", max: MAX_CHECKPOINT_BYTES });
    }
    let member = message.member.parse().map_err(|_| InvalidMessage::Unknown { field: "held.member" })?;
    Ok(HeldCheckpoint { member, checkpoint: message.checkpoint })
}

/// Which register is asked for.
pub(super) fn register(bytes: &[u8]) -> Result<RegisterId, InvalidMessage> {
    RegisterId::try_from(bytes).map_err(|_| InvalidMessage::Length { field: "register", expected: 16 })
}

/// What is held, as it is told.
pub(super) fn held_message(held: Held) -> v1::GetHeldResponse {
    v1::GetHeldResponse {
        register_cursor: held.register_cursor,
        delivery_cursor: held.delivery_cursor,
        checkpoint: held.checkpoint,
    }
}

/// What is held, as it came.
pub(super) fn held_of(message: v1::GetHeldResponse) -> Result<Held, InvalidMessage> {
    Ok(Held {
        register_cursor: message.register_cursor,
        delivery_cursor: message.delivery_cursor,
        checkpoint: sync::checkpoint("checkpoint", message.checkpoint)?,
    })
}

/// What is given back, as it is sent.
pub(super) fn returned_message(item: Returned) -> v1::ReturnRegisterResponse {
    let mark = |mark: RegisterMark| v1::RegisterMark {
        notice: mark.notice.as_bytes().to_vec(),
        index: mark.index,
        digest: mark.digest.as_bytes().to_vec(),
        withdrawn: mark.withdrawn,
    };
    v1::ReturnRegisterResponse {
        first_index: item.first_index,
        leaves: item.leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect(),
        checkpoint: item.checkpoint,
        statements: item.statements.into_iter().map(sync::delivery_message).collect(),
        marks: item.marks.into_iter().map(mark).collect(),
    }
}

/// What is given back, as it came.
pub(super) fn returned(message: v1::ReturnRegisterResponse) -> Result<Returned, InvalidMessage> {
    if message.statements.len() > MAX_RETURNED || message.marks.len() > MAX_RETURNED {
        return Err(InvalidMessage::TooLong { field: "statements", max: MAX_RETURNED });
    }
    let mark = |mark: v1::RegisterMark| -> Result<_, InvalidMessage> {
        Ok(RegisterMark {
            notice: NoticeId::try_from(mark.notice.as_slice())
                .map_err(|_| InvalidMessage::Length { field: "marks.notice", expected: 16 })?,
            index: mark.index,
            digest: Hash::try_from(mark.digest.as_slice())
                .map_err(|_| InvalidMessage::Length { field: "marks.digest", expected: 32 })?,
            withdrawn: mark.withdrawn,
        })
    };
    Ok(Returned {
        first_index: message.first_index,
        leaves: sync::leaves(&message.leaves)?,
        checkpoint: sync::checkpoint("checkpoint", message.checkpoint)?,
        statements: message.statements.into_iter().map(sync::delivery).collect::<Result<_, _>>()?,
        marks: message.marks.into_iter().map(mark).collect::<Result<_, _>>()?,
    })
}
