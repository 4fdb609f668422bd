//! PROTOCOL §5 and §7: receipts and cards; and the keys that sign everything here.

use eads_domain::clock::Timestamp;
use eads_domain::encode;
use eads_domain::entropy::random;
use eads_domain::receipt::{RECEIPT_LABEL, RECEIPTS_LABEL, Receipt, ReceiptReason, ReceiptStatus, SignedReceipts};

use crate::json::{Json, hex, list, number, object, text};
use crate::story::{START, Story, approver_key, card_body, entropy, genesis_card, key, member, register, rotated_card};

const ED25519: [&str; 6] =
    ["signing key 0", "signing key 1", "signing key 2", "cosigner key", "MY signing key", "MY cosigner key"];

pub(crate) fn keys() -> Json {
    let ed25519 = |name| {
        let key = key(name);
        object([
            ("name", text(name)),
            ("seed", hex(random::<32>(&entropy(name)))),
            ("public", hex(key.verifying_key().as_bytes())),
        ])
    };
    let approver = object([
        ("name", text("approver")),
        ("scalar", hex(approver_key().to_bytes())),
        ("public", hex(approver_key().verifying_key().to_sec1_point(false).as_bytes())),
    ]);
    object([
        (
            "description",
            text(
                "The keys of all vectors. They are published: never use them. A seed is the first 32 bytes of the \
                 stream SHA-256(SHA-256(\"eads/v1 vectors: \" | name) | u64 0), read from its last byte to its first.",
            ),
        ),
        ("ed25519", list(ED25519.map(ed25519))),
        ("p256", list([approver])),
    ])
}

fn all_receipts(story: &Story) -> Vec<(&'static str, Receipt)> {
    let receipt = |place: usize, status, shown, reason, backups_until: Option<i64>| Receipt {
        status,
        receiver: member("MY"),
        origin: member("ID"),
        register: register(),
        index: u64::try_from(place).expect("few"),
        digest: story.entries[place].statement.digest(),
        shown,
        reason,
        at: Timestamp::from_unix(START + 100 + i64::try_from(place).expect("few")),
        backups_until: backups_until.map(Timestamp::from_unix),
        keyseq: 0,
    };
    let all = (1 << 48) - 1;
    vec![
        ("stored and in use; all slots shown", receipt(0, ReceiptStatus::Accepted, all, ReceiptReason::NONE, None)),
        ("not taken", receipt(1, ReceiptStatus::Rejected, 0x83ff, ReceiptReason::POLITICAL, None)),
        ("waits for the desk", receipt(2, ReceiptStatus::Quarantined, 0x83ff, ReceiptReason::NONE, None)),
        ("an officer saw it", receipt(3, ReceiptStatus::Delivered, 0x83ff, ReceiptReason::NONE, None)),
        (
            "destroyed; volume snapshots could hold it for 35 more days",
            receipt(4, ReceiptStatus::Purged, 0x83ff, ReceiptReason::WITHDRAWN, Some(START + 35 * 86_400)),
        ),
    ]
}

