//! Messages there and back, and messages that carry too little, too much or the wrong thing.

use eads_proto::v1;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::audience::{Audience, AudienceOpening};
use crate::clock::Timestamp;
use crate::disclosure::{CommittedContent, Disclosure, Seed};
use crate::entropy::SeededEntropy;
use crate::id::{Hash, NoticeId, RegisterId, RequestId};
use crate::query::{Answer, Caution, Hit, HitField, HitReason, HitSource, HitState, Query, Score, StatementPointer};
use crate::receipt::{Receipt, ReceiptReason, ReceiptStatus};
use crate::slot::{Content, SCHEMA, SlotNumber, SlotSet, SlotTable};
use crate::statement::{Action, Blind, Payload, Statement};
use crate::subject::{NoticeKind, SubjectType};
use crate::value::Value;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn member(text: &str) -> MemberId {
    text.parse().unwrap()
}

struct Sent {
    statement: Statement,
    audience: AudienceOpening,
    disclosure: Disclosure,
}

fn sent() -> Sent {
    let entropy = SeededEntropy::new("wire");
    let plate = SlotTable::get().by_name(SubjectType::Vehicle, "plate").unwrap().number;
    let fields = [(plate, Value::text("B 1234 XYZ").unwrap())];
    let content = Content::build(SubjectType::Vehicle, NoticeKind::Vehicle, fields).unwrap();
    let notice = NoticeId::random(&entropy);
    let committed = CommittedContent::new(notice, Seed::random(&entropy), content);
    let audience = Audience::build(&[member("MY"), member("TH")], &entropy).unwrap();
    let payload = Payload {
        action: Action::Issue,
        origin: member("ID"),
        register: RegisterId::from_bytes([3; 16]),
        keyseq: 0,
        blind: Blind::random(&entropy),
        notice,
        schema: SCHEMA,
        issued: Timestamp::from_unix(1_800_000_000),
        not_after: Timestamp::from_unix(1_900_000_000),
        slots: committed.slots_root(),
        audience: audience.root(),
        detail: Payload::NO_DETAIL,
    };
    Sent {
        statement: Statement::sign(payload, &key()).unwrap(),
        audience: audience.opening(member("MY")).unwrap().clone(),
        disclosure: committed.disclose(SlotSet::EMPTY),
    }
}

fn message() -> v1::Disclosure {
    let Sent { statement, audience, disclosure } = sent();
    disclosure_message(&statement, Some(&audience), Some(&disclosure), &[])
}

fn refusal(message: v1::Disclosure) -> &'static str {
    UnverifiedDisclosure::try_from(message).unwrap_err().code().as_str()
}

