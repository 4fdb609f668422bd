//! `eads record import`: a file of records, streamed, with progress, rejections and resumption.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use eads_proto::v1 as proto;
use eads_proto::v1::import_records_request::Part;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::rejects::Rejects;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files::{self, FileError};
use crate::node::{self, Node};
use crate::output::{Page, Tone, bytes, plural};

/// How much of the file one message carries.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many messages may wait; the node's own pace decides the rest.
const WAITING_CHUNKS: usize = 8;
/// How many rejections the page lists itself.
const LISTED_REJECTIONS: usize = 10;

/// `eads record import`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file.
    file: PathBuf,
    /// Its format; without it the extension says (.csv, .jsonl, .ndjson, .xlsx).
    #[arg(long, value_enum)]
    format: Option<RecordFormat>,
    /// Which column is which field, TOML; without it columns carry the names of the slot table.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// The name of the source; keys are unique within it.
    #[arg(long, value_name = "NAME")]
    source: String,
    /// Its encoding: utf-8, utf-16le, utf-16be, windows-874, windows-1258, tcvn3, windows-1252. Without it the node
    /// finds out, or refuses to guess.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    encoding: String,
    /// The sheet of a workbook, by its name; the first one without it.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    sheet: String,
    /// The file is everything that the source has: records that are not in it are retired, once all of it is read.
    #[arg(long)]
    snapshot: bool,
    /// Show what would change, by key and field, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Retire even if more than a tenth of the source's records would go; administrators only.
    #[arg(long, requires = "snapshot")]
    override_guard: bool,
    /// Write the lines that were not taken to this CSV file: line, key, code, reason.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// Comma-separated values with a heading line.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// A workbook.
    Xlsx,
}

/// The JSON of a finished import.
#[derive(Debug, Default, Serialize)]
struct ImportView {
    source: String,
    bytes: u64,
    resumed_at: u64,
    inserted: u64,
    changed: u64,
    unchanged: u64,
    /// Records that vanished at their source.
    retired: u64,
    rejected: u64,
    /// Nothing was changed: the counts say what would be.
    dry_run: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    encoding: String,
    /// Of a dry run: the first thousand records that would change, by key and field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
    #[serde(skip)]
    snapshot: bool,
    #[serde(skip)]
    first_rejections: Vec<String>,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let format = self.format.or_else(|| guess(&self.file)).ok_or_else(|| {
            CliError::new("RECORD_FORMAT_UNKNOWN", Exit::BadInput, "the file's name does not say its format")
                .with_hint("say it with --format csv, --format jsonl or --format xlsx")
        })?;
        let mapping = self.mapping.as_deref().map(files::read_text).transpose()?.unwrap_or_default();
        let (digest, total) = digest(&self.file).await?;
        let node = context.node().await?;
        let options = proto::ImportRecordsOptions {
            format: format.as_str().to_owned(),
            mapping,
            source: self.source.clone(),
            total_bytes: total,
            file_digest: digest,
            encoding: self.encoding.clone(),
            sheet: self.sheet.clone(),
            snapshot: self.snapshot,
            override_guard: self.override_guard,
            dry_run: self.dry_run,
        };
        let view = self.stream(options, total, &node, context).await?;
        context.out.emit(&view, |page| view.show(page, self.rejects.as_deref()))?;
        Ok(Exit::Done)
    }

    /// Sends the file from where the node wants it and follows its progress to the end.
    async fn stream(
        &self,
        options: proto::ImportRecordsOptions,
        total: u64,
        node: &Node,
        context: &Context,
    ) -> Result<ImportView, CliError> {
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
        // The channel was made a moment ago and has room.
        let _ = sender.try_send(proto::ImportRecordsRequest { part: Some(Part::Options(options)) });
        let mut progress = node::answer(node.records().import_records(ReceiverStream::new(receiver))).await?;
        let first = node::next(&mut progress, node.timeout()).await?.ok_or_else(cut_short)?;
        let resumed_at = first.resume_at;
        if resumed_at > total {
            let text = format!("the node wants to resume at byte {resumed_at} of {total}");
            return Err(CliError::new("NODE_FAILED", Exit::NodeFault, text));
        }
        let mut rejects = self.rejects.as_deref().map(|target| Rejects::begin(target, resumed_at > 0)).transpose()?;
        if resumed_at > 0 {
            context.out.note(&format!("an earlier run was interrupted: going on at {}", bytes(resumed_at)));
        }
        let bar = bar(context, total, resumed_at);
        let sending = tokio::spawn(send(self.file.clone(), sender));
        let mut view = ImportView {
            source: self.source.clone(),
            bytes: total,
            resumed_at,
            dry_run: self.dry_run,
            snapshot: self.snapshot,
            ..ImportView::default()
        };
        let followed = follow(first, &mut progress, node.timeout(), &bar, rejects.as_mut(), &mut view).await;
        bar.finish_and_clear();
        if followed.is_err() && !sending.is_finished() {
            sending.abort();
        }
        // A file that can no longer be read ends the stream early: that is then the cause of what the node says.
        if let Ok(sent) = sending.await {
            sent?;
        }
        followed?;
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        Ok(view)
    }
}

impl RecordFormat {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Xlsx => "xlsx",
        }
    }
}

