//! Writing, reading and verifying the log.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use eads_domain::clock::Clock;
use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, RequestId};
use eads_store::journal::{Journal, JournalOptions};
use eads_store::keys::KeyTree;

use super::day_keys::DayKeys;
use super::{Entry, EntryKind, Shown};
use crate::error::ServiceError;

/// The label that separates this journal's chain from any other.
pub(super) const LABEL: &str = "eads/v1/audit";

/// An intent that is durable and waits for its outcome.
#[derive(Debug)]
#[must_use = "an intent without an outcome reads as unfinished"]
pub struct Intent {
    sequence: u64,
    entry: Entry,
}

/// The log. Clones are the same log.
#[derive(Clone, Debug)]
pub struct AuditLog {
    pub(super) journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    day_keys: Arc<DayKeys>,
}

/// An entry as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its place in the log.
    pub sequence: u64,
    /// The entry.
    pub entry: Entry,
    /// What was asked, if it was to be shown and its day key exists.
    pub query_text: Option<String>,
    /// An intent without an outcome.
    pub unfinished: bool,
    /// The chain after this entry.
    pub chain: Hash,
}

/// What a walk over the whole log found.
#[derive(Clone, Debug)]
pub struct AuditVerification {
    /// Entries walked.
    pub entries: u64,
    /// The first bad entry and what is wrong with it.
    pub finding: Option<(u64, String)>,
    /// The chain after the last good entry.
    pub head: Hash,
    /// Intents without an outcome.
    pub unfinished: u64,
}

impl AuditLog {
    /// Opens the log in `dir`, or starts it.
    ///
    /// # Errors
    /// `JOURNAL_DAMAGED` when it was changed by anything but this log.
    pub fn open(dir: &Path, keys: Arc<KeyTree>, clock: Arc<dyn Clock>) -> Result<Self, ServiceError> {
        let options = JournalOptions::new(LABEL);
        let options = match keys.ballast() {
            Some(ballast) => options.ballast(ballast.clone()),
            None => options,
        };
        let (journal, _recovered) = Journal::open(dir, options)?;
        Ok(Self { journal: Arc::new(journal), clock, day_keys: Arc::new(DayKeys::new(keys)) })
    }

    /// Seals what was asked under the key of the day, for an entry's `sealed_query`.
    ///
    /// # Errors
    /// When no key can be had.
    pub fn seal_query(&self, text: &str) -> Result<String, ServiceError> {
        self.day_keys.seal(self.clock.now(), text)
    }

    /// Makes an intent durable.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`: then the operation must not be done.
    pub async fn intent(&self, entry: Entry) -> Result<Intent, ServiceError> {
        let sequence = self.append(&entry).await?;
        Ok(Intent { sequence, entry })
    }

    /// Makes an outcome durable, before anything of it is shown.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`: then the answer must not leave.
    pub async fn outcome(&self, intent: &Intent, result: &str, shown: Vec<Shown>) -> Result<(), ServiceError> {
        let mut entry = Entry::new(
            EntryKind::Outcome,
            self.clock.now(),
            intent.entry.request,
            intent.entry.actor.clone(),
            &intent.entry.operation,
        );
        entry.peer = intent.entry.peer;
        entry.intent = Some(intent.sequence);
        entry.result = Some(result.to_owned());
        entry.shown = shown;
        self.append(&entry).await.map(drop)
    }

    /// Ends an intent whose result shows no statement: `OK`, or the error's code.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`.
    pub async fn close<T>(&self, intent: Intent, outcome: &Result<T, ServiceError>) -> Result<(), ServiceError> {
        let result = outcome.as_ref().map_or_else(|error| error.code().as_str(), |_| "OK");
        self.outcome(&intent, result, Vec::new()).await
    }

    /// Records something that happened by itself, or was refused at once.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`.
    pub async fn event(&self, mut entry: Entry, result: &str) -> Result<(), ServiceError> {
        entry.kind = EntryKind::Event;
        entry.result = Some(result.to_owned());
        self.append(&entry).await.map(drop)
    }

    /// The last entry's sequence and the chain after it.
    pub(crate) fn head(&self) -> (u64, Hash) {
        let head = self.journal.head();
        (head.sequence, head.chain)
    }

