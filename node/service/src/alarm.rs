//! Things that an administrator should look at: a small bounded set of codes with words, newest last.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use eads_domain::clock::Timestamp;

const MOST: usize = 64;

/// The alarms that stand.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<BTreeMap<String, (Timestamp, String)>>);

impl Alarms {
    /// Raises an alarm, or renews it. `code` names what it is about; `text` holds no personal data.
    pub fn raise(&self, code: &str, at: Timestamp, text: String) {
        tracing::warn!(code, "{text}");
        let mut alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if alarms.len() < MOST || alarms.contains_key(code) {
            alarms.insert(code.to_owned(), (at, text));
        }
    }

    /// Whether the alarm stands with these words.
    pub(crate) fn says(&self, code: &str, words: &str) -> bool {
        let alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.get(code).is_some_and(|(_, text)| text == words)
    }

    /// Takes an alarm back.
    pub fn clear(&self, code: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(code);
    }

    /// Every alarm as `CODE since TIME: words`.
    pub fn list(&self) -> Vec<String> {
        let alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        alarms.iter().map(|(code, (at, text))| format!("{code} since {at}: {text}")).collect()
    }
}
