//! `eads notice import`: a published list becomes one batch of drafts.

use std::path::PathBuf;

use clap::ValueEnum;
use eads_proto::v1 as proto;
use eads_proto::v1::import_notices_request::Part;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::draft;
use crate::commands::arguments::Audience;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files::FileError;
use crate::node;
use crate::output::{Page, Tone};

/// How much of the file one message carries.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many messages may wait.
const WAITING_CHUNKS: usize = 8;
/// How many rejections the page lists.
const LISTED_REJECTIONS: usize = 20;

/// `eads notice import`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The list as it was published.
    file: PathBuf,
    /// Which list it is.
    #[arg(long, value_enum)]
    format: ListFormat,
    /// Members that the notices are addressed to, or `all`; without it they stay here.
    #[arg(long, value_name = "MEMBERS")]
    to: Option<Audience>,
    /// Also draft the withdrawal of notices whose entry has vanished from the list.
    #[arg(long)]
    withdraw_missing: bool,
    /// Do so even if an unlikely share of the list has vanished.
    #[arg(long, requires = "withdraw_missing")]
    override_guard: bool,
    /// Count only; make no drafts.
    #[arg(long)]
    dry_run: bool,
}

/// Lists that the node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// The UN Security Council consolidated list, XML.
    UnConsolidated,
}

/// What came of it, in JSON.
#[derive(Debug, Serialize)]
struct ImportView {
    batch: Option<String>,
    dry_run: bool,
    persons: u64,
    entities: u64,
    aliases: u64,
    documents: u64,
    issues: u64,
    amendments: u64,
    withdrawals: u64,
    unchanged: u64,
    missing: u64,
    rejected: Vec<RejectionView>,
}

#[derive(Debug, Serialize)]
struct RejectionView {
    line: Option<u64>,
    key: String,
    code: String,
    reason: String,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let options = proto::ImportNoticesOptions {
            format: match self.format {
                ListFormat::UnConsolidated => "un-consolidated".to_owned(),
            },
            audience: draft::members(self.to.as_ref(), &node).await?,
            withdraw_missing: self.withdraw_missing,
            override_guard: self.override_guard,
            dry_run: self.dry_run,
        };
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
        let sending = tokio::spawn(send(self.file, options, sender));
        let request = node.long_request(ReceiverStream::new(receiver));
        let imported = node::answer(node.notices().import_notices(request)).await;
        if imported.is_err() {
            sending.abort();
        }
        match sending.await {
            // A file that cannot be read ends the stream early: that is then the cause of what the node says.
            Ok(sent) => sent?,
            Err(_) => {
                imported?;
                return Err(CliError::new("NODE_FAILED", Exit::NodeFault, "the import was cut short"));
            }
        }
        let view = ImportView::new(imported?, self.dry_run);
        context.out.emit(&view, |page| view.show(page))?;
        Ok(Exit::Done)
    }
}

async fn send(
    path: PathBuf,
    options: proto::ImportNoticesOptions,
    sender: mpsc::Sender<proto::ImportNoticesRequest>,
) -> Result<(), FileError> {
    let unreadable = |cause| FileError::Unreadable { path: path.clone(), cause };
    let mut file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
    let mut part = Part::Options(options);
    loop {
        if sender.send(proto::ImportNoticesRequest { part: Some(part) }).await.is_err() {
            return Ok(());
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await.map_err(unreadable)?;
        if read == 0 {
            return Ok(());
        }
        chunk.truncate(read);
        part = Part::Chunk(chunk);
    }
}

impl ImportView {
    fn new(imported: proto::ImportNoticesResponse, dry_run: bool) -> Self {
        Self {
            batch: (!imported.batch.is_empty()).then_some(imported.batch),
            dry_run,
            persons: imported.persons,
            entities: imported.entities,
            aliases: imported.aliases,
            documents: imported.documents,
            issues: imported.issues,
            amendments: imported.amendments,
            withdrawals: imported.withdrawals,
            unchanged: imported.unchanged,
            missing: imported.missing,
            rejected: imported
                .rejected
                .into_iter()
                .map(|rejection| RejectionView {
                    line: (rejection.line != 0).then_some(rejection.line),
                    key: rejection.key,
                    code: rejection.code,
                    reason: rejection.reason,
                })
                .collect(),
        }
    }

    fn show(&self, page: &mut Page) {
        page.field("persons", &self.persons.to_string());
        page.field("entities", &self.entities.to_string());
        page.field("aliases", &self.aliases.to_string());
        page.field("documents", &self.documents.to_string());
        page.gap();
        page.field("to issue", &self.issues.to_string());
        page.field("to amend", &self.amendments.to_string());
        page.field("to withdraw", &self.withdrawals.to_string());
        page.field("unchanged", &self.unchanged.to_string());
        if self.missing > 0 {
            let text = format!("{} (vanished from the list and not withdrawn)", self.missing);
            page.toned_field("missing", &text, Tone::Caution);
        }
        if !self.rejected.is_empty() {
            page.toned_field("rejected", &self.rejected.len().to_string(), Tone::Caution);
            for rejection in self.rejected.iter().take(LISTED_REJECTIONS) {
                let line = rejection.line.map_or_else(String::new, |line| format!("line {line}, "));
                page.line(&format!("  {line}{}: {}: {}", rejection.key, rejection.code, rejection.reason));
            }
            if self.rejected.len() > LISTED_REJECTIONS {
                page.line("  all of them with --output json");
            }
        }
        page.gap();
        match (&self.batch, self.dry_run) {
            (_, true) => page.line("Nothing was drafted: a dry run only counts."),
            (None, false) => page.line("Nothing had to be drafted."),
            (Some(batch), false) => {
                page.line(&format!("The drafts are batch {batch}. A second officer reviews and approves them:"));
                page.line(&format!("  eads notice drafts --batch {batch}"));
                page.line(&format!("  eads notice approve --batch {batch}"));
                page.line("Then an issuer publishes them:");
                page.line(&format!("  eads notice issue --batch {batch}"));
            }
        }
    }
}
