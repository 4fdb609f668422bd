//! `eads proof`: what shows to anybody that a member's register has forked.

use std::path::PathBuf;

use clap::Subcommand;
use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;

/// `eads proof`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Writes the proof that a peer's register has forked; anybody verifies it, with any tools.
    Export(ExportOptions),
}

/// `eads proof export`
#[derive(Debug, clap::Args)]
pub(crate) struct ExportOptions {
    /// The peer that is, or was, frozen.
    member: MemberId,
    /// Write the proof to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct ExportedView {
    member: MemberId,
    file: Option<String>,
    proof: serde_json::Value,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Export(options) => options.run(context).await,
        }
    }
}

impl ExportOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ExportProofRequest { member: self.member.to_string() });
        let file = node::answer(node.peering().export_proof(request)).await?.file;
        let proof = serde_json::from_slice(&file).map_err(|cause| {
            CliError::new("PROOF_UNREADABLE", Exit::Integrity, format!("the node's proof cannot be read: {cause}"))
        })?;
        if let Some(path) = &self.out {
            files::write(path, &file)?;
        }
        let path = self.out.as_ref().map(|path| path.display().to_string());
        let view = ExportedView { member: self.member, file: path, proof };
        context.out.emit(&view, |page| match &view.file {
            Some(path) => {
                page.line(&format!("The proof against {} is in {path}", view.member));
                page.line("It says itself how a third party verifies it.");
            }
            None => String::from_utf8_lossy(&file).lines().for_each(|line| page.line(line)),
        })?;
        Ok(Exit::Done)
    }
}
