//! What stands in the store's plain rows: JSON of closed fields, none of which is about a person.
//!
//! A row that grows a field gives it a default; a row that changes its meaning gets a new area version.

use eads_domain::clock::Timestamp;
use eads_domain::id::{BlobId, Hash, InvalidId, MemberId, NoticeId};
use eads_domain::receipt::ReceiptStatus;
use eads_domain::slot::{SlotNumber, SlotSet};
use eads_domain::statement::Action;
use eads_domain::subject::{NoticeKind, SubjectType};
use eads_store::blobs::BlobName;
use eads_store::keys::KeySlot;
use eads_store::port::{Area, Batch, Store};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ServiceError;

/// Puts a row into `batch`.
///
/// # Errors
/// When the row does not fit the store's limits.
pub fn put<T: Serialize>(batch: &mut Batch, area: Area, key: &[u8], row: &T) -> Result<(), ServiceError> {
    let bytes = serde_json::to_vec(row)
        .map_err(|error| ServiceError::internal("ROW_UNWRITABLE", "a row cannot be written").caused_by(error))?;
    batch.put(area, key.to_vec(), bytes);
    Ok(())
}

/// Reads the row at `key`.
///
/// # Errors
/// `ROW_UNREADABLE` when what stands there is not such a row.
pub async fn get<T: DeserializeOwned>(store: &dyn Store, area: Area, key: &[u8]) -> Result<Option<T>, ServiceError> {
    store.get(area, key).await?.map(|bytes| parse(&bytes)).transpose()
}

/// Parses the bytes of a row.
///
/// # Errors
/// `ROW_UNREADABLE` when they are not such a row.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ServiceError::internal("ROW_UNREADABLE", "a row of the store cannot be read; run `eads-node store check`")
            .caused_by(error)
    })
}

/// A data key as rows name it: twelve hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(KeySlot);

impl From<KeySlot> for Key {
    fn from(slot: KeySlot) -> Self {
        Self(slot)
    }
}

impl From<Key> for KeySlot {
    fn from(key: Key) -> Self {
        key.0
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        hex::encode(key.0.to_bytes())
    }
}

impl TryFrom<String> for Key {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let invalid = InvalidId::Length { expected: KeySlot::BYTES };
        let bytes = hex::decode(text).map_err(|_| invalid.clone())?;
        Ok(Self(KeySlot::from_bytes(bytes.try_into().map_err(|_| invalid)?)))
    }
}

pub use eads_domain::life::Life;

/// What is still owed for a notice that one officer issued in an emergency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emergency {
    /// Until when a second officer has to have approved it; then it is suspended.
    pub until: Timestamp,
    /// Who issued it; empty where that is no longer known.
    pub officer: String,
}

/// Head of an own notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnNotice {
    /// What people cite.
    pub reference: String,
    /// Kind.
    pub kind: NoticeKind,
    /// Subject type.
    pub subject: SubjectType,
    /// Where it is in its life.
    pub life: Life,
    /// Version of the latest content.
    pub version: u16,
    /// Index of the latest content (issue or amend).
    pub content_index: u64,
    /// D of the latest content.
    pub content_digest: Hash,
    /// Index of the latest statement of any action.
    pub latest_index: u64,
    /// When it was first issued.
    pub issued: Timestamp,
    /// End of validity of the latest content.
    pub not_after: Timestamp,
    /// The latest end of validity of any version: until then a copy could be shown somewhere.
    pub longest_not_after: Timestamp,
    /// Members to whom the latest content is addressed.
    pub audience: Vec<MemberId>,
    /// Everyone who was ever sent any version.
    pub ever_sent: Vec<MemberId>,
    /// Exercise notice.
    pub exercise: bool,
    /// The statement that ended it may be destroyed: everybody who owed a receipt has given it.
    #[serde(default)]
    pub settled: bool,
    /// There until a second officer has approved what one issued in an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<Emergency>,
}

/// One version of an own notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnVersion {
    /// What the statement does.
    pub action: Action,
    /// Version number that it carries.
    pub version: u16,
    /// Data key of its content.
    pub key: Key,
    /// D.
    pub digest: Hash,
    /// Whether the content is gone here.
    pub destroyed: bool,
    /// Its photographs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<BlobKey>,
}

/// A sealed file that a statement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobKey {
    /// As everybody calls it.
    pub id: BlobId,
    /// The slot whose value names it.
    pub slot: u8,
    /// Data key under which it is sealed here.
    pub key: Key,
}

impl BlobKey {
    /// As the store of sealed files calls it.
    pub fn name(&self) -> BlobName {
        BlobName { key: self.key.into(), id: *self.id.as_bytes() }
    }
}

/// The photographs of a held statement, whether they are here yet or not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBlobs {
    /// The notice.
    pub notice: NoticeId,
    /// D of the statement.
    pub digest: Hash,
    /// The files.
    pub blobs: Vec<BlobKey>,
}

/// What is still to be fetched of a held statement's photographs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobWanted {
    /// How often it failed by the peer's fault.
    pub failures: u32,
    /// Not to be tried again before.
    pub not_before: Timestamp,
    /// The last failure's code.
    pub code: String,
}

/// One entry of a peer's delivery log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryRow {
    /// What is delivered.
    pub kind: DeliveryKind,
    /// Register index of the statement.
    pub index: u64,
    /// Slots that the peer is shown.
    pub slots: SlotSet,
    /// Goes before everything else.
    pub urgent: bool,
    /// Sequence + 1 of the last urgent entry before this one; 0 is none.
    pub urgent_before: u64,
}

impl DeliveryRow {
    /// The one slot of an entry for photographs.
    pub fn blob_slot(&self) -> Option<SlotNumber> {
        self.slots.iter().next().filter(|_| self.kind == DeliveryKind::Blob)
    }
}

