//! The court pack: everything that is known of one notice, in one file that anybody verifies (`proto/README.md`).
//!
//! What it can show: that the origin's key signed each statement, that each stands in the origin's register under a
//! signed checkpoint, who approved it, what each holder said of it under its own key, and which entries of the
//! exporting node's audit log concern it. What it cannot show: that a holder did what its receipt says, and that the
//! cards are those of the members named (their verification codes are compared by telephone). Where content was
//! destroyed the pack says so: leaf, digest and receipts remain and verify.

mod finding;
mod verify;

use serde::{Deserialize, Serialize};

pub use finding::{CourtPackError, PackFinding, ReceiptFinding, StatementFinding};
pub use verify::verify;

use crate::id::{Hash, MemberId, NoticeId, RegisterId};

/// What the file says it is.
pub const FORMAT: &str = "eads/v1/court-pack";
/// What separates the exporting node's signature from all others.
pub const LABEL: &[u8] = b"eads/v1/court-pack";
/// Where the signed part of the file ends: everything before the last occurrence is signed.
pub const SIGNATURE_FIELD: &str = "\"pack_signature\"";

/// The label of receipts that were signed together.
pub const RECEIPTS: &str = "eads/v1/receipts";
/// The label of a receipt that was signed by itself.
pub const RECEIPT: &str = "eads/v1/receipt";

/// The file. Byte strings are hexadecimal digits, times Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CourtPack {
    /// [`FORMAT`].
    pub format: String,
    /// How to verify it, for people.
    pub steps: Vec<String>,
    /// Who made the pack, and why.
    pub exported: Exported,
    /// The notice.
    pub notice: PackNotice,
    /// Cards of everyone who signed something here; of one member the newest first.
    pub cards: Vec<PackCard>,
    /// Keys and operator CAs that members had before, where their earlier cards are not kept: the exporter's word.
    pub earlier: Vec<PackEarlier>,
    /// A checkpoint of the origin's register, a signed note as it was signed.
    pub checkpoint: String,
    /// Every statement of the notice that is known, in order of the register.
    pub statements: Vec<PackStatement>,
    /// What each peer was sent of an own notice and has said of it.
    pub holders: Vec<PackHolder>,
    /// Receipts as they were signed; a signature may also cover receipts of other notices.
    pub receipts: Vec<PackReceipts>,
    /// Under which agreement each holder is sent notices, by its digest.
    pub agreements: Vec<PackAgreement>,
    /// Orders that keep content from being destroyed.
    pub holds: Vec<PackHold>,
    /// Entries of the exporting node's audit log that concern the notice.
    pub audit: PackAudit,
    /// Ed25519 by the exporting node over PAE([`LABEL`], the file up to [`SIGNATURE_FIELD`]).
    pub pack_signature: String,
}

/// Who made the pack, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exported {
    /// When.
    pub at: i64,
    /// Whose node.
    pub member: MemberId,
    /// Which officer.
    pub by: String,
    /// Stated purpose.
    pub purpose: String,
    /// Stated legal basis; empty where none was.
    pub legal_basis: String,
    /// Stated case.
    pub case_reference: String,
    /// Whether the values of the content are opened; if not, commitments stand in their place.
    pub opened: bool,
}

/// The notice of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackNotice {
    /// What people cite.
    pub reference: String,
    /// Its identifier.
    pub notice: NoticeId,
    /// Whose it is.
    pub origin: MemberId,
    /// In which register.
    pub register: RegisterId,
    /// Where it stands at the exporting node.
    pub state: String,
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackCard {
    /// Whose.
    pub member: MemberId,
    /// Number of the signing key on it.
    pub keyseq: u32,
    /// Digest of the card.
    pub digest: Hash,
    /// What its administrators read out.
    pub verification_code: String,
    /// The signed card, PEM.
    pub card: String,
}

