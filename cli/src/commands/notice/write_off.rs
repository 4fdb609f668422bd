//! `eads notice write-off`: giving up on a purge receipt that does not come.

use eads_domain::id::MemberId;
use eads_domain::reference::Reference;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Tone, plural};

/// `eads notice write-off`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// An own notice, by the reference that people cite.
    reference: Reference,
    /// The peer whose purge receipt will not come.
    #[arg(long)]
    member: MemberId,
    /// Why it is waited for no more; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct WrittenOffView {
    reference: String,
    member: MemberId,
    written_off: bool,
    statements: u64,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::WriteOffReceiptRequest {
            reference: self.reference.to_string(),
            member: self.member.to_string(),
            reason: self.reason,
        });
        let answer = node::answer(node.court().write_off_receipt(request)).await?;
        let view = WrittenOffView {
            reference: self.reference.to_string(),
            member: self.member,
            written_off: answer.written_off,
            statements: answer.statements,
        };
        context.out.emit(&view, |page| {
            let what = plural(view.statements, "statement", "statements");
            if view.written_off {
                page.toned(
                    &format!("{} owes nothing for {what} of {} any more.", view.member, view.reference),
                    Tone::Caution,
                );
                page.line("It is on record as written off, not as purged: nobody knows what became of the copy.");
                page.line("If its node comes back it is not told of the end any more: tell it by another way.");
            } else {
                page.line(&format!("Confirmed, {what}. It stays owed until a second administrator runs"));
                page.line(&format!(
                    "  eads notice write-off {} --member {} --reason TEXT",
                    view.reference, view.member
                ));
            }
        })?;
        Ok(Exit::Done)
    }
}
