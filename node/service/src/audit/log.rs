//! Writing the log, and reading it entry by entry.

use std::path::Path;
use std::sync::Arc;

use eads_domain::audit::LABEL;
use eads_domain::clock::Clock;
use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, MemberId};
use eads_store::journal::{Head, Journal, JournalOptions};
use eads_store::keys::KeyTree;

use super::day_keys::DayKeys;
use super::{Entry, EntryKind, Shown};
use crate::error::ServiceError;

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
    pub(super) clock: Arc<dyn Clock>,
    pub(super) day_keys: Arc<DayKeys>,
}

impl AuditLog {
    /// Opens the log in `dir`, or starts it; `base` is what [`AuditLog::base`] reads from the node's store.
    ///
    /// # Errors
    /// `JOURNAL_DAMAGED` when it was changed by anything but this log.
    pub fn open(
        dir: &Path,
        base: Option<Head>,
        keys: Arc<KeyTree>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        Self::open_with(dir, JournalOptions::new(LABEL).base(base), keys, clock)
    }

    /// Makes a log in an empty `dir` that goes on where another copy of it began, behind `base`.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub fn begin(
        dir: &Path,
        base: Option<Head>,
        keys: Arc<KeyTree>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        Self::open_with(dir, JournalOptions::new(LABEL).base(base).begin(base), keys, clock)
    }

    fn open_with(
        dir: &Path,
        options: JournalOptions,
        keys: Arc<KeyTree>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ServiceError> {
        let options = match keys.ballast() {
            Some(ballast) => options.ballast(ballast.clone()),
            None => options,
        };
        let (journal, _recovered) = Journal::open(dir, options)?;
        Ok(Self { journal: Arc::new(journal), clock, day_keys: Arc::new(DayKeys::new(keys)) })
    }

    /// Seals what was asked under the key of the day, into `entry`.
    ///
    /// # Errors
    /// When no key can be had.
    pub fn seal_query(&self, entry: &mut Entry, text: &str) -> Result<(), ServiceError> {
        self.day_keys.seal(self.clock.now(), entry, text)
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
        self.outcome_with(intent, intent.entry.peer, result, shown).await
    }

    /// The same for an intent that concerns several peers, of which this outcome concerns one.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`.
    pub async fn outcome_with(
        &self,
        intent: &Intent,
        peer: Option<MemberId>,
        result: &str,
        shown: Vec<Shown>,
    ) -> Result<(), ServiceError> {
        // An outcome says by itself who, why and about what: the two may come to stand far apart.
        let entry = Entry {
            kind: EntryKind::Outcome,
            at: self.clock.now(),
            peer,
            intent: Some(intent.sequence),
            result: Some(result.to_owned()),
            shown,
            sealed_query: None,
            query_key: None,
            ..intent.entry.clone()
        };
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

    /// The entries from `from` to `until` in order, those that were removed at the end of their retention left out.
    pub(super) fn records(
        &self,
        from: u64,
        until: u64,
    ) -> Result<impl Iterator<Item = Result<(u64, Entry, Hash), ServiceError>> + use<>, ServiceError> {
        let records = self.journal.replay_until(from.max(self.first()), until)?;
        Ok(records.map(|record| {
            let record = record?;
            Ok((record.sequence, parse(&record.payload)?, record.chain))
        }))
    }

    /// The first entry that is here.
    pub(super) fn first(&self) -> u64 {
        self.journal.origin().sequence + 1
    }

    /// The state after an entry, or before the first one; none if it is not here.
    pub(super) fn chain_after(&self, sequence: u64) -> Result<Option<Hash>, ServiceError> {
        let Head { sequence: origin, chain } = self.journal.origin();
        if sequence <= origin {
            return Ok((sequence == origin).then_some(chain));
        }
        match self.journal.replay_until(sequence, sequence)?.next() {
            Some(record) => Ok(Some(record?.chain)),
            None => Ok(None),
        }
    }

    async fn append(&self, entry: &Entry) -> Result<u64, ServiceError> {
        let bytes = entry.to_bytes().map_err(|error| {
            ServiceError::internal("AUDIT_UNAVAILABLE", "an audit entry cannot be written").caused_by(error)
        })?;
        self.journal.append(bytes).await.map(|head| head.sequence).map_err(|error| {
            ServiceError::unavailable("AUDIT_UNAVAILABLE", "the audit log cannot be written; nothing is answered")
                .with_hint("look at the node's log and its disk")
                .caused_by(error)
        })
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Entry, ServiceError> {
    Entry::parse(bytes).map_err(|error| {
        ServiceError::internal("AUDIT_ENTRY_UNREADABLE", "an audit entry cannot be read").caused_by(error)
    })
}