#[test]
fn a_disclosure_arrives_as_it_was_sent_and_verifies() {
    let Sent { statement, audience, disclosure } = sent();
    let bytes = message().encode_to_vec();
    let received = UnverifiedDisclosure::try_from(v1::Disclosure::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(received.statement.verify(&key().verifying_key()), Ok(statement.clone()));
    assert_eq!(received.statement.claimed().as_ref(), Ok(statement.payload()));
    assert_eq!(received.audience.as_ref(), Some(&audience));
    assert_eq!(received.disclosure.as_ref(), Some(&disclosure));
    assert_eq!(audience.verify(member("MY"), &statement.payload().audience), Ok(()));
    assert!(received.detail.is_empty());
}

#[test]
fn an_entry_without_content_has_neither_openings_nor_audience() {
    let bare = disclosure_message(&sent().statement, None, None, b"detail");
    let received = UnverifiedDisclosure::try_from(bare).unwrap();
    assert_eq!((received.audience, received.disclosure), (None, None));
    assert_eq!(received.detail, b"detail");
}

#[test]
fn a_disclosure_with_a_wrong_length_or_count_is_refused_by_field() {
    let spoiled = |spoil: fn(&mut v1::Disclosure)| {
        let mut message = message();
        spoil(&mut message);
        refusal(message)
    };
    assert_eq!(spoiled(|m| m.statement = None), "MESSAGE_FIELD_MISSING");
    assert_eq!(spoiled(|m| m.statement.as_mut().unwrap().payload.push(0)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|m| m.statement.as_mut().unwrap().signature.truncate(63)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|m| m.openings[0].slot = 48), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(spoiled(|m| m.openings[0].slot = 256), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(spoiled(|m| m.openings[0].salt.push(0)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|m| m.openings[0].value = vec![0; 70_000]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(spoiled(|m| m.openings = vec![m.openings[0].clone(); 49]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(spoiled(|m| m.commitments[0].commitment.clear()), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|m| m.commitments = vec![m.commitments[0].clone(); 49]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(spoiled(|m| m.audience.as_mut().unwrap().path = vec![vec![0; 32]; 9]), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(spoiled(|m| m.audience.as_mut().unwrap().path[0].push(0)), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|m| m.audience.as_mut().unwrap().salt.clear()), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|m| m.detail = vec![0; MAX_DETAIL_BYTES + 1]), "MESSAGE_FIELD_TOO_LONG");
}

#[test]
fn single_values_are_read_strictly() {
    let value = Value::text("example").unwrap();
    let message = slot_value_message(SlotNumber::SUMMARY, &value);
    assert_eq!(slot_value(&message), Ok((SlotNumber::SUMMARY, value)));
    let trailing = v1::SlotValue { value: [message.value.as_slice(), &[0]].concat(), ..message.clone() };
    assert_eq!(slot_value(&trailing).unwrap_err().code().as_str(), "MESSAGE_FIELD_UNKNOWN");
    assert!(slot_value(&v1::SlotValue { slot: 48, ..message }).is_err());
}

#[test]
fn receipts_go_through_their_gate() {
    let receipt = Receipt {
        status: ReceiptStatus::Purged,
        receiver: member("MY"),
        origin: member("ID"),
        register: RegisterId::from_bytes([3; 16]),
        index: 4,
        digest: sent().statement.digest(),
        shown: 1023,
        reason: ReceiptReason::WITHDRAWN,
        at: Timestamp::from_unix(1_800_000_000),
        backups_until: None,
        keyseq: 0,
    };
    let signed = SignedReceipts::sign(&[receipt], &key()).unwrap();
    let message = v1::PostReceiptsRequest::from(&signed);
    assert_eq!(receipts(message.clone(), member("MY"), &key().verifying_key()), Ok(signed));
    assert!(receipts(message, member("TH"), &key().verifying_key()).is_err());
}

fn name_query() -> v1::Query {
    let name = v1::NameKey {
        name: "Aman Rasa".into(),
        birth_date: "1990-05".into(),
        nationality: "ID".into(),
        sex: "F".into(),
    };
    v1::Query {
        purpose: "border-check".into(),
        legal_basis: "example basis".into(),
        subject: "person".into(),
        kinds: vec!["red".into(), "yellow".into()],
        exercise: false,
        key: Some(v1::query::Key::Name(name)),
    }
}

fn identifier_query(kind: &str, value: &str) -> v1::Query {
    let key = v1::IdentifierKey { r#type: kind.into(), value: value.into() };
    v1::Query { subject: "document".into(), key: Some(v1::query::Key::Identifier(key)), ..name_query() }
}

#[test]
fn queries_come_back_in_canonical_form() {
    let query = Query::try_from(name_query()).unwrap();
    assert!(query.asks_for(NoticeKind::Red) && !query.asks_for(NoticeKind::Blue));
    assert_eq!(v1::Query::from(&query), name_query());
    let query = Query::try_from(identifier_query("document", "x 123-456")).unwrap();
    assert_eq!(v1::Query::from(&query), identifier_query("document", "X123456"));
}

#[test]
fn queries_that_cannot_be_asked_keep_their_own_codes() {
    let code = |query: v1::Query| Query::try_from(query).unwrap_err().code().as_str();
    assert_eq!(code(v1::Query { purpose: "curiosity".into(), ..name_query() }), "QUERY_PURPOSE_UNKNOWN");
    assert!(Query::try_from(v1::Query { legal_basis: String::new(), ..name_query() }).unwrap().legal_basis.is_none());
    assert_eq!(code(v1::Query { subject: "ghost".into(), ..name_query() }), "QUERY_SUBJECT_UNKNOWN");
    assert_eq!(code(v1::Query { kinds: vec!["pink".into()], ..name_query() }), "QUERY_KIND_UNKNOWN");
    assert_eq!(code(v1::Query { kinds: vec!["red".into(); 33], ..name_query() }), "QUERY_KIND_UNKNOWN");
    assert_eq!(code(v1::Query { key: None, ..name_query() }), "QUERY_KEY_MISSING");
    assert_eq!(code(identifier_query("shoe-size", "44")), "IDENTIFIER_TYPE_UNKNOWN");
    assert_eq!(code(identifier_query("imo", "9074728")), "IDENTIFIER_CHECK_FAILED");
}

#[test]
fn a_question_has_a_version_an_id_and_a_query() {
    let question = v1::QueryRequest { protocol: 1, request_id: vec![7; 16], query: Some(name_query()) };
    assert_eq!(QuestionReceived::try_from(question.clone()).unwrap().request, RequestId::from_bytes([7; 16]));
    let code = |message: v1::QueryRequest| QuestionReceived::try_from(message).unwrap_err().code().as_str();
    assert_eq!(code(v1::QueryRequest { protocol: 2, ..question.clone() }), "PROTOCOL_VERSION");
    assert_eq!(code(v1::QueryRequest { request_id: vec![7; 15], ..question.clone() }), "MESSAGE_FIELD_LENGTH");
    assert_eq!(code(v1::QueryRequest { query: None, ..question }), "MESSAGE_FIELD_MISSING");
}

fn answer() -> Answer {
    let notice = Hit {
        score: Score::saturating(870),
        reasons: vec![HitReason { code: "ORDER".into(), text: "parts in another order".into(), weight: -30 }],
        source: HitSource::Notice,
        owner: member("ID"),
        reference: Some("ID-2026-7K3QX9-5".parse().unwrap()),
        kind: Some(NoticeKind::Red),
        fields: vec![HitField { name: "family-name".into(), value: "RASA".into() }],
        statement: Some(StatementPointer { index: 9, digest: Hash::from_bytes([4; 32]) }),
        state: HitState::Suspended,
        cautions: vec![Caution::ScreenFirst, Caution::Contested],
        exercise: true,
    };
    let record = Hit {
        source: HitSource::Record,
        reference: None,
        kind: None,
        fields: Vec::new(),
        statement: None,
        state: HitState::Current,
        cautions: Vec::new(),
        ..notice.clone()
    };
    Answer {
        request: RequestId::from_bytes([7; 16]),
        hits: vec![notice, record],
        truncated: true,
        checkpoint: b"checkpoint".to_vec(),
        answered_at: Timestamp::from_unix(1_800_000_000),
    }
}

#[test]
fn an_answer_comes_back_as_it_was() {
    assert_eq!(Answer::try_from(v1::QueryResponse::from(&answer())), Ok(answer()));
}

#[test]
fn hits_that_lie_about_their_form_are_refused() {
    let spoiled = |spoil: fn(&mut v1::Hit)| {
        let mut message = v1::QueryResponse::from(&answer());
        spoil(&mut message.hits[0]);
        Answer::try_from(message).unwrap_err().code().as_str()
    };
    assert_eq!(spoiled(|hit| hit.score = 1001), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.score = 65_536), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.owner = "id".into()), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.kind = "pink".into()), "MESSAGE_FIELD_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.source = String::new()), "ANSWER_CODE_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.state = "fine".into()), "ANSWER_CODE_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.cautions = vec!["arrest".into()]), "ANSWER_CODE_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.reference = "two words".into()), "ANSWER_CODE_UNKNOWN");
    assert_eq!(spoiled(|hit| hit.statement.as_mut().unwrap().digest.clear()), "MESSAGE_FIELD_LENGTH");
    assert_eq!(spoiled(|hit| hit.fields[0].value = "\u{1b}[2J".into()), "MESSAGE_FIELD_TEXT");
    assert_eq!(spoiled(|hit| hit.reasons[0].text = "x".repeat(2000)), "MESSAGE_FIELD_TOO_LONG");
    assert_eq!(spoiled(|hit| hit.fields = vec![hit.fields[0].clone(); 65]), "MESSAGE_FIELD_TOO_LONG");
}

#[test]
fn too_many_hits_are_refused() {
    let mut message = v1::QueryResponse::from(&answer());
    message.hits = vec![message.hits[0].clone(); MAX_HITS + 1];
    assert_eq!(Answer::try_from(message).unwrap_err().code().as_str(), "MESSAGE_FIELD_TOO_LONG");
}

proptest! {
    #[test]
    fn arbitrary_messages_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(message) = v1::Disclosure::decode(bytes.as_slice()) {
            let _outcome = UnverifiedDisclosure::try_from(message);
        }
        if let Ok(message) = v1::QueryResponse::decode(bytes.as_slice()) {
            let _outcome = Answer::try_from(message);
        }
        if let Ok(message) = v1::Query::decode(bytes.as_slice()) {
            let _outcome = Query::try_from(message);
        }
    }
}
