//! A million records in one command: how fast, and in how much memory of the node and of the command.
//!
//! Ignored by default, since it takes minutes and is worth something in release only:
//! `cargo test --release -p eads-tests --test integration import_million -- --ignored --nocapture`, with the number
//! of records in `EADS_IMPORT_RECORDS` where it shall be another one.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eads_cli::demo::federation::{Federation, Participant};
use eads_domain::id::MemberId;
use tempfile::TempDir;

use crate::programs::programs;

const RECORDS: u64 = 1_000_000;
/// What the node may take at most for a million records: its indexes, the keys seen, and what is under way.
const NODE_BYTES_EACH: u64 = 2500;
const NODE_BYTES_ALWAYS: u64 = 400 * 1024 * 1024;
/// Of a second, as Linux counts the time of a processor.
const TICKS: f64 = 100.0;
const COMMAND_BYTES: u64 = 64 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; run it in release"]
#[allow(clippy::cast_precision_loss, reason = "for people")]
async fn a_million_records_come_in_in_bounded_memory() {
    let count = std::env::var("EADS_IMPORT_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(RECORDS);
    let house = TempDir::new().expect("a directory");
    let member: MemberId = "MY".parse().expect("a member");
    let participant = Participant { member, name: "Malaysia".to_owned() };
    let place = house.path().join("federation");
    let mut federation = Federation::create(&programs(), &place, &[participant]).await.expect("a federation");
    federation.start().await.expect("it serves");
    let file = house.path().join("register.csv");
    write(&file, count);
    let path = file.to_str().expect("a path");
    let command = ["--timeout", "600", "record", "import", path, "--source", "register", "--snapshot"];
    let issuer = federation.operator(member, "issuer").expect("an issuer");
    for (what, counted) in [("new", "inserted"), ("unchanged", "unchanged")] {
        let watch = Watch::begin(&place);
        let begun = now();
        let done = issuer.get(&command).await.expect("an import");
        let seconds = begun.elapsed().as_secs_f64();
        let (node, cli, busy) = watch.end().await;
        let rate = count as f64 / seconds;
        let mebibytes = |bytes: u64| bytes / (1024 * 1024);
        eprintln!(
            "{count} {what} records: {seconds:.1} s, {rate:.0} a second, {:.0} µs of the node's processors each; at most {} MiB in the node, {} MiB in the command",
            busy * 1e6 / count as f64,
            mebibytes(node),
            mebibytes(cli)
        );
        assert_eq!((done[counted].as_u64(), done["rejected"].as_u64()), (Some(count), Some(0)));
        assert!(node <= NODE_BYTES_ALWAYS + count * NODE_BYTES_EACH, "{node} bytes in the node");
        assert!(cli <= COMMAND_BYTES, "{cli} bytes in the command");
    }
}

#[allow(clippy::disallowed_methods, reason = "what is measured is the time of this machine")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Persons with names of two of 20,000 words each, so that the indexes get what they get from a register.
fn write(path: &Path, count: u64) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a file"));
    file.write_all(b"key,family-name,given-names,birth-date,sex,nationalities,documents\n").expect("a line");
    let mut line = String::new();
    for number in 0..count {
        line.clear();
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (family, given) = (word(mixed % 20_000), word(mixed / 20_000 % 20_000));
        let (year, month, day) = (1940 + mixed % 70, 1 + mixed / 7 % 12, 1 + mixed / 11 % 28);
        let _ =
            writeln!(line, "R-{number:08},{family},{given},{year}-{month:02}-{day:02},M,MY,passport|X{number:08}|MY");
        file.write_all(line.as_bytes()).expect("a line");
    }
    file.flush().expect("a file");
}

fn word(number: u64) -> String {
    const SYLLABLES: [&str; 28] = [
        "ra", "sa", "wi", "ja", "ya", "bu", "di", "kar", "tan", "lim", "nor", "ah", "mad", "su", "ri", "na", "put",
        "ro", "he", "ning", "tri", "ma", "lik", "zul", "fa", "iz", "ha", "san",
    ];
    let at = |number: u64| SYLLABLES[usize::try_from(number % 28).expect("small")];
    format!("{}{}{}{}", at(number), at(number / 28), at(number / 784), if number >= 10_000 { "in" } else { "" })
}

/// Looks at the memory of the processes that work in a directory.
struct Watch {
    stop: Arc<AtomicBool>,
    most: Arc<[AtomicU64; 4]>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn begin(place: &Path) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicU64; 4]>::default());
        let (until, seen, place) = (stop.clone(), most.clone(), place.to_string_lossy().into_owned());
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for process in std::fs::read_dir("/proc").expect("processes").flatten() {
                    look(&process.path(), &place, &seen);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self { stop, most, thread }
    }

    /// Most bytes of the node and of the command, and seconds of processors that the node took meanwhile.
    async fn end(self) -> (u64, u64, f64) {
        self.stop.store(true, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || self.thread.join()).await.expect("no panic").expect("no panic");
        let [node, cli, first, last] = [0, 1, 2, 3].map(|at: usize| self.most[at].load(Ordering::Relaxed));
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let busy = last.saturating_sub(first) as f64 / TICKS;
        (node, cli, busy)
    }
}

fn look(process: &Path, place: &str, most: &[AtomicU64; 4]) {
    let Ok(command) = std::fs::read(process.join("cmdline")) else { return };
    let command = String::from_utf8_lossy(&command);
    let Some(program) = command.split('\0').next().filter(|_| command.contains(place)) else { return };
    let which = if program.contains("eads-node") { 0 } else { 1 };
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kibibytes: u64 = resident.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
    most[which].fetch_max(kibibytes * 1024, Ordering::Relaxed);
    if which == 0 {
        // User and system time stand behind the name, which may hold anything, as the twelfth and thirteenth field.
        let times = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        let fields = times.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let _ = most[2].compare_exchange(0, ticks, Ordering::Relaxed, Ordering::Relaxed);
        most[3].fetch_max(ticks, Ordering::Relaxed);
    }
}
