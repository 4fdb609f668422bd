//! `eads-node store …`: maintenance by the running node if there is one, else by this process itself.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use eads_domain::clock::SystemClock;
use eads_domain::entropy::SystemEntropy;

use crate::command::{Failure, PassphraseArguments, tell, tell_error};
use crate::config::{Config, FILE_NAME};
use crate::control::{Asked, Outcome, Refusal, Request, alone, ask};
use crate::lifecycle;

/// Maintenance of the store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Give back the space of what was overwritten and deleted; everything goes on meanwhile
    Compact(MaintenanceArguments),
    /// Read and verify everything: journal, view, keys, audit log
    Check(MaintenanceArguments),
}

/// How output is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum OutputFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What every maintenance command needs.
#[derive(Debug, Args)]
pub(crate) struct MaintenanceArguments {
    /// The directory of the node
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

/// Runs a command of `eads-node store`.
pub(crate) fn store(action: StoreAction) -> Result<(), Failure> {
    match action {
        StoreAction::Compact(arguments) => maintain(&arguments, Request::Compact {}),
        StoreAction::Check(arguments) => maintain(&arguments, Request::Check {}),
    }
}

/// Has `request` done by the running node, or does it itself; says how it ended. The passphrase is asked for only if
/// no node runs.
pub(crate) fn maintain(arguments: &MaintenanceArguments, request: Request) -> Result<(), Failure> {
    let outcome = match ask(&arguments.dir, &request, tell_error)? {
        Asked::Done(outcome) => outcome,
        Asked::NotRunning => by_itself(arguments, request)?,
    };
    match arguments.output {
        OutputFormat::Text => outcome.lines.iter().for_each(|line| tell(line)),
        OutputFormat::Json => tell(&outcome.report.to_string()),
    }
    if outcome.sound { Ok(()) } else { Err(Failure::invalid("FINDINGS", "not everything is as it should be")) }
}

fn by_itself(arguments: &MaintenanceArguments, request: Request) -> Result<Outcome, Failure> {
    let config = Config::load(&arguments.dir.join(FILE_NAME)).map_err(|error| Failure::of(&error, None))?;
    let passphrase = arguments.passphrase.obtain()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::invalid("RUNTIME_FAILED", error))?;
    runtime.block_on(async {
        let opened =
            lifecycle::open_directory(&config, passphrase, Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
        let target = opened.map_err(|error| Failure::of(&error, None))?;
        Ok(alone(request, &target, tell_error).await?)
    })
}

impl From<Refusal> for Failure {
    fn from(Refusal { code, text, hint }: Refusal) -> Self {
        Self { code, text, hint }
    }
}
