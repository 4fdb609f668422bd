//! Finds entries by name or by identifier, and says why each one matched.
//!
//! Promises: a name is found whatever its case, its Latin, Greek, Cyrillic, Arabic or Hebrew marks and the order
//! of its parts, in the script in which it is stored and in one generic romanisation; every match explains its
//! score line by line ([`Reason`]), in words that quote the asker and never the entry; a search is bounded in
//! work and says when it was cut short. Nothing here panics on hostile text.
//!
//! It does not forgive spelling mistakes and knows one romanisation a name. The index lives in memory and is a
//! view: it is filled from elsewhere and forgets an entry, words included, as soon as it is removed.

mod entry;
mod index;
mod normalise;
mod score;

pub use entry::{Entry, EntryId, MAX_NAMES};
pub use index::{Index, Limits, Matches, SearchError};
pub use normalise::{MAX_WORD_CHARS, MAX_WORDS, same_name};
pub use score::{MIN_SCORE, Match, Reason, ReasonCode};
