//! Which role may call what: the table against real calls, and the audit log of those that are refused.

use eads_domain::operator::Role;
use eads_proto::v1;
use eads_service::authorise::METHODS;
use eads_tests::house::House;
use eads_tests::operator::{Operator, code};
use futures::TryStreamExt as _;
use tonic::{Response, Status, Streaming};

/// Calls a method with as little as it takes, and gives the code of its refusal; empty if it was let in.
async fn call(operator: &Operator, method: &str) -> String {
    let called = match method {
        "GetStatus" => unit(operator.node().get_status(v1::GetStatusRequest {}).await),
        "VerifyRegisters" => unit(operator.node().verify_registers(v1::VerifyRegistersRequest {}).await),
        "ExportCard" => unit(operator.peering().export_card(v1::ExportCardRequest {}).await),
        "ImportCard" => unit(operator.peering().import_card(v1::ImportCardRequest::default()).await),
        "AcceptPeer" => unit(operator.peering().accept_peer(v1::AcceptPeerRequest::default()).await),
        "ListPeers" => unit(operator.peering().list_peers(v1::ListPeersRequest {}).await),
        "RemovePeer" => unit(operator.peering().remove_peer(v1::RemovePeerRequest::default()).await),
        "SkipStartWait" => unit(operator.node().skip_start_wait(v1::SkipStartWaitRequest::default()).await),
        "UnfreezePeer" => unit(operator.peering().unfreeze_peer(v1::UnfreezePeerRequest::default()).await),
        "ExportProof" => unit(operator.peering().export_proof(v1::ExportProofRequest::default()).await),
        "ExportSync" => all(operator.peering().export_sync(v1::ExportSyncRequest::default()).await).await,
        "ImportSync" => unit(operator.peering().import_sync(futures::stream::empty()).await),
        "UploadPhoto" => unit(operator.notices().upload_photo(futures::stream::empty()).await),
        "GetPhoto" => all(operator.notices().get_photo(v1::GetPhotoRequest::default()).await).await,
        "CreateDraft" => unit(operator.notices().create_draft(v1::CreateDraftRequest::default()).await),
        "ListDrafts" => all(operator.notices().list_drafts(v1::ListDraftsRequest::default()).await).await,
        "GetDraft" => unit(operator.notices().get_draft(v1::GetDraftRequest::default()).await),
        "ApproveDraft" => unit(operator.notices().approve_draft(v1::ApproveDraftRequest::default()).await),
        "DiscardDraft" => unit(operator.notices().discard_draft(v1::DiscardDraftRequest::default()).await),
        "IssueDraft" => unit(operator.notices().issue_draft(v1::IssueDraftRequest::default()).await),
        "SubmitDraft" => unit(operator.life().submit_draft(v1::SubmitDraftRequest::default()).await),
        "ReturnDraft" => unit(operator.life().return_draft(v1::ReturnDraftRequest::default()).await),
        "IssueInEmergency" => unit(operator.life().issue_in_emergency(v1::IssueInEmergencyRequest::default()).await),
        "ConfirmEmergency" => unit(operator.life().confirm_emergency(v1::ConfirmEmergencyRequest::default()).await),
        "ExtendNotice" => unit(operator.life().extend_notice(v1::ExtendNoticeRequest::default()).await),
        "ListDue" => all(operator.life().list_due(v1::ListDueRequest::default()).await).await,
        "SuspendNotice" => unit(operator.notices().suspend_notice(v1::SuspendNoticeRequest::default()).await),
        "ListNotices" => all(operator.notices().list_notices(v1::ListNoticesRequest::default()).await).await,
        "GetNotice" => unit(operator.notices().get_notice(v1::GetNoticeRequest::default()).await),
        "GetNoticeStatus" => unit(operator.notices().get_notice_status(v1::GetNoticeStatusRequest::default()).await),
        "ImportNotices" => unit(operator.notices().import_notices(futures::stream::empty()).await),
        "ImportRecords" => all(operator.records().import_records(futures::stream::empty()).await).await,
        "GetRecord" => unit(operator.records().get_record(v1::GetRecordRequest::default()).await),
        "Search" => all(operator.search().search(v1::SearchRequest::default()).await).await,
        "ListDesk" => all(operator.desk().list_desk(v1::ListDeskRequest::default()).await).await,
        "GetDeskNotice" => unit(operator.desk().get_desk_notice(v1::GetDeskNoticeRequest::default()).await),
        "ApproveHeldNotice" => unit(operator.desk().approve_held_notice(v1::ApproveHeldNoticeRequest::default()).await),
        "RefuseHeldNotice" => unit(operator.desk().refuse_held_notice(v1::RefuseHeldNoticeRequest::default()).await),
        "UndoDeskDecision" => unit(operator.desk().undo_desk_decision(v1::UndoDeskDecisionRequest::default()).await),
        "ListCollisions" => all(operator.desk().list_collisions(v1::ListCollisionsRequest::default()).await).await,
        "RecordChallenge" => unit(operator.challenges().record_challenge(v1::RecordChallengeRequest::default()).await),
        "ListChallenges" => {
            all(operator.challenges().list_challenges(v1::ListChallengesRequest::default()).await).await
        }
        "AnswerChallenge" => unit(operator.challenges().answer_challenge(v1::AnswerChallengeRequest::default()).await),
        "CloseChallenge" => unit(operator.challenges().close_challenge(v1::CloseChallengeRequest::default()).await),
        "ListAuditEntries" => {
            all(operator.audit().list_audit_entries(v1::ListAuditEntriesRequest::default()).await).await
        }
        "VerifyAudit" => unit(operator.audit().verify_audit(v1::VerifyAuditRequest {}).await),
        other => panic!("{other} is in the table and not in this test"),
    };
    called.map_or_else(|status| code(&status).to_owned(), |()| String::new())
}

