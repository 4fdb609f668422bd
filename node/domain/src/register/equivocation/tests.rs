//! What proves a fork, and above all what does not.

use ed25519_dalek::SigningKey;

use super::super::tree::{Tree, leaf_hash};
use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn tree(size: u64, world: u8) -> Tree {
    (0..size).map(|number| leaf_hash(&[number as u8, if number == 1 { world } else { 0 }])).collect()
}

fn checkpoint(size: u64, world: u8, by: u8) -> SignedCheckpoint {
    let root = tree(size, world).root();
    let (member, register) = ("ID".parse().unwrap(), RegisterId::from_bytes([3; 16]));
    SignedCheckpoint::sign(Checkpoint { member, register, size, root }, &key(by)).unwrap()
}

fn path(from: u64, to: u64) -> Vec<Hash> {
    tree(to, 0).full_consistency_path(from, to).unwrap()
}

#[test]
fn two_roots_of_one_size_are_a_proof() {
    let proof = EquivocationProof::new(&checkpoint(5, 0, 1), &checkpoint(5, 9, 1), vec![]).unwrap();
    let shown = proof.verify(&[key(1).verifying_key()]).unwrap();
    assert_eq!((shown.smaller.size, shown.larger.size), (5, 5));
    assert_ne!(shown.smaller.root, shown.larger.root);
}

#[test]
fn two_sizes_with_the_path_of_the_larger_are_a_proof() {
    for to in 3..20 {
        for from in 2..to {
            let (forked, larger) = (checkpoint(from, 9, 1), checkpoint(to, 0, 1));
            let proof = EquivocationProof::new(&larger, &forked, path(from, to)).unwrap();
            assert!(proof.verify(&[key(2).verifying_key(), key(1).verifying_key()]).is_ok());
            assert_eq!(EquivocationProof::parse(&proof.to_bytes()), Ok(proof));
        }
    }
}

#[test]
fn an_honest_register_cannot_be_accused() {
    for to in 1..20 {
        for from in 0..=to {
            let (smaller, larger) = (checkpoint(from, 0, 1), checkpoint(to, 0, 1));
            let outcome = EquivocationProof::new(&smaller, &larger, path(from, to));
            assert_eq!(outcome, Err(EquivocationError::NoContradiction));
            let mut spoiled = path(from, to);
            for place in 0..spoiled.len() {
                spoiled[place] = leaf_hash(b"anything");
                let outcome = EquivocationProof::new(&smaller, &larger, spoiled.clone());
                assert_eq!(outcome, Err(EquivocationError::NoContradiction));
            }
            let outcome = EquivocationProof::new(&smaller, &larger, vec![larger.checkpoint().root]);
            assert_eq!(outcome, Err(EquivocationError::NoContradiction));
        }
    }
}

#[test]
fn a_missing_first_node_proves_nothing() {
    // With the shorter form of RFC 9162 the smaller root would be taken from the accusation itself.
    let (forked, larger) = (checkpoint(4, 9, 1), checkpoint(7, 0, 1));
    let short = tree(7, 0).consistency_proof(4, 7).unwrap();
    assert_eq!(EquivocationProof::new(&forked, &larger, short), Err(EquivocationError::NoContradiction));
    assert_eq!(EquivocationProof::new(&forked, &larger, vec![]), Err(EquivocationError::NoContradiction));
}

#[test]
fn signatures_of_anyone_but_the_accused_prove_nothing() {
    let proof = EquivocationProof::new(&checkpoint(5, 0, 1), &checkpoint(5, 9, 2), vec![]).unwrap();
    for keys in [&[key(1)][..], &[key(2)], &[]] {
        let keys: Vec<_> = keys.iter().map(SigningKey::verifying_key).collect();
        assert_eq!(proof.verify(&keys), Err(EquivocationError::Checkpoint(CheckpointError::Signature)));
    }
    // A member that forked and rotated its key between the two is still caught.
    assert!(proof.verify(&[key(1).verifying_key(), key(2).verifying_key()]).is_ok());
}

#[test]
fn checkpoints_of_two_registers_do_not_contradict_each_other() {
    let other = Checkpoint { register: RegisterId::from_bytes([4; 16]), ..*checkpoint(5, 9, 1).checkpoint() };
    let other = SignedCheckpoint::sign(other, &key(1)).unwrap();
    let outcome = EquivocationProof::new(&checkpoint(5, 0, 1), &other, vec![]);
    assert_eq!(outcome, Err(EquivocationError::NoContradiction));
}

#[test]
fn altered_proofs_are_refused() {
    let proof = EquivocationProof::new(&checkpoint(3, 9, 1), &checkpoint(7, 0, 1), path(3, 7)).unwrap();
    let bytes = proof.to_bytes();
    let holds = |bytes: &[u8]| {
        EquivocationProof::parse(bytes).is_ok_and(|proof| proof.verify(&[key(1).verifying_key()]).is_ok())
    };
    assert!(holds(&bytes));
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 0x01;
        assert!(!holds(&altered), "byte {place}");
        assert!(!holds(&bytes[..place]));
    }
    assert!(!holds(&[bytes.as_slice(), &[0]].concat()));
}