/// What a delivery entry delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryKind {
    /// A statement with slots.
    Disclose,
    /// A retract statement.
    Retract,
    /// The photographs of a slot.
    Blob,
    /// Nothing.
    Empty,
}

/// What one peer was sent of one statement, and what it said of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The notice.
    pub notice: NoticeId,
    /// What the statement does.
    pub action: Action,
    /// Version that it carries.
    pub version: u16,
    /// D.
    pub digest: Hash,
    /// Slots shown.
    pub slots: SlotSet,
    /// When it was put into the delivery log.
    pub sent_at: Timestamp,
    /// The latest receipt.
    pub receipt: Option<HoldingReceipt>,
    /// The content was gone before the peer could take it: it never held any, and owes no receipt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undelivered: bool,
    /// When two administrators gave up waiting for its purge receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_off: Option<Timestamp>,
}

impl Holding {
    /// Whether the peer still owes a receipt.
    pub const fn awaits_receipt(&self) -> bool {
        self.receipt.is_none() && !self.undelivered && self.written_off.is_none()
    }

    /// Whether nothing is waited for any more: purged, refused, never delivered, or written off.
    pub fn is_settled(&self) -> bool {
        let answered = self.receipt.and_then(|receipt| ReceiptStatus::from_byte(receipt.status));
        self.undelivered
            || self.written_off.is_some()
            || matches!(answered, Some(ReceiptStatus::Purged | ReceiptStatus::Rejected))
    }
}

/// The latest receipt of a holding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldingReceipt {
    /// Status byte of the receipt (PROTOCOL §5).
    pub status: u8,
    /// Reason code.
    pub reason: u16,
    /// When the peer says it was.
    pub at: Timestamp,
    /// Until when the peer's backups could still hold it; 0 is none declared.
    pub backups_until: Timestamp,
}

/// How far the register and the deliveries of a peer were followed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Followed {
    /// Leaves held and verified.
    pub register_cursor: u64,
    /// Deliveries held.
    pub delivery_cursor: u64,
    /// The compact range of the leaves, in hexadecimal digits.
    pub frontier: String,
    /// The latest verified checkpoint, verbatim.
    pub checkpoint: String,
    /// When it arrived.
    pub heard_at: Timestamp,
}

/// Head of a held notice.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldNotice {
    /// What this node decided about it.
    pub decision: HeldDecision,
    /// The desk decided, not the agreement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_desk: bool,
    /// The owner has suspended it.
    pub suspended: bool,
    /// Index of the content held.
    pub content_index: u64,
    /// D of the content held.
    pub content_digest: Hash,
    /// Version of the content held.
    pub version: u16,
    /// Index of the latest statement applied.
    pub latest_index: u64,
    /// Data key of the content.
    pub key: Key,
    /// Slots shown to this node.
    pub slots: SlotSet,
    /// Kind.
    pub kind: NoticeKind,
    /// Subject type.
    pub subject: SubjectType,
    /// When the content was issued, by the owner's clock.
    pub issued: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// The latest end of validity of any version held.
    pub longest_not_after: Timestamp,
    /// Exercise notice.
    pub exercise: bool,
}

/// Whether the owner has suspended a notice; it can arrive before the notice does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnersState {
    /// Index of the statement that says so.
    pub index: u64,
    /// Suspended, or resumed.
    pub suspended: bool,
}

/// What this node decided about a held notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldDecision {
    /// May be acted on.
    Actionable,
    /// Waits for the desk.
    Quarantined,
}

/// What remains of a withdrawn notice, for ever: it blocks resurrection.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Index of the withdrawal.
    pub index: u64,
    /// When the content was destroyed here.
    pub purged_at: Timestamp,
    /// Until when a copy could still be valid by its own word.
    pub keep_until: Timestamp,
}

/// What was answered to one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The notice.
    pub notice: NoticeId,
    /// Place in the delivery log of what was answered: an earlier entry is a duplicate.
    pub sequence: u64,
    /// Status byte of the receipt (PROTOCOL §5).
    pub status: u8,
    /// Reason code.
    pub reason: u16,
    /// D of the statement.
    pub digest: Hash,
    /// Slots that were shown.
    pub slots: SlotSet,
    /// When.
    pub at: Timestamp,
}

/// Something whose data keys wait to be destroyed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PurgeJob {
    /// Every content of an own notice that has ended; its state changes too once all receipts are in.
    Own {
        /// The notice.
        notice: NoticeId,
    },
    /// The content of one statement that was held for a peer; a purge receipt is owed.
    Held {
        /// Whose statement.
        origin: MemberId,
        /// Its index.
        index: u64,
        /// Its D.
        digest: Hash,
        /// Slots that were held.
        slots: SlotSet,
        /// Why, as a receipt's reason.
        reason: u16,
        /// Its data key.
        key: Key,
        /// Its photographs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        blobs: Vec<BlobKey>,
    },
    /// A photograph, own or held, that nothing names any more.
    Blob {
        /// Which.
        blob: BlobKey,
    },
    /// A key of something that was never sent.
    Key {
        /// The key.
        key: Key,
    },
}

impl PurgeJob {
    /// The key of its row: the same job twice is one row.
    pub fn row_key(&self) -> Vec<u8> {
        match self {
            Self::Own { notice } => [b"n".as_slice(), notice.as_bytes()].concat(),
            Self::Held { key, .. } | Self::Key { key } | Self::Blob { blob: BlobKey { key, .. } } => {
                [b"k".as_slice(), &KeySlot::from(*key).to_bytes()].concat()
            }
        }
    }
}
