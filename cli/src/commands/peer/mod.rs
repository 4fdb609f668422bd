//! `eads peer`: cards, the ceremony of accepting a peer, and its end.

mod card;
mod rebaseline;
mod unfreeze;
mod view;

use std::path::PathBuf;

use clap::Subcommand;
use eads_domain::agreement::Agreement;
use eads_domain::card::VerificationCode;
use eads_domain::id::MemberId;
use eads_proto::v1 as proto;
use serde::Serialize;

pub(super) use self::view::PeerView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::{Tone, plural};

/// `eads peer`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Exports this member's card, for the peer's administrators.
    Card(card::CardOptions),
    /// Verifies a card file and prints what it says, with its verification code; asks no node.
    Show(card::ShowOptions),
    /// Keeps a peer's card as a candidate and prints the code that both sides read to each other.
    Import(card::ImportOptions),
    /// Confirms a candidate; it takes effect when a second administrator has confirmed the same.
    Accept(AcceptOptions),
    /// Lists peers and candidates.
    List(ListOptions),
    /// Cuts a peer off; it may still fetch withdrawals and post receipts until it owes nothing.
    Remove(RemoveOptions),
    /// Takes a freeze back; it takes effect when a second administrator has said the same.
    Unfreeze(unfreeze::UnfreezeOptions),
    /// Follows the new register of a peer that lost its keys; it takes effect when a second administrator has said the same.
    Rebaseline(rebaseline::RebaselineOptions),
}

/// `eads peer accept`
#[derive(Debug, clap::Args)]
pub(crate) struct AcceptOptions {
    /// The peer.
    member: MemberId,
    /// The agreement with it, TOML; `eads agreement example` prints one.
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    /// The verification code as the peer's administrator read it out: twelve groups of five digits.
    #[arg(long, value_name = "DIGITS")]
    code: VerificationCode,
}

/// `eads peer list`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {}

/// `eads peer remove`
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveOptions {
    /// The peer.
    member: MemberId,
    /// Why; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct AcceptedView {
    member: MemberId,
    accepted: bool,
}

#[derive(Debug, Serialize)]
struct RemovedView {
    member: MemberId,
    unsettled: u64,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Card(options) => options.run(context).await,
            Self::Show(options) => options.run(context),
            Self::Import(options) => options.run(context).await,
            Self::Accept(options) => options.run(context).await,
            Self::List(options) => options.run(context).await,
            Self::Remove(options) => options.run(context).await,
            Self::Unfreeze(options) => options.run(context).await,
            Self::Rebaseline(options) => options.run(context).await,
        }
    }
}

impl AcceptOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let text = files::read_text(&self.agreement)?;
        let agreement =
            Agreement::parse(&text).map_err(|error| CliError::from(error).about(self.agreement.display()))?;
        if agreement.member() != self.member {
            let text = format!("{} is an agreement with {}", self.agreement.display(), agreement.member());
            return Err(CliError::new("AGREEMENT_OTHER_MEMBER", Exit::BadInput, text));
        }
        let node = context.node().await?;
        let request = node.request(proto::AcceptPeerRequest {
            member: self.member.to_string(),
            verification_code: self.code.to_string(),
            agreement: text,
        });
        let response = node::answer(node.peering().accept_peer(request)).await?;
        let view = AcceptedView { member: self.member, accepted: response.accepted };
        context.out.emit(&view, |page| {
            if view.accepted {
                page.toned(&format!("{} is accepted.", view.member), Tone::Good);
            } else {
                page.line(&format!("Confirmed. {} is not accepted yet: a second administrator runs", view.member));
                page.line(&format!(
                    "  eads peer accept {} --agreement {} --code \"{}\"",
                    view.member,
                    self.agreement.display(),
                    self.code
                ));
            }
        })?;
        Ok(Exit::Done)
    }
}

impl ListOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let response = node::answer(node.peering().list_peers(node.request(proto::ListPeersRequest {}))).await?;
        let peers: Vec<PeerView> = response.peers.into_iter().map(PeerView::from).collect();
        context.out.emit_list(&peers, |page| PeerView::show_all(&peers, page, context.now()))?;
        Ok(Exit::Done)
    }
}

impl RemoveOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::RemovePeerRequest { member: self.member.to_string(), reason: self.reason });
        let response = node::answer(node.peering().remove_peer(request)).await?;
        let view = RemovedView { member: self.member, unsettled: response.unsettled };
        context.out.emit(&view, |page| {
            page.line(&format!("{} is removed and its connections are closed.", view.member));
            if view.unsettled > 0 {
                let owed = plural(view.unsettled, "purge receipt", "purge receipts");
                page.toned(&format!("It still owes {owed} and may connect for that alone."), Tone::Caution);
            }
        })?;
        Ok(Exit::Done)
    }
}
