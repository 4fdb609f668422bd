//! The log as bytes: for backups, which keep the chain.

use eads_store::keys::{KeySlot, KeyTree};

use super::AuditLog;
use super::log::parse;
use crate::error::ServiceError;

/// An entry as it is written: its sequence, its bytes, and the key under which its question is sealed.
type Raw = (u64, Vec<u8>, Option<KeySlot>);

impl AuditLog {
    /// Every entry up to the one of sequence `until`, in order.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn raw(&self, until: u64) -> Result<impl Iterator<Item = Result<Raw, ServiceError>>, ServiceError> {
        let records = self.journal.replay(self.first())?;
        let raw = records.map(|record| {
            let record = record?;
            let sealed = parse(&record.payload)?.sealed_query.and_then(|sealed| hex::decode(sealed).ok());
            let slot = sealed.and_then(|sealed| KeyTree::slot_of(&sealed).ok());
            Ok((record.sequence, record.payload, slot))
        });
        Ok(raw.take_while(move |record: &Result<Raw, ServiceError>| match record {
            Ok((sequence, ..)) => *sequence <= until,
            Err(_) => true,
        }))
    }

    /// Tells each key under which a question is sealed.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn day_keys(&self, mut told: impl FnMut(KeySlot)) -> Result<(), ServiceError> {
        for record in self.raw(u64::MAX)? {
            record?.2.into_iter().for_each(&mut told);
        }
        Ok(())
    }

    /// Appends an entry as it was written. With `last` it is durable when this returns, and all before it.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub(crate) async fn take_back(&self, entry: Vec<u8>, last: bool) -> Result<(), ServiceError> {
        if last {
            self.journal.append(entry).await?;
        } else {
            // What fails stops the journal, and so is seen at the next entry or the last.
            self.journal.submit(entry, Box::new(|_| {})).await?;
        }
        Ok(())
    }
}
