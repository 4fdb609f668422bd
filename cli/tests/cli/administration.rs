//! The command and a node: status, peers, registers, audit, who holds what.

use std::fs;
use std::path::Path;

use eads_domain::card::{Anchor, Card, ProtocolRange, SignedCard, key_digest};
use eads_domain::clock::Timestamp;
use eads_domain::id::RegisterId;
use eads_proto::v1 as proto;
use ed25519_dalek::SigningKey;
use tempfile::TempDir;

use super::fake::{Fake, Script};
use super::{eads, transcript};

fn home() -> TempDir {
    tempfile::tempdir().expect("a home")
}

fn run(home: &Path, arguments: &[&str]) -> std::process::Output {
    eads(home, &[&["--profile", "profile.toml"], arguments].concat())
}

fn peer(member: &str, state: &str) -> proto::PeerStatus {
    proto::PeerStatus {
        member: member.to_owned(),
        display_name: "Example Police".to_owned(),
        standing: "member".to_owned(),
        state: state.to_owned(),
        connected: state == "accepted",
        register_cursor: 12,
        awaiting_receipt: 1,
        ..Default::default()
    }
}

fn status() -> proto::GetStatusResponse {
    let trouble = proto::PeerStatus {
        last_error: "CHECKPOINT_INCONSISTENT: two checkpoints of size 12".to_owned(),
        clock_skew: 90,
        ..peer("TH", "frozen")
    };
    proto::GetStatusResponse {
        member: "ID".to_owned(),
        version: "0.1.0".to_owned(),
        register: vec![0xab; 16],
        register_size: 1,
        sequencing: "open".to_owned(),
        notices_in_force: 3,
        held_notices: 2,
        records: 1_000,
        peers: vec![peer("MY", "accepted"), trouble],
        alarms: vec!["TH is frozen".to_owned()],
        ..Default::default()
    }
}

#[test]
fn status_and_peers_show_what_an_administrator_should_look_at() {
    let home = home();
    let _fake = Fake::start(home.path(), Script { status: status(), ..Script::default() });
    let output = run(home.path(), &["status"]);
    let shown = transcript(home.path(), &output);
    // The node's clock stands at no time at all here, and so differs from this machine's.
    let stable: Vec<&str> = shown.lines().filter(|line| !line.starts_with("clock")).collect();
    insta::assert_snapshot!("status", stable.join("\n"));
    insta::assert_snapshot!("peer-list", transcript(home.path(), &run(home.path(), &["peer", "list"])));
    let json = run(home.path(), &["peer", "list", "--output", "json"]);
    insta::assert_snapshot!("peer-list-json", transcript(home.path(), &json));
    let removed = run(home.path(), &["peer", "remove", "TH", "--reason", "left"]);
    insta::assert_snapshot!("peer-remove", transcript(home.path(), &removed));
}

#[test]
fn what_does_not_verify_is_an_integrity_failure() {
    let home = home();
    let register = |member: &str, sound: bool| proto::RegisterVerification {
        member: member.to_owned(),
        size: 12,
        statements: 4,
        sound,
        finding: if sound { String::new() } else { "leaf 3 is not that of its statement".to_owned() },
    };
    let script = Script { registers: vec![register("ID", true), register("MY", false)], ..Script::default() };
    let fake = Fake::start(home.path(), script);
    let output = run(home.path(), &["register", "verify"]);
    insta::assert_snapshot!("register-verify", transcript(home.path(), &output));
    assert_eq!(output.status.code(), Some(8));
    fake.script().registers.pop();
    assert_eq!(run(home.path(), &["register", "verify"]).status.code(), Some(0));
    let output = run(home.path(), &["audit", "verify"]);
    insta::assert_snapshot!("audit-verify", transcript(home.path(), &output));
    assert_eq!(output.status.code(), Some(8));
}

#[test]
fn the_audit_log_says_who_asked_and_what_was_shown() {
    let home = home();
    let intent = proto::AuditEntry {
        sequence: 7,
        kind: "intent".to_owned(),
        at: 1_795_492_085,
        request_id: vec![1; 16],
        actor: "operator:officer".to_owned(),
        operation: "Search".to_owned(),
        purpose: "border-check".to_owned(),
        query_text: "plate B1234XYZ".to_owned(),
        unfinished: true,
        ..Default::default()
    };
    let outcome = proto::AuditEntry {
        sequence: 8,
        kind: "outcome".to_owned(),
        result: "OK".to_owned(),
        shown: vec![proto::ShownStatement { digest: vec![2; 32], slots: 0b1000_0101 }],
        unfinished: false,
        query_text: String::new(),
        ..intent.clone()
    };
    let _fake = Fake::start(home.path(), Script { audit: vec![outcome, intent], ..Script::default() });
    insta::assert_snapshot!("audit-search", transcript(home.path(), &run(home.path(), &["audit", "search"])));
    let lines = run(home.path(), &["audit", "search", "--output", "jsonl"]);
    let text = String::from_utf8(lines.stdout).expect("text");
    let first: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["shown"][0]["slots"], serde_json::json!([0, 2, 7]));
    let shown = run(home.path(), &["audit", "show", "7"]);
    insta::assert_snapshot!("audit-show", transcript(home.path(), &shown));
    let signed = run(home.path(), &["audit", "countersign", "--list"]);
    insta::assert_snapshot!("audit-countersign-list", transcript(home.path(), &signed));
    let matched = run(home.path(), &["audit", "match", "--peer", "MY"]);
    insta::assert_snapshot!("audit-match", transcript(home.path(), &matched));
    assert_eq!(matched.status.code(), Some(8));
}

