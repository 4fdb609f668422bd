//! The tree on a medium that loses power or fails at every single step.

use std::collections::BTreeSet;
use std::sync::Arc;

use eads_domain::code::Coded as _;
use eads_domain::encode::pae;
use eads_domain::entropy::SystemEntropy;

use super::bucket::DataKey;
use super::power_cut::{Fault, PowerCutDisk};
use super::root::Root;
use super::table::Table;
use super::*;

const SEEDS: u64 = 3;

fn passphrase() -> Passphrase {
    Passphrase::new("a passphrase for tests").unwrap()
}

fn create(disk: &PowerCutDisk) -> Result<KeyTree, KeyError> {
    KeyTree::create_on(Box::new(disk.clone()), &passphrase(), KdfCost::TESTS, Arc::new(SystemEntropy))
}

fn open(disk: &PowerCutDisk) -> Result<KeyTree, KeyError> {
    KeyTree::open_on(Box::new(disk.clone()), &passphrase(), Arc::new(SystemEntropy))
}

/// A medium with a tree, five of its keys and a value sealed under each.
fn populated() -> (PowerCutDisk, Vec<KeySlot>, Vec<Vec<u8>>) {
    let disk = PowerCutDisk::new();
    let tree = create(&disk).unwrap();
    let slots: Vec<_> = (0..5).map(|_| tree.allocate().unwrap()).collect();
    let values = slots.iter().map(|slot| tree.seal(*slot, &[b"area"], b"a value").unwrap()).collect();
    (disk, slots, values)
}

/// Runs `work` with a fault at each of its steps in turn, on a fresh copy of the medium, and judges the outcome.
fn at_every_step(
    fault: fn(u64) -> Fault,
    work: impl Fn(&KeyTree) -> Result<(), KeyError>,
    judge: impl Fn(&PowerCutDisk, &KeyTree, Result<(), KeyError>),
) {
    let (origin, ..) = shared();
    for seed in 0..SEEDS {
        for step in 1.. {
            let disk = origin.fork();
            let tree = open(&disk).unwrap();
            disk.arm(fault(step), seed + step * 100);
            let outcome = work(&tree);
            if !disk.has_struck() {
                assert!(step > 5, "the work has several steps");
                break;
            }
            judge(&disk, &tree, outcome);
        }
    }
}

/// [`populated`], made once.
fn shared() -> &'static (PowerCutDisk, Vec<KeySlot>, Vec<Vec<u8>>) {
    static SHARED: std::sync::OnceLock<(PowerCutDisk, Vec<KeySlot>, Vec<Vec<u8>>)> = std::sync::OnceLock::new();
    SHARED.get_or_init(populated)
}

fn purged() -> &'static [KeySlot] {
    &shared().1[..2]
}

/// After a restart: the purged keys are all alive or all destroyed, and the other ones always alive.
fn assert_sound(tree: &KeyTree) -> bool {
    let (_, slots, values) = shared();
    let opened: Vec<_> = values.iter().map(|value| tree.unseal(&[b"area"], value).unwrap()).collect();
    let alive = Opened::Plain(Zeroizing::new(b"a value".to_vec()));
    assert!(opened[2..].iter().all(|value| *value == alive), "a key that was not purged is alive");
    assert_eq!(opened[0], opened[1], "a purge is all or nothing");
    assert!(opened[0] == alive || opened[0] == Opened::Destroyed);
    assert_eq!(tree.is_destroyed(slots[0]).unwrap(), opened[0] == Opened::Destroyed);
    tree.check().unwrap();
    opened[0] == Opened::Destroyed
}

