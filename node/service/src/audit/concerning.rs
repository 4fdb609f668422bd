//! Entries that concern something, with what shows their step in the chain.

use std::collections::BTreeSet;

use eads_domain::id::Hash;

use super::log::parse;
use super::{AuditLog, Entry};
use crate::error::ServiceError;

/// Entries as they were written, each with the chain on both sides of it.
#[derive(Debug)]
pub(crate) struct Concerning {
    /// Sequence, chain before, bytes, chain after; in order.
    pub(crate) entries: Vec<(u64, Hash, Vec<u8>, Hash)>,
    /// There were more than were asked for, or the chain before one is not known any more.
    pub(crate) truncated: bool,
    /// The last entry of the log and the chain after it.
    pub(crate) head: (u64, Hash),
}

impl AuditLog {
    /// The first `most` entries that are `wanted`, together with the intents and outcomes that belong to them.
    /// Reads the whole log twice: blocking.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn concerning(&self, most: usize, wanted: impl Fn(&Entry) -> bool) -> Result<Concerning, ServiceError> {
        let head = self.head();
        let mut sequences = BTreeSet::new();
        for record in self.records(0, u64::MAX)? {
            let (sequence, entry, _) = record?;
            let follows = entry.intent.is_some_and(|intent| sequences.contains(&intent));
            if follows || wanted(&entry) {
                sequences.insert(sequence);
                sequences.extend(entry.intent);
            }
        }
        let mut found = Concerning { entries: Vec::new(), truncated: sequences.len() > most, head };
        let origin = self.journal.origin();
        let mut before = Some((origin.sequence, origin.chain));
        for record in self.journal.replay(self.first())? {
            let record = record?;
            let known = before.filter(|(sequence, _)| sequence + 1 == record.sequence);
            before = Some((record.sequence, record.chain));
            if record.sequence > head.0 || found.entries.len() == most || !sequences.contains(&record.sequence) {
                continue;
            }
            // What cannot be read was refused by the first walk.
            parse(&record.payload)?;
            match known {
                Some((_, chain)) => found.entries.push((record.sequence, chain, record.payload, record.chain)),
                None => found.truncated = true,
            }
        }
        Ok(found)
    }
}
