//! The 48 slots of a notice: their numbers, the table that says what each may hold, and whole contents.
//!
//! The table is data (`table.toml`), read once. Everything that a draft, a disclosure or a record may say is
//! checked against it, so that minimality is a schema and not a habit (DESIGN §5).

mod checks;
mod content;
mod error;
mod field;
mod fields;
mod number;
mod rules;
#[cfg(test)]
pub(crate) mod samples;
mod shape;
mod table;

#[cfg(test)]
mod tests;

pub use checks::{CHECKS, Check, is_minor, needs_legal_review, whereabouts};
pub use content::Content;
pub use error::ContentError;
pub use field::FieldInput;
pub use fields::{EMERGENCY, Fields, LEGAL_REVIEW, SearchKeys};
pub use number::{InvalidSlot, SLOTS, SlotNumber, SlotSet};
pub(crate) use rules::{Stage, check as check_fields};
pub use shape::{CodeList, Part, Scalar, Shape};
pub use table::{RetentionClass, SearchRole, SlotSpec, SlotTable, SlotTableError};

/// The version of the slot table that this program writes and reads; it stands in every statement.
pub const SCHEMA: u16 = 2;
