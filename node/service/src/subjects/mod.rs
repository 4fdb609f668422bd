//! The rights of those whom data is about: access requests, and marks against mistaking one person for another.
//!
//! What this promises:
//! * An access request is on file with its deadline, sealed; an alarm comes before the deadline and stays after it
//!   until an answer is recorded.
//! * What is found for it is everything that is held here, whatever its state, and every look-up of the person whose
//!   question can still be read, compared as a search compares names. What could not be compared is counted.
//! * A mark hides nothing: a hit on a marked namesake is still shown, last, with the mark's word on it. It has an end.

mod described;
mod extra;
mod find;
mod not_this_person;
mod request;

pub(crate) use described::parse as parse_described;
pub use find::{FoundHolding, FoundLookup, SubjectFinding};
pub(crate) use not_this_person::Marks;
pub use not_this_person::{NewMark, NotThisPerson};
pub(crate) use request::Requests;
pub use request::{AccessRequest, Decision, NewAccessRequest, RequestState};

/// What is kept in memory of both.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    pub(crate) requests: Requests,
    pub(crate) marks: Marks,
}

impl crate::node::Node {
    /// Reads both back at the start.
    pub(crate) async fn load_subjects(&self) -> Result<(), crate::error::ServiceError> {
        self.load_requests().await?;
        self.load_marks().await
    }
}
