//! Looking for entries. What is read is bounded, and that somebody read is written down too, before anything leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use eads_domain::audit::Actor;
use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId, RequestId};
use eads_domain::operator::Role;
use tokio::sync::mpsc;

use super::{AuditLog, Entry, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// Entries of one batch.
const BATCH: usize = 500;

/// Which entries; what is not set fits everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this request.
    pub request: Option<RequestId>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
    /// An operator's name, a member, or `node`; or the whole label.
    pub actor: Option<String>,
    /// By an operator with this role.
    pub role: Option<String>,
    /// The method or event.
    pub operation: Option<String>,
    /// The stated purpose.
    pub purpose: Option<String>,
    /// The stated case.
    pub case_reference: Option<String>,
    /// The peer concerned, or the peer who did it.
    pub peer: Option<MemberId>,
    /// The result, or what stands before or behind its first colon, in letters of any case.
    pub result: Option<String>,
    /// The notice, draft or file concerned.
    pub subject: Option<String>,
    /// The first bytes of the D of a statement that was shown.
    pub digest: Option<Vec<u8>>,
}

/// What is looked for, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct Find {
    /// Which entries.
    pub filter: Filter,
    /// Behind this entry.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
    /// The newest first.
    pub newest: bool,
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

/// One entry with those that belong to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry.
    pub listed: Listed,
    /// The intent of an outcome, and all outcomes of that intent.
    pub related: Vec<Listed>,
    /// Its bytes as they were written.
    pub payload: Vec<u8>,
}

impl Filter {
    fn fits(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, field: Option<&str>| wanted.as_deref().is_none_or(|w| field == Some(w));
        let result = |wanted: &String| {
            let Some(result) = entry.result.as_deref() else { return false };
            let (before, behind) = result.split_once(':').unwrap_or((result, result));
            [result, before, behind].iter().any(|part| part.eq_ignore_ascii_case(wanted))
        };
        let peer = |wanted: MemberId| entry.peer == Some(wanted) || entry.actor == Actor::Peer(wanted);
        let digest = |wanted: &Vec<u8>| entry.shown.iter().any(|shown| shown.digest.as_bytes().starts_with(wanted));
        self.request.is_none_or(|request| entry.request == request)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && self.actor.as_ref().is_none_or(|wanted| is_called(&entry.actor, wanted))
            && self.role.as_ref().is_none_or(|wanted| entry.actor.roles().contains(wanted))
            && is(&self.operation, Some(&entry.operation))
            && is(&self.purpose, entry.purpose.as_deref())
            && is(&self.case_reference, entry.case_reference.as_deref())
            && is(&self.subject, entry.subject.as_deref())
            && self.peer.is_none_or(peer)
            && self.result.as_ref().is_none_or(result)
            && self.digest.as_ref().is_none_or(digest)
    }

    /// In words for the audit log itself.
    fn describe(&self) -> Option<String> {
        let text = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name} {value}"));
        let parts = [
            self.request.map(|request| format!("request {request}")),
            self.from.map(|from| format!("from {from}")),
            self.to.map(|to| format!("to {to}")),
            text("actor", &self.actor),
            text("role", &self.role),
            text("operation", &self.operation),
            text("purpose", &self.purpose),
            text("case", &self.case_reference),
            self.peer.map(|peer| format!("peer {peer}")),
            text("result", &self.result),
            text("subject", &self.subject),
            self.digest.as_ref().map(|digest| format!("digest {}", hex::encode(digest))),
        ];
        let words: Vec<String> = parts.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

fn is_called(actor: &Actor, wanted: &str) -> bool {
    match actor {
        Actor::Operator { name, .. } if name == wanted => true,
        Actor::Peer(member) if member.to_string() == wanted => true,
        actor => actor.label() == wanted,
    }
}

impl AuditLog {
    /// Gives what fits to `give`, one by one, until it returns false. What was asked is opened only with
    /// `open_queries`. Blocking; holds no more than one file of the log in memory.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn find(
        &self,
        find: &Find,
        open_queries: bool,
        mut give: impl FnMut(Listed) -> bool,
    ) -> Result<(), ServiceError> {
        let mut left = find.limit;
        let mut take = |sequence, entry: Entry, chain, unfinished| {
            let listed = self.listed((sequence, entry, chain), unfinished, open_queries);
            left = left.saturating_sub(1);
            give(listed) && left > 0
        };
        if find.limit == 0 {
            return Ok(());
        }
        if find.newest {
            return self.backwards(find, take);
        }
        let until = self.head().0;
        let open = self.unfinished(find.after, until)?;
        for record in self.records(find.after.saturating_add(1), until)? {
            let (sequence, entry, chain) = record?;
            if find.filter.fits(&entry) && !take(sequence, entry, chain, open.contains(&sequence)) {
                break;
            }
        }
        Ok(())
    }