pub(crate) fn receipts(story: &Story) -> Json {
    let signing = key("MY signing key");
    let all = all_receipts(story);
    let single = |(why, receipt): &(&str, Receipt)| {
        let signature = receipt.sign(&signing);
        receipt.verify(&signature, &signing.verifying_key()).expect("a receipt that verifies");
        object([
            ("why", text(why)),
            ("status", number(receipt.status.as_byte())),
            ("receiver", text(receipt.receiver)),
            ("origin", text(receipt.origin)),
            ("register", hex(receipt.register.as_bytes())),
            ("index", number(receipt.index)),
            ("digest", hex(receipt.digest.as_bytes())),
            ("shown", number(receipt.shown)),
            ("reason", number(receipt.reason.number())),
            ("at", number(receipt.at.as_unix())),
            ("backups_until", number(receipt.backups_until.map_or(0, Timestamp::as_unix))),
            ("keyseq", number(receipt.keyseq)),
            ("part", hex(receipt.to_bytes())),
            ("message", hex(encode::pae(&[RECEIPT_LABEL, &receipt.to_bytes()]))),
            ("signature", hex(signature)),
        ])
    };
    let batch = |(why, receipts): (&str, Vec<Receipt>)| {
        let signed = SignedReceipts::sign(&receipts, &signing).expect("a batch");
        let parts: Vec<&[u8]> =
            std::iter::once(RECEIPTS_LABEL).chain(signed.parts().iter().map(Vec::as_slice)).collect();
        object([
            ("why", text(why)),
            ("parts", list(signed.parts().iter().map(hex))),
            ("message_sha256", hex(encode::sha256_pae(&parts).as_bytes())),
            ("signature", hex(signed.signature())),
        ])
    };
    let whole: Vec<_> = all.iter().map(|(_, receipt)| *receipt).collect();
    let batches =
        [("a batch of one is not a receipt by itself", whole[..1].to_vec()), ("five receipts, in this order", whole)];
    object([
        (
            "description",
            text(
                "part: u8 status | receiver[2] | origin[2] | register[16] | u64 index | D[32] | u64 shown | u16 reason | i64 \
                 at | i64 backups_until | u32 keyseq (91 bytes). By itself: signature over PAE(\"eads/v1/receipt\", \
                 part). A batch: over PAE(\"eads/v1/receipts\", part, ..).",
            ),
        ),
        ("key", hex(signing.verifying_key().as_bytes())),
        ("receipts", list(all.iter().map(single))),
        ("batches", list(batches.map(batch))),
    ])
}

pub(crate) fn cards() -> Json {
    let cases =
        [("the first card", genesis_card()), ("the next card: by the key that the first announced", rotated_card())];
    let case = |(why, signed): (&str, eads_domain::card::SignedCard)| {
        let (card, body) = (signed.card(), card_body(&signed));
        object([
            ("why", text(why)),
            ("member", text(card.member)),
            ("standing", number(card.standing.as_byte())),
            ("display_name", text(&card.display_name)),
            ("endpoints", list(card.endpoints.iter().map(text))),
            ("tls_anchors", list(card.tls_anchors.iter().map(|anchor| hex(anchor.as_der())))),
            ("operator_anchor", hex(card.operator_anchor.as_der())),
            ("signing_key", hex(card.signing_key.as_bytes())),
            ("keyseq", number(card.keyseq)),
            ("cosigner_key", hex(card.cosigner_key.as_bytes())),
            ("register", hex(card.register.as_bytes())),
            ("protocol_min", number(card.protocol.min())),
            ("protocol_max", number(card.protocol.max())),
            ("duty_contacts", list(card.duty_contacts.iter().map(text))),
            ("sequence", number(i64::try_from(card.sequence).expect("small"))),
            ("previous", hex(card.previous.map_or([0; 32], |digest| *digest.as_bytes()))),
            ("issued", number(card.issued.as_unix())),
            ("next_signing_key", hex(card.next_signing_key.as_bytes())),
            ("card", hex(&body)),
            ("signature", hex(&signed.bytes()[body.len()..])),
            ("digest", hex(signed.digest().as_bytes())),
            ("verification_code", text(signed.verification_code())),
        ])
    };
    object([
        (
            "description",
            text(
                "card: u8 ver=1 | member[2] | u8 standing | text16 display_name | u8 n | text16* endpoints | u8 n | bytes32* \
                 tls_anchors | bytes32 operator_anchor | signing_key[32] | u32 keyseq | cosigner_key[32] | register[16] \
                 | u16 protocol_min | u16 protocol_max | u8 n | text16* duty_contacts | u64 sequence | previous[32] \
                 (zero on the first) | i64 issued | next_signing_key[32] (SHA-256 of the key); text16 = u16 length | \
                 UTF-8, bytes32 = u32 length | bytes. signature over PAE(\"eads/v1/card\", card); digest = its SHA-256; \
                 verification_code = HKDF-SHA-256(card, info \"eads/v1/card-code\", 60 bytes), each 5 bytes mod 100000.",
            ),
        ),
        ("cards", list(cases.map(case))),
    ])
}
