//! Operators at their own node.

use eads_domain::operator::Purpose;
use eads_proto::v1;
use eads_proto::v1::audit_service_client::AuditServiceClient;
use eads_proto::v1::import_records_request::Part;
use eads_proto::v1::node_service_client::NodeServiceClient;
use eads_proto::v1::notice_service_client::NoticeServiceClient;
use eads_proto::v1::peering_service_client::PeeringServiceClient;
use eads_proto::v1::record_service_client::RecordServiceClient;
use eads_proto::v1::search_service_client::SearchServiceClient;
use futures::{TryStreamExt as _, stream};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::house::House;
use super::*;

pub(super) fn name_query(name: &str) -> v1::Query {
    v1::Query {
        purpose: Purpose::CriminalInvestigation.as_str().to_owned(),
        legal_basis: "a court order".to_owned(),
        subject: "person".to_owned(),
        key: Some(v1::query::Key::Name(v1::NameKey { name: name.to_owned(), ..Default::default() })),
        ..Default::default()
    }
}

pub(super) async fn search(channel: Channel, message: v1::SearchRequest) -> Vec<v1::SearchResponse> {
    let answers = soon(SearchServiceClient::new(channel).search(message)).await.unwrap();
    soon(answers.into_inner().try_collect()).await.unwrap()
}

async fn entries(house: &House) -> Vec<v1::AuditEntry> {
    let auditor = house.operator("audit-1", "auditor").await;
    let mut audit = AuditServiceClient::new(auditor);
    let entries = soon(audit.list_audit_entries(v1::ListAuditEntriesRequest::default())).await.unwrap().into_inner();
    let entries: Vec<v1::ListAuditEntriesResponse> = soon(entries.try_collect()).await.unwrap();
    entries.into_iter().filter_map(|entry| entry.entry).collect()
}

