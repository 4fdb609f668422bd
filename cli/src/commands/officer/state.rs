//! `eads officer suspend|resume|revoke`: who may work, from now on.

use eads_domain::operator::OperatorName;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;

/// `eads officer suspend`, `resume` and `revoke`
#[derive(Debug, clap::Args)]
pub(crate) struct StateOptions {
    /// The officer.
    name: OperatorName,
    /// Why; kept with the officer and in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct StateView {
    name: OperatorName,
    state: &'static str,
}

impl StateOptions {
    pub(super) async fn suspend(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let message = proto::SuspendOfficerRequest { name: self.name.to_string(), reason: self.reason };
        node::answer(node.officers().suspend_officer(node.request(message))).await?;
        told(context, self.name, "suspended", "is suspended and its connections are closed.")
    }

    pub(super) async fn resume(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let message = proto::ResumeOfficerRequest { name: self.name.to_string(), reason: self.reason };
        node::answer(node.officers().resume_officer(node.request(message))).await?;
        told(context, self.name, "active", "may work again.")
    }

    pub(super) async fn revoke(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let message = proto::RevokeOfficerRequest { name: self.name.to_string(), reason: self.reason };
        node::answer(node.officers().revoke_officer(node.request(message))).await?;
        told(context, self.name, "revoked", "is revoked and its connections are closed.")
    }
}

fn told(context: &Context, name: OperatorName, state: &'static str, words: &str) -> Result<Exit, CliError> {
    let view = StateView { name, state };
    context.out.emit(&view, |page| page.line(&format!("{} {words}", view.name)))?;
    Ok(Exit::Done)
}
