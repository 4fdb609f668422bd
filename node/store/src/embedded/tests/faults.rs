//! Disks that fail, fill up or run out of handles under a running store.

use std::sync::atomic::AtomicBool;

use super::*;

fn set(flag: &Arc<AtomicBool>, value: bool) {
    flag.store(value, Ordering::SeqCst);
}

fn row(number: u32) -> Batch {
    let mut batch = Batch::new();
    batch.put(AREA, number.to_be_bytes(), vec![1; 200]);
    batch
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_nothing_is_acknowledged_reads_go_on_and_health_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = options();
    let device = options.device.clone();
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    store.commit(row(1)).await.unwrap();
    store.health().unwrap();
    set(&device.broken, true);
    let error = store.commit(row(2)).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.outcome_unknown()), ("JOURNAL_STOPPED", true));
    set(&device.broken, false);
    let error = store.commit(row(3)).await.unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_STOPPED", "the page cache is not trusted");
    assert_eq!(store.health().unwrap_err().code().as_str(), "JOURNAL_STOPPED");
    assert_eq!(store.get(AREA, &1_u32.to_be_bytes()).await.unwrap(), Some(vec![1; 200]));
    assert_eq!(store.get(AREA, &2_u32.to_be_bytes()).await.unwrap(), None);
    drop(store);
    let store = open(dir.path());
    assert!(store.get(AREA, &1_u32.to_be_bytes()).await.unwrap().is_some());
    assert!(store.get(AREA, &3_u32.to_be_bytes()).await.unwrap().is_none());
    store.commit(row(4)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_room_is_absent_and_later_ones_work_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = options();
    let device = options.device.clone();
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    store.commit(row(1)).await.unwrap();
    set(&device.short, true);
    for number in 2..5 {
        let error = store.commit(row(number)).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.outcome_unknown()), ("JOURNAL_NO_ROOM", false));
    }
    set(&device.short, false);
    assert_eq!(store.commit(row(5)).await.unwrap(), Sequence::new(2), "no trace of the others");
    drop(store);
    let store = open(dir.path());
    let there: Vec<_> = contents(&store).await.into_keys().collect();
    assert_eq!(there, [1_u32.to_be_bytes(), 5_u32.to_be_bytes()]);
    assert_eq!(store.report().recovered.torn, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_the_disk_refused_is_opened_again_and_no_commit_fails() {
    let (dir, model) = filled(20).await;
    let store = open(dir.path());
    for error in [io::Error::from(io::ErrorKind::StorageFull), io::Error::from_raw_os_error(24)] {
        assert_eq!(store.views.get().refuse(error).code().as_str(), "VIEW_UNWRITABLE");
        // Whoever asks first brings it about.
        let mut refused = 0;
        while store.health().is_err() {
            refused += 1;
            assert!(refused < 10_000, "it stays refused");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(contents(&store).await, model);
    }
    store.commit(row(1_000_000)).await.unwrap();
    store.check().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_protective_commits_use_what_was_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let reserve = 64 * crate::ballast::STEP;
    let disk = Arc::new(Disk(AtomicU64::new(u64::MAX)));
    let options = options().segment_bytes(8192).reserve_bytes(reserve).free_space(disk.clone());
    let device = options.device.clone();
    let store = EmbeddedStore::open(dir.path(), options).unwrap();
    let ballast = || fs::metadata(dir.path().join("ballast")).unwrap().len();
    let whole = ballast();
    assert_eq!(whole, 8 * crate::ballast::STEP);
    store.commit(row(0).protective().clone()).await.unwrap();
    disk.0.store(0, Ordering::SeqCst);
    assert_eq!(store.commit(row(1)).await.unwrap_err().code().as_str(), "DISK_RESERVE");
    store.commit(row(2).protective().clone()).await.unwrap();
    assert!(ballast() < whole, "the engine was helped before it asked");
    // Not even the next journal file can be made; what was prepared ahead is used up, then commits are refused.
    set(&device.full, true);
    let mut accepted = 0;
    let error = loop {
        match store.commit(row(100 + accepted).protective().clone()).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((error.code().as_str(), error.outcome_unknown()), ("JOURNAL_NO_ROOM", false));
    assert!(accepted > 10, "only {accepted}");
    assert_eq!(ballast(), 0, "all of it was given first");
    set(&device.full, false);
    disk.0.store(u64::MAX, Ordering::SeqCst);
    store.commit(row(3)).await.unwrap();
    store.health().unwrap();
    assert_eq!(ballast(), whole, "it grows back");
    assert_eq!(contents(&store).await.len() as u32, accepted + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_at_start_costs_the_ballast_and_never_the_view() {
    let (dir, model) = filled(20).await;
    let view = view_files(dir.path());
    let mut refusing = options();
    refusing.hook = Hook::new(|| Err(io::ErrorKind::StorageFull.into()));
    let error = EmbeddedStore::open(dir.path(), refusing).unwrap_err();
    assert_eq!(error.code().as_str(), "VIEW_UNWRITABLE", "there was no ballast");
    assert_eq!(view_files(dir.path()), view, "it stays where it is");
    let mut helped = options().reserve_bytes(8 * crate::ballast::STEP);
    helped.free_space = Arc::new(Disk(AtomicU64::new(u64::MAX)));
    helped.hook = Hook::new(|| Err(io::ErrorKind::StorageFull.into()));
    let store = EmbeddedStore::open(dir.path(), helped).unwrap();
    assert_eq!(store.report().rebuilt, None);
    assert_eq!(fs::metadata(dir.path().join("ballast")).unwrap().len(), 0);
    assert_eq!(contents(&store).await, model);
}
