use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eads_domain::code::Coded as _;

use super::*;
use crate::conformance::{Subject, run};
use crate::reserve::FreeSpace;

mod compaction;
mod faults;

pub(super) const AREA: Area = Area::new(9, 1, "test");

/// Runs once, on the thread that is about to open the view.
#[derive(Clone, Default)]
pub(super) struct Hook(Arc<Mutex<Option<Work>>>);

type Work = Box<dyn FnOnce() -> io::Result<()> + Send>;

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Hook {
    fn new(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(work)))))
    }

    pub(super) fn call(&self) -> io::Result<()> {
        let work = self.0.lock().unwrap().take();
        work.map_or(Ok(()), |work| work())
    }
}

pub(super) fn options() -> EmbeddedOptions {
    EmbeddedOptions::default().segment_bytes(64 * 1024).cache_bytes(4 * 1024 * 1024).reserve_bytes(0)
}

pub(super) fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(dir, options()).unwrap()
}

/// Commits `rounds` batches that set, replace and delete; returns what must be there.
pub(super) async fn fill(store: &EmbeddedStore, rounds: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut model = BTreeMap::new();
    for round in 0..rounds {
        let mut batch = Batch::new();
        let (key, value) = (round.to_be_bytes().to_vec(), vec![round as u8; 50]);
        batch.put(AREA, key.clone(), value.clone()).put(AREA, b"last", round.to_be_bytes());
        model.insert(key, value);
        model.insert(b"last".to_vec(), round.to_be_bytes().to_vec());
        if round % 3 == 2 {
            batch.delete(AREA, (round - 1).to_be_bytes());
            model.remove((round - 1).to_be_bytes().as_slice());
        }
        store.commit(batch).await.unwrap();
    }
    model
}

pub(super) async fn contents(store: &EmbeddedStore) -> BTreeMap<Vec<u8>, Vec<u8>> {
    store.scan(Scan::new(AREA, usize::MAX)).await.unwrap().into_iter().collect()
}

