//! The tree in a real directory.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use eads_domain::code::{Coded as _, Fault};
use eads_domain::entropy::SystemEntropy;
use tempfile::TempDir;

use super::*;

fn passphrase() -> Passphrase {
    Passphrase::new("a passphrase for tests").unwrap()
}

fn create(dir: &Path) -> KeyTree {
    KeyTree::create_with_cost(dir, &passphrase(), KdfCost::TESTS, Arc::new(SystemEntropy)).unwrap()
}

fn open(dir: &Path) -> Result<KeyTree, KeyError> {
    KeyTree::open(dir, &passphrase(), Arc::new(SystemEntropy))
}

fn scratch() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn plain(bytes: &[u8]) -> Opened {
    Opened::Plain(Zeroizing::new(bytes.to_vec()))
}

#[test]
fn what_was_sealed_opens_again_after_a_restart() {
    let dir = scratch();
    let tree = create(dir.path());
    let slot = tree.allocate().unwrap();
    let sealed = tree.seal(slot, &[b"area", b"key"], b"a value").unwrap();
    assert_eq!(sealed.len(), b"a value".len() + KeyTree::OVERHEAD_BYTES);
    assert_eq!(KeyTree::slot_of(&sealed).unwrap(), slot);
    drop(tree);

    let tree = open(dir.path()).unwrap();
    assert!(!tree.is_warm(slot));
    assert_eq!(tree.unseal(&[b"area", b"key"], &sealed).unwrap(), plain(b"a value"));
    assert!(tree.is_warm(slot));
}

#[test]
fn a_value_opens_only_as_it_was_sealed() {
    let dir = scratch();
    let tree = create(dir.path());
    let slot = tree.allocate().unwrap();
    let other = tree.allocate().unwrap();
    let sealed = tree.seal(slot, &[b"area", b"key"], b"a value").unwrap();

    let refused = |parts: &[&[u8]], bytes: &[u8]| tree.unseal(parts, bytes).unwrap_err().code().as_str();
    assert_eq!(refused(&[b"area", b"another key"], &sealed), "SEALED_VALUE_DAMAGED");
    assert_eq!(refused(&[b"areak", b"ey"], &sealed), "SEALED_VALUE_DAMAGED");
    let mut moved = sealed.clone();
    moved[1..7].copy_from_slice(&other.to_bytes());
    assert_eq!(refused(&[b"area", b"key"], &moved), "SEALED_VALUE_DAMAGED");
    for position in 7..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[position] ^= 1;
        assert_eq!(refused(&[b"area", b"key"], &flipped), "SEALED_VALUE_DAMAGED");
    }
    for length in 0..sealed.len() {
        assert_eq!(refused(&[b"area", b"key"], &sealed[..length]), "SEALED_VALUE_DAMAGED");
    }
}

#[test]
fn a_destroyed_key_reads_as_destroyed_now_and_after_a_restart() {
    let dir = scratch();
    let tree = create(dir.path());
    let (gone, kept) = (tree.allocate().unwrap(), tree.allocate().unwrap());
    let sealed = [gone, kept].map(|slot| tree.seal(slot, &[], b"a value").unwrap());

    tree.destroy(&[gone, gone]).unwrap();
    tree.destroy(&[gone]).unwrap();

    assert_eq!(tree.unseal(&[], &sealed[0]).unwrap(), Opened::Destroyed);
    assert_eq!(tree.seal(gone, &[], b"again").unwrap_err().code().as_str(), "KEY_DESTROYED");
    drop(tree);
    let tree = open(dir.path()).unwrap();
    assert_eq!(tree.unseal(&[], &sealed[0]).unwrap(), Opened::Destroyed);
    assert_eq!(tree.unseal(&[], &sealed[1]).unwrap(), plain(b"a value"));
    assert!(tree.is_destroyed(gone).unwrap() && !tree.is_destroyed(kept).unwrap());
    assert_eq!(tree.check().unwrap(), Check { buckets: 1, alive: 1023, destroyed: 1 });
}

