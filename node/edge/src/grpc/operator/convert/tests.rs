use super::*;

fn code(error: &Status) -> String {
    error.metadata().get("eads-code").unwrap().to_str().unwrap().to_owned()
}

fn value(slot: u32) -> v1::SlotValue {
    v1::SlotValue { slot, value: Value::text("x").unwrap().encode() }
}

#[test]
fn values_are_read_strictly_and_once_a_slot() {
    assert_eq!(slot_values(&[value(12), value(10)]).unwrap().len(), 2);
    assert_eq!(code(&slot_values(&[value(12), value(12)]).unwrap_err()), "FIELD_TWICE");
    assert_eq!(code(&slot_values(&[value(48)]).unwrap_err()), "MESSAGE_FIELD_UNKNOWN");
    let mut trailing = value(12);
    trailing.value.push(0);
    assert_eq!(code(&slot_values(&[trailing]).unwrap_err()), "MESSAGE_FIELD_UNKNOWN");
    assert!(slot_values(&[v1::SlotValue { slot: 1, value: Vec::new() }]).is_err());
}

#[test]
fn members_are_two_capital_letters_and_not_too_many() {
    assert_eq!(codes(&members(&["MY".to_owned(), "TH".to_owned()]).unwrap()), ["MY", "TH"]);
    assert_eq!(code(&members(&["my".to_owned()]).unwrap_err()), "MEMBER_ID_INVALID");
    assert_eq!(code(&members(&vec!["MY".to_owned(); 257]).unwrap_err()), "MEMBERS_TOO_MANY");
}

#[test]
fn texts_for_the_audit_log_are_short_and_on_one_line() {
    assert_eq!(text("it", "  ").unwrap(), None);
    assert_eq!(text("it", " case 7 ").unwrap().as_deref(), Some("case 7"));
    assert_eq!(code(&text("it", "a\nb").unwrap_err()), "TEXT_UNFIT");
    assert!(text("it", &"ก".repeat(200)).is_ok());
    assert!(text("it", &"ก".repeat(201)).is_err());
}

#[test]
fn ids_and_digests_have_their_length_or_are_absent() {
    assert_eq!(request_id(&[]).unwrap(), None);
    assert!(request_id(&[1; 16]).unwrap().is_some());
    assert_eq!(code(&request_id(&[1; 15]).unwrap_err()), "REQUEST_ID_INVALID");
    assert!(digest(&[1; 32]).unwrap().is_some());
    assert_eq!(code(&digest(&[1; 33]).unwrap_err()), "DIGEST_INVALID");
}

#[test]
fn a_limit_of_nothing_is_the_usual_one_and_none_is_above_the_most() {
    assert_eq!(limit(0, 100, 1000), 100);
    assert_eq!(limit(7, 100, 1000), 7);
    assert_eq!(limit(u32::MAX, 100, 1000), 1000);
}
