//! Between messages about registers and the words of the domain: form and bounds; nothing is verified here.

use eads_domain::wire::InvalidMessage;
use eads_proto::v1;
use eads_service::trust::HeldCheckpoint;

/// One a peer, and the own.
const MAX_HELD: usize = 65;
const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

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
