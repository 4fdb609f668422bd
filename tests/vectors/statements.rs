//! PROTOCOL §2: payloads, digests, leaves, signatures, and what stands behind a detail.

use eads_domain::code::Coded as _;
use eads_domain::encode;
use eads_domain::slot::{SlotNumber, SlotSet};
use eads_domain::statement::{RetractDetail, Statement, anchor_digest, key_change_digest};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::json::{Json, hex, list, number, object, text};
use crate::story::{ANCHORED, Entry, Story, card_body, genesis_card, key, rotated_card};

const LABEL: &[u8] = b"eads/v1/statement";

pub(crate) fn statements(story: &Story) -> Json {
    let statement = |(index, entry): (usize, &Entry)| {
        let (payload, statement) = (entry.statement.payload(), &entry.statement);
        object([
            ("why", text(entry.why)),
            ("index", number(u64::try_from(index).expect("few"))),
            ("action", text(payload.action)),
            ("origin", text(payload.origin)),
            ("register", hex(payload.register.as_bytes())),
            ("keyseq", number(payload.keyseq)),
            ("blind", hex(payload.blind.as_bytes())),
            ("notice", hex(payload.notice.as_bytes())),
            ("schema", number(payload.schema)),
            ("issued", number(payload.issued.as_unix())),
            ("not_after", number(payload.not_after.as_unix())),
            ("slots", hex(payload.slots.as_bytes())),
            ("audience", hex(payload.audience.as_bytes())),
            ("detail", hex(payload.detail.as_bytes())),
            ("detail_bytes", hex(&entry.detail)),
            ("payload", hex(statement.payload_bytes())),
            ("key", hex(entry.key.verifying_key().as_bytes())),
            ("signature", hex(statement.signature())),
            ("digest", hex(statement.digest().as_bytes())),
            ("leaf", hex(statement.leaf().as_bytes())),
        ])
    };
    object([
        (
            "description",
            text(
                "The register of member ID. payload: u8 ver=1 | u8 action | origin[2] | register[16] | u32 keyseq | \
                 blind[32] | notice[16] | u16 schema | i64 issued | i64 not_after | slots[32] | audience[32] | detail[32]; \
                 M = PAE(\"eads/v1/statement\", payload), signature = Ed25519(key, M), digest = SHA-256(M), leaf = \
                 SHA-256(0x00 | digest). Every rejected one must be refused.",
            ),
        ),
        ("statements", list(story.entries.iter().enumerate().map(statement))),
        ("rejected", list(rejected(story))),
    ])
}

/// An issue with some bytes replaced, signed again: what is wrong with it is never the signature.
fn altered(story: &Story, key: &SigningKey, place: usize, bytes: &[u8]) -> (Vec<u8>, [u8; 64]) {
    let mut payload = story.entries[0].statement.payload_bytes().to_vec();
    payload.splice(place..(place + bytes.len()).min(payload.len()), bytes.iter().copied());
    let signature = key.sign(&encode::pae(&[LABEL, &payload])).to_bytes();
    (payload, signature)
}

fn rejected(story: &Story) -> Vec<Json> {
    let (good, anchor) = (&story.entries[0].statement, &story.entries[7].statement);
    let signing = key("signing key 0");
    let resigned = |place, bytes: &[u8]| altered(story, &signing, place, bytes);
    let mut no_detail = anchor.payload_bytes().to_vec();
    no_detail[154..].fill(0);
    let no_detail_signature = signing.sign(&encode::pae(&[LABEL, &no_detail])).to_bytes();
    let with_signature = |signature: [u8; 64]| (good.payload_bytes().to_vec(), signature);
    let mut flipped = *good.signature();
    flipped[0] ^= 1;
    let unlabelled = signing.sign(good.payload_bytes()).to_bytes();
    let public = signing.verifying_key().to_bytes();
    // Under the identity as key, R = identity and S = 0 satisfy the equation for every message.
    let (mut identity, mut empty) = ([0; 32], [0; 64]);
    (identity[0], empty[0]) = (1, 1);
    let cases = [
        ("an unknown version", resigned(0, &[2]), public),
        ("no such action", resigned(1, &[0]), public),
        ("no such action", resigned(1, &[9]), public),
        ("the origin is not two capital letters", resigned(2, b"id"), public),
        ("an unknown schema", resigned(72, &[0xff, 0xff]), public),
        ("a detail where the action has none", resigned(154, &[1]), public),
        ("no detail where the action has one", (no_detail, no_detail_signature), public),
        ("a trailing byte", resigned(186, &[0]), public),
        ("a flipped bit in the signature", with_signature(flipped), public),
        (
            "S plus the group order: the same signature in a second form",
            with_signature(malleated(good.signature())),
            public,
        ),
        ("signed without the label", with_signature(unlabelled), public),
        ("signed by another key", with_signature(*good.signature()), key("signing key 1").verifying_key().to_bytes()),
        ("a key of small order, which verifies everything", with_signature(empty), identity),
    ];
    let case = |(why, (payload, signature), public): (&str, (Vec<u8>, [u8; 64]), [u8; 32])| {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public).expect("a point");
        let code = Statement::verify(&payload, &signature, &key).expect_err(why).code();
        object([
            ("why", text(why)),
            ("payload", hex(payload)),
            ("key", hex(public)),
            ("signature", hex(signature)),
            ("code", text(code)),
        ])
    };
    cases.map(case).into()
}

