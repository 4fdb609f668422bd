//! `eads audit show`

use eads_proto::v1 as proto;
use serde::Serialize;

use super::entry::EntryView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;

/// `eads audit show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The entry's sequence number.
    #[arg(value_name = "SEQ")]
    sequence: u64,
}

/// The JSON of `eads audit show`. `payload` is the entry as it stands in the log and in its chain.
#[derive(Debug, Serialize)]
struct ShowView {
    entry: EntryView,
    related: Vec<EntryView>,
    payload: String,
}

impl ShowOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.long_request(proto::GetAuditEntryRequest { sequence: self.sequence });
        let found = node::answer(node.audit().get_audit_entry(request)).await?;
        let entry = found.entry.map(EntryView::from).ok_or_else(|| {
            CliError::new("AUDIT_ENTRY_UNKNOWN", Exit::NotFound, format!("there is no entry {}", self.sequence))
        })?;
        let view = ShowView {
            entry,
            related: found.related.into_iter().map(EntryView::from).collect(),
            payload: String::from_utf8_lossy(&found.payload).into_owned(),
        };
        context.out.emit(&view, |page| {
            view.entry.show(page);
            for other in &view.related {
                page.heading(&format!("Its {}", other.kind));
                other.show(page);
            }
        })?;
        Ok(Exit::Done)
    }
}
