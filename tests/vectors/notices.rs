//! PROTOCOL §2: slots, audiences, approvals, and a delivery from end to end.

use eads_domain::audience::Audience;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::{CommittedContent, Disclosure};
use eads_domain::register::{Checkpoint, SignedCheckpoint};
use eads_domain::slot::{SlotNumber, SlotTable};

use crate::json::{Json, hashes, hex, list, number, object, text};
use crate::story::{Entry, Story, approver_key, certificate, entropy, key, member};

pub(crate) fn slots(story: &Story) -> Json {
    let version = |(index, entry): (usize, &Entry)| {
        let content = entry.content.as_ref()?;
        let slot = |(slot, commitment): (SlotNumber, &eads_domain::id::Hash)| {
            let opening = content.opening(slot);
            let spec = SlotTable::get().slot(content.content().subject(), slot);
            object([
                ("slot", number(slot.get())),
                ("name", text(spec.map_or("", |spec| spec.name.as_str()))),
                ("salt", hex(opening.salt)),
                ("value", hex(opening.value)),
                ("commitment", hex(commitment.as_bytes())),
            ])
        };
        Some(object([
            ("why", text(entry.why)),
            ("index", number(u64::try_from(index).expect("few"))),
            ("notice", hex(content.notice().as_bytes())),
            ("seed", hex(content.seed().as_bytes())),
            ("slots", list(SlotNumber::all().zip(content.commitments()).map(slot))),
            ("slots_root", hex(content.slots_root().as_bytes())),
        ]))
    };
    object([
        (
            "description",
            text(
                "The five versions of one notice. salt_i = HKDF-SHA-256(IKM = seed, salt empty, info = \
                 PAE(\"eads/v1/salt\", u16 i), 32 bytes); commitment = SHA-256(PAE(\"eads/v1/slot\", notice, u16 i, salt_i, \
                 value_i)); slots_root = SHA-256(PAE(\"eads/v1/slots\", c_0 | .. | c_47)). A slot without a name does not \
                 exist for this subject and is absent.",
            ),
        ),
        ("versions", list(story.entries.iter().enumerate().filter_map(version))),
    ])
}

pub(crate) fn audiences(story: &Story) -> Json {
    let many: Vec<_> = ('A'..='T').map(|letter| member(&format!("X{letter}"))).collect();
    let large = Audience::build(&many, &entropy("audience of twenty")).expect("twenty members");
    let nobody = Audience::build(&[], &entropy("audience of nobody")).expect("nobody is allowed");
    let of_entry = story.entries[0].audience.clone().expect("an issue is addressed");
    let cases = [
        ("three members among 16 leaves: the audience of entry 0", of_entry),
        ("twenty members among 64 leaves", large),
        ("nobody among 16 random leaves: nothing opens it", nobody),
    ];
    let case = |(why, audience): (&str, Audience)| {
        let opening = |(member, opening): (_, &eads_domain::audience::AudienceOpening)| {
            opening.verify(member, &audience.root()).expect("an opening opens");
            object([
                ("member", text(member)),
                ("salt", hex(opening.salt)),
                ("position", number(opening.position)),
                ("size", number(opening.size)),
                ("path", hashes(&opening.path)),
            ])
        };
        let openings = list(audience.openings().map(opening));
        object([("why", text(why)), ("root", hex(audience.root().as_bytes())), ("openings", openings)])
    };
    object([
        (
            "description",
            text(
                "Leaf data SHA-256(PAE(\"eads/v1/addressee\", salt, member[2])), leaf hash SHA-256(0x00 | data), node \
                 SHA-256(0x01 | left | right); the path leads from the leaf upwards, bit k of the position says whether \
                 the node is a right child on level k.",
            ),
        ),
        ("audiences", list(cases.map(case))),
    ])
}

