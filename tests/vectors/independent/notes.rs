//! Checkpoint notes, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eads_domain::clock::Timestamp;
use eads_domain::register::{Checkpoint, SignedCheckpoint};
use ed25519_dalek::SigningKey;
use signed_note::{Note, NoteError, StandardSigner, StandardVerifier, VerifierList, key_id};

use crate::notices::checkpoint;
use crate::story::{START, Story, key, member, register};

const ED25519: u8 = 1;
const CASES: [(u64, &str); 3] = [(1, "signing key 0"), (6, "signing key 0"), (8, "signing key 1")];

/// Verifier key and signer key, as the other crate writes them.
fn note_keys(name: &str, key: &SigningKey) -> (String, String) {
    let public = [&[ED25519], key.verifying_key().as_bytes().as_slice()].concat();
    let secret = [&[ED25519], key.as_bytes().as_slice()].concat();
    let id = key_id(name, &public);
    (
        format!("{name}+{id:08x}+{}", STANDARD.encode(public)),
        format!("PRIVATE+KEY+{name}+{id:08x}+{}", STANDARD.encode(secret)),
    )
}

fn verifiers(name: &str, key: &SigningKey) -> VerifierList {
    let (verifier, _) = note_keys(name, key);
    VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier).unwrap())])
}

#[test]
fn another_reader_verifies_our_checkpoints_cosigned_or_not() {
    let story = Story::tell();
    for (size, by) in CASES {
        let ours = checkpoint(&story, size, by);
        let at = Timestamp::from_unix(START);
        let cosignature = ours.cosign(member("MY"), &key("MY cosigner key"), at).unwrap();
        let name = ours.checkpoint().origin();
        for note in [&ours, &ours.with_cosignature(&cosignature).unwrap()] {
            let theirs = Note::from_bytes(note.bytes()).unwrap();
            let (verified, _others) = theirs.verify(&verifiers(&name, &key(by))).unwrap();
            assert_eq!(verified.len(), 1);
            let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
            assert_eq!((read.origin(), read.size()), (name.as_str(), size));
            assert_eq!(read.hash().0, *ours.checkpoint().root.as_bytes());
            assert_eq!(read.extension(), "");
        }
    }
}

#[test]
fn another_reader_refuses_our_checkpoint_under_another_key_or_altered() {
    let ours = checkpoint(&Story::tell(), 6, "signing key 0");
    let name = ours.checkpoint().origin();
    let stranger = Note::from_bytes(ours.bytes()).unwrap().verify(&verifiers(&name, &key("signing key 1")));
    assert!(matches!(stranger, Err(NoteError::UnverifiedNote)));
    let grown = String::from_utf8_lossy(ours.bytes()).replacen("\n6\n", "\n7\n", 1);
    let altered = Note::from_bytes(grown.as_bytes()).unwrap().verify(&verifiers(&name, &key("signing key 0")));
    assert!(matches!(altered, Err(NoteError::InvalidSignature { .. })));
    let refused =
        SignedCheckpoint::verify(grown.as_bytes(), member("ID"), register(), &key("signing key 0").verifying_key());
    assert_eq!(refused.unwrap_err().to_string(), "the checkpoint is not signed by the key of the register's owner");
}

#[test]
fn a_checkpoint_that_another_writer_signed_is_ours_byte_for_byte() {
    let story = Story::tell();
    for (size, by) in CASES {
        let ours = checkpoint(&story, size, by);
        let Checkpoint { root, .. } = *ours.checkpoint();
        let name = ours.checkpoint().origin();
        let written = tlog_tiles::Checkpoint::new(&name, size, tlog_tiles::Hash(*root.as_bytes()), "").unwrap();
        let (_, secret) = note_keys(&name, &key(by));
        let mut theirs = Note::new(&written.to_bytes(), &[]).unwrap();
        theirs.add_sigs(&[&StandardSigner::new(&secret).unwrap()]).unwrap();
        assert_eq!(theirs.to_bytes(), ours.bytes());
        let read = SignedCheckpoint::verify(&theirs.to_bytes(), member("ID"), register(), &key(by).verifying_key());
        assert_eq!(read.unwrap(), ours);
    }
}
