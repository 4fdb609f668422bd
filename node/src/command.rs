//! `eads-node`: the command line of the node itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use eads_domain::card::{DisplayName, DutyContact, Endpoint, Standing};
use eads_domain::clock::{Clock, OffsetClock, SystemClock};
use eads_domain::code::Coded;
use eads_domain::entropy::{Entropy, SystemEntropy};
use eads_domain::id::MemberId;
use eads_service::limits::Limits;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, FILE_NAME, LogConfig, LogFormat};
use crate::identity::{KeyCost, PASSPHRASE_VARIABLE, Passphrase};
use crate::init::{InitOptions, init};
use crate::keys::{CaAction, CertAction, KeyAction, ca, cert, key};
use crate::lifecycle;
use crate::maintain::{BackupArguments, RestoreArguments, StoreAction, backup, restore, store};
use crate::officer::{OfficerArguments, officer};

const EXIT_CODES: &str = "Exit codes: 0 ended cleanly, 1 failed with the code that is printed, 2 wrong usage.";

/// The node of one member of the federation.
#[derive(Debug, Parser)]
#[command(name = "eads-node", version, about, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a new node: keys, authorities, certificates, card, configuration, operators' profiles
    Init(InitArguments),
    /// Run the node until SIGTERM or Ctrl-C
    Run(RunArguments),
    /// Certify an officer on this machine, for when no two administrators can work
    Officer(OfficerArguments),
    /// Check a configuration without starting anything
    CheckConfig {
        /// The directory of the node
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Look after the files of a node, running or stopped
    #[command(subcommand)]
    Store(StoreAction),
    /// Write the own data into one sealed file, and its key to another place
    Backup(BackupArguments),
    /// Make the directory of a node from its backup
    Restore(RestoreArguments),
    /// Change the signing key, and keep its backup
    #[command(subcommand)]
    Key(KeyAction),
    /// Renew certificates
    #[command(subcommand)]
    Cert(CertAction),
    /// Replace the authority behind the certificate that peers see, step by step
    #[command(subcommand)]
    Ca(CaAction),
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseArguments {
    /// File with the passphrase; without it, the environment variable EADS_PASSPHRASE is read
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArguments {
    pub(crate) fn obtain(&self) -> Result<Passphrase, Failure> {
        Passphrase::obtain(self.passphrase_file.as_deref()).map_err(|error| {
            Failure::of(&error, Some(format!("name a file with --passphrase-file, or set {PASSPHRASE_VARIABLE}")))
        })
    }
}

/// Arguments of `init`.
#[derive(Debug, Args)]
struct InitArguments {
    /// Whose node: ISO 3166-1 alpha-2, or XA to XZ for an organisation
    #[arg(long, value_name = "ID")]
    member: MemberId,
    /// Directory to make; must not exist or be empty
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// What people call the member [default: its id]
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What the member is in the federation
    #[arg(long, value_name = "STANDING", default_value = "member")]
    standing: Standing,
    /// Where to listen for peers
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:7443")]
    peer_listen: SocketAddr,
    /// Where to listen for the own operators
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7444")]
    operator_listen: SocketAddr,
    /// How peers reach this node; repeat for more; none for a node that only dials
    #[arg(long = "endpoint", value_name = "HOST:PORT")]
    endpoints: Vec<String>,
    /// How the duty officers are reached; repeat for more
    #[arg(long = "duty-contact", value_name = "TEXT")]
    duty_contacts: Vec<String>,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// Derive keys from the passphrase at a cost fit for demonstrations and tests only
    #[arg(long, hide = true)]
    cheap_keys: bool,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The directory of the node
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArguments,
    /// End when standard input closes: a child never outlives its parent
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    /// Lead (or trail) the machine's clock, for exercises with a wrong clock
    #[arg(long, hide = true, allow_hyphen_values = true, default_value_t = 0)]
    clock_offset_seconds: i64,
}

/// What is told to the person who typed the command.
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn of(error: &(impl Coded + ?Sized), hint: Option<String>) -> Self {
        Self { code: error.code().as_str().to_owned(), text: error.to_string(), hint }
    }

    pub(crate) fn invalid(code: &str, text: impl std::fmt::Display) -> Self {
        Self { code: code.to_owned(), text: text.to_string(), hint: None }
    }
}

/// Runs the command line that the process was started with.
pub fn main() -> ExitCode {
    execute(Command::parse())
}

/// Runs a command line that was parsed elsewhere.
pub fn execute(command: Command) -> ExitCode {
    let outcome = match command.action {
        Action::Init(arguments) => make(arguments),
        Action::Run(arguments) => run(arguments),
        Action::Officer(arguments) => officer(&arguments),
        Action::CheckConfig { dir } => check(dir),
        Action::Store(action) => store(action),
        Action::Backup(arguments) => backup(&arguments),
        Action::Restore(arguments) => restore(arguments),
        Action::Key(action) => key(action),
        Action::Cert(action) => cert(action),
        Action::Ca(action) => ca(action),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text, hint }) => {
            tell_error(&format!("error[{code}]: {text}"));
            if let Some(hint) = hint {
                tell_error(&format!("  hint: {hint}"));
            }
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "a command answers on standard output")]
pub(crate) fn tell(line: &str) {
    println!("{line}");
}

