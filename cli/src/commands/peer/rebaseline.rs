//! A peer begins anew: its new card, of another register, takes the place of the one held.

use std::path::PathBuf;

use eads_domain::card::VerificationCode;
use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::Tone;

/// `eads peer rebaseline`
#[derive(Debug, clap::Args)]
pub(crate) struct RebaselineOptions {
    /// The new card of a peer that lost its keys or its node.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The verification code as the peer's administrator read it out: twelve groups of five digits.
    #[arg(long, value_name = "DIGITS")]
    code: VerificationCode,
    /// Why; kept in the audit log and with the history of the old register.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct RebaselinedView {
    member: MemberId,
    effective: bool,
}

impl RebaselineOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let card = super::card::read(&self.file)?;
        let node = context.node().await?;
        let request = node.request(proto::RebaselinePeerRequest {
            card: card.bytes().to_vec(),
            verification_code: self.code.to_string(),
            reason: self.reason,
        });
        let response = node::answer(node.peering().rebaseline_peer(request)).await?;
        let view = RebaselinedView { member: card.card().member, effective: response.effective };
        context.out.emit(&view, |page| {
            if view.effective {
                page.toned(
                    &format!("The new register of {} is followed from its first entry.", view.member),
                    Tone::Good,
                );
                page.line("What was held of the old one is destroyed; what it came to is kept as history.");
            } else {
                page.line(&format!(
                    "Confirmed. {} is followed as before until a second administrator runs",
                    view.member
                ));
                page.line(&format!(
                    "  eads peer rebaseline {} --code \"{}\" --reason TEXT",
                    self.file.display(),
                    self.code
                ));
            }
        })?;
        Ok(Exit::Done)
    }
}
