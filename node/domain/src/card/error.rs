//! What can be wrong with a card.

use crate::code::{Code, Coded, Fault};
use crate::encode::Misread;

/// A card that is not taken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not the text form.
    #[error("not exactly one block -----BEGIN EADS CARD-----")]
    Armor,
    /// Above the bound.
    #[error("the card is larger than {} bytes", super::MAX_CARD_BYTES)]
    TooLarge,
    /// Not the canonical encoding.
    #[error("the card is cut off, has bytes after its end, or is not in canonical form")]
    Malformed,
    /// A later format.
    #[error("the card has format version {0}, which this version does not know; upgrade the node")]
    Version(u8),
    /// A member id that is not well formed.
    #[error("the card's member id is not well formed")]
    Member,
    /// A standing that does not exist.
    #[error("the standing is not member, partner or observer")]
    Standing,
    /// A text that is empty, too long, not NFC, or has invisible characters.
    #[error("a text is empty, too long, not in Unicode form NFC, or has control or direction characters")]
    Text,
    /// An endpoint that is not `host:port`.
    #[error("an endpoint is not of the form host:port in lower case, or stands twice")]
    Endpoint,
    /// An anchor that is no CA certificate.
    #[error("a trust anchor is not the DER certificate of a CA of at most {} bytes", super::field::MAX_ANCHOR_BYTES)]
    Anchor,
    /// No TLS anchor.
    #[error("the card has no TLS anchor")]
    NoAnchor,
    /// Too many entries in a list.
    #[error("a list on the card has more than {} entries", super::MAX_ENTRIES)]
    TooMany,
    /// A protocol range that is empty.
    #[error("the protocol range is empty or starts at 0")]
    Protocol,
    /// Sequence and previous digest do not fit each other.
    #[error("a first card has sequence 1 and no previous digest; every other has both")]
    Sequence,
    /// A key that verifies more than its owner signed.
    #[error("a key is of small order or not in canonical form")]
    WeakKey,
    /// One key for two tasks.
    #[error("signing key, cosigner key and next signing key must differ")]
    KeyReused,
    /// Signing with another key than the card names.
    #[error("a card is signed by the key that it names")]
    KeyMismatch,
    /// Signature not valid under the key that the card names.
    #[error("the card's signature does not verify under the key that it names")]
    Signature,
    /// Another member's card.
    #[error("the card is of another member")]
    OtherMember,
    /// Older than the card that is held.
    #[error("the card is older than the one that is held")]
    Replayed,
    /// Another card under the same sequence number or predecessor.
    #[error("the card contradicts the one that is held: its owner signed two different cards for one place")]
    Forked,
    /// Cards in between are missing.
    #[error("cards between the one that is held and this one are missing")]
    Gap,
    /// Another register.
    #[error("the card names another register; its member has to be accepted anew")]
    OtherRegister,
    /// A new signing key that was not announced.
    #[error("the signing key is not the one that the card before announced; its member has to be accepted anew")]
    KeyNotAnnounced,
    /// A new announcement without a rotation.
    #[error("the announced next signing key may change only together with the signing key")]
    AnnouncementChanged,
    /// A stolen key is stated without a rotation away from it.
    #[error("a card says that a key was stolen only where it replaces that key")]
    Compromise,
}

impl Coded for CardError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Armor => "CARD_ARMOR",
            Self::TooLarge => "CARD_TOO_LARGE",
            Self::Malformed => "CARD_MALFORMED",
            Self::Version(_) => "CARD_VERSION",
            Self::Member => "CARD_MEMBER",
            Self::Standing => "CARD_STANDING",
            Self::Text => "CARD_TEXT",
            Self::Endpoint => "CARD_ENDPOINT",
            Self::Anchor => "CARD_ANCHOR",
            Self::NoAnchor => "CARD_NO_ANCHOR",
            Self::TooMany => "CARD_TOO_MANY",
            Self::Protocol => "CARD_PROTOCOL",
            Self::Sequence => "CARD_SEQUENCE",
            Self::WeakKey => "CARD_WEAK_KEY",
            Self::KeyReused => "CARD_KEY_REUSED",
            Self::KeyMismatch => "CARD_KEY_MISMATCH",
            Self::Signature => "CARD_SIGNATURE",
            Self::OtherMember => "CARD_OTHER_MEMBER",
            Self::Replayed => "CARD_REPLAYED",
            Self::Forked => "CARD_FORKED",
            Self::Gap => "CARD_GAP",
            Self::OtherRegister => "CARD_OTHER_REGISTER",
            Self::KeyNotAnnounced => "CARD_KEY_NOT_ANNOUNCED",
            Self::AnnouncementChanged => "CARD_ANNOUNCEMENT_CHANGED",
            Self::Compromise => "CARD_COMPROMISE",
        })
    }

    fn fault(&self) -> Fault {
        match self {
            Self::KeyMismatch | Self::Armor => Fault::Caller,
            _ => Fault::Peer,
        }
    }
}

impl From<Misread> for CardError {
    fn from(_: Misread) -> Self {
        Self::Malformed
    }
}
