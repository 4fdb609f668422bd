//! Challenges: a contested notice says so wherever it is shown, silence shows, and what was told in confidence is
//! sealed and ends with the notice.

use eads_proto::v1;
use eads_tests::content::{Terms, red};
use eads_tests::house::{House, accept, accept_card};
use eads_tests::member::Member;
use eads_tests::operator::code;
use eads_tests::traces;
use futures::TryStreamExt as _;
use tonic::Status;

const DAY: i64 = 86_400;

async fn record(member: &Member, who: &str, request: v1::RecordChallengeRequest) -> Result<v1::Challenge, Status> {
    let recorded = member.operator(who).challenges().record_challenge(request).await?.into_inner();
    Ok(recorded.challenge.expect("a challenge"))
}

fn by_individual(reference: &str, answer_by: i64) -> v1::RecordChallengeRequest {
    v1::RecordChallengeRequest {
        reference: reference.to_owned(),
        by: "individual".to_owned(),
        reason: "identity-in-doubt: another person of that name, Xquillwords".to_owned(),
        answer_by,
        contact: "Counsel Xquillcontact, by post".to_owned(),
    }
}

async fn listed(member: &Member, closed: bool) -> Vec<v1::Challenge> {
    let request = v1::ListChallengesRequest { closed, ..v1::ListChallengesRequest::default() };
    let stream = member.operator("approver").challenges().list_challenges(request).await.expect("a list").into_inner();
    let all: Vec<v1::ListChallengesResponse> = stream.try_collect().await.expect("a list");
    all.into_iter().filter_map(|one| one.challenge).collect()
}

