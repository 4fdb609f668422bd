//! `eads notice`: own notices through their life, others' as they are held.

mod approve;
mod draft;
mod drafts;
mod due;
mod examine;
mod import;
mod issue;
mod life;
mod list;
mod photo;
mod picture;
mod selection;
mod state;
mod template;
mod view;
mod write_off;

pub(super) use list::NoticePage;
pub(super) use view::{NoticeView, state_tone};

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;

/// `eads notice`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Prints a draft to fill in, with every field that the kind may carry.
    Template(template::Options),
    /// Makes a draft of a new notice from a file; a second officer approves it.
    Draft(draft::DraftOptions),
    /// Lists drafts.
    Drafts(drafts::ListOptions),
    /// Shows everything that an approval of a draft signs, computed again from the node's openings.
    DraftShow(drafts::ShowOptions),
    /// Approves drafts: checks and signs with the key of the profile; the second of four eyes.
    Approve(approve::Options),
    /// Hands a draft that was held back or returned to the second officer.
    Submit(life::SubmitOptions),
    /// Gives a draft back to who drafted it, with a reason.
    Return(life::ReturnOptions),
    /// Throws a draft away.
    Discard(drafts::DiscardOptions),
    /// Signs approved drafts into the register and delivers them.
    Issue(issue::Options),
    /// Makes a draft that replaces the content of a notice in force.
    Amend(draft::AmendOptions),
    /// Makes a draft that says the same for longer.
    Extend(life::ExtendOptions),
    /// Shows or makes the draft of the late approval of a notice that was issued in an emergency.
    Confirm(life::ConfirmOptions),
    /// Suspends a notice at once: nobody may act on it until it is resumed.
    Suspend(state::SuspendOptions),
    /// Makes a draft that puts a suspended notice into force again.
    Resume(state::StateOptions),
    /// Makes a draft that withdraws a notice for good; every holder then destroys it.
    Withdraw(state::StateOptions),
    /// Lists notices, own and held.
    List(list::ListOptions),
    /// Lists own notices that come up for review.
    Due(due::Options),
    /// Shows a notice with the fields that this node was shown.
    Show(list::ShowOptions),
    /// Shows per peer who holds a notice, and who has not purged it yet and since when.
    Status(list::StatusOptions),
    /// Gives up waiting for a peer's purge receipt; two administrators, on record.
    WriteOff(write_off::Options),
    /// Turns a published list into one batch of drafts.
    Import(import::Options),
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Template(options) => options.run(context),
            Self::Draft(options) => options.run(context).await,
            Self::Drafts(options) => options.run(context).await,
            Self::DraftShow(options) => options.run(context).await,
            Self::Approve(options) => options.run(context).await,
            Self::Submit(options) => options.run(context).await,
            Self::Return(options) => options.run(context).await,
            Self::Extend(options) => options.run(context).await,
            Self::Confirm(options) => options.run(context).await,
            Self::Due(options) => options.run(context).await,
            Self::Discard(options) => options.run(context).await,
            Self::Issue(options) => options.run(context).await,
            Self::Amend(options) => options.run(context).await,
            Self::Suspend(options) => options.run(context).await,
            Self::Resume(options) => options.run(state::Change::Resume, context).await,
            Self::Withdraw(options) => options.run(state::Change::Withdraw, context).await,
            Self::List(options) => options.run(context).await,
            Self::Show(options) => options.run(context).await,
            Self::Status(options) => options.run(context).await,
            Self::WriteOff(options) => options.run(context).await,
            Self::Import(options) => options.run(context).await,
        }
    }
}
