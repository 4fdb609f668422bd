//! Why a content is not one that may be signed or accepted.

use super::{Check, InvalidSlot, SlotNumber};
use crate::code::{Code, Coded, Fault};
use crate::subject::{InvalidSubject, NoticeKind, SubjectType};
use crate::value::{InvalidText, InvalidValue};

/// Why a content is not one that may be signed or accepted. Names fields, never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// There is no such kind of notice about such a subject.
    #[error("there is no {kind} notice about a {subject}")]
    KindNotForSubject {
        /// The subject type.
        subject: SubjectType,
        /// The kind.
        kind: NoticeKind,
    },
    /// Subject type or kind is missing or unknown.
    #[error(transparent)]
    Subject(#[from] InvalidSubject),
    /// Not a field of this subject.
    #[error("a {subject} has no field \"{name}\"")]
    UnknownField {
        /// The subject type.
        subject: SubjectType,
        /// The name as given, shortened.
        name: String,
    },
    /// A number that this subject does not use.
    #[error("a {subject} has no slot {slot}")]
    UnknownSlot {
        /// The subject type.
        subject: SubjectType,
        /// The number.
        slot: SlotNumber,
    },
    /// A number beyond the slots.
    #[error(transparent)]
    SlotNumber(#[from] InvalidSlot),
    /// The kind must say it.
    #[error("{field} is required; say {{ unknown = true }} if it is not known")]
    Required {
        /// The field.
        field: &'static str,
    },
    /// Mandatory in every notice, and nobody else can know it.
    #[error("{field} must be stated; it cannot be unknown")]
    MustBeKnown {
        /// The field.
        field: &'static str,
    },
    /// The kind may not carry it.
    #[error("{field} is not allowed in a {kind} notice")]
    NotAllowed {
        /// The field.
        field: &'static str,
        /// The kind.
        kind: NoticeKind,
    },
    /// Set by the node, not by a draft.
    #[error("{field} is set by the node")]
    SetByNode {
        /// The field.
        field: &'static str,
    },
    /// A suspension, resumption or withdrawal says nothing about the subject.
    #[error("{field} does not belong into a suspension, resumption or withdrawal")]
    NotInStateChange {
        /// The field.
        field: &'static str,
    },
    /// Another sort of value.
    #[error("{field} is {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// What belongs there, in words.
        expected: String,
    },
    /// The right sort, in another than its one form.
    #[error("{field} is not written in its form: {expected}")]
    Form {
        /// The field.
        field: &'static str,
        /// The form, in words.
        expected: String,
    },
    /// A code that the table does not list.
    #[error("{field} has a code that does not exist: {expected}")]
    Code {
        /// The field.
        field: &'static str,
        /// The codes, in words.
        expected: String,
    },
    /// A part that the field does not have.
    #[error("{field} has a part that does not exist: {expected}")]
    Part {
        /// The field.
        field: &'static str,
        /// The parts, in words.
        expected: String,
    },
    /// An empty list or table where one says nothing.
    #[error("{field} is empty: leave it out instead")]
    Empty {
        /// The field.
        field: &'static str,
    },
    /// The same item twice.
    #[error("{field} lists the same item twice")]
    Duplicate {
        /// The field.
        field: &'static str,
    },
    /// Not a text that can be signed.
    #[error("{field}: {source}")]
    Text {
        /// The field.
        field: &'static str,
        /// Why.
        source: InvalidText,
    },
    /// Not a date.
    #[error("{field}: {source}")]
    Date {
        /// The field.
        field: &'static str,
        /// Why.
        source: crate::value::InvalidDate,
    },
    /// Beyond the bounds of a value, or not canonical.
    #[error("{field}: {source}")]
    Value {
        /// The field.
        field: &'static str,
        /// Why.
        source: InvalidValue,
    },
    /// All values together are too long.
    #[error("the notice is longer than {max} bytes without its photographs")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// H3 without its text, or a text without H3.
    #[error("handling code H3 says in words what it restricts, the others have no text")]
    HandlingText,
    /// Suspended or withdrawn for no reason.
    #[error("a suspension or withdrawal states at least one reason")]
    ReasonRequired,
    /// Marked as issued by one officer where two must have acted.
    #[error("only a first version can be an emergency: whatever follows it takes a second officer")]
    EmergencyNotFirst,
    /// A charge that reads as if article 3 of INTERPOL's constitution were concerned, without the mark.
    #[error("a charge reads as political, military, religious or racial: mark the notice for legal review")]
    LegalReviewUnmarked,
    /// A pre-issue check of its kind.
    #[error("{0}")]
    Check(&'static Check),
}

impl ContentError {
    /// What would mend it, where more can be said than the text says.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Check(check) => Some(check.hint),
            Self::LegalReviewUnmarked => Some("add \"legal-review\" to reasons: the approver then states the outcome"),
            _ => None,
        }
    }

    /// The field that it is about, where it is about one.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Required { field }
            | Self::MustBeKnown { field }
            | Self::NotAllowed { field, .. }
            | Self::SetByNode { field }
            | Self::NotInStateChange { field }
            | Self::Type { field, .. }
            | Self::Form { field, .. }
            | Self::Code { field, .. }
            | Self::Part { field, .. }
            | Self::Empty { field }
            | Self::Duplicate { field }
            | Self::Text { field, .. }
            | Self::Date { field, .. }
            | Self::Value { field, .. } => Some(field),
            Self::HandlingText => Some("handling"),
            Self::ReasonRequired => Some("reasons"),
            Self::EmergencyNotFirst | Self::LegalReviewUnmarked => Some("reasons"),
            Self::Check(check) => Some(check.field),
            Self::KindNotForSubject { .. } | Self::Subject(_) => Some("kind"),
            Self::UnknownField { .. } | Self::UnknownSlot { .. } | Self::SlotNumber(_) | Self::TooLarge { .. } => None,
        }
    }
}

