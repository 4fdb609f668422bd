//! Local control: maintenance of a node's directory from its own machine, whether the node runs or not.
//!
//! **Promises.** While a node runs it listens on the socket `<dir>/control.sock`, which only its own user may use
//! (mode 0600, and the kernel's word on who calls). A command is one line of JSON, its answer lines of JSON: progress,
//! then one last line with the outcome or an error. Requests are bounded in size and time, and one command runs at a
//! time. Without a running node the caller opens the directory itself and does the same. Every command is in the audit
//! log, before and after, under the caller's user number.
//!
//! **Not promised.** Whoever may use the socket may also read every file of the node: it protects against others, not
//! against the node's own user.
//!
//! A command is added in three places: a variant of [`Request`] with what it needs and its name in
//! `Request::operation`; an arm in [`perform`] that works on a [`Target`], tells [`Progress`], ends early when
//! [`Progress::is_stopped`], and returns an [`Outcome`]; and a subcommand whose arguments become the request and go
//! to `maintain` in `maintain.rs`. Nothing else knows which commands there are.

mod client;
mod compact;
mod server;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::clock::{Clock, Timestamp};
use eads_domain::code::Coded;
use eads_domain::entropy::Entropy;
use eads_domain::id::RequestId;
use eads_service::Node;
use eads_service::audit::{Actor, AuditLog, Entry, EntryKind};
use eads_service::succession::Compromise;
use eads_store::EmbeddedStore;
use eads_store::keys::{KdfCost, KeyTree};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::backup::Secret;
use crate::identity::KeyCost;
use crate::succession::{self, CaStep, Reload, RotateOptions};

pub use client::{Asked, ask};
pub use server::Control;

/// The socket's name in a data directory.
pub const SOCKET_NAME: &str = "control.sock";
/// What fits into `sockaddr_un`, without the zero at its end.
const MAX_SOCKET_PATH: usize = 107;
/// The longest request in bytes.
const MAX_REQUEST: u64 = 16 * 1024;
/// The longest line of an answer in bytes.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Give back the space of what was overwritten and deleted.
    Compact {},
    /// Read and verify everything below the directory.
    Check {},
    /// Write a backup of the own data, and its key to another place.
    Backup {
        /// The directory for the backup, absolute.
        to: PathBuf,
        /// The directory for its key, absolute.
        escrow: PathBuf,
        /// Seals the key.
        passphrase: Secret,
        /// Derive at a cost fit for demonstrations and tests only.
        #[serde(default)]
        cheap_keys: bool,
    },
    /// Let the next signing key take over.
    KeyRotate {
        /// The file with it, absolute; the one below the directory if none is named.
        next_key: Option<PathBuf>,
        /// Opens and seals the node's keys.
        passphrase: Secret,
        /// The key in force was stolen.
        stolen: Option<Compromised>,
        /// Derive at a cost fit for demonstrations and tests only.
        #[serde(default)]
        cheap_keys: bool,
    },
    /// Renew the listeners' certificates.
    CertificateRenew {
        /// Opens the authorities' keys.
        passphrase: Secret,
    },
    /// Replace the node's authority.
    Ca {
        /// Which step of it.
        step: CaStep,
        /// Opens and seals the node's keys.
        passphrase: Secret,
        /// Derive at a cost fit for demonstrations and tests only.
        #[serde(default)]
        cheap_keys: bool,
    },
}

/// Since when a stolen key may have been used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compromised {
    /// From this entry on.
    Index(u64),
    /// From this moment on, Unix seconds.
    Time(i64),
}

impl From<Compromised> for Compromise {
    fn from(since: Compromised) -> Self {
        match since {
            Compromised::Index(index) => Self::Index(index),
            Compromised::Time(seconds) => Self::Time(Timestamp::from_unix(seconds)),
        }
    }
}

impl Request {
    /// As it stands in the audit log.
    const fn operation(&self) -> &'static str {
        match self {
            Self::Compact {} => "StoreCompact",
            Self::Check {} => "StoreCheck",
            Self::Backup { .. } => "Backup",
            Self::KeyRotate { stolen: None, .. } => "KeyRotate",
            Self::KeyRotate { stolen: Some(_), .. } => "KeyCompromised",
            Self::CertificateRenew { .. } => "CertificateRenew",
            Self::Ca { step: CaStep::Rotate, .. } => "CaRotate",
            Self::Ca { step: CaStep::Switch { .. }, .. } => "CaSwitch",
            Self::Ca { step: CaStep::Retire, .. } => "CaRetire",
        }
    }
}

/// What a command works on. Clones are the same.
#[derive(Clone)]
pub struct Target {
    /// The data directory.
    pub dir: PathBuf,
    /// Its store.
    pub store: Arc<EmbeddedStore>,
    /// Its keys.
    pub keys: Arc<KeyTree>,
    /// Its audit log.
    pub audit: AuditLog,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The node that runs on it, if one does.
    pub node: Option<Arc<Node>>,
    /// Where it takes replaced certificates.
    pub reload: Option<Arc<Reload>>,
}

/// Where a command tells how far it is, and learns that it should end.
#[derive(Clone, Debug)]
pub struct Progress {
    lines: mpsc::Sender<String>,
    stop: CancellationToken,
}

