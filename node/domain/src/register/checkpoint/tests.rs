//! Checkpoints: well formed, malformed, forged, shrunk, forked, cosigned.

use super::super::tree::{Tree, leaf_hash};
use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn member(text: &str) -> MemberId {
    text.parse().unwrap()
}

fn register() -> RegisterId {
    RegisterId::from_bytes([0xab; 16])
}

fn tree(size: u64) -> Tree {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn at(size: u64) -> Checkpoint {
    Checkpoint { member: member("ID"), register: register(), size, root: tree(size).root() }
}

fn signed(size: u64) -> SignedCheckpoint {
    SignedCheckpoint::sign(at(size), &key(1)).unwrap()
}

fn verify(bytes: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
    SignedCheckpoint::verify(bytes, member("ID"), register(), &key(1).verifying_key())
}

/// A note with a valid signature over any text.
fn note_over(text: &str) -> Vec<u8> {
    let name = at(0).origin();
    let signature = key(1).sign(text.as_bytes()).to_bytes();
    let line = signature_line(&name, key_id(&name, ED25519, &key(1).verifying_key()), &signature);
    format!("{text}\n{line}").into_bytes()
}

#[test]
fn the_note_has_the_lines_of_the_specification() {
    let text = String::from_utf8(signed(3).bytes().to_vec()).unwrap();
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(lines[0], "id.eads/register/abababababababababababababababab");
    assert_eq!(lines[1], "3");
    assert_eq!(STANDARD.decode(lines[2]).unwrap(), tree(3).root().as_bytes());
    assert_eq!(lines[3], "");
    assert!(lines[4].starts_with("\u{2014} id.eads/register/abababababababababababababababab "));
    assert_eq!(lines[5..], [""]);
}

#[test]
fn a_checkpoint_comes_back_verbatim() {
    for size in [0, 1, 7] {
        let checkpoint = signed(size);
        assert_eq!(verify(checkpoint.bytes()), Ok(checkpoint));
    }
}

#[test]
fn another_key_member_or_register_is_refused() {
    let bytes = signed(3).bytes().to_vec();
    let check = |cc: &str, id: u8, by: u8| {
        SignedCheckpoint::verify(&bytes, member(cc), RegisterId::from_bytes([id; 16]), &key(by).verifying_key())
    };
    assert_eq!(check("ID", 0xab, 2), Err(CheckpointError::Signature));
    assert_eq!(check("MY", 0xab, 1), Err(CheckpointError::OtherRegister));
    assert_eq!(check("ID", 0xac, 1), Err(CheckpointError::OtherRegister));
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = signed(3).bytes().to_vec();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&altered).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(verify(&bytes[..length]).is_err());
    }
}

#[test]
fn notes_that_are_signed_but_not_canonical_are_refused() {
    let origin = at(0).origin();
    let root = STANDARD.encode(tree(3).root().as_bytes());
    assert!(verify(&note_over(&format!("{origin}\n3\n{root}\n"))).is_ok());
    for text in [
        format!("{origin}\n03\n{root}\n"),
        format!("{origin}\n+3\n{root}\n"),
        format!("{origin}\n-3\n{root}\n"),
        format!("{origin}\n18446744073709551616\n{root}\n"),
        format!("{origin}\n3\n{}\n", root.trim_end_matches('=')),
        format!("{origin}\n3\n{root} \n"),
        format!("{origin}\n3\n{root}\r\n"),
        format!("{origin}\n3\n{root}\nextension\n"),
        format!("{origin}\n3\n"),
        format!("{origin}\n3\n{root}\n\n"),
        format!("{origin}\n3\nAAAA\n"),
    ] {
        assert_eq!(verify(&note_over(&text)), Err(CheckpointError::Malformed), "{text:?}");
    }
    let empty = note_over(&format!("{origin}\n0\n{root}\n"));
    assert_eq!(verify(&empty), Err(CheckpointError::EmptyRoot));
    assert_eq!(SignedCheckpoint::sign(Checkpoint { size: 0, ..at(3) }, &key(1)), Err(CheckpointError::EmptyRoot));
}

#[test]
fn malformed_signature_lines_are_refused() {
    let good = String::from_utf8(signed(3).bytes().to_vec()).unwrap();
    for tail in [
        "no dash here AAAAAAAA\n",
        "\u{2014} name\n",
        "\u{2014}  AAAAAAAA\n",
        "\u{2014} na+me AAAAAAAA\n",
        "\u{2014} name AAAA\n",
        "\u{2014} name AAAAAAA\n",
        "\u{2014} name AAAAAAAA AAAA\n",
        "\u{2014} name AAAAAAAA",
        "\n",
        "\u{2014} name\u{a0}x AAAAAAAA\n",
    ] {
        assert_eq!(verify(format!("{good}{tail}").as_bytes()), Err(CheckpointError::Malformed), "{tail:?}");
    }
}

