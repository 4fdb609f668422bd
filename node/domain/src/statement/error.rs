//! Why bytes are not a statement.

use crate::code::{Code, Coded, Fault};
use crate::encode::Misread;

/// Why bytes are not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The payload is not 186 bytes.
    #[error("a statement's payload is exactly 186 bytes")]
    PayloadLength,
    /// The signature is not 64 bytes.
    #[error("an Ed25519 signature is exactly 64 bytes")]
    SignatureLength,
    /// Made by a later program.
    #[error("the statement has version {0}, which this program does not know")]
    Version(u8),
    /// No such action byte.
    #[error("the statement has action {0}, which does not exist")]
    Action(u8),
    /// No such action word.
    #[error("an action is one of issue, amend, suspend, resume, withdraw, retract, key-change, anchor")]
    ActionWord,
    /// The origin is not two capital letters.
    #[error("the statement's origin is not a member id")]
    Origin,
    /// Committed under another slot table.
    #[error("the statement uses schema {0}, which this program does not know")]
    Schema(u16),
    /// Present where the action has none, or zero where it needs one.
    #[error("the statement's detail does not fit its action")]
    Detail,
    /// The signing key has small order: anyone could sign with it.
    #[error("the signing key is weak")]
    WeakKey,
    /// Not signed by that key over those bytes, or not in canonical form.
    #[error("the statement's signature is not good")]
    Signature,
    /// Signed by a key that its origin does not have, or that does not count for its place in the register.
    #[error("the statement names another key of its origin")]
    OtherKey,
}

impl From<Misread> for StatementError {
    fn from(_: Misread) -> Self {
        Self::PayloadLength
    }
}

impl Coded for StatementError {
    fn code(&self) -> Code {
        match self {
            Self::PayloadLength => Code::new("STATEMENT_LENGTH"),
            Self::SignatureLength => Code::new("STATEMENT_SIGNATURE_LENGTH"),
            Self::Version(_) => Code::new("STATEMENT_VERSION_UNKNOWN"),
            Self::Action(_) | Self::ActionWord => Code::new("STATEMENT_ACTION_UNKNOWN"),
            Self::Origin => Code::new("STATEMENT_ORIGIN_INVALID"),
            Self::Schema(_) => Code::new("STATEMENT_SCHEMA_UNKNOWN"),
            Self::Detail => Code::new("STATEMENT_DETAIL_INVALID"),
            Self::WeakKey => Code::new("STATEMENT_KEY_WEAK"),
            Self::Signature => Code::new("STATEMENT_SIGNATURE_INVALID"),
            Self::OtherKey => Code::new("STATEMENT_OTHER_KEYSEQ"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::ActionWord => Fault::Caller,
            _ => Fault::Peer,
        }
    }
}
