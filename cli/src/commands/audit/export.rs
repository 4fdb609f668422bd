//! `eads audit export`

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use eads_domain::audit::AuditProof;
use eads_domain::clock::Timestamp;
use eads_proto::v1 as proto;
use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use super::file::proof_of;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files::{self, FileError};
use crate::node::{self, Node};

/// `eads audit export`
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    /// How entries are written.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// Not before this date or time (2026-11-24, 2026-11-24T03:48:05Z) [default: the start].
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Before this date or time [default: now].
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// The file to write; the proof goes beside it, with `.proof.json` at the end of its name.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line, each with the entry as it stands in the log.
    Jsonl,
    /// For spreadsheets; nothing in it is taken for a formula.
    Csv,
}

/// The JSON of `eads audit export`.
#[derive(Debug, Serialize)]
struct ExportedView {
    file: PathBuf,
    proof: PathBuf,
    bytes: u64,
    first: u64,
    asked_last: u64,
    last: u64,
    anchor: u64,
}

impl ExportOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        // Both files appear under their names when they are whole, the proof last.
        let partial = files::beside(&self.out, "partial");
        let written = self.fetch(context, &node, &partial).await;
        let (bytes, proof) = match written {
            Ok(written) => written,
            Err(error) => {
                // The error that matters is the first one.
                let _ = tokio::fs::remove_file(&partial).await;
                return Err(error);
            }
        };
        let proof_file = proof_of(&self.out);
        files::write(&proof_file, &proof)?;
        let parsed = AuditProof::parse(&proof)
            .map_err(|finding| CliError::new("PROOF_UNREADABLE", Exit::Integrity, finding.text))?;
        let view = ExportedView {
            file: self.out,
            proof: proof_file,
            bytes,
            first: parsed.first,
            asked_last: parsed.asked_last,
            last: parsed.last,
            anchor: parsed.anchor.index,
        };
        context.out.emit(&view, |page| {
            page.line(&format!("Entries {} to {} are in {}", view.first, view.last, view.file.display()));
            if view.last > view.asked_last {
                let more = view.last - view.asked_last;
                page.line(&format!("The last {more} lead from the span to the register's anchor at {}.", view.anchor));
            }
            page.line("Anybody who knows this member's card verifies it, without a node:");
            page.line(&format!("  eads audit verify --file {} --card CARD", view.file.display()));
        })?;
        Ok(Exit::Done)
    }

    async fn fetch(&self, context: &Context, node: &Node, partial: &Path) -> Result<(u64, Vec<u8>), CliError> {
        let format = match self.format {
            Format::Jsonl => proto::AuditFormat::JsonLines,
            Format::Csv => proto::AuditFormat::Csv,
        };
        let request = node.long_request(proto::ExportAuditRequest {
            format: format.into(),
            from: self.from.map_or(0, Timestamp::as_unix),
            to: self.to.map_or(0, Timestamp::as_unix),
        });
        let mut stream = node::answer(node.audit().export_audit(request)).await?;
        let unwritable = |cause| FileError::Unwritable { path: self.out.clone(), cause };
        let mut file = tokio::fs::File::create(partial).await.map_err(unwritable)?;
        let (mut bytes, mut proof) = (0, None);
        while let Some(message) = node::next(&mut stream, context.long_timeout()).await? {
            match message.part {
                Some(proto::export_audit_response::Part::Chunk(chunk)) => {
                    file.write_all(&chunk).await.map_err(unwritable)?;
                    bytes += chunk.len() as u64;
                }
                Some(proto::export_audit_response::Part::Proof(json)) => proof = Some(json),
                None => {}
            }
        }
        let proof = proof.ok_or_else(|| {
            CliError::new("PROOF_MISSING", Exit::Integrity, "the node sent no proof with the file".to_owned())
        })?;
        file.sync_all().await.map_err(unwritable)?;
        tokio::fs::rename(partial, &self.out).await.map_err(unwritable)?;
        Ok((bytes, proof))
    }
}
