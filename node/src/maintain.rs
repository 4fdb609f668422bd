//! `eads-node store …`, `backup` and `restore`: maintenance by the running node if there is one, else by this process itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use eads_domain::clock::SystemClock;
use eads_domain::entropy::SystemEntropy;
use eads_store::keys::KdfCost;

use crate::backup::{self, ESCROW_VARIABLE, RestoreOptions, Secret};
use crate::check;
use crate::command::{Failure, PassphraseArguments, tell, tell_error};
use crate::config::{Config, FILE_NAME};
use crate::control::{Asked, Outcome, Refusal, Request, alone, ask};
use crate::identity::Passphrase;
use crate::lifecycle;

/// Maintenance of the store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Give back the space of what was overwritten and deleted; everything goes on meanwhile
    Compact(MaintenanceArguments),
    /// Read and verify everything, and say what to do about what is wrong
    Check(MaintenanceArguments),
}

/// How output is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OutputFormat {
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

impl MaintenanceArguments {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) const fn output(&self) -> OutputFormat {
        self.output
    }

    pub(crate) fn passphrase(&self) -> Result<Passphrase, Failure> {
        self.passphrase.obtain()
    }
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    #[command(flatten)]
    maintenance: MaintenanceArguments,
    /// Directory for the backup: on another disk or machine than the node's
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Directory for the key of the backup: where neither the node's data nor its backups are
    #[arg(long, value_name = "DIR")]
    escrow: PathBuf,
    #[command(flatten)]
    secret: EscrowArguments,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Its key, from the escrow
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The directory to make; must not exist or be empty
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How the result is written
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: OutputFormat,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    #[command(flatten)]
    secret: EscrowArguments,
}

/// The passphrase of the escrow, which is not the node's.
#[derive(Debug, Args)]
struct EscrowArguments {
    /// File with the passphrase of the escrow; without it, EADS_ESCROW_PASSPHRASE is read
    #[arg(long, value_name = "FILE")]
    escrow_passphrase_file: Option<PathBuf>,
    /// Derive keys from the passphrases at a cost fit for demonstrations and tests only
    #[arg(long, hide = true)]
    cheap_keys: bool,
}

impl EscrowArguments {
    fn obtain(&self) -> Result<Passphrase, Failure> {
        let hint = format!("name a file with --escrow-passphrase-file, or set {ESCROW_VARIABLE}");
        Passphrase::obtain_from(self.escrow_passphrase_file.as_deref(), ESCROW_VARIABLE)
            .map_err(|error| Failure::of(&error, Some(hint)))
    }
}

/// Runs `eads-node backup`.
pub(crate) fn backup(arguments: &BackupArguments) -> Result<(), Failure> {
    let BackupArguments { maintenance, to, escrow, secret } = arguments;
    let passphrase = secret.obtain()?;
    passphrase.check_new().map_err(|error| Failure::of(&error, None))?;
    // The node that does it has another working directory.
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| Failure::invalid("BACKUP_IO", error));
    let request = Request::Backup {
        to: absolute(to)?,
        escrow: absolute(escrow)?,
        passphrase: Secret::new(passphrase.as_bytes()),
        cheap_keys: secret.cheap_keys,
    };
    maintain(maintenance, request)
}

/// Runs `eads-node restore`.
pub(crate) fn restore(arguments: RestoreArguments) -> Result<(), Failure> {
    let RestoreArguments { from, key, dir, output, passphrase, secret } = arguments;
    let options = RestoreOptions {
        from,
        key,
        dir,
        escrow_passphrase: secret.obtain()?,
        passphrase: passphrase.obtain()?,
        cost: if secret.cheap_keys { KdfCost::TESTS } else { KdfCost::PRODUCTION },
    };
    let restored =
        runtime()?.block_on(backup::restore(options, Arc::new(SystemClock), Arc::new(SystemEntropy), tell_error));
    finish(&restored?, output)
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
    finish(&outcome, arguments.output)
}

pub(crate) fn finish(outcome: &Outcome, output: OutputFormat) -> Result<(), Failure> {
    match output {
        OutputFormat::Text => outcome.lines.iter().for_each(|line| tell(line)),
        OutputFormat::Json => tell(&outcome.report.to_string()),
    }
    if outcome.sound { Ok(()) } else { Err(Failure::invalid("FINDINGS", "not everything is as it should be")) }
}

fn by_itself(arguments: &MaintenanceArguments, request: Request) -> Result<Outcome, Failure> {
    let config = Config::load(&arguments.dir.join(FILE_NAME)).map_err(|error| Failure::of(&error, None))?;
    let passphrase = arguments.passphrase.obtain()?;
    runtime()?.block_on(async {
        if matches!(request, Request::Check {}) {
            let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
            return Ok(check::offline(&config, passphrase, clock, entropy, tell_error).await?);
        }
        let opened =
            lifecycle::open_directory(&config, passphrase, Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
        let target = opened.map_err(|error| Failure::of(&error, None))?;
        Ok(alone(request, &target, tell_error).await?)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|error| Failure::invalid("RUNTIME_FAILED", error))
}

impl From<Refusal> for Failure {
    fn from(Refusal { code, text, hint }: Refusal) -> Self {
        Self { code, text, hint }
    }
}
