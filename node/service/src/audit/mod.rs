//! The audit log: who asked what, for which purpose, and what was shown, on this side of every exchange.
//!
//! An *intent* is durable before anything is done; an *outcome* is durable before anything is shown. An intent
//! without an outcome reads "may have been shown". The log is a hash-chained journal of its own; if it cannot
//! be written, nothing is answered.

mod anchors;
mod compare;
mod concerning;
mod countersign;
mod day_keys;
mod export;
mod find;
mod log;
mod raw;
mod retention;
mod tally;
mod upkeep;
mod verify;

pub use eads_domain::audit::{Actor, Countersignature, Entry, EntryKind, FileFormat, Shown};

pub(crate) use anchors::{Anchor, anchors};
pub use compare::{Compared, Exchanged, MatchAsked, MatchPage};
pub(crate) use concerning::Concerning;
pub use export::{ExportAsked, ExportPart};
pub use find::{Filter, Find, Found, Listed};
pub use log::{AuditLog, Intent};
pub(crate) use retention::Base;
pub(crate) use tally::Tally;
pub use verify::{AuditFlaw, AuditVerification};

use crate::error::ServiceError;

/// Reads the log away from the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(read).await.map_err(stopped)?
}

fn stopped(error: tokio::task::JoinError) -> ServiceError {
    ServiceError::internal("AUDIT_READ_STOPPED", "reading the audit log was interrupted").caused_by(error)
}
