//! What stands behind the detail digest of retract, key-change and anchor.

use crate::code::{Code, Coded, Fault};
use crate::encode::{Reader, sha256_pae};
use crate::id::Hash;
use crate::slot::SlotSet;

const RETRACT_LABEL: &[u8] = b"eads/v1/retract";
const CARD_LABEL: &[u8] = b"eads/v1/card";
const ANCHOR_LABEL: &[u8] = b"eads/v1/anchor";
const ENTRY_LEN: usize = 16;

/// Which statements are narrowed and what may still be held of each: (register index, slots still allowed).
///
/// An empty slot set means that everything of that statement must go. Indexes ascend and occur once, so that
/// a retraction has one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetractDetail(Vec<(u64, SlotSet)>);

impl RetractDetail {
    /// The most statements that one retraction speaks of.
    pub const MAX_ENTRIES: usize = 4096;

    /// From its entries in any order.
    ///
    /// # Errors
    /// [`InvalidDetail`] if there are none, too many, or two for one index.
    pub fn new(mut entries: Vec<(u64, SlotSet)>) -> Result<Self, InvalidDetail> {
        entries.sort_unstable_by_key(|(index, _)| *index);
        Self::from_sorted(entries)
    }

    fn from_sorted(entries: Vec<(u64, SlotSet)>) -> Result<Self, InvalidDetail> {
        if entries.is_empty() || entries.len() > Self::MAX_ENTRIES {
            return Err(InvalidDetail::Count);
        }
        if entries.is_sorted_by(|(a, _), (b, _)| a < b) { Ok(Self(entries)) } else { Err(InvalidDetail::Order) }
    }

    /// The entries, by ascending index.
    pub fn entries(&self) -> &[(u64, SlotSet)] {
        &self.0
    }

    /// What may still be held of the statement at `index`, if this retraction speaks of it.
    pub fn allowed(&self, index: u64) -> Option<SlotSet> {
        let at = self.0.binary_search_by_key(&index, |(each, _)| *each).ok()?;
        self.0.get(at).map(|(_, slots)| *slots)
    }

    /// The bytes that travel beside the statement: (u64 index ‖ u64 slots)*.
    pub fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(index, slots)| [index.to_be_bytes(), slots.bits().to_be_bytes()]).flatten().collect()
    }

    /// Reads those bytes.
    ///
    /// # Errors
    /// [`InvalidDetail`] for another length, order or count, or bits beyond slot 47.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidDetail> {
        if bytes.len() > ENTRY_LEN * Self::MAX_ENTRIES {
            return Err(InvalidDetail::Count);
        }
        let mut reader = Reader::new(bytes);
        let mut entries = Vec::with_capacity(bytes.len() / ENTRY_LEN);
        while reader.remaining() > 0 {
            let index = reader.u64().map_err(|_| InvalidDetail::Length)?;
            let bits = reader.u64().map_err(|_| InvalidDetail::Length)?;
            entries.push((index, SlotSet::from_bits(bits).ok_or(InvalidDetail::Slots)?));
        }
        Self::from_sorted(entries)
    }

    /// The payload's detail: SHA-256(PAE("eads/v1/retract", entries)).
    pub fn digest(&self) -> Hash {
        sha256_pae(&[RETRACT_LABEL, &self.encode()])
    }
}

/// The detail of a key-change: the digest of the new card, SHA-256(PAE("eads/v1/card", card)).
pub fn key_change_digest(card: &[u8]) -> Hash {
    sha256_pae(&[CARD_LABEL, card])
}

/// The detail of an anchor over an encoded audit head or blind-table header:
/// SHA-256(PAE("eads/v1/anchor", head)).
pub fn anchor_digest(head: &[u8]) -> Hash {
    sha256_pae(&[ANCHOR_LABEL, head])
}

/// Why bytes are not a retraction's detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDetail {
    /// Not a multiple of 16 bytes.
    #[error("a retraction's detail is a list of 16-byte entries")]
    Length,
    /// None, or above [`RetractDetail::MAX_ENTRIES`].
    #[error("a retraction names 1 to {} statements", RetractDetail::MAX_ENTRIES)]
    Count,
    /// Not ascending, or one index twice.
    #[error("a retraction's indexes ascend and occur once")]
    Order,
    /// Bits beyond slot 47.
    #[error("a retraction names slots that do not exist")]
    Slots,
}

impl Coded for InvalidDetail {
    fn code(&self) -> Code {
        match self {
            Self::Length => Code::new("RETRACT_LENGTH"),
            Self::Count => Code::new("RETRACT_COUNT"),
            Self::Order => Code::new("RETRACT_ORDER"),
            Self::Slots => Code::new("RETRACT_SLOTS"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}
