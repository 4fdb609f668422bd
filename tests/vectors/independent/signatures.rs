//! Ed25519 as strictly as PROTOCOL §2 demands: Wycheproof's vectors, and keys and signatures of small order.
//!
//! The gates verify labelled messages, so Wycheproof's own messages cannot go through them: [`strict`] is what
//! every gate does, and the forgeries below, which fit any message, go through the gates themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eads_domain::card::{Card, SignedCard};
use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::receipt::{Receipt, ReceiptReason, ReceiptStatus, SignedReceipts};
use eads_domain::register::SignedCheckpoint;
use eads_domain::statement::Statement;
use ed25519_dalek::{Signature, Signer as _, Verifier as _, VerifyingKey};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestFlag, TestName, TestSet};

use crate::notices::checkpoint;
use crate::statements::malleated;
use crate::story::{START, Story, genesis_card, key, member, register};

/// Key, weakness, signature: the steps of the gates, in their order.
fn strict(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(public) = <&[u8; 32]>::try_from(public) else { return false };
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(public), Signature::from_slice(signature)) else {
        return false;
    };
    !key.is_weak() && key.verify_strict(message, &signature).is_ok()
}

/// Every encoding of a point of small order (1, 2, 4, 8): the canonical ones and those with y at or above 2^255 − 19,
/// each with both signs of x. Not each of them decodes.
fn small_order() -> Vec<[u8; 32]> {
    let order_8 = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    let low = |first: u8| {
        let mut bytes = [0; 32];
        bytes[0] = first;
        bytes
    };
    let high = |first: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (first, 0x7f);
        bytes
    };
    // 0, 1, −1 and p, p + 1 as y.
    let mut all = vec![low(0), low(1), high(0xec), high(0xed), high(0xee)];
    all.extend(order_8.map(|digits| <[u8; 32]>::try_from(hex::decode(digits).unwrap()).unwrap()));
    let mut negated = all.clone();
    negated.iter_mut().for_each(|bytes| bytes[31] |= 0x80);
    all.extend(negated);
    all
}

fn signature_of(r: [u8; 32]) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature
}

#[test]
fn wycheproof_valid_signatures_are_accepted_and_invalid_ones_refused() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let accepted = strict(&group.key.pk, &test.msg, &test.sig);
            // Strictness refuses none of the valid ones: none of them uses a point of small order.
            match test.result {
                TestResult::Valid => valid += 1,
                TestResult::Invalid | TestResult::Acceptable => invalid += 1,
            }
            assert_eq!(accepted, test.result == TestResult::Valid, "{}: {} {:?}", test.tc_id, test.comment, test.flags);
        }
    }
    assert_eq!((valid, invalid), (88, 63), "another edition of the vectors: look at what it adds");
    let malleable = |test: &&wycheproof::eddsa::Test| test.flags.contains(&TestFlag::SignatureMalleability);
    assert!(set.test_groups.iter().flat_map(|group| &group.tests).filter(malleable).count() > 0);
}

/// The checkpoint with its signature line replaced by one that names `key`.
fn note_by(note: &SignedCheckpoint, key: &VerifyingKey, signature: &[u8; 64]) -> Vec<u8> {
    let whole = String::from_utf8_lossy(note.bytes()).into_owned();
    let (text, _line) = whole.split_once("\n\n").unwrap();
    let name = note.checkpoint().origin();
    let id = signed_note::key_id(&name, &[&[1], key.as_bytes().as_slice()].concat()).to_be_bytes();
    let line = STANDARD.encode([&id, signature.as_slice()].concat());
    format!("{text}\n\n\u{2014} {name} {line}\n").into_bytes()
}

