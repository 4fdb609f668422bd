//! The tree, its proofs and the frontier against the recursive definitions of RFC 6962.

use proptest::prelude::*;

use super::super::{Frontier, ProofError, verify_consistency, verify_inclusion};
use super::*;

fn leaf(number: u64) -> Hash {
    leaf_hash(&number.to_be_bytes())
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(leaf).collect()
}

fn tree(count: u64) -> Tree {
    leaves(count).into_iter().collect()
}

/// MTH as RFC 6962, 2.1 defines it, over leaf hashes.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH as RFC 9162, 2.1.3.1 defines it.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len() as u64) as usize;
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if index < k {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - k, right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// SUBPROOF as RFC 9162, 2.1.4.1 defines it.
fn naive_subproof(from: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if from == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let k = split(leaves.len() as u64) as usize;
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if from <= k {
        (naive_subproof(from, left, whole), naive_root(right))
    } else {
        (naive_subproof(from - k, right, false), naive_root(left))
    };
    path.push(sibling);
    path
}

#[test]
fn known_answers_of_certificate_transparency() {
    // The test vectors of the reference implementations: eight leaves, roots after 0, 1, 3 and 8 of them.
    let data: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let tree: Tree = data.into_iter().map(leaf_hash).collect();
    let root = |size| tree.root_at(size).unwrap().to_string();
    assert_eq!(root(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(root(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(root(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    assert_eq!(root(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn every_root_path_and_proof_up_to_size_40_equals_the_definition() {
    let all = leaves(40);
    let tree = tree(40);
    for size in 0..=40_u64 {
        let prefix = &all[..size as usize];
        let root = naive_root(prefix);
        assert_eq!(tree.root_at(size), Ok(root));
        for index in 0..size {
            let path = tree.inclusion_proof(index, size).unwrap();
            assert_eq!(path, naive_path(index as usize, prefix));
            assert_eq!(verify_inclusion(leaf(index), index, size, &path, root), Ok(()));
        }
        for from in 1..=size {
            let proof = tree.consistency_proof(from, size).unwrap();
            assert_eq!(proof, naive_subproof(from as usize, prefix, true));
            assert_eq!(verify_consistency(from, naive_root(&all[..from as usize]), size, root, &proof), Ok(()));
        }
    }
}

#[test]
fn a_proof_with_a_node_too_many_too_few_or_altered_is_refused() {
    let tree = tree(13);
    for index in 0..13 {
        let path = tree.inclusion_proof(index, 13).unwrap();
        let check = |path: &[Hash]| verify_inclusion(leaf(index), index, 13, path, tree.root());
        assert_spoiled_is_refused(&path, &|path| check(path) == Err(ProofError::Inclusion));
        assert!(verify_inclusion(leaf(index), (index + 1) % 13, 13, &path, tree.root()).is_err());
        assert!(verify_inclusion(leaf(index + 1), index, 13, &path, tree.root()).is_err());
    }
    for from in 1..13 {
        let proof = tree.consistency_proof(from, 13).unwrap();
        let (before, after) = (tree.root_at(from).unwrap(), tree.root());
        let check = |proof: &[Hash]| verify_consistency(from, before, 13, after, proof);
        assert_spoiled_is_refused(&proof, &|proof| check(proof) == Err(ProofError::Consistency));
        assert!(verify_consistency(from, after, 13, after, &proof).is_err());
        assert!(verify_consistency(from, before, 13, before, &proof).is_err());
    }
}

fn assert_spoiled_is_refused(proof: &[Hash], is_refused: &dyn Fn(&[Hash]) -> bool) {
    assert!(!is_refused(proof));
    assert!(is_refused(&[proof, &[leaf(99)]].concat()));
    assert!(is_refused(&[&[leaf(99)], proof].concat()));
    for place in 0..proof.len() {
        assert!(is_refused(&[&proof[..place], &proof[place + 1..]].concat()));
        let mut altered = proof.to_vec();
        altered[place] = leaf(99);
        assert!(is_refused(&altered));
    }
}

#[test]
fn sizes_of_zero_and_equal_sizes_need_no_proof_and_accept_none() {
    let tree = tree(5);
    assert_eq!(verify_consistency(0, empty_root(), 5, tree.root(), &[]), Ok(()));
    assert_eq!(verify_consistency(0, empty_root(), 0, empty_root(), &[]), Ok(()));
    assert_eq!(verify_consistency(5, tree.root(), 5, tree.root(), &[]), Ok(()));
    for (from, from_root, to, to_root, proof) in [
        (0, leaf(0), 5, tree.root(), vec![]),
        (0, empty_root(), 0, leaf(0), vec![]),
        (0, empty_root(), 5, tree.root(), vec![leaf(0)]),
        (5, tree.root(), 5, tree.root(), vec![leaf(0)]),
        (5, tree.root(), 5, leaf(0), vec![]),
        (5, tree.root(), 4, tree.root_at(4).unwrap(), vec![]),
        (3, tree.root_at(3).unwrap(), 5, tree.root(), vec![]),
    ] {
        assert_eq!(verify_consistency(from, from_root, to, to_root, &proof), Err(ProofError::Consistency));
    }
}

#[test]
fn extreme_sizes_neither_panic_nor_verify() {
    for size in [u64::MAX, u64::MAX - 1, 1 << 63] {
        for index in [0, 1, size / 2, size - 1, size] {
            for length in [0, 1, 63, 64, 65, 200] {
                let path = vec![leaf(1); length];
                assert!(verify_inclusion(leaf(0), index, size, &path, leaf(2)).is_err());
                assert!(verify_consistency(index, leaf(0), size, leaf(2), &path).is_err());
            }
        }
    }
}

#[test]
fn asking_beyond_the_tree_is_an_error() {
    let tree = tree(3);
    assert_eq!(tree.root_at(4).unwrap_err().code().as_str(), "CURSOR_IN_FUTURE");
    assert_eq!(tree.inclusion_proof(3, 3), Err(TreeError::Outside { asked: 3, size: 3 }));
    assert_eq!(tree.inclusion_proof(0, 0), Err(TreeError::Outside { asked: 0, size: 0 }));
    assert_eq!(tree.consistency_proof(3, 2), Err(TreeError::Outside { asked: 3, size: 2 }));
    assert_eq!(tree.leaf(3), None);
    assert_eq!(tree.leaves(1, 99), &leaves(3)[1..]);
    assert_eq!(tree.leaves(2, 1), &[]);
}

#[test]
fn a_damaged_frontier_is_refused() {
    let mut frontier = Frontier::new();
    frontier.extend(leaves(11));
    let bytes = frontier.to_bytes();
    assert_eq!(Frontier::parse(&bytes), Ok(frontier));
    for length in 0..bytes.len() {
        assert!(Frontier::parse(&bytes[..length]).is_err());
    }
    assert!(Frontier::parse(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert!(Frontier::parse(&[&[2], &bytes[1..]].concat()).is_err());
}

proptest! {
    #[test]
    fn frontier_and_tree_agree_at_every_size(count in 0_u64..300) {
        let tree = tree(count);
        let mut frontier = Frontier::new();
        frontier.extend(leaves(count));
        prop_assert_eq!(frontier.root(), tree.root());
        prop_assert_eq!(tree.root(), naive_root(&leaves(count)));
        prop_assert_eq!(tree.frontier(), frontier);
    }

    #[test]
    fn proofs_hold_for_any_places(size in 1_u64..500, a: u64, b: u64) {
        let tree = tree(size);
        let (index, from) = (a % size, b % size + 1);
        let root = tree.root();
        let path = tree.inclusion_proof(index, size).unwrap();
        prop_assert_eq!(verify_inclusion(leaf(index), index, size, &path, root), Ok(()));
        let proof = tree.consistency_proof(from, size).unwrap();
        prop_assert_eq!(verify_consistency(from, tree.root_at(from).unwrap(), size, root, &proof), Ok(()));
    }
}
