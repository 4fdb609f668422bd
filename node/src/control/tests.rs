use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use eads_domain::clock::{ManualClock, Timestamp};
use eads_domain::entropy::SystemEntropy;
use eads_store::embedded::EmbeddedOptions;
use eads_store::keys::{KdfCost, Passphrase};

use super::*;

pub(crate) fn target(dir: &Path) -> Target {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_unix(1_800_000_000)));
    let passphrase = Passphrase::new(b"five random words".to_vec()).unwrap();
    let keys = KeyTree::create_with_cost(dir, &passphrase, KdfCost::TESTS, entropy.clone()).unwrap();
    let keys = Arc::new(keys);
    let store = Arc::new(EmbeddedStore::open(dir, EmbeddedOptions::default().reserve_bytes(0)).unwrap());
    let audit = AuditLog::open(&dir.join("audit"), None, keys.clone(), clock.clone()).unwrap();
    Target { dir: dir.to_path_buf(), store, keys, audit, clock, entropy, node: None, reload: None }
}

/// A target that is served until this is dropped.
struct Served {
    target: Target,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
}

impl Served {
    fn start(dir: &Path) -> Self {
        let (target, stop) = (target(dir), CancellationToken::new());
        let control = Control::listen(dir).unwrap();
        let served = tokio::spawn(control.serve(target.clone(), stop.clone()));
        Self { target, stop, served }
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap();
    }
}

async fn asking(dir: &Path) -> Result<Asked, Refusal> {
    let dir = dir.to_path_buf();
    tokio::task::spawn_blocking(move || ask(&dir, &Request::Compact {}, |_| {})).await.unwrap()
}

/// What the socket answers to `bytes`.
async fn raw(dir: &Path, bytes: &'static [u8]) -> String {
    let path = dir.join(SOCKET_NAME);
    tokio::task::spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_is_done_by_the_running_node_and_stands_in_the_audit_log_before_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let mode = std::fs::metadata(dir.path().join(SOCKET_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let Ok(Asked::Done(outcome)) = asking(dir.path()).await else { panic!("not done") };
    assert!(outcome.sound, "{outcome:?}");
    let entries =
        served.target.audit.list(&eads_service::audit::Find { limit: 10, ..Default::default() }, false).unwrap();
    let told: Vec<_> = entries.iter().map(|l| (l.entry.kind, l.entry.operation.as_str(), l.unfinished)).collect();
    assert_eq!(told, [(EntryKind::Intent, "StoreCompact", false), (EntryKind::Outcome, "StoreCompact", false)]);
    let Actor::Operator { name, .. } = &entries[0].entry.actor else { panic!("{entries:?}") };
    assert_eq!(*name, format!("uid-{}", own_uid().unwrap()));
    served.end().await;
    assert!(!dir.path().join(SOCKET_NAME).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_of_a_dead_node_is_no_node_and_hinders_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(asking(dir.path()).await, Ok(Asked::NotRunning)), "no socket");
    drop(UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap());
    assert!(matches!(asking(dir.path()).await, Ok(Asked::NotRunning)), "nobody behind it");
    let served = Served::start(dir.path());
    assert!(matches!(asking(dir.path()).await, Ok(Asked::Done(_))));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_refused_and_the_socket_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    static LONG: [u8; 20_000] = [b' '; 20_000];
    for bytes in
        [&b"\n"[..], b"{\"command\":\"launch\"}\n", b"{\"command\":\"check\",\"extra\":1}\n", b"{\"command\"", b""]
    {
        let answer = raw(dir.path(), bytes).await;
        assert!(answer.contains("CONTROL_REQUEST"), "{bytes:?}: {answer}");
    }
    let mut stream = UnixStream::connect(dir.path().join(SOCKET_NAME)).unwrap();
    // Whether the whole of it can be sent or not, the node does not read it all.
    let _ = tokio::task::spawn_blocking(move || stream.write_all(&LONG)).await.unwrap();
    assert!(matches!(asking(dir.path()).await, Ok(Asked::Done(_))));
    assert_eq!(
        served.target.audit.list(&eads_service::audit::Find { limit: 10, ..Default::default() }, false).unwrap().len(),
        2,
        "nothing else was done"
    );
    served.end().await;
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(100));
    std::fs::create_dir(&deep).unwrap();
    for refusal in [Control::listen(&deep).unwrap_err(), asking(&deep).await.unwrap_err()] {
        assert_eq!(refusal.code, "CONTROL_PATH_TOO_LONG");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_says_what_it_gave_back() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let home = dir.path().to_path_buf();
    let mut told = Vec::new();
    let asked = tokio::task::spawn_blocking(move || {
        let asked = ask(&home, &Request::Compact {}, |line| told.push(line.to_owned()));
        (asked, told)
    });
    let (Ok(Asked::Done(outcome)), _told) = asked.await.unwrap() else { panic!("not done") };
    assert!(outcome.lines.last().unwrap().starts_with("reclaimed "), "{outcome:?}");
    assert!(outcome.report["before"]["journal_bytes"].is_u64());
    served.end().await;
}
