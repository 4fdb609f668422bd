//! Checkpoints and proofs as an independent implementation reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint as TheirCheckpoint, Hash as TheirHash, check_record, check_tree};

use super::note::{ED25519, key_id};
use super::tree::{Tree, leaf_hash};
use super::{Checkpoint, SignedCheckpoint};
use crate::clock::Timestamp;
use crate::id::{Hash, RegisterId};

fn tree(size: u64) -> Tree {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn theirs(hash: Hash) -> TheirHash {
    TheirHash(*hash.as_bytes())
}

/// `<name>+<key id>+<base64 of algorithm and key>`, as the specification writes a verifier key.
fn verifier_key(name: &str, key: &SigningKey) -> String {
    let public = key.verifying_key();
    let id = u32::from_be_bytes(key_id(name, ED25519, &public));
    format!("{name}+{id:08x}+{}", STANDARD.encode([&[ED25519], public.as_bytes().as_slice()].concat()))
}

#[test]
fn an_independent_reader_verifies_a_checkpoint_cosigned_or_not() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let (member, register) = ("ID".parse().unwrap(), RegisterId::from_bytes([0xab; 16]));
    let checkpoint = Checkpoint { member, register, size: 7, root: tree(7).root() };
    let signed = SignedCheckpoint::sign(checkpoint, &key).unwrap();
    let cosignature = signed.cosign("MY".parse().unwrap(), &key, Timestamp::from_unix(1_800_000_000)).unwrap();
    let name = checkpoint.origin();
    let vkey = verifier_key(&name, &key);
    for ours in [&signed, &signed.with_cosignature(&cosignature).unwrap()] {
        let note = Note::from_bytes(ours.bytes()).unwrap();
        let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).unwrap())]);
        let (verified, _others) = note.verify(&verifiers).unwrap();
        assert_eq!(verified.len(), 1);
        assert_eq!(verified[0].id().to_be_bytes(), key_id(&name, ED25519, &key.verifying_key()));
        let read = TheirCheckpoint::from_bytes(note.text()).unwrap();
        assert_eq!((read.origin(), read.size(), read.hash().0), (name.as_str(), 7, *checkpoint.root.as_bytes()));
    }
}

#[test]
fn an_independent_checker_accepts_our_proofs() {
    for size in 1..40_u64 {
        let tree = tree(size);
        let root = theirs(tree.root());
        for place in 0..size {
            let path = tree.inclusion_proof(place, size).unwrap().into_iter().map(theirs).collect();
            check_record(&path, size, root, place, theirs(tree.leaf(place).unwrap())).unwrap();
            let (from, earlier) = (place + 1, theirs(tree.root_at(place + 1).unwrap()));
            let proof = tree.consistency_proof(from, size).unwrap().into_iter().map(theirs).collect();
            check_tree(&proof, size, root, from, earlier).unwrap();
        }
    }
}