pub(crate) fn approvals(story: &Story) -> Json {
    let case = |(index, entry): (usize, &Entry)| {
        let content = entry.content.as_ref()?;
        let payload = entry.statement.payload();
        let message = content.approval_message(payload.not_after);
        let value = content.content().value(SlotNumber::APPROVALS);
        let approval = eads_domain::approval::from_value(value).expect("a list").into_iter().next()?;
        approval
            .verify(&message, &certificate("operator-ca"), member("ID"), payload.issued)
            .expect("an approval that counts");
        let covered = SlotNumber::all().zip(content.commitments()).filter(|(slot, _)| *slot != SlotNumber::APPROVALS);
        Some(object([
            ("why", text(entry.why)),
            ("index", number(u64::try_from(index).expect("few"))),
            ("notice", hex(payload.notice.as_bytes())),
            ("schema", number(payload.schema)),
            ("not_after", number(payload.not_after.as_unix())),
            ("commitments", hashes(covered.map(|(_, commitment)| commitment))),
            ("message", hex(message)),
            ("signature", hex(approval.signature)),
            ("slot_value", hex(value.encode())),
        ]))
    };
    object([
        (
            "description",
            text(
                "message = PAE(\"eads/v1/approval\", notice, u16 schema, i64 not_after, commitments), the 47 commitments \
                 but that of slot 9 as ONE part of 1504 bytes. signature = ECDSA P-256 with SHA-256, r | s, here with \
                 the nonce of RFC 6979. slot_value is the value of slot 9: a list of [signature, certificate], base64.",
            ),
        ),
        ("approver_key", hex(approver_key().verifying_key().to_sec1_point(false).as_bytes())),
        ("certificate", hex(certificate("approver"))),
        ("operator_anchor", hex(certificate("operator-ca"))),
        ("approvals", list(story.entries.iter().enumerate().filter_map(case))),
    ])
}

pub(crate) fn delivery(story: &Story) -> Json {
    const SIZE: u64 = 6;
    let entry = &story.entries[0];
    let (content, audience) = (entry.content.as_ref().expect("content"), entry.audience.as_ref().expect("addressed"));
    let reader = member("MY");
    let shown = [16, 17, 20].map(|slot: u8| SlotNumber::new(slot).expect("a slot")).into_iter().collect();
    let disclosure: Disclosure = content.disclose(shown);
    disclosure.verify(&entry.statement).expect("a disclosure that opens");
    let checkpoint = checkpoint(story, SIZE, "signing key 0");
    let opening = audience.opening(reader).expect("addressed");
    let slot = |opening: &eads_domain::disclosure::Opening| {
        object([("slot", number(opening.slot.get())), ("salt", hex(opening.salt)), ("value", hex(&opening.value))])
    };
    let withheld = |(slot, commitment): &(SlotNumber, eads_domain::id::Hash)| {
        object([("slot", number(slot.get())), ("commitment", hex(commitment.as_bytes()))])
    };
    object([
        (
            "description",
            text(
                "Entry 0 as member MY is shown it: statement, audience opening, openings of the mandatory and three more \
                 slots, bare commitments of the others, and the inclusion of its leaf in a signed checkpoint.",
            ),
        ),
        ("reader", text(reader)),
        ("key", hex(entry.key.verifying_key().as_bytes())),
        ("payload", hex(entry.statement.payload_bytes())),
        ("signature", hex(entry.statement.signature())),
        ("index", number(0)),
        ("inclusion", hashes(&story.tree.inclusion_proof(0, SIZE).expect("an entry"))),
        ("checkpoint", text(String::from_utf8_lossy(checkpoint.bytes()))),
        ("audience_salt", hex(opening.salt)),
        ("audience_position", number(opening.position)),
        ("audience_size", number(opening.size)),
        ("audience_path", hashes(&opening.path)),
        ("openings", list(disclosure.openings.iter().map(slot))),
        ("commitments", list(disclosure.commitments.iter().map(withheld))),
    ])
}

/// The checkpoint of the story's register at `size`.
pub(crate) fn checkpoint(story: &Story, size: u64, by: &str) -> SignedCheckpoint {
    let root = story.tree.root_at(size).expect("a size that the register had");
    let register = crate::story::register();
    SignedCheckpoint::sign(Checkpoint { member: member("ID"), register, size, root }, &key(by)).expect("a checkpoint")
}

#[test]
fn an_approval_covers_the_47_other_commitments_in_one_part() {
    let story = Story::tell();
    let content: &CommittedContent = story.entries[0].content.as_ref().expect("content");
    let message = content.approval_message(Timestamp::from_unix(1));
    assert_eq!(message[..8], 5_u64.to_le_bytes());
    assert_eq!(message[message.len() - 47 * 32 - 8..][..8], (47 * 32_u64).to_le_bytes());
}
