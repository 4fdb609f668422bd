//! A range of the log as a file with its proof.
//!
//! The file goes on behind the range that was asked for, up to the next entry that the own register anchors: only so
//! does its chain lead to something that the member has signed and its peers hold. If there is none, the head is
//! anchored now.

use std::sync::Arc;

use eads_domain::audit::{AnchorProof, AuditProof, FileFormat, Row};
use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use tokio::sync::mpsc;

use super::{Anchor, AuditLog};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// About what one piece of a file has.
const PIECE_BYTES: usize = 256 * 1024;

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct ExportAsked {
    /// How it is written.
    pub format: FileFormat,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// A piece of an export.
#[derive(Clone, Debug)]
pub enum ExportPart {
    /// Of the file, in order.
    Chunk(Vec<u8>),
    /// The proof beside it, JSON; comes last.
    Proof(Vec<u8>),
}

type Parts = mpsc::Sender<Result<ExportPart, ServiceError>>;

impl Node {
    /// Exports the entries of a span of time, and those behind them up to the next anchor.
    ///
    /// # Errors
    /// `AUDIT_RANGE_EMPTY`, `AUDIT_UNAVAILABLE`, those of the register when the head cannot be anchored. What goes
    /// wrong later comes with the parts, and then there is no proof.
    pub async fn export_audit(
        self: Arc<Self>,
        call: &Call,
        asked: ExportAsked,
    ) -> Result<mpsc::Receiver<Result<ExportPart, ServiceError>>, ServiceError> {
        let mut entry = self.entry(call, "ExportAudit");
        let moment = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        entry.subject = Some(format!("{} from {} to {}", asked.format.as_str(), moment(asked.from), moment(asked.to)));
        let until = self.audit.head().0;
        let intent = self.audit.intent(entry).await?;
        let ranged = self.ranged(asked, until).await;
        let result = match &ranged {
            Ok(_) => "OK",
            Err(error) => error.code().as_str(),
        };
        self.audit.outcome(&intent, result, Vec::new()).await?;
        let (first, asked_last, anchor) = ranged?;
        let (parts, receiver) = mpsc::channel(2);
        let writing = tokio::task::spawn_blocking({
            let (log, anchor, parts) = (self.audit.clone(), anchor.clone(), parts.clone());
            move || write(&log, asked.format, first, &anchor, &parts)
        });
        tokio::spawn(async move {
            let written = match writing.await {
                Ok(written) => written,
                Err(stopped) => Err(super::stopped(stopped)),
            };
            let proof = match written {
                Ok(before) => self.prove(asked.format, (first, asked_last), before, anchor).await,
                Err(error) => Err(error),
            };
            if let Err(error) = &proof {
                // The answer says so too; a log that cannot be written any more changes nothing about it.
                let _ = self.audit.outcome(&intent, error.code().as_str(), Vec::new()).await;
            }
            let _ = parts.send(proof.map(ExportPart::Proof)).await;
        });
        Ok(receiver)
    }

    /// First and last entry of the span, and the anchor that covers them.
    async fn ranged(&self, asked: ExportAsked, until: u64) -> Result<(u64, u64, Anchor), ServiceError> {
        let log = self.audit.clone();
        let (first, last) = super::blocking(move || log.range(asked, until))
            .await?
            .ok_or_else(|| ServiceError::not_found("AUDIT_RANGE_EMPTY", "the audit log has no entry of that time"))?;
        let covering = |anchors: Vec<Anchor>| {
            anchors.into_iter().filter(|anchor| anchor.sequence >= last).min_by_key(|anchor| anchor.sequence)
        };
        let mut anchor = covering(super::anchors(&*self.store, &self.vault).await?);
        if anchor.is_none() {
            self.anchor_audit().await?;
            anchor = covering(super::anchors(&*self.store, &self.vault).await?);
        }
        let anchor = anchor.ok_or_else(|| {
            ServiceError::internal("ANCHOR_MISSING", "the register does not show the anchor that it was given")
        })?;
        Ok((first, last, anchor))
    }

    async fn prove(
        &self,
        format: FileFormat,
        (first, asked_last): (u64, u64),
        before: eads_domain::id::Hash,
        anchor: Anchor,
    ) -> Result<Vec<u8>, ServiceError> {
        let missing = || ServiceError::internal("ANCHOR_MISSING", "the register does not show the anchor");
        let checkpoint = self.register.checkpoint().ok_or_else(missing)?;
        let inclusion = self.register.inclusion(anchor.index, checkpoint.checkpoint().size).ok_or_else(missing)?;
        let (last, after) = (anchor.sequence, anchor.chain);
        let signed = self.countersignatures().await?.into_iter().map(|(_, signed)| signed);
        let signed = signed.filter(|signed| (first..=last).contains(&signed.sequence)).collect();
        let anchor = AnchorProof {
            index: anchor.index,
            payload: hex::encode(&anchor.payload),
            inclusion,
            checkpoint: String::from_utf8_lossy(checkpoint.bytes()).into_owned(),
        };
        let identity = self.identity();
        let proof = AuditProof::new(&identity.card, format, (first, last, asked_last), (before, after), anchor, signed);
        proof
            .to_json()
            .map_err(|error| ServiceError::internal("PROOF_UNWRITABLE", "the proof cannot be written").caused_by(error))
    }
}

impl AuditLog {
    /// First and last entry of a span of time; none if there is none. A clock that jumped may leave others between.
    fn range(&self, asked: ExportAsked, until: u64) -> Result<Option<(u64, u64)>, ServiceError> {
        let mut range = None;
        for record in self.records(0, until)? {
            let (sequence, entry, _) = record?;
            if asked.from.is_none_or(|from| entry.at >= from) && asked.to.is_none_or(|to| entry.at < to) {
                range = Some((range.map_or(sequence, |(first, _)| first), sequence));
            }
        }
        Ok(range)
    }
}

/// Sends the file; returns the chain before its first entry.
fn write(
    log: &AuditLog,
    format: FileFormat,
    first: u64,
    anchor: &Anchor,
    parts: &Parts,
) -> Result<eads_domain::id::Hash, ServiceError> {
    let unsound = |sequence: u64| {
        ServiceError::internal("AUDIT_UNSOUND", format!("entry {sequence} is not what the register anchors"))
            .with_hint("run `eads audit verify`")
    };
    let gone = || ServiceError::unavailable("EXPORT_STOPPED", "nobody reads the export any more");
    let before = log.chain_after(first - 1)?.ok_or_else(|| unsound(first))?;
    let mut piece = format.header();
    let mut last = None;
    for record in log.journal.replay_until(first, anchor.sequence)? {
        let record = record?;
        let payload = String::from_utf8(record.payload).map_err(|_| unsound(record.sequence))?;
        let row = Row { sequence: record.sequence, chain: record.chain, payload };
        piece.push_str(&row.line(format).map_err(|_| unsound(record.sequence))?);
        last = Some((record.sequence, record.chain));
        if piece.len() >= PIECE_BYTES {
            let full = std::mem::take(&mut piece).into_bytes();
            parts.blocking_send(Ok(ExportPart::Chunk(full))).map_err(|_| gone())?;
        }
    }
    if last != Some((anchor.sequence, anchor.chain)) {
        return Err(unsound(anchor.sequence));
    }
    parts.blocking_send(Ok(ExportPart::Chunk(piece.into_bytes()))).map_err(|_| gone())?;
    Ok(before)
}
