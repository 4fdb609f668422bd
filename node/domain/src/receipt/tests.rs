//! Receipts signed, altered, mixed up.

use proptest::prelude::*;

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn member(text: &str) -> MemberId {
    text.parse().unwrap()
}

fn receipt(index: u64) -> Receipt {
    Receipt {
        status: ReceiptStatus::Accepted,
        receiver: member("MY"),
        origin: member("ID"),
        register: RegisterId::from_bytes([7; 16]),
        index,
        digest: Hash::from_bytes([9; 32]),
        shown: 0x0000_1234_5678_9abc,
        reason: ReceiptReason::NONE,
        at: Timestamp::from_unix(1_800_000_000),
        backups_until: None,
        keyseq: 3,
    }
}

fn signed() -> SignedReceipts {
    SignedReceipts::sign(&[receipt(1), receipt(2)], &key(1)).unwrap()
}

fn verify(parts: &[Vec<u8>], signature: &[u8], receiver: &str, by: u8) -> Result<SignedReceipts, ReceiptError> {
    SignedReceipts::verify(parts.to_vec(), signature, member(receiver), &key(by).verifying_key())
}

#[test]
fn the_fields_stand_where_the_protocol_puts_them() {
    let bytes = Receipt { backups_until: Some(Timestamp::from_unix(5)), ..receipt(0x0102) }.to_bytes();
    assert_eq!(bytes[..5], *b"\x01MYID");
    assert_eq!(bytes[5..21], [7; 16]);
    assert_eq!(bytes[21..29], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(bytes[29..61], [9; 32]);
    assert_eq!(bytes[79..87], [0, 0, 0, 0, 0, 0, 0, 5]);
    assert_eq!(bytes[87..], [0, 0, 0, 3]);
}

#[test]
fn a_batch_that_was_signed_verifies_and_keeps_its_bytes() {
    let batch = signed();
    let back = verify(batch.parts(), batch.signature(), "MY", 1).unwrap();
    assert_eq!(back, batch);
    assert_eq!(back.receipts()[1].index, 2);
}

#[test]
fn another_key_another_receiver_and_another_order_are_refused() {
    let batch = signed();
    assert_eq!(verify(batch.parts(), batch.signature(), "MY", 2), Err(ReceiptError::Signature));
    assert_eq!(verify(batch.parts(), batch.signature(), "TH", 1), Err(ReceiptError::OtherReceiver));
    let swapped: Vec<_> = batch.parts().iter().rev().cloned().collect();
    assert_eq!(verify(&swapped, batch.signature(), "MY", 1), Err(ReceiptError::Signature));
    assert_eq!(verify(&batch.parts()[..1], batch.signature(), "MY", 1), Err(ReceiptError::Signature));
}

#[test]
fn every_flipped_bit_is_refused() {
    let batch = signed();
    for bit in 0..RECEIPT_BYTES * 8 {
        let mut parts = batch.parts().to_vec();
        parts[0][bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&parts, batch.signature(), "MY", 1).is_err());
    }
    for bit in 0..64 * 8 {
        let mut signature = *batch.signature();
        signature[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(batch.parts(), &signature, "MY", 1), Err(ReceiptError::Signature));
    }
}

#[test]
fn a_signature_with_a_non_canonical_scalar_is_refused() {
    // S + L is the same scalar modulo L (RFC 8032, 5.1.7, demands S < L).
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let batch = signed();
    let mut signature = *batch.signature();
    let mut carry = 0_u16;
    for (byte, l) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(verify(batch.parts(), &signature, "MY", 1), Err(ReceiptError::Signature));
}

#[test]
fn a_weak_key_verifies_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = VerifyingKey::from_bytes(&identity).unwrap();
    let mut signature = [0; 64];
    signature[0] = 1;
    let parts = signed().parts().to_vec();
    assert_eq!(SignedReceipts::verify(parts, &signature, member("MY"), &weak), Err(ReceiptError::Signature));
}

#[test]
fn a_receipt_signed_alone_is_no_batch_of_one() {
    let alone = receipt(1).sign(&key(1));
    assert_eq!(receipt(1).verify(&alone, &key(1).verifying_key()), Ok(()));
    assert_eq!(receipt(2).verify(&alone, &key(1).verifying_key()), Err(ReceiptError::Signature));
    assert_eq!(verify(&[receipt(1).to_bytes().to_vec()], &alone, "MY", 1), Err(ReceiptError::Signature));
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(SignedReceipts::sign(&[], &key(1)), Err(ReceiptError::Count));
    assert_eq!(SignedReceipts::sign(&vec![receipt(0); MAX_RECEIPTS + 1], &key(1)), Err(ReceiptError::Count));
    assert_eq!(verify(&[], &[0; 64], "MY", 1), Err(ReceiptError::Count));
    let long = [receipt(1).to_bytes().as_slice(), &[0]].concat();
    assert_eq!(Receipt::parse(&long), Err(ReceiptError::Length));
    assert_eq!(Receipt::parse(&long[..RECEIPT_BYTES - 1]), Err(ReceiptError::Length));
    assert_eq!(verify(signed().parts(), &[0; 63], "MY", 1), Err(ReceiptError::Signature));
}

#[test]
fn receivers_are_not_mixed_under_one_signature() {
    let other = Receipt { receiver: member("TH"), ..receipt(2) };
    assert_eq!(SignedReceipts::sign(&[receipt(1), other], &key(1)), Err(ReceiptError::OtherReceiver));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_come_back_as_they_were(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(receipt) = Receipt::parse(&bytes) {
            prop_assert_eq!(receipt.to_bytes().to_vec(), bytes);
        }
    }

    #[test]
    fn any_fields_come_back(status in 1_u8..=5, index: u64, shown: u64, reason: u16, at: i64, until: i64) {
        let until = Some(until).filter(|until| *until != 0).map(Timestamp::from_unix);
        let receipt = Receipt {
            status: ReceiptStatus::from_byte(status).unwrap(),
            shown,
            reason: ReceiptReason::from_number(reason),
            at: Timestamp::from_unix(at),
            backups_until: until,
            ..receipt(index)
        };
        prop_assert_eq!(Receipt::parse(&receipt.to_bytes()), Ok(receipt));
    }
}