    /// Every entry in order.
    pub(super) fn records(
        &self,
    ) -> Result<impl Iterator<Item = Result<(u64, Entry, Hash), ServiceError>>, ServiceError> {
        let records = self.journal.replay(0)?;
        Ok(records.map(|record| {
            let record = record?;
            Ok((record.sequence, parse(&record.payload)?, record.chain))
        }))
    }

    async fn append(&self, entry: &Entry) -> Result<u64, ServiceError> {
        let bytes = serde_json::to_vec(entry).map_err(|error| {
            ServiceError::internal("AUDIT_UNAVAILABLE", "an audit entry cannot be written").caused_by(error)
        })?;
        self.journal.append(bytes).await.map(|head| head.sequence).map_err(|error| {
            ServiceError::unavailable("AUDIT_UNAVAILABLE", "the audit log cannot be written; nothing is answered")
                .with_hint("look at the node's log and its disk")
                .caused_by(error)
        })
    }

    /// Entries after `after` (exclusive; `None` is the start), at most `limit`, oldest first; with `newest` the
    /// last `limit` entries, newest first. `request` keeps only entries of that request. What was asked is
    /// opened only with `open_queries`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn list(
        &self,
        after: Option<u64>,
        limit: usize,
        newest: bool,
        request: Option<RequestId>,
        open_queries: bool,
    ) -> Result<Vec<Listed>, ServiceError> {
        let mut all = Vec::new();
        let mut finished = BTreeSet::new();
        for record in self.records()? {
            let (sequence, entry, chain) = record?;
            finished.extend(entry.intent);
            let wanted =
                after.is_none_or(|after| sequence > after) && request.is_none_or(|request| entry.request == request);
            if wanted && (newest || all.len() < limit) {
                all.push((sequence, entry, chain));
            }
            if newest && all.len() > limit.saturating_mul(2) {
                all.drain(..all.len() - limit);
            }
        }
        if newest {
            all.reverse();
            all.truncate(limit);
        }
        let listed = all.into_iter().map(|(sequence, entry, chain)| Listed {
            unfinished: entry.kind == EntryKind::Intent && !finished.contains(&sequence),
            query_text: entry.sealed_query.as_deref().filter(|_| open_queries).and_then(|s| self.day_keys.open(s)),
            sequence,
            entry,
            chain,
        });
        Ok(listed.collect())
    }

    /// Tells of every entry that holds a question, in order, with its words as far as they can be read. Blocking.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn questions(&self, mut told: impl FnMut(Listed)) -> Result<(), ServiceError> {
        for record in self.records()? {
            let (sequence, entry, chain) = record?;
            if let Some(sealed) = &entry.sealed_query {
                let query_text = self.day_keys.open(sealed);
                told(Listed { sequence, entry, query_text, unfinished: false, chain });
            }
        }
        Ok(())
    }

    /// Walks the whole log: checksums, chain, sequence, and that every entry can be read.
    pub fn verify(&self) -> AuditVerification {
        let mut found = AuditVerification { entries: 0, finding: None, head: Hash::from_bytes([0; 32]), unfinished: 0 };
        let mut open = BTreeSet::new();
        let records = match self.records() {
            Ok(records) => records,
            Err(error) => return AuditVerification { finding: Some((1, error.to_string())), ..found },
        };
        for checked in records {
            match checked {
                Ok((sequence, entry, chain)) => {
                    found.entries += 1;
                    found.head = chain;
                    match entry.kind {
                        EntryKind::Intent => {
                            open.insert(sequence);
                        }
                        EntryKind::Outcome | EntryKind::Event => {
                            entry.intent.map(|intent| open.remove(&intent));
                        }
                    }
                }
                Err(error) => {
                    // The first entry is 1.
                    found.finding = Some((found.entries + 1, error.to_string()));
                    break;
                }
            }
        }
        found.unfinished = open.len() as u64;
        found
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Entry, ServiceError> {
    serde_json::from_slice(bytes).map_err(|error| {
        ServiceError::internal("AUDIT_ENTRY_UNREADABLE", "an audit entry cannot be read").caused_by(error)
    })
}
