//! What verifying a pack found, or why it does not verify.

use crate::code::{Code, Coded, Fault};
use crate::id::{Hash, MemberId};
use crate::receipt::{ReceiptReason, ReceiptStatus};

/// A pack that proves nothing: which part of it, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct CourtPackError {
    code: &'static str,
    place: String,
    what: String,
}

impl CourtPackError {
    pub(super) fn new(code: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { code, place: place.into(), what: what.into() }
    }
}

impl Coded for CourtPackError {
    fn code(&self) -> Code {
        Code::new(self.code)
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// What a pack that verifies shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFinding {
    /// Whose notice.
    pub origin: MemberId,
    /// The origin's key that signed the checkpoint.
    pub key: [u8; 32],
    /// Verification code of the origin's card: to be compared with what the origin's administrators say.
    pub origin_code: String,
    /// Who made the pack.
    pub exporter: MemberId,
    /// Verification code of the exporter's card.
    pub exporter_code: String,
    /// Members of whom earlier keys or CAs are taken from the exporter's word.
    pub earlier: Vec<MemberId>,
    /// Entries of the register that the checkpoint covers.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// The statements, in order.
    pub statements: Vec<StatementFinding>,
    /// Receipts about them, in the order of the pack.
    pub receipts: Vec<ReceiptFinding>,
    /// Audit entries whose step in the chain was recomputed.
    pub audit_entries: u64,
}

/// One statement that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementFinding {
    /// Its place in the register.
    pub index: u64,
    /// What it does, by its payload; as the pack says where that is destroyed.
    pub action: String,
    /// When it was issued, by its payload, Unix seconds; 0 where that is destroyed.
    pub issued: i64,
    /// Number of the key that signed it; none where the content is destroyed.
    pub keyseq: Option<u32>,
    /// Slots whose values are opened and are what was signed.
    pub opened: usize,
    /// Who approved it, by certificate under the origin's operator CA.
    pub approvers: Vec<String>,
    /// Content is destroyed: only digest and place are shown.
    pub destroyed: bool,
}

/// One receipt that verifies and is about a statement of the pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFinding {
    /// Who said so.
    pub member: MemberId,
    /// Of which statement.
    pub index: u64,
    /// What became of it.
    pub status: ReceiptStatus,
    /// Why.
    pub reason: ReceiptReason,
    /// When, by the holder's clock, Unix seconds.
    pub at: i64,
}
