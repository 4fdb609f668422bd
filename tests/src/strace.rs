//! System calls of a running process that fail as they do on a dying disk: `strace` attached for as long as the
//! fault lasts. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::wait::until;

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// System calls, separated by commas.
    pub calls: &'static str,
    /// The error that they return.
    pub error: &'static str,
    /// From which call of a thread on, and which after it: `1+` is all, `2+3` every third from the second on.
    pub when: &'static str,
}

/// A fault under way; it ends when this is dropped.
#[derive(Debug)]
pub struct Failing {
    tracer: Child,
    log: PathBuf,
}

impl Failing {
    /// Lets calls of `process` fail: those on files below `part`, or all. `log` is a new file.
    ///
    /// # Panics
    /// When strace cannot be attached.
    pub async fn begin(process: u32, fault: Fault, part: Option<&Path>, log: PathBuf) -> Self {
        let Fault { calls, error, when } = fault;
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:error={error}:when={when}"),
        ]);
        for path in part.iter().flat_map(|part| below(part)) {
            command.arg("-P").arg(path);
        }
        command.arg("-o").arg(&log).arg("-p").arg(process.to_string());
        let tracer = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace runs");
        let mut failing = Self { tracer, log };
        let threads = || {
            let all = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
            all.map(|thread| thread.path().join("status")).collect::<Vec<_>>()
        };
        let is_traced = |status: &PathBuf| {
            // A thread that has ended meanwhile is none that has to be traced.
            fs::read_to_string(status).map_or(true, |text| !text.contains("TracerPid:\t0"))
        };
        assert!(failing.tracer.try_wait().expect("a child").is_none(), "strace ended at once");
        until("every thread is traced", || async { threads().iter().all(is_traced) }).await;
        failing
    }

    /// How many calls have failed so far.
    pub fn hits(&self) -> usize {
        fs::read_to_string(&self.log).unwrap_or_default().matches("(INJECTED)").count()
    }

    /// Waits until a call has failed.
    ///
    /// # Panics
    /// When none does.
    pub async fn hit(&self, place: &str) {
        until(&format!("a call fails: {place}"), || async { self.hits() > 0 }).await;
    }
}

impl Drop for Failing {
    /// Lets go: what runs goes on, and its calls succeed again.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.tracer.id().to_string()]).status();
        let _ = self.tracer.wait();
    }
}

/// Everything below a directory, and it itself: the filter of strace takes exact paths.
fn below(part: &Path) -> Vec<PathBuf> {
    let mut found = vec![part.to_path_buf()];
    for entry in fs::read_dir(part).into_iter().flatten().flatten() {
        found.extend(below(&entry.path()));
    }
    found
}