#[allow(clippy::print_stderr, reason = "a command complains on standard error")]
pub(crate) fn tell_error(line: &str) {
    eprintln!("{line}");
}

fn parsed<T: std::str::FromStr<Err: Coded>>(texts: Vec<String>) -> Result<Vec<T>, Failure> {
    texts.into_iter().map(|text| text.parse().map_err(|error: T::Err| Failure::of(&error, None))).collect()
}

fn make(arguments: InitArguments) -> Result<(), Failure> {
    let display_name = arguments.display_name.unwrap_or_else(|| arguments.member.to_string());
    let display_name: DisplayName =
        display_name.parse().map_err(|error: eads_domain::card::CardError| Failure::of(&error, None))?;
    let endpoints: Vec<Endpoint> = parsed(arguments.endpoints)?;
    let duty_contacts: Vec<DutyContact> = parsed(arguments.duty_contacts)?;
    let options = InitOptions {
        member: arguments.member,
        dir: arguments.dir,
        display_name,
        standing: arguments.standing,
        peer_listen: arguments.peer_listen,
        operator_listen: arguments.operator_listen,
        endpoints,
        duty_contacts,
        passphrase: arguments.passphrase.obtain()?,
        cost: if arguments.cheap_keys { KeyCost::Tests } else { KeyCost::Production },
    };
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let made = init(&options, &SystemClock, &entropy).map_err(|error| Failure::of(&error, None))?;
    tell(&format!("The node of {} is ready in {}.", made.member, made.dir.display()));
    tell("");
    tell(&format!("  configuration      {}", made.config.display()));
    tell(&format!("  card               {}", made.card.display()));
    tell(&format!("  verification code  {}", made.verification_code));
    tell(&format!("  next signing key   {}  <- move it to offline media now", made.offline_key.display()));
    for profile in &made.profiles {
        tell(&format!("  operator profile   {}", profile.display()));
    }
    tell("");
    tell(&format!("Next: eads-node run --dir {}", made.dir.display()));
    Ok(())
}

fn check(dir: PathBuf) -> Result<(), Failure> {
    let config = Config::load(&dir.join(FILE_NAME)).map_err(|error| Failure::of(&error, None))?;
    tell(&format!("{} is sound: the node of {}.", dir.join(FILE_NAME).display(), config.member));
    Ok(())
}

fn run(arguments: RunArguments) -> Result<(), Failure> {
    let config = Config::load(&arguments.dir.join(FILE_NAME)).map_err(|error| Failure::of(&error, None))?;
    let passphrase = arguments.passphrase.obtain()?;
    start_log(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::invalid("RUNTIME_FAILED", error))?;
    let outcome = runtime.block_on(serve(config, passphrase, &arguments));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    outcome
}

async fn serve(config: Config, passphrase: Passphrase, arguments: &RunArguments) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = match arguments.clock_offset_seconds {
        0 => Arc::new(SystemClock),
        seconds => Arc::new(OffsetClock::new(Arc::new(SystemClock), seconds)),
    };
    let member = config.member;
    let limits = config.audit.limits(Limits::default());
    let opened = lifecycle::open(config, passphrase, clock, Arc::new(SystemEntropy), limits).await;
    let running = opened.map_err(|error| Failure::of(&error, None))?;
    let stop = CancellationToken::new();
    tokio::spawn(until_told(stop.clone(), arguments.until_stdin_closes));
    tell(&format!("eads-node ready member={member} peers={} operators={}", running.peers, running.operators));
    running.run(stop).await.map_err(|error| Failure::of(&error, None))
}

/// Cancels `stop` at SIGTERM, at Ctrl-C, or when standard input closes if that was asked for.
async fn until_told(stop: CancellationToken, until_stdin_closes: bool) {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let closed = async {
        if until_stdin_closes {
            // A thread of its own: a blocked read must not hold the runtime back at the end.
            let (sender, receiver) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
                let _ = sender.send(());
            });
            let _ = receiver.await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c(), if !until_stdin_closes => {}
        () = closed => {}
    }
    stop.cancel();
}

fn start_log(config: &LogConfig) {
    let filter = EnvFilter::new(config.filter.as_str());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first log.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