/// The signature with the order of the group added to S, as an integer (RFC 8032, 5.1.7 forbids it).
pub(crate) fn malleated(signature: &[u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut out = *signature;
    let mut carry = 0_u16;
    for (byte, order) in out[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        carry = sum >> 8;
        *byte = sum.to_le_bytes()[0];
    }
    out
}

pub(crate) fn details() -> Json {
    let set = |slots: &[u8]| slots.iter().map(|slot| SlotNumber::new(*slot).expect("a slot")).collect::<SlotSet>();
    let retractions = [
        ("everything of one statement", vec![(0, SlotSet::EMPTY)]),
        ("all slots but one of statement 1; bit i is slot i", vec![(1, set(&[0]).complement())]),
        ("the detail of entry 5", crate::story::retraction().entries().to_vec()),
        ("a large index", vec![(7, set(&[0, 47])), (1 << 40, SlotSet::EMPTY)]),
    ];
    let retraction = |(why, entries): (&str, Vec<(u64, SlotSet)>)| {
        let detail = RetractDetail::new(entries).expect("a retraction");
        let entry =
            |(index, slots): &(u64, SlotSet)| object([("index", number(*index)), ("slots", number(slots.bits()))]);
        object([
            ("why", text(why)),
            ("entries", list(detail.entries().iter().map(entry))),
            ("bytes", hex(detail.encode())),
            ("detail", hex(detail.digest().as_bytes())),
        ])
    };
    let entry = |index: u64, bits: u64| [index.to_be_bytes(), bits.to_be_bytes()].concat();
    let rejected = [
        ("none", Vec::new()),
        ("half an entry", vec![0; 8]),
        ("one index twice", [entry(1, 0), entry(1, 0)].concat()),
        ("indexes descend", [entry(2, 0), entry(1, 0)].concat()),
        ("slot 48 does not exist", entry(1, 1 << 48)),
    ];
    let rejected = rejected.map(|(why, bytes)| {
        let code = RetractDetail::parse(&bytes).expect_err(why).code();
        object([("why", text(why)), ("bytes", hex(bytes)), ("code", text(code))])
    });
    let digest = |why, bytes: &[u8], digest: eads_domain::id::Hash| {
        object([("why", text(why)), ("bytes", hex(bytes)), ("detail", hex(digest.as_bytes()))])
    };
    let cards = [("the first card", genesis_card()), ("the card of entry 6", rotated_card())];
    object([
        (
            "description",
            text(
                "The payload's detail. retract: SHA-256(PAE(\"eads/v1/retract\", bytes)), bytes = (u64 index | u64 slots \
                 still allowed)*, indexes ascending; key-change: SHA-256(PAE(\"eads/v1/card\", card without its \
                 signature)); anchor: SHA-256(PAE(\"eads/v1/anchor\", head)).",
            ),
        ),
        ("retract", list(retractions.map(retraction))),
        ("retract_rejected", list(rejected)),
        (
            "key_change",
            list(cards.map(|(why, card)| digest(why, &card_body(&card), key_change_digest(&card_body(&card))))),
        ),
        (
            "anchor",
            list([
                digest("the head of entry 7", ANCHORED, anchor_digest(ANCHORED)),
                digest("empty", b"", anchor_digest(b"")),
            ]),
        ),
    ])
}
