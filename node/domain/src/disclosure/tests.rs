use ed25519_dalek::SigningKey;

use super::*;
use crate::clock::Timestamp;
use crate::code::Coded as _;
use crate::entropy::SeededEntropy;
use crate::id::RegisterId;
use crate::slot::samples::{DOCUMENT, RED, content};
use crate::statement::{Action, Blind, Payload};

fn committed(draft: &str) -> CommittedContent {
    let entropy = SeededEntropy::new("committed");
    CommittedContent::new(NoticeId::random(&entropy), Seed::random(&entropy), content(draft))
}

fn statement(action: Action, committed: &CommittedContent, origin: &str) -> Statement {
    let entropy = SeededEntropy::new("statement");
    let payload = Payload {
        action,
        origin: origin.parse().unwrap(),
        register: RegisterId::random(&entropy),
        keyseq: 0,
        blind: Blind::random(&entropy),
        notice: committed.notice(),
        schema: committed.schema(),
        issued: Timestamp::from_unix(1),
        not_after: Timestamp::from_unix(2),
        slots: committed.slots_root(),
        audience: Hash::random(&entropy),
        detail: if action.carries_content() { Payload::NO_DETAIL } else { Hash::random(&entropy) },
    };
    Statement::sign(payload, &SigningKey::from_bytes(&[5; 32])).unwrap()
}

fn code(disclosure: &Disclosure, statement: &Statement) -> &'static str {
    disclosure.verify(statement).unwrap_err().code().as_str()
}

#[test]
fn a_full_disclosure_shows_what_was_signed() {
    for draft in [RED, DOCUMENT] {
        let committed = committed(draft);
        let statement = statement(Action::Issue, &committed, "ID");
        let shown = committed.disclose(SlotSet::ALL).verify(&statement).unwrap();
        assert_eq!(shown.shown_slots(), SlotSet::ALL);
        assert_eq!(shown.to_fields(), committed.content().to_fields());
        assert_eq!(shown.title(), committed.content().title());
        assert_eq!(shown.search_keys(), committed.content().search_keys());
        assert_eq!(shown.commitments(), committed.commitments());
    }
}

#[test]
fn a_partial_disclosure_verifies_and_shows_no_more() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "ID");
    let disclosure = committed.disclose(SlotSet::EMPTY);
    assert_eq!(disclosure.shown(), SlotTable::get().mandatory(), "mandatory slots are always opened");
    let shown = disclosure.verify(&statement).unwrap();
    assert_eq!(shown.by_name("family-name"), None);
    assert_eq!(shown.title(), "person");
    assert_eq!(shown.kind(), NoticeKind::Red);
    assert!(shown.search_keys().names.is_empty());
    assert_eq!(format!("{disclosure:?}").matches("Contoh").count(), 0);
}

#[test]
fn every_single_slot_can_be_opened_alone() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "ID");
    for slot in SlotNumber::all() {
        let shown = committed.disclose([slot].into_iter().collect()).verify(&statement).unwrap();
        assert_eq!(shown.value(slot), Some(committed.content().value(slot)));
    }
}

#[test]
fn an_opening_that_does_not_open_its_commitment_is_refused() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "ID");
    let good = committed.disclose(SlotSet::ALL);
    for at in 0..SLOTS {
        let mut salted = good.clone();
        salted.openings[at].salt[31] ^= 1;
        assert_eq!(code(&salted, &statement), "DISCLOSURE_ROOT_MISMATCH");
        let mut altered = good.clone();
        altered.openings[at].value.push(b'x');
        assert_eq!(code(&altered, &statement), "DISCLOSURE_ROOT_MISMATCH");
    }
    let mut swapped = good.clone();
    swapped.openings[16].slot = SlotNumber::new(17).unwrap();
    swapped.openings[17].slot = SlotNumber::new(16).unwrap();
    assert_eq!(code(&swapped, &statement), "DISCLOSURE_ROOT_MISMATCH");
    let mut withheld = committed.disclose(SlotSet::EMPTY);
    withheld.commitments[0].1 = Hash::from_bytes([0; 32]);
    assert_eq!(code(&withheld, &statement), "DISCLOSURE_ROOT_MISMATCH");
}

