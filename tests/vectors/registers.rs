//! PROTOCOL §3: trees, proofs, checkpoints, cosignatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eads_domain::clock::Timestamp;
use eads_domain::id::RegisterId;
use eads_domain::register::{Tree, leaf_hash};

use crate::json::{Json, hashes, hex, list, number, object, text};
use crate::notices::checkpoint;
use crate::story::{START, Story, key, member};

const LARGEST: u64 = 17;

/// The leaf data of the vectors: the place as a byte.
fn data(place: u64) -> [u8; 1] {
    [place.to_le_bytes()[0]]
}

pub(crate) fn merkle() -> Json {
    let tree: Tree = (0..LARGEST).map(|place| leaf_hash(&data(place))).collect();
    let leaf =
        |place| object([("data", hex(data(place))), ("leaf", hex(tree.leaf(place).expect("a leaf").as_bytes()))]);
    let root = |size| object([("size", number(size)), ("root", hex(tree.root_at(size).expect("a size").as_bytes()))]);
    let inclusion = |index, size| {
        let path = tree.inclusion_proof(index, size).expect("inside");
        object([("index", number(index)), ("size", number(size)), ("path", hashes(&path))])
    };
    let consistency = |from, to| {
        let (proof, full) = (tree.consistency_proof(from, to), tree.full_consistency_path(from, to));
        object([
            ("from", number(from)),
            ("to", number(to)),
            ("proof", hashes(&proof.expect("inside"))),
            ("full_path", hashes(&full.expect("inside"))),
        ])
    };
    object([
        (
            "description",
            text(
                "RFC 6962 trees over the first leaves of one list, RFC 9162 proofs, from the leaf upwards. leaf = SHA-256(0x00 | \
                 data); here the data of a leaf is its place as one byte (in a register it is the digest D of a \
                 statement). proof is what RFC 9162 names; full_path always begins with the node that both roots are \
                 built from, as a proof of equivocation needs it.",
            ),
        ),
        ("leaves", list((0..LARGEST).map(leaf))),
        ("roots", list((0..=LARGEST).map(root))),
        ("inclusion", list((1..=LARGEST).flat_map(|size| (0..size).map(move |index| inclusion(index, size))))),
        ("consistency", list((1..=LARGEST).flat_map(|to| (1..=to).map(move |from| consistency(from, to))))),
    ])
}

/// A signature line's name, key id and what follows it.
fn line(note: &str) -> (String, Vec<u8>) {
    let (name, base64) =
        note.trim_end().strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' ')).expect("a line");
    (name.to_owned(), STANDARD.decode(base64).expect("base64"))
}

pub(crate) fn checkpoints(story: &Story) -> Json {
    let (one, other) = (checkpoint(story, 6, "signing key 0"), checkpoint(story, 8, "signing key 1"));
    let at = Timestamp::from_unix(START + 86_400);
    let cosignature = other.cosign(member("MY"), &key("MY cosigner key"), at).expect("a cosignature");
    let cosigned = other.with_cosignature(&cosignature).expect("room for a line");
    let cases = [
        ("an empty register", checkpoint(story, 0, "signing key 0"), "signing key 0"),
        ("before the key change", one, "signing key 0"),
        ("after the key change: by the new key", other, "signing key 1"),
    ];
    let case = |(why, signed, by): (&str, eads_domain::register::SignedCheckpoint, &str)| {
        let whole = String::from_utf8_lossy(signed.bytes()).into_owned();
        let (note, signature) = whole.split_once("\n\n").expect("a note");
        let (name, blob) = line(signature);
        object([
            ("why", text(why)),
            ("size", number(signed.checkpoint().size)),
            ("root", hex(signed.checkpoint().root.as_bytes())),
            ("text", text(format!("{note}\n"))),
            ("key", hex(key(by).verifying_key().as_bytes())),
            ("key_name", text(name)),
            ("key_id", hex(&blob[..4])),
            ("signature", hex(&blob[4..])),
            ("note", text(whole)),
        ])
    };
    let (name, blob) = line(cosignature.as_str());
    let register: RegisterId = crate::story::register();
    object([
        (
            "description",
            text(
                "C2SP tlog-checkpoint notes over the register of statements.json. key_id = SHA-256(name | 0x0A | algorithm | \
                 public key)[..4], algorithm 0x01; the signature is over text. A cosignature (C2SP tlog-cosignature, \
                 algorithm 0x04) is u64 time | Ed25519 over \"cosignature/v1\\ntime <time>\\n\" and text.",
            ),
        ),
        ("register", hex(register.as_bytes())),
        ("checkpoints", list(cases.map(case))),
        (
            "consistency",
            list([object([
                ("from", number(6)),
                ("to", number(8)),
                ("proof", hashes(&story.tree.consistency_proof(6, 8).expect("inside"))),
            ])]),
        ),
        (
            "cosignatures",
            list([object([
                ("why", text("MY has seen the last checkpoint")),
                ("size", number(8)),
                ("key", hex(key("MY cosigner key").verifying_key().as_bytes())),
                ("key_name", text(name)),
                ("key_id", hex(&blob[..4])),
                ("time", number(at.as_unix())),
                ("signature", hex(&blob[12..])),
                ("line", text(&cosignature)),
                ("note", text(String::from_utf8_lossy(cosigned.bytes()))),
            ])]),
        ),
    ])
}
