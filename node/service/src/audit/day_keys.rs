//! The keys under which questions are sealed: one a day and start of the node.

use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::clock::Timestamp;
use eads_store::keys::{KeySlot, KeyTree, Opened};

use crate::error::ServiceError;

const AAD: &[&[u8]] = &[b"eads/v1/audit-query"];
const DAY: i64 = 86_400;

#[derive(Debug)]
pub(super) struct DayKeys {
    keys: Arc<KeyTree>,
    current: Mutex<Option<(i64, KeySlot)>>,
}

impl DayKeys {
    pub(super) const fn new(keys: Arc<KeyTree>) -> Self {
        Self { keys, current: Mutex::new(None) }
    }

    pub(super) fn seal(&self, now: Timestamp, text: &str) -> Result<String, ServiceError> {
        let day = now.as_unix().div_euclid(DAY);
        let slot = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            match *current {
                Some((held, slot)) if held == day => slot,
                _ => {
                    let slot = self.keys.allocate()?;
                    *current = Some((day, slot));
                    slot
                }
            }
        };
        Ok(hex::encode(self.keys.seal(slot, AAD, text.as_bytes())?))
    }

    /// The text, unless its key was destroyed at the end of its retention.
    pub(super) fn open(&self, sealed: &str) -> Option<String> {
        match self.keys.unseal(AAD, &hex::decode(sealed).ok()?) {
            Ok(Opened::Plain(text)) => String::from_utf8(text.to_vec()).ok(),
            Ok(Opened::Destroyed) | Err(_) => None,
        }
    }
}