#[test]
fn every_slot_is_there_exactly_once() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "ID");
    let good = committed.disclose(SlotSet::EMPTY);
    let mut missing = good.clone();
    let (slot, commitment) = missing.commitments.pop().unwrap();
    assert_eq!(missing.verify(&statement), Err(DisclosureError::Missing(slot)));
    missing.commitments.push((SlotNumber::KIND, commitment));
    assert_eq!(missing.verify(&statement), Err(DisclosureError::Duplicate(SlotNumber::KIND)));
    let mut more = good.clone();
    more.commitments.push((slot, commitment));
    assert_eq!(more.verify(&statement), Err(DisclosureError::TooManySlots));
    let none = Disclosure { openings: Vec::new(), commitments: Vec::new() };
    assert_eq!(none.verify(&statement), Err(DisclosureError::Missing(SlotNumber::SUBJECT)));
}

#[test]
fn no_origin_withholds_a_mandatory_slot() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "ID");
    for slot in SlotTable::get().mandatory().iter() {
        let mut allowed = SlotSet::ALL;
        allowed.remove(slot);
        let narrowed = committed.disclose(SlotSet::ALL).narrowed(&committed.notice(), allowed);
        assert_eq!(narrowed.verify(&statement), Err(DisclosureError::MandatoryWithheld(slot)));
    }
}

#[test]
fn a_narrowed_disclosure_still_verifies() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "ID");
    let allowed = SlotTable::get().mandatory().union([SlotNumber::SUMMARY].into_iter().collect());
    let narrowed = committed.disclose(SlotSet::ALL).narrowed(&committed.notice(), allowed);
    assert_eq!(narrowed, committed.disclose(allowed));
    assert_eq!(narrowed.verify(&statement).unwrap().shown_slots(), allowed);
}

#[test]
fn a_disclosure_of_another_version_or_notice_is_refused() {
    let (one, other) = (committed(RED), committed(DOCUMENT));
    let of_one = statement(Action::Issue, &one, "ID");
    assert_eq!(code(&other.disclose(SlotSet::ALL), &of_one), "DISCLOSURE_ROOT_MISMATCH");
    let again = CommittedContent::new(NoticeId::from_bytes([1; 16]), one.seed().clone(), one.content().clone());
    assert_eq!(code(&again.disclose(SlotSet::EMPTY), &of_one), "DISCLOSURE_ROOT_MISMATCH");
}

#[test]
fn a_signed_content_that_breaks_its_rules_is_refused() {
    let mut content = content(RED);
    let warrants = SlotTable::get().by_name(SubjectType::Person, "warrants").unwrap().number;
    content.set(warrants, Value::Absent).unwrap();
    let entropy = SeededEntropy::new("rules");
    let committed = CommittedContent::new(NoticeId::random(&entropy), Seed::random(&entropy), content);
    let statement = statement(Action::Issue, &committed, "ID");
    assert_eq!(code(&committed.disclose(SlotSet::ALL), &statement), "RED_WITHOUT_WARRANT");
    // Withheld is not missing: who may not see the warrants cannot judge them.
    assert!(committed.disclose(SlotSet::EMPTY).verify(&statement).is_ok());
}

#[test]
fn a_withdrawal_carries_nothing_about_the_subject() {
    let issued = committed(RED);
    let withdrawal = statement(Action::Withdraw, &issued, "ID");
    assert_eq!(code(&issued.disclose(SlotSet::ALL), &withdrawal), "FIELD_NOT_IN_STATE_CHANGE");
    let change = issued.content().state_change(["warrant-cancelled"]).unwrap();
    let change = CommittedContent::new(issued.notice(), Seed::from_bytes([4; 32]), change);
    let withdrawal = statement(Action::Withdraw, &change, "ID");
    assert_eq!(change.disclose(SlotSet::ALL).verify(&withdrawal).unwrap().reasons(), ["warrant-cancelled"]);
}

#[test]
fn statements_without_content_disclose_nothing() {
    let committed = committed(RED);
    for action in [Action::Retract, Action::KeyChange, Action::Anchor] {
        let statement = statement(action, &committed, "ID");
        assert_eq!(code(&committed.disclose(SlotSet::ALL), &statement), "DISCLOSURE_NO_CONTENT");
    }
}

#[test]
fn a_reference_belongs_to_its_origin() {
    let committed = committed(RED);
    let statement = statement(Action::Issue, &committed, "MY");
    assert_eq!(code(&committed.disclose(SlotSet::ALL), &statement), "REFERENCE_OTHER_MEMBER");
}

/// Commits to raw bytes in place of one value, as a hostile origin could.
fn forged(slot: SlotNumber, value: &[u8]) -> &'static str {
    forged_in(RED, slot, value)
}