/// Every data key that a thief with the medium and the passphrase can get at, from present and removed files alike.
fn keys_within_reach(disk: &PowerCutDisk) -> BTreeSet<[u8; 32]> {
    let remnants = disk.remnants();
    let mut root_keys = Vec::new();
    let mut tree_id = None;
    // Either record may be what the thief reads: give him each of them alone.
    for blinded in [0, slots::SLOT_BYTES] {
        let copy = disk.fork();
        copy.tamper(root::FILE, |file| file[blinded] ^= 1);
        if let Ok(root) = Root::read(&copy) {
            tree_id = Some(root.tree);
            root_keys.push(root.unseal(&passphrase()).unwrap().1);
        }
    }
    let tree_id = tree_id.unwrap();
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    let mut bucket_keys = Vec::new();
    for (name, bytes) in &remnants {
        let Some(generation) = name.strip_prefix("table-").map(number) else { continue };
        let aad = pae(&[b"eads/v1/keys/table", &tree_id, &generation.to_be_bytes()]);
        for plain in root_keys.iter().filter_map(|key| aead::unseal(key, &aad, bytes)) {
            for entry in plain[32..].chunks_exact(40) {
                bucket_keys.push(Zeroizing::new(<[u8; 32]>::try_from(&entry[8..]).unwrap()));
            }
        }
    }
    let mut data_keys = BTreeSet::new();
    for (name, bytes) in &remnants {
        let Some((bucket, generation)) = name.strip_prefix("bucket-").and_then(|name| name.split_once('-')) else {
            continue;
        };
        let (bucket, generation) = (u32::try_from(number(bucket)).unwrap(), number(generation));
        let aad = pae(&[b"eads/v1/keys/bucket", &tree_id, &bucket.to_be_bytes(), &generation.to_be_bytes()]);
        for plain in bucket_keys.iter().filter_map(|key| aead::unseal(key, &aad, bytes)) {
            data_keys.extend(plain.chunks_exact(33).map(|cell| <[u8; 32]>::try_from(&cell[1..]).unwrap()));
        }
    }
    data_keys
}

fn raw_key(tree: &KeyTree, slot: KeySlot) -> [u8; 32] {
    let table = Table::read(tree.parts().0, tree.parts().1, tree.parts().2, &root_key(tree)).unwrap();
    let bucket = bucket::Bucket::read(tree.parts().0, tree.parts().1, slot.bucket, table.entry(slot.bucket).unwrap());
    match bucket.unwrap().key(slot.slot).unwrap() {
        DataKey::Alive(key) => *key,
        DataKey::Destroyed => panic!("the key is destroyed"),
    }
}

fn root_key(tree: &KeyTree) -> aead::SecretKey {
    Root::read(tree.parts().0).unwrap().unseal(&passphrase()).unwrap().1
}

#[test]
fn a_thief_with_every_remnant_and_the_passphrase_gets_no_destroyed_key() {
    let disk = shared().0.fork();
    let tree = open(&disk).unwrap();
    let keys: Vec<_> = shared().1.iter().map(|slot| raw_key(&tree, *slot)).collect();
    let old_root = root_key(&tree);
    let before = keys_within_reach(&disk);
    assert!(keys.iter().all(|key| before.contains(key)), "the thief's method works on keys that are alive");

    tree.destroy(purged()).unwrap();

    let after = keys_within_reach(&disk);
    assert!(!after.contains(&keys[0]) && !after.contains(&keys[1]));
    assert!(keys[2..].iter().all(|key| after.contains(key)));
    let old_table = table::file_name(1);
    let (_, sealed) = disk.remnants().into_iter().find(|(name, _)| *name == old_table).unwrap();
    let aad = pae(&[b"eads/v1/keys/table", tree.parts().1, &1u64.to_be_bytes()]);
    assert!(aead::unseal(&old_root, &aad, &sealed).is_some(), "the old table is still there for who has the old root");
    assert!(aead::unseal(&root_key(&tree), &aad, &sealed).is_none());
}

#[test]
fn a_power_cut_at_any_step_of_a_purge_leaves_every_key_alive_or_destroyed() {
    at_every_step(
        Fault::PowerCut,
        |tree| tree.destroy(purged()),
        |disk, tree, outcome| {
            assert!(outcome.is_err(), "a purge whose machine died is not reported as done");
            assert_eq!(tree.destroy(purged()).unwrap_err().code().as_str().split('_').next(), Some("KEYS"));
            disk.reboot();
            let tree = open(disk).unwrap();
            if assert_sound(&tree) {
                let keys = keys_within_reach(disk);
                let first = open(&shared().0.fork()).unwrap();
                assert!(purged().iter().all(|slot| !keys.contains(&raw_key(&first, *slot))));
            }
            tree.destroy(purged()).unwrap();
            assert!(assert_sound(&tree));
        },
    );
}