pub(super) async fn filled(rounds: u32) -> (tempfile::TempDir, BTreeMap<Vec<u8>, Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let model = fill(&store, rounds).await;
    drop(store);
    (dir, model)
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn view_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.join("view")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Opens a damaged copy, and requires that nothing acknowledged is lost, now and after one more opening.
async fn nothing_is_lost(dir: &Path, model: &BTreeMap<Vec<u8>, Vec<u8>>, what: &str) -> OpenReport {
    let store = open(dir);
    assert_eq!(&contents(&store).await, model, "{what}: {:?}", store.report());
    for (key, value) in model.iter().step_by(7) {
        assert_eq!(store.get(AREA, key).await.unwrap().as_ref(), Some(value), "{what}");
    }
    store.check().await.unwrap();
    let mut batch = Batch::new();
    batch.put(AREA, b"after", b"x");
    store.commit(batch).await.unwrap();
    let report = store.report().clone();
    drop(store);
    let store = open(dir);
    assert_eq!(store.report().rebuilt, None, "{what}: once is enough");
    assert_eq!(store.get(AREA, b"after").await.unwrap(), Some(b"x".to_vec()), "{what}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_engine_conforms_to_the_port() {
    run(|| async {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let store = Arc::new(open(dir.path()));
        Subject::new(store, move || async move {
            let store = open(dir.path());
            assert_eq!(store.report().rebuilt, None);
            Arc::new(Kept { store, _dir: dir }) as Arc<dyn Store>
        })
    })
    .await;
}

/// A store that keeps its scratch directory.
#[derive(Debug)]
struct Kept {
    store: EmbeddedStore,
    _dir: Arc<tempfile::TempDir>,
}

#[async_trait]
impl Store for Kept {
    async fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(area, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.store.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<Sequence, StoreError> {
        self.store.commit(batch).await
    }
}

#[tokio::test]
async fn a_clean_reopening_replays_nothing_and_raises_no_alarm() {
    let (dir, model) = filled(50).await;
    let store = open(dir.path());
    let report = store.report();
    assert_eq!((report.rebuilt.clone(), report.replayed, report.recovered.sequence), (None, 0, 50));
    assert_eq!(report.rows, model.len() as u64);
    assert_eq!(contents(&store).await, model);
    let check = store.check().await.unwrap();
    assert_eq!((check.journal.records, check.rows), (50, model.len() as u64));
}

#[tokio::test]
async fn deleting_the_view_loses_nothing() {
    let (dir, model) = filled(100).await;
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let report = nothing_is_lost(dir.path(), &model, "deleted").await;
    assert_eq!(report.rebuilt, Some(Rebuilt { reason: RebuildReason::Missing, moved_to: None }));
    assert_eq!(report.replayed, 100);
}

#[tokio::test]
async fn truncating_any_file_of_the_view_loses_nothing() {
    let (source, model) = filled(100).await;
    for (number, file) in view_files(source.path()).iter().enumerate() {
        let length = fs::metadata(file).unwrap().len();
        for part in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            copy(source.path(), dir.path());
            let path = view_files(dir.path())[number].clone();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length * part / 4).unwrap();
            nothing_is_lost(dir.path(), &model, &format!("{} cut to {part}/4", path.display())).await;
        }
    }
}

#[tokio::test]
async fn flipped_bytes_in_the_view_lose_nothing() {
    let (source, model) = filled(60).await;
    let mut rebuilt = 0;
    for (number, file) in view_files(source.path()).iter().enumerate() {
        let bytes = fs::read(file).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        let step = (used / 12).max(1);
        for at in (0..used).step_by(step) {
            let dir = tempfile::tempdir().unwrap();
            copy(source.path(), dir.path());
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x55;
            fs::write(&view_files(dir.path())[number], flipped).unwrap();
            let what = format!("byte {at} of {} flipped", file.file_name().unwrap().display());
            let report = nothing_is_lost(dir.path(), &model, &what).await;
            rebuilt += u32::from(report.rebuilt.is_some());
        }
    }
    assert!(rebuilt > 0, "some of these must have been noticed");
}

#[tokio::test]
async fn garbage_in_place_of_the_view_is_moved_aside_and_kept() {
    let (dir, model) = filled(20).await;
    for round in 1..=4_u64 {
        for file in view_files(dir.path()) {
            fs::write(file, b"this is no database").unwrap();
        }
        let store = open(dir.path());
        assert_eq!(contents(&store).await, model);
        let rebuilt = store.report().rebuilt.clone().unwrap();
        assert_eq!(rebuilt.moved_to, Some(dir.path().join(format!("view.damaged-{round}"))));
    }
    let kept = |n: u64| dir.path().join(format!("view.damaged-{n}")).exists();
    assert_eq!([kept(1), kept(2), kept(3), kept(4)], [false, false, true, true], "the last two are kept");
}

#[tokio::test]
async fn an_engine_that_panics_or_hangs_is_replaced() {
    let (dir, model) = filled(20).await;
    let mut panics = options();
    panics.hook = Hook::new(|| panic!("as sled does on files that it cannot read"));
    let store = EmbeddedStore::open(dir.path(), panics).unwrap();
    assert_eq!(store.report().rebuilt.as_ref().unwrap().reason, RebuildReason::Panicked);
    assert_eq!(contents(&store).await, model);
    drop(store);

    let (release, hung) = std::sync::mpsc::channel::<()>();
    let mut hangs = options().open_limit(Duration::from_millis(150));
    hangs.hook = Hook::new(move || {
        assert!(hung.recv().is_err());
        Ok(())
    });
    let store = EmbeddedStore::open(dir.path(), hangs).unwrap();
    assert_eq!(store.report().rebuilt.as_ref().unwrap().reason, RebuildReason::Hung);
    assert_eq!(contents(&store).await, model);
    // The one that hung wakes up and must not touch the view that took its place.
    drop(release);
    drop(store);
    let report = nothing_is_lost(dir.path(), &model, "woken up").await;
    assert_eq!(report.rebuilt, None);
}

#[tokio::test]
async fn a_view_ahead_of_the_journal_is_replaced_with_an_alarm() {
    let (dir, _) = filled(10).await;
    let old = tempfile::tempdir().unwrap();
    copy(dir.path(), old.path());
    let store = open(dir.path());
    fill(&store, 5).await;
    drop(store);
    fs::remove_dir_all(old.path().join("view")).unwrap();
    copy(&dir.path().join("view"), &old.path().join("view"));
    let store = open(old.path());
    let rebuilt = store.report().rebuilt.clone().unwrap();
    assert_eq!(rebuilt.reason, RebuildReason::Ahead { view: 15, journal: 10 });
    assert!(rebuilt.reason.to_string().contains("the journal lost records"));
    assert_eq!(rebuilt.moved_to, Some(old.path().join("view.evidence-1")), "the only copy is never removed");
    assert_eq!(store.commit(Batch::new()).await.unwrap(), Sequence::new(11));
}

#[tokio::test]
async fn a_view_of_another_history_is_replaced() {
    let (dir, model) = filled(10).await;
    let other = tempfile::tempdir().unwrap();
    let store = open(other.path());
    for _ in 0..7 {
        store.commit(Batch::new()).await.unwrap();
    }
    drop(store);
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    copy(&other.path().join("view"), &dir.path().join("view"));
    let report = nothing_is_lost(dir.path(), &model, "foreign").await;
    assert_eq!(report.rebuilt.unwrap().reason, RebuildReason::ChainDiffers { sequence: 7 });
}

#[tokio::test]
async fn a_store_without_its_journal_does_not_start_empty() {
    let (dir, _) = filled(10).await;
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let error = EmbeddedStore::open(dir.path(), options()).unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_DAMAGED");
    assert!(error.to_string().contains("0000000000000001.journal"), "{error}");
    assert!(dir.path().join("view").exists());
}

/// Changes a row behind the engine's back, checksum and all if asked.
fn tamper(dir: &Path, change: impl FnOnce(&sled::Db)) {
    let path = fs::read_dir(dir.join("view")).unwrap().next().unwrap().unwrap().path();
    let db = sled::open(path).unwrap();
    change(&db);
    db.flush().unwrap();
}

#[tokio::test]
async fn rows_that_were_removed_changed_or_added_in_the_view_are_found_at_open() {
    let key = rows::row_key(&AREA.store_key(b"last"));
    let changes: [&dyn Fn(&sled::Db); 4] = [
        &|db| drop(db.remove(&key).unwrap()),
        &|db| drop(db.insert(&key, rows::protect(&key, b"other")).unwrap()),
        &|db| drop(db.insert([1, 9, 1, 77], rows::protect(&[1, 9, 1, 77], b"new")).unwrap()),
        &|db| drop(db.remove(rows::WATERMARK).unwrap()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let (dir, model) = filled(10).await;
        tamper(dir.path(), change);
        let report = nothing_is_lost(dir.path(), &model, &format!("change {number}")).await;
        assert_eq!(report.rebuilt.unwrap().reason, RebuildReason::RowsDiffer, "change {number}");
    }
}

#[tokio::test]
async fn a_row_that_goes_bad_while_running_stops_the_view_and_is_mended_by_a_restart() {
    let (dir, model) = filled(10).await;
    let store = open(dir.path());
    let key = rows::row_key(&AREA.store_key(b"last"));
    let mut stored = rows::protect(&key, &9_u32.to_be_bytes());
    stored[5] ^= 1;
    store.views.get().overwrite(&key, &stored);
    for error in [store.get(AREA, b"last").await.unwrap_err(), contents_error(&store).await] {
        assert_eq!(error.code().as_str(), "VIEW_DAMAGED");
        assert!(error.to_string().contains("restart the node"), "{error}");
    }
    let mut batch = Batch::new();
    batch.put(AREA, b"x", b"x");
    assert_eq!(store.commit(batch).await.unwrap_err().code().as_str(), "VIEW_DAMAGED");
    assert!(dir.path().join("view.rebuild").exists());
    drop(store);
    let report = nothing_is_lost(dir.path(), &model, "bad row").await;
    assert!(matches!(report.rebuilt.unwrap().reason, RebuildReason::Marked(what) if what.contains("checksum")));
}

async fn contents_error(store: &EmbeddedStore) -> StoreError {
    store.scan(Scan::new(AREA, 999)).await.unwrap_err()
}

#[tokio::test]
async fn a_panic_inside_the_engine_is_an_error_and_the_process_goes_on() {
    let (dir, model) = filled(10).await;
    let store = open(dir.path());
    let error = store.views.get().panic_inside();
    assert_eq!(error.code().as_str(), "VIEW_DAMAGED");
    assert_eq!(store.get(AREA, b"last").await.unwrap_err().code().as_str(), "VIEW_DAMAGED");
    drop(store);
    nothing_is_lost(dir.path(), &model, "panicked").await;
}

#[tokio::test]
async fn damage_in_the_journal_is_named_and_never_papered_over() {
    let (dir, _) = filled(10).await;
    let file = dir.path().join("journal/0000000000000001.journal");
    let mut bytes = fs::read(&file).unwrap();
    bytes[400] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = EmbeddedStore::open(dir.path(), options()).unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_DAMAGED");
    let text = error.to_string();
    assert!(text.contains("0000000000000001.journal") && text.contains("offset"), "{text}");
}

#[tokio::test]
async fn a_directory_belongs_to_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let error = EmbeddedStore::open(dir.path(), options()).unwrap_err();
    assert_eq!(error.code().as_str(), "STORE_LOCKED");
    assert!(error.to_string().contains("two nodes cannot use one directory"));
    drop(store);
    open(dir.path());
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_says_upgrade() {
    let dir = tempfile::tempdir().unwrap();
    let newer = JournalOptions::new(LABEL).schema(SCHEMA_VERSION + 1);
    let (journal, _) = Journal::open(&dir.path().join("journal"), newer).unwrap();
    journal.append(b"from the future".as_slice()).await.unwrap();
    drop(journal);
    let error = EmbeddedStore::open(dir.path(), options()).unwrap_err();
    assert_eq!(error.code().as_str(), "STORE_SCHEMA_NEWER");
    assert!(error.to_string().contains("upgrade the node"));
}

/// How much room the disk has.
#[derive(Debug)]
pub(super) struct Disk(pub(super) AtomicU64);

impl FreeSpace for Disk {
    fn free(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn below_the_reserve_only_protective_batches_are_written_and_reading_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk(AtomicU64::new(99)));
    let options = options().reserve_bytes(100).free_space(disk.clone());
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    let mut batch = Batch::new();
    batch.put(AREA, b"k", b"v");
    let error = store.commit(batch.clone()).await.unwrap_err();
    assert_eq!(error.code().as_str(), "DISK_RESERVE");
    assert!(!error.outcome_unknown());
    assert_eq!(store.get(AREA, b"k").await.unwrap(), None);
    store
        .commit({
            batch.protective();
            batch.clone()
        })
        .await
        .unwrap();
    assert_eq!(store.get(AREA, b"k").await.unwrap(), Some(b"v".to_vec()));
    disk.0.store(100, Ordering::SeqCst);
    let mut batch = Batch::new();
    batch.delete(AREA, b"k");
    store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_damaged_view_is_not_kept_when_there_is_no_room_for_two() {
    let (dir, model) = filled(10).await;
    fs::write(dir.path().join("view.rebuild"), "asked for").unwrap();
    let short = options().free_space(Arc::new(Disk(AtomicU64::new(1000))));
    let store = EmbeddedStore::open(dir.path(), short).unwrap();
    let reason = RebuildReason::Marked("asked for".to_owned());
    assert_eq!(store.report().rebuilt, Some(Rebuilt { reason, moved_to: None }));
    assert_eq!(contents(&store).await, model);
    assert!(!dir.path().join("view.damaged-1").exists());
}

#[tokio::test]
async fn other_views_can_follow_the_commits() {
    let (dir, model) = filled(30).await;
    let store = open(dir.path());
    let mut followed = BTreeMap::new();
    for (next, commit) in (1..).zip(store.changes(Sequence::new(1)).unwrap()) {
        let commit = commit.unwrap();
        assert_eq!(commit.sequence.get(), next);
        for change in commit.changes {
            assert_eq!((change.area, change.version), (AREA.id(), AREA.version()));
            match change.value {
                Some(value) => followed.insert(change.key, value),
                None => followed.remove(&change.key),
            };
        }
    }
    assert_eq!(followed, model);
    assert_eq!(store.changes(Sequence::new(29)).unwrap().count(), 2);
    assert_eq!(store.head().unwrap().sequence, 30);
}

#[tokio::test]
async fn a_dropped_commit_is_whole_or_absent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for round in 0_u8..40 {
        let mut batch = Batch::new();
        batch.put(AREA, [round, 0], b"v").put(AREA, [round, 1], b"v");
        let commit = store.commit(batch);
        let _ = tokio::time::timeout(Duration::from_micros(u64::from(round) * 20), commit).await;
    }
    drop(store);
    let store = open(dir.path());
    for round in 0_u8..40 {
        let there = [store.get(AREA, &[round, 0]).await.unwrap(), store.get(AREA, &[round, 1]).await.unwrap()];
        assert_eq!(there[0], there[1], "round {round}");
    }
}