/// What a member had before its card in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackEarlier {
    /// Whose.
    pub member: MemberId,
    /// Signing keys by their numbers, 32 bytes each.
    pub keys: Vec<(u32, String)>,
    /// Operator CAs, DER.
    pub operator_anchors: Vec<String>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackStatement {
    /// Its place in the register.
    pub index: u64,
    /// What it does; empty where only its digest is known.
    pub action: String,
    /// Version number that it carries; 0 is none.
    pub version: u16,
    /// D.
    pub digest: Hash,
    /// SHA-256(0x00 ‖ D), as it stands in the register.
    pub leaf: Hash,
    /// From the leaf to the checkpoint's root.
    pub inclusion: Vec<Hash>,
    /// Payload, signature, salts and values are destroyed here.
    pub destroyed: bool,
    /// What was signed, while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<PackContent>,
}

/// What was signed and what opens it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackContent {
    /// 186 bytes.
    pub payload: String,
    /// Ed25519 over PAE("eads/v1/statement", payload).
    pub signature: String,
    /// The bytes behind the payload's detail.
    pub detail: String,
    /// Slots that are opened.
    pub openings: Vec<PackOpening>,
    /// Commitments of the others.
    pub commitments: Vec<PackCommitment>,
    /// To whom it is shown to be addressed.
    pub audience: Vec<PackAudience>,
}

/// One opened slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackOpening {
    /// Its number.
    pub slot: u8,
    /// Its name; not signed, by the slot table.
    pub name: String,
    /// The value as people read it; not signed, from `value`.
    pub text: String,
    /// 32 bytes.
    pub salt: String,
    /// The encoded value.
    pub value: String,
}

/// One slot that is not opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackCommitment {
    /// Its number.
    pub slot: u8,
    /// c.
    pub commitment: Hash,
}

/// One addressee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackAudience {
    /// Who.
    pub member: MemberId,
    /// Salt, position and path, as on the wire.
    pub opening: String,
}

/// What one peer was sent of one statement; the node's own bookkeeping, for which the receipts are the proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackHolder {
    /// The peer.
    pub member: MemberId,
    /// Index of the statement.
    pub index: u64,
    /// Slots that it was shown.
    pub slots: Vec<u8>,
    /// When it was put into its delivery log.
    pub sent_at: i64,
    /// `sent`, `undelivered`, or the latest receipt's status.
    pub state: String,
    /// Of the receipt; 0 without one.
    pub receipt_at: i64,
    /// Since when a purge receipt is owed; 0 is not at all.
    pub purge_owed_since: i64,
    /// When the receipt was written off by two administrators; 0 is never.
    pub written_off_at: i64,
}

/// Receipts under one signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackReceipts {
    /// Who signed them.
    pub member: MemberId,
    /// [`RECEIPTS`], or [`RECEIPT`] for one that stands alone.
    pub label: String,
    /// The parts, byte for byte.
    pub parts: Vec<String>,
    /// 64 bytes.
    pub signature: String,
}

/// An agreement, by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackAgreement {
    /// With whom.
    pub member: MemberId,
    /// SHA-256 of its text as it stands at the export.
    pub digest: Hash,
    /// Since when the peer stands as it does.
    pub since: i64,
}

/// An evidence hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackHold {
    /// What the order is cited by.
    pub order: String,
    /// When it ends by itself.
    pub until: i64,
    /// Administrators who placed it.
    pub administrators: Vec<String>,
}

/// Entries of the exporting node's audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackAudit {
    /// Sequence of the last entry at the export.
    pub head_sequence: u64,
    /// The chain after it.
    pub head: Hash,
    /// There were more than are listed.
    pub truncated: bool,
    /// In order.
    pub entries: Vec<PackEntry>,
}

/// One entry as it stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackEntry {
    /// Its place.
    pub sequence: u64,
    /// The chain before it.
    pub before: Hash,
    /// The entry, JSON, byte for byte; what was asked is sealed in it.
    pub entry: String,
    /// SHA-256(PAE("eads/v1/journal", before, u64 sequence, entry)).
    pub chain: Hash,
}