fn forged_in(draft: &str, slot: SlotNumber, value: &[u8]) -> &'static str {
    let committed = committed(draft);
    let mut disclosure = committed.disclose(SlotSet::ALL);
    disclosure.openings[slot.index()].value = value.to_vec();
    let commitments = disclosure.all_commitments(&committed.notice()).unwrap();
    let mut payload = statement(Action::Issue, &committed, "ID").payload().clone();
    payload.slots = slots_root(&commitments);
    code(&disclosure, &Statement::sign(payload, &SigningKey::from_bytes(&[5; 32])).unwrap())
}

#[test]
fn hostile_values_are_refused_even_if_well_signed() {
    let free = SlotNumber::new(47).unwrap();
    assert_eq!(forged(SlotNumber::SUMMARY, b"\x02e\xCC\x81"), "TEXT_NOT_NORMALISED");
    assert_eq!(forged(SlotNumber::SUMMARY, &[]), "VALUE_MALFORMED");
    assert_eq!(forged(SlotNumber::SUMMARY, &[0, 0]), "VALUE_MALFORMED");
    assert_eq!(forged(SlotNumber::SUMMARY, &vec![2; 70_000]), "VALUE_TOO_LONG");
    assert_eq!(forged(SlotNumber::GRADING, b"\x02Z9"), "FIELD_CODE");
    assert_eq!(forged(SlotNumber::EXERCISE, b"\x02yes"), "FIELD_FORM");
    assert_eq!(forged(SlotNumber::VERSION, b"\x0201"), "FIELD_FORM");
    assert_eq!(forged(SlotNumber::HANDLING, &[0]), "FIELD_REQUIRED");
    assert_eq!(forged(SlotNumber::HANDLING, &[1]), "FIELD_MUST_BE_KNOWN");
    assert_eq!(forged(SlotNumber::KIND, b"\x02black"), "KIND_NOT_FOR_SUBJECT");
    assert_eq!(forged(SlotNumber::KIND, b"\x02crimson"), "NOTICE_KIND_UNKNOWN");
    assert_eq!(forged(SlotNumber::SUBJECT, &[0]), "SUBJECT_TYPE_UNKNOWN");
    assert_eq!(forged_in(DOCUMENT, free, b"\x02hidden"), "FIELD_UNKNOWN");
    assert_eq!(forged(free, b"\x02hidden"), "FIELD_TYPE");
    assert_eq!(forged(SlotNumber::REFERENCE, b"\x02id-2026-7k3qx9-5"), "FIELD_FORM");
}

#[test]
fn nothing_of_a_notice_is_printed_by_accident() {
    let committed = committed(RED);
    let disclosure = committed.disclose(SlotSet::ALL);
    let shown = disclosure.verify(&statement(Action::Issue, &committed, "ID")).unwrap();
    let printed = format!("{:?} {disclosure:?} {shown:?} {committed:?}", committed.content());
    assert!(printed.contains("Person") && !printed.contains("Contoh"), "{printed}");
}

#[test]
fn salts_differ_by_slot_and_by_version() {
    let (a, b) = (Seed::from_bytes([1; 32]).salts(), Seed::from_bytes([2; 32]).salts());
    let all: std::collections::HashSet<_> = a.iter().chain(&b).collect();
    assert_eq!(all.len(), 2 * SLOTS);
    let info = pae(&[b"eads/v1/salt", &17_u16.to_be_bytes()]);
    assert_eq!(a[17], crate::encode::hkdf::<32>(&[1; 32], &info));
    assert_eq!(format!("{:?}", Seed::from_bytes([1; 32])), "Seed(..)");
}

#[test]
fn approvals_change_one_commitment_only() {
    let committed = committed(RED);
    let approval = Approval { signature: [1; 64], certificate: vec![2; 300] };
    let approved = committed.with_approvals(std::slice::from_ref(&approval)).unwrap();
    let at = Timestamp::from_unix(9);
    assert_eq!(approved.approval_message(at), committed.approval_message(at));
    let changed: Vec<_> = SlotNumber::all()
        .filter(|slot| approved.commitments()[slot.index()] != committed.commitments()[slot.index()])
        .collect();
    assert_eq!(changed, [SlotNumber::APPROVALS]);
    let statement = statement(Action::Issue, &approved, "ID");
    let shown = approved.disclose(SlotSet::EMPTY).verify(&statement).unwrap();
    assert_eq!(shown.approvals(), Ok(vec![approval]));
    assert_eq!(shown.approval_message(&statement), approved.approval_message(statement.payload().not_after));
}
