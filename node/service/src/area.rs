//! The areas of the store and the keys in them. An area's number and version are part of the format.
//!
//! Integers in keys are big-endian, so that the order of keys is the order of numbers. Keys hold random
//! identifiers, member ids and indexes only; what identifies a person appears as an HMAC.

use eads_domain::id::{BlobId, Hash, MemberId, NoticeId};
use eads_store::port::Area;

/// Single values of the node: see [`meta`].
pub const META: Area = Area::new(1, 1, "meta");
/// Own register: index → leaf, action, notice.
pub const OWN_ENTRY: Area = Area::new(2, 1, "own-entry");
/// Own statements with everything that opens them, sealed: index.
pub const OWN_CONTENT: Area = Area::new(3, 1, "own-content");
/// Own notices: notice → head.
pub const OWN_NOTICE: Area = Area::new(4, 1, "own-notice");
/// Versions of own notices: notice ‖ index.
pub const OWN_VERSION: Area = Area::new(5, 1, "own-version");
/// References of own and held notices, as HMAC → owner ‖ notice.
pub const REFERENCE: Area = Area::new(6, 1, "reference");
/// Drafts, sealed: draft.
pub const DRAFT: Area = Area::new(7, 1, "draft");
/// Delivery logs: peer ‖ sequence.
pub const DELIVERY: Area = Area::new(8, 1, "delivery");
/// What each peer was sent and has receipted: index ‖ peer.
pub const HOLDING: Area = Area::new(9, 1, "holding");
/// Receipts as they were signed: peer ‖ digest.
pub const RECEIPT: Area = Area::new(10, 1, "receipt");
/// Peers: member → card, state, agreement.
pub const PEER: Area = Area::new(11, 1, "peer");
/// Large parts of a peer's row: member ‖ part.
pub const PEER_PART: Area = Area::new(12, 1, "peer-part");
/// Leaves of peers' registers in runs: origin ‖ first index.
pub const LEAVES: Area = Area::new(13, 1, "leaves");
/// How far each peer's register was followed: origin.
pub const FOLLOWED: Area = Area::new(14, 1, "followed");
/// Held notices: origin ‖ notice → head.
pub const HELD_NOTICE: Area = Area::new(15, 1, "held-notice");
/// Held statements with what was shown of them, sealed: origin ‖ index.
pub const HELD_CONTENT: Area = Area::new(16, 1, "held-content");
/// Withdrawal marks: origin ‖ notice.
pub const MARK: Area = Area::new(17, 1, "mark");
/// Receipts that this node owes: origin ‖ sequence.
pub const OWED: Area = Area::new(18, 1, "owed");
/// What was answered to a statement: origin ‖ index, so that a duplicate gets the same answer.
pub const ANSWERED: Area = Area::new(19, 1, "answered");
/// Data keys waiting to be destroyed: bucket ‖ slot.
pub const PURGE: Area = Area::new(20, 1, "purge");
/// Ends of validity: not_after ‖ owner ‖ notice.
pub const EXPIRY: Area = Area::new(21, 1, "expiry");
/// National records, sealed: HMAC of source and key.
pub const RECORD: Area = Area::new(22, 1, "record");
/// Interrupted imports: digest of the file.
pub const IMPORT: Area = Area::new(23, 1, "import");
/// Which entry of a published list became which notice: HMAC of list and key.
pub const LISTED: Area = Area::new(24, 1, "listed");
/// Approvals of a peer's agreement by a first administrator: member.
pub const PEER_PENDING: Area = Area::new(25, 1, "peer-pending");
/// Whether the owner of a notice has suspended it: origin ‖ notice.
pub const OWNERS_STATE: Area = Area::new(26, 1, "owners-state");
/// Own checkpoints as peers cosigned them: peer.
pub const COSIGNED: Area = Area::new(40, 1, "cosigned");
/// Checkpoints of an origin as other members hold them: origin ‖ teller.
pub const WITNESSED: Area = Area::new(41, 1, "witnessed");
/// Kept proofs that a register has forked: member.
pub const FORK: Area = Area::new(42, 1, "fork");
/// A first administrator's word that a freeze be taken back: member.
pub const UNFREEZE: Area = Area::new(43, 1, "unfreeze");
/// Own entries whose content was lost: index.
pub const OPAQUE: Area = Area::new(44, 1, "opaque");
/// Own notices that a peer says were withdrawn or suspended by an entry that was lost: notice.
pub const RECALLED: Area = Area::new(45, 1, "recalled");
/// Own photographs, sealed under their own keys: blob → what it is.
pub const BLOB: Area = Area::new(50, 1, "blob");
/// Own photographs that no draft names yet: time of upload ‖ blob.
pub const BLOB_LOOSE: Area = Area::new(51, 1, "blob-loose");
/// Own statements with photographs: D → index.
pub const BLOB_STATEMENT: Area = Area::new(52, 1, "blob-statement");
/// Photographs of held statements: origin ‖ index.
pub const HELD_BLOBS: Area = Area::new(53, 1, "held-blobs");
/// Held statements whose photographs are not all here: origin ‖ index.
pub const BLOB_WANTED: Area = Area::new(54, 1, "blob-wanted");
/// What the desk decided about a held notice: origin ‖ notice.
pub const DESK: Area = Area::new(85, 1, "desk");
/// Notices and records that seem to mean one person, as suspect and as victim: the one ‖ the other.
pub const COLLISION: Area = Area::new(86, 1, "collision");
/// Notices that are still to be compared with the others, or that have ended: owner ‖ notice.
pub const SCREEN: Area = Area::new(87, 1, "screen");
/// Challenges against notices, sealed: owner ‖ notice ‖ challenge.
pub const CHALLENGE: Area = Area::new(88, 1, "challenge");
/// Where a peer stands in the own register, as its last sync file said: member.
pub const PEER_POSITION: Area = Area::new(60, 1, "peer-position");
/// Own notices that one officer issued in an emergency: when the second officer's time is over ‖ notice.
pub const EMERGENCY: Area = Area::new(80, 1, "emergency");
/// Officers with their certificates, sealed: random identifier.
pub const OFFICER: Area = Area::new(75, 1, "officer");
/// Enrolments that wait for a second administrator, sealed: random identifier.
pub const OFFICER_PENDING: Area = Area::new(76, 1, "officer-pending");
/// Auditors' signatures over the audit log: sequence ‖ first 8 bytes of the certificate's digest.
pub const AUDIT_COUNTERSIGNATURE: Area = Area::new(100, 1, "audit-countersignature");

