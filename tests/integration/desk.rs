//! The desk: what waits for it is nobody else's, what it decides is told to the owner and to nobody as the owner's
//! word, and what must be done first is said wherever a notice is shown.

use eads_proto::v1;
use eads_tests::content::{Terms, passport, red, stolen_passport};
use eads_tests::house::{House, accept, connected};
use eads_tests::member::Member;
use eads_tests::operator::code;
use eads_tests::photos::{draft_with, jpeg, picture};
use eads_tests::ports;
use eads_tests::questions;
use eads_tests::wait::until;
use futures::TryStreamExt as _;
use tonic::Status;

use crate::programs::EADS;

/// `id` sends what it has to `my`, whose desk looks at everything first.
async fn quarantining(house: &House) -> (Member, Member) {
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms::default()).await;
    accept(&my, &id, &Terms { decision: "quarantine", ..Terms::default() }).await;
    (id, my)
}

async fn desk(member: &Member, decided: bool, exercise: bool) -> Vec<v1::DeskNotice> {
    let request = v1::ListDeskRequest { decided, exercise, limit: 0 };
    let stream = member.operator("approver").desk().list_desk(request).await.expect("a list").into_inner();
    let all: Vec<v1::ListDeskResponse> = stream.try_collect().await.expect("a list");
    all.into_iter().filter_map(|one| one.notice).collect()
}

async fn at_desk(member: &Member, reference: &str) -> v1::GetDeskNoticeResponse {
    let request = v1::GetDeskNoticeRequest { reference: reference.to_owned() };
    member.operator("approver").desk().get_desk_notice(request).await.expect("a notice").into_inner()
}

async fn approve(member: &Member, reference: &str, digest: &[u8], for_all_versions: bool) -> Result<(), Status> {
    let request = v1::ApproveHeldNoticeRequest {
        reference: reference.to_owned(),
        digest: digest.to_vec(),
        for_all_versions,
        note: "looked at".to_owned(),
    };
    member.operator("approver").desk().approve_held_notice(request).await.map(drop)
}

async fn refuse(member: &Member, reference: &str, reason: &str) -> Result<(), Status> {
    let request = v1::RefuseHeldNoticeRequest {
        reference: reference.to_owned(),
        reason: reason.to_owned(),
        ..v1::RefuseHeldNoticeRequest::default()
    };
    member.operator("approver").desk().refuse_held_notice(request).await.map(drop)
}

async fn undo(member: &Member, reference: &str) -> Result<bool, Status> {
    let request = v1::UndoDeskDecisionRequest { reference: reference.to_owned() };
    Ok(member.operator("approver").desk().undo_desk_decision(request).await?.into_inner().waits)
}

/// The states of what the own node alone finds, with the desk's eyes or an officer's.
async fn found(member: &Member, who: &str, query: v1::Query, desk: bool) -> Result<Vec<String>, Status> {
    let request = v1::SearchRequest { query: Some(query), local_only: true, desk, ..v1::SearchRequest::default() };
    let stream = member.operator(who).search().search(request).await?.into_inner();
    let answers: Vec<v1::SearchResponse> = stream.try_collect().await?;
    Ok(answers.into_iter().flat_map(|answer| answer.hits).map(|hit| hit.state).collect())
}

async fn cautions(member: &Member, reference: &str) -> Vec<String> {
    member.notice(reference).await.expect("a notice").notice.unwrap_or_default().cautions
}

async fn collisions(member: &Member) -> Vec<(String, String, String)> {
    let request = v1::ListCollisionsRequest::default();
    let stream = member.operator("approver").desk().list_collisions(request).await.expect("a list").into_inner();
    let all: Vec<v1::ListCollisionsResponse> = stream.try_collect().await.expect("a list");
    let pairs = all.into_iter().filter_map(|one| one.collision).map(|found| {
        (found.accuses.unwrap_or_default().reference, found.protects.unwrap_or_default().reference, found.by)
    });
    pairs.collect()
}

/// Somebody who is missing, with the name and birth date of the person of `tag` that `red` makes.
fn yellow(tag: &str) -> String {
    format!(
        r#"kind = "yellow"
subject = "person"
handling = ["H1"]
grading = "A1"
legal-basis = ["missing-person-report"]
reasons = []
protection = ["missing-at-risk"]
family-name = "{tag}family"
given-names = "{tag}given"
birth-date = 1984-07-19
sex = "M"
event-date = 2026-02-01
"#
    )
}

