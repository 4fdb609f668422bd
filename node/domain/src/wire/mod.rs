//! Between the messages of the wire and the values of the domain: the only such conversions in the house.
//!
//! Reading a message checks form and bounds and verifies nothing: statements come out as
//! [`UnverifiedDisclosure`], receipts and checkpoints go straight to their own gates. Bytes that were signed pass
//! through unchanged in both directions.

mod disclosure;
mod query;

use eads_proto::v1;
use ed25519_dalek::VerifyingKey;

pub use disclosure::{
    MAX_DETAIL_BYTES, UnverifiedDisclosure, UnverifiedStatement, disclosure_message, slot_value, slot_value_message,
};
pub use query::{MAX_HITS, QuestionReceived};

use crate::code::{Code, Coded, Fault};
use crate::id::MemberId;
use crate::query::{QueryError, UnknownAnswerCode};
use crate::receipt::{ReceiptError, SignedReceipts};

/// A message that does not carry what it should. Texts name fields, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// A field that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// A field that must be of one length is of another.
    #[error("{field} must be {expected} bytes long")]
    Length {
        /// Which field.
        field: &'static str,
        /// Bytes.
        expected: usize,
    },
    /// A field or list above its bound.
    #[error("{field} is longer than {max}")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Bytes, characters or entries.
        max: usize,
    },
    /// A field whose value does not exist.
    #[error("{field} has a value that this version does not know")]
    Unknown {
        /// Which field.
        field: &'static str,
    },
    /// A text that is not fit to be shown on a screen.
    #[error("{field} contains control characters")]
    Text {
        /// Which field.
        field: &'static str,
    },
    /// A protocol version that this program does not speak.
    #[error("protocol version {asked} is not spoken here; this program speaks {PROTOCOL}")]
    Protocol {
        /// The version asked for.
        asked: u32,
    },
    /// A query that cannot be asked.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An answer with a code that is not known.
    #[error(transparent)]
    Answer(#[from] UnknownAnswerCode),
}

impl Coded for InvalidMessage {
    fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::new("MESSAGE_FIELD_MISSING"),
            Self::Length { .. } => Code::new("MESSAGE_FIELD_LENGTH"),
            Self::TooLong { .. } => Code::new("MESSAGE_FIELD_TOO_LONG"),
            Self::Unknown { .. } => Code::new("MESSAGE_FIELD_UNKNOWN"),
            Self::Text { .. } => Code::new("MESSAGE_FIELD_TEXT"),
            Self::Protocol { .. } => Code::new("PROTOCOL_VERSION"),
            Self::Query(error) => error.code(),
            Self::Answer(error) => error.code(),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Query(error) => error.fault(),
            _ => Fault::Peer,
        }
    }
}

/// The protocol version that this program speaks.
pub const PROTOCOL: u32 = 1;

/// Takes a `protocol` field.
///
/// # Errors
/// [`InvalidMessage::Protocol`] unless it is [`PROTOCOL`].
pub const fn check_protocol(asked: u32) -> Result<(), InvalidMessage> {
    if asked == PROTOCOL { Ok(()) } else { Err(InvalidMessage::Protocol { asked }) }
}

impl From<&SignedReceipts> for v1::PostReceiptsRequest {
    fn from(receipts: &SignedReceipts) -> Self {
        Self { parts: receipts.parts().to_vec(), signature: receipts.signature().to_vec() }
    }
}

/// Takes receipts that `receiver`, whose key is `key`, posted.
///
/// # Errors
/// [`ReceiptError`].
pub fn receipts(
    message: v1::PostReceiptsRequest,
    receiver: MemberId,
    key: &VerifyingKey,
) -> Result<SignedReceipts, ReceiptError> {
    SignedReceipts::verify(message.parts, &message.signature, receiver, key)
}

/// A field of exactly `N` bytes.
fn exactly<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], InvalidMessage> {
    bytes.try_into().map_err(|_| InvalidMessage::Length { field, expected: N })
}

/// A list within its bound.
fn at_most<T>(field: &'static str, list: &[T], max: usize) -> Result<(), InvalidMessage> {
    if list.len() > max { Err(InvalidMessage::TooLong { field, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
