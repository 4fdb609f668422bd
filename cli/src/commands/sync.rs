//! `eads sync`: what a line would carry, as a file for members that no line connects.

use std::path::PathBuf;

use clap::Subcommand;
use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files::{self, FileError};
use crate::node;
use crate::output::{Tone, plural};

/// How much of the file one message carries.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many messages may wait.
const WAITING_CHUNKS: usize = 8;

/// `eads sync`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Writes what a peer does not hold yet, and the receipts owed to it, to a file that only it can read.
    Export(ExportOptions),
    /// Applies such a file of a peer; importing one twice changes nothing.
    Import(ImportOptions),
}

/// `eads sync export`
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    /// The peer that the file is for.
    member: MemberId,
    /// The file to write.
    #[arg(short, long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Leaves that the peer holds already; without it, what its last file said.
    #[arg(long, value_name = "NUMBER")]
    register_cursor: Option<u64>,
    /// Deliveries that the peer holds already; without it, what its last file said.
    #[arg(long, value_name = "NUMBER")]
    delivery_cursor: Option<u64>,
}

/// `eads sync import`
#[derive(Debug, clap::Args)]
pub(crate) struct ImportOptions {
    /// The file as the peer's administrator wrote it.
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct ExportedView {
    member: MemberId,
    file: PathBuf,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct ImportedView {
    member: String,
    leaves: u64,
    deliveries: u64,
    receipts: u64,
    register_cursor: u64,
    delivery_cursor: u64,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Export(options) => options.run(context).await,
            Self::Import(options) => options.run(context).await,
        }
    }
}

impl ExportOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.long_request(proto::ExportSyncRequest {
            member: self.member.to_string(),
            register_cursor: self.register_cursor,
            delivery_cursor: self.delivery_cursor,
        });
        let mut stream = node::answer(node.peering().export_sync(request)).await?;
        // A file appears whole under its name or not at all.
        let partial = files::beside(&self.out, "partial");
        let unwritable = |cause| FileError::Unwritable { path: self.out.clone(), cause };
        let written = async {
            let mut file = tokio::fs::File::create(&partial).await.map_err(unwritable)?;
            let mut bytes = 0;
            while let Some(message) = node::next(&mut stream, node.timeout()).await? {
                file.write_all(&message.chunk).await.map_err(unwritable)?;
                bytes += message.chunk.len() as u64;
            }
            file.sync_all().await.map_err(unwritable)?;
            tokio::fs::rename(&partial, &self.out).await.map_err(unwritable)?;
            Ok::<u64, CliError>(bytes)
        };
        let bytes = match written.await {
            Ok(bytes) => bytes,
            Err(error) => {
                // The error that matters is the first one.
                let _ = tokio::fs::remove_file(&partial).await;
                return Err(error);
            }
        };
        let view = ExportedView { member: self.member, file: self.out.clone(), bytes };
        context.out.emit(&view, |page| {
            page.line(&format!("{} bytes for {} are in {}", view.bytes, view.member, view.file.display()));
            page.line(&format!("Only the node of {} can read them. There an administrator runs", view.member));
            page.line("  eads sync import FILE");
        })?;
        Ok(Exit::Done)
    }
}

impl ImportOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let (sender, receiver) = mpsc::channel(WAITING_CHUNKS);
        let sending = tokio::spawn(send(self.file, sender));
        let request = node.long_request(ReceiverStream::new(receiver));
        let imported = node::answer(node.peering().import_sync(request)).await;
        if imported.is_err() {
            sending.abort();
        }
        // A file that cannot be read ends the stream early: that is then the cause of what the node says.
        if let Ok(sent) = sending.await {
            sent?;
        }
        let imported = imported?;
        let view = ImportedView {
            member: imported.member,
            leaves: imported.leaves,
            deliveries: imported.deliveries,
            receipts: imported.receipts,
            register_cursor: imported.register_cursor,
            delivery_cursor: imported.delivery_cursor,
        };
        context.out.emit(&view, |page| {
            page.toned(
                &format!(
                    "From {}: {}, {}, {}.",
                    view.member,
                    plural(view.leaves, "entry", "entries"),
                    plural(view.deliveries, "delivery", "deliveries"),
                    plural(view.receipts, "receipt", "receipts")
                ),
                Tone::Good,
            );
            page.line(&format!(
                "Held now: register cursor {}, delivery cursor {}.",
                view.register_cursor, view.delivery_cursor
            ));
        })?;
        Ok(Exit::Done)
    }
}

async fn send(path: PathBuf, sender: mpsc::Sender<proto::ImportSyncRequest>) -> Result<(), FileError> {
    let unreadable = |cause| FileError::Unreadable { path: path.clone(), cause };
    let mut file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await.map_err(unreadable)?;
        chunk.truncate(read);
        if read == 0 || sender.send(proto::ImportSyncRequest { chunk }).await.is_err() {
            return Ok(());
        }
    }
}
