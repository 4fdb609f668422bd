//! One member's node: a directory, two ports, and a process that lives no longer than its owner.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use eads_domain::code::Coded;
use eads_domain::id::MemberId;
use eads_domain::operator::{Role, Roles};
use eads_node::identity::{Identity, Passphrase};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{FederationError, Operator, Programs};

/// How long a node may take from its start until it serves.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a node may take to end when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// How much of a log is shown.
const TAIL_BYTES: usize = 64 * 1024;

/// One member's node, running or not. Dropping it kills the process.
#[derive(Debug)]
pub struct MemberNode {
    pub(super) member: MemberId,
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) peers: SocketAddr,
    pub(super) programs: Programs,
    pub(super) passphrase: PathBuf,
    pub(super) process: Option<Process>,
}

/// A running node.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// The node ends when this closes.
    stdin: Option<ChildStdin>,
    /// Kept open: a node must never find that nobody reads.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl MemberNode {
    /// Whose node it is.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// What people call the member.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where it listens for peers.
    pub const fn peer_address(&self) -> SocketAddr {
        self.peers
    }

    /// Whether its process was started and neither stopped nor killed since.
    pub const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The number of its process, if it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().and_then(|process| process.child.id())
    }

    /// The operator called `name`; `eads_node::init::PROFILES` lists those that every node has.
    pub fn operator(&self, name: &str) -> Operator {
        let profile = self.dir.join("profiles").join(name).join("profile.toml");
        Operator::new(&self.programs.cli, self.member, name, profile)
    }

    /// Enrols one more officer with this running node: the key and the request are the officer's, and both
    /// administrators certify it.
    ///
    /// # Errors
    /// [`FederationError`] of the command that failed.
    pub async fn hire(&self, name: &str, roles: &[Role]) -> Result<Operator, FederationError> {
        let roles: Roles = roles.iter().copied().collect();
        let (roles, officer) = (roles.to_string(), self.operator(name));
        let dir = self.dir.join("profiles").join(name);
        let [request, certificate, model] =
            [dir.join("request.csr"), dir.join("certificate.pem"), self.dir.join("profiles/issuer/profile.toml")];
        let [dir, request, certificate] = [&dir, &request, &certificate].map(|path| path.to_string_lossy());
        officer.get(&["officer", "request", "--name", name, "--roles", &roles, "--out", &dir]).await?;
        for administrator in ["admin-1", "admin-2"] {
            let enrol = ["officer", "enrol", &request, "--name", name, "--roles", &roles, "--out", &certificate];
            self.operator(administrator).get(&enrol).await?;
        }
        let profile = fs::read_to_string(&model)
            .map_err(|cause| FederationError::machine(format!("cannot read {}", model.display()), cause))?;
        let profile: toml::Table = profile.parse().unwrap_or_default();
        let endpoint = profile.get("endpoint").and_then(toml::Value::as_str).unwrap_or_default();
        let make = [
            "officer",
            "profile",
            &dir,
            "--certificate",
            &certificate,
            "--endpoint",
            endpoint,
            "--server-name",
            "localhost",
        ];
        officer.get(&make).await?;
        Ok(officer)
    }

    /// The keys and the card in the node's directory, as the node itself reads them at its start.
    ///
    /// # Errors
    /// [`FederationError::NotMade`].
    pub fn identity(&self) -> Result<Identity, FederationError> {
        Identity::load(&self.dir, &self.read_passphrase()?).map_err(|error| self.not_made("the identity", &error))
    }

    /// Starts the process and waits until it serves both listeners.
    ///
    /// # Errors
    /// [`FederationError::NotReady`], [`FederationError::Machine`].
    pub async fn start(&mut self) -> Result<(), FederationError> {
        self.start_with(&[]).await
    }

    /// The same with more arguments for `eads-node run`.
    ///
    /// # Errors
    /// As [`MemberNode::start`].
    pub async fn start_with(&mut self, arguments: &[&str]) -> Result<(), FederationError> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log =
            log.map_err(|cause| FederationError::machine(format!("cannot write {}", self.log.display()), cause))?;
        let mut command = Command::new(&self.programs.node.0);
        command.args(&self.programs.node.1).arg("run").arg("--dir").arg(&self.dir);
        command.arg("--passphrase-file").arg(&self.passphrase).arg("--until-stdin-closes").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        // A process group of its own: Ctrl-C reaches the owner alone, which then ends its nodes.
        command.process_group(0);
        let cannot = |cause| FederationError::machine(format!("cannot start the node of {}", self.member), cause);
        let mut child = command.spawn().map_err(cannot)?;
        let piped = || cannot(std::io::Error::other("no pipe to the process"));
        let stdin = child.stdin.take().ok_or_else(piped)?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or_else(piped)?).lines();
        let why = match tokio::time::timeout(READY_WITHIN, stdout.next_line()).await {
            Ok(Ok(Some(line))) if line.starts_with("eads-node ready") => {
                self.process = Some(Process { child, stdin: Some(stdin), _stdout: stdout });
                return Ok(());
            }
            Ok(Ok(Some(line))) => format!("it said {line:?}"),
            Ok(Ok(None)) => match child.wait().await {
                Ok(status) => format!("it ended with {status}"),
                Err(cause) => format!("it ended: {cause}"),
            },
            Ok(Err(cause)) => cause.to_string(),
            Err(_) => format!("nothing within {} s", READY_WITHIN.as_secs()),
        };
        Err(FederationError::NotReady { member: self.member, why })
    }

    /// Kills the process with SIGKILL, as a power cut would; nothing of it gets to say goodbye.
    ///
    /// # Errors
    /// [`FederationError::NotReady`] if it does not run, [`FederationError::Machine`].
    pub async fn kill(&mut self) -> Result<(), FederationError> {
        let Some(mut process) = self.process.take() else {
            return Err(FederationError::NotReady { member: self.member, why: "it does not run".to_owned() });
        };
        let killed = process.child.kill().await;
        killed.map_err(|cause| FederationError::machine(format!("cannot kill the node of {}", self.member), cause))
    }

    /// Asks the process to end and waits until it has; kills it if it does not. Returns whether it ended cleanly.
    ///
    /// # Errors
    /// [`FederationError::Machine`].
    pub async fn stop(&mut self) -> Result<bool, FederationError> {
        let Some(mut process) = self.process.take() else { return Ok(true) };
        drop(process.stdin.take());
        let cannot = |cause| FederationError::machine(format!("cannot end the node of {}", self.member), cause);
        match tokio::time::timeout(ENDS_WITHIN, process.child.wait()).await {
            Ok(status) => Ok(status.map_err(cannot)?.success()),
            Err(_) => process.child.kill().await.map_err(cannot).map(|()| false),
        }
    }

    /// The last `lines` lines of its log.
    pub fn log_tail(&self, lines: usize) -> Vec<String> {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().iter().map(|line| (*line).to_owned()).collect()
    }

    fn read_passphrase(&self) -> Result<Passphrase, FederationError> {
        Passphrase::obtain(Some(&self.passphrase)).map_err(|error| self.not_made("the passphrase", &error))
    }

    pub(super) fn not_made(&self, what: &'static str, error: &(impl Coded + ?Sized)) -> FederationError {
        FederationError::not_made(self.member, what, error)
    }
}

impl Process {
    /// Asks it to end.
    pub(super) fn release(&mut self) {
        drop(self.stdin.take());
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.release();
        // Whoever removes the directory next must not race with a process that still writes to it.
        let _ = self.child.start_kill();
        for _ in 0..400 {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A file that only its owner may read; the command refuses any other key.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}
