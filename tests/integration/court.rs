//! What a court can ask for: everything about one notice as a file that verifies, and evidence kept under an order;
//! and purge receipts that never come.

use std::process::Command;

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::court_pack::{self, CourtPack, LABEL, SIGNATURE_FIELD};
use eads_domain::encode::pae;
use eads_proto::v1;
use eads_tests::content::{Terms, red, secrets};
use eads_tests::house::{House, accept, alarmed, connected, sound, status};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::wait::until;
use ed25519_dalek::Signer as _;
use futures::TryStreamExt as _;
use tonic::Status;

const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_proves_everything_about_a_notice_and_what_is_left_of_it_after_its_end() {
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let reference = id.issue(&red("packed"), &[&my, &th]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    id.amend(&reference, &red("packedtwo"), &[&my]).await;
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;
    id.receipted(&reference, &th, &["issue purged", "retract accepted"]).await;

    let whole = pack(&id, "auditor", &reference).await.unwrap();
    let found = verified(&whole);
    let actions: Vec<&str> = found.statements.iter().map(|statement| statement.action.as_str()).collect();
    assert_eq!(actions, ["issue", "amend", "retract"]);
    assert!(found.statements.iter().all(|statement| !statement.destroyed));
    assert_eq!(found.statements[0].opened, 48);
    assert_eq!(found.statements[0].approvers, ["approver"]);
    assert!(whole.contains("packedfamily") && whole.contains("packedtwofamily"));
    let said: Vec<String> =
        found.receipts.iter().map(|one| format!("{} {} {}", one.member, one.index, one.status.as_str())).collect();
    for expected in ["MY 0 accepted", "MY 0 purged", "MY 1 accepted", "TH 0 purged", "TH 2 accepted"] {
        assert!(said.iter().any(|one| one == expected), "{expected} is not among {said:?}");
    }
    let operations = operations(&whole);
    for expected in ["GetNoticeStatus", "ExportCourtPack"] {
        assert!(operations.iter().any(|one| one == expected), "{expected} is not among {operations:?}");
    }
    python(&house, &whole, "VERIFIED");

    // An administrator proves the same without reading it.
    let closed = pack(&id, "admin-1", &reference).await.unwrap();
    assert_eq!(verified(&closed).statements[1].approvers, ["approver"]);
    for secret in secrets("packed").iter().chain(&secrets("packedtwo")) {
        assert!(!closed.contains(secret), "{secret} is shown to an administrator");
    }
    assert_eq!(refused(pack(&id, "officer", &reference).await), "ROLE_REQUIRED");

    // The holder has what it was shown, and the owner's key behind it.
    let held = pack(&my, "auditor", &reference).await.unwrap();
    let found = verified(&held);
    assert_eq!((found.origin, found.exporter), (id.id, my.id));
    let kept: Vec<bool> = found.statements.iter().map(|statement| !statement.destroyed).collect();
    assert_eq!(kept, [false, true], "the superseded version is gone there");
    python(&house, &held, "VERIFIED");

    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "amend purged", "withdraw accepted"]).await;
    until("everything is destroyed at the owner", || async {
        verified(&pack(&id, "auditor", &reference).await.unwrap()).statements.iter().all(|one| one.destroyed)
    })
    .await;
    let rest = pack(&id, "auditor", &reference).await.unwrap();
    assert!(!rest.contains("packedfamily"));
    let found = verified(&rest);
    assert_eq!(found.statements.len(), 4);
    assert!(found.receipts.iter().any(|one| one.index == 3 && one.status.as_str() == "accepted"));
    python(&house, &rest, "VERIFIED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_in_which_anything_was_changed_does_not_verify() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("altered"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let whole = pack(&id, "auditor", &reference).await.unwrap();
    let good: CourtPack = serde_json::from_str(&whole).unwrap();
    let at = whole.find("ExportCourtPack").unwrap();
    let altered = format!("{}Y{}", &whole[..at], &whole[at + 1..]);
    assert_eq!(code(&altered), "PACK_SIGNATURE");
    python(&house, &altered, "NOT PROVEN");

    // Whoever has the exporter's key cannot make up what others have signed.
    let flip = |digits: &mut String| {
        let last = digits.pop().unwrap();
        digits.push(if last == '0' { '1' } else { '0' });
    };
    type Change<'a> = (&'static str, Box<dyn Fn(&mut CourtPack) + 'a>);
    let changes: Vec<Change<'_>> = vec![
        ("PACK_FORMAT", Box::new(|pack| pack.format.push('2'))),
        ("PACK_CARD", Box::new(|pack| pack.cards[0].keyseq += 1)),
        ("PACK_CHECKPOINT", Box::new(|pack| pack.checkpoint = pack.checkpoint.replace('\n', "\n\n"))),
        ("PACK_STATEMENT", Box::new(|pack| flip(&mut pack.statements[0].content.as_mut().unwrap().signature))),
        ("PACK_STATEMENT", Box::new(|pack| flip(&mut pack.statements[0].content.as_mut().unwrap().payload))),
        ("PACK_STATEMENT", Box::new(|pack| flip(&mut pack.statements[0].content.as_mut().unwrap().openings[20].value))),
        ("PACK_STATEMENT", Box::new(|pack| flip(&mut pack.statements[0].content.as_mut().unwrap().openings[9].salt))),
        (
            "PACK_STATEMENT",
            Box::new(|pack| flip(&mut pack.statements[0].content.as_mut().unwrap().audience[0].opening)),
        ),
        ("PACK_STATEMENT", Box::new(|pack| pack.statements[0].action = "withdraw".to_owned())),
        ("PACK_STATEMENT", Box::new(|pack| pack.notice.notice = eads_domain::id::NoticeId::from_bytes([7; 16]))),
        ("PACK_INCLUSION", Box::new(|pack| pack.statements[0].index += 1)),
        ("PACK_RECEIPT", Box::new(|pack| flip(&mut pack.receipts[0].parts[0]))),
        ("PACK_RECEIPT", Box::new(|pack| flip(&mut pack.receipts[0].signature))),
        ("PACK_AUDIT", Box::new(|pack| pack.audit.entries[0].sequence += 1)),
        ("PACK_AUDIT", Box::new(|pack| pack.audit.entries[0].entry.push(' '))),
        ("PACK_AUDIT", Box::new(|pack| pack.audit.head_sequence = 0)),
    ];
    assert_eq!(code(&resigned(&id, good.clone())), "", "nothing was changed");
    for (expected, change) in changes {
        let mut pack = good.clone();
        change(&mut pack);
        let text = resigned(&id, pack);
        assert_eq!(code(&text), expected);
        python(&house, &text, "NOT PROVEN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_keeps_is_destroyed_only_when_the_order_ends() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("evidence"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let until_then = my.now().plus_seconds(30 * DAY);
    for member in [&id, &my] {
        let (hold, in_force) = place(member, "admin-1", &reference, until_then).await.unwrap();
        assert!(!in_force);
        assert_eq!(refused(place(member, "admin-1", &reference, until_then).await), "SECOND_ADMINISTRATOR_REQUIRED");
        let later = until_then.plus_seconds(1);
        assert_eq!(refused(place(member, "admin-2", &reference, later).await), "HOLD_DIFFERS");
        assert_eq!(place(member, "admin-2", &reference, until_then).await.unwrap(), (hold, true));
    }
    assert_eq!(refused(place(&my, "auditor", &reference, until_then).await), "ROLE_REQUIRED");

    id.withdraw(&reference).await;
    // The holder says that it keeps it, and why; the owner sees that it owes the purge.
    until("MY tells of its order", || async {
        let holders = id.holders(&reference).await;
        holders.iter().any(|holder| holder.action == "issue" && holder.reason == 120 && holder.purge_owed_since != 0)
    })
    .await;
    id.receipted(&reference, &my, &["issue accepted", "withdraw accepted"]).await;
    my.restart().await;
    assert_eq!(my.state_of(&reference).await, "NOTICE_WITHDRAWN");
    assert!(my.finds("evidencegiven evidencefamily").await.is_empty());
    assert!(id.finds("evidencegiven evidencefamily").await.is_empty());
    let shown = id.notice(&reference).await.unwrap();
    assert_eq!((shown.notice.unwrap().state.as_str(), shown.values.len()), ("withdrawn", 0));
    for member in [&id, &my] {
        assert_eq!(holds(member, "auditor").await[0].kept, 1);
        let kept = pack(member, "auditor", &reference).await.unwrap();
        assert!(kept.contains("evidencefamily"), "the auditor opens what is kept");
        verified(&kept);
        assert!(!pack(member, "admin-1", &reference).await.unwrap().contains("evidencefamily"));
        sound(member).await;
    }

    // Two administrators end the one, its date the other.
    let hold = holds(&my, "admin-1").await[0].hold_id.clone();
    assert!(!release(&my, "admin-1", &hold).await.unwrap());
    assert_eq!(refused(release(&my, "admin-1", &hold).await), "SECOND_ADMINISTRATOR_REQUIRED");
    assert!(release(&my, "admin-2", &hold).await.unwrap());
    id.receipted(&reference, &my, &["issue purged", "withdraw accepted"]).await;
    assert!(pack(&id, "auditor", &reference).await.unwrap().contains("evidencefamily"), "the owner's order stands");
    id.clock.advance(31 * DAY);
    until("the owner's copy is gone", || async {
        !pack(&id, "auditor", &reference).await.unwrap().contains("evidencefamily")
    })
    .await;
    assert!(holds(&id, "admin-1").await.is_empty());
    assert_eq!(refused(place(&my, "admin-1", &reference, until_then).await), "HOLD_NOTHING_LEFT");
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_of_the_days_of_an_order_stay_readable_beyond_their_retention() {
    let house = House::new();
    let mut id = Member::create(house.path(), "ID");
    id.limits.audit_query_days = 10;
    id.start().await;
    id.finds("Aman Rasa").await;
    let first_day = id.now();
    for administrator in ["admin-1", "admin-2"] {
        let request = v1::PlaceHoldRequest {
            audit_from: first_day.as_unix(),
            audit_to: first_day.as_unix(),
            order: "Order 9".to_owned(),
            until: first_day.plus_seconds(400 * DAY).as_unix(),
            reason: "inquiry".to_owned(),
            ..v1::PlaceHoldRequest::default()
        };
        id.operator(administrator).court().place_hold(request).await.unwrap();
    }
    id.clock.advance(2 * DAY);
    // Another day has another key, also after a restart.
    id.restart().await;
    id.finds("Budi Putra").await;
    id.clock.advance(20 * DAY);
    id.restart().await;
    until("what no order keeps is forgotten", || async { questions(&id).await.len() == 1 }).await;
    assert!(questions(&id).await[0].contains("Aman Rasa"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_receipt_that_never_comes_raises_an_alarm_and_is_written_off_by_two() {
    let house = House::new();
    let (mut id, mut my) = (Member::create(house.path(), "ID"), house.member("MY").await);
    id.limits.purge_owed_look_seconds = 0;
    id.start().await;
    accept(&id, &my, &Terms::default()).await;
    accept(&my, &id, &Terms::default()).await;
    connected(&id, 1).await;
    let reference = id.issue(&red("silent"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    assert_eq!(refused(write_off(&id, "admin-1", &reference).await), "NOTHING_OWED");
    my.stop().await;
    id.withdraw(&reference).await;
    let owed = id.holders(&reference).await;
    assert!(owed.iter().any(|holder| holder.action == "issue" && holder.purge_owed_since == id.now().as_unix()));
    assert!(!status(&id).await.alarms.iter().any(|alarm| alarm.contains("PURGE_OWED")), "not yet");
    id.clock.advance(25 * 3600);
    alarmed(&id, "PURGE_OWED:MY").await;

    assert_eq!(write_off(&id, "admin-1", &reference).await.unwrap(), (false, 2));
    assert_eq!(refused(write_off(&id, "admin-1", &reference).await), "SECOND_ADMINISTRATOR_REQUIRED");
    assert_eq!(refused(write_off(&id, "officer", &reference).await), "ROLE_REQUIRED");
    assert_eq!(write_off(&id, "admin-2", &reference).await.unwrap(), (true, 2));
    let holders = id.holders(&reference).await;
    assert!(holders.iter().all(|holder| holder.purge_owed_since == 0 && holder.written_off_at != 0));
    assert!(!status(&id).await.alarms.iter().any(|alarm| alarm.contains("PURGE_OWED")));
    // Nothing waits any more: the withdrawal's own content goes too.
    until("the last statement is destroyed", || async {
        verified(&pack(&id, "auditor", &reference).await.unwrap()).statements.iter().all(|one| one.destroyed)
    })
    .await;
    sound(&id).await;
}

async fn pack(member: &Member, operator: &str, reference: &str) -> Result<String, Status> {
    let request = v1::ExportCourtPackRequest {
        reference: reference.to_owned(),
        purpose: "judicial-proceedings".to_owned(),
        legal_basis: "order of the court".to_owned(),
        case_reference: "Case 4/2026".to_owned(),
    };
    let chunks = member.operator(operator).court().export_court_pack(request).await?.into_inner();
    let chunks: Vec<v1::ExportCourtPackResponse> = chunks.try_collect().await?;
    Ok(String::from_utf8(chunks.into_iter().flat_map(|response| response.chunk).collect()).unwrap())
}

fn verified(text: &str) -> court_pack::PackFinding {
    let pack: CourtPack = serde_json::from_str(text).unwrap();
    court_pack::verify(&pack, text).unwrap()
}

/// The code of what is wrong with a pack; empty if nothing is.
fn code(text: &str) -> &'static str {
    let pack: CourtPack = serde_json::from_str(text).unwrap();
    court_pack::verify(&pack, text).err().map_or("", |error| error.code().as_str())
}

/// The pack as the exporter would have signed it.
fn resigned(member: &Member, mut pack: CourtPack) -> String {
    pack.pack_signature = String::new();
    let unsigned = serde_json::to_string_pretty(&pack).unwrap();
    let end = unsigned.rfind(SIGNATURE_FIELD).unwrap();
    let signature = member.identity().signing_key.sign(&pae(&[LABEL, &unsigned.as_bytes()[..end]]));
    pack.pack_signature = hex::encode(signature.to_bytes());
    serde_json::to_string_pretty(&pack).unwrap()
}

/// What the verifier without any of this code says.
fn python(house: &House, text: &str, expected: &str) {
    let file = house.path().join("pack.json");
    std::fs::write(&file, text).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/verify_pack.py");
    let ran = Command::new("python3").arg(script).arg(&file).output().expect("python3");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(said.starts_with(expected), "{expected} was expected of\n{said}");
}

fn operations(text: &str) -> Vec<String> {
    let pack: CourtPack = serde_json::from_str(text).unwrap();
    let operation = |entry: &court_pack::PackEntry| {
        serde_json::from_str::<serde_json::Value>(&entry.entry).unwrap()["operation"].as_str().unwrap().to_owned()
    };
    pack.audit.entries.iter().map(operation).collect()
}

async fn place(member: &Member, operator: &str, reference: &str, until: Timestamp) -> Result<(String, bool), Status> {
    let request = v1::PlaceHoldRequest {
        reference: reference.to_owned(),
        order: "Order 7 of the district court".to_owned(),
        until: until.as_unix(),
        reason: "appeal pending".to_owned(),
        ..v1::PlaceHoldRequest::default()
    };
    let answer = member.operator(operator).court().place_hold(request).await?.into_inner();
    Ok((answer.hold_id, answer.in_force))
}

async fn release(member: &Member, operator: &str, hold_id: &str) -> Result<bool, Status> {
    let request = v1::ReleaseHoldRequest { hold_id: hold_id.to_owned(), reason: "appeal decided".to_owned() };
    Ok(member.operator(operator).court().release_hold(request).await?.into_inner().released)
}

async fn holds(member: &Member, operator: &str) -> Vec<v1::EvidenceHold> {
    let request = v1::ListHoldsRequest { all: false };
    member.operator(operator).court().list_holds(request).await.unwrap().into_inner().holds
}

async fn write_off(member: &Member, operator: &str, reference: &str) -> Result<(bool, u64), Status> {
    let request = v1::WriteOffReceiptRequest {
        reference: reference.to_owned(),
        member: "MY".to_owned(),
        reason: "their node is gone".to_owned(),
    };
    let answer = member.operator(operator).court().write_off_receipt(request).await?.into_inner();
    Ok((answer.written_off, answer.statements))
}

async fn questions(member: &Member) -> Vec<String> {
    let entries = member.audit_entries().await;
    entries.into_iter().map(|entry| entry.query_text).filter(|text| !text.is_empty()).collect()
}
