//! The invented register that all vectors speak of: one notice of member ID through its whole life.
//!
//! Everything is drawn from [`SeededEntropy`] streams that are named after what they are for, so that adding a
//! vector changes no other. No person, key or document in it exists.

use std::collections::BTreeMap;

use eads_domain::approval::Approval;
use eads_domain::audience::Audience;
use eads_domain::card::{
    Anchor, Card, DisplayName, DutyContact, Endpoint, GENESIS_SEQUENCE, ProtocolRange, SignedCard, Standing, key_digest,
};
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::{CommittedContent, Seed};
use eads_domain::entropy::{SeededEntropy, random};
use eads_domain::id::{Hash, MemberId, NoticeId, RegisterId};
use eads_domain::reference::Reference;
use eads_domain::register::Tree;
use eads_domain::slot::{Content, SCHEMA, SlotNumber, SlotSet};
use eads_domain::statement::{Action, Blind, Payload, RetractDetail, Statement, anchor_digest, key_change_digest};
use eads_domain::value::{BlobRef, Media, Value};
use ed25519_dalek::SigningKey;

/// When the story begins, 2027-01-15T08:00:00Z.
pub(crate) const START: i64 = 1_800_000_000;
const NOT_AFTER: i64 = START + 365 * 86_400;

const DRAFT: &str = r#"{
    "subject": "person", "kind": "red",
    "handling": ["H1"], "grading": "B2", "legal-basis": ["arrest-warrant"],
    "requested-action": "arrest-for-extradition",
    "family-name": "Contoh", "given-names": "Budi Sintetis",
    "aliases": ["Si Contoh", { "name": "Budy", "quality": "low", "original-script": "บูดี้" }],
    "birth-date": "1990-05", "sex": "M", "nationalities": ["ID", "XXA"],
    "documents": [{ "type": "passport", "number": "X0000001", "country": "ID" }],
    "height-cm": 172, "summary": "Invented for test vectors.", "offences": ["online-scam"],
    "warrants": [{ "country": "ID", "charge": "Online fraud", "penalty": "up to 6 years", "reference": "W-1/2027" }],
    "penalty": { "maximum-months": 72 }
}"#;

/// The bytes behind the anchor's detail, in the form of an audit head: u64 sequence ‖ chain hash.
pub(crate) const ANCHORED: &[u8] = b"\0\0\0\0\0\0\0\x2aa synthetic chain hash, 32 bytes";

/// The stream of everything that is called `name`.
pub(crate) fn entropy(name: &str) -> SeededEntropy {
    SeededEntropy::new(&format!("eads/v1 vectors: {name}"))
}

/// An Ed25519 key. Published: never use it for anything.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&random(&entropy(name)))
}

/// The approving officer's P-256 key. Published: never use it for anything.
pub(crate) fn approver_key() -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(&random::<32>(&entropy("approver"))).expect("a scalar of P-256")
}

pub(crate) fn certificate(name: &str) -> Vec<u8> {
    let text = match name {
        "approver" => include_str!("certificates/approver.pem"),
        "operator-ca" => include_str!("certificates/operator-ca.pem"),
        _ => include_str!("certificates/tls-ca.pem"),
    };
    pem::parse(text).expect("a certificate").into_contents()
}

pub(crate) fn member(letters: &str) -> MemberId {
    letters.parse().expect("two capital letters")
}

pub(crate) fn register() -> RegisterId {
    RegisterId::random(&entropy("register"))
}

/// One entry of the register with all that its origin knows of it.
pub(crate) struct Entry {
    pub(crate) why: &'static str,
    pub(crate) key: SigningKey,
    pub(crate) statement: Statement,
    pub(crate) audience: Option<Audience>,
    /// For actions 1–5.
    pub(crate) content: Option<CommittedContent>,
    /// The bytes behind the payload's detail.
    pub(crate) detail: Vec<u8>,
}

/// The register.
pub(crate) struct Story {
    pub(crate) entries: Vec<Entry>,
    pub(crate) tree: Tree,
}

impl Story {
    pub(crate) fn tell() -> Self {
        let first = content();
        let mut second = first.clone();
        second.set(SlotNumber::VERSION, Value::text("2").expect("a text")).expect("a version");
        second.set(SlotNumber::SUMMARY, Value::text("Amended for test vectors.").expect("a text")).expect("a text");
        let change = |reason| second.state_change([reason]).expect("a reason of the table");
        let all = ["MY", "SG", "TH"];
        let retract = retraction().encode();
        let entries = vec![
            entry(0, "a notice begins", Action::Issue, &all, Some(first.clone()), Vec::new()),
            entry(1, "a new version, addressed to fewer", Action::Amend, &all[..2], Some(second.clone()), Vec::new()),
            entry(
                2,
                "contested; one officer's act, no approval",
                Action::Suspend,
                &all,
                Some(change("contested")),
                Vec::new(),
            ),
            entry(3, "may be acted on again", Action::Resume, &all, Some(change("review-completed")), Vec::new()),
            entry(4, "the notice ends", Action::Withdraw, &all, Some(change("warrant-cancelled")), Vec::new()),
            entry(5, "entry 0 narrowed, entry 1 given up; random slots", Action::Retract, &["TH"], None, retract),
            entry(
                6,
                "signed by the new key; the detail is the new card's digest",
                Action::KeyChange,
                &[],
                None,
                card_body(&rotated_card()),
            ),
            entry(7, "by the new key; addressed to no one", Action::Anchor, &[], None, ANCHORED.to_vec()),
        ];
        let tree = entries.iter().map(|entry| entry.statement.leaf()).collect();
        Self { entries, tree }
    }
}

