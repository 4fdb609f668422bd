//! What a compaction keeps, gives back and survives.

use super::*;

/// Every step, in order.
const STEPS: [CompactStep; 6] = [
    CompactStep::SnapshotWritten,
    CompactStep::ViewBuilt,
    CompactStep::Swapped,
    CompactStep::SnapshotNamed,
    CompactStep::JournalShortened,
    CompactStep::Done,
];

fn compact(store: &EmbeddedStore) -> Compacted {
    store.compact(&mut |_| true).unwrap()
}

fn files(dir: &Path, name: &str) -> usize {
    fs::read_dir(dir.join(name)).map_or(0, |entries| entries.filter(|e| !is_lock(e.as_ref().unwrap())).count())
}

fn is_lock(entry: &fs::DirEntry) -> bool {
    ["lock", "spare"].iter().any(|name| entry.file_name() == *name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_every_row_gives_space_back_and_what_is_written_after_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut model = fill(&store, 3000).await;
    let report = compact(&store);
    assert_eq!((report.rows, report.sequence), (model.len() as u64, 3000));
    assert!(report.after.journal < report.before.journal / 2, "{report:?}");
    assert!(report.after.view < report.before.view, "{report:?}");
    assert_eq!(report.after.live, report.before.live);
    assert!(report.after.dead() < report.before.dead());
    assert_eq!(files(dir.path(), "view"), 1);
    assert_eq!(contents(&store).await, model);
    let mut batch = Batch::new();
    batch.put(AREA, b"later", b"x").delete(AREA, b"last");
    store.commit(batch).await.unwrap();
    model.insert(b"later".to_vec(), b"x".to_vec());
    model.remove(b"last".as_slice());
    let check = store.check().await.unwrap();
    assert_eq!((check.snapshot, check.rows), (Some(report.rows), model.len() as u64));
    drop(store);
    let store = open(dir.path());
    assert_eq!((store.report().rebuilt.clone(), store.report().replayed), (None, 0));
    assert_eq!(contents(&store).await, model);
    drop(store);
    // From the snapshot and the rest of the journal, without the view.
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let store = open(dir.path());
    assert_eq!(store.report().rebuilt.as_ref().unwrap().reason, RebuildReason::Missing);
    assert_eq!(contents(&store).await, model);
    // Again, over a snapshot.
    compact(&store);
    assert_eq!(files(dir.path(), "snapshot"), 1);
    assert_eq!(contents(&store).await, model);
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_rows_or_without_anything_is_compacted_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(compact(&store).sequence, 0);
    let mut batch = Batch::new();
    batch.put(AREA, b"k", b"v");
    store.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.delete(AREA, b"k");
    store.commit(batch).await.unwrap();
    assert_eq!((compact(&store).rows, compact(&store).sequence), (0, 2));
    drop(store);
    assert!(contents(&open(dir.path())).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_and_reads_go_on_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    fill(&store, 500).await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0_u8..4)
        .map(|writer| {
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = 0_u32;
                while !stop.load(Ordering::SeqCst) {
                    written += 1;
                    let mut batch = Batch::new();
                    // A row of its own, one that is overwritten, one that goes again.
                    let own = [&[b'w', writer][..], &written.to_be_bytes()].concat();
                    batch.put(AREA, own.clone(), own).put(AREA, [b'n', writer], written.to_be_bytes());
                    batch.delete(AREA, [&[b'w', writer][..], &(written - 1).to_be_bytes()].concat());
                    store.commit(batch).await.unwrap();
                    let now = store.get(AREA, &[b'n', writer]).await.unwrap().unwrap();
                    assert_eq!(now, written.to_be_bytes(), "a commit is seen by whoever made it");
                }
                written
            })
        })
        .collect();
    for _ in 0..5 {
        let store = Arc::clone(&store);
        tokio::task::spawn_blocking(move || compact(&store)).await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    store.check().await.unwrap();
    let store = Arc::into_inner(store).unwrap();
    let before = contents(&store).await;
    drop(store);
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let store = open(dir.path());
    assert_eq!(contents(&store).await, before);
    for (writer, written) in (0_u8..).zip(written) {
        assert!(written > 0);
        let own = [&[b'w', writer][..], &written.to_be_bytes()].concat();
        assert_eq!(store.get(AREA, &own).await.unwrap(), Some(own.clone()));
        assert_eq!(before.keys().filter(|key| key.starts_with(&[b'w', writer])).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_leaves_a_store_with_every_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let model = fill(&store, 2000).await;
    compact(&store);
    let model = fill(&store, 2500).await.into_iter().chain(model).collect::<BTreeMap<_, _>>();
    let expected = contents(&store).await;
    assert_eq!(expected.len(), model.keys().filter(|key| expected.contains_key(*key)).count());
    let mut images = Vec::new();
    store
        .compact(&mut |step| {
            if STEPS.contains(&step) || matches!(step, CompactStep::Read(512) | CompactStep::Filled(1)) {
                let image = tempfile::tempdir().unwrap();
                copy(dir.path(), image.path());
                images.push((step, image));
            }
            true
        })
        .unwrap();
    assert_eq!(images.len(), STEPS.len() + 2, "{images:?}");
    for (step, image) in images {
        // As it lies there, and as it would be if the engine's files had not reached the device.
        for without_view in [false, true] {
            let crashed = tempfile::tempdir().unwrap();
            copy(image.path(), crashed.path());
            if without_view {
                fs::remove_dir_all(crashed.path().join("view")).unwrap();
            }
            let store = open(crashed.path());
            assert_eq!(contents(&store).await, expected, "{step:?} {without_view} {:?}", store.report());
            store.check().await.unwrap();
            assert_eq!(files(crashed.path(), "view"), 1, "{step:?}: unfinished views are removed");
            assert!(!crashed.path().join("snapshot/new").exists());
            assert_eq!(files(crashed.path(), "snapshot"), 1, "{step:?}");
            let mut batch = Batch::new();
            batch.put(AREA, b"after", b"x");
            store.commit(batch).await.unwrap();
            compact(&store);
            assert_eq!(contents(&store).await.len(), expected.len() + 1, "{step:?}");
            drop(store);
            assert_eq!(contents(&open(crashed.path())).await.len(), expected.len() + 1, "{step:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_or_has_no_room_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(Disk(AtomicU64::new(u64::MAX)));
    let store = EmbeddedStore::open(dir.path(), options().free_space(disk.clone())).unwrap();
    let model = fill(&store, 2000).await;
    for until in [CompactStep::Read(512), CompactStep::SnapshotWritten, CompactStep::Filled(1), CompactStep::ViewBuilt]
    {
        let error = store.compact(&mut |step| step != until).unwrap_err();
        assert_eq!(error.code().as_str(), "COMPACTION_STOPPED", "{until:?}");
        assert_eq!((files(dir.path(), "snapshot"), files(dir.path(), "view")), (0, 1), "{until:?}");
    }
    disk.0.store(1000, Ordering::SeqCst);
    let error = store.compact(&mut |_| true).unwrap_err();
    assert_eq!(error.code().as_str(), "COMPACTION_NO_ROOM");
    assert!(!error.outcome_unknown());
    assert_eq!(contents(&store).await, model);
    let running = store.compact(&mut |_| {
        assert_eq!(store.compact(&mut |_| true).unwrap_err().code().as_str(), "COMPACTION_RUNNING");
        false
    });
    assert!(running.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_view_that_differs_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 100).await;
    // A row that no commit wrote, as failing memory would.
    let key = rows::row_key(&AREA.store_key(b"stray"));
    store.views.get().overwrite(&key, &rows::protect(&key, b"x"));
    let error = store.compact(&mut |_| true).unwrap_err();
    assert_eq!(error.code().as_str(), "COMPACTION_DIFFERS");
    assert_eq!(files(dir.path(), "snapshot"), 0);
    assert_eq!(store.changes(Sequence::new(1)).unwrap().count(), 100, "the journal is whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_before_the_snapshot_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fill(&store, 3000).await;
    compact(&store);
    fill(&store, 5).await;
    let error = store.changes(Sequence::new(1)).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.code().as_str(), "CHANGES_COMPACTED");
    assert!(error.to_string().contains("3000"), "{error}");
    assert_eq!(store.changes(Sequence::new(3001)).unwrap().map(Result::unwrap).count(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_damaged_or_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let model = fill(&store, 3000).await;
    compact(&store);
    drop(store);
    let snapshot = fs::read_dir(dir.path().join("snapshot")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&snapshot).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&snapshot, flipped).unwrap();
    let store = open(dir.path());
    assert_eq!(contents(&store).await, model, "the view is whole");
    assert_eq!(store.check().await.unwrap_err().code().as_str(), "SNAPSHOT_DAMAGED");
    drop(store);
    let view = dir.path().join("view");
    fs::rename(&view, dir.path().join("elsewhere")).unwrap();
    let error = EmbeddedStore::open(dir.path(), options()).unwrap_err();
    assert_eq!(error.code().as_str(), "SNAPSHOT_DAMAGED");
    fs::remove_file(&snapshot).unwrap();
    assert_eq!(EmbeddedStore::open(dir.path(), options()).unwrap_err().code().as_str(), "JOURNAL_DAMAGED");
    fs::write(&snapshot, whole).unwrap();
    assert_eq!(contents(&open(dir.path())).await, model);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_from_before_the_snapshot_is_replaced() {
    let (dir, _) = filled(3000).await;
    let old = tempfile::tempdir().unwrap();
    copy(&dir.path().join("view"), old.path());
    let store = open(dir.path());
    fill(&store, 3100).await;
    compact(&store);
    let model = contents(&store).await;
    drop(store);
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    copy(old.path(), &dir.path().join("view"));
    let store = open(dir.path());
    assert_eq!(store.report().rebuilt.as_ref().unwrap().reason, RebuildReason::Behind { view: 3000, snapshot: 6100 });
    assert_eq!(contents(&store).await, model);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_clean_end_the_view_is_not_read_and_after_any_other_it_is() {
    let (dir, model) = filled(50).await;
    let mark = dir.path().join("view.clean");
    assert!(mark.exists());
    let store = open(dir.path());
    assert!(!mark.exists(), "it vouches for nothing while the store is open");
    let image = tempfile::tempdir().unwrap();
    copy(dir.path(), image.path());
    drop(store);
    assert!(mark.exists());
    // Killed while it was open, and then a row was lost.
    tamper(image.path(), |db| drop(db.remove(rows::row_key(&AREA.store_key(b"last"))).unwrap()));
    let store = open(image.path());
    assert_eq!(store.report().rebuilt.as_ref().unwrap().reason, RebuildReason::RowsDiffer);
    assert_eq!(contents(&store).await, model);
}
