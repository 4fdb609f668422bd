//! The caller's side of local control.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Answer, MAX_ANSWER, Outcome, Refusal, Request, io_refusal, socket_path};

/// A node that says nothing for so long, not even that it still works, is given up.
const SILENCE: Duration = Duration::from_secs(30);

/// What became of asking.
#[derive(Debug)]
pub enum Asked {
    /// The running node did it.
    Done(Outcome),
    /// No node listens: whoever asks may open the directory.
    NotRunning,
}

/// Has the node that runs on `dir` do `request`, and hands each line of progress to `told`. Blocking.
///
/// # Errors
/// The node's refusal; `CONTROL_IO`, `CONTROL_PATH_TOO_LONG`; `CONTROL_ANSWER` if it fell silent or spoke another
/// version, and then it may still do what was asked: its audit log says.
pub fn ask(dir: &Path, request: &Request, mut told: impl FnMut(&str)) -> Result<Asked, Refusal> {
    let path = socket_path(dir)?;
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        // No file, or the file of a node that was killed.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(Asked::NotRunning);
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("{} belongs to another user", path.display());
            return Err(Refusal::new("CONTROL_DENIED", text, Some("run the command as the user of the node")));
        }
        Err(error) => return Err(io_refusal("connect to", &path, &error)),
    };
    let failed = |error: io::Error| io_refusal("speak to", &path, &error);
    stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(SILENCE)).map_err(failed)?;
    let mut line = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        let read = (&mut reader).take(MAX_ANSWER).read_line(&mut line);
        let answer = read.ok().and_then(|_| serde_json::from_str(&line).ok());
        match answer {
            Some(Answer::Progress(line)) if line.is_empty() => {}
            Some(Answer::Progress(line)) => told(&line),
            Some(Answer::Done(outcome)) => return Ok(Asked::Done(outcome)),
            Some(Answer::Refused(refusal)) => return Err(refusal),
            None => {
                let text = "the node fell silent, or speaks another version, before the command was done";
                let hint = "its log and its audit log say whether it still did it";
                return Err(Refusal::new("CONTROL_ANSWER", text, Some(hint)));
            }
        }
    }
}
