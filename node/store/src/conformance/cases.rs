//! The cases of the suite. Each gets a fresh, empty store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a conformance suite is test code")]

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Subject;
use crate::error::StoreError;
use crate::port::{Area, Batch, MAX_KEY, MAX_OPERATIONS, MAX_VALUE, Row, Scan, Sequence, Store};

const A: Area = Area::new(200, 1, "conformance-a");
const A2: Area = Area::new(200, 2, "conformance-a");
const B: Area = Area::new(201, 1, "conformance-b");
/// The last area there can be: nothing sorts after its keys.
const LAST: Area = Area::new(255, 255, "conformance-last");

async fn put(store: &dyn Store, area: Area, rows: &[(&[u8], &[u8])]) -> Sequence {
    let mut last = Sequence::default();
    for chunk in rows.chunks(MAX_OPERATIONS) {
        let mut batch = Batch::new();
        for (key, value) in chunk {
            batch.put(area, *key, *value);
        }
        last = store.commit(batch).await.expect("a commit within the limits succeeds");
    }
    last
}

async fn get(store: &dyn Store, area: Area, key: &[u8]) -> Option<Vec<u8>> {
    store.get(area, key).await.expect("a get succeeds")
}

async fn keys(store: &dyn Store, scan: Scan) -> Vec<Vec<u8>> {
    rows(store, scan).await.into_iter().map(|(key, _)| key).collect()
}

async fn rows(store: &dyn Store, scan: Scan) -> Vec<Row> {
    store.scan(scan).await.expect("a scan succeeds")
}

pub(super) async fn a_key_that_was_never_set_is_absent(subject: Subject) {
    assert_eq!(get(&*subject.store, A, b"k").await, None);
    assert!(rows(&*subject.store, Scan::new(A, 10)).await.is_empty());
    let mut batch = Batch::new();
    batch.delete(A, b"k");
    subject.store.commit(batch).await.expect("deleting what is not there is no error");
    subject.store.commit(Batch::new()).await.expect("an empty batch is no error");
}

pub(super) async fn a_committed_row_is_visible_at_once(subject: Subject) {
    let store = &*subject.store;
    for round in 0_u32..50 {
        let value = round.to_be_bytes();
        put(store, A, &[(b"k", &value)]).await;
        assert_eq!(get(store, A, b"k").await.as_deref(), Some(&value[..]), "get sees an earlier commit");
        assert_eq!(rows(store, Scan::new(A, 9)).await, [(b"k".to_vec(), value.to_vec())], "scan does too");
    }
    let mut batch = Batch::new();
    batch.delete(A, b"k");
    store.commit(batch).await.unwrap();
    assert_eq!(get(store, A, b"k").await, None, "a deleted row is gone at once");
    assert!(rows(store, Scan::new(A, 9)).await.is_empty());
}

pub(super) async fn many_keys_are_read_in_their_order(subject: Subject) {
    let store = &*subject.store;
    put(store, A, &[(b"1", b"one"), (b"2", b"two")]).await;
    put(store, B, &[(b"3", b"of another area")]).await;
    let keys = [b"2".to_vec(), b"3".to_vec(), b"1".to_vec(), b"2".to_vec()];
    let found =
        store.get_many(keys.iter().map(|key| (A, key.clone())).collect()).await.expect("a get of many succeeds");
    assert_eq!(found, [Some(b"two".to_vec()), None, Some(b"one".to_vec()), Some(b"two".to_vec())]);
    assert_eq!(store.get_many(Vec::new()).await.expect("none is no error"), Vec::<Option<Vec<u8>>>::new());
}

pub(super) async fn batches_that_are_committed_together_happen_in_their_order(subject: Subject) {
    let store = subject.store;
    store.commit_all(Vec::new()).await.expect("none is no error");
    let count = 40_u8;
    let batches = (0..count).map(|number| {
        let mut batch = Batch::new();
        for place in 0..MAX_OPERATIONS - 1 {
            batch.put(A, vec![number, u8::try_from(place).unwrap()], vec![number; 300]);
        }
        batch.put(B, b"last", [number]);
        if number % 7 == 0 {
            batch.protective();
        }
        batch
    });
    store.commit_all(batches.collect()).await.expect("batches are committed");
    assert_eq!(get(&*store, B, b"last").await, Some(vec![count - 1]));
    let expected = usize::from(count) * (MAX_OPERATIONS - 1);
    assert_eq!(rows(&*store, Scan::new(A, 10_000)).await.len(), expected);
    let mut bad = Batch::new();
    bad.put(B, vec![0; MAX_KEY + 1], b"");
    let mut good = Batch::new();
    good.put(B, b"last", b"after the bad one");
    assert!(store.commit_all(vec![bad, good]).await.is_err());
    assert_eq!(get(&*store, B, b"last").await, Some(vec![count - 1]), "nothing happens behind a batch that fails");
    drop(store);
    let store = (subject.reopen)().await;
    assert_eq!(get(&*store, B, b"last").await, Some(vec![count - 1]));
    assert_eq!(rows(&*store, Scan::new(A, 10_000)).await.len(), expected);
}