    /// All that fits, in memory. Blocking.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn list(&self, find: &Find, open_queries: bool) -> Result<Vec<Listed>, ServiceError> {
        let mut all = Vec::new();
        self.find(find, open_queries, |listed| {
            all.push(listed);
            true
        })?;
        Ok(all)
    }

    /// Tells of every entry that holds a question, in order, with its words as far as they can be read. Blocking.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn questions(&self, mut told: impl FnMut(Listed)) -> Result<(), ServiceError> {
        for record in self.records(0, u64::MAX)? {
            let record = record?;
            if record.1.sealed_query.is_some() {
                told(self.listed(record, false, true));
            }
        }
        Ok(())
    }

    /// File by file, the last one first.
    fn backwards(&self, find: &Find, mut take: impl FnMut(u64, Entry, Hash, bool) -> bool) -> Result<(), ServiceError> {
        let mut until = self.head().0;
        // Intents whose outcomes were met and which themselves were not yet.
        let mut ended = BTreeSet::new();
        for first in self.journal.files()?.into_iter().rev() {
            let mut fitting = Vec::new();
            let from = first.max(find.after.saturating_add(1)).max(self.first());
            for record in self.records(from, until)? {
                let (sequence, entry, chain) = record?;
                ended.extend(entry.intent);
                if find.filter.fits(&entry) {
                    fitting.push((sequence, entry, chain));
                }
            }
            for (sequence, entry, chain) in fitting.into_iter().rev() {
                let unfinished = entry.kind == EntryKind::Intent && !ended.contains(&sequence);
                if !take(sequence, entry, chain, unfinished) {
                    return Ok(());
                }
            }
            if from > first {
                break;
            }
            until = first.saturating_sub(1);
            ended = ended.split_off(&0).into_iter().filter(|intent| *intent <= until).collect();
        }
        Ok(())
    }

    /// The intents behind `after` without an outcome up to `until`.
    fn unfinished(&self, after: u64, until: u64) -> Result<BTreeSet<u64>, ServiceError> {
        let mut open = BTreeSet::new();
        for record in self.records(after.saturating_add(1), until)? {
            let (sequence, entry, _) = record?;
            match entry.intent {
                Some(intent) => open.remove(&intent),
                None => entry.kind == EntryKind::Intent && open.insert(sequence),
            };
        }
        Ok(open)
    }

    fn listed(&self, (sequence, entry, chain): (u64, Entry, Hash), unfinished: bool, open_queries: bool) -> Listed {
        let query_text = if open_queries { self.day_keys.open(&entry) } else { None };
        Listed { sequence, entry, query_text, unfinished, chain }
    }

    /// One entry with those that belong to it. Blocking.
    ///
    /// # Errors
    /// `AUDIT_ENTRY_UNKNOWN`; when the log cannot be read.
    pub fn entry(&self, sequence: u64, open_queries: bool) -> Result<Found, ServiceError> {
        let unknown = || ServiceError::not_found("AUDIT_ENTRY_UNKNOWN", format!("there is no entry {sequence}"));
        if sequence < self.first() {
            return Err(unknown());
        }
        let record = self.journal.replay_until(sequence, sequence)?.next().ok_or_else(unknown)??;
        let entry = super::log::parse(&record.payload)?;
        let begin = entry.intent.unwrap_or(sequence).max(self.first());
        let mut related = Vec::new();
        let mut ended = false;
        // Outcomes have their intent's request, and stand behind it.
        if entry.kind != EntryKind::Event {
            for other in self.records(begin, self.head().0)? {
                let other = other?;
                let belongs = other.0 == begin || other.1.intent == Some(begin);
                ended |= other.1.intent == Some(begin);
                if belongs && other.0 != sequence {
                    related.push(other);
                }
            }
        }
        let related = related.into_iter().map(|other| {
            let unfinished = other.1.kind == EntryKind::Intent && !ended;
            self.listed(other, unfinished, open_queries)
        });
        let related = related.collect();
        let unfinished = entry.kind == EntryKind::Intent && !ended;
        let listed = self.listed((sequence, entry, record.chain), unfinished, open_queries);
        Ok(Found { listed, related, payload: record.payload })
    }
}

