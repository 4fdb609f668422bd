//! The court pack of one notice.

use std::path::Path;

use eads_domain::operator::Purpose;
use eads_domain::reference::Reference;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::verify;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::Tone;

/// What is asked of a pack.
pub(super) struct Asked {
    pub(super) notice: Reference,
    pub(super) purpose: Purpose,
    pub(super) legal_basis: String,
    pub(super) case: String,
}

#[derive(Debug, Serialize)]
struct PackedView {
    reference: String,
    file: String,
    bytes: usize,
    statements: usize,
    destroyed: usize,
    receipts: usize,
    audit_entries: u64,
}

/// Fetches the pack and verifies it before it is written: what does not verify is no proof.
pub(super) async fn export(context: &Context, asked: Asked, out: Option<&Path>) -> Result<Exit, CliError> {
    let node = context.node().await?;
    let request = node.long_request(proto::ExportCourtPackRequest {
        reference: asked.notice.to_string(),
        purpose: asked.purpose.as_str().to_owned(),
        legal_basis: asked.legal_basis,
        case_reference: asked.case,
    });
    let chunks = node::answer(node.court().export_court_pack(request)).await?;
    let chunks = node::collect(chunks, node.timeout()).await?;
    let file: Vec<u8> = chunks.into_iter().flat_map(|response| response.chunk).collect();
    let text = String::from_utf8_lossy(&file);
    let found = verify::pack(&text)?;
    let Some(path) = out else {
        context.out.raw(&text)?;
        return Ok(Exit::Done);
    };
    files::write(path, &file)?;
    let view = PackedView {
        reference: asked.notice.to_string(),
        file: path.display().to_string(),
        bytes: file.len(),
        statements: found.statements.len(),
        destroyed: found.statements.iter().filter(|statement| statement.destroyed).count(),
        receipts: found.receipts.len(),
        audit_entries: found.audit_entries,
    };
    context.out.emit(&view, |page| {
        page.toned(&format!("Everything about {} is in {}, and verifies.", view.reference, view.file), Tone::Good);
        page.field("statements", &format!("{}, of which {} destroyed", view.statements, view.destroyed));
        page.field("receipts", &view.receipts.to_string());
        page.field("audit entries", &view.audit_entries.to_string());
        page.line("Give it on as it is: a changed byte breaks its signature. It says itself how it is verified.");
    })?;
    Ok(Exit::Done)
}
