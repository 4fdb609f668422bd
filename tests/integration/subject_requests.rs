//! The rights of those whom data is about: what is held and who looked, by a deadline; and being told apart from a
//! namesake.

use eads_proto::v1;
use eads_proto::v1::query::Key;
use eads_tests::content::{Terms, passport, red};
use eads_tests::house::{House, accept, alarmed, connected, status};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::questions;
use tonic::Status;

const DAY: i64 = 86_400;
const RECORDS: &str = "key,family-name,given-names,birth-date\n1,Rasa,Aman,1990-05-01\n2,Putra,Budi,1971-01-01\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_finds_every_holding_and_look_up_and_is_answered_on_record() {
    let house = House::new();
    let (mut id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms::default()).await;
    accept(&my, &id, &Terms { decision: "quarantine", ..Terms::default() }).await;
    connected(&my, 1).await;
    let person = red("subject").replace("\"subjectfamily\"", "\"Rasa\"").replace("\"subjectgiven\"", "\"Aman\"");
    let own = my.issue(&person, &[]).await;
    let held = id.issue(&person, &[&my]).await;
    id.receipted(&held, &my, &["issue quarantined"]).await;
    let drafted = my.draft(&person, &[]).await.unwrap();
    my.import_csv("population", RECORDS).await.unwrap();
    // Asked here, and by the peer; another person too.
    my.finds("RASA, Aman").await;
    id.search_for(questions::name("Aman Rasa")).await.unwrap();
    my.search_for(questions::passport(&passport("subject"))).await.unwrap();
    my.finds("Budi Putra").await;

    let request = open(&my, "auditor", "Aman Rasa", &passport("subject")).await.unwrap();
    let found = find(&my, "auditor", &request).await.unwrap();
    let mut sources: Vec<(&str, &str)> =
        found.holdings.iter().map(|one| (one.source.as_str(), one.state.as_str())).collect();
    sources.sort_unstable();
    assert_eq!(
        sources,
        [("draft", "draft"), ("held-notice", "quarantined"), ("own-notice", "valid"), ("record", "current")]
    );
    let references: Vec<&str> = found.holdings.iter().map(|one| one.reference.as_str()).collect();
    for reference in [&own, &held, &drafted.reference] {
        assert!(references.contains(&reference.as_str()), "{reference} is not among {references:?}");
    }
    let looked: Vec<(&str, &str)> =
        found.lookups.iter().map(|one| (one.operation.as_str(), one.actor.as_str())).collect();
    assert_eq!(looked, [("Search", "operator:officer"), ("AnswerQuery", "peer:ID"), ("Search", "operator:officer")]);
    assert!(!found.truncated && found.unreadable == 0);

    for operator in ["officer", "admin-1", "issuer"] {
        assert_eq!(refused(find(&my, operator, &request).await), "ROLE_REQUIRED");
    }
    assert_eq!(refused(open(&my, "officer", "Aman Rasa", "").await), "ROLE_REQUIRED");
    assert_eq!(refused(find(&my, "auditor", &"0".repeat(32)).await), "SUBJECT_REQUEST_UNKNOWN");

    // The deadline is watched, also over a restart; the answer ends that.
    assert_eq!(states(&my, false).await, ["open"]);
    assert!(!status(&my).await.alarms.iter().any(|alarm| alarm.contains("SUBJECT_REQUEST")));
    my.clock.advance(24 * DAY);
    alarmed(&my, "SUBJECT_REQUEST_DUE").await;
    let mut my = my;
    my.restart().await;
    my.clock.advance(7 * DAY);
    alarmed(&my, "SUBJECT_REQUEST_OVERDUE").await;
    assert_eq!(states(&my, false).await, ["overdue"]);
    assert_eq!(refused(answer(&my, &request, "perhaps").await), "DECISION_UNKNOWN");
    answer(&my, &request, "partly").await.unwrap();
    assert_eq!(refused(answer(&my, &request, "granted").await), "SUBJECT_REQUEST_ANSWERED");
    assert!(!status(&my).await.alarms.iter().any(|alarm| alarm.contains("SUBJECT_REQUEST")));
    assert!(states(&my, false).await.is_empty());
    assert_eq!(states(&my, true).await, ["answered"]);
    // The log names the request, and not the person.
    let entries = my.audit_entries().await;
    assert!(entries.iter().any(|entry| entry.operation == "FindSubject" && entry.purpose == "audit"));
    assert!(entries.iter().all(|entry| !entry.subject.contains("Rasa")));
    id.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marked_namesake_is_shown_last_and_said_not_to_be_meant() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    let person = red("namesake").replace("\"namesakefamily\"", "\"Rasa\"").replace("\"namesakegiven\"", "\"Aman\"");
    let meant = id.issue(&person, &[&my]).await;
    id.receipted(&meant, &my, &["issue accepted"]).await;
    my.import_csv("population", RECORDS).await.unwrap();
    let before = ask(&my, "Aman Rasa", "1990-05-01").await;
    assert!(before.iter().all(|hit| hit.cautions.is_empty() && hit.score > 500), "{before:?}");

    let until = my.now().plus_seconds(30 * DAY).as_unix();
    let vague = add(&my, "approver", &meant, "Aman Rasa", "1990", until).await;
    assert_eq!(refused(vague), "MARK_TOO_VAGUE");
    assert_eq!(refused(add(&my, "officer", &meant, "Aman Rasa", "1990-05-01", until).await), "ROLE_REQUIRED");
    assert_eq!(refused(add(&my, "approver", &meant, "Aman Rasa", "1990-05-01", 0).await), "MARK_UNTIL_INVALID");
    let mark = add(&my, "approver", &meant, "Aman Rasa", "1990-05-01", until).await.unwrap();
    my.restart().await;
    connected(&my, 1).await;

    // The one who is marked, however the name is written: here, and in what the owner answers.
    let hits = ask(&my, "RASA, Áman", "1990-05-01").await;
    let of_notice: Vec<&v1::Hit> = hits.iter().filter(|hit| hit.reference == meant).collect();
    assert_eq!(of_notice.len(), 2, "here and at its owner: {hits:?}");
    for hit in of_notice {
        assert_eq!((hit.cautions.last().map(String::as_str), hit.score <= 100), (Some("not-this-person"), true));
        assert!(hit.reasons.iter().any(|reason| reason.code == "NOT-THIS-PERSON"));
        let sum: i32 = hit.reasons.iter().map(|reason| reason.weight).sum();
        assert_eq!(sum, i32::try_from(hit.score).unwrap(), "the reasons still add up");
    }
    let here: Vec<&str> = hits.iter().take(2).map(|hit| hit.source.as_str()).collect();
    assert_eq!(here, ["record", "notice"], "the person's own record comes first");
    // Anybody else is found as ever: the one who is meant, and one of whom less is known.
    for born in ["1984-07-19", "", "1990-05"] {
        let hits = ask(&my, "Aman Rasa", born).await;
        let found = hits.iter().find(|hit| hit.reference == meant).map(|hit| hit.cautions.is_empty());
        assert_eq!(found, Some(true), "born {born:?}");
    }

    assert_eq!(list(&my).await.len(), 1);
    assert_eq!(refused(remove(&my, "officer", &mark).await), "ROLE_REQUIRED");
    remove(&my, "auditor", &mark).await.unwrap();
    assert!(ask(&my, "Aman Rasa", "1990-05-01").await.iter().all(|hit| hit.cautions.is_empty()));
    // And a mark ends by itself.
    add(&my, "approver", &meant, "Aman Rasa", "1990-05-01", until).await.unwrap();
    my.clock.advance(31 * DAY);
    eads_tests::wait::until("the mark has ended", || async { list(&my).await.is_empty() }).await;
}

