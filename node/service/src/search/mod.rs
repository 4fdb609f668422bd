//! Searching: what this member holds, what it answers to peers, and what it asks of them.

mod answer;
mod federate;
mod index;
mod local;
mod rate;

pub(crate) use answer::Outcomes;
#[cfg(test)]
pub(crate) use answer::describe;
pub use federate::{FederatedSearch, Outcome, SourceAnswer};
pub(crate) use index::{Indexes, Searchable, sides_of};
pub(crate) use local::fields;
pub(crate) use rate::Rates;