pub(super) async fn empty_keys_and_values_are_rows(subject: Subject) {
    let store = &*subject.store;
    put(store, A, &[(b"", b""), (b"\0", b"x")]).await;
    assert_eq!(get(store, A, b"").await, Some(Vec::new()));
    assert_eq!(keys(store, Scan::new(A, 9)).await, [b"".to_vec(), b"\0".to_vec()]);
    assert_eq!(keys(store, Scan::new(A, 9).after(b"")).await, [b"\0".to_vec()]);
    assert!(keys(store, Scan::new(A, 9).after(b"").reverse()).await.is_empty());
}

pub(super) async fn the_last_operation_on_a_key_wins(subject: Subject) {
    let store = &*subject.store;
    let mut batch = Batch::new();
    batch.put(A, b"kept", b"1").delete(A, b"kept").put(A, b"kept", b"2");
    batch.put(A, b"gone", b"1").put(A, b"gone", b"2").delete(A, b"gone");
    store.commit(batch).await.unwrap();
    assert_eq!(get(store, A, b"kept").await, Some(b"2".to_vec()));
    assert_eq!(get(store, A, b"gone").await, None);
}

pub(super) async fn areas_and_versions_are_apart(subject: Subject) {
    let store = &*subject.store;
    for (area, value) in [(A, b"a1"), (A2, b"a2"), (B, b"b1"), (LAST, b"l1")] {
        put(store, area, &[(b"k", value), (b"\xff\xff", value)]).await;
    }
    for (area, value) in [(A, b"a1"), (A2, b"a2"), (B, b"b1"), (LAST, b"l1")] {
        assert_eq!(get(store, area, b"k").await, Some(value.to_vec()), "areas do not see each other");
        let all = [(b"k".to_vec(), value.to_vec()), (b"\xff\xff".to_vec(), value.to_vec())];
        assert_eq!(rows(store, Scan::new(area, 9)).await, all, "a scan stays in its area");
        assert_eq!(rows(store, Scan::new(area, 9).reverse()).await, all.into_iter().rev().collect::<Vec<_>>());
        assert_eq!(keys(store, Scan::new(area, 9).prefix(b"\xff")).await, [b"\xff\xff".to_vec()]);
    }
    let mut batch = Batch::new();
    batch.delete(A, b"k");
    store.commit(batch).await.unwrap();
    assert_eq!(get(store, A2, b"k").await, Some(b"a2".to_vec()), "deleting in one version leaves the other");
}

pub(super) async fn scans_are_in_byte_order(subject: Subject) {
    let store = &*subject.store;
    let expected: [&[u8]; 7] = [b"", b"\0", b"\0\0", b"a", b"a\0", b"b", b"\xff"];
    let shuffled: [&[u8]; 7] = [b"b", b"a\0", b"\xff", b"", b"\0\0", b"a", b"\0"];
    for key in shuffled {
        put(store, A, &[(key, key)]).await;
    }
    let forward = keys(store, Scan::new(A, 99)).await;
    assert_eq!(forward, expected.map(<[u8]>::to_vec));
    let mut backward = keys(store, Scan::new(A, 99).reverse()).await;
    backward.reverse();
    assert_eq!(forward, backward, "the reverse scan is the forward scan reversed");
}

