//! The operators' and administrators' command: every question and every act on the own node, from a terminal.
//!
//! It sees the wire contract and the pure rules only, and never another member's node; the demonstration alone, a
//! feature of its own, starts nodes. What it can check itself (cards, commitments, approvals) it checks itself,
//! without trusting the node that it talks to. Results go to standard output, everything else to standard error;
//! files appear whole or not at all; an answer that is missing is never printed as "no hit", and the exit status
//! says so.

mod commands;
mod context;
#[cfg(feature = "demo")]
pub mod demo;
mod error;
mod exit;
mod files;
mod node;
mod options;
mod output;
mod profile;
mod transport;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::options::Options;

/// The whole tree of subcommands, as help pages, man pages and completions show it.
pub fn command() -> clap::Command {
    Options::command()
}

/// Runs the command that `args` (with the program's name first) ask for and says how it ended.
///
/// The exit statuses are listed at the end of `eads --help` and stay stable.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    #[cfg(feature = "demo")]
    if let Some(exit) = demo::as_node(&args) {
        return exit;
    }
    let options = match Options::try_parse_from(args) {
        Ok(options) => options,
        Err(refusal) => {
            let exit = if refusal.use_stderr() { Exit::Usage } else { Exit::Done };
            // Nothing is left to do when not even the usage can be shown.
            let _ = refusal.print();
            return exit.into();
        }
    };
    let context = Context::new(options.global);
    let exit = match execute(options.command, &context) {
        Ok(exit) => exit,
        Err(error) => {
            context.out.error(&error);
            error.exit()
        }
    };
    exit.into()
}

/// Runs until the command ends or the officer interrupts it; what was being written is then cleaned away.
fn execute(command: commands::Command, context: &Context) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|cause| CliError::new("RUNTIME_UNAVAILABLE", Exit::Local, cause.to_string()))?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            // First the command: until it waits for something, Ctrl-C ends it the plain way.
            biased;
            outcome = Box::pin(command.run(context)) => outcome,
            Ok(()) = tokio::signal::ctrl_c() => Err(CliError::interrupted()),
        }
    });
    // A question that nobody answers must not keep the command from ending.
    runtime.shutdown_background();
    outcome
}
