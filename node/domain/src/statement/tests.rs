use super::*;
use crate::clock::Timestamp;
use crate::code::Coded as _;
use crate::entropy::{Entropy as _, SeededEntropy};
use crate::id::{NoticeId, RegisterId};
use crate::slot::{SlotNumber, SlotSet};

fn key(seed: &str) -> SigningKey {
    SigningKey::from_bytes(&crate::entropy::random(&SeededEntropy::new(seed)))
}

pub(crate) fn payload(action: Action) -> Payload {
    let entropy = SeededEntropy::new("payload");
    Payload {
        action,
        origin: "ID".parse().unwrap(),
        register: RegisterId::random(&entropy),
        keyseq: 3,
        blind: Blind::random(&entropy),
        notice: NoticeId::random(&entropy),
        schema: crate::slot::SCHEMA,
        issued: Timestamp::from_unix(1_790_000_000),
        not_after: Timestamp::from_unix(1_800_000_000),
        slots: Hash::random(&entropy),
        audience: Hash::random(&entropy),
        detail: if action.carries_content() { Payload::NO_DETAIL } else { Hash::random(&entropy) },
    }
}

#[test]
fn a_signed_statement_verifies_and_keeps_its_bytes() {
    let key = key("origin");
    for action in Action::ALL {
        let signed = Statement::sign(payload(action), &key).unwrap();
        let read = Statement::verify(signed.payload_bytes(), signed.signature(), &key.verifying_key()).unwrap();
        assert_eq!(read, signed);
        assert_eq!(read.payload(), &payload(action));
    }
}

#[test]
fn digest_and_leaf_are_those_of_the_protocol() {
    let statement = Statement::sign(payload(Action::Issue), &key("origin")).unwrap();
    let message = pae(&[b"eads/v1/statement", statement.payload_bytes()]);
    assert_eq!(statement.digest(), sha256(&message));
    assert_eq!(statement.leaf(), sha256(&[&[0], statement.digest().as_bytes().as_slice()].concat()));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let key = key("origin");
    let signed = Statement::sign(payload(Action::Issue), &key).unwrap();
    for bit in 0..Payload::LEN * 8 {
        let mut bytes = *signed.payload_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verified = Statement::verify(&bytes, signed.signature(), &key.verifying_key());
        assert_eq!(verified, Err(StatementError::Signature), "payload bit {bit}");
    }
    for bit in 0..64 * 8 {
        let mut signature = *signed.signature();
        signature[bit / 8] ^= 1 << (bit % 8);
        let verified = Statement::verify(signed.payload_bytes(), &signature, &key.verifying_key());
        assert_eq!(verified, Err(StatementError::Signature), "signature bit {bit}");
    }
}

#[test]
fn other_lengths_and_other_keys_are_refused() {
    let origin = key("origin");
    let signed = Statement::sign(payload(Action::Issue), &origin).unwrap();
    let verify = |payload: &[u8], signature: &[u8], key: &SigningKey| {
        Statement::verify(payload, signature, &key.verifying_key()).unwrap_err()
    };
    let (bytes, signature) = (signed.payload_bytes().as_slice(), signed.signature().as_slice());
    assert_eq!(verify(&bytes[..185], signature, &origin), StatementError::PayloadLength);
    assert_eq!(verify(&[bytes, &[0]].concat(), signature, &origin), StatementError::PayloadLength);
    assert_eq!(verify(&[], signature, &origin), StatementError::PayloadLength);
    assert_eq!(verify(bytes, &signature[..63], &origin), StatementError::SignatureLength);
    assert_eq!(verify(bytes, &[signature, &[0]].concat(), &origin), StatementError::SignatureLength);
    assert_eq!(verify(bytes, signature, &key("other")), StatementError::Signature);
}

#[test]
fn a_weak_key_vouches_for_nothing() {
    // The neutral element: with it the zero signature would fit every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let weak = VerifyingKey::from_bytes(&neutral).unwrap();
    let mut signature = [0; 64];
    signature[0] = 1;
    let bytes = payload(Action::Issue).to_bytes();
    assert_eq!(Statement::verify(&bytes, &signature, &weak), Err(StatementError::WeakKey));
}

#[test]
fn a_signature_that_is_not_canonical_is_refused() {
    // s + L signs as well as s where the scalar is not checked (RFC 8032 §5.1.7).
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = key("origin");
    let signed = Statement::sign(payload(Action::Issue), &key).unwrap();
    let mut signature = *signed.signature();
    let mut carry = 0_u16;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = u8::try_from(carry & 0xFF).unwrap();
        carry >>= 8;
    }
    let verified = Statement::verify(signed.payload_bytes(), &signature, &key.verifying_key());
    assert_eq!(verified, Err(StatementError::Signature));
}

/// Signs bytes that no honest program would sign.
fn forced(change: impl Fn(&mut [u8; Payload::LEN])) -> StatementError {
    let key = key("origin");
    let mut bytes = payload(Action::Issue).to_bytes();
    change(&mut bytes);
    let signature = key.sign(&message(&bytes)).to_bytes();
    Statement::verify(&bytes, &signature, &key.verifying_key()).unwrap_err()
}