/// Own cards, sealed: sequence → index of the key-change, card.
pub const OWN_CARD: Area = Area::new(95, 1, "own-card");
/// A first administrator's word that a peer's new register be followed: member.
pub const REBASELINE: Area = Area::new(96, 1, "rebaseline");
/// Registers of peers that are followed no more: member ‖ time.
pub const FORMER_REGISTER: Area = Area::new(97, 1, "former-register");
/// Peers of whose old register there still is something to be destroyed: member.
pub const FORGETTING: Area = Area::new(98, 1, "forgetting");
/// Evidence holds, sealed: hold.
pub const HOLD: Area = Area::new(105, 1, "hold");
/// A first administrator's word that a purge receipt will not come: notice ‖ member.
pub const WRITE_OFF: Area = Area::new(106, 1, "write-off");
/// Access requests of persons, sealed: request.
pub const SUBJECT_REQUEST: Area = Area::new(107, 1, "subject-request");
/// Marks of persons who are taken for others, sealed: mark.
pub const NOT_THIS_PERSON: Area = Area::new(108, 1, "not-this-person");

/// Keys in [`META`].
pub mod meta {
    /// The own latest signed checkpoint.
    pub const CHECKPOINT: &[u8] = b"checkpoint";
    /// The last entry that was removed from the audit log at the end of its retention, JSON.
    pub const AUDIT_BASE: &[u8] = b"audit-base";
    /// Set by a restore, JSON: nothing is answered or delivered before a peer has been heard, which clears it.
    pub const RESTORED: &[u8] = b"restored";
    /// Every notice that was there when this node learned to compare them has been put up for it. Not in backups: a
    /// restored node compares anew.
    pub const SCREENED: &[u8] = b"screened";
    /// Where the recovered tail of the own register begins, and which peers have given back what they hold of it.
    pub const RECOVERED: &[u8] = b"recovered";
}

/// `index`
pub fn index(index: u64) -> Vec<u8> {
    index.to_be_bytes().to_vec()
}

/// `member ‖ number`
pub fn member_number(member: MemberId, number: u64) -> Vec<u8> {
    [member.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// `member ‖ notice`
pub fn member_notice(member: MemberId, notice: NoticeId) -> Vec<u8> {
    [member.as_bytes().as_slice(), notice.as_bytes()].concat()
}

/// `notice ‖ index`
pub fn notice_index(notice: NoticeId, index: u64) -> Vec<u8> {
    [notice.as_bytes().as_slice(), &index.to_be_bytes()].concat()
}

/// `index ‖ member`
pub fn index_member(index: u64, member: MemberId) -> Vec<u8> {
    [index.to_be_bytes().as_slice(), member.as_bytes()].concat()
}

/// `member ‖ first 16 bytes of a digest`
pub fn member_digest(member: MemberId, digest: Hash) -> Vec<u8> {
    [member.as_bytes().as_slice(), digest.as_bytes().get(..16).unwrap_or_default()].concat()
}

/// `not_after ‖ member ‖ notice`; times before 1970 do not occur in notices.
pub fn expiry(not_after: i64, member: MemberId, notice: NoticeId) -> Vec<u8> {
    [not_after.max(0).to_be_bytes().as_slice(), member.as_bytes(), notice.as_bytes()].concat()
}

/// `time ‖ notice`
pub fn time_notice(time: i64, notice: NoticeId) -> Vec<u8> {
    [time.max(0).to_be_bytes().as_slice(), notice.as_bytes()].concat()
}

/// `time ‖ blob`; there are no uploads from before 1970.
pub fn loose(uploaded: i64, blob: BlobId) -> Vec<u8> {
    [uploaded.max(0).to_be_bytes().as_slice(), blob.as_bytes()].concat()
}

/// The last eight bytes of a key as a number.
pub fn trailing_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}
