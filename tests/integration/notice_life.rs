//! The life of a notice between its two officers: held back, returned, issued in an emergency, reviewed, extended.

use eads_domain::entropy::SystemEntropy;
use eads_domain::id::NoticeId;
use eads_domain::receipt::{Receipt, ReceiptReason, ReceiptStatus};
use eads_domain::slot::{SlotNumber, SlotTable};
use eads_domain::statement::Action;
use eads_domain::subject::SubjectType;
use eads_domain::value::Value;
use eads_proto::v1;
use eads_tests::content::{content, reasons, red, values};
use eads_tests::hostile::Hostile;
use eads_tests::house::{House, sound, status};
use eads_tests::member::Member;
use eads_tests::operator::{Operator, refused};
use eads_tests::wait::until;
use futures::TryStreamExt as _;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// A missing adult.
fn yellow(tag: &str, more: &str) -> String {
    format!(
        r#"kind = "yellow"
subject = "person"
handling = ["H1"]
grading = "B2"
legal-basis = ["missing-person-report"]
protection = []
family-name = "{tag}family"
given-names = "{tag}given"
birth-date = 1984-07-19
sex = "F"
event-date = 2026-02-01
{more}"#
    )
}

async fn create(officer: &Operator, request: v1::CreateDraftRequest) -> Result<String, tonic::Status> {
    officer.notices().create_draft(request).await.map(|created| created.into_inner().draft_id)
}

async fn draft_of(officer: &Operator, id: &str) -> v1::DraftSummary {
    let request = v1::GetDraftRequest { draft_id: id.to_owned() };
    officer.notices().get_draft(request).await.unwrap().into_inner().draft.unwrap()
}

async fn submit(officer: &Operator, id: &str) -> Result<v1::DraftSummary, tonic::Status> {
    let request = v1::SubmitDraftRequest { draft_id: id.to_owned() };
    Ok(officer.life().submit_draft(request).await?.into_inner().draft.unwrap())
}

async fn give_back(officer: &Operator, id: &str) -> Result<v1::DraftSummary, tonic::Status> {
    let (reason, text) = ("legal-basis".to_owned(), "Name the court's decision.".to_owned());
    let request = v1::ReturnDraftRequest { draft_id: id.to_owned(), reason, text };
    Ok(officer.life().return_draft(request).await?.into_inner().draft.unwrap())
}

async fn alone(officer: &Operator, id: &str) -> Result<v1::IssueInEmergencyResponse, tonic::Status> {
    let request = v1::IssueInEmergencyRequest { draft_id: id.to_owned(), reason: "Boards a flight now.".to_owned() };
    Ok(officer.life().issue_in_emergency(request).await?.into_inner())
}

async fn confirmation(id: &Member, reference: &str) -> Result<String, tonic::Status> {
    let request = v1::ConfirmEmergencyRequest { reference: reference.to_owned() };
    Ok(id.operator("issuer").life().confirm_emergency(request).await?.into_inner().draft.unwrap().draft_id)
}

