//! One file a noun; each has its options and `run`.

mod agreement;
mod arguments;
mod audit;
mod caution;
mod challenge;
mod desk;
mod hold;
mod not_this_person;
mod notice;
mod officer;
mod peer;
mod proof;
mod record;
mod register;
mod search;
mod shell;
mod status;
mod subject_request;
mod sync;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// What the command can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the node: register, notices, records, peers, and what an administrator should look at.
    Status(status::Options),
    /// Peers: cards, the ceremony of accepting, removal.
    #[command(subcommand)]
    Peer(peer::Options),
    /// Agreements: what a peer is sent and answered.
    #[command(subcommand)]
    Agreement(agreement::Options),
    /// Notices: drafting, approval, issue, suspension, withdrawal, and who holds what.
    #[command(subcommand)]
    Notice(notice::Options),
    /// The desk: whether another state's notice may be acted on at home.
    #[command(subcommand)]
    Desk(desk::Options),
    /// Challenges: somebody says that a notice is wrong, and its owner owes an answer.
    #[command(subcommand)]
    Challenge(challenge::Options),
    /// National records, which never leave the node.
    #[command(subcommand)]
    Record(record::Options),
    /// Asks this node and every permitted peer.
    #[command(subcommand)]
    Search(search::Options),
    /// Officers: certificates, roles, suspension and revocation.
    #[command(subcommand)]
    Officer(officer::Options),
    /// Who asked and saw what.
    #[command(subcommand)]
    Audit(audit::Options),
    /// The registers, own and held.
    #[command(subcommand)]
    Register(register::Options),
    /// Proofs that a third party verifies: of a forked register, and of everything about one notice.
    #[command(subcommand)]
    Proof(proof::Options),
    /// Evidence holds: what is to be destroyed is kept under an order.
    #[command(subcommand)]
    Hold(hold::Options),
    /// Access requests of persons: what is held about them, who looked them up, what they were answered.
    #[command(subcommand)]
    SubjectRequest(subject_request::Options),
    /// Marks of persons who are taken for somebody else, made with their consent.
    #[command(subcommand)]
    NotThisPerson(not_this_person::Options),
    /// Batches as files, for members that no line connects.
    #[command(subcommand)]
    Sync(sync::Options),
    /// Starts a federation of invented member states on this machine and lets it do its work.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Prints the completion script of a shell.
    Completions(shell::CompletionsOptions),
    /// Writes a man page for every command into a directory.
    Man(shell::ManOptions),
}

impl Command {
    /// Runs it to its end.
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Status(options) => options.run(context).await,
            Self::Peer(options) => options.run(context).await,
            Self::Agreement(options) => options.run(context),
            Self::Notice(options) => options.run(context).await,
            Self::Desk(options) => options.run(context).await,
            Self::Challenge(options) => options.run(context).await,
            Self::Record(options) => options.run(context).await,
            Self::Search(options) => options.run(context).await,
            Self::Officer(options) => options.run(context).await,
            Self::Audit(options) => options.run(context).await,
            Self::Register(options) => options.run(context).await,
            Self::Proof(options) => options.run(context).await,
            Self::Hold(options) => options.run(context).await,
            Self::SubjectRequest(options) => options.run(context).await,
            Self::NotThisPerson(options) => options.run(context).await,
            Self::Sync(options) => options.run(context).await,
            #[cfg(feature = "demo")]
            Self::Demo(options) => options.run(context).await,
            Self::Completions(options) => options.run(context),
            Self::Man(options) => options.run(context),
        }
    }
}
