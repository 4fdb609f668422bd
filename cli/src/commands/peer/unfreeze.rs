//! Taking a freeze back: two administrators, for a reason that is kept.

use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::Tone;

/// `eads peer unfreeze`
#[derive(Debug, clap::Args)]
pub(crate) struct UnfreezeOptions {
    /// The frozen peer.
    member: MemberId,
    /// Why it can be relied on again; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct UnfrozenView {
    member: MemberId,
    unfrozen: bool,
}

impl UnfreezeOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::UnfreezePeerRequest { member: self.member.to_string(), reason: self.reason });
        let response = node::answer(node.peering().unfreeze_peer(request)).await?;
        let view = UnfrozenView { member: self.member, unfrozen: response.unfrozen };
        context.out.emit(&view, |page| {
            if view.unfrozen {
                page.toned(&format!("{} is no longer frozen. The proof is kept.", view.member), Tone::Good);
                page.line("Its register is followed from the last verified checkpoint, if it continues that.");
            } else {
                page.line(&format!("Confirmed. {} stays frozen until a second administrator runs", view.member));
                page.line(&format!("  eads peer unfreeze {} --reason TEXT", view.member));
            }
        })?;
        Ok(Exit::Done)
    }
}