#[test]
fn a_withdrawn_notice_s_status_names_who_has_not_purged_it() {
    let home = home();
    let holder = |member: &str, state: &str| proto::HolderStatus {
        member: member.to_owned(),
        index: 9,
        version: 2,
        action: "issue".to_owned(),
        state: state.to_owned(),
        purge_owed_since: if state == "purged" { 0 } else { 1_795_492_085 },
        ..Default::default()
    };
    let notice = proto::NoticeSummary {
        reference: "ID-2026-7K3QX9-5".to_owned(),
        owner: "ID".to_owned(),
        kind: "yellow".to_owned(),
        subject: "person".to_owned(),
        state: "withdrawn".to_owned(),
        version: 2,
        ..Default::default()
    };
    let script = Script {
        notice: Some(proto::GetNoticeResponse { notice: Some(notice), ..Default::default() }),
        holders: vec![holder("MY", "purged"), holder("TH", "sent")],
        ..Script::default()
    };
    let _fake = Fake::start(home.path(), script);
    let output = run(home.path(), &["notice", "status", "ID-2026-7K3QX9-5"]);
    insta::assert_snapshot!("notice-status", transcript(home.path(), &output));
}

/// A peer's card. Its anchors are this test's own CA certificate.
fn card(home: &Path) -> SignedCard {
    let key = |seed: u8| SigningKey::from_bytes(&[seed; 32]);
    let pem = fs::read(home.join("ca.pem")).expect("a CA");
    let anchor = || Anchor::from_der(pem::parse(&pem).expect("PEM").contents().to_vec()).expect("an anchor");
    let card = Card {
        member: "MY".parse().expect("member"),
        standing: "member".parse().expect("standing"),
        display_name: "Example Police".parse().expect("name"),
        endpoints: vec!["node.example:8443".parse().expect("endpoint")],
        tls_anchors: vec![anchor()],
        operator_anchor: anchor(),
        signing_key: key(1).verifying_key(),
        keyseq: 0,
        cosigner_key: key(2).verifying_key(),
        register: RegisterId::from_bytes([5; 16]),
        protocol: ProtocolRange::new(1, 1).expect("range"),
        duty_contacts: vec!["duty@police.example".parse().expect("contact")],
        sequence: 1,
        previous: None,
        issued: Timestamp::from_unix(1_795_492_085),
        next_signing_key: key_digest(&key(3).verifying_key()),
        compromised_from: None,
    };
    SignedCard::sign(card, &key(1)).expect("a card")
}

#[test]
fn the_ceremony_imports_compares_and_takes_two_administrators() {
    let home = home();
    let fake = Fake::start(home.path(), Script::default());
    let card = card(home.path());
    let code = card.verification_code().to_string();
    fs::write(home.path().join("my.card"), card.to_armor()).expect("card");
    let shown = transcript(home.path(), &eads(home.path(), &["peer", "show", "my.card"]));
    assert!(shown.contains("member              MY\n") && shown.contains(&code[..35]), "{shown}");

    fake.script().code = code.replace(&code[..1], if code.starts_with('1') { "2" } else { "1" });
    let output = run(home.path(), &["peer", "import", "my.card"]);
    assert_eq!(output.status.code(), Some(8));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error[CARD_CODE_DIFFERS]"));
    fake.script().code.clone_from(&code);
    assert_eq!(run(home.path(), &["peer", "import", "my.card"]).status.code(), Some(0));

    let agreement = eads(home.path(), &["agreement", "example", "MY"]).stdout;
    fs::write(home.path().join("my.toml"), &agreement).expect("agreement");
    let accept = ["peer", "accept", "MY", "--agreement", "my.toml", "--code", &code];
    let first = String::from_utf8(run(home.path(), &accept).stdout).expect("text");
    assert!(first.contains("not accepted yet: a second administrator runs"), "{first}");
    let second = String::from_utf8(run(home.path(), &accept).stdout).expect("text");
    assert_eq!(second, "MY is accepted.\n");
    let sent = fake.script().accepted.clone();
    assert_eq!((sent[0].verification_code.as_str(), sent[0].agreement.as_bytes()), (code.as_str(), &agreement[..]));

    let other = run(home.path(), &["peer", "accept", "TH", "--agreement", "my.toml", "--code", &code]);
    assert!(String::from_utf8_lossy(&other.stderr).starts_with("error[AGREEMENT_OTHER_MEMBER]"));
}

#[test]
fn a_card_that_was_changed_on_the_way_does_not_verify() {
    let home = home();
    let _fake = Fake::start(home.path(), Script::default());
    let mut bytes = card(home.path()).bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(home.path().join("bad.card"), &bytes).expect("card");
    let output = eads(home.path(), &["peer", "show", "bad.card"]);
    assert_eq!(output.status.code(), Some(8), "{}", transcript(home.path(), &output));
}
