//! What a dry run would change, for the operator's eyes: keys and names of fields, never values.

use eads_domain::record::Record;
use eads_domain::slot::SlotTable;
use eads_store::vault::{Held, Sealed};

use crate::error::ServiceError;

/// Differences that are told; beyond them the counts speak.
const MAX_TOLD: usize = 1000;

/// One record that would be new, or would change.
pub(super) struct Change(String);

impl Change {
    /// From what is held, if anything is, to `record`.
    pub(super) fn of(record: &Record, held: Option<&Held>) -> Result<Self, ServiceError> {
        let key = record.key();
        let Some(held) = held else { return Ok(Self(format!("new {key}"))) };
        let Sealed::Plain { bytes, .. } = &held.value else { return Ok(Self(format!("changed {key}"))) };
        let before = Record::parse(bytes)?;
        let slots =
            before.fields().keys().chain(record.fields().keys().filter(|slot| !before.fields().contains_key(slot)));
        let mut changed: Vec<_> =
            slots.copied().filter(|slot| before.fields().get(slot) != record.fields().get(slot)).collect();
        changed.sort_unstable();
        let name = |slot| SlotTable::get().slot(record.subject(), slot).map_or("?", |spec| spec.name.as_str());
        let names: Vec<&str> = changed.into_iter().map(name).collect();
        Ok(Self(format!("changed {key}: {}", names.join(", "))))
    }
}

/// The differences that were not reported yet.
#[derive(Default)]
pub(super) struct Differences {
    told: usize,
    waiting: Vec<String>,
}

impl Differences {
    pub(super) fn extend(&mut self, changes: &[Change]) {
        for change in changes {
            self.push(|| change.0.clone());
        }
    }

    pub(super) fn retired(&mut self, record: &Record) {
        self.push(|| format!("retired {}", record.key()));
    }

    fn push(&mut self, text: impl FnOnce() -> String) {
        if self.told < MAX_TOLD {
            self.told += 1;
            self.waiting.push(text());
        }
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.waiting)
    }
}
