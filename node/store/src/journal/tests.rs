use std::sync::atomic::Ordering;

use eads_domain::code::Coded as _;

use super::format::{FRAME_LEN, Frame, HEADER_LEN, Header, genesis, link};
use super::segment::{file_name, list};
use super::*;

const SMALL: usize = 4096;

fn options() -> JournalOptions {
    JournalOptions::new("test").segment_bytes(SMALL)
}

fn open(dir: &Path) -> (Journal, Recovered) {
    Journal::open(dir, options()).unwrap()
}

fn refused(dir: &Path) -> JournalError {
    Journal::open(dir, options()).map(|(_, recovered)| recovered).unwrap_err()
}

async fn fill(dir: &Path, records: std::ops::Range<u8>) -> Head {
    let (journal, _) = open(dir);
    let mut head = journal.head();
    for number in records {
        head = journal.append(vec![number; 20]).await.unwrap();
    }
    head
}

fn payloads(journal: &Journal, from: u64) -> Vec<u8> {
    journal.replay(from).unwrap().map(|record| record.unwrap().payload[0]).collect()
}

fn first_file(dir: &Path) -> PathBuf {
    dir.join(file_name(1))
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// A segment of records with the given (group, payload).
fn craft(dir: &Path, records: &[(u64, &[u8])]) -> Vec<usize> {
    let seed = genesis("test");
    let header = Header { schema: 1, number: 0, first: 1, chain: seed, label: "test".to_owned() };
    let mut bytes = header.encode();
    let (mut chain, mut offsets) = (seed, Vec::new());
    for (sequence, (group, payload)) in (1..).zip(records) {
        offsets.push(bytes.len());
        chain = link(&chain, sequence, payload);
        Frame { sequence, group: *group, chain, payload }.encode(&seed, &mut bytes);
    }
    bytes.resize(SMALL, 0);
    fs::write(first_file(dir), bytes).unwrap();
    offsets
}

#[tokio::test]
async fn records_come_back_in_order_with_the_same_chain() {
    let dir = tempfile::tempdir().unwrap();
    let head = fill(dir.path(), 0..5).await;
    assert_eq!(head.sequence, 5);
    let (journal, recovered) = open(dir.path());
    assert_eq!((recovered.sequence, recovered.chain, recovered.torn), (5, head.chain, None));
    assert_eq!(payloads(&journal, 1), [0, 1, 2, 3, 4]);
    assert_eq!(payloads(&journal, 4), [3, 4]);
    assert_eq!(payloads(&journal, 6), [] as [u8; 0]);
    assert_eq!(journal.verify().unwrap(), Verified { records: 5, head });
    let next = journal.append(Vec::new()).await.unwrap();
    assert_eq!(next, Head { sequence: 6, chain: link(&head.chain, 6, &[]) });
}

#[tokio::test]
async fn segments_roll_over_and_a_large_record_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for number in 0..120 {
        journal.append(vec![number; 100]).await.unwrap();
    }
    let large = journal.append(vec![200; 3 * SMALL]).await.unwrap();
    let head = journal.append(vec![201; 10]).await.unwrap();
    assert_eq!(journal.verify().unwrap(), Verified { records: 122, head });
    for from in [1, 2, 24, 25, 26, 60, 121, 122] {
        let read = payloads(&journal, from);
        assert_eq!(read.len() as u64, 123 - from, "from {from}");
    }
    drop(journal);
    let files = list(dir.path()).unwrap();
    assert!(files.len() > 5, "{files:?}");
    assert!(files.iter().any(|(first, _)| *first == large.sequence));
    let (journal, recovered) = open(dir.path());
    assert_eq!((recovered.sequence, recovered.segments), (122, files.len()));
    assert_eq!(payloads(&journal, 119), [118, 119, 200, 201]);
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_and_nothing_else() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), 0..3).await;
    let whole = fs::read(first_file(source.path())).unwrap();
    let record = FRAME_LEN + 20;
    let start = HEADER_LEN + 2 * record;
    for kept in 0..record {
        let dir = tempfile::tempdir().unwrap();
        let path = first_file(dir.path());
        let mut torn = whole.clone();
        // Half the time the file ends there, half the time zeros follow.
        if kept % 2 == 0 {
            torn.truncate(start + kept);
        } else {
            torn[start + kept..].fill(0);
        }
        fs::write(&path, torn).unwrap();
        let (journal, recovered) = open(dir.path());
        assert_eq!(recovered.sequence, 2, "kept {kept}");
        let tail = recovered.torn.map(|tail| (tail.file, tail.offset));
        assert_eq!(tail, (kept > 0).then(|| (path.clone(), start as u64)), "kept {kept}");
        journal.append(vec![9; 5]).await.unwrap();
        assert_eq!(payloads(&journal, 1), [0, 1, 9]);
        drop(journal);
        assert_eq!(open(dir.path()).1.torn, None, "the cut is durable");
    }
}

