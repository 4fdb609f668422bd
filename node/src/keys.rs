//! `eads-node key …`, `cert …` and `ca …`: arguments and what becomes of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use eads_domain::clock::Timestamp;
use eads_domain::entropy::SystemEntropy;

use crate::backup::Secret;
use crate::command::Failure;
use crate::control::{Compromised, Request};
use crate::maintain::{MaintenanceArguments, OutputFormat, finish, maintain};
use crate::succession::{CaStep, Splitting, join, split};

/// The signing key and its backup.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Let the announced next signing key take over; the node runs on, and peers learn of it by themselves
    Rotate(RotateArguments),
    /// The same after a theft: what the stolen key signed since then is vouched for no more
    Compromised {
        #[command(flatten)]
        rotate: RotateArguments,
        /// Since when somebody else may have signed: an index of the register, or a moment as 2026-11-24T08:00:00Z
        #[arg(long, value_name = "INDEX|TIME")]
        since: String,
    },
    /// Write keys and passphrase into a sealed file whose key is split among people
    Backup {
        #[command(flatten)]
        node: MaintenanceArguments,
        /// Among how many people
        #[arg(long, value_name = "N", default_value_t = 5)]
        shares: u8,
        /// How many of them together can restore it
        #[arg(long, value_name = "N", default_value_t = 3)]
        threshold: u8,
        /// Directory to make for the file and the shares
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Put the keys of such a file below the directory of a stopped node
    Restore {
        /// The directory of the node
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// The sealed file
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// File with shares, one a line; repeat for more
        #[arg(long = "share-file", value_name = "FILE", required = true)]
        shares: Vec<PathBuf>,
        /// Where the passphrase goes
        #[arg(long, value_name = "FILE")]
        passphrase_to: PathBuf,
        /// How the result is written
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        output: OutputFormat,
    },
}

/// What a rotation needs.
#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    #[command(flatten)]
    node: MaintenanceArguments,
    /// The next signing key, from offline media [default: offline/next-signing.key below the directory]
    #[arg(long, value_name = "FILE")]
    next_key: Option<PathBuf>,
    /// Derive keys from the passphrase at a cost fit for demonstrations and tests only
    #[arg(long, hide = true)]
    cheap_keys: bool,
}

/// The certificates of the listeners.
#[derive(Debug, Subcommand)]
pub(crate) enum CertAction {
    /// Issue both listeners' certificates anew; a running node uses them from the next connection on
    Renew(MaintenanceArguments),
}

/// The authority behind the certificate that peers see.
#[derive(Debug, Subcommand)]
pub(crate) enum CaAction {
    /// Make a new authority and put it on the card, beside the old one
    Rotate {
        #[command(flatten)]
        node: MaintenanceArguments,
        /// Derive keys from the passphrase at a cost fit for demonstrations and tests only
        #[arg(long, hide = true)]
        cheap_keys: bool,
    },
    /// Show peers a certificate of the new authority
    Switch {
        #[command(flatten)]
        node: MaintenanceArguments,
        /// Also while a peer does not hold the card with the new authority: it refuses this node then
        #[arg(long)]
        force: bool,
    },
    /// Take the old authority off the card
    Retire(MaintenanceArguments),
}

/// Runs `eads-node key`.
pub(crate) fn key(action: KeyAction) -> Result<(), Failure> {
    match action {
        KeyAction::Rotate(arguments) => rotate(&arguments, None),
        KeyAction::Compromised { rotate: arguments, since } => rotate(&arguments, Some(since_when(&since)?)),
        KeyAction::Backup { node, shares, threshold, out } => {
            let how = Splitting { shares, threshold, out };
            finish(&split(node.dir(), &node.passphrase()?, &how, &SystemEntropy)?, node.output())
        }
        KeyAction::Restore { dir, from, shares, passphrase_to, output } => {
            let mut lines = Vec::new();
            for file in shares {
                let text =
                    std::fs::read_to_string(&file).map_err(|error| Failure::invalid("SHARE_UNREADABLE", error))?;
                lines.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
            }
            finish(&join(&dir, &from, &lines, &passphrase_to)?, output)
        }
    }
}

/// Runs `eads-node cert`.
pub(crate) fn cert(action: CertAction) -> Result<(), Failure> {
    let CertAction::Renew(node) = action;
    maintain(&node, Request::CertificateRenew { passphrase: secret(&node)? })
}

/// Runs `eads-node ca`.
pub(crate) fn ca(action: CaAction) -> Result<(), Failure> {
    let (node, step, cheap_keys) = match action {
        CaAction::Rotate { node, cheap_keys } => (node, CaStep::Rotate, cheap_keys),
        CaAction::Switch { node, force } => (node, CaStep::Switch { force }, false),
        CaAction::Retire(node) => (node, CaStep::Retire, false),
    };
    maintain(&node, Request::Ca { step, passphrase: secret(&node)?, cheap_keys })
}

fn rotate(arguments: &RotateArguments, stolen: Option<Compromised>) -> Result<(), Failure> {
    let RotateArguments { node, next_key, cheap_keys } = arguments;
    // The node that does it has another working directory.
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(|error| Failure::invalid("NEXT_KEY_IO", error));
    let request = Request::KeyRotate {
        next_key: next_key.as_ref().map(absolute).transpose()?,
        passphrase: secret(node)?,
        stolen,
        cheap_keys: *cheap_keys,
    };
    maintain(node, request)
}

fn secret(node: &MaintenanceArguments) -> Result<Secret, Failure> {
    Ok(Secret::new(node.passphrase()?.as_bytes()))
}

fn since_when(text: &str) -> Result<Compromised, Failure> {
    if let Ok(index) = text.parse() {
        return Ok(Compromised::Index(index));
    }
    let moment: Timestamp = text.parse().map_err(|_| {
        Failure::invalid(
            "SINCE_INVALID",
            format!("\"{text}\" is neither an index nor a moment as 2026-11-24T08:00:00Z"),
        )
    })?;
    Ok(Compromised::Time(moment.as_unix()))
}
