//! What the log owes to others and to time: its head in the register every hour, and the end of old questions.

use std::collections::BTreeSet;

use eads_domain::audience::Audience;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Disclosure;
use eads_domain::id::{Hash, NoticeId};
use eads_domain::slot::{SCHEMA, SlotSet};
use eads_domain::statement::{Action, anchor_digest};
use eads_store::keys::{KeySlot, KeyTree};

use super::AuditLog;
use crate::error::ServiceError;
use crate::node::Node;
use crate::register::Publication;

const DAY_SECONDS: i64 = 86_400;

impl AuditLog {
    /// Destroys the keys of questions asked before `before` and not within one of the spans `held`; the chain verifies without them. Returns how many
    /// keys.
    ///
    /// # Errors
    /// When the log cannot be read or a key not destroyed.
    pub fn forget_queries(
        &self,
        keys: &KeyTree,
        before: Timestamp,
        held: &[(Timestamp, Timestamp)],
    ) -> Result<usize, ServiceError> {
        let mut old: BTreeSet<KeySlot> = BTreeSet::new();
        let mut young: BTreeSet<KeySlot> = BTreeSet::new();
        for record in self.records(0, u64::MAX)? {
            let entry = record?.1;
            let sealed = entry.sealed_query.as_deref().and_then(|sealed| hex::decode(sealed).ok());
            let Some(slot) = sealed.and_then(|sealed| KeyTree::slot_of(&sealed).ok()) else { continue };
            if entry.at < before && !held.iter().any(|(from, to)| (*from..=*to).contains(&entry.at)) {
                old.insert(slot)
            } else {
                young.insert(slot)
            };
        }
        let mut due = Vec::new();
        for slot in old.difference(&young) {
            if !keys.is_destroyed(*slot)? {
                due.push(*slot);
            }
        }
        if !due.is_empty() {
            keys.destroy(&due)?;
        }
        Ok(due.len())
    }
}

impl Node {
    /// Puts the head of the audit log into the own register, where every accepted peer sees it: from then on
    /// nothing before it can be changed without their noticing.
    ///
    /// # Errors
    /// When the register cannot be written.
    pub async fn anchor_audit(&self) -> Result<(), ServiceError> {
        let head = self.audit.head();
        let detail = [head.0.to_be_bytes().as_slice(), head.1.as_bytes()].concat();
        let peers = self.peers.accepted();
        let anchor = Publication {
            action: Action::Anchor,
            notice: NoticeId::random(&*self.entropy),
            version: 0,
            schema: SCHEMA,
            not_after: self.clock.now(),
            slots: Hash::random(&*self.entropy),
            audience: Audience::build(&[], &*self.entropy)?.root(),
            detail: anchor_digest(&detail),
            audience_openings: Vec::new(),
            disclosure: Disclosure { openings: Vec::new(), commitments: Vec::new() },
            detail_bytes: detail,
            key: self.keys.allocate()?,
            blobs: Vec::new(),
            deliveries: peers.iter().map(|peer| (peer.member(), SlotSet::EMPTY)).collect(),
        };
        self.append(vec![anchor], false, |_, _| Ok(())).await.map(drop)
    }

    /// Destroys the keys of questions whose retention is over.
    ///
    /// # Errors
    /// As [`AuditLog::forget_queries`].
    pub async fn forget_queries(&self) -> Result<usize, ServiceError> {
        let before = self.clock.now().plus_seconds(-i64::from(self.limits.audit_query_days) * DAY_SECONDS);
        let (audit, keys, held) = (self.audit.clone(), self.keys.clone(), self.court.audit_spans());
        tokio::task::spawn_blocking(move || audit.forget_queries(&keys, before, &held)).await.map_err(|error| {
            ServiceError::internal("RETENTION_STOPPED", "the retention of questions was interrupted").caused_by(error)
        })?
    }
}