#[test]
fn a_purge_leaves_no_byte_of_the_old_seals_and_writes_the_root_in_place() {
    let dir = scratch();
    let keys = dir.path().join("keys");
    let tree = create(dir.path());
    let slot = tree.allocate().unwrap();
    let root_before = fs::metadata(keys.join("root")).unwrap();
    let old_files: Vec<_> = ["root", "table-0000000000000001", "bucket-00000000-0000000000000001"]
        .iter()
        .map(|name| fs::read(keys.join(name)).unwrap())
        .collect();

    tree.destroy(&[slot]).unwrap();

    let mut names: Vec<_> =
        fs::read_dir(&keys).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected =
        ["allocated", "bucket-00000000-0000000000000002", "lock", "root", "table-0000000000000002"].map(String::from);
    assert_eq!(names, expected);
    let root_after = fs::metadata(keys.join("root")).unwrap();
    assert_eq!((root_after.ino(), root_after.len()), (root_before.ino(), 8192));
    let sealed_root = 8 + 5 + 32 + 16 + 8;
    let mut needles: BTreeSet<&[u8]> = BTreeSet::from([&old_files[0][sealed_root..sealed_root + 60]]);
    needles.extend(old_files[1..].iter().flat_map(|file| file.chunks_exact(16).step_by(41)));
    for name in names {
        let bytes = fs::read(keys.join(&name)).unwrap();
        for needle in needles.iter().filter(|needle| needle.iter().any(|byte| *byte != 0)) {
            let found = contains(&bytes, needle);
            assert!(!found, "an old seal is still in {name}");
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return true };
    haystack.iter().enumerate().any(|(at, byte)| byte == first && haystack[at..].starts_with(needle))
}

#[test]
fn a_wrong_passphrase_is_told_from_damage_and_changes_nothing() {
    let dir = scratch();
    drop(create(dir.path()));
    let before = fs::read(dir.path().join("keys/root")).unwrap();
    let wrong = Passphrase::new("another one").unwrap();
    let error = KeyTree::open(dir.path(), &wrong, Arc::new(SystemEntropy)).unwrap_err();
    assert_eq!((error.code().as_str(), error.fault()), ("PASSPHRASE_WRONG", Fault::Caller));
    assert_eq!(fs::read(dir.path().join("keys/root")).unwrap(), before);
    assert_eq!(Passphrase::new("").unwrap_err().code().as_str(), "PASSPHRASE_EMPTY");
    open(dir.path()).unwrap();
}

#[test]
fn a_directory_belongs_to_one_tree_and_its_owner() {
    let dir = scratch();
    assert_eq!(open(dir.path()).unwrap_err().code().as_str(), "KEYS_MISSING");
    let tree = create(dir.path());
    assert_eq!(open(dir.path()).unwrap_err().code().as_str(), "KEYS_LOCKED");
    drop(tree);
    let again = KeyTree::create_with_cost(dir.path(), &passphrase(), KdfCost::TESTS, Arc::new(SystemEntropy));
    assert_eq!(again.unwrap_err().code().as_str(), "KEYS_EXIST");
    assert_eq!(fs::metadata(dir.path().join("keys")).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(dir.path().join("keys")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn damage_names_the_file_and_what_to_do() {
    let dir = scratch();
    drop(create(dir.path()));
    let file = dir.path().join("keys/bucket-00000000-0000000000000001");
    fs::remove_file(&file).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert_eq!((error.code().as_str(), error.fault()), ("KEYS_DAMAGED", Fault::Ourselves));
    let text = error.to_string();
    assert!(text.contains(file.to_str().unwrap()) && text.contains("restore the node's backup"), "{text}");
}

#[test]
fn files_of_people_are_left_alone_and_those_of_no_generation_are_swept() {
    let dir = scratch();
    drop(create(dir.path()));
    let keys = dir.path().join("keys");
    let (note, stray) = (keys.join("table-of-contents.txt"), keys.join("bucket-00000000-0000000000000009"));
    fs::write(&note, "kept").unwrap();
    fs::write(&stray, "an uncommitted generation").unwrap();
    open(dir.path()).unwrap();
    assert!(note.exists() && !stray.exists());
}

#[test]
fn keys_that_were_never_handed_out_are_unknown() {
    let dir = scratch();
    let tree = create(dir.path());
    let known = tree.allocate().unwrap();
    for slot in [
        KeySlot { bucket: 0, slot: 1 },
        KeySlot { bucket: 0, slot: 1024 },
        KeySlot { bucket: 7, slot: 0 },
        KeySlot { bucket: u32::MAX, slot: u16::MAX },
    ] {
        assert_eq!(tree.seal(slot, &[], b"").unwrap_err().code().as_str(), "KEY_UNKNOWN");
        assert_eq!(tree.destroy(&[known, slot]).unwrap_err().code().as_str(), "KEY_UNKNOWN");
    }
    assert!(!tree.is_destroyed(known).unwrap());
    assert_eq!(KeySlot::from_bytes(known.to_bytes()), known);
}

#[test]
fn identifiers_are_the_same_after_purges_and_restarts_and_differ_by_label_and_tree() {
    let (dir, other) = (scratch(), scratch());
    let tree = create(dir.path());
    let mac = tree.mac("document", b"X1234567");
    assert_ne!(mac, tree.mac("plate", b"X1234567"));
    assert_ne!(mac, tree.mac("documentX", b"1234567"));
    assert_ne!(mac, create(other.path()).mac("document", b"X1234567"));
    tree.destroy(&[tree.allocate().unwrap()]).unwrap();
    assert_eq!(mac, tree.mac("document", b"X1234567"));
    drop(tree);
    assert_eq!(mac, open(dir.path()).unwrap().mac("document", b"X1234567"));
}

#[test]
fn keys_are_sealed_opened_allocated_and_destroyed_at_the_same_time() {
    let dir = scratch();
    let tree = create(dir.path());
    let seen = std::sync::Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for worker in 0..4u8 {
            let (tree, seen) = (&tree, &seen);
            scope.spawn(move || {
                for round in 0..20u8 {
                    let slots: Vec<_> = (0..30).map(|_| tree.allocate().unwrap()).collect();
                    let value = [worker, round];
                    let sealed: Vec<_> = slots.iter().map(|slot| tree.seal(*slot, &[], &value).unwrap()).collect();
                    if round % 5 == 0 {
                        tree.destroy(&slots[..2]).unwrap();
                        assert_eq!(tree.unseal(&[], &sealed[1]).unwrap(), Opened::Destroyed);
                    }
                    assert!(sealed[2..].iter().all(|one| tree.unseal(&[], one).unwrap() == plain(&value)));
                    let mut seen = seen.lock().unwrap();
                    assert!(slots.into_iter().all(|slot| seen.insert(slot)), "a key was handed out twice");
                }
            });
        }
    });
    assert_eq!(seen.lock().unwrap().len(), 2_400);
    assert_eq!(tree.check().unwrap().destroyed, 4 * 4 * 2);
}

#[test]
fn secrets_do_not_print() {
    let dir = scratch();
    let shown = format!("{:?} {:?} {:?}", create(dir.path()), passphrase(), plain(b"a value"));
    assert!(!shown.contains("passphrase for") && !shown.contains("a value"), "{shown}");
}

#[test]
fn a_cost_from_a_hostile_file_is_refused() {
    for (log_n, r, p) in [(0, 8, 1), (21, 8, 1), (63, 8, 1), (15, 0, 1), (15, 33, 1), (15, 8, 0), (15, 8, 5)] {
        assert_eq!(KdfCost::new(log_n, r, p).unwrap_err().code().as_str(), "KEYS_COST_OUT_OF_RANGE");
    }
    assert_eq!(KdfCost::new(15, 8, 1).unwrap(), KdfCost::PRODUCTION);
}
