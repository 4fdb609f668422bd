//! What a court or an order asks of a node: proofs about one notice, evidence holds, purges that never came.
//!
//! What this promises:
//! * A pack is made of what was signed, byte for byte, and verifies without this node ([`eads_domain::court_pack`]).
//! * A hold keeps content from being destroyed and from nothing else: what has ended stays out of force, out of every
//!   search and list, and is opened to auditors alone. It takes two administrators to place and to end.
//! * While a peer's content is held here, its purge receipt is not given: its owner is told of the order instead.
//! * A peer that never receipts is named with the time since when it owes, and can be written off by two
//!   administrators; the writing off is on record and no receipt.

mod case_id;
mod hold;
mod keep;
mod known;
mod owed;
mod pack;
mod pack_parts;
mod sealed;
mod write_off;

pub use case_id::CaseId;
pub(crate) use hold::Court;
pub use hold::{Hold, HoldRequest, HoldState, HoldTarget};
pub(crate) use owed::owed_since;
pub use pack::PackRequest;
pub(crate) use sealed::OnFile;
