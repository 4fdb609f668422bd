//! Walking the whole log: its chain, and what others hold of it. The register's anchors, which every peer has, tell a
//! log that was cut or written anew; an auditor's countersignature tells it even where the register was too.

use std::collections::{BTreeMap, BTreeSet};

use eads_domain::id::Hash;

use super::{Anchor, AuditLog, Countersignature, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// What is wrong with the log, at the first place where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFlaw {
    /// The first bad entry.
    pub sequence: u64,
    /// `AUDIT_DAMAGED`, `AUDIT_CUT`, `ANCHOR_DIFFERS`, `COUNTERSIGNATURE_DIFFERS` or `AUDIT_PRUNE_UNRECORDED`.
    pub code: &'static str,
    /// In words.
    pub text: String,
}

/// What a walk over the whole log found.
#[derive(Clone, Debug)]
pub struct AuditVerification {
    /// Entries walked.
    pub entries: u64,
    /// The first flaw.
    pub flaw: Option<AuditFlaw>,
    /// The last good entry.
    pub last: u64,
    /// The chain after it.
    pub head: Hash,
    /// Intents without an outcome.
    pub unfinished: u64,
    /// Entries up to this one were removed at the end of their retention.
    pub pruned_through: u64,
    /// Anchors that the log agrees with.
    pub anchors: u64,
    /// The last entry that one of them covers.
    pub anchored_through: u64,
    /// The last entry that a countersignature covers.
    pub countersigned_through: u64,
}

/// What somebody else holds of the log at an entry.
struct Held<'a> {
    chain: Hash,
    anchor: Option<&'a Anchor>,
}

impl AuditLog {
    /// Walks the log: checksums, chain, sequence, that every entry can be read, and that it goes through every anchor
    /// and every countersignature. Blocking.
    pub(crate) fn verify(&self, anchors: &[Anchor], countersigned: &[Countersignature]) -> AuditVerification {
        let origin = self.journal.origin();
        let mut found = AuditVerification {
            entries: 0,
            flaw: None,
            last: origin.sequence,
            head: origin.chain,
            unfinished: 0,
            pruned_through: origin.sequence,
            anchors: 0,
            anchored_through: 0,
            countersigned_through: 0,
        };
        let mut held: BTreeMap<u64, Vec<Held<'_>>> = BTreeMap::new();
        for anchor in anchors.iter().filter(|anchor| anchor.sequence > origin.sequence) {
            held.entry(anchor.sequence).or_default().push(Held { chain: anchor.chain, anchor: Some(anchor) });
        }
        for signed in countersigned.iter().filter(|signed| signed.sequence > origin.sequence) {
            held.entry(signed.sequence).or_default().push(Held { chain: signed.chain, anchor: None });
        }
        let mut open = BTreeSet::new();
        let mut cut_recorded = origin.sequence == 0;
        let records = match self.records(0, u64::MAX) {
            Ok(records) => records,
            Err(error) => return found.with(origin.sequence + 1, "AUDIT_DAMAGED", error.to_string()),
        };
        for record in records {
            let (sequence, entry, chain) = match record {
                Ok(record) => record,
                Err(error) => {
                    let next = found.last + 1;
                    found.unfinished = open.len() as u64;
                    return found.with(next, "AUDIT_DAMAGED", error.to_string());
                }
            };
            match entry.intent {
                Some(intent) => open.remove(&intent),
                None => entry.kind == EntryKind::Intent && open.insert(sequence),
            };
            cut_recorded |= super::retention::records_cut(&entry, origin);
            for held in held.remove(&sequence).unwrap_or_default() {
                if held.chain != chain && found.flaw.is_none() {
                    let from = found.anchored_through.max(found.countersigned_through).max(origin.sequence) + 1;
                    found.flaw = Some(differs(&held, from, sequence));
                }
                if held.chain == chain {
                    found.agree(&held, sequence);
                }
            }
            (found.entries, found.last, found.head) = (found.entries + 1, sequence, chain);
        }
        found.unfinished = open.len() as u64;
        if found.flaw.is_some() {
            return found;
        }
        let last = found.last;
        if let Some((sequence, held)) = held.last_key_value() {
            let who = held.iter().find_map(|held| held.anchor).map_or_else(
                || "an auditor has signed".to_owned(),
                |anchor| format!("the register anchors at index {}", anchor.index),
            );
            let text = format!("the log ends at entry {last}, but {who} that there was an entry {sequence}");
            return found.with(last + 1, "AUDIT_CUT", text);
        }
        if !cut_recorded {
            let text = format!("entries up to {} are gone, and no entry says that they were removed", origin.sequence);
            return found.with(origin.sequence, "AUDIT_PRUNE_UNRECORDED", text);
        }
        found
    }
}

fn differs(held: &Held<'_>, from: u64, to: u64) -> AuditFlaw {
    let between = if from == to { format!("entry {to}") } else { format!("an entry from {from} to {to}") };
    match held.anchor {
        Some(anchor) => AuditFlaw {
            sequence: from,
            code: "ANCHOR_DIFFERS",
            text: format!("{between} is not what the register anchors at index {}", anchor.index),
        },
        None => AuditFlaw {
            sequence: from,
            code: "COUNTERSIGNATURE_DIFFERS",
            text: format!("{between} is not what an auditor has signed"),
        },
    }
}

impl AuditVerification {
    fn with(mut self, sequence: u64, code: &'static str, text: String) -> Self {
        self.flaw = Some(AuditFlaw { sequence, code, text });
        self
    }

    fn agree(&mut self, held: &Held<'_>, sequence: u64) {
        match held.anchor {
            Some(_) => {
                self.anchors += 1;
                self.anchored_through = sequence;
            }
            None => self.countersigned_through = sequence,
        }
    }
}

impl Node {
    /// Verifies the whole log, against the anchors in the own register and the auditors' countersignatures.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`; when the store cannot be read. What is wrong with the log is in the answer.
    pub async fn verify_audit(&self, call: &Call) -> Result<AuditVerification, ServiceError> {
        self.audited(call, "VerifyAudit", None, async {
            let anchors = super::anchors(&*self.store, &self.vault).await?;
            let countersigned =
                self.countersignatures().await?.into_iter().map(|(_, signed)| signed).collect::<Vec<_>>();
            let log = self.audit.clone();
            super::blocking(move || Ok(log.verify(&anchors, &countersigned))).await
        })
        .await
    }
}