#[tokio::test]
async fn a_group_that_reached_the_device_in_part_is_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    // Records 2 to 5 share one sync, and the third of them never arrived while the fourth did.
    let offsets = craft(dir.path(), &[(1, b"a"), (2, b"b"), (2, b"c"), (2, b"d"), (2, b"e")]);
    edit(&first_file(dir.path()), |bytes| bytes[offsets[3]..offsets[4]].fill(0));
    let (journal, recovered) = open(dir.path());
    assert_eq!(recovered.sequence, 3, "what is whole before the tear is kept");
    assert_eq!(recovered.torn.unwrap().offset, offsets[3] as u64);
    assert_eq!(payloads(&journal, 1), *b"abc");
    drop(journal);
    assert_eq!(open(dir.path()).1.torn, None);
}

#[tokio::test]
async fn a_hole_before_an_acknowledged_record_is_refused_and_left_alone() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), 0..3).await;
    let whole = fs::read(first_file(source.path())).unwrap();
    for record in 0..2 {
        let start = HEADER_LEN + record * (FRAME_LEN + 20);
        for at in (0..FRAME_LEN + 20).step_by(3) {
            let dir = tempfile::tempdir().unwrap();
            let path = first_file(dir.path());
            fs::write(&path, &whole).unwrap();
            edit(&path, |bytes| bytes[start + at] ^= 0x40);
            let before = fs::read(&path).unwrap();
            let error = refused(dir.path());
            let JournalError::Damaged { file, offset, .. } = &error else { panic!("{error}") };
            assert_eq!((file, *offset), (&path, start as u64), "record {record}, byte {at}");
            assert_eq!(error.code().as_str(), "JOURNAL_DAMAGED");
            assert!(error.to_string().contains("restore the journal"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), before, "a refused journal is not touched");
        }
    }
}

#[tokio::test]
async fn a_record_that_is_whole_but_does_not_belong_is_refused_even_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let offsets = craft(dir.path(), &[(1, b"a"), (2, b"b")]);
    edit(&first_file(dir.path()), |bytes| {
        let seed = genesis("test");
        let mut forged = Vec::new();
        Frame { sequence: 2, group: 2, chain: link(&seed, 2, b"x"), payload: b"x" }.encode(&seed, &mut forged);
        bytes[offsets[1]..offsets[1] + forged.len()].copy_from_slice(&forged);
    });
    let JournalError::Damaged { offset, reason, .. } = refused(dir.path()) else { panic!("opened") };
    assert_eq!(offset, offsets[1] as u64);
    assert!(reason.contains("chain"), "{reason}");
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), 0..200).await;
    let files = list(source.path()).unwrap();
    assert!(files.len() >= 4);
    for missing in 0..files.len() - 1 {
        let dir = tempfile::tempdir().unwrap();
        for (number, (_, path)) in files.iter().enumerate() {
            if number != missing {
                fs::copy(path, dir.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let JournalError::Damaged { file, offset: 0, reason, .. } = refused(dir.path()) else { panic!("opened") };
        assert_eq!(file.file_name(), files[missing].1.file_name());
        assert!(reason.contains("missing"), "{reason}");
    }
}

#[tokio::test]
async fn a_segment_of_another_history_is_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(one.path(), 0..100).await;
    fill(other.path(), 1..101).await;
    let second = list(one.path()).unwrap()[1].1.clone();
    fs::copy(other.path().join(second.file_name().unwrap()), &second).unwrap();
    let JournalError::Damaged { file, reason, .. } = refused(one.path()) else { panic!("opened") };
    assert_eq!(file, second);
    assert!(reason.contains("chain"), "{reason}");
}

#[tokio::test]
async fn zeros_over_the_end_of_an_older_segment_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..100).await;
    let files = list(dir.path()).unwrap();
    let last_record = HEADER_LEN + usize::try_from(files[1].0 - 2).unwrap() * (FRAME_LEN + 20);
    edit(&files[0].1, |bytes| bytes[last_record..].fill(0));
    assert!(matches!(refused(dir.path()), JournalError::Damaged { .. }));
}

