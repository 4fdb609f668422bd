//! National records: who finds one, who may open it, and what is written down of both.

use eads_domain::encode::sha256;
use eads_proto::v1;
use eads_proto::v1::import_records_request::Part;
use eads_tests::content::Terms;
use eads_tests::house::{House, accept, connected, sound, status};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::questions;
use eads_tests::traces::found;
use tonic::Status;

const RECORDS: &str = "key,family-name,given-names,birth-date,sex,nationalities,documents,phones\n\
    K-1,Recordedfamily,Recordedgiven,1980-01-02,F,MY,passport|XRECORD1|MY,+60 800 1111\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_finds_a_record_only_by_agreement_and_is_shown_what_that_says() {
    let house = House::new();
    let (my, id, th) = (house.member("MY").await, house.member("ID").await, house.member("TH").await);
    accept(&my, &id, &Terms::default()).await;
    accept(&my, &th, &Terms { purposes: vec!["border-check"], ..Terms::default() }).await;
    for asker in [&id, &th] {
        accept(asker, &my, &Terms::default()).await;
        connected(asker, 1).await;
    }
    my.import_csv("register", RECORDS).await.unwrap();
    let question = || questions::name("Recordedgiven Recordedfamily");
    let answers = id.search_for(question()).await.unwrap();
    let answer = answers.iter().find(|answer| answer.member == "MY").unwrap();
    let [hit] = answer.hits.as_slice() else { panic!("{answer:?}") };
    assert_eq!((hit.source.as_str(), hit.owner.as_str(), hit.state.as_str()), ("record", "MY", "current"));
    assert!(hit.statement.is_none(), "a record is no statement");
    let mut names: Vec<&str> = hit.fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["birth-date", "family-name", "given-names"], "and no telephone number");
    let refusal = &th.search_for(question()).await.unwrap()[1];
    assert_eq!((refusal.outcome.as_str(), refusal.hits.len()), ("refused", 0));
    // Asking copies nothing: the asker's disk knows nothing of the person.
    for asker in [&id, &th] {
        assert_eq!(status(asker).await.records, 0);
        for value in ["Recordedfamily", "XRECORD1", "+60 800 1111"] {
            assert_eq!(found(asker.dir(), value.as_bytes()), [""; 0], "{value}");
        }
    }
    // Nor does the owner's, in the clear.
    assert_eq!(found(my.dir(), b"XRECORD1"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opening_a_record_is_written_down_with_its_purpose() {
    let house = House::new();
    let my = house.member("MY").await;
    my.import_csv("register", RECORDS).await.unwrap();
    let hit = my.finds("Recordedgiven Recordedfamily").await.remove(0);
    let opened = open(&my, &hit.reference, "missing-person-search").await.unwrap();
    assert_eq!((opened.source.as_str(), opened.key.as_str()), ("register", "K-1"));
    assert!(opened.fields.iter().any(|field| field.name == "phones"), "an officer of the owner sees all of it");
    let entries = my.audit_entries().await;
    let of: Vec<_> = entries.iter().filter(|entry| entry.operation == "GetRecord").collect();
    let [intent, outcome] = of.as_slice() else { panic!("{of:?}") };
    assert_eq!((intent.kind.as_str(), intent.actor.as_str()), ("intent", "operator:officer"));
    assert_eq!((intent.purpose.as_str(), intent.legal_basis.as_str()), ("missing-person-search", "national-law"));
    assert_eq!(intent.case_reference, "CASE-7");
    assert_eq!((outcome.kind.as_str(), outcome.result.as_str(), outcome.shown.len()), ("outcome", "OK", 1));
    assert_ne!(outcome.shown[0].slots, 0);
    assert!(!format!("{entries:?}").contains(&hit.reference), "the log itself does not lead to the record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_is_not_opened_without_a_purpose_nor_by_a_wrong_handle() {
    let house = House::new();
    let my = house.member("MY").await;
    my.import_csv("register", RECORDS).await.unwrap();
    let handle = my.finds("Recordedgiven Recordedfamily").await.remove(0).reference;
    assert!(refused(open(&my, &handle, "").await).contains("PURPOSE"));
    assert!(refused(open(&my, &handle, "curiosity").await).contains("PURPOSE"));
    let other = format!("R-{}", "0".repeat(32));
    assert_eq!(refused(open(&my, &other, "border-check").await), "RECORD_UNKNOWN");
    assert_eq!(refused(open(&my, "K-1", "border-check").await), "RECORD_HANDLE_INVALID");
    let results: Vec<String> = my.audit_entries().await.into_iter().map(|entry| entry.result).collect();
    for code in ["RECORD_UNKNOWN", "RECORD_HANDLE_INVALID"] {
        assert!(results.iter().any(|result| result == code), "{code} is not in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_record_is_found_by_what_it_says_now_and_no_longer_by_what_it_said() {
    let house = House::new();
    let mut my = house.member("MY").await;
    my.import_csv("register", RECORDS).await.unwrap();
    my.import_csv("register", &RECORDS.replace("XRECORD1", "XRECORD2")).await.unwrap();
    for restarted in [false, true] {
        if restarted {
            my.restart().await;
        }
        for (number, outcome) in [("XRECORD1", "no-hit"), ("XRECORD2", "hit")] {
            assert_eq!(my.outcomes(questions::passport(number)).await["MY"], outcome, "{number}, {restarted}");
        }
    }
    assert_eq!(status(&my).await.records, 1);
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines_say_the_same_as_csv() {
    let house = House::new();
    let my = house.member("MY").await;
    my.import_csv("register", RECORDS).await.unwrap();
    let line = r#"{"key":"K-1","family-name":"Recordedfamily","given-names":"Recordedgiven","birth-date":"1980-01-02","sex":"F","nationalities":["MY"],"documents":[{"type":"passport","number":"XRECORD1","country":"MY"}],"phones":["+60 800 1111"]}"#;
    let more = r#"{"key":2,"family-name":"Linefamily","given-names":"Linegiven"}"#;
    let file = format!("{line}\n{more}\n{{\"key\":\"K-3\"\n[1]\n{{\"key\":\"K-5\",\"shoe-size\":44}}\n\n{line}\n");
    let report = import(&my, "jsonl", &file).await.unwrap();
    assert_eq!((report.inserted, report.changed, report.unchanged), (1, 0, 1));
    assert!(report.done);
    let rejected: Vec<_> = report.rejected.iter().map(|one| (one.line, one.code.as_str())).collect();
    let expected =
        [(3, "JSON_MALFORMED"), (4, "JSON_MALFORMED"), (5, "IMPORT_COLUMN_UNKNOWN"), (7, "RECORD_DUPLICATE")];
    assert_eq!(rejected, expected);
    assert_eq!(my.finds("Linegiven Linefamily").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_cannot_begin_says_why_and_is_written_down() {
    let house = House::new();
    let my = house.member("MY").await;
    assert_eq!(refused(import(&my, "csv", "key,shoe-size\nK-1,44\n").await), "IMPORT_COLUMN_UNKNOWN");
    assert_eq!(refused(import(&my, "csv", "").await), "IMPORT_HEADER_MISSING");
    assert_eq!(refused(import(&my, "pdf", "PK").await), "IMPORT_FORMAT_UNKNOWN");
    let entries = my.audit_entries().await;
    let ends = entries.iter().filter(|entry| entry.operation == "ImportRecords" && !entry.result.is_empty());
    let ends: Vec<&str> = ends.map(|entry| entry.result.as_str()).collect();
    assert_eq!(ends, ["IMPORT_COLUMN_UNKNOWN", "IMPORT_HEADER_MISSING", "IMPORT_FORMAT_UNKNOWN"]);
    assert_eq!(status(&my).await.records, 0);
}

async fn open(member: &Member, handle: &str, purpose: &str) -> Result<v1::GetRecordResponse, Status> {
    let request = v1::GetRecordRequest {
        handle: handle.to_owned(),
        purpose: purpose.to_owned(),
        legal_basis: "national-law".to_owned(),
        case_reference: "CASE-7".to_owned(),
    };
    Ok(member.operator("officer").records().get_record(request).await?.into_inner())
}

/// Imports a file in one piece. The last report, with all rejections.
async fn import(member: &Member, format: &str, file: &str) -> Result<v1::ImportRecordsResponse, Status> {
    let options = v1::ImportRecordsOptions {
        format: format.to_owned(),
        source: "register".to_owned(),
        file_digest: sha256(file.as_bytes()).as_bytes().to_vec(),
        ..Default::default()
    };
    let parts = [Part::Options(options), Part::Chunk(file.as_bytes().to_vec())];
    let messages = parts.map(|part| v1::ImportRecordsRequest { part: Some(part) });
    let issuer = member.operator("issuer");
    let mut reports = issuer.records().import_records(futures::stream::iter(messages)).await?.into_inner();
    let (mut last, mut rejected) = (v1::ImportRecordsResponse::default(), Vec::new());
    while let Some(mut report) = reports.message().await? {
        rejected.append(&mut report.rejected);
        last = report;
    }
    Ok(v1::ImportRecordsResponse { rejected, ..last })
}