#[test]
fn signatures_of_others_are_kept_and_ignored_within_bounds() {
    let mut note = String::from_utf8(signed(3).bytes().to_vec()).unwrap();
    for number in 0..31 {
        note.push_str(&signature_line(&format!("other-{number}"), [9; 4], &[1; 64]));
    }
    assert_eq!(verify(note.as_bytes()).unwrap().bytes(), note.as_bytes());
    note.push_str(&signature_line("one-too-many", [9; 4], &[1; 64]));
    assert_eq!(verify(note.as_bytes()), Err(CheckpointError::TooLarge));
    assert_eq!(verify(&vec![b'a'; MAX_NOTE_BYTES + 1]), Err(CheckpointError::TooLarge));
}

#[test]
fn a_second_line_by_the_same_key_is_refused() {
    let note = String::from_utf8(signed(3).bytes().to_vec()).unwrap();
    let line = note.rsplit_once("\n\n").unwrap().1;
    assert_eq!(verify(format!("{note}{line}").as_bytes()), Err(CheckpointError::Malformed));
}

#[test]
fn a_weak_key_verifies_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = VerifyingKey::from_bytes(&identity).unwrap();
    let (text, name) = (at(3).text(), at(3).origin());
    let mut signature = [0; 64];
    signature[0] = 1;
    let note = format!("{text}\n{}", signature_line(&name, key_id(&name, ED25519, &weak), &signature));
    let outcome = SignedCheckpoint::verify(note.as_bytes(), member("ID"), register(), &weak);
    assert_eq!(outcome, Err(CheckpointError::Signature));
}

#[test]
fn a_checkpoint_continues_a_smaller_one_and_neither_shrinks_nor_forks() {
    let (three, seven) = (at(3), at(7));
    let proof = tree(7).consistency_proof(3, 7).unwrap();
    assert_eq!(seven.continues(&three, &proof), Ok(()));
    assert_eq!(seven.continues(&seven, &[]), Ok(()));
    assert_eq!(three.continues(&seven, &proof), Err(CheckpointError::Shrunk));
    assert_eq!(seven.continues(&three, &[]), Err(CheckpointError::Inconsistent));
    let forked = Checkpoint { root: leaf_hash(b"another"), ..three };
    assert_eq!(seven.continues(&forked, &proof), Err(CheckpointError::Inconsistent));
    assert_eq!(forked.continues(&three, &[]), Err(CheckpointError::Inconsistent));
    let other = Checkpoint { register: RegisterId::from_bytes([1; 16]), ..three };
    assert_eq!(seven.continues(&other, &proof), Err(CheckpointError::OtherRegister));
}

#[test]
fn a_cosignature_says_when_and_verifies_under_its_own_key_only() {
    let moment = Timestamp::from_unix(1_800_000_000);
    let cosignature = signed(3).cosign(member("MY"), &key(5), moment).unwrap();
    let cosigned = signed(3).with_cosignature(&cosignature).unwrap();
    assert_eq!(verify(cosigned.bytes()).as_ref(), Ok(&cosigned));
    assert_eq!(cosigned.verify_cosignature(member("MY"), &key(5).verifying_key()), Ok(Some(moment)));
    assert_eq!(cosigned.verify_cosignature(member("MY"), &key(6).verifying_key()), Ok(None));
    assert_eq!(cosigned.verify_cosignature(member("TH"), &key(5).verifying_key()), Ok(None));
    assert_eq!(cosigned.with_cosignature(&cosignature), Ok(cosigned.clone()));
    assert_eq!(cosignature.as_str().parse(), Ok(cosignature));
}

#[test]
fn a_cosignature_of_another_checkpoint_is_refused() {
    let elsewhere = signed(4).cosign(member("MY"), &key(5), Timestamp::from_unix(1)).unwrap();
    let cosigned = signed(3).with_cosignature(&elsewhere).unwrap();
    let outcome = cosigned.verify_cosignature(member("MY"), &key(5).verifying_key());
    assert_eq!(outcome, Err(CheckpointError::Cosignature));
    assert!(signed(3).cosign(member("MY"), &key(5), Timestamp::from_unix(-1)).is_err());
    assert!("\u{2014} name AAAAAAAA\n\n".parse::<Cosignature>().is_err());
}

#[test]
fn cosignatures_stay_within_the_bounds_of_a_note() {
    let mut checkpoint = signed(3);
    for number in 0..31 {
        let line: Cosignature = signature_line(&format!("w{number}"), [1; 4], &[0; 72]).parse().unwrap();
        checkpoint = checkpoint.with_cosignature(&line).unwrap();
    }
    let more: Cosignature = signature_line("more", [1; 4], &[0; 72]).parse().unwrap();
    assert_eq!(checkpoint.with_cosignature(&more), Err(CheckpointError::TooLarge));
}
