use eads_domain::audience::AudienceOpening;
use eads_domain::code::Coded as _;
use eads_domain::disclosure::{Disclosure, Opening};

use super::*;

fn hash(byte: u8) -> Hash {
    Hash::from_bytes([byte; 32])
}

fn whole() -> SyncBatch {
    let openings = SlotNumber::all().take(10).map(|slot| Opening { slot, salt: [slot.get(); 32], value: vec![0] });
    let commitments = SlotNumber::all().skip(10).map(|slot| (slot, hash(slot.get())));
    let disclosed = Disclosed {
        payload: vec![7; 186],
        signature: vec![8; 64],
        audience: Some(AudienceOpening { salt: [9; 32], position: 3, size: 16, path: vec![hash(1); 4] }),
        disclosure: Some(Disclosure { openings: openings.collect(), commitments: commitments.collect() }),
        detail: vec![1, 2, 3],
    };
    let delivery = |sequence, kind, disclosed| Delivery {
        sequence,
        kind,
        index: 4,
        disclosed,
        inclusion: vec![hash(2)],
        slot: None,
    };
    let change = KeyChange { index: 3, payload: vec![1; 186], signature: vec![2; 64] };
    SyncBatch {
        cards: vec![
            CardStep { card: b"card".to_vec(), change: None },
            CardStep { card: b"card".to_vec(), change: Some(change) },
        ],
        urgent: vec![delivery(0, DeliveryKind::Retract, Some(disclosed.clone()))],
        urgent_checkpoint: b"urgent".to_vec(),
        first_index: 5,
        leaves: vec![hash(3), hash(4)],
        checkpoint: b"checkpoint".to_vec(),
        consistency: vec![hash(5)],
        deliveries: vec![
            delivery(0, DeliveryKind::Disclose, Some(disclosed)),
            delivery(1, DeliveryKind::Disclose, None),
            delivery(2, DeliveryKind::Empty, None),
            Delivery { slot: Some(SlotNumber::IMAGES), ..delivery(3, DeliveryKind::Blob, None) },
            delivery(4, DeliveryKind::Blob, None),
        ],
        clock: Timestamp::from_unix(1_795_000_000),
        more: true,
    }
}

fn refused(spoil: impl FnOnce(&mut v1::SyncResponse)) -> &'static str {
    let mut spoiled = message(whole());
    spoil(&mut spoiled);
    batch(spoiled).expect_err("must be refused").code().as_str()
}

#[test]
fn a_batch_comes_back_as_what_it_was() {
    let back = batch(message(whole())).unwrap();
    assert_eq!(format!("{back:?}"), format!("{:?}", whole()));
    assert_eq!(message(back), message(whole()));
}

#[test]
fn a_delivery_whose_content_is_gone_says_so() {
    let sent = message(whole());
    let purged: Vec<bool> = sent.deliveries.iter().map(|delivery| delivery.purged).collect();
    assert_eq!(purged, [false, true, false, false, true]);
}

#[test]
fn a_cursor_comes_back_as_what_it_was() {
    let cursor_before =
        SyncCursor { register: RegisterId::from_bytes([6; 16]), register_cursor: 7, delivery_cursor: 8, card: 9 };
    let mut message = request(cursor_before);
    assert_eq!(message.protocol, 1);
    assert_eq!(cursor(&message), Ok(cursor_before));
    message.register.push(0);
    assert!(cursor(&message).is_err());
}

#[test]
fn leaves_that_are_not_whole_are_refused() {
    assert_eq!(refused(|m| m.leaves.truncate(33)), "MESSAGE_FIELD_LENGTH");
}

#[test]
fn too_much_of_anything_is_refused() {
    assert_eq!(refused(|m| m.leaves = vec![0; 32 * (MAX_LEAVES + 1)]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(refused(|m| m.checkpoint = vec![0; MAX_CHECKPOINT_BYTES + 1]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(refused(|m| m.consistency = vec![vec![0; 32]; MAX_PROOF + 1]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(refused(|m| m.urgent[0].inclusion = vec![vec![0; 32]; MAX_PROOF + 1]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(refused(|m| m.deliveries = vec![m.deliveries[2].clone(); MAX_DELIVERIES]), "MESSAGE_FIELD_TOO_LONG");
}

#[test]
fn hashes_payloads_and_signatures_of_other_lengths_are_refused() {
    fn shown(m: &mut v1::SyncResponse) -> &mut v1::Disclosure {
        m.deliveries[0].disclosure.as_mut().unwrap()
    }
    assert_eq!(refused(|m| m.consistency = vec![vec![0; 31]]), "MESSAGE_FIELD_LENGTH");
    assert_eq!(refused(|m| shown(m).statement.as_mut().unwrap().payload.push(0)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(refused(|m| shown(m).statement.as_mut().unwrap().signature.truncate(63)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(refused(|m| shown(m).audience.as_mut().unwrap().salt.clear()), "MESSAGE_FIELD_LENGTH");
    assert_eq!(refused(|m| shown(m).openings[0].salt.truncate(31)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(refused(|m| shown(m).commitments[0].commitment.push(0)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(refused(|m| shown(m).statement = None), "MESSAGE_FIELD_MISSING");
}

#[test]
fn slots_beyond_the_table_and_kinds_beyond_this_version_are_refused() {
    fn shown(m: &mut v1::SyncResponse) -> &mut v1::Disclosure {
        m.deliveries[0].disclosure.as_mut().unwrap()
    }
    assert_eq!(refused(|m| shown(m).openings[0].slot = 48), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(refused(|m| shown(m).commitments[0].slot = u32::MAX), "MESSAGE_FIELD_UNKNOWN");
    for kind in [0, 3, 5, -1, i32::MAX] {
        assert_eq!(refused(|m| m.deliveries[0].kind = kind), "MESSAGE_FIELD_UNKNOWN", "{kind}");
    }
}

#[test]
fn content_is_there_exactly_where_it_is_said_to_be() {
    assert_eq!(refused(|m| m.deliveries[0].disclosure = None), "MESSAGE_FIELD_MISSING");
    assert_eq!(refused(|m| m.deliveries[0].purged = true), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(refused(|m| m.deliveries[2].purged = true), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(refused(|m| m.deliveries[2].disclosure = m.deliveries[0].disclosure.clone()), "MESSAGE_FIELD_UNKNOWN");
}

#[test]
fn a_slot_is_named_exactly_where_photographs_can_be_fetched() {
    assert_eq!(refused(|m| m.deliveries[0].slot = 13), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(refused(|m| m.deliveries[4].slot = 13), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(refused(|m| m.deliveries[3].slot = 48), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(refused(|m| m.deliveries[3].disclosure = m.deliveries[0].disclosure.clone()), "MESSAGE_FIELD_UNKNOWN");
}

#[test]
fn what_is_asked_for_comes_back_as_what_it_was() {
    let asked =
        BlobAsked { digest: hash(1), slot: SlotNumber::IMAGES, id: BlobId::from_bytes([2; 16]), offset: 3, window: 4 };
    assert_eq!(blob_asked(&blob_request(asked)), Ok(asked));
    for spoil in [
        |m: &mut v1::FetchBlobRequest| m.digest.push(0),
        |m: &mut v1::FetchBlobRequest| m.id.clear(),
        |m: &mut v1::FetchBlobRequest| m.slot = 48,
    ] {
        let mut message = blob_request(asked);
        spoil(&mut message);
        assert!(blob_asked(&message).is_err());
    }
}