async fn open(member: &Member, operator: &str, name: &str, document: &str) -> Result<String, Status> {
    let request = v1::OpenSubjectRequestRequest {
        name: name.to_owned(),
        document: document.to_owned(),
        received: member.now().as_unix(),
        ..v1::OpenSubjectRequestRequest::default()
    };
    Ok(member.operator(operator).subjects().open_subject_request(request).await?.into_inner().request_id)
}

async fn find(member: &Member, operator: &str, request_id: &str) -> Result<v1::FindSubjectResponse, Status> {
    let request = v1::FindSubjectRequest {
        request_id: request_id.to_owned(),
        purpose: "audit".to_owned(),
        case_reference: "SAR 3".to_owned(),
        ..v1::FindSubjectRequest::default()
    };
    Ok(member.operator(operator).subjects().find_subject(request).await?.into_inner())
}

async fn states(member: &Member, all: bool) -> Vec<String> {
    let request = v1::ListSubjectRequestsRequest { all };
    let listed = member.operator("admin-1").subjects().list_subject_requests(request).await.unwrap().into_inner();
    listed.requests.into_iter().map(|request| request.state).collect()
}

async fn answer(member: &Member, request_id: &str, decision: &str) -> Result<(), Status> {
    let request = v1::AnswerSubjectRequestRequest {
        request_id: request_id.to_owned(),
        decision: decision.to_owned(),
        reason: "file 12".to_owned(),
    };
    member.operator("auditor").subjects().answer_subject_request(request).await.map(drop)
}

async fn add(
    member: &Member,
    operator: &str,
    reference: &str,
    name: &str,
    birth_date: &str,
    until: i64,
) -> Result<String, Status> {
    let request = v1::AddNotThisPersonRequest {
        reference: reference.to_owned(),
        name: name.to_owned(),
        birth_date: birth_date.to_owned(),
        consent: "letter of 3 May".to_owned(),
        until,
        ..v1::AddNotThisPersonRequest::default()
    };
    Ok(member.operator(operator).subjects().add_not_this_person(request).await?.into_inner().mark_id)
}

async fn list(member: &Member) -> Vec<v1::NotThisPerson> {
    let request = v1::ListNotThisPersonRequest {};
    member.operator("officer").subjects().list_not_this_person(request).await.unwrap().into_inner().marks
}

async fn remove(member: &Member, operator: &str, mark_id: &str) -> Result<(), Status> {
    let request =
        v1::RemoveNotThisPersonRequest { mark_id: mark_id.to_owned(), reason: "consent withdrawn".to_owned() };
    member.operator(operator).subjects().remove_not_this_person(request).await.map(drop)
}

/// Hits of the own node first, then of the peers.
async fn ask(member: &Member, name: &str, birth_date: &str) -> Vec<v1::Hit> {
    let mut query = questions::name(name);
    if let Some(Key::Name(key)) = &mut query.key {
        key.birth_date = birth_date.to_owned();
    }
    let answers = member.search_for(query).await.unwrap();
    answers.into_iter().flat_map(|answer| answer.hits).collect()
}