/// What an officer of `member` reads on the page of a command.
async fn typed(member: &Member, officer: &str, arguments: &[&str]) -> String {
    let profile = member.dir().join("profiles").join(officer).join("profile.toml");
    let mut command = tokio::process::Command::new(EADS);
    command.arg("--profile").arg(profile).args(arguments).env_remove("EADS_PROFILE").stdin(std::process::Stdio::null());
    let output = command.output().await.expect("the command runs");
    assert!(output.status.code() == Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a page")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_the_desk_is_shown_to_nobody_else_until_it_is_approved() {
    let house = House::new();
    let (id, mut my) = quarantining(&house).await;
    let reference = id.issue(&red("waiting"), &[&my]).await;
    id.receipted(&reference, &my, &["issue quarantined"]).await;
    let question = || questions::passport(&passport("waiting"));

    assert_eq!(my.state_of(&reference).await, "NOTICE_AT_DESK");
    assert!(my.listed("held").await.is_empty());
    assert!(found(&my, "officer", question(), false).await.unwrap().is_empty());
    assert_eq!(code(&found(&my, "officer", question(), true).await.unwrap_err()), "ROLE_REQUIRED");
    assert!(found(&my, "approver", question(), false).await.unwrap().is_empty());
    assert_eq!(found(&my, "approver", question(), true).await.unwrap(), ["quarantined"]);
    let listed = desk(&my, false, false).await;
    assert_eq!(listed.len(), 1);
    let notice = listed[0].notice.as_ref().unwrap();
    assert_eq!((notice.reference.as_str(), notice.owner.as_str(), notice.kind.as_str()), (&*reference, "ID", "red"));
    assert_eq!((listed[0].waits_for.as_str(), listed[0].decision.as_ref()), ("agreement", None));

    // It is approved as it was looked at, and no other version of it.
    let refusal = approve(&my, &reference, &[1; 32], false).await.unwrap_err();
    assert_eq!(code(&refusal), "DESK_VERSION_CHANGED");
    approve(&my, &reference, &listed[0].digest, false).await.unwrap();
    id.receipted(&reference, &my, &["issue accepted"]).await;
    assert_eq!(found(&my, "officer", question(), false).await.unwrap(), ["valid"]);
    assert_eq!(code(&approve(&my, &reference, &[], false).await.unwrap_err()), "DESK_NOT_WAITING");
    assert_eq!(my.state_of(&reference).await, "valid");
    id.receipted(&reference, &my, &["issue delivered"]).await;

    // The decision is this member's own, and outlives the process.
    my.restart().await;
    assert_eq!(my.state_of(&reference).await, "valid");
    let shown = at_desk(&my, &reference).await;
    let decision = shown.notice.as_ref().unwrap().decision.clone().unwrap();
    assert_eq!((decision.verdict.as_str(), decision.officer.as_str(), decision.version), ("approved", "approver", 1));
    let detail = shown.detail.unwrap().notice.unwrap();
    assert_eq!((detail.state.as_str(), detail.decision.as_str()), ("valid", "approved"));
    assert!(desk(&my, false, false).await.is_empty());
    assert_eq!(desk(&my, true, false).await.len(), 1);
    let entries = my.audit_entries().await;
    let decided = entries.iter().filter(|entry| entry.operation == "ApproveHeldNotice" && entry.kind == "outcome");
    assert_eq!(decided.filter(|entry| entry.result == "OK").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_waits_again_unless_the_desk_decided_for_all_versions() {
    let house = House::new();
    let (id, my) = quarantining(&house).await;
    let reference = id.issue(&red("amended"), &[&my]).await;
    id.receipted(&reference, &my, &["issue quarantined"]).await;
    approve(&my, &reference, &[], false).await.unwrap();
    id.amend(&reference, &red("amendedtwice"), &[&my]).await;
    id.receipted(&reference, &my, &["issue purged", "amend quarantined"]).await;
    assert_eq!(my.state_of(&reference).await, "NOTICE_AT_DESK");
    assert_eq!(desk(&my, false, false).await[0].waits_for, "amended");
    let search = questions::passport(&passport("amendedtwice"));
    assert!(found(&my, "officer", search.clone(), false).await.unwrap().is_empty());

    approve(&my, &reference, &[], true).await.unwrap();
    id.amend(&reference, &red("amendedthrice"), &[&my]).await;
    my.sees_version(&reference, 3).await;
    assert_eq!(my.state_of(&reference).await, "valid");

    // Taken back, it waits as it did before, and so does what follows.
    assert!(undo(&my, &reference).await.unwrap());
    assert_eq!(my.state_of(&reference).await, "NOTICE_AT_DESK");
    id.receipted(&reference, &my, &["issue purged", "amend purged", "amend quarantined"]).await;
    assert_eq!(code(&undo(&my, &reference).await.unwrap_err()), "DESK_NOT_DECIDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_desk_refuses_is_destroyed_and_its_owner_reads_the_reason() {
    let house = House::new();
    let (id, mut my) = quarantining(&house).await;
    let reference = id.issue(&red("refused"), &[&my]).await;
    id.receipted(&reference, &my, &["issue quarantined"]).await;
    assert_eq!(code(&refuse(&my, &reference, "kind-not-received").await.unwrap_err()), "DESK_REASON");
    refuse(&my, &reference, "political").await.unwrap();
    id.receipted(&reference, &my, &["issue rejected"]).await;
    assert_eq!(id.holders(&reference).await[0].reason, 1, "political");
    assert_eq!(my.state_of(&reference).await, "NOTICE_REFUSED");
    assert!(desk(&my, false, false).await.is_empty());
    let refused = desk(&my, true, false).await;
    assert_eq!(refused[0].decision.as_ref().unwrap().reason, "political");
    assert!(at_desk(&my, &reference).await.detail.is_none());
    assert!(found(&my, "approver", questions::passport(&passport("refused")), true).await.unwrap().is_empty());

    // Nothing of it comes back with a restart; what its owner sends next is looked at.
    my.restart().await;
    assert_eq!(my.state_of(&reference).await, "NOTICE_REFUSED");
    id.amend(&reference, &red("refusedagain"), &[&my]).await;
    id.receipted(&reference, &my, &["issue rejected", "amend quarantined"]).await;
    assert!(undo(&my, &reference).await.unwrap());
    refuse(&my, &reference, "refugee").await.unwrap();
    id.receipted(&reference, &my, &["issue rejected", "amend rejected"]).await;
    assert!(!undo(&my, &reference).await.unwrap(), "nothing is left of it");
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue rejected", "amend rejected", "withdraw accepted"]).await;
    let checked = my.node().checker().check(|_| {}, || false).await.unwrap();
    assert!(checked.iter().all(|section| section.findings().is_empty()), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coercive_notice_of_an_owner_not_heard_for_long_says_so_wherever_it_is_shown() {
    let house = House::new();
    let [mut id, my] = house.federation(["ID", "MY"]).await;
    let blob = id.operator("issuer").upload(&jpeg(&picture(64, 48, 9))).await.unwrap();
    let draft = draft_with(&red("stale"), &[blob], &["MY"], id.now().as_unix());
    let draft = id.operator("issuer").notices().create_draft(draft).await.unwrap().into_inner();
    let reference = id.publish(&draft.draft_id).await.unwrap().reference;
    let document = id.issue(&stolen_passport("XSTALE"), &[&my]).await;
    let missing = id.issue(&yellow("lost"), &[&my]).await;
    for each in [&reference, &document, &missing] {
        id.receipted(each, &my, &["issue accepted"]).await;
    }
    my.has_photos(&reference, 1).await;
    assert!(cautions(&my, &reference).await.is_empty());
    id.stop().await;
    connected(&my, 0).await;
    my.clock.advance(3599);
    assert!(cautions(&my, &reference).await.is_empty());
    my.clock.advance(2);

    let first = vec!["confirm-with-owner".to_owned()];
    assert_eq!(cautions(&my, &reference).await, first);
    assert_eq!(cautions(&my, &document).await, first);
    assert!(cautions(&my, &missing).await.is_empty(), "to help somebody nobody is asked first");
    let listed = my.listed("held").await;
    let red = listed.iter().find(|notice| notice.reference == reference).unwrap();
    assert_eq!(red.cautions, first);
    let hits = my.finds("stalefamily stalegiven").await;
    assert_eq!((hits.len(), &hits[0].cautions), (1, &first));
    let request = v1::GetPhotoRequest { reference: reference.clone(), number: 1, thumbnail: true };
    let shown = my.operator("officer").notices().get_photo(request).await.unwrap().into_inner();
    let shown: Vec<v1::GetPhotoResponse> = shown.try_collect().await.unwrap();
    assert_eq!(shown[0].cautions, first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspect_who_may_be_a_victim_is_screened_first_on_both_notices_until_one_ends() {
    let house = House::new();
    let [id, mut my, th] = house.federation(["ID", "MY", "TH"]).await;
    let wanted = id.issue(&red("twice"), &[&my]).await;
    let missing = th.issue(&yellow("twice"), &[&my]).await;
    let exercise = th.issue(&yellow("twice").replace("reasons = []", "reasons = []\nexercise = true"), &[&my]).await;
    let other = th.issue(&yellow("other"), &[&my]).await;
    for each in [&missing, &exercise, &other] {
        th.receipted(each, &my, &["issue accepted"]).await;
    }
    // The own stolen passport is the one in the hands of the wanted person: an accusation twice is no collision.
    let own = my.issue(&stolen_passport(&passport("twice")), &[]).await;
    let expected = vec![(wanted.clone(), missing.clone(), "name-and-birth-date".to_owned())];
    until("the two have met", || async { collisions(&my).await == expected }).await;
    for each in [&wanted, &missing] {
        assert_eq!(cautions(&my, each).await, ["screen-first"]);
    }
    for each in [&exercise, &other, &own] {
        assert!(cautions(&my, each).await.is_empty());
    }
    let hits = my.finds("twicefamily twicegiven").await;
    assert_eq!(hits.len(), 2, "a real search meets no exercise");
    assert!(hits.iter().all(|hit| hit.cautions == ["screen-first"]), "{hits:?}");
    assert!(cautions(&id, &wanted).await.is_empty(), "nothing of it leaves this member");

    my.restart().await;
    assert_eq!(collisions(&my).await, expected);
    assert_eq!(cautions(&my, &wanted).await, ["screen-first"]);
    th.withdraw(&missing).await;
    until("the pair has ended", || async { collisions(&my).await.is_empty() }).await;
    until("the wanted one is wanted only", || async { cautions(&my, &wanted).await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exercise_meets_exercises_only() {
    let house = House::new();
    let (id, my) = quarantining(&house).await;
    let exercise = id.issue(&red("drilled").replace("reasons = []", "reasons = []\nexercise = true"), &[&my]).await;
    let real = id.issue(&red("drilledtoo"), &[&my]).await;
    for each in [&exercise, &real] {
        id.receipted(each, &my, &["issue quarantined"]).await;
    }
    let references = |notices: Vec<v1::DeskNotice>| -> Vec<String> {
        notices.into_iter().map(|one| one.notice.unwrap_or_default().reference).collect()
    };
    assert_eq!(references(desk(&my, false, true).await), std::slice::from_ref(&exercise));
    assert_eq!(references(desk(&my, false, false).await), std::slice::from_ref(&real));
    approve(&my, &exercise, &[], false).await.unwrap();
    approve(&my, &real, &[], false).await.unwrap();

    let asked = |exercise| {
        let query = v1::Query { exercise, ..questions::name("drilledfamily drilledgiven") };
        let purpose = if exercise { "exercise" } else { "criminal-investigation" };
        v1::Query { purpose: purpose.to_owned(), ..query }
    };
    assert_eq!(found(&my, "officer", asked(true), false).await.unwrap(), ["valid"]);
    assert!(found(&my, "officer", asked(false), false).await.unwrap().is_empty());
    let held = my.operator("officer").node().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(held.held_notices, 1, "exercises are not counted");
    let own = id.operator("officer").node().get_status(v1::GetStatusRequest {}).await.unwrap().into_inner();
    assert_eq!(own.notices_in_force, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_is_worked_from_the_command_line_and_its_word_stands_apart_from_the_owners() {
    let house = House::new();
    let (id, my) = quarantining(&house).await;
    let reference = id.issue(&red("typing"), &[&my]).await;
    let drill = id.issue(&format!("exercise = true\n{}", red("drilling")), &[&my]).await;
    let unwanted = id.issue(&stolen_passport("XTYPED"), &[&my]).await;
    for each in [&reference, &drill, &unwanted] {
        id.receipted(each, &my, &["issue quarantined"]).await;
    }
    let listed = typed(&my, "approver", &["desk", "list"]).await;
    assert!(listed.contains(&reference) && listed.contains("quarantined") && listed.contains("agreement"), "{listed}");
    assert!(!listed.contains(&drill), "{listed}");
    let drills = typed(&my, "approver", &["desk", "list", "--exercise"]).await;
    assert!(drills.contains(&drill) && drills.lines().all(|line| line.starts_with("EXERCISE")), "{drills}");

    typed(&my, "approver", &["desk", "approve", &reference, "--note", "warrant seen"]).await;
    let shown = typed(&my, "approver", &["desk", "show", &reference]).await;
    let (decided, said) = shown.split_once("What ID says").expect("two parts");
    for word in ["Decision of the desk of MY", "approved, version 1", "approver", "warrant seen", "wait for the desk"] {
        assert!(decided.contains(word), "{word}: {shown}");
    }
    assert!(said.contains("issued by") && said.contains("valid") && !said.contains("warrant seen"), "{shown}");
    typed(&my, "approver", &["desk", "refuse", &unwanted, "--reason", "insufficient"]).await;
    id.receipted(&unwanted, &my, &["issue rejected"]).await;
    let status = typed(&id, "issuer", &["notice", "status", &unwanted]).await;
    assert!(status.contains("rejected") && status.contains("insufficient"), "{status}");
    let refused = typed(&my, "approver", &["desk", "show", &unwanted]).await;
    assert!(refused.contains("refused (insufficient), version 1") && !refused.contains("XTYPED"), "{refused}");

    // An exercise says so on every line of every page.
    typed(&my, "approver", &["desk", "approve", &drill, "--for-all-versions"]).await;
    let page = typed(&my, "officer", &["notice", "show", &drill]).await;
    assert!(page.lines().all(|line| line.starts_with("EXERCISE") || line.is_empty()), "{page}");
    let asked = ["search", "person", "--name", "drillingfamily drillinggiven", "--purpose", "exercise", "--exercise"];
    let page = typed(&my, "officer", &asked).await;
    assert!(
        page.contains(&drill) && page.lines().all(|line| line.starts_with("EXERCISE") || line.is_empty()),
        "{page}"
    );
    let held = typed(&my, "officer", &["notice", "list", "--holding", "held"]).await;
    let line = held.lines().find(|line| line.contains(&drill)).expect("its line");
    assert!(line.contains("EXERCISE"), "{held}");

    let words = "contested:not the person";
    let challenge = ["challenge", "record", &reference, "--by", "individual", "--reason", words, "--answer-by"];
    let due = my.now().plus_seconds(30 * 86_400).to_string();
    let day = due.get(..10).expect("a date");
    let recorded = typed(&my, "approver", &[&challenge[..], &[day]].concat()).await;
    assert!(recorded.contains("counts as contested") && recorded.contains("not the person"), "{recorded}");
    let page = typed(&my, "officer", &["notice", "show", &reference]).await;
    assert!(page.contains("CONTESTED") && page.contains("ID owes an answer by"), "{page}");
    assert!(!page.contains("not the person"), "{page}");
    my.clock.advance(40 * 86_400);
    let overdue = typed(&my, "approver", &["challenge", "list"]).await;
    assert!(overdue.contains("unanswered") && overdue.contains("no answer since"), "{overdue}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_victim_is_screened_first_and_no_observer_hears_of_it() {
    let house = House::new();
    let [my, th] = house.federation(["MY", "TH"]).await;
    let mut xa = Member::create_as(house.path(), "XA", ports::free(), None, "observer");
    xa.start().await;
    accept(&my, &xa, &Terms::default()).await;
    accept(&xa, &my, &Terms::default()).await;
    connected(&my, 2).await;
    let records = format!(
        "key,family-name,given-names,birth-date,sex,documents,protection\n\
         V-1,Victimfamily,Victimgiven,1990-01-02,F,passport|{}|MY,possible-victim-of-trafficking\n",
        passport("victim")
    );
    assert_eq!(my.import_csv("shelter", &records).await.unwrap().inserted, 1);
    // The passport was reported stolen; whoever carries it may be the one whom the record protects.
    let stolen = th.issue(&stolen_passport(&passport("victim")), &[&my]).await;
    th.receipted(&stolen, &my, &["issue accepted"]).await;
    until("the two have met", || async { cautions(&my, &stolen).await == ["screen-first"] }).await;
    let met = collisions(&my).await;
    assert_eq!((met[0].0.as_str(), met[0].2.as_str()), (stolen.as_str(), "identifier"));
    let asked = |subject: &str| v1::Query { subject: subject.to_owned(), ..questions::passport(&passport("victim")) };
    let request = v1::SearchRequest { query: Some(asked("vehicle")), local_only: true, ..Default::default() };
    let answers = my.search_as(request).await.unwrap();
    let record = answers[0].hits.iter().find(|hit| hit.source == "record").expect("the record");
    assert_eq!(record.cautions, ["screen-first"]);

    // A document's number leads to its holder whatever the question is said to be about: not for an observer.
    assert_eq!(th.outcomes(asked("vehicle")).await["MY"], "hit");
    assert_eq!(xa.outcomes(asked("vehicle")).await["MY"], "no-hit");
}