impl Progress {
    /// How many lines may wait; those above are dropped.
    const WAITING: usize = 16;

    pub(crate) fn new(stop: CancellationToken) -> (Self, mpsc::Receiver<String>) {
        let (lines, told) = mpsc::channel(Self::WAITING);
        (Self { lines, stop }, told)
    }

    /// Tells a person how far it is. Never waits.
    pub fn tell(&self, line: impl Into<String>) {
        // Nobody reads, or not fast enough: progress is a courtesy.
        let _ = self.lines.try_send(line.into());
    }

    /// Whether the node is ending, or nobody waits any more.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// For a person.
    pub lines: Vec<String>,
    /// The same for a program.
    pub report: serde_json::Value,
    /// Whether all is well; `false` makes the command's exit status 1.
    pub sound: bool,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub text: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: &str, text: impl std::fmt::Display, hint: Option<&str>) -> Self {
        Self { code: code.to_owned(), text: text.to_string(), hint: hint.map(str::to_owned) }
    }
}

impl<E: Coded> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::new(error.code().as_str(), error, None)
    }
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    /// How far it is; empty to say that it is not dead.
    Progress(String),
    /// The last line.
    Done(Outcome),
    /// The last line.
    Refused(Refusal),
}

/// The local user with the number `uid` as an actor.
fn local(uid: u32) -> Actor {
    Actor::Operator { name: format!("uid-{uid}"), roles: vec!["local-administrator".to_owned()] }
}

/// Does a command for `actor`, between two entries of the audit log.
///
/// # Errors
/// `AUDIT_UNAVAILABLE`, then nothing was done or its end is not recorded; the command's own refusals.
pub async fn perform(request: Request, actor: Actor, target: &Target, progress: &Progress) -> Result<Outcome, Refusal> {
    let id = RequestId::random(&*target.entropy);
    let intent = Entry::new(EntryKind::Intent, target.clock.now(), id, actor, request.operation());
    let intent = target.audit.intent(intent).await?;
    let done = match request {
        Request::Compact {} => compact::compact(target, progress).await,
        Request::Check {} => crate::check::check(target, progress).await,
        Request::Backup { to, escrow, passphrase, cheap_keys } => {
            let cost = if cheap_keys { KdfCost::TESTS } else { KdfCost::PRODUCTION };
            crate::backup::backup(target, progress, &to, &escrow, &passphrase, cost).await
        }
        Request::KeyRotate { next_key, passphrase, stolen, cheap_keys } => {
            let stolen = stolen.map(Into::into);
            let options = RotateOptions { next_key, secret: passphrase, stolen, cost: cost(cheap_keys) };
            succession::rotate_key(target, progress, options).await
        }
        Request::CertificateRenew { passphrase } => succession::renew(target, &passphrase).await,
        Request::Ca { step, passphrase, cheap_keys } => {
            succession::rotate_ca(target, progress, step, &passphrase, cost(cheap_keys)).await
        }
    };
    let result = match &done {
        Ok(outcome) if outcome.sound => "OK",
        Ok(_) => "FINDINGS",
        Err(refusal) => &refusal.code,
    };
    target.audit.outcome(&intent, result, Vec::new()).await?;
    done
}

const fn cost(cheap: bool) -> KeyCost {
    if cheap { KeyCost::Tests } else { KeyCost::Production }
}

/// Does a command in this process, which opened `target` itself, and hands each line of progress to `told`.
///
/// # Errors
/// As [`perform`].
pub async fn alone(request: Request, target: &Target, mut told: impl FnMut(&str)) -> Result<Outcome, Refusal> {
    let (progress, mut lines) = Progress::new(CancellationToken::new());
    let mut doing = std::pin::pin!(perform(request, local(own_uid()?), target, &progress));
    loop {
        tokio::select! {
            done = &mut doing => return done,
            Some(line) = lines.recv() => told(&line),
        }
    }
}

/// Runs blocking work of a command.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let interrupted = |error| Err(Refusal::new("COMMAND_INTERRUPTED", error, None));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(interrupted)
}

/// The socket of the node in `dir`.
///
/// # Errors
/// `CONTROL_PATH_TOO_LONG`.
fn socket_path(dir: &Path) -> Result<PathBuf, Refusal> {
    // Absolute, so that caller and node mean the same whatever their working directories are.
    let path = std::path::absolute(dir.join(SOCKET_NAME)).unwrap_or_else(|_| dir.join(SOCKET_NAME));
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(path);
    }
    let text = format!("{} is longer than the {MAX_SOCKET_PATH} bytes that a socket's name may have", path.display());
    Err(Refusal::new("CONTROL_PATH_TOO_LONG", text, Some("move the data directory, or stop the node for the command")))
}

/// The number of this process's user.
///
/// # Errors
/// `CONTROL_IO` where there is no `/proc`.
fn own_uid() -> Result<u32, Refusal> {
    use std::os::unix::fs::MetadataExt as _;
    let own =
        std::fs::metadata("/proc/self").map_err(|error| io_refusal("look at", Path::new("/proc/self"), &error))?;
    Ok(own.uid())
}

fn io_refusal(action: &str, path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::new("CONTROL_IO", format!("cannot {action} {}: {error}", path.display()), None)
}
