//! The command line: options that all commands share, and the tree of subcommands.

use std::num::NonZeroU64;

use clap::Parser;

use crate::commands::Command;
use crate::exit;
use crate::output::Format;

/// The operators' and administrators' command of an e-ADS node.
///
/// Asks the own node, which asks the peers. What can be checked without trusting the node (cards, commitments,
/// approvals) is checked here.
#[derive(Debug, Parser)]
#[command(name = "eads", version, max_term_width = 100, after_help = exit::help())]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands share.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Which node to talk to, and as whom [default: $XDG_CONFIG_HOME/eads/profile.toml].
    #[arg(long, global = true, value_name = "FILE", env = "EADS_PROFILE", hide_env_values = true)]
    pub(crate) profile: Option<String>,
    /// How results are written.
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// How long a call to the node may take [default: 30; 600 where a whole register, log or list is walked].
    #[arg(long, global = true, value_name = "SECONDS")]
    pub(crate) timeout: Option<NonZeroU64>,
}
