//! Roots and proofs against another tree, and two checkers against each other.

use std::cell::RefCell;

use eads_domain::id::Hash;
use eads_domain::register::{Tree, leaf_hash, node_hash, verify_consistency, verify_inclusion};
use proptest::prelude::*;
use tlog_tiles::{Error, Hash as TheirHash, HashReader, check_record, check_tree};

/// The other crate's tree: every hash that it says is to be stored.
#[derive(Default)]
struct Theirs {
    stored: RefCell<Vec<TheirHash>>,
    size: u64,
}

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, Error> {
        let stored = self.stored.borrow();
        let read = |index: &u64| usize::try_from(*index).ok().and_then(|index| stored.get(index)).copied();
        indexes.iter().map(|index| read(index).ok_or(Error::IndexesNotInTree)).collect()
    }
}

impl Theirs {
    fn append(&mut self, data: &[u8]) {
        let new = tlog_tiles::stored_hashes(self.size, data, self).unwrap();
        self.stored.borrow_mut().extend(new);
        self.size += 1;
    }
}

fn both(size: u64) -> (Tree, Theirs) {
    let (mut ours, mut theirs) = (Tree::new(), Theirs::default());
    for place in 0..size {
        let data = place.to_be_bytes();
        ours.append(leaf_hash(&data));
        theirs.append(&data);
    }
    (ours, theirs)
}

fn to_theirs(hash: Hash) -> TheirHash {
    TheirHash(*hash.as_bytes())
}

fn path_to_theirs(path: &[Hash]) -> Vec<TheirHash> {
    path.iter().copied().map(to_theirs).collect()
}

#[test]
fn leaves_and_nodes_hash_alike() {
    let (left, right) = (leaf_hash(b""), leaf_hash(&[0; 100]));
    assert_eq!(to_theirs(left), tlog_tiles::record_hash(b""));
    assert_eq!(to_theirs(node_hash(&left, &right)), tlog_tiles::node_hash(to_theirs(left), to_theirs(right)));
}

#[test]
fn roots_and_all_proofs_are_the_same_bytes_for_every_small_size() {
    const LARGEST: u64 = 40;
    let (ours, theirs) = both(LARGEST);
    assert_eq!(ours.root_at(0).unwrap().as_bytes(), &tlog_tiles::EMPTY_HASH.0);
    for size in 1..=LARGEST {
        let root = to_theirs(ours.root_at(size).unwrap());
        assert_eq!(root, tlog_tiles::tree_hash(size, &theirs).unwrap());
        for place in 0..size {
            let path = path_to_theirs(&ours.inclusion_proof(place, size).unwrap());
            assert_eq!(path, tlog_tiles::prove_record(size, place, &theirs).unwrap(), "{place} in {size}");
            check_record(&path, size, root, place, to_theirs(ours.leaf(place).unwrap())).unwrap();
            let (from, earlier) = (place + 1, to_theirs(ours.root_at(place + 1).unwrap()));
            let proof = path_to_theirs(&ours.consistency_proof(from, size).unwrap());
            assert_eq!(proof, tlog_tiles::prove_tree(size, from, &theirs).unwrap(), "{from} to {size}");
            check_tree(&proof, size, root, from, earlier).unwrap();
        }
    }
}

#[test]
fn roots_are_the_same_for_a_register_of_thousands() {
    let (ours, theirs) = both(3000);
    for size in [1023, 1024, 1025, 2047, 2999, 3000] {
        assert_eq!(to_theirs(ours.root_at(size).unwrap()), tlog_tiles::tree_hash(size, &theirs).unwrap());
        let path = path_to_theirs(&ours.inclusion_proof(size / 3, size).unwrap());
        assert_eq!(path, tlog_tiles::prove_record(size, size / 3, &theirs).unwrap());
    }
}

/// What an adversary does to a proof.
#[derive(Clone, Debug)]
enum Damage {
    None,
    Flip(usize, u8),
    Drop(usize),
    Repeat(usize),
    Add,
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            Just(Self::None),
            (any::<usize>(), any::<u8>()).prop_map(|(place, bit)| Self::Flip(place, bit)),
            any::<usize>().prop_map(Self::Drop),
            any::<usize>().prop_map(Self::Repeat),
            Just(Self::Add),
        ]
    }

    fn of(&self, mut path: Vec<Hash>) -> Vec<Hash> {
        let length = path.len();
        match self {
            Self::Add => path.push(Hash::from_bytes([7; 32])),
            _ if length == 0 => {}
            Self::None => {}
            Self::Flip(place, bit) => {
                let mut bytes = *path[place % length].as_bytes();
                bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
                path[place % length] = Hash::from_bytes(bytes);
            }
            Self::Drop(place) => drop(path.remove(place % length)),
            Self::Repeat(place) => path.insert(place % length, path[place % length]),
        }
        path
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_checkers_say_the_same_of_any_inclusion_proof(
        size in 1..70_u64, place in any::<u64>(), claimed in -1..=1_i64, claimed_size in -1..=1_i64, damage in Damage::any(),
    ) {
        let (ours, _) = both(size);
        let place = place % size;
        let path = damage.of(ours.inclusion_proof(place, size).unwrap());
        let (root, leaf) = (ours.root(), ours.leaf(place).unwrap());
        let index = place.saturating_add_signed(claimed);
        let size = size.saturating_add_signed(claimed_size);
        let own = verify_inclusion(leaf, index, size, &path, root).is_ok();
        let other = check_record(&path_to_theirs(&path), size, to_theirs(root), index, to_theirs(leaf)).is_ok();
        prop_assert_eq!(own, other);
    }

    #[test]
    fn both_checkers_say_the_same_of_any_consistency_proof(
        to in 1..70_u64, from in any::<u64>(), claimed in -1..=1_i64, damage in Damage::any(),
    ) {
        let (ours, _) = both(to);
        let from = from % to + 1;
        let proof = damage.of(ours.consistency_proof(from, to).unwrap());
        let (root, earlier) = (ours.root(), ours.root_at(from).unwrap());
        // The other crate speaks of sizes from 1 on.
        let from = from.saturating_add_signed(claimed).max(1);
        let own = verify_consistency(from, earlier, to, root, &proof).is_ok();
        let other = check_tree(&path_to_theirs(&proof), to, to_theirs(root), from, to_theirs(earlier)).is_ok();
        prop_assert_eq!(own, other);
    }
}
