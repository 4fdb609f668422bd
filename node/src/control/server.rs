//! The running node's side of local control.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Answer, MAX_REQUEST, Progress, Refusal, Request, Target, io_refusal, local, own_uid, perform, socket_path,
};

/// Callers at a time; further ones are hung up on.
const CALLERS: usize = 8;
/// How long a request may take to arrive, and a line of the answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a caller hears that the command still runs.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long to wait after the system had no more file handles or memory for a caller.
const PAUSE: Duration = Duration::from_millis(200);

/// The listening socket of a node. Its file goes when this is dropped.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    uid: u32,
}

impl Control {
    /// Listens in `dir`, whose lock the caller holds: a socket that is there already is a dead node's.
    ///
    /// # Errors
    /// `CONTROL_PATH_TOO_LONG`, `CONTROL_IO`.
    pub fn listen(dir: &Path) -> Result<Self, Refusal> {
        let path = socket_path(dir)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_refusal("remove", &path, &error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(|error| io_refusal("listen on", &path, &error))?;
        let control = Self { listener, path, uid: own_uid()? };
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&control.path, mode).map_err(|error| io_refusal("protect", &control.path, &error))?;
        Ok(control)
    }

    /// Does what callers ask until `stop`, then tells the command under way to end and waits for it.
    pub async fn serve(self, target: Target, stop: CancellationToken) {
        let shared = Arc::new(Shared { target, one: Mutex::new(()), callers: Semaphore::new(CALLERS) });
        let mut callers = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
                _ = callers.join_next(), if !callers.is_empty() => continue,
            };
            match accepted {
                Ok((stream, _)) if self.may_call(&stream) => {
                    callers.spawn(answer(stream, shared.clone(), self.uid, stop.child_token()));
                }
                // Hung up on: the file's mode should have kept it away.
                Ok(_) => tracing::warn!("a user other than the node's own called the control socket"),
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot take a caller");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        while callers.join_next().await.is_some() {}
    }

    fn may_call(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|caller| caller.uid() == self.uid)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // What stays is taken for a dead node's at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

struct Shared {
    target: Target,
    /// One command at a time.
    one: Mutex<()>,
    callers: Semaphore,
}

async fn answer(stream: UnixStream, shared: Arc<Shared>, uid: u32, stop: CancellationToken) {
    let Ok(_place) = shared.callers.try_acquire() else { return };
    let (reader, mut writer) = stream.into_split();
    let last = match receive(reader).await {
        Ok(request) => match shared.one.try_lock() {
            Ok(_turn) => work(request, uid, &shared.target, &mut writer, stop).await,
            Err(_) => Err(Refusal::new(
                "CONTROL_BUSY",
                "the node is doing another maintenance command",
                Some("wait until it is done"),
            )),
        },
        Err(refusal) => Err(refusal),
    };
    // A caller that went away does not hear it; the audit log has it.
    let _ = send(&mut writer, &last.map_or_else(Answer::Refused, Answer::Done)).await;
}

async fn receive(reader: OwnedReadHalf) -> Result<Request, Refusal> {
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    let read = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await;
    if !matches!(read, Ok(Ok(_))) || !line.ends_with('\n') {
        return Err(Refusal::new("CONTROL_REQUEST", "no whole request came in time", None));
    }
    serde_json::from_str(&line).map_err(|error| {
        let hint = "the command and the running node are of different versions: restart the node";
        Refusal::new("CONTROL_REQUEST", format!("this node does not know the request: {error}"), Some(hint))
    })
}

async fn work(
    request: Request,
    uid: u32,
    target: &Target,
    writer: &mut OwnedWriteHalf,
    stop: CancellationToken,
) -> Result<super::Outcome, Refusal> {
    let (progress, mut told) = Progress::new(stop.clone());
    let mut doing = std::pin::pin!(perform(request, local(uid), target, &progress));
    loop {
        let line = tokio::select! {
            done = &mut doing => return done,
            line = told.recv() => line.unwrap_or_default(),
            () = tokio::time::sleep(HEARTBEAT) => String::new(),
        };
        if send(writer, &Answer::Progress(line)).await.is_err() {
            // Nobody waits any more; what was begun ends in order.
            stop.cancel();
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, writer.write_all(&line)).await?
}