impl Node {
    /// Entries that fit, in batches: that each was read is written down before it leaves. Questions are opened for
    /// auditors only.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`; those of the log come with the batches.
    pub async fn find_audit(
        self: Arc<Self>,
        call: &Call,
        find: Find,
    ) -> Result<mpsc::Receiver<Result<Vec<Listed>, ServiceError>>, ServiceError> {
        let mut entry = self.entry(call, "ListAuditEntries");
        entry.subject = find.filter.describe();
        let intent = self.audit.intent(entry).await?;
        let (batches, mut read) = mpsc::channel(1);
        let (log, open_queries) = (self.audit.clone(), call.operator.roles.contains(Role::Auditor));
        tokio::task::spawn_blocking(move || read_batches(&log, &find, open_queries, &batches));
        let (answers, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut any = false;
            while let Some(batch) = read.recv().await {
                let failed = batch.is_err();
                let written = match batch {
                    Ok(batch) => self.audit.outcome(&intent, "OK", Vec::new()).await.map(|()| batch),
                    Err(error) => {
                        let code = eads_domain::code::Coded::code(&error);
                        self.audit.outcome(&intent, code.as_str(), Vec::new()).await.and(Err(error))
                    }
                };
                any = true;
                // A reader that went away ends it.
                if answers.send(written).await.is_err() || failed {
                    return;
                }
            }
            if !any && let Err(error) = self.audit.outcome(&intent, "OK", Vec::new()).await {
                let _ = answers.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    /// One entry with those that belong to it.
    ///
    /// # Errors
    /// `AUDIT_ENTRY_UNKNOWN`, `AUDIT_UNAVAILABLE`.
    pub async fn audit_entry(&self, call: &Call, sequence: u64) -> Result<Found, ServiceError> {
        let (log, open_queries) = (self.audit.clone(), call.operator.roles.contains(Role::Auditor));
        let read = super::blocking(move || log.entry(sequence, open_queries));
        self.audited(call, "GetAuditEntry", Some(format!("entry {sequence}")), read).await
    }
}

type Batches = mpsc::Sender<Result<Vec<Listed>, ServiceError>>;

fn read_batches(log: &AuditLog, find: &Find, open_queries: bool, batches: &Batches) {
    let mut batch = Vec::new();
    let mut wanted = true;
    let read = log.find(find, open_queries, |listed| {
        batch.push(listed);
        if batch.len() >= BATCH {
            wanted = batches.blocking_send(Ok(std::mem::take(&mut batch))).is_ok();
        }
        wanted
    });
    let last = match read {
        Ok(()) if batch.is_empty() => return,
        Ok(()) => Ok(batch),
        Err(error) => Err(error),
    };
    // A reader that went away wants nothing more.
    let _ = batches.blocking_send(last);
}