pub(super) async fn prefixes_and_exclusive_bounds_hold_in_both_directions(subject: Subject) {
    let store = &*subject.store;
    put(store, A, &[(b"a", b""), (b"b", b""), (b"ba", b""), (b"bb", b""), (b"b\xff", b""), (b"c", b"")]).await;
    let scan = |prefix: &[u8], after: Option<&[u8]>, reverse: bool, limit: usize| {
        let scan = Scan { area: A, prefix: prefix.to_vec(), after: after.map(<[u8]>::to_vec), reverse, limit };
        async move {
            let found = keys(store, scan).await;
            found.iter().map(|key| key.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
        }
    };
    assert_eq!(scan(b"b", None, false, 9).await, r"b ba bb b\xff");
    assert_eq!(scan(b"b", None, true, 9).await, r"b\xff bb ba b");
    assert_eq!(scan(b"b", None, false, 2).await, "b ba");
    assert_eq!(scan(b"b", None, true, 2).await, r"b\xff bb");
    assert_eq!(scan(b"b", None, false, 0).await, "");
    assert_eq!(scan(b"b", Some(b"b"), false, 9).await, r"ba bb b\xff", "after is exclusive");
    assert_eq!(scan(b"b", Some(b"bb"), true, 9).await, "ba b", "in reverse too");
    assert_eq!(scan(b"b", Some(b"b0"), false, 9).await, r"ba bb b\xff", "after need not exist");
    assert_eq!(scan(b"b", Some(b"a"), false, 9).await, r"b ba bb b\xff", "nor carry the prefix");
    assert_eq!(scan(b"b", Some(b"c"), false, 9).await, "");
    assert_eq!(scan(b"b", Some(b"c"), true, 9).await, r"b\xff bb ba b");
    assert_eq!(scan(b"b", Some(b"a"), true, 9).await, "");
    assert_eq!(scan(b"b", Some(b"b"), true, 9).await, "");
    assert_eq!(scan(b"x", None, false, 9).await, "");
}

pub(super) async fn paging_meets_every_row_once(subject: Subject) {
    let store = &*subject.store;
    let numbers: Vec<[u8; 2]> = (0_u16..250).map(u16::to_be_bytes).collect();
    let all: Vec<(&[u8], &[u8])> = numbers.iter().map(|n| (&n[..], &b"v"[..])).collect();
    put(store, B, &all).await;
    for reverse in [false, true] {
        for size in [1, 7, 64, 250, 251] {
            let mut met: Vec<Vec<u8>> = Vec::new();
            loop {
                let scan = Scan { area: B, prefix: Vec::new(), after: met.last().cloned(), reverse, limit: size };
                let page = keys(store, scan).await;
                let ended = page.len() < size;
                met.extend(page);
                if ended {
                    break;
                }
            }
            if reverse {
                met.reverse();
            }
            assert!(met.iter().map(Vec::as_slice).eq(numbers.iter().map(<[u8; 2]>::as_slice)), "page size {size}");
        }
    }
}

pub(super) async fn scans_agree_with_a_model(subject: Subject) {
    let store = &*subject.store;
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    // A small alphabet makes many prefixes, neighbours and bounds; a fixed stream makes a failure repeatable.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let alphabet = [0_u8, 1, 0x7f, 0xfe, 0xff];
    for round in 0_u32..60 {
        let mut batch = Batch::new();
        for _ in 0..next(8) {
            let key = letters(&alphabet, &mut next);
            if next(4) == 0 {
                model.remove(&key);
                batch.delete(A, key);
            } else {
                let value = round.to_be_bytes().to_vec();
                model.insert(key.clone(), value.clone());
                batch.put(A, key, value);
            }
        }
        store.commit(batch).await.unwrap();
        for _ in 0..8 {
            let scan = Scan {
                area: A,
                prefix: letters(&alphabet, &mut next),
                after: (next(2) == 0).then(|| letters(&alphabet, &mut next)),
                reverse: next(2) == 0,
                limit: usize::try_from(next(20)).unwrap(),
            };
            assert_eq!(rows(store, scan.clone()).await, answer(&model, &scan), "{scan:?}");
        }
    }
}

fn letters(alphabet: &[u8], next: &mut impl FnMut(u64) -> u64) -> Vec<u8> {
    (0..next(4)).map(|_| alphabet[usize::try_from(next(alphabet.len() as u64)).unwrap()]).collect()
}

fn answer(model: &BTreeMap<Vec<u8>, Vec<u8>>, scan: &Scan) -> Vec<Row> {
    let mut all: Vec<Row> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    if scan.reverse {
        all.reverse();
    }
    let behind = |key: &[u8]| match &scan.after {
        Some(after) if scan.reverse => key < after.as_slice(),
        Some(after) => key > after.as_slice(),
        None => true,
    };
    all.retain(|(key, _)| key.starts_with(&scan.prefix) && behind(key));
    all.truncate(scan.limit);
    all
}

pub(super) async fn limits_are_refused_and_leave_nothing(subject: Subject) {
    let store = &*subject.store;
    let mut batch = Batch::new();
    for number in 0..=MAX_OPERATIONS {
        batch.put(A, number.to_be_bytes(), b"v");
    }
    assert!(matches!(store.commit(batch).await, Err(StoreError::BatchTooLarge { .. })));
    let mut batch = Batch::new();
    batch.put(A, b"first", b"v").put(A, vec![0; MAX_KEY + 1], b"v");
    assert!(matches!(store.commit(batch).await, Err(StoreError::KeyTooLarge { .. })));
    let mut batch = Batch::new();
    batch.put(A, b"first", b"v").put(A, b"second", vec![0; MAX_VALUE + 1]);
    assert!(matches!(store.commit(batch).await, Err(StoreError::ValueTooLarge { .. })));
    assert!(rows(store, Scan::new(A, 99)).await.is_empty(), "a refused batch leaves nothing");

    let mut batch = Batch::new();
    for number in 0..MAX_OPERATIONS {
        let mut key = vec![7; MAX_KEY];
        key[0] = u8::try_from(number).unwrap();
        batch.put(A, key, vec![9; MAX_VALUE]);
    }
    store.commit(batch).await.expect("the largest batch is accepted");
    let all = rows(store, Scan::new(A, 99)).await;
    assert_eq!(all.len(), MAX_OPERATIONS);
    assert!(all.iter().all(|(key, value)| key.len() == MAX_KEY && value.len() == MAX_VALUE));
}

pub(super) async fn a_batch_is_seen_whole_or_not_at_all(subject: Subject) {
    let store = Arc::clone(&subject.store);
    let writer = tokio::spawn(async move {
        for round in 0_u32..100 {
            let mut batch = Batch::new();
            for key in 0_u8..8 {
                batch.put(A, [key], round.to_be_bytes());
            }
            store.commit(batch).await.expect("a commit succeeds");
            tokio::task::yield_now().await;
        }
    });
    // A scan is no snapshot, but one key read after another can only ever be newer if the second was written no
    // earlier than the first: a batch that showed piecemeal would break this.
    let number = |value: Option<Vec<u8>>| value.map(|v| u32::from_be_bytes(v.try_into().unwrap()));
    while !writer.is_finished() {
        tokio::task::yield_now().await;
        let first = number(get(&*subject.store, A, &[7]).await);
        let second = number(get(&*subject.store, A, &[0]).await);
        assert!(second >= first, "one batch was seen in part: {first:?} then {second:?}");
        let first = number(get(&*subject.store, A, &[0]).await);
        let second = number(get(&*subject.store, A, &[7]).await);
        assert!(second >= first, "one batch was seen in part: {first:?} then {second:?}");
    }
    writer.await.unwrap();
}

pub(super) async fn sequences_grow(subject: Subject) {
    let mut before = Sequence::default();
    for _ in 0..5 {
        let now = put(&*subject.store, A, &[(b"k", b"v")]).await;
        assert!(now > before, "each commit comes after the one before");
        before = now;
    }
}

pub(super) async fn sixteen_committers_lose_nothing(subject: Subject) {
    let tasks: Vec<_> = (0_u8..16)
        .map(|task| {
            let store = Arc::clone(&subject.store);
            tokio::spawn(async move {
                let mut given = Vec::new();
                for round in 0_u8..25 {
                    given.push(put(&*store, A, &[(&[task, round], &[round])]).await);
                    assert_eq!(get(&*store, A, &[task, round]).await, Some(vec![round]), "own write is visible");
                }
                assert!(given.is_sorted(), "one committer's commits are in its order");
                given
            })
        })
        .collect();
    let mut given = Vec::new();
    for task in tasks {
        given.extend(task.await.unwrap());
    }
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 16 * 25, "each commit has its own sequence");
    assert_eq!(rows(&*subject.store, Scan::new(A, 999)).await.len(), 16 * 25);
}

pub(super) async fn committed_rows_survive_reopening(subject: Subject) {
    let Subject { store, reopen } = subject;
    let mut model = BTreeMap::new();
    let mut last = Sequence::default();
    for round in 0_u8..40 {
        let mut batch = Batch::new();
        batch.put(A, [round], [round; 3]).put(B, [round % 5], [round]).delete(A, [round / 2]);
        last = store.commit(batch).await.unwrap();
        model.insert(vec![round], vec![round; 3]);
        model.remove(&vec![round / 2]);
    }
    drop(store);
    let store = reopen().await;
    assert_eq!(rows(&*store, Scan::new(A, 99)).await, model.into_iter().collect::<Vec<_>>());
    let b = (0_u8..5).map(|n| (vec![n], vec![35 + n])).collect::<Vec<_>>();
    assert_eq!(rows(&*store, Scan::new(B, 99)).await, b);
    assert!(put(&*store, A, &[(b"new", b"v")]).await > last, "sequences go on after reopening");
}
