use std::sync::Arc;

use eads_domain::code::Coded as _;
use eads_domain::entropy::SystemEntropy;
use tempfile::TempDir;

use super::*;
use crate::keys::{KdfCost, Passphrase};
use crate::memory::MemoryStore;
use crate::port::Scan;

const NOTICES: Area = Area::new(1, 1, "notices");
const NOTICES_2: Area = Area::new(1, 2, "notices");
const RECORDS: Area = Area::new(2, 1, "records");

struct House {
    vault: Vault,
    _dir: TempDir,
}

fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = Passphrase::new("a passphrase for tests").unwrap();
    let keys = KeyTree::create_with_cost(dir.path(), &passphrase, KdfCost::TESTS, Arc::new(SystemEntropy)).unwrap();
    House { vault: Vault::new(Arc::new(MemoryStore::new()), Arc::new(keys)), _dir: dir }
}

impl House {
    async fn put(&self, area: Area, key: &[u8], plaintext: &[u8]) -> KeySlot {
        let slot = self.vault.keys().allocate().unwrap();
        let mut batch = Batch::new();
        self.vault.put(&mut batch, area, key, slot, 7, plaintext).unwrap();
        self.commit(batch).await;
        slot
    }

    async fn replace(&self, area: Area, key: &[u8], plaintext: &[u8]) {
        let slot = self.vault.keys().allocate().unwrap();
        let mut batch = Batch::new();
        self.vault.replace(&mut batch, area, key, slot, 7, plaintext).await.unwrap();
        assert!(batch.len() <= MAX_PARTS);
        self.commit(batch).await;
    }

    async fn commit(&self, batch: Batch) {
        self.vault.store().commit(batch).await.unwrap();
    }

    async fn row(&self, area: Area, key: &[u8]) -> Vec<u8> {
        self.vault.store().get(area, key).await.unwrap().unwrap()
    }

    /// Puts a row where the vault did not.
    async fn plant(&self, area: Area, key: &[u8], row: Vec<u8>) {
        let mut batch = Batch::new();
        batch.put(area, key, row);
        self.commit(batch).await;
    }

    async fn refusal(&self, area: Area, key: &[u8]) -> &'static str {
        self.vault.get(area, key).await.unwrap_err().code().as_str()
    }

    async fn parts_left(&self) -> usize {
        self.vault.store().scan(Scan::new(PARTS, 1_000)).await.unwrap().len()
    }
}