#[test]
fn the_write_to_the_root_decides_and_nothing_before_or_after_it() {
    const BUCKET_TABLE_AND_NAMES: u64 = 3;
    const COMMIT: u64 = BUCKET_TABLE_AND_NAMES + 1;
    for step in (1..9).filter(|step| *step != COMMIT) {
        let disk = shared().0.fork();
        let tree = open(&disk).unwrap();
        disk.arm(Fault::PowerCut(step), step);
        tree.destroy(purged()).unwrap_err();
        disk.reboot();
        assert_eq!(assert_sound(&open(&disk).unwrap()), step > COMMIT, "step {step}");
    }
}

#[test]
fn a_power_cut_while_an_interrupted_purge_is_finished_is_survived_too() {
    let (origin, ..) = shared();
    let mut second_cuts = 0;
    for first in 1..12 {
        for second in 1..8 {
            let disk = origin.fork();
            let tree = open(&disk).unwrap();
            disk.arm(Fault::PowerCut(first), first * 31 + second);
            let outcome = tree.destroy(purged());
            disk.reboot();
            disk.arm(Fault::PowerCut(second), first * 17 + second);
            if open(&disk).is_err() {
                second_cuts += 1;
            }
            disk.reboot();
            let destroyed = assert_sound(&open(&disk).unwrap());
            assert!(destroyed || outcome.is_err());
        }
    }
    assert!(second_cuts > 10, "recovery has steps of its own");
}

#[test]
fn a_failing_write_never_lets_a_purge_pass_for_done() {
    at_every_step(
        Fault::Error,
        |tree| tree.destroy(purged()),
        |disk, tree, outcome| {
            assert!(outcome.is_err());
            // The keys that were not purged go on working without a restart.
            for value in &shared().2[2..] {
                assert!(matches!(tree.unseal(&[b"area"], value).unwrap(), Opened::Plain(_)));
            }
            let again = tree.destroy(purged());
            assert!(matches!(again, Ok(()) | Err(KeyError::Halted)), "{again:?}");
            if again.is_ok() {
                assert!(assert_sound(tree));
            }
            disk.reboot();
            let reopened = open(disk).unwrap();
            assert!(assert_sound(&reopened) || again.is_err());
            reopened.destroy(purged()).unwrap();
            assert!(assert_sound(&reopened));
        },
    );
}

#[test]
fn no_key_is_handed_out_twice_whatever_step_a_power_cut_hits() {
    for step in 1..24 {
        let disk = PowerCutDisk::new();
        let tree = create(&disk).unwrap();
        disk.arm(Fault::PowerCut(step), step);
        let mut seen = BTreeSet::new();
        while let Ok(slot) = tree.allocate() {
            assert!(seen.insert(slot), "twice in one run");
            if seen.len() > 3_000 {
                break;
            }
        }
        disk.reboot();
        let tree = open(&disk).unwrap();
        for _ in 0..1_500 {
            assert!(seen.insert(tree.allocate().unwrap()), "twice over a restart");
        }
        tree.seal(*seen.last().unwrap(), &[], b"usable").unwrap();
    }
}

