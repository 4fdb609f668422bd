//! The end of entries: whole files of the log are removed when all of their entries are older than what is kept and
//! the own register anchors what comes behind them. What remains says of itself where it begins: an entry records the
//! cut before it is made, so that entries that were removed in any other way are found out.

use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, RequestId};
use eads_store::journal::Head;
use eads_store::port::{Batch, Store};
use serde::{Deserialize, Serialize};

use super::{Actor, AuditLog, Entry, EntryKind};
use crate::area::{self, meta};
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows;

const OPERATION: &str = "PruneAudit";
const DAY_SECONDS: i64 = 86_400;

/// The last entry that was removed, in [`meta::AUDIT_BASE`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    pub(crate) sequence: u64,
    pub(crate) chain: Hash,
}

fn words(cut: Head) -> String {
    format!("entries up to {}, chain {}", cut.sequence, cut.chain)
}

/// Whether `entry` records that the log begins behind `origin`.
pub(super) fn records_cut(entry: &Entry, origin: Head) -> bool {
    entry.kind == EntryKind::Event
        && entry.operation == OPERATION
        && entry.actor == Actor::Node
        && entry.subject.as_deref() == Some(words(origin).as_str())
}

impl AuditLog {
    /// Behind which entry the log of a node begins, for [`AuditLog::open`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn base(store: &dyn Store) -> Result<Option<Head>, ServiceError> {
        let base: Option<Base> = rows::get(store, area::META, meta::AUDIT_BASE).await?;
        Ok(base.map(|base| Head { sequence: base.sequence, chain: base.chain }))
    }

    /// Behind which entry the log begins now; none if all of them are here.
    pub(crate) fn begins_behind(&self) -> Option<Head> {
        self.journal.base()
    }

    /// The end of the last of the oldest files that hold nothing but entries from before `before`, none of them behind
    /// `anchored`.
    fn cut(&self, before: Timestamp, anchored: u64) -> Result<Option<Head>, ServiceError> {
        let files = self.journal.files()?;
        let mut cut = None;
        for (first, next) in files.iter().zip(files.iter().skip(1)) {
            let last = next.saturating_sub(1);
            if last > anchored {
                break;
            }
            for record in self.records(*first, last)? {
                let (sequence, entry, chain) = record?;
                if entry.at >= before {
                    return Ok(cut);
                }
                if sequence == last {
                    cut = Some(Head { sequence, chain });
                }
            }
        }
        Ok(cut)
    }
}

impl Node {
    /// The time from which on entries must stay; none if all of them must.
    pub(crate) fn retention_floor(&self) -> Option<Timestamp> {
        let days = self.limits.audit_keep_days?;
        let kept = self.clock.now().plus_seconds(-i64::from(days) * DAY_SECONDS);
        // An evidence hold keeps the log from its begin on: what is removed is always the oldest.
        Some(self.court.audit_spans().into_iter().map(|(from, _)| from).fold(kept, Timestamp::min))
    }

    /// Removes what is older than is kept. Returns the last entry that was removed, if any was.
    ///
    /// # Errors
    /// `AUDIT_UNSOUND` when the log does not verify: then nothing is removed. When it cannot be written or read.
    pub async fn prune_audit(&self) -> Result<Option<u64>, ServiceError> {
        let Some(before) = self.retention_floor() else { return Ok(None) };
        let anchors = super::anchors(&*self.store, &self.vault).await?;
        let anchored = anchors.iter().map(|anchor| anchor.sequence).max().unwrap_or_default();
        let log = self.audit.clone();
        let Some(cut) = super::blocking(move || log.cut(before, anchored)).await? else { return Ok(None) };
        let signed: Vec<_> = self.countersignatures().await?.into_iter().map(|(_, signed)| signed).collect();
        let log = self.audit.clone();
        let verified = super::blocking(move || Ok(log.verify(&anchors, &signed))).await?;
        if let Some(flaw) = verified.flaw {
            let text = format!("nothing is removed from an audit log that does not verify: {}", flaw.text);
            return Err(ServiceError::internal("AUDIT_UNSOUND", text));
        }
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Event, self.clock.now(), request, Actor::Node, OPERATION);
        entry.subject = Some(words(cut));
        self.audit.event(entry, "OK").await?;
        let mut batch = Batch::new();
        let base = Base { sequence: cut.sequence, chain: cut.chain };
        rows::put(&mut batch, area::META, meta::AUDIT_BASE, &base)?;
        self.store.commit(batch).await?;
        // From here on the next start would finish it.
        let log = self.audit.clone();
        super::blocking(move || Ok(log.journal.release(cut)?)).await?;
        Ok(Some(cut.sequence))
    }
}
