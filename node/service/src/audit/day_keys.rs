//! The keys under which questions are sealed: one a day and start of the node.

use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::audit::{Entry, key_commitment};
use eads_domain::clock::Timestamp;
use eads_domain::id::Hash;
use eads_store::keys::{KeySlot, KeyTree, Opened};

use crate::error::ServiceError;

const AAD: &[&[u8]] = &[b"eads/v1/audit-query"];
const DAY: i64 = 86_400;

#[derive(Debug)]
pub(super) struct DayKeys {
    keys: Arc<KeyTree>,
    current: Mutex<Option<DayKey>>,
}

#[derive(Clone, Copy, Debug)]
struct DayKey {
    day: i64,
    slot: KeySlot,
    commitment: Hash,
}

impl DayKeys {
    pub(super) const fn new(keys: Arc<KeyTree>) -> Self {
        Self { keys, current: Mutex::new(None) }
    }

    /// Puts the sealed text and the commitment to its key into `entry`.
    pub(super) fn seal(&self, now: Timestamp, entry: &mut Entry, text: &str) -> Result<(), ServiceError> {
        let key = self.key_of(now.as_unix().div_euclid(DAY))?;
        entry.sealed_query = Some(hex::encode(self.keys.seal(key.slot, AAD, text.as_bytes())?));
        entry.query_key = Some(key.commitment);
        Ok(())
    }

    fn key_of(&self, day: i64) -> Result<DayKey, ServiceError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = current.filter(|key| key.day == day) {
            return Ok(key);
        }
        let slot = self.keys.allocate()?;
        let commitment = self.commitment(slot)?.ok_or_else(|| {
            ServiceError::internal("AUDIT_KEY_DESTROYED", "a new key for questions is destroyed already")
        })?;
        let key = DayKey { day, slot, commitment };
        *current = Some(key);
        Ok(key)
    }

    fn commitment(&self, slot: KeySlot) -> Result<Option<Hash>, ServiceError> {
        Ok(self.keys.export(slot)?.map(|key| key_commitment(key.as_bytes())))
    }

    /// The text, unless its key was destroyed at the end of its retention. A text under another key than the one that
    /// was committed to is none.
    pub(super) fn open(&self, entry: &Entry) -> Option<String> {
        let sealed = hex::decode(entry.sealed_query.as_deref()?).ok()?;
        let slot = KeyTree::slot_of(&sealed).ok()?;
        if self.commitment(slot).ok()?? != entry.query_key? {
            return None;
        }
        match self.keys.unseal(AAD, &sealed) {
            Ok(Opened::Plain(text)) => String::from_utf8(text.to_vec()).ok(),
            Ok(Opened::Destroyed) | Err(_) => None,
        }
    }
}
