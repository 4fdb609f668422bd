//! Statements and what is shown of them.

use eads_proto::v1;
use ed25519_dalek::VerifyingKey;

use super::{InvalidMessage, at_most, exactly};
use crate::audience::AudienceOpening;
use crate::disclosure::{Disclosure, Opening};
use crate::id::Hash;
use crate::slot::{SLOTS, SlotNumber};
use crate::statement::{Payload, Statement, StatementError};
use crate::value::{MAX_ENCODED, Value};

/// The most bytes behind a statement's detail: a retraction of 4,096 entries, or a card.
pub const MAX_DETAIL_BYTES: usize = 64 * 1024;
/// A path through 256 leaves.
const MAX_AUDIENCE_PATH: usize = 8;

/// A statement as it came: of the right lengths, and nothing more is known of it.
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedStatement {
    payload: [u8; Payload::LEN],
    signature: [u8; 64],
}

impl UnverifiedStatement {
    /// Through the gate.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<Statement, StatementError> {
        Statement::verify(&self.payload, &self.signature, key)
    }

    /// What it claims to say, to find the key that it must verify under. Not to be believed.
    ///
    /// # Errors
    /// [`StatementError`] if the payload is not one of this version.
    pub fn claimed(&self) -> Result<Payload, StatementError> {
        Payload::parse(&self.payload)
    }

    /// The payload as it came.
    pub const fn payload_bytes(&self) -> &[u8; Payload::LEN] {
        &self.payload
    }

    /// The signature as it came.
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }
}

impl std::fmt::Debug for UnverifiedStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnverifiedStatement")
    }
}

/// What came of one statement. Each part is verified against the statement by its own type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedDisclosure {
    /// The statement.
    pub statement: UnverifiedStatement,
    /// What is said to prove that the reader is addressed; absent for entries that address nobody.
    pub audience: Option<AudienceOpening>,
    /// Openings and commitments; absent for entries without content.
    pub disclosure: Option<Disclosure>,
    /// The bytes behind the payload's detail; empty where it has none.
    pub detail: Vec<u8>,
}

impl From<&Statement> for v1::SignedStatement {
    fn from(statement: &Statement) -> Self {
        Self { payload: statement.payload_bytes().to_vec(), signature: statement.signature().to_vec() }
    }
}

impl TryFrom<v1::SignedStatement> for UnverifiedStatement {
    type Error = InvalidMessage;

    fn try_from(message: v1::SignedStatement) -> Result<Self, InvalidMessage> {
        Ok(Self {
            payload: exactly("statement.payload", &message.payload)?,
            signature: exactly("statement.signature", &message.signature)?,
        })
    }
}

/// The message that shows `statement` to one addressee.
pub fn disclosure_message(
    statement: &Statement,
    audience: Option<&AudienceOpening>,
    disclosure: Option<&Disclosure>,
    detail: &[u8],
) -> v1::Disclosure {
    let openings = disclosure.into_iter().flat_map(|shown| &shown.openings).map(v1::SlotOpening::from).collect();
    let withheld = disclosure.into_iter().flat_map(|shown| &shown.commitments);
    let commitments = withheld.map(|(slot, commitment)| commitment_message(*slot, commitment)).collect();
    v1::Disclosure {
        statement: Some(statement.into()),
        audience: audience.map(Into::into),
        openings,
        commitments,
        detail: detail.to_vec(),
    }
}

impl TryFrom<v1::Disclosure> for UnverifiedDisclosure {
    type Error = InvalidMessage;

    fn try_from(message: v1::Disclosure) -> Result<Self, InvalidMessage> {
        let statement = message.statement.ok_or(InvalidMessage::Missing { field: "disclosure.statement" })?;
        at_most("disclosure.openings", &message.openings, SLOTS)?;
        at_most("disclosure.commitments", &message.commitments, SLOTS)?;
        at_most("disclosure.detail", &message.detail, MAX_DETAIL_BYTES)?;
        let openings = message.openings.into_iter().map(Opening::try_from).collect::<Result<Vec<_>, _>>()?;
        let commitments = message.commitments.into_iter().map(commitment).collect::<Result<Vec<_>, _>>()?;
        let has_content = !openings.is_empty() || !commitments.is_empty();
        Ok(Self {
            statement: statement.try_into()?,
            audience: message.audience.map(AudienceOpening::try_from).transpose()?,
            disclosure: has_content.then_some(Disclosure { openings, commitments }),
            detail: message.detail,
        })
    }
}

impl From<&AudienceOpening> for v1::AudienceOpening {
    fn from(opening: &AudienceOpening) -> Self {
        Self {
            salt: opening.salt.to_vec(),
            position: opening.position,
            size: opening.size,
            path: opening.path.iter().map(|node| node.as_bytes().to_vec()).collect(),
        }
    }
}

impl TryFrom<v1::AudienceOpening> for AudienceOpening {
    type Error = InvalidMessage;

    fn try_from(message: v1::AudienceOpening) -> Result<Self, InvalidMessage> {
        at_most("audience.path", &message.path, MAX_AUDIENCE_PATH)?;
        let node = |bytes: &Vec<u8>| exactly("audience.path", bytes).map(Hash::from_bytes);
        Ok(Self {
            salt: exactly("audience.salt", &message.salt)?,
            position: message.position,
            size: message.size,
            path: message.path.iter().map(node).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Opening> for v1::SlotOpening {
    fn from(opening: &Opening) -> Self {
        Self { slot: opening.slot.into(), salt: opening.salt.to_vec(), value: opening.value.clone() }
    }
}

impl TryFrom<v1::SlotOpening> for Opening {
    type Error = InvalidMessage;

    fn try_from(message: v1::SlotOpening) -> Result<Self, InvalidMessage> {
        at_most("opening.value", &message.value, MAX_ENCODED)?;
        Ok(Self {
            slot: slot("opening.slot", message.slot)?,
            salt: exactly("opening.salt", &message.salt)?,
            value: message.value,
        })
    }
}

fn commitment_message(slot: SlotNumber, commitment: &Hash) -> v1::SlotCommitment {
    v1::SlotCommitment { slot: slot.into(), commitment: commitment.as_bytes().to_vec() }
}

fn commitment(message: v1::SlotCommitment) -> Result<(SlotNumber, Hash), InvalidMessage> {
    let hash = exactly("commitment.commitment", &message.commitment)?;
    Ok((slot("commitment.slot", message.slot)?, Hash::from_bytes(hash)))
}

/// The message for one value of a notice, without salt.
pub fn slot_value_message(slot: SlotNumber, value: &Value) -> v1::SlotValue {
    v1::SlotValue { slot: slot.into(), value: value.encode() }
}

/// One value of a notice, strictly read. Whether it fits its slot is the slot table's to say.
///
/// # Errors
/// [`InvalidMessage`].
pub fn slot_value(message: &v1::SlotValue) -> Result<(SlotNumber, Value), InvalidMessage> {
    let value = Value::parse(&message.value).map_err(|_| InvalidMessage::Unknown { field: "value.value" })?;
    Ok((slot("value.slot", message.slot)?, value))
}

fn slot(field: &'static str, number: u32) -> Result<SlotNumber, InvalidMessage> {
    SlotNumber::try_from(number).map_err(|_| InvalidMessage::Unknown { field })
}