async fn close(member: &Member, id: &str, ending: &str) -> Result<v1::Challenge, Status> {
    let request = v1::CloseChallengeRequest { challenge_id: id.to_owned(), ending: ending.to_owned() };
    let closed = member.operator("approver").challenges().close_challenge(request).await?.into_inner();
    Ok(closed.challenge.expect("a challenge"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contested_notice_says_so_everywhere_until_the_challenge_is_closed() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("contested"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let due = my.now().plus_seconds(3 * DAY).as_unix();
    for (wrong, expected) in [
        (v1::RecordChallengeRequest { by: "Jane".to_owned(), ..by_individual(&reference, due) }, "CHALLENGER_INVALID"),
        (
            v1::RecordChallengeRequest { reason: "because".to_owned(), ..by_individual(&reference, due) },
            "CHALLENGE_REASON_UNKNOWN",
        ),
        (by_individual(&reference, my.now().as_unix()), "CHALLENGE_DEADLINE"),
        (v1::RecordChallengeRequest { by: "MY".to_owned(), ..by_individual(&reference, due) }, "CHALLENGE_CONTACT"),
    ] {
        assert_eq!(code(&record(&my, "approver", wrong).await.unwrap_err()), expected);
    }
    let challenge = record(&my, "approver", by_individual(&reference, due)).await.unwrap();
    assert_eq!((challenge.state.as_str(), challenge.reason.as_str()), ("open", "identity-in-doubt"));

    my.restart().await;
    let shown = my.notice(&reference).await.unwrap();
    assert_eq!(shown.notice.unwrap().cautions, ["contested"]);
    let told = &shown.challenges[0];
    assert_eq!(
        (told.by.as_str(), told.reason.as_str(), told.state.as_str()),
        ("individual", "identity-in-doubt", "open")
    );
    assert_eq!(my.listed("held").await[0].cautions, ["contested"]);
    assert_eq!(my.finds("contestedfamily contestedgiven").await[0].cautions, ["contested"]);
    assert!(id.notice(&reference).await.unwrap().challenges.is_empty(), "nothing of it is sent");

    my.clock.advance(3 * DAY + 1);
    assert_eq!(listed(&my, false).await[0].state, "unanswered");
    assert_eq!(my.notice(&reference).await.unwrap().challenges[0].state, "unanswered");
    assert_eq!(my.state_of(&reference).await, "valid", "silence blocks only where the agreement says so");
    let answer =
        v1::AnswerChallengeRequest { challenge_id: challenge.challenge_id.clone(), answer: "Checked.".to_owned() };
    let answered = my.operator("approver").challenges().answer_challenge(answer.clone()).await.unwrap().into_inner();
    assert_eq!(answered.challenge.unwrap().state, "answered");
    close(&my, &challenge.challenge_id, "rejected").await.unwrap();
    assert!(my.notice(&reference).await.unwrap().notice.unwrap().cautions.iter().all(|one| one != "contested"));
    assert!(listed(&my, false).await.is_empty());
    let closed = listed(&my, true).await;
    assert_eq!((closed[0].state.as_str(), closed[0].answer.as_str()), ("rejected", "Checked."));
    let again = my.operator("approver").challenges().answer_challenge(answer).await.unwrap_err();
    assert_eq!(code(&again), "CHALLENGE_CLOSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_whose_owner_stays_silent_is_withheld_where_the_agreement_says_so() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms::default()).await;
    let card = id.operator("admin-1").peering().export_card(v1::ExportCardRequest {}).await.unwrap().into_inner();
    let agreement = format!("{}block_when_unanswered = true\n", Terms::default().with(id.id));
    accept_card(&my, "ID", card.card, card.verification_code, &agreement).await;
    let reference = id.issue(&red("silent"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let due = my.now().plus_seconds(DAY).as_unix();
    let request = v1::RecordChallengeRequest {
        reference: reference.clone(),
        by: "MY".to_owned(),
        reason: "political-character".to_owned(),
        answer_by: due,
        contact: String::new(),
    };
    let challenge = record(&my, "issuer", request).await.unwrap();
    assert_eq!(my.state_of(&reference).await, "valid");

    my.clock.advance(DAY + 1);
    assert_eq!(my.state_of(&reference).await, "NOTICE_AT_DESK");
    assert!(my.finds("silentfamily silentgiven").await.is_empty());
    assert!(my.listed("held").await.is_empty());
    let request = v1::ListDeskRequest::default();
    let stream = my.operator("approver").desk().list_desk(request).await.unwrap().into_inner();
    let all: Vec<v1::ListDeskResponse> = stream.try_collect().await.unwrap();
    let waits = all[0].notice.as_ref().unwrap();
    assert_eq!(waits.waits_for, "challenge-unanswered");
    assert_eq!(waits.notice.as_ref().unwrap().state, "blocked");

    let answer = v1::AnswerChallengeRequest { challenge_id: challenge.challenge_id, answer: "It stands.".to_owned() };
    my.operator("approver").challenges().answer_challenge(answer).await.unwrap();
    assert_eq!(my.state_of(&reference).await, "valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_individual_told_is_sealed_and_ends_with_the_notice() {
    let house = House::new();
    let mut my = house.member("MY").await;
    let reference = my.issue(&red("confided"), &[]).await;
    let due = my.now().plus_seconds(DAY).as_unix();
    let refusal = record(&my, "officer", by_individual(&reference, due)).await.unwrap_err();
    assert_eq!(code(&refusal), "ROLE_REQUIRED");
    record(&my, "issuer", by_individual(&reference, due)).await.unwrap();
    assert_eq!(my.notice(&reference).await.unwrap().notice.unwrap().cautions, ["contested"], "an own one too");
    my.withdraw(&reference).await;
    assert!(listed(&my, true).await.is_empty());
    let entries = my.audit_entries().await;
    let recorded = entries.iter().find(|entry| entry.operation == "RecordChallenge" && entry.kind == "intent").unwrap();
    assert_eq!(recorded.subject, reference);
    my.stop().await;
    for secret in ["Xquillwords", "Xquillcontact"] {
        let files = traces::found(my.dir(), secret.as_bytes());
        assert!(files.is_empty(), "{secret}: {files:?}");
    }
}