fn plain(bytes: &[u8]) -> Option<Sealed> {
    Some(Sealed::Plain { schema: 7, bytes: Zeroizing::new(bytes.to_vec()) })
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[tokio::test]
async fn values_of_every_length_come_back_and_scans_give_one_row_each() {
    let house = house();
    let lengths = [0, 1, 3_999, 4_000, 4_001, 8_000, 20_000, MAX_VALUE_BYTES];
    for length in lengths {
        let key = (length as u32).to_be_bytes();
        house.put(NOTICES, &key, &pattern(length)).await;
        assert_eq!(house.vault.get(NOTICES, &key).await.unwrap(), plain(&pattern(length)));
    }
    let rows = house.vault.store().scan(Scan::new(NOTICES, 100)).await.unwrap();
    assert_eq!(rows.len(), lengths.len());
    for (key, row) in rows {
        let length = u32::from_be_bytes(key.as_slice().try_into().unwrap()) as usize;
        assert_eq!(house.vault.open_row(NOTICES, &key, &row).await.unwrap(), plain(&pattern(length)));
    }
    assert_eq!(house.vault.get(NOTICES, b"none").await.unwrap(), None);
}

#[tokio::test]
async fn a_value_that_is_too_long_leaves_the_batch_as_it_was() {
    let house = house();
    let slot = house.vault.keys().allocate().unwrap();
    let mut batch = Batch::new();
    for length in [MAX_VALUE_BYTES + 1, PART_BYTES * 300] {
        let error = house.vault.put(&mut batch, NOTICES, b"k", slot, 7, &vec![0; length]).unwrap_err();
        assert_eq!(error.code().as_str(), "SEALED_VALUE_TOO_LONG");
    }
    assert!(batch.is_empty());
    assert_eq!((parts_needed(0), parts_needed(4_000), parts_needed(4_001)), (1, 1, 2));
}

#[tokio::test]
async fn nothing_of_a_value_stands_in_the_clear() {
    let house = house();
    let value = b"a sentence that would be found".repeat(300);
    house.put(NOTICES, b"k", &value).await;
    let mut rows = house.vault.store().scan(Scan::new(PARTS, 100)).await.unwrap();
    rows.extend(house.vault.store().scan(Scan::new(NOTICES, 100)).await.unwrap());
    assert_eq!(rows.len(), parts_needed(value.len()));
    assert!(rows.iter().all(|(_, row)| !row.windows(8).any(|window| window == b"sentence")));
    assert!(!format!("{:?}", house.vault.get(NOTICES, b"k").await).contains("115"));
}

#[tokio::test]
async fn a_row_that_was_moved_is_damaged() {
    let house = house();
    house.put(NOTICES, b"k", b"a value").await;
    let row = house.row(NOTICES, b"k").await;
    for (area, key) in [(NOTICES, b"other".as_slice()), (NOTICES_2, b"k"), (RECORDS, b"k")] {
        house.plant(area, key, row.clone()).await;
        assert_eq!(house.refusal(area, key).await, "SEALED_VALUE_DAMAGED");
    }
    assert_eq!(house.vault.get(NOTICES, b"k").await.unwrap(), plain(b"a value"));
}

#[tokio::test]
async fn a_row_with_any_changed_or_missing_byte_is_an_error_and_never_another_value() {
    let house = house();
    house.put(NOTICES, b"k", b"a value").await;
    let row = house.row(NOTICES, b"k").await;
    for position in 0..row.len() {
        let mut flipped = row.clone();
        flipped[position] ^= 1;
        house.plant(NOTICES, b"k", flipped).await;
        let refusal = house.refusal(NOTICES, b"k").await;
        assert!(["SEALED_VALUE_DAMAGED", "KEY_UNKNOWN"].contains(&refusal), "{refusal} at {position}");
        house.plant(NOTICES, b"k", row[..position].to_vec()).await;
        assert_eq!(house.refusal(NOTICES, b"k").await, "SEALED_VALUE_DAMAGED");
    }
}

#[tokio::test]
async fn parts_cannot_be_dropped_swapped_or_taken_from_an_earlier_value() {
    let house = house();
    let slot = house.vault.keys().allocate().unwrap();
    let write = async |fill: u8| {
        let mut batch = Batch::new();
        house.vault.put(&mut batch, NOTICES, b"k", slot, 7, &vec![fill; 10_000]).unwrap();
        house.commit(batch).await;
    };
    write(1).await;
    let key = |part| row::part_key(NOTICES, b"k", part);
    let earlier = house.row(PARTS, &key(1)).await;
    write(2).await;
    let (first, second) = (house.row(PARTS, &key(1)).await, house.row(PARTS, &key(2)).await);

    house.plant(PARTS, &key(1), earlier).await;
    assert_eq!(house.refusal(NOTICES, b"k").await, "SEALED_VALUE_DAMAGED");
    house.plant(PARTS, &key(1), second.clone()).await;
    house.plant(PARTS, &key(2), first.clone()).await;
    assert_eq!(house.refusal(NOTICES, b"k").await, "SEALED_VALUE_DAMAGED");
    house.plant(PARTS, &key(1), first).await;
    let mut batch = Batch::new();
    batch.delete(PARTS, key(2));
    house.commit(batch).await;
    assert_eq!(house.refusal(NOTICES, b"k").await, "SEALED_VALUE_DAMAGED");
    house.plant(PARTS, &key(2), second).await;
    assert_eq!(house.vault.get(NOTICES, b"k").await.unwrap(), plain(&[2; 10_000]));
}

#[tokio::test]
async fn a_value_whose_key_was_destroyed_reads_as_destroyed() {
    let house = house();
    let gone = house.put(NOTICES, b"gone", &pattern(9_000)).await;
    house.put(NOTICES, b"kept", &pattern(9_000)).await;
    let row = house.row(NOTICES, b"gone").await;
    assert_eq!(house.vault.slot_of(NOTICES, &row).unwrap(), gone);

    house.vault.keys().destroy(&[gone]).unwrap();

    assert_eq!(house.vault.get(NOTICES, b"gone").await.unwrap(), Some(Sealed::Destroyed));
    assert_eq!(house.vault.open_row(NOTICES, b"gone", &row).await.unwrap(), Some(Sealed::Destroyed));
    assert_eq!(house.vault.get(NOTICES, b"kept").await.unwrap(), plain(&pattern(9_000)));
    let mut batch = Batch::new();
    let refused = house.vault.put(&mut batch, NOTICES, b"gone", gone, 7, b"again").unwrap_err();
    assert_eq!((refused.code().as_str(), batch.len()), ("KEY_DESTROYED", 0));
}

#[tokio::test]
async fn replacing_and_deleting_leave_no_part_behind() {
    let house = house();
    for length in [MAX_VALUE_BYTES, 9_000, 50_000, 10, MAX_VALUE_BYTES] {
        house.replace(NOTICES, b"k", &pattern(length)).await;
        assert_eq!(house.vault.get(NOTICES, b"k").await.unwrap(), plain(&pattern(length)));
        assert_eq!(house.parts_left().await, parts_needed(length) - 1);
    }
    house.put(NOTICES, b"kk", &pattern(9_000)).await;
    for key in [b"k".as_slice(), b"absent"] {
        let mut batch = Batch::new();
        house.vault.delete(&mut batch, NOTICES, key).await.unwrap();
        house.commit(batch).await;
    }
    assert_eq!(house.vault.get(NOTICES, b"k").await.unwrap(), None);
    assert_eq!(house.parts_left().await, 2, "the neighbour keeps its parts");
    assert_eq!(house.vault.get(NOTICES, b"kk").await.unwrap(), plain(&pattern(9_000)));
}

#[tokio::test]
async fn a_long_row_from_an_old_scan_gives_the_present_value() {
    let house = house();
    house.replace(NOTICES, b"k", &pattern(9_000)).await;
    let old = house.row(NOTICES, b"k").await;
    house.replace(NOTICES, b"k", &pattern(12_345)).await;
    assert_eq!(house.vault.open_row(NOTICES, b"k", &old).await.unwrap(), plain(&pattern(12_345)));
    let mut batch = Batch::new();
    house.vault.delete(&mut batch, NOTICES, b"k").await.unwrap();
    house.commit(batch).await;
    assert_eq!(house.vault.open_row(NOTICES, b"k", &old).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_long_value_never_see_a_mixture() {
    let house = Arc::new(house());
    house.replace(NOTICES, b"k", &[0; 9_000]).await;
    let reader = {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            for _ in 0..60 {
                match house.vault.get(NOTICES, b"k").await {
                    Ok(Some(Sealed::Plain { bytes, .. })) => assert!(bytes.windows(2).all(|pair| pair[0] == pair[1])),
                    Err(VaultError::Contended { .. }) => {}
                    other => panic!("{other:?}"),
                }
            }
        })
    };
    for fill in 1..60 {
        house.replace(NOTICES, b"k", &vec![fill; 9_000 + usize::from(fill)]).await;
    }
    reader.await.unwrap();
}

#[tokio::test]
async fn the_longest_keys_of_long_values_fit_the_store() {
    let house = house();
    house.put(NOTICES, &[b'k'; MAX_PARTED_KEY_BYTES], &pattern(9_000)).await;
    let slot = house.vault.keys().allocate().unwrap();
    let mut batch = Batch::new();
    house.vault.put(&mut batch, NOTICES, &[b'k'; MAX_PARTED_KEY_BYTES + 1], slot, 7, &pattern(9_000)).unwrap();
    assert_eq!(house.vault.store().commit(batch).await.unwrap_err().code().as_str(), "STORE_KEY_TOO_LARGE");
}

#[tokio::test]
async fn many_values_are_read_at_once_and_written_over_without_leftovers() {
    let house = house();
    let long = vec![7; 3 * PART_BYTES];
    let first = house.put(RECORDS, b"long", &long).await;
    house.put(RECORDS, b"short", b"short").await;
    let keys = [b"short".to_vec(), b"none".to_vec(), b"long".to_vec()];
    let found = house.vault.get_many(RECORDS, &keys).await.unwrap();
    let plain = |held: &Option<Held>| match held.as_ref().map(|held| &held.value) {
        Some(Sealed::Plain { bytes, .. }) => Some(bytes.to_vec()),
        _ => None,
    };
    assert_eq!(found.iter().map(plain).collect::<Vec<_>>(), [Some(b"short".to_vec()), None, Some(long)]);
    let held = found[2].as_ref().unwrap();
    assert_eq!(held.slot, first);
    let slot = house.vault.keys().allocate().unwrap();
    let mut batch = Batch::new();
    house.vault.put_over(&mut batch, RECORDS, b"long", slot, 7, b"now short", held).unwrap();
    house.commit(batch).await;
    assert!(house.vault.store().scan(Scan::new(PARTS, 10)).await.unwrap().is_empty());
    let found = house.vault.get_many(RECORDS, &keys[2..]).await.unwrap();
    let mut batch = Batch::new();
    Vault::delete_held(&mut batch, RECORDS, b"long", found[0].as_ref().unwrap());
    house.commit(batch).await;
    assert_eq!(house.vault.get(RECORDS, b"long").await.unwrap(), None);
}