/// What entry 5 leaves: of entry 0 the common slots, of entry 1 nothing.
pub(crate) fn retraction() -> RetractDetail {
    let common = SlotNumber::all().take(16).collect();
    RetractDetail::new(vec![(0, common), (1, SlotSet::EMPTY)]).expect("two entries")
}

fn content() -> Content {
    let fields: BTreeMap<_, _> = serde_json::from_str(DRAFT).expect("JSON");
    let mut content = Content::from_fields(fields).expect("a draft");
    let reference = Reference::generate(member("ID"), 2027, &entropy("reference"));
    content.set_identity(reference, 1).expect("a version");
    let image = BlobRef {
        id: random(&entropy("photograph")),
        sha256: eads_domain::encode::sha256(b"not a photograph"),
        len: 16,
        media: Media::Jpeg,
    };
    content.set(SlotNumber::IMAGES, Value::List(vec![Value::Blob(image)])).expect("an image");
    content
}

fn committed(number: usize, action: Action, notice: NoticeId, content: Content) -> CommittedContent {
    let seed = Seed::random(&entropy(&format!("entry {number} seed")));
    let plain = CommittedContent::new(notice, seed, content);
    let whole = if action == Action::Suspend {
        plain
    } else {
        let message = plain.approval_message(Timestamp::from_unix(NOT_AFTER));
        let approval = Approval::sign(&message, &approver_key(), certificate("approver"));
        plain.with_approvals(&[approval]).expect("an approval")
    };
    whole.content().check(action).expect("a content that may be signed");
    whole
}

fn entry(
    number: usize,
    why: &'static str,
    action: Action,
    members: &[&str],
    content: Option<Content>,
    detail: Vec<u8>,
) -> Entry {
    let draw = |what: &str| entropy(&format!("entry {number} {what}"));
    let about_none = matches!(action, Action::KeyChange | Action::Anchor);
    let notice = NoticeId::random(&if about_none { draw("notice") } else { entropy("notice") });
    let content = content.map(|content| committed(number, action, notice, content));
    let members: Vec<_> = members.iter().map(|letters| member(letters)).collect();
    let audience = (!members.is_empty()).then(|| Audience::build(&members, &draw("audience")).expect("an audience"));
    let keyseq = u32::from(about_none);
    let key = key(&format!("signing key {keyseq}"));
    let payload = Payload {
        action,
        origin: member("ID"),
        register: register(),
        keyseq,
        blind: Blind::random(&draw("blind")),
        notice,
        schema: SCHEMA,
        issued: Timestamp::from_unix(START + 3600 * i64::try_from(number).expect("few entries")),
        not_after: Timestamp::from_unix(NOT_AFTER),
        slots: content.as_ref().map_or_else(|| Hash::random(&draw("slots")), CommittedContent::slots_root),
        audience: audience.as_ref().map_or_else(|| Hash::random(&draw("audience")), Audience::root),
        detail: match action {
            Action::Retract => retraction().digest(),
            Action::KeyChange => key_change_digest(&detail),
            Action::Anchor => anchor_digest(&detail),
            _ => Payload::NO_DETAIL,
        },
    };
    let statement = Statement::sign(payload, &key).expect("a payload that readers accept");
    Entry { why, key, statement, audience, content, detail }
}

/// ID's first card.
pub(crate) fn genesis_card() -> SignedCard {
    let anchor = |name| Anchor::from_der(certificate(name)).expect("a CA");
    let card = Card {
        member: member("ID"),
        standing: Standing::Member,
        display_name: "Contoh Kepolisian".parse::<DisplayName>().expect("a name"),
        endpoints: ["node.example.test:7443", "[2001:db8::1]:7443"]
            .map(|text| text.parse::<Endpoint>().expect("an endpoint"))
            .to_vec(),
        tls_anchors: vec![anchor("tls-ca")],
        operator_anchor: anchor("operator-ca"),
        signing_key: key("signing key 0").verifying_key(),
        keyseq: 0,
        cosigner_key: key("cosigner key").verifying_key(),
        register: register(),
        protocol: ProtocolRange::new(1, 1).expect("a range"),
        duty_contacts: vec!["+62 0 000 0000, day and night".parse::<DutyContact>().expect("a line")],
        sequence: GENESIS_SEQUENCE,
        previous: None,
        issued: Timestamp::from_unix(START),
        next_signing_key: key_digest(&key("signing key 1").verifying_key()),
        compromised_from: None,
    };
    SignedCard::sign(card, &key("signing key 0")).expect("a card")
}

/// The card by which the key announced on the first takes over.
pub(crate) fn rotated_card() -> SignedCard {
    let first = genesis_card();
    let card = Card {
        signing_key: key("signing key 1").verifying_key(),
        keyseq: 1,
        sequence: first.card().sequence + 1,
        previous: Some(first.digest()),
        issued: Timestamp::from_unix(START + 6 * 3600),
        next_signing_key: key_digest(&key("signing key 2").verifying_key()),
        compromised_from: None,
        ..first.card().clone()
    };
    SignedCard::sign(card, &key("signing key 1")).expect("a card")
}

/// The card without its signature: what is signed and digested.
pub(crate) fn card_body(card: &SignedCard) -> Vec<u8> {
    let (body, _signature) = card.bytes().split_last_chunk::<64>().expect("a card with its signature");
    body.to_vec()
}
