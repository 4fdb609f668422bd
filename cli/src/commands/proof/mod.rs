//! `eads proof`: what a third party verifies without this node, and with any tools.

mod fork;
mod pack;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;
use eads_domain::id::MemberId;
use eads_domain::operator::Purpose;
use eads_domain::reference::Reference;

use super::arguments;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// `eads proof`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Writes a proof: that a peer's register has forked, or everything about one notice, for a court.
    Export(ExportOptions),
    /// Verifies a file that `export` has written, without a node.
    Verify(verify::Options),
}

/// `eads proof export`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["member", "notice"]))]
pub(crate) struct ExportOptions {
    /// The peer that is, or was, frozen: the proof that its register has forked.
    member: Option<MemberId>,
    /// A notice, own or held: entries, proofs, approvals, receipts, audit entries, and the keys behind each.
    ///
    /// Values are opened to auditors; an administrator gets commitments in their place.
    #[arg(long, value_name = "REFERENCE", requires = "purpose", requires = "case")]
    notice: Option<Reference>,
    /// Why the notice's pack is made; kept in the audit log and in the pack.
    #[arg(long, value_name = "CODE", value_parser = arguments::purpose(), requires = "notice")]
    purpose: Option<Purpose>,
    /// On which legal basis, as a code or short text; kept in the audit log and in the pack.
    #[arg(
        long,
        value_name = "TEXT",
        env = "EADS_LEGAL_BASIS",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    legal_basis: String,
    /// The case; kept in the audit log and in the pack.
    #[arg(long, value_name = "REFERENCE", requires = "notice")]
    case: Option<String>,
    /// Write the proof to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Export(options) => options.run(context).await,
            Self::Verify(options) => options.run(context),
        }
    }
}

impl ExportOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match (self.member, self.notice, self.purpose) {
            (Some(member), ..) => fork::export(context, member, self.out.as_deref()).await,
            (None, Some(notice), Some(purpose)) => {
                let case = self.case.unwrap_or_default();
                let asked = pack::Asked { notice, purpose, legal_basis: self.legal_basis, case };
                pack::export(context, asked, self.out.as_deref()).await
            }
            // The command line is not parsed without one of the two.
            _ => Err(CliError::new("PROOF_OF_NOTHING", Exit::Usage, "name a peer, or a notice with --notice")),
        }
    }
}
