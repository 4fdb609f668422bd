//! Why a disclosure is not what its statement commits to.

use crate::code::{Code, Coded, Fault};
use crate::slot::{ContentError, SlotNumber};
use crate::statement::Action;
use crate::value::InvalidValue;

/// Why a disclosure is not what its statement commits to, or is not a notice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureError {
    /// The statement's action carries no content.
    #[error("a {0} statement carries no content")]
    NoContent(Action),
    /// More than 48 openings and commitments.
    #[error("a disclosure has more than 48 slots")]
    TooManySlots,
    /// A slot is there twice.
    #[error("slot {0} is disclosed twice")]
    Duplicate(SlotNumber),
    /// A slot is neither opened nor withheld.
    #[error("slot {0} is missing")]
    Missing(SlotNumber),
    /// The openings or commitments are not those that were signed.
    #[error("the slots are not those that the statement commits to")]
    Root,
    /// A mandatory slot is not opened.
    #[error("mandatory slot {0} is withheld")]
    MandatoryWithheld(SlotNumber),
    /// A value is not in its canonical encoding.
    #[error("slot {slot}: {source}")]
    Value {
        /// Which slot.
        slot: SlotNumber,
        /// Why.
        source: InvalidValue,
    },
    /// The values break the rules of their kind; at least one.
    #[error("the content breaks the rules of its kind: {}", first(.0))]
    Content(Vec<ContentError>),
    /// The reference names another member than the origin.
    #[error("the reference is not one of the origin's")]
    ReferenceOfOtherMember,
}

fn first(errors: &[ContentError]) -> String {
    errors.first().map(ToString::to_string).unwrap_or_default()
}

impl Coded for DisclosureError {
    fn code(&self) -> Code {
        match self {
            Self::NoContent(_) => Code::new("DISCLOSURE_NO_CONTENT"),
            Self::TooManySlots => Code::new("DISCLOSURE_TOO_MANY_SLOTS"),
            Self::Duplicate(_) => Code::new("DISCLOSURE_SLOT_TWICE"),
            Self::Missing(_) => Code::new("DISCLOSURE_SLOT_MISSING"),
            Self::Root => Code::new("DISCLOSURE_ROOT_MISMATCH"),
            Self::MandatoryWithheld(_) => Code::new("DISCLOSURE_MANDATORY_WITHHELD"),
            Self::Value { source, .. } => source.code(),
            Self::Content(errors) => errors.first().map_or(Code::new("CONTENT_INVALID"), Coded::code),
            Self::ReferenceOfOtherMember => Code::new("REFERENCE_OTHER_MEMBER"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}