#[test]
fn a_creation_that_was_interrupted_leaves_no_tree_or_a_whole_one() {
    for step in 1..8 {
        for seed in 0..SEEDS {
            let disk = PowerCutDisk::new();
            disk.arm(Fault::PowerCut(step), seed + step * 10);
            let created = create(&disk).is_ok();
            disk.reboot();
            match open(&disk) {
                Ok(tree) => {
                    tree.allocate().unwrap();
                }
                Err(KeyError::Missing { .. } | KeyError::Damaged { .. }) => assert!(!created),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn one_purge_among_a_million_keys_writes_less_than_a_mebibyte() {
    let disk = PowerCutDisk::new();
    let tree = create(&disk).unwrap();
    let slot = tree.allocate().unwrap();
    tree.pretend_capacity(1_000_000);
    disk.arm(Fault::None, 1);

    tree.destroy(&[slot]).unwrap();

    assert!(disk.bytes_written() < 1 << 20, "{} bytes", disk.bytes_written());
    assert!(disk.operations() < 12, "{} operations", disk.operations());
    assert!(tree.is_destroyed(slot).unwrap());
    assert!(!tree.is_destroyed(KeySlot { bucket: 0, slot: 1 }).unwrap());
}

#[test]
fn damage_anywhere_in_a_file_is_named_and_never_panics() {
    let (origin, slots, _) = shared();
    for name in origin.remnants().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>() {
        let length = origin.remnants().iter().find(|(other, _)| *other == name).unwrap().1.len();
        for position in (0..length).step_by((length / 40).max(1)) {
            let disk = origin.fork();
            disk.tamper(&name, |file| file[position] ^= 0x20);
            assert_damage_is_named(&disk, &name, slots);
        }
        for cut in [0, 1, length / 2, length - 1] {
            let disk = origin.fork();
            disk.tamper(&name, |file| file.truncate(cut));
            assert_damage_is_named(&disk, &name, slots);
        }
    }
}

/// One record of two may be damaged without harm; all other damage is an error that names the file.
fn assert_damage_is_named(disk: &PowerCutDisk, name: &str, slots: &[KeySlot]) {
    let outcome = open(disk).and_then(|tree| {
        tree.check()?;
        tree.is_destroyed(slots[0])?;
        let next = tree.allocate()?;
        assert!(!slots.contains(&next));
        Ok(())
    });
    match outcome {
        Ok(()) => assert!([root::FILE, allocation::FILE].contains(&name), "{name} was damaged and nobody saw it"),
        Err(KeyError::Damaged { file, .. }) => assert_eq!(file.to_str(), Some(name)),
        Err(other) => panic!("{name}: {other}"),
    }
}

#[test]
fn a_torn_root_record_yields_to_the_other_one() {
    let (origin, ..) = shared();
    for torn in 0..2 {
        let disk = origin.fork();
        disk.tamper(root::FILE, |file| file[torn * slots::SLOT_BYTES + 100..][..2000].fill(0xA5));
        assert!(!assert_sound(&open(&disk).unwrap()));
        let other = 1 - torn;
        disk.tamper(root::FILE, |file| file[other * slots::SLOT_BYTES + 100..][..2000].fill(0xA5));
        assert!(!assert_sound(&open(&disk).unwrap()), "the torn record was written anew at open");
    }
}

#[test]
fn a_root_of_a_later_version_is_not_taken_for_damage_and_two_truths_are() {
    let rewrite = |position: usize, records: std::ops::Range<usize>| {
        let disk = shared().0.fork();
        disk.tamper(root::FILE, |file| {
            for record in records {
                let body = &mut file[record * slots::SLOT_BYTES..][..slots::SLOT_BYTES - 32];
                body[position] += 1;
                let valid = slots::encode("eads/v1/keys/root", body);
                file[record * slots::SLOT_BYTES..][..slots::SLOT_BYTES].copy_from_slice(&valid);
            }
        });
        open(&disk).unwrap_err().code().as_str()
    };
    let (version, cost, nonce) = (8, 11, 70);
    assert_eq!(rewrite(version, 0..2), "KEYS_NEWER");
    assert_eq!(rewrite(cost, 0..2), "PASSPHRASE_WRONG", "the header is under the seal");
    assert_eq!(rewrite(nonce, 0..1), "KEYS_DAMAGED");
}

#[test]
fn a_committed_generation_without_its_table_is_damage_and_no_reason_to_go_back() {
    let disk = shared().0.fork();
    let tree = open(&disk).unwrap();
    let older = disk.remnants();
    tree.destroy(purged()).unwrap();
    disk.tamper(&table::file_name(2), Vec::clear);
    // The old files come back, as after a careless copy: the root does not name them any more.
    for (name, bytes) in older.iter().filter(|(name, _)| name.starts_with("table") || name.starts_with("bucket")) {
        disk::Disk::write(&disk, name, bytes).unwrap();
    }
    assert!(matches!(open(&disk), Err(KeyError::Damaged { .. })));
}