#[test]
fn well_signed_payloads_that_are_none_are_refused() {
    assert_eq!(forced(|bytes| bytes[0] = 2), StatementError::Version(2));
    assert_eq!(forced(|bytes| bytes[1] = 0), StatementError::Action(0));
    assert_eq!(forced(|bytes| bytes[1] = 9), StatementError::Action(9));
    assert_eq!(forced(|bytes| bytes[2] = b'i'), StatementError::Origin);
    assert_eq!(forced(|bytes| bytes[73] = 3), StatementError::Schema(3));
    assert_eq!(forced(|bytes| bytes[73] = 0), StatementError::Schema(0));
    assert_eq!(forced(|bytes| bytes[185] = 1), StatementError::Detail);
    assert_eq!(forced(|bytes| bytes[1] = 6), StatementError::Detail, "a retraction of nothing");
}

#[test]
fn what_no_reader_accepts_is_not_signed() {
    let mut wrong = payload(Action::Issue);
    wrong.detail = Hash::from_bytes([1; 32]);
    assert_eq!(Statement::sign(wrong, &key("origin")), Err(StatementError::Detail));
    let mut wrong = payload(Action::Anchor);
    wrong.detail = Payload::NO_DETAIL;
    assert_eq!(Statement::sign(wrong, &key("origin")), Err(StatementError::Detail));
    let mut wrong = payload(Action::Issue);
    wrong.schema = 7;
    assert_eq!(Statement::sign(wrong, &key("origin")), Err(StatementError::Schema(7)));
}

#[test]
fn fields_stand_where_the_protocol_puts_them() {
    let payload = payload(Action::Withdraw);
    let bytes = payload.to_bytes();
    assert_eq!(bytes[..4], [1, 5, b'I', b'D']);
    assert_eq!(bytes[4..20], *payload.register.as_bytes());
    assert_eq!(bytes[20..24], [0, 0, 0, 3]);
    assert_eq!(bytes[24..56], *payload.blind.as_bytes());
    assert_eq!(bytes[56..72], *payload.notice.as_bytes());
    assert_eq!(bytes[72..74], [0, 2]);
    assert_eq!(bytes[74..82], 1_790_000_000_i64.to_be_bytes());
    assert_eq!(bytes[82..90], 1_800_000_000_i64.to_be_bytes());
    assert_eq!(bytes[90..122], *payload.slots.as_bytes());
    assert_eq!(bytes[122..154], *payload.audience.as_bytes());
    assert_eq!(bytes[154..], [0; 32]);
}

#[test]
fn a_notice_is_valid_through_its_last_second() {
    let payload = payload(Action::Issue);
    assert!(!payload.is_expired_at(payload.not_after));
    assert!(payload.is_expired_at(payload.not_after.plus_seconds(1)));
}

#[test]
fn actions_are_read_back_from_their_words_and_bytes() {
    for (byte, action) in (1..).zip(Action::ALL) {
        assert_eq!(Action::try_from(byte), Ok(action));
        assert_eq!(action.as_str().parse(), Ok(action));
    }
    assert_eq!("erase".parse::<Action>().unwrap_err().code().as_str(), "STATEMENT_ACTION_UNKNOWN");
    let protective: Vec<_> = Action::ALL.into_iter().filter(|action| action.is_protective()).collect();
    assert_eq!(protective, [Action::Suspend, Action::Withdraw, Action::Retract]);
}

#[test]
fn a_blind_is_not_printed() {
    assert_eq!(format!("{:?}", payload(Action::Issue).blind), "Blind(..)");
}

#[test]
fn a_retraction_has_one_encoding() {
    let some: SlotSet = [SlotNumber::KIND, SlotNumber::SUMMARY].into_iter().collect();
    let detail = RetractDetail::new(vec![(9, SlotSet::EMPTY), (4, some)]).unwrap();
    let bytes = detail.encode();
    assert_eq!(RetractDetail::parse(&bytes), Ok(detail.clone()));
    assert_eq!(detail.allowed(4), Some(some));
    assert_eq!(detail.allowed(9), Some(SlotSet::EMPTY));
    assert_eq!(detail.allowed(5), None);
    assert_eq!(detail.digest(), crate::encode::sha256_pae(&[b"eads/v1/retract", &bytes]));

    let swapped = [&bytes[16..], &bytes[..16]].concat();
    assert_eq!(RetractDetail::parse(&swapped), Err(InvalidDetail::Order));
    assert_eq!(RetractDetail::parse(&[&bytes[..16], &bytes[..16]].concat()), Err(InvalidDetail::Order));
    assert_eq!(RetractDetail::parse(&bytes[..31]), Err(InvalidDetail::Length));
    assert_eq!(RetractDetail::parse(&[]), Err(InvalidDetail::Count));
    let mut beyond = bytes.clone();
    beyond[8] = 0x80;
    assert_eq!(RetractDetail::parse(&beyond), Err(InvalidDetail::Slots));
    let many: Vec<_> = (0..=4096).map(|index| (index, SlotSet::EMPTY)).collect();
    assert_eq!(RetractDetail::new(many), Err(InvalidDetail::Count));
}

#[test]
fn random_bytes_are_no_statement() {
    let entropy = SeededEntropy::new("noise");
    let verifying = key("origin").verifying_key();
    for _ in 0..50 {
        let (mut payload, mut signature) = ([0; Payload::LEN], [0; 64]);
        entropy.fill(&mut payload);
        entropy.fill(&mut signature);
        assert!(Statement::verify(&payload, &signature, &verifying).is_err());
    }
}