impl Coded for ContentError {
    fn code(&self) -> Code {
        match self {
            Self::KindNotForSubject { .. } => Code::new("KIND_NOT_FOR_SUBJECT"),
            Self::Subject(error) => error.code(),
            Self::UnknownField { .. } | Self::UnknownSlot { .. } => Code::new("FIELD_UNKNOWN"),
            Self::SlotNumber(error) => error.code(),
            Self::Required { .. } => Code::new("FIELD_REQUIRED"),
            Self::MustBeKnown { .. } => Code::new("FIELD_MUST_BE_KNOWN"),
            Self::NotAllowed { .. } => Code::new("FIELD_NOT_ALLOWED"),
            Self::SetByNode { .. } => Code::new("FIELD_SET_BY_NODE"),
            Self::NotInStateChange { .. } => Code::new("FIELD_NOT_IN_STATE_CHANGE"),
            Self::Type { .. } => Code::new("FIELD_TYPE"),
            Self::Form { .. } => Code::new("FIELD_FORM"),
            Self::Code { .. } => Code::new("FIELD_CODE"),
            Self::Part { .. } => Code::new("FIELD_PART"),
            Self::Empty { .. } => Code::new("FIELD_EMPTY"),
            Self::Duplicate { .. } => Code::new("FIELD_DUPLICATE"),
            Self::Text { source, .. } => source.code(),
            Self::Date { source, .. } => source.code(),
            Self::Value { source, .. } => source.code(),
            Self::TooLarge { .. } => Code::new("CONTENT_TOO_LARGE"),
            Self::HandlingText => Code::new("HANDLING_TEXT"),
            Self::ReasonRequired => Code::new("REASON_REQUIRED"),
            Self::EmergencyNotFirst => Code::new("EMERGENCY_NOT_FIRST"),
            Self::LegalReviewUnmarked => Code::new("LEGAL_REVIEW_UNMARKED"),
            Self::Check(check) => Code::new(check.code),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