async fn import(channel: Channel, file: &[u8], chunk: usize) -> Result<Vec<v1::ImportRecordsResponse>, Status> {
    let options = v1::ImportRecordsOptions {
        format: "csv".to_owned(),
        source: "register".to_owned(),
        total_bytes: file.len() as u64,
        ..Default::default()
    };
    let chunks = file.chunks(chunk).map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts: Vec<_> = std::iter::once(Part::Options(options)).chain(chunks).collect();
    let messages = stream::iter(parts.into_iter().map(|part| v1::ImportRecordsRequest { part: Some(part) }));
    let reports = soon(RecordServiceClient::new(channel).import_records(messages)).await?;
    soon(reports.into_inner().try_collect()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_is_refused_and_the_refusal_is_written_down() {
    let house = House::open("ID", 10).await;
    let officer = house.operator("officer-1", "officer").await;
    let status = soon(NodeServiceClient::new(officer.clone()).get_status(v1::GetStatusRequest {})).await.unwrap();
    assert_eq!(status.into_inner().member, "ID");
    let refused = soon(PeeringServiceClient::new(officer.clone()).export_card(v1::ExportCardRequest {})).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.code(), code(&refused)), (Code::PermissionDenied, "ROLE_REQUIRED"));
    let listing = AuditServiceClient::new(officer).list_audit_entries(v1::ListAuditEntriesRequest::default()).await;
    assert_eq!(code(&listing.unwrap_err()), "ROLE_REQUIRED");

    let written = entries(&house).await;
    let seen = |operation: &str, kind: &str, result: &str| {
        written.iter().any(|entry| entry.operation == operation && entry.kind == kind && entry.result == result)
    };
    assert!(seen("GetStatus", "intent", "") && seen("GetStatus", "outcome", "OK"));
    assert!(seen("ExportCard", "event", "ROLE_REQUIRED"));
    assert!(seen("ListAuditEntries", "event", "ROLE_REQUIRED") && seen("ListAuditEntries", "intent", ""));
    assert!(written.iter().any(|entry| entry.actor == "operator:officer-1" && entry.roles == ["officer"]));
    let auditor = house.operator("audit-1", "auditor").await;
    let verified = soon(AuditServiceClient::new(auditor).verify_audit(v1::VerifyAuditRequest {})).await.unwrap();
    assert!(verified.into_inner().sound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_no_operator_of_this_member_is_refused() {
    let house = House::open("ID", 20).await;
    for (member, roles, expected) in [
        ("TH", "officer", "OPERATOR_OTHER_MEMBER"),
        ("ID", "", "OPERATOR_ROLE_MISSING"),
        ("ID", "boss", "OPERATOR_ROLE_UNKNOWN"),
    ] {
        let channel = house.channel(&house.operators_ca.operator(member, "someone", roles)).await;
        let refused = soon(NodeServiceClient::new(channel).get_status(v1::GetStatusRequest {})).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::PermissionDenied, expected));
    }
    assert!(entries(&house).await.iter().any(|entry| entry.result == "OPERATOR_OTHER_MEMBER"));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_imported_found_and_shown_to_an_officer() {
    let house = House::open("ID", 30).await;
    let administrator = house.operator("admin-1", "administrator").await;
    let file =
        b"key,family-name,given-names,birth-date\nA-1,Rasa,Aman,1980-02-03\nA-2,Wijaya,Budi,1990\nA-3,Bad,Date,31/02\n";
    let reports = import(administrator, file, 20).await.unwrap();
    let last = reports.last().unwrap();
    assert!(last.done && reports.iter().all(|report| report.resume_at == 0));
    assert_eq!((last.inserted, last.bytes_done), (2, file.len() as u64));
    let rejected: Vec<u64> = reports.iter().flat_map(|report| &report.rejected).map(|rejected| rejected.line).collect();
    assert_eq!(rejected, [4]);

    let officer = house.operator("officer-1", "officer").await;
    let id = vec![9; 16];
    let asked = v1::SearchRequest {
        query: Some(name_query("Aman Rasa")),
        request_id: id.clone(),
        case_reference: "case 7".to_owned(),
        ..Default::default()
    };
    let answers = search(officer.clone(), asked).await;
    let [own] = answers.as_slice() else { panic!("one source") };
    assert_eq!((own.member.as_str(), own.outcome.as_str(), &own.request_id), ("ID", "hit", &id));
    let request = v1::GetRecordRequest {
        handle: own.hits[0].reference.clone(),
        purpose: Purpose::CriminalInvestigation.as_str().to_owned(),
        ..Default::default()
    };
    let record = soon(RecordServiceClient::new(officer).get_record(request)).await.unwrap().into_inner();
    assert_eq!((record.source.as_str(), record.key.as_str()), ("register", "A-1"));
    let asked = entries(&house).await.into_iter().find(|entry| entry.operation == "Search").unwrap();
    assert_eq!((asked.request_id, asked.case_reference.as_str()), (id, "case 7"));
    assert!(asked.query_text.contains("Aman Rasa"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_uploads_and_queries_are_refused_with_their_code() {
    let house = House::open("ID", 40).await;
    let administrator = house.operator("admin-1", "administrator").await;
    let too_large = import(administrator.clone(), &vec![b'x'; 1024 * 1024 + 1], 2 * 1024 * 1024).await.unwrap_err();
    assert_eq!(code(&too_large), "IMPORT_CHUNK_TOO_LARGE");
    let chunk = v1::ImportRecordsRequest { part: Some(Part::Chunk(vec![1])) };
    let headless = RecordServiceClient::new(administrator.clone()).import_records(stream::iter([chunk])).await;
    assert_eq!(code(&headless.unwrap_err()), "IMPORT_OPTIONS_MISSING");
    let empty = v1::ImportRecordsRequest { part: None };
    let empty = RecordServiceClient::new(administrator).import_records(stream::iter([empty])).await;
    assert_eq!(code(&empty.unwrap_err()), "IMPORT_PART_EMPTY");

    let officer = house.operator("officer-1", "officer").await;
    let mut client = SearchServiceClient::new(officer.clone());
    let blank = v1::SearchRequest { query: Some(name_query("  ")), ..Default::default() };
    assert_eq!(code(&soon(client.search(blank)).await.unwrap_err()), "QUERY_NAME_EMPTY");
    let stranger =
        v1::SearchRequest { query: Some(name_query("Aman")), peers: vec!["SG".to_owned()], ..Default::default() };
    assert_eq!(code(&soon(client.search(stranger)).await.unwrap_err()), "PEER_UNKNOWN");
    let mut request = tonic::Request::new(v1::GetStatusRequest {});
    request.metadata_mut().insert("eads-request-id", "zz".parse().unwrap());
    let mut nodes = NodeServiceClient::new(officer);
    assert_eq!(code(&soon(nodes.get_status(request)).await.unwrap_err()), "REQUEST_ID_INVALID");
    assert!(entries(&house).await.iter().any(|entry| entry.result == "QUERY_NAME_EMPTY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_and_notices_that_are_not_there_are_told_so() {
    let house = House::open("ID", 50).await;
    let issuer = house.operator("issuer-1", "issuer").await;
    let mut notices = NoticeServiceClient::new(issuer);
    let drafts = soon(notices.list_drafts(v1::ListDraftsRequest::default())).await.unwrap().into_inner();
    assert_eq!(soon(drafts.try_collect::<Vec<_>>()).await.unwrap(), []);
    let unknown = v1::GetDraftRequest { draft_id: "00".repeat(16) };
    let unknown = soon(notices.get_draft(unknown)).await.unwrap_err();
    assert_eq!((unknown.code(), code(&unknown)), (Code::NotFound, "DRAFT_UNKNOWN"));
    let malformed = soon(notices.get_draft(v1::GetDraftRequest { draft_id: "x".to_owned() })).await.unwrap_err();
    assert_eq!(code(&malformed), "DRAFT_ID_INVALID");
    let held = v1::ListNoticesRequest { holding: "theirs".to_owned(), ..Default::default() };
    assert_eq!(code(&soon(notices.list_notices(held)).await.unwrap_err()), "HOLDING_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_operators_programs() {
    let house = House::open("ID", 60).await;
    let officer = house.operator("officer-1", "officer").await;
    for service in ["", "eads.v1.SearchService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let health = soon(HealthClient::new(officer.clone()).check(request)).await.unwrap();
        assert_eq!(health.into_inner().status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    }
}