/// Takes in what the node reports until it says that it is done.
async fn follow(
    first: proto::ImportRecordsResponse,
    progress: &mut Streaming<proto::ImportRecordsResponse>,
    stall: Duration,
    bar: &ProgressBar,
    mut rejects: Option<&mut Rejects>,
    view: &mut ImportView,
) -> Result<(), CliError> {
    let mut report = first;
    loop {
        bar.set_position(report.bytes_done.max(view.resumed_at));
        for rejection in &report.rejected {
            view.rejected += 1;
            if view.first_rejections.len() < LISTED_REJECTIONS {
                let line = format!("line {}: {}: {}", rejection.line, rejection.code, rejection.reason);
                view.first_rejections.push(line);
            }
            if let Some(rejects) = rejects.as_deref_mut() {
                rejects.add(rejection)?;
            }
        }
        if let Some(rejects) = rejects.as_deref_mut() {
            rejects.keep()?;
        }
        (view.inserted, view.changed, view.unchanged) = (report.inserted, report.changed, report.unchanged);
        view.retired = report.retired;
        view.differences.append(&mut report.differences);
        if !report.encoding.is_empty() {
            view.encoding = std::mem::take(&mut report.encoding);
        }
        let records = view.inserted + view.changed + view.unchanged;
        bar.set_message(format!("{records} records, {} rejected", view.rejected));
        if report.done {
            return Ok(());
        }
        report = node::next(progress, stall).await?.ok_or_else(cut_short)?;
    }
}

/// Sends the file's bytes from `start` on; stops quietly when the node no longer listens.
async fn send(path: PathBuf, sender: mpsc::Sender<proto::ImportRecordsRequest>) -> Result<(), FileError> {
    let unreadable = |cause| FileError::Unreadable { path: path.clone(), cause };
    let mut file = File::open(&path).await.map_err(unreadable)?;
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await.map_err(unreadable)?;
        chunk.truncate(read);
        let message = proto::ImportRecordsRequest { part: Some(Part::Chunk(chunk)) };
        if read == 0 || sender.send(message).await.is_err() {
            return Ok(());
        }
    }
}

/// SHA-256 and length of the file: by the digest the node knows a run that it has seen before.
async fn digest(path: &Path) -> Result<(Vec<u8>, u64), FileError> {
    let unreadable = |cause| FileError::Unreadable { path: path.to_owned(), cause };
    let mut file = File::open(path).await.map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut total = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk).await.map_err(unreadable)?;
        match chunk.get(..read) {
            None | Some([]) => return Ok((hasher.finalize().to_vec(), total)),
            Some(part) => hasher.update(part),
        }
        total += read as u64;
    }
}

/// The format that the file's extension names.
fn guess(path: &Path) -> Option<RecordFormat> {
    match path.extension()?.to_ascii_lowercase().to_str()? {
        "csv" => Some(RecordFormat::Csv),
        "xlsx" | "xlsm" => Some(RecordFormat::Xlsx),
        "jsonl" | "ndjson" => Some(RecordFormat::Jsonl),
        _ => None,
    }
}

/// A bar with rate and time to go, where somebody watches.
fn bar(context: &Context, total: u64, start: u64) -> ProgressBar {
    if !context.out.watched() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(
        "{bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  {eta} to go  {msg}",
    ) {
        bar.set_style(style);
    }
    bar.set_position(start);
    bar.reset_eta();
    bar
}

fn cut_short() -> CliError {
    CliError::new("NODE_FAILED", Exit::NodeFault, "the node ended the import before it was done")
        .with_hint("run the same command again: it goes on where it stopped")
}

impl ImportView {
    fn show(&self, page: &mut Page, rejects: Option<&Path>) {
        page.field("source", &self.source);
        page.field("file", &bytes(self.bytes));
        if self.resumed_at > 0 {
            page.field("resumed at", &bytes(self.resumed_at));
        }
        if !self.encoding.is_empty() && self.encoding != "utf-8" {
            page.field("encoding", &self.encoding);
        }
        if self.dry_run {
            page.line("Nothing was changed. What would be:");
        }
        page.field("inserted", &self.inserted.to_string());
        page.field("changed", &self.changed.to_string());
        page.field("unchanged", &self.unchanged.to_string());
        if self.snapshot {
            page.field("retired", &self.retired.to_string());
        }
        let tone = if self.rejected == 0 { Tone::Good } else { Tone::Caution };
        page.toned_field("rejected", &self.rejected.to_string(), tone);
        match (self.rejected, rejects) {
            (0, _) => {}
            (_, Some(file)) => page.line(&format!("The rejected lines are in {}", file.display())),
            (count, None) => {
                page.gap();
                for line in &self.first_rejections {
                    page.line(line);
                }
                let more = count - (self.first_rejections.len() as u64).min(count);
                if more > 0 {
                    page.line(&format!("and {}", plural(more, "more", "more")));
                }
                page.line("Write all of them to a file with --rejects FILE");
            }
        }
        if !self.differences.is_empty() {
            page.gap();
            for line in &self.differences {
                page.line(line);
            }
            let all = self.inserted + self.changed + self.retired;
            let more = all.saturating_sub(self.differences.len() as u64);
            if more > 0 {
                page.line(&format!("and {}", plural(more, "more", "more")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_says_the_format() {
        assert_eq!(guess(Path::new("persons.CSV")), Some(RecordFormat::Csv));
        assert_eq!(guess(Path::new("persons.ndjson")), Some(RecordFormat::Jsonl));
        assert_eq!(guess(Path::new("persons.xlsx")), Some(RecordFormat::Xlsx));
        assert_eq!(guess(Path::new("persons.xls")), None);
        assert_eq!(guess(Path::new("persons")), None);
    }
}