#[tokio::test]
async fn newer_formats_newer_schemas_and_foreign_journals_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    Journal::open(dir.path(), options().schema(3)).unwrap().0.append(b"x".as_slice()).await.unwrap();
    let error = refused(dir.path());
    assert!(matches!(error, JournalError::SchemaNewer { found: 3, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("upgrade the node"));
    let foreign = JournalOptions::new("other").schema(3);
    assert!(matches!(Journal::open(dir.path(), foreign), Err(JournalError::WrongLabel { .. })));
    edit(&first_file(dir.path()), |bytes| {
        bytes[11] = 9;
        let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
    });
    let error = refused(dir.path());
    assert!(matches!(error, JournalError::FormatNewer { found: 9, supported: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_newer_program_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), 0..2).await;
    let (journal, _) = Journal::open(dir.path(), options().schema(2)).unwrap();
    journal.append(vec![7]).await.unwrap();
    let schemas: Vec<u32> = journal.replay(1).unwrap().map(|record| record.unwrap().schema).collect();
    assert_eq!(schemas, [1, 1, 2]);
    drop(journal);
    assert!(matches!(refused(dir.path()), JournalError::SchemaNewer { found: 2, .. }));
}

#[tokio::test]
async fn one_directory_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let error = refused(dir.path());
    assert_eq!(error.code().as_str(), "STORE_LOCKED");
    drop(journal);
    open(dir.path());
}

#[tokio::test]
async fn a_failed_sync_stops_the_journal_for_good_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let options = options();
    let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
    journal.append(vec![1]).await.unwrap();
    options.device.broken.store(true, Ordering::SeqCst);
    let error = journal.append(vec![2]).await.unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_STOPPED");
    assert!(error.outcome_unknown());
    options.device.broken.store(false, Ordering::SeqCst);
    let syncs = options.device.syncs.load(Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(journal.append(vec![3]).await.unwrap_err().code().as_str(), "JOURNAL_STOPPED");
    }
    assert_eq!(options.device.syncs.load(Ordering::SeqCst), syncs, "a failed sync is never tried again");
    assert_eq!(journal.head().sequence, 1);
    assert_eq!(payloads(&journal, 1), [1], "reading goes on");
    drop(journal);
    let (journal, _) = open(dir.path());
    assert_eq!(payloads(&journal, 1)[0], 1);
    assert!(!payloads(&journal, 1).contains(&3));
    journal.append(vec![4]).await.unwrap();
}

#[tokio::test]
async fn want_of_room_for_a_segment_passes() {
    let dir = tempfile::tempdir().unwrap();
    let options = options();
    let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
    journal.append(vec![0; 1000]).await.unwrap();
    options.device.full.store(true, Ordering::SeqCst);
    let mut accepted = 1;
    let error = loop {
        match journal.append(vec![1; 1000]).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.code().as_str(), "JOURNAL_NO_ROOM");
    assert!(!error.outcome_unknown());
    options.device.full.store(false, Ordering::SeqCst);
    assert_eq!(journal.append(vec![2; 1000]).await.unwrap().sequence, accepted + 1);
    assert_eq!(journal.verify().unwrap().records, accepted + 1);
}

#[tokio::test]
async fn a_record_above_the_limit_is_the_callers_fault() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let error = journal.append(vec![0; MAX_RECORD + 1]).await.unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_RECORD_TOO_LARGE");
    assert!(journal.append(vec![0; MAX_RECORD]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_share_syncs_and_keep_their_own_order() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new("test");
    let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
    let journal = Arc::new(journal);
    let before = options.device.syncs.load(Ordering::SeqCst);
    let tasks: Vec<_> = (0_u8..64)
        .map(|task| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                for round in 0_u8..10 {
                    journal.append(vec![task, round]).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let syncs = options.device.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs < 400, "640 appends took {syncs} syncs");
    let mut next = [0_u8; 64];
    for record in journal.replay(1).unwrap() {
        let payload = record.unwrap().payload;
        assert_eq!(payload[1], next[usize::from(payload[0])], "a task's appends are in its order");
        next[usize::from(payload[0])] += 1;
    }
    assert_eq!(next, [10; 64]);
}

#[tokio::test]
async fn a_check_finds_what_changed_underneath_a_running_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    for number in 0..3 {
        journal.append(vec![number; 20]).await.unwrap();
    }
    edit(&first_file(dir.path()), |bytes| bytes[HEADER_LEN + FRAME_LEN + 3] ^= 1);
    let JournalError::Damaged { offset, .. } = journal.verify().unwrap_err() else { panic!("verified") };
    assert_eq!(offset, HEADER_LEN as u64);
    let mut replay = journal.replay(1).unwrap();
    assert!(replay.next().unwrap().is_err());
    assert!(replay.next().is_none(), "a replay ends at its first error");
}

#[tokio::test]
async fn arbitrary_bytes_in_place_of_a_segment_never_panic() {
    use proptest::prelude::*;
    let source = tempfile::tempdir().unwrap();
    fill(source.path(), 0..4).await;
    let whole = fs::read(first_file(source.path())).unwrap();
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(edits in proptest::collection::vec((0..700_usize, any::<u8>()), 1..20), length in 0..SMALL)| {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        for (at, byte) in edits {
            bytes[at] = byte;
        }
        bytes.truncate(length);
        fs::write(first_file(dir.path()), bytes).unwrap();
        if let Ok((journal, recovered)) = Journal::open(dir.path(), options()) {
            prop_assert_eq!(journal.verify().unwrap().records, recovered.sequence);
        }
    });
}