/// What marks a notice, and what must be done before acting on it, as an officer of `member` sees it.
async fn marked(member: &Member, reference: &str) -> (Vec<String>, String) {
    let found = member.notice(reference).await.unwrap();
    let notice = found.notice.unwrap();
    (notice.marks, notice.cautions.join(", "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_goes_between_its_officers_until_both_stand_for_it() {
    let house = House::new();
    let id = house.member("ID").await;
    let (issuer, approver) = (id.operator("issuer"), id.operator("approver"));
    let incomplete = red("shuttle").replace("penalty = { maximum-months = 72 }", "penalty = { maximum-months = 3 }");
    let request = |draft: &str, hold: bool, replace: &str| v1::CreateDraftRequest {
        action: "issue".to_owned(),
        values: values(&content(draft)),
        hold,
        replace: replace.to_owned(),
        ..v1::CreateDraftRequest::default()
    };
    assert_eq!(refused(create(&issuer, request(&incomplete, false, "")).await), "RED_BELOW_THRESHOLD");
    let draft = create(&issuer, request(&incomplete, true, "")).await.unwrap();
    assert_eq!(draft_of(&issuer, &draft).await.state, "draft");
    assert_eq!(refused(approver.approve(&draft).await), "DRAFT_STATE", "nobody was asked to approve it");
    assert_eq!(refused(id.issue_draft(&draft).await), "DRAFT_STATE");
    assert_eq!(refused(submit(&issuer, &draft).await), "RED_BELOW_THRESHOLD");
    let other = id.hire("other", &["issuer", "approver"]).await;
    assert_eq!(refused(create(&other, request(&red("shuttle"), false, &draft)).await), "DRAFT_OF_ANOTHER");

    assert_eq!(create(&issuer, request(&red("shuttle"), true, &draft)).await.unwrap(), draft, "the same draft");
    assert_eq!(submit(&issuer, &draft).await.unwrap().state, "submitted");
    assert_eq!(refused(submit(&issuer, &draft).await), "DRAFT_STATE");
    approver.approve(&draft).await.unwrap();
    assert_eq!(
        refused(create(&issuer, request(&red("behind"), false, &draft)).await),
        "DRAFT_STATE",
        "approved as it is"
    );
    let returned = give_back(&other, &draft).await.unwrap();
    assert_eq!((returned.state.as_str(), returned.approver.as_str()), ("returned", ""));
    assert_eq!(refused(id.issue_draft(&draft).await), "DRAFT_STATE", "its approval is gone");
    let why = draft_of(&issuer, &draft).await.returned.unwrap();
    assert_eq!((why.by.as_str(), why.reason.as_str()), ("other", "legal-basis"));
    assert_eq!(why.text, "Name the court's decision.");

    let both = id.hire("both", &["issuer", "approver"]).await;
    let own = create(&both, request(&red("own"), false, "")).await.unwrap();
    assert_eq!(refused(give_back(&both, &own).await), "APPROVAL_BY_DRAFTER");

    create(&issuer, request(&red("shuttle"), false, &draft)).await.unwrap();
    assert_eq!(refused(id.issue_draft(&draft).await), "APPROVAL_MISSING", "a changed draft is approved anew");
    let issued = id.publish(&draft).await.unwrap();
    let notice = id.notice(&issued.reference).await.unwrap().notice.unwrap();
    let years = (notice.not_after - notice.issued_at) / (365 * DAY);
    assert_eq!(years, 5, "the usual validity of a red notice");
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_officer_issues_in_an_emergency_stands_only_as_long_as_a_second_may_take() {
    let house = House::new();
    let [mut id, my] = house.federation(["ID", "MY"]).await;
    let issuer = id.operator("issuer");
    let [late, timely] = ["late", "timely"].map(red);
    let draft = id.draft(&late, &[&my]).await.unwrap();
    let other = id.hire("other", &["issuer"]).await;
    assert_eq!(refused(alone(&other, &draft.draft_id).await), "DRAFT_OF_ANOTHER");
    assert_eq!(refused(alone(&id.operator("approver"), &draft.draft_id).await), "ROLE_REQUIRED");
    let done = alone(&issuer, &draft.draft_id).await.unwrap();
    assert_eq!(done.until, id.now().plus_seconds(24 * HOUR).as_unix());
    let late = draft.reference;
    let draft = id.draft(&timely, &[&my]).await.unwrap();
    let second = alone(&issuer, &draft.draft_id).await.unwrap();
    let timely = draft.reference;
    for reference in [&late, &timely] {
        id.receipted(reference, &my, &["issue accepted"]).await;
        let expected = (vec!["emergency".to_owned()], "emergency-unapproved".to_owned());
        assert_eq!(marked(&my, reference).await, expected);
        assert_eq!(marked(&id, reference).await, expected);
    }
    assert!(status(&id).await.alarms.iter().any(|alarm| alarm.starts_with("EMERGENCY_UNCONFIRMED: 2 ")));

    // The officer who issued it cannot be the second one, by whatever role.
    let waiting = draft_of(&issuer, &done.confirmation_draft_id).await;
    assert_eq!((waiting.drafter.as_str(), waiting.emergency_reason.as_str()), ("issuer", "Boards a flight now."));
    assert_eq!(confirmation(&id, &late).await.unwrap(), done.confirmation_draft_id);
    assert_eq!(refused(id.issue_draft(&done.confirmation_draft_id).await), "APPROVAL_MISSING");
    let longer = id.now().plus_seconds(9 * 365 * DAY).as_unix();
    let extended = v1::ExtendNoticeRequest { reference: late.clone(), not_after: longer };
    assert_eq!(refused(issuer.life().extend_notice(extended).await), "EMERGENCY_UNCONFIRMED");

    // One is approved in time: an amendment signs it in.
    assert_eq!(id.publish(&second.confirmation_draft_id).await.unwrap().version, 2);
    id.receipted(&timely, &my, &["issue purged", "amend accepted"]).await;
    assert_eq!(marked(&my, &timely).await, (Vec::new(), String::new()));

    // The other is not, and the node was away when the time ended.
    id.stop().await;
    id.clock.advance(24 * HOUR + 1);
    my.clock.advance(24 * HOUR + 1);
    id.start().await;
    id.sees(&late, "suspended").await;
    my.sees(&late, "suspended").await;
    assert_eq!(id.state_of(&timely).await, "valid");
    let entries = id.audit_entries().await;
    let lapse = |kind: &str| {
        entries.iter().find(|entry| entry.operation == "LapseEmergency" && entry.kind == kind).unwrap().clone()
    };
    assert_eq!((lapse("intent").actor, lapse("intent").subject), ("node".to_owned(), late.clone()));
    assert_eq!(lapse("outcome").result, "OK");

    // No resumption passes by the missing approval; the approval itself still can come.
    let resume = v1::CreateDraftRequest {
        action: "resume".to_owned(),
        reference: late.clone(),
        values: reasons(&["review-completed"]),
        ..v1::CreateDraftRequest::default()
    };
    assert_eq!(refused(create(&id.operator("issuer"), resume).await), "EMERGENCY_UNCONFIRMED");
    let waiting = confirmation(&id, &late).await.unwrap();
    id.publish(&waiting).await.unwrap();
    my.sees(&late, "valid").await;
    assert_eq!(marked(&my, &late).await.0, Vec::<String>::new());
    assert_eq!(refused(confirmation(&id, &late).await), "NOTICE_NOT_EMERGENCY");
    for member in [&id, &my] {
        sound(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_political_is_looked_at_by_lawyers_at_both_ends() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let approver = id.operator("approver");
    let sedition = red("pamphlet").replace("pamphletcharge", "sedition");
    assert_eq!(refused(id.draft(&sedition, &[&my]).await), "LEGAL_REVIEW_UNMARKED");
    let marked_so = sedition.replace("reasons = []", "reasons = [\"legal-review\"]");
    let draft = id.draft(&marked_so, &[&my]).await.unwrap();
    assert!(draft_of(&approver, &draft.draft_id).await.legal_review);
    assert_eq!(refused(approver.approve(&draft.draft_id).await), "LEGAL_REVIEW_REQUIRED");
    assert_eq!(refused(approver.approve_reviewed(&draft.draft_id, "predominant").await), "LEGAL_REVIEW_FORBIDS");
    assert_eq!(refused(alone(&id.operator("issuer"), &draft.draft_id).await), "LEGAL_REVIEW_REQUIRED");
    approver.approve_reviewed(&draft.draft_id, "not-predominant").await.unwrap();
    id.issue_draft(&draft.draft_id).await.unwrap();
    // The outcome stays on record, which the draft does not.
    let said = |entry: &v1::AuditEntry| {
        entry.operation == "ApproveDraft" && entry.legal_basis == "legal review: not-predominant"
    };
    assert!(id.audit_entries().await.iter().any(said));
    // There it waits for the desk, whatever the agreement says of red notices.
    id.receipted(&draft.reference, &my, &["issue quarantined"]).await;
    assert_eq!(my.state_of(&draft.reference).await, "NOTICE_AT_DESK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_comes_up_for_review_before_it_ends_and_is_kept_by_two_officers_alone() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let issuer = id.operator("issuer");
    let end = id.now().plus_seconds(6 * DAY).as_unix();
    let reference = id.issue_until(&red("review"), &[&my], end).await;
    id.issue(&red("later"), &[]).await;
    let due = |within_days: u32| {
        let mut life = issuer.life();
        async move {
            let stream = life.list_due(v1::ListDueRequest { within_days }).await.unwrap().into_inner();
            let all: Vec<v1::ListDueResponse> = stream.try_collect().await.unwrap();
            all.into_iter().filter_map(|due| due.notice).map(|notice| notice.reference).collect::<Vec<_>>()
        }
    };
    assert_eq!((due(5).await, due(30).await), (Vec::new(), vec![reference.clone()]));
    assert_eq!(due(400).await.len(), 2);
    let alarm = "REVIEW_DUE: 1 own notices come up for review within 30 days, 1 of them within 7";
    assert!(status(&id).await.alarms.iter().any(|told| told == alarm));

    let extend = |not_after: i64| v1::ExtendNoticeRequest { reference: reference.clone(), not_after };
    let later = id.now().plus_seconds(100 * DAY).as_unix();
    assert_eq!(refused(issuer.life().extend_notice(extend(end)).await), "EXTENSION_NOT_LATER");
    let beyond = id.now().plus_seconds(11 * 366 * DAY).as_unix();
    assert_eq!(refused(issuer.life().extend_notice(extend(beyond)).await), "VALIDITY_TOO_LONG");
    let draft = issuer.life().extend_notice(extend(later)).await.unwrap().into_inner().draft.unwrap();
    assert_eq!((draft.action.as_str(), draft.not_after), ("amend", later));
    assert_eq!(refused(id.issue_draft(&draft.draft_id).await), "APPROVAL_MISSING");
    id.publish(&draft.draft_id).await.unwrap();
    assert!(due(30).await.is_empty() && status(&id).await.alarms.iter().all(|told| !told.starts_with("REVIEW_DUE")));
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;
    my.clock.advance(7 * DAY);
    id.clock.advance(7 * DAY);
    let held = my.notice(&reference).await.unwrap();
    assert_eq!(held.notice.as_ref().map(|notice| (notice.state.as_str(), notice.not_after)), Some(("valid", later)));
    let said = eads_tests::content::text_of(&held.values, &content(&red("review")), "family-name");
    assert_eq!(said.as_deref(), Some("reviewfamily"), "nothing else has changed");
    // At its date it ends by itself.
    id.clock.advance(94 * DAY);
    my.clock.advance(94 * DAY);
    id.sees(&reference, "expired").await;
    until("the holder has destroyed it", || async { my.state_of(&reference).await == "NOTICE_WITHDRAWN" }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_located_adult_is_goes_out_only_with_consent() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let issuer = id.operator("issuer");
    let reference = id.issue(&yellow("found", ""), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let located = "reasons = [\"located\"]\nlast-seen = { place = \"A harbour\" }\n";
    let amend = |draft: &str| v1::CreateDraftRequest {
        action: "amend".to_owned(),
        reference: reference.clone(),
        values: values(&content(draft)),
        audience: vec!["MY".to_owned()],
        ..v1::CreateDraftRequest::default()
    };
    assert_eq!(refused(create(&issuer, amend(&yellow("found", located))).await), "CONSENT_REQUIRED");
    let consented =
        yellow("found", located).replace("\"missing-person-report\"", "\"missing-person-report\", \"subject-consent\"");
    let draft = create(&issuer, amend(&consented)).await.unwrap();
    id.publish(&draft).await.unwrap();
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;

    // What ends a notice never says where somebody is, even if it is asked to.
    let slot = SlotTable::get().by_name(SubjectType::Person, "last-seen").unwrap().number;
    let place = Value::List(vec![Value::text("A harbour").unwrap(), Value::Absent, Value::Absent, Value::Absent]);
    let withdrawal = |more: bool| {
        let mut values = reasons(&["safe-contact-declined"]);
        values.extend(more.then(|| v1::SlotValue { slot: slot.get().into(), value: place.encode() }));
        v1::CreateDraftRequest {
            action: "withdraw".to_owned(),
            reference: reference.clone(),
            values,
            ..v1::CreateDraftRequest::default()
        }
    };
    assert_eq!(refused(create(&issuer, withdrawal(true)).await), "CONSENT_REQUIRED");
    let draft = create(&issuer, withdrawal(false)).await.unwrap();
    id.publish(&draft).await.unwrap();
    until("nothing of it is held", || async { my.state_of(&reference).await == "NOTICE_WITHDRAWN" }).await;
    assert_eq!(slot, SlotNumber::new(43).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_of_an_emergency_stands_in_for_an_approval_once_and_not_for_long() {
    let house = House::new();
    let my = house.member("MY").await;
    let mut id = Hostile::accepted_by(&my, &house, "ID").await;
    let marked = red("urgent").replace("reasons = []", "reasons = [\"emergency\"]");
    let petty = red("petty").replace("maximum-months = 72", "maximum-months = 12");
    let notice = NoticeId::random(&SystemEntropy);
    for (action, version) in [(Action::Issue, 1), (Action::Amend, 2)] {
        let bare = id.approved(&marked, notice, version).with_approvals(&[]).unwrap();
        id.content(action, bare);
    }
    // Two officers do not make up for what a kind has to say.
    id.issue(&petty);
    id.serve([id.batch(0, 3)]);
    let receipts = || {
        let posted = id.script.receipts();
        let parts = posted.iter().flat_map(|posted| &posted.parts);
        let mut all: Vec<_> = parts.map(|part| Receipt::parse(part).unwrap()).collect();
        all.sort_by_key(|receipt| receipt.index);
        all.into_iter().map(|receipt| (receipt.status, receipt.reason)).collect::<Vec<_>>()
    };
    until("all three are receipted", || async { receipts().len() == 3 }).await;
    let rejected = |reason| (ReceiptStatus::Rejected, reason);
    let expected = [
        (ReceiptStatus::Accepted, ReceiptReason::NONE),
        rejected(ReceiptReason::CONTENT_INVALID),
        rejected(ReceiptReason::CHECK_FAILED),
    ];
    assert_eq!(receipts(), expected);
    let held = || async { my.listed("held").await.into_iter().map(|one| (one.version, one.state)).collect::<Vec<_>>() };
    assert_eq!(held().await, [(1, "valid".to_owned())]);
    // An owner that does not suspend it when it should is not waited for.
    my.clock.advance(72 * HOUR + 1);
    assert_eq!(held().await, [(1, "suspended".to_owned())]);
    sound(&my).await;
}
