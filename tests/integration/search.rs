//! Questions to everybody: each is named once, what is missing is never a "no hit", and both sides write it down.

use std::collections::BTreeMap;
use std::time::Duration;

use eads_proto::v1;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_tests::content::{Terms, passport, red};
use eads_tests::hostile::{Hostile, noise};
use eads_tests::house::{House, accept, accept_card, connected, peer};
use eads_tests::member::Member;
use eads_tests::operator::{code, refused};
use eads_tests::questions;
use eads_tests::wait::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_peer_is_named_exactly_once_with_what_became_of_the_question() {
    let house = House::new();
    let mut my = Member::create(house.path(), "MY");
    my.limits.search_deadline = Duration::from_millis(1500);
    my.start().await;
    let (id, th, ph) = (house.member("ID").await, house.member("TH").await, house.member("PH").await);
    for other in [&id, &th] {
        peer(&my, other).await;
    }
    accept(&my, &ph, &Terms::default()).await;
    accept(&ph, &my, &Terms { purposes: vec!["border-check"], ..Terms::default() }).await;
    let silent = Hostile::accepted_by(&my, &house, "SG").await;
    let liar = Hostile::accepted_by(&my, &house, "VN").await;
    liar.script.reply(|question| {
        let request_id = question.request_id.iter().map(|byte| byte ^ 1).collect();
        Some(Ok(v1::QueryResponse { request_id, ..v1::QueryResponse::default() }))
    });
    let gone = Member::create(house.path(), "KH");
    let card = gone.identity().card;
    let code = card.verification_code().to_string();
    accept_card(&my, "KH", card.bytes().to_vec(), code, &Terms::default().with(gone.id)).await;
    connected(&my, 3).await;

    let reference = id.issue(&red("asked"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let outcomes = my.outcomes(questions::passport(&passport("asked"))).await;
    let expected = [
        ("MY", "hit"),
        ("ID", "hit"),
        ("TH", "no-hit"),
        ("PH", "refused"),
        ("SG", "timed-out"),
        ("VN", "incompatible"),
        ("KH", "unreachable"),
    ];
    assert_eq!(outcomes, expected.map(|(member, outcome)| (member.to_owned(), outcome.to_owned())).into());
    assert_eq!(silent.script.questions().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hit_says_why_whose_it_is_and_where_it_stands() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("explained"), &[&my]).await;
    for query in [questions::passport(&passport("explained")), questions::name("EXPLAINEDFAMILY Explainedgiven")] {
        let answers = my.search_for(query).await.unwrap();
        assert_eq!(answers[0].member, "MY", "the own node answers first");
        let answer = answers.iter().find(|answer| answer.member == "ID").unwrap();
        assert_eq!(answer.outcome, "hit");
        assert!(!answer.checkpoint.is_empty() && answer.as_of > 0);
        let hit = &answer.hits[0];
        assert_eq!((hit.owner.as_str(), hit.kind.as_str(), hit.state.as_str()), ("ID", "red", "valid"));
        assert_eq!(hit.reference, reference);
        assert!(!hit.reasons.is_empty());
        let shown: BTreeMap<_, _> =
            hit.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        assert_eq!(shown.get("family-name"), Some(&"explainedfamily"));
        assert!(!shown.contains_key("phones"), "only what the agreement shows: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_found_by_those_whom_it_is_addressed_to_and_by_no_other_peer() {
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let reference = id.issue(&red("private"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let outcomes = th.outcomes(questions::passport(&passport("private"))).await;
    let expected = ["ID", "MY", "TH"].map(|member| (member.to_owned(), "no-hit".to_owned()));
    assert_eq!(outcomes, expected.into(), "a holder answers for its own only, and the owner to addressees only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_notice_is_not_found_by_anybody() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("vanished"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let question = || questions::passport(&passport("vanished"));
    assert_eq!(my.outcomes(question()).await["MY"], "hit");
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "withdraw accepted"]).await;
    let outcomes = my.outcomes(question()).await;
    assert_eq!((outcomes["MY"].as_str(), outcomes["ID"].as_str()), ("no-hit", "no-hit"));
    let outcomes = id.outcomes(questions::name("vanishedfamily vanishedgiven")).await;
    assert_eq!((outcomes["MY"].as_str(), outcomes["ID"].as_str()), ("no-hit", "no-hit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_without_a_purpose_is_refused_and_written_down() {
    let house = House::new();
    let my = house.member("MY").await;
    let query = v1::Query { purpose: String::new(), ..questions::name("anybody") };
    assert!(!refused(my.search_for(query).await).is_empty());
    let entries = my.audit_entries().await;
    assert!(
        entries.iter().any(|entry| entry.operation == "Search" && !entry.result.is_empty() && entry.result != "OK")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_write_down_who_asked_for_which_purpose_under_one_request() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("booked"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let answers = my
        .search_as(v1::SearchRequest {
            query: Some(questions::passport(&passport("booked"))),
            case_reference: "CASE-7".to_owned(),
            ..v1::SearchRequest::default()
        })
        .await
        .unwrap();
    let request = answers[0].request_id.clone();
    let here = my.audit_of(&request).await;
    let intent = here.iter().find(|entry| entry.kind == "intent").unwrap();
    assert_eq!((intent.operation.as_str(), intent.actor.as_str()), ("Search", "operator:officer"));
    assert_eq!((intent.purpose.as_str(), intent.case_reference.as_str()), ("criminal-investigation", "CASE-7"));
    assert!(intent.query_text.contains(&passport("booked")), "an auditor reads the question: {intent:?}");
    let results: Vec<_> =
        here.iter().filter(|entry| entry.kind == "outcome").map(|entry| entry.result.clone()).collect();
    assert!(results.contains(&"MY:hit".to_owned()) && results.contains(&"ID:hit".to_owned()), "{results:?}");
    let there = id.audit_of(&request).await;
    let kinds: Vec<_> = there.iter().map(|entry| (entry.kind.as_str(), entry.actor.as_str())).collect();
    assert_eq!(kinds, [("intent", "peer:MY"), ("outcome", "peer:MY")]);
    assert_eq!((there[0].operation.as_str(), there[1].result.as_str()), ("AnswerQuery", "HIT"));
    assert_eq!(there[0].case_reference, "", "the case is the asking member's own matter");
    assert_eq!(there[1].shown.len(), 1);
    // The case never left, and the question stands nowhere in the clear.
    for member in [&id, &my] {
        let needle = passport("booked");
        let files = eads_tests::traces::found(&member.dir().join("audit"), needle.as_bytes());
        assert!(files.is_empty(), "{files:?}");
    }
}

/// A peer that asks by hand.
struct Asker {
    my: Member,
    peer: PeerServiceClient<tonic::transport::Channel>,
    _id: Hostile,
    _house: House,
}

impl Asker {
    async fn new(terms: Terms) -> Self {
        let house = House::new();
        let my = house.member("MY").await;
        let id = Hostile::unknown_to(&my, &house, "ID").await;
        let card = &id.identity.card;
        let code = card.verification_code().to_string();
        accept_card(&my, "ID", card.bytes().to_vec(), code, &terms.with(id.id)).await;
        let peer = PeerServiceClient::new(id.dial(&my).await.channel());
        Self { my, peer, _id: id, _house: house }
    }

    async fn ask(&mut self, request_id: &[u8], query: v1::Query) -> Result<v1::QueryResponse, String> {
        let question = v1::QueryRequest { protocol: 1, request_id: request_id.to_vec(), query: Some(query) };
        match self.peer.query(question).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(code(&status).to_owned()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_gets_the_stored_outcome_and_costs_no_second_entry() {
    let mut asker = Asker::new(Terms::default()).await;
    asker.my.issue_to(&red("repeated"), &["ID"]).await;
    let request = noise::<16>();
    let question = || questions::passport(&passport("repeated"));
    let first = asker.ask(&request, question()).await.unwrap();
    assert_eq!(first.hits.len(), 1);
    assert_eq!(asker.ask(&request, question()).await.unwrap(), first);
    let other = asker.ask(&request, questions::passport("XOTHER")).await;
    assert_eq!(other.unwrap_err(), "REQUEST_ID_REUSED");
    let intents = asker.my.audit_of(&request).await.into_iter().filter(|entry| entry.kind == "intent").count();
    assert_eq!(intents, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_agreement_does_not_allow_is_refused_and_written_down() {
    let mut asker = Asker::new(Terms { purposes: vec!["border-check"], ..Terms::default() }).await;
    let request = noise::<16>();
    let refusal = asker.ask(&request, questions::passport("XANY")).await.unwrap_err();
    assert!(refusal.contains("PURPOSE"), "{refusal}");
    let entries = asker.my.audit_of(&request).await;
    assert_eq!(entries.last().unwrap().result, refusal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_above_its_rate_is_refused_before_anything_is_looked_up() {
    let mut asker = Asker::new(Terms { queries_per_hour: 2, ..Terms::default() }).await;
    for _ in 0..2 {
        asker.ask(&noise::<16>(), questions::passport("XANY")).await.unwrap();
    }
    let request = noise::<16>();
    assert_eq!(asker.ask(&request, questions::passport("XANY")).await.unwrap_err(), "RATE_LIMITED");
    let looked_up = asker.my.audit_of(&request).await.iter().any(|entry| entry.kind == "intent");
    assert!(!looked_up);
    asker.my.clock.advance(1800);
    asker.ask(&noise::<16>(), questions::passport("XANY")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_makes_no_sense_is_refused() {
    let mut asker = Asker::new(Terms::default()).await;
    let request = noise::<16>();
    let nonsense = [
        v1::Query { key: None, ..questions::name("x") },
        v1::Query { purpose: "curiosity".to_owned(), ..questions::name("x") },
        v1::Query { subject: "planet".to_owned(), ..questions::name("x") },
        questions::name(&"x".repeat(100_000)),
        questions::name("\u{0}"),
        questions::identifier("wishes", "x"),
        questions::identifier("document", ""),
    ];
    for query in nonsense {
        assert_ne!(asker.ask(&request, query).await.unwrap_err(), "");
    }
    assert_ne!(asker.ask(b"short", questions::name("x")).await.unwrap_err(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_not_the_peers_own_word_is_no_answer() {
    let house = House::new();
    let my = house.member("MY").await;
    let id = Hostile::accepted_by(&my, &house, "ID").await;
    let hit = |owner: &str| v1::Hit {
        score: 1000,
        source: "notice".to_owned(),
        owner: owner.to_owned(),
        reference: "ID-2026-7K3QX9-5".to_owned(),
        kind: "red".to_owned(),
        state: "valid".to_owned(),
        statement: Some(v1::StatementPointer { index: 0, digest: vec![7; 32] }),
        ..v1::Hit::default()
    };
    let now = my.now().as_unix();
    let answer = move |hits: Vec<v1::Hit>| v1::QueryResponse { hits, answered_at: now, ..v1::QueryResponse::default() };
    let exercise = v1::Hit { exercise: true, ..hit("ID") };
    let wrong = [
        ("somebody else's", answer(vec![hit("MY")])),
        ("an exercise", answer(vec![exercise])),
        ("a garbage checkpoint", v1::QueryResponse { checkpoint: b"garbage".to_vec(), ..answer(Vec::new()) }),
        ("a score above the scale", answer(vec![v1::Hit { score: 1001, ..hit("ID") }])),
        ("an unknown state", answer(vec![v1::Hit { state: "doomed".to_owned(), ..hit("ID") }])),
    ];
    for (what, response) in wrong {
        id.script
            .reply(move |question| Some(Ok(v1::QueryResponse { request_id: question.request_id, ..response.clone() })));
        let answers = my.search_for(questions::passport("XANY")).await.unwrap();
        let of_id = answers.iter().find(|answer| answer.member == "ID").unwrap();
        assert_eq!(of_id.outcome, "incompatible", "{what}: {of_id:?}");
        assert!(of_id.hits.is_empty() && !of_id.code.is_empty());
    }
    // Of more than a node takes the first are shown, and that there are more.
    let many = answer(vec![hit("ID"); 21]);
    id.script.reply(move |question| Some(Ok(v1::QueryResponse { request_id: question.request_id, ..many.clone() })));
    let answers = my.search_for(questions::passport("XANY")).await.unwrap();
    let of_id = answers.iter().find(|answer| answer.member == "ID").unwrap();
    assert_eq!((of_id.hits.len(), of_id.truncated), (20, true));
    // The plain one counts.
    let honest = answer(vec![hit("ID")]);
    id.script.reply(move |question| Some(Ok(v1::QueryResponse { request_id: question.request_id, ..honest.clone() })));
    assert_eq!(my.outcomes(questions::passport("XANY")).await["ID"], "hit");
    // A refusal is one, with the peer's own code.
    id.script.reply(|_| Some(Err(tonic::Status::permission_denied("no"))));
    assert_eq!(my.outcomes(questions::passport("XANY")).await["ID"], "refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exercises_are_found_by_exercises_only() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let drill = format!("exercise = true\n{}", red("drill"));
    let reference = id.issue(&drill, &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let question = |exercise| v1::Query { exercise, ..questions::passport(&passport("drill")) };
    let outcomes = my.outcomes(question(false)).await;
    assert_eq!((outcomes["MY"].as_str(), outcomes["ID"].as_str()), ("no-hit", "no-hit"));
    let outcomes = my.outcomes(question(true)).await;
    assert_eq!((outcomes["MY"].as_str(), outcomes["ID"].as_str()), ("hit", "hit"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_peer_is_named_and_not_asked() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let request = v1::RemovePeerRequest { member: "ID".to_owned(), reason: "test".to_owned() };
    my.operator("admin-1").peering().remove_peer(request).await.unwrap();
    assert_eq!(my.outcomes(questions::passport("XANY")).await["ID"], "refused");
    until("ID is told that it is no peer any more", || async {
        id.outcomes(questions::passport("XANY")).await["MY"] == "refused"
    })
    .await;
}
