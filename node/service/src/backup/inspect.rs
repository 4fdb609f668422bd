//! Reading a backup to its end before anything is done with it.

use std::collections::BTreeMap;
use std::io::Read;

use eads_store::archive::ArchiveReader;
use eads_store::keys::{Carried, DataKeyBytes, KeySlot};

use super::{
    AUDIT, BEGIN, Begin, CHANGES, DAY_KEY, END, FILE, GONE, PHOTO, ROW, SECRET, Summary, VALUE, malformed, photo,
    place, value,
};
use crate::error::ServiceError;

/// What a whole and consistent backup holds.
#[derive(Debug)]
pub struct Inspection {
    /// Of what moment it is, and how much is in it: as it says, and as it was counted.
    pub summary: Summary,
    /// The keys that the restored tree will have.
    pub carried: Carried,
}

/// Reads a backup that is unlocked, to its end.
///
/// # Errors
/// `BACKUP_DAMAGED` and its like; `BACKUP_INCONSISTENT` when it does not hold what it says.
pub fn inspect<R: Read>(reader: &mut ArchiveReader<R>) -> Result<Inspection, ServiceError> {
    let mut seen = Seen::default();
    while let Some(record) = reader.next_record()? {
        if seen.summary.is_some() || (seen.begin.is_none() && record.kind != BEGIN) {
            return Err(malformed());
        }
        seen.record(record.kind, &record.body)?;
    }
    seen.end()
}

#[derive(Default)]
struct Seen {
    begin: Option<Begin>,
    summary: Option<Summary>,
    secret: Option<[u8; 32]>,
    slots: Vec<KeySlot>,
    day_keys: Vec<(KeySlot, [u8; 32])>,
    counts: BTreeMap<String, u64>,
    changing: bool,
    /// The first and the latest entry of the audit log.
    audit: Option<(u64, u64)>,
}

impl Seen {
    fn record(&mut self, kind: u8, body: &[u8]) -> Result<(), ServiceError> {
        match kind {
            BEGIN => self.begin = Some(serde_json::from_slice(body).map_err(|_| malformed())?),
            ROW => self.count(place(body).ok_or_else(malformed)?.area.name()),
            VALUE => {
                let (place, sealing) = value(body).ok_or_else(malformed)?;
                self.slots.push(sealing.slot);
                self.count(place.area.name());
            }
            GONE => {
                place(body).ok_or_else(malformed)?;
                self.count("gone");
            }
            CHANGES => self.changing = true,
            SECRET => self.secret = Some(body.try_into().map_err(|_| malformed())?),
            DAY_KEY => {
                let (slot, key) = body.split_first_chunk::<{ KeySlot::BYTES }>().ok_or_else(malformed)?;
                self.day_keys.push((KeySlot::from_bytes(*slot), key.try_into().map_err(|_| malformed())?));
                self.count("day keys");
            }
            AUDIT => {
                let (sequence, _) = body.split_first_chunk::<8>().ok_or_else(malformed)?;
                let sequence = u64::from_be_bytes(*sequence);
                let (first, last) = self.audit.unwrap_or((sequence, sequence.wrapping_sub(1)));
                if last.checked_add(1) != Some(sequence) {
                    return Err(inconsistent("the audit log has a gap"));
                }
                self.audit = Some((first, sequence));
                self.count("audit entries");
            }
            FILE => self.count("files"),
            PHOTO => {
                self.slots.push(photo(body).ok_or_else(malformed)?.0.key);
                self.count("photographs");
            }
            END => self.summary = Some(serde_json::from_slice(body).map_err(|_| malformed())?),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_insert(0) += 1;
    }

    fn end(mut self) -> Result<Inspection, ServiceError> {
        let (Some(begin), Some(summary), Some(secret)) = (self.begin, self.summary, self.secret) else {
            return Err(inconsistent("it does not end as a backup does"));
        };
        self.counts.remove("gone");
        let mut stated = summary.counts.clone();
        stated.remove("changes");
        if !self.changing || stated != self.counts || (begin.member, begin.created) != (summary.member, summary.created)
        {
            return Err(inconsistent("it does not hold what it says"));
        }
        let base = summary.audit_base.map_or(0, |(sequence, _)| sequence);
        let whole = (base < summary.audit_entries).then_some((base + 1, summary.audit_entries));
        if self.audit != whole {
            return Err(inconsistent("the audit log is not whole"));
        }
        let mut carried = Carried::new(secret, summary.mark)?;
        for slot in self.slots {
            carried.alive(slot);
        }
        for (slot, key) in self.day_keys {
            carried.known(slot, DataKeyBytes::new(key));
        }
        Ok(Inspection { summary, carried })
    }
}

fn inconsistent(what: &'static str) -> ServiceError {
    ServiceError::invalid("BACKUP_INCONSISTENT", format!("the backup is intact, but {what}"))
        .with_hint("take another backup; keep this one and report it to the makers")
}
