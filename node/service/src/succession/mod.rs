//! How a member's card and signing key change: its own, and those of its peers (PROTOCOL §7).
//!
//! What this promises:
//! * Every card that was ever in force here is kept, with the register entry that belongs to it; a follower that was
//!   away over several of them gets all, in order, before anything that they are needed for.
//! * A peer's card takes the place of the one before only if it succeeds it, and one with another signing key only
//!   with the key-change entry of the peer's register. What is replayed, forked, skips or is wrongly signed changes
//!   nothing, is audited and raises an alarm.
//! * What an earlier key signed stays verifiable; after a theft that is what was held before it was stated.

mod adopt;
mod own;
mod rebaseline;
mod rotate;

pub(crate) use own::recall;
pub use own::{CardStep, KeyChange, own_keys};
pub use rebaseline::FormerRegister;
pub use rotate::{Compromise, Rotation};