#[test]
fn keys_of_small_order_open_no_gate() {
    let story = Story::tell();
    let statement = &story.entries[0].statement;
    let note = checkpoint(&story, 6, "signing key 0");
    let receipt = Receipt {
        status: ReceiptStatus::Accepted,
        receiver: member("MY"),
        origin: member("ID"),
        register: register(),
        index: 0,
        digest: statement.digest(),
        shown: 1,
        reason: ReceiptReason::NONE,
        at: Timestamp::from_unix(START),
        backups_until: None,
        keyseq: 0,
    };
    let (mut decoded, mut forged) = (0, 0);
    for public in small_order() {
        let Ok(weak) = VerifyingKey::from_bytes(&public) else { continue };
        decoded += 1;
        assert!(weak.is_weak());
        for r in small_order() {
            let signature = signature_of(r);
            // What a check that is not strict takes for a signature over this message by this key.
            forged += usize::from(weak.verify(statement.payload_bytes(), &Signature::from_bytes(&signature)).is_ok());
            assert!(!strict(&public, statement.payload_bytes(), &signature));
            let refused = Statement::verify(statement.payload_bytes(), &signature, &weak).unwrap_err();
            assert_eq!(refused.code().as_str(), "STATEMENT_KEY_WEAK");
            let refused = SignedReceipts::verify(vec![receipt.to_bytes().to_vec()], &signature, member("MY"), &weak);
            assert_eq!(refused.unwrap_err().code().as_str(), "RECEIPT_SIGNATURE");
            assert_eq!(receipt.verify(&signature, &weak).unwrap_err().code().as_str(), "RECEIPT_SIGNATURE");
            let refused = SignedCheckpoint::verify(&note_by(&note, &weak, &signature), member("ID"), register(), &weak);
            assert_eq!(refused.unwrap_err().code().as_str(), "CHECKPOINT_SIGNATURE");
        }
    }
    assert!(decoded >= 8, "the points of small order have eight encodings at least, here {decoded}");
    assert!(forged > 0, "a check that is not strict is fooled: else this test shows nothing");
}

/// Keys with y written as y + p that have full order: a second spelling of a key that somebody may hold.
fn second_spellings() -> impl Iterator<Item = VerifyingKey> {
    let spelled = |above: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed + above, 0x7f);
        VerifyingKey::from_bytes(&bytes).ok()
    };
    (2..=18).filter_map(spelled)
}

#[test]
fn a_card_takes_neither_weak_keys_nor_second_spellings() {
    let weak = small_order().into_iter().filter_map(|public| VerifyingKey::from_bytes(&public).ok());
    let spelled_twice: Vec<_> = second_spellings().collect();
    assert!(spelled_twice.iter().any(|key| !key.is_weak()), "else this test shows nothing");
    for cosigner_key in weak.chain(spelled_twice) {
        let card = Card { cosigner_key, ..genesis_card().card().clone() };
        let refused = SignedCard::sign(card, &key("signing key 0")).unwrap_err();
        assert_eq!(refused.code().as_str(), "CARD_WEAK_KEY");
    }
}

#[test]
fn the_line_that_the_forgeries_stand_on_is_the_one_that_counts() {
    let (story, signing) = (Story::tell(), key("signing key 0"));
    let note = checkpoint(&story, 6, "signing key 0");
    let whole = String::from_utf8_lossy(note.bytes()).into_owned();
    let (text, _line) = whole.split_once("\n\n").unwrap();
    let signature = signing.sign(format!("{text}\n").as_bytes()).to_bytes();
    assert_eq!(note_by(&note, &signing.verifying_key(), &signature), note.bytes());
}

#[test]
fn a_signature_has_one_form() {
    let story = Story::tell();
    let (statement, public) = (&story.entries[0].statement, key("signing key 0").verifying_key());
    let gate = |signature: &[u8]| Statement::verify(statement.payload_bytes(), signature, &public).is_ok();
    let good = statement.signature();
    assert!(gate(good));
    assert!(!gate(&malleated(good)));
    assert!(!gate(&good[..63]));
    assert!(!gate(&[good.as_slice(), &[0]].concat()));
    for r in small_order() {
        let mut other = *good;
        other[..32].copy_from_slice(&r);
        assert!(!gate(&other));
    }
    for bit in 0..512 {
        let mut other = *good;
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!gate(&other), "bit {bit}");
    }
}
