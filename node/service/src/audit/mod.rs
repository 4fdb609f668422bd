//! The audit log: who asked what, for which purpose, and what was shown, on this side of every exchange.
//!
//! An *intent* is durable before anything is done; an *outcome* is durable before anything is shown. An intent
//! without an outcome reads "may have been shown". The log is a hash-chained journal of its own; if it cannot
//! be written, nothing is answered.

mod concerning;
mod day_keys;
mod entry;
mod log;
mod raw;
mod upkeep;

pub(crate) use concerning::Concerning;
pub use entry::{Actor, Entry, EntryKind, Shown};
pub use log::{AuditLog, AuditVerification, Intent, Listed};
