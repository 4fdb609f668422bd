//! The proof that a member's register has forked.

use std::path::Path;

use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;

#[derive(Debug, Serialize)]
struct ExportedView {
    member: MemberId,
    file: Option<String>,
    proof: serde_json::Value,
}

pub(super) async fn export(context: &Context, member: MemberId, out: Option<&Path>) -> Result<Exit, CliError> {
    let node = context.node().await?;
    let request = node.request(proto::ExportProofRequest { member: member.to_string() });
    let file = node::answer(node.peering().export_proof(request)).await?.file;
    let proof = serde_json::from_slice(&file).map_err(|cause| {
        CliError::new("PROOF_UNREADABLE", Exit::Integrity, format!("the node's proof cannot be read: {cause}"))
    })?;
    if let Some(path) = out {
        files::write(path, &file)?;
    }
    let view = ExportedView { member, file: out.map(|path| path.display().to_string()), proof };
    context.out.emit(&view, |page| match &view.file {
        Some(path) => {
            page.line(&format!("The proof against {member} is in {path}"));
            page.line("It says itself how a third party verifies it.");
        }
        None => String::from_utf8_lossy(&file).lines().for_each(|line| page.line(line)),
    })?;
    Ok(Exit::Done)
}
