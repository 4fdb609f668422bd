//! National files: twice, in two halves, and with lines that are no records.

use std::fmt::Write as _;

use eads_proto::v1;
use eads_proto::v1::import_records_request::Part;
use eads_tests::house::{House, sound};
use eads_tests::questions;

const HEADER: &str = "key,family-name,given-names,birth-date,sex,nationalities,documents\n";

fn file(lines: usize, given: &str) -> String {
    let mut file = HEADER.to_owned();
    for line in 0..lines {
        writeln!(file, "R-{line:05},Family{line},{given},1980-01-02,F,MY,passport|X{line:07}|MY").unwrap();
    }
    file
}

fn counts(report: &v1::ImportRecordsResponse) -> (u64, u64, u64, usize) {
    (report.inserted, report.changed, report.unchanged, report.rejected.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_changes_nothing_and_a_changed_file_only_what_changed() {
    let house = House::new();
    let my = house.member("MY").await;
    let first = my.import_csv("register", &file(300, "Given")).await.unwrap();
    assert!(first.done);
    assert_eq!(counts(&first), (300, 0, 0, 0));
    let again = format!("{}\n", file(300, "Given"));
    assert_eq!(counts(&my.import_csv("register", &again).await.unwrap()), (0, 0, 300, 0));
    let changed = file(300, "Given").replace("R-00007,Family7,Given", "R-00007,Family7,Other");
    assert_eq!(counts(&my.import_csv("register", &changed).await.unwrap()), (0, 1, 299, 0));
    assert_eq!(my.outcomes(questions::name("Family7 Other")).await["MY"], "hit");
    // Keys are unique within their source.
    assert_eq!(counts(&my.import_csv("another", &file(5, "Given")).await.unwrap()), (5, 0, 0, 0));
    let status = eads_tests::house::status(&my).await;
    assert_eq!(status.records, 305);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_import_goes_on_where_it_stopped() {
    let house = House::new();
    let mut my = house.member("MY").await;
    let whole = file(4000, "Given");
    let options = v1::ImportRecordsOptions {
        format: "csv".to_owned(),
        source: "register".to_owned(),
        total_bytes: whole.len() as u64,
        file_digest: eads_domain::encode::sha256(whole.as_bytes()).as_bytes().to_vec(),
        ..Default::default()
    };
    // Half of it, and then the sender is gone.
    let half = whole.as_bytes()[..whole.len() / 2].to_vec();
    let parts =
        std::iter::once(Part::Options(options)).chain(half.chunks(8192).map(|chunk| Part::Chunk(chunk.to_vec())));
    let parts: Vec<_> = parts.map(|part| v1::ImportRecordsRequest { part: Some(part) }).collect();
    let messages = futures::StreamExt::chain(futures::stream::iter(parts), futures::stream::pending());
    let mut reports = my.operator("issuer").records().import_records(messages).await.unwrap().into_inner();
    let mut done = 0;
    while done < 40_000 {
        done = reports.message().await.unwrap().unwrap().bytes_done;
    }
    drop(reports);
    my.restart().await;
    let before = eads_tests::house::status(&my).await.records;
    assert!(before > 0);
    let rest = my.import_csv("register", &whole).await.unwrap();
    assert!(rest.resume_at >= done, "what was durable is not read again: {} of {done}", rest.resume_at);
    assert_eq!(rest.rejected.len(), 0);
    assert_eq!(eads_tests::house::status(&my).await.records, 4000);
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_no_records_are_named_and_cost_only_themselves() {
    let house = House::new();
    let my = house.member("MY").await;
    let broken = format!(
        "{HEADER}R-1,Good,One,1980-01-02,F,MY,\nR-2,Bad,Date,1980-13-02,F,MY,\n,No,Key,1980-01-02,F,MY,\n\
         R-3,Too,Few\nR-4,Bad,Sex,1980-01-02,Q,MY,\nR-5,Good,Two,1980-01-02,M,MY,\n"
    );
    let report = my.import_csv("register", &broken).await.unwrap();
    assert_eq!((report.inserted, report.done), (2, true));
    let lines: Vec<u64> = report.rejected.iter().map(|rejection| rejection.line).collect();
    assert_eq!(lines, [3, 4, 5, 6]);
    assert!(report.rejected.iter().all(|rejection| !rejection.code.is_empty() && !rejection.reason.is_empty()));
    // A header that fits nothing stops the run.
    assert!(my.import_csv("register", "key,shoe-size\nR-1,44\n").await.is_err());
}