fn unit<T>(answer: Result<Response<T>, Status>) -> Result<(), Status> {
    answer.map(drop)
}

async fn all<T>(answer: Result<Response<Streaming<T>>, Status>) -> Result<(), Status> {
    answer?.into_inner().try_for_each(|_| std::future::ready(Ok(()))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_is_for_the_roles_of_its_line_and_no_other() {
    let house = House::new();
    let id = house.member("ID").await;
    for role in [Role::Officer, Role::Issuer, Role::Approver, Role::Auditor, Role::Administrator] {
        let operator = id.hire(&format!("only-{}", role.as_str()), &[role.as_str()]);
        for (method, allowed) in METHODS {
            let refusal = call(&operator, method).await;
            assert_eq!(
                refusal != "ROLE_REQUIRED",
                allowed.contains(&role),
                "{} calls {method}: {refusal}",
                role.as_str()
            );
        }
    }
    // Each refusal is in the audit log with who it was.
    let refusals = id.audit_entries().await;
    let refused = refusals.iter().filter(|entry| entry.result == "ROLE_REQUIRED");
    let expected: usize = METHODS.iter().map(|(_, allowed)| 5 - allowed.len()).sum();
    let refused: Vec<_> = refused.collect();
    assert_eq!(refused.len(), expected);
    assert!(refused.iter().all(|entry| entry.actor.starts_with("operator:only-") && !entry.roles.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_is_readable_for_auditors_only() {
    let house = House::new();
    let id = house.member("ID").await;
    id.search_for(eads_tests::questions::name("Somebody Asked")).await.unwrap();
    let entries = id.audit_entries().await;
    let search = entries.iter().find(|entry| entry.operation == "Search" && entry.kind == "intent").unwrap();
    assert!(search.query_text.contains("Somebody Asked"));
    let request = v1::ListAuditEntriesRequest::default();
    for other in ["admin-1", "officer", "issuer", "approver"] {
        let answer = id.operator(other).audit().list_audit_entries(request.clone()).await;
        let refusal = all(answer).await.unwrap_err();
        assert_eq!(code(&refusal), "ROLE_REQUIRED", "{other}");
    }
    // That somebody looked is written down too.
    assert!(id.audit_entries().await.iter().any(|entry| entry.operation == "ListAuditEntries"));
}
