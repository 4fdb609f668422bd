//! Nothing is published by one officer alone.

use eads_domain::approval::Approval;
use eads_proto::v1;
use eads_tests::content::red;
use eads_tests::house::House;
use eads_tests::operator::{code, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_approved_is_not_issued() {
    let house = House::new();
    let id = house.member("ID").await;
    let draft = id.draft(&red("unseen"), &[]).await.unwrap();
    assert_eq!(refused(id.issue_draft(&draft.draft_id).await), "APPROVAL_MISSING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_over_another_content_is_refused() {
    let house = House::new();
    let id = house.member("ID").await;
    let one = id.draft(&red("first"), &[]).await.unwrap();
    let other = id.draft(&red("second"), &[]).await.unwrap();
    let approver = id.operator("approver");
    let message = approver.approval_message(&other.draft_id).await.unwrap();
    let approval = Approval::sign(&message, &approver.key, approver.certificate.clone());
    let answer = approver.approve_with(&one.draft_id, approval).await;
    assert_eq!(code(&answer.unwrap_err()), "APPROVAL_SIGNATURE");
    assert_eq!(refused(id.issue_draft(&one.draft_id).await), "APPROVAL_MISSING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_with_the_certificate_of_somebody_else_is_refused() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    let draft = id.draft(&red("borrowed"), &[]).await.unwrap();
    let (approver, foreign) = (id.operator("approver"), my.operator("approver"));
    let message = approver.approval_message(&draft.draft_id).await.unwrap();
    let approval = Approval::sign(&message, &foreign.key, foreign.certificate.clone());
    let answer = approver.approve_with(&draft.draft_id, approval).await;
    assert_eq!(code(&answer.unwrap_err()), "APPROVAL_OTHER_CERTIFICATE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_officer_of_another_member_cannot_even_connect() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    let draft = id.draft(&red("foreign"), &[]).await.unwrap();
    let foreign = my.operator_at("approver", &id);
    assert!(foreign.approve(&draft.draft_id).await.is_err());
    assert_eq!(refused(id.issue_draft(&draft.draft_id).await), "APPROVAL_MISSING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_drafted_it_cannot_approve_it() {
    let house = House::new();
    let id = house.member("ID").await;
    let both = id.hire("both", &["issuer", "approver"]).await;
    let request = v1::CreateDraftRequest {
        action: "issue".to_owned(),
        reference: String::new(),
        values: eads_tests::content::values(&eads_tests::content::content(&red("alone"))),
        audience: Vec::new(),
        not_after: id.now().plus_seconds(86_400).as_unix(),
        ..v1::CreateDraftRequest::default()
    };
    let draft = both.notices().create_draft(request).await.unwrap().into_inner();
    assert_eq!(code(&both.approve(&draft.draft_id).await.unwrap_err()), "APPROVAL_BY_DRAFTER");
    // A second officer can, and then the drafter may publish.
    id.operator("approver").approve(&draft.draft_id).await.unwrap();
    let request = v1::IssueDraftRequest { draft_id: draft.draft_id };
    both.notices().issue_draft(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_that_the_notice_has_outrun_is_stale() {
    let house = House::new();
    let id = house.member("ID").await;
    let reference = id.issue(&red("moving"), &[]).await;
    let withdrawal = id.draft_withdrawal(&reference).await.unwrap();
    id.operator("approver").approve(&withdrawal.draft_id).await.unwrap();
    id.amend(&reference, &red("moved"), &[]).await;
    assert_eq!(refused(id.issue_draft(&withdrawal.draft_id).await), "DRAFT_STALE");
    assert_eq!(id.state_of(&reference).await, "valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_takes_two_officers() {
    let house = House::new();
    let id = house.member("ID").await;
    let reference = id.issue(&red("kept"), &[]).await;
    let withdrawal = id.draft_withdrawal(&reference).await.unwrap();
    assert_eq!(refused(id.issue_draft(&withdrawal.draft_id).await), "APPROVAL_MISSING");
    assert_eq!(id.state_of(&reference).await, "valid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_on_a_notice_that_has_ended_is_thrown_away() {
    let house = House::new();
    let id = house.member("ID").await;
    let reference = id.issue(&red("ending"), &[]).await;
    let waiting = id.draft_withdrawal(&reference).await.unwrap();
    id.withdraw(&reference).await;
    let request = v1::GetDraftRequest { draft_id: waiting.draft_id };
    assert_eq!(refused(id.operator("issuer").notices().get_draft(request).await), "DRAFT_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_notice_about_a_person_is_issued_by_one_officer_whatever_its_kind() {
    let house = House::new();
    let id = house.member("ID").await;
    let person = |kind: &str, more: &str| {
        format!(
            "kind = \"{kind}\"\nsubject = \"person\"\nhandling = [\"H1\"]\ngrading = \"B2\"\n\
             legal-basis = [\"national-law\"]\nfamily-name = \"{kind}family\"\ngiven-names = \"{kind}given\"\n\
             birth-date = 1984-07-19\nsex = \"F\"\n{more}"
        )
    };
    let listed = "un-listing = { reference = \"QDi.000\" }\n";
    let drafts = [
        red("alone"),
        person("blue", ""),
        person("green", ""),
        person("yellow", "event-date = 2026-02-01\n"),
        person("orange", ""),
        person("un", listed),
    ];
    for draft in drafts {
        let drafted = id.draft(&draft, &[]).await.unwrap();
        assert_eq!(refused(id.issue_draft(&drafted.draft_id).await), "APPROVAL_MISSING", "{draft}");
    }
    assert!(id.listed("own").await.is_empty());
}
