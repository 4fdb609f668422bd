//! What it is measured on, and what the system says of processes, files and disks.

use std::path::Path;
use std::process::Command;

/// One line: processors, kernel, file system of the measured directories, compiler.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc =
        rustc.and_then(|said| String::from_utf8(said.stdout).ok()).unwrap_or_else(|| "rustc unknown".to_owned());
    let dir = std::env::temp_dir();
    format!(
        "{cores} cores ({model}), Linux {}, {} at {}, {}, opt-level {}",
        kernel.trim(),
        file_system(&dir),
        dir.display(),
        rustc.trim(),
        if cfg!(debug_assertions) { "debug: these are no figures" } else { "release" },
    )
}

/// The type of the file system below a path.
fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let of = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        path.starts_with(&place).then_some((place.len(), kind))
    };
    mounts.lines().filter_map(of).max().map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

/// Bytes of memory that a process has resident now.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Seconds of processor time that a process has used.
pub(crate) fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    // USER_HZ is 100 on every Linux that this runs on.
    (ticks(11) + ticks(12)) / 100.0
}

/// Bytes that this process has caused to be written to storage so far.
pub(crate) fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:")).unwrap_or_default();
    line.trim().parse().unwrap_or_default()
}

/// Bytes that the files below a directory take on disk.
pub(crate) fn on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => on_disk(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// The process whose command line names this directory.
pub(crate) fn process_of(dir: &Path) -> Option<u32> {
    let wanted = dir.to_string_lossy();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = line.split(|byte| *byte == 0);
        *pid != std::process::id() && arguments.any(|argument| argument == wanted.as_bytes())
    })
}
