//! National files as they come: in the encodings of the region, as workbooks, as snapshots of a register, cut off in
//! the middle, and hostile. What is read of each is compared with the same content in UTF-8.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::time::Duration;

use eads_cli::demo::federation::{Federation, Participant};
use eads_proto::v1;
use eads_proto::v1::import_records_request::Part;
use eads_tests::house::{House, sound, status};
use eads_tests::operator::{code, refused};
use eads_tests::questions;
use eads_tests::traces::found;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::programs::programs;

const THAI: &str = "key,family-name,given-names,birth-date\nA-1,ดวงแก้ว,สมชาย,1980-01-02\nA-2,ศรีสุวรรณ,มาลี,1981-01-02\n\
                    A-3,ทองดี,ประเสริฐ,1982-01-02\nA-4,แสงจันทร์,วิชัย,1983-01-02\n";
const VIETNAMESE: &str = "key,family-name,given-names,birth-date\nA-1,Nguyễn,Văn Đức,1980-01-02\nA-2,Trần,Thị Hằng,1981-01-02\n\
                          A-3,Phạm,Quốc Tuấn,1982-01-02\nA-4,Lê,Thuý Hạnh,1983-01-02\n";

fn options(format: &str, source: &str) -> v1::ImportRecordsOptions {
    v1::ImportRecordsOptions { format: format.to_owned(), source: source.to_owned(), ..Default::default() }
}

fn counts(report: &v1::ImportRecordsResponse) -> (u64, u64, u64, u64) {
    (report.inserted, report.changed, report.unchanged, report.retired)
}

fn utf16(text: &str, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

fn in_874(text: &str) -> Vec<u8> {
    encoding_rs::WINDOWS_874.encode(text).0.into_owned()
}

/// The Vietnamese sample as the `.Vn` fonts write it, composed from the code chart of TCVN 5712.
fn vietnamese_in_tcvn3() -> Vec<u8> {
    b"key,family-name,given-names,birth-date\nA-1,Nguy\xd4n,V\xa8n \xa7\xf8c,1980-01-02\nA-2,Tr\xc7n,Th\xde H\xbbng,1981-01-02\n\
      A-3,Ph\xb9m,Qu\xe8c Tu\xcan,1982-01-02\nA-4,L\xaa,Thu\xfd H\xb9nh,1983-01-02\n"
        .to_vec()
}

/// The same in windows-1258: letters, and tone marks that combine with them.
fn vietnamese_in_1258() -> Vec<u8> {
    b"key,family-name,given-names,birth-date\nA-1,Nguy\xea\xden,V\xe3n \xd0\xfd\xecc,1980-01-02\nA-2,Tr\xe2\xccn,Thi\xf2 H\xe3\xccng,1981-01-02\n\
      A-3,Pha\xf2m,Qu\xf4\xecc Tu\xe2\xecn,1982-01-02\nA-4,L\xea,Thuy\xec Ha\xf2nh,1983-01-02\n"
        .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_records_come_of_every_encoding() {
    let house = House::new();
    let my = house.member("MY").await;
    for (source, text, others) in [
        (
            "thai",
            THAI,
            vec![
                ("utf-8", [b"\xef\xbb\xbf", THAI.as_bytes()].concat()),
                ("utf-16le", utf16(THAI, true)),
                ("utf-16le", utf16(THAI, false)),
                ("windows-874", in_874(THAI)),
            ],
        ),
        (
            "vietnamese",
            VIETNAMESE,
            vec![
                ("utf-16le", utf16(VIETNAMESE, true)),
                ("windows-1258", vietnamese_in_1258()),
                ("tcvn3", vietnamese_in_tcvn3()),
            ],
        ),
    ] {
        assert_eq!(counts(&my.import_csv(source, text).await.unwrap()), (4, 0, 0, 0));
        for (encoding, file) in others {
            for named in ["", encoding] {
                let options = v1::ImportRecordsOptions { encoding: named.to_owned(), ..options("csv", source) };
                let report = my.import_file("issuer", options, &file).await.unwrap();
                let rejected = &report.rejected;
                assert_eq!(counts(&report), (0, 0, 4, 0), "{encoding}, named \"{named}\": {rejected:?}");
                assert_eq!(report.encoding, encoding);
            }
        }
    }
    assert_eq!(my.outcomes(questions::name("Nguyễn Văn Đức")).await["MY"], "hit");
    // One object a line, in the encoding of a Thai machine.
    let lines = "{\"key\": \"J-1\", \"family-name\": \"ทองดี\"}\n".to_owned()
        + "{\"key\": \"J-2\", \"family-name\": \"แสงจันทร์\"}\n";
    let options = v1::ImportRecordsOptions { encoding: "TIS-620".to_owned(), ..options("jsonl", "lines") };
    let report = my.import_file("issuer", options, &in_874(&lines)).await.unwrap();
    assert_eq!((counts(&report), report.encoding.as_str()), ((2, 0, 0, 0), "windows-874"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoding_that_is_not_certain_is_refused_with_its_candidates() {
    let house = House::new();
    let my = house.member("MY").await;
    let few = in_874("key,family-name\nA-1,ดวงแก้ว\n");
    let refusal = my.import_file("issuer", options("csv", "register"), &few).await.unwrap_err();
    assert_eq!(code(&refusal), "ENCODING_UNCERTAIN");
    let text = refusal.message();
    assert!(text.contains("windows-874") && text.contains("windows-1258") && text.contains("--encoding"), "{text}");
    assert_eq!(status(&my).await.records, 0);
    let unknown = v1::ImportRecordsOptions { encoding: "utf-7".to_owned(), ..options("csv", "register") };
    assert_eq!(code(&my.import_file("issuer", unknown, &few).await.unwrap_err()), "ENCODING_UNKNOWN");
    // Named it is read, and a byte that means nothing costs its line only and is not repeated.
    let damaged = [few, b"A-2,\xca\xdbZulkarnain\nA-3,\xca\xc1\xaa\n".to_vec()].concat();
    let named = v1::ImportRecordsOptions { encoding: "windows-874".to_owned(), ..options("csv", "register") };
    let report = my.import_file("issuer", named, &damaged).await.unwrap();
    assert_eq!(counts(&report), (2, 0, 0, 0));
    let [rejection] = report.rejected.as_slice() else { panic!("{:?}", report.rejected) };
    assert_eq!((rejection.line, rejection.code.as_str()), (3, "TEXT_UNDECODABLE"));
    assert!(!rejection.reason.contains("Zulkarnain"));
}

/// A sheet of texts, with dates as numbers where the text is one.
fn workbook(csv: &str) -> Vec<u8> {
    let mut rows = String::new();
    for (number, line) in csv.lines().enumerate() {
        let _ = write!(rows, "<row r=\"{}\">", number + 1);
        for cell in line.split(',') {
            match cell.strip_suffix("-01-02").and_then(|year| year.parse::<u32>().ok()) {
                // Days from 1899-12-30 to the second of January.
                Some(year) => {
                    let days = (year - 1900) * 365 + (year - 1901) / 4 + 3;
                    let _ = write!(rows, "<c s=\"1\"><v>{days}</v></c>");
                }
                None => {
                    let _ = write!(rows, "<c t=\"inlineStr\"><is><t>{cell}</t></is></c>");
                }
            }
        }
        rows.push_str("</row>");
    }
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("xl/workbook.xml", "<workbook><sheets><sheet name=\"คน\" r:id=\"r1\"/></sheets></workbook>".to_owned()),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id=\"r1\" Target=\"worksheets/sheet1.xml\"/></Relationships>".to_owned(),
        ),
        (
            "xl/styles.xml",
            "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>".to_owned(),
        ),
        ("xl/worksheets/sheet1.xml", format!("<worksheet><sheetData>{rows}</sheetData></worksheet>")),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workbook_gives_the_records_of_its_table() {
    let house = House::new();
    let my = house.member("MY").await;
    assert_eq!(counts(&my.import_csv("register", THAI).await.unwrap()), (4, 0, 0, 0));
    let file = workbook(THAI);
    let report = my.import_file("issuer", options("xlsx", "register"), &file).await.unwrap();
    assert_eq!(counts(&report), (0, 0, 4, 0), "{:?}", report.rejected);
    assert_eq!((report.bytes_done, report.done), (file.len() as u64, true));
    let sheet = v1::ImportRecordsOptions { sheet: "คน".to_owned(), ..options("xlsx", "by-name") };
    assert_eq!(counts(&my.import_file("issuer", sheet, &file).await.unwrap()), (4, 0, 0, 0));
    let none = v1::ImportRecordsOptions { sheet: "people".to_owned(), ..options("xlsx", "by-name") };
    assert_eq!(code(&my.import_file("issuer", none, &file).await.unwrap_err()), "XLSX_SHEET_UNKNOWN");
    // A bomb, a torso, and something else altogether.
    let bomb = workbook(&format!("key,family-name\nA-1,{}\n", " ".repeat(60_000_000)));
    assert!(bomb.len() < 200_000);
    assert_eq!(code(&my.import_file("issuer", options("xlsx", "x"), &bomb).await.unwrap_err()), "XLSX_TOO_LARGE");
    let half = &file[..file.len() / 2];
    assert_eq!(code(&my.import_file("issuer", options("xlsx", "x"), half).await.unwrap_err()), "XLSX_NOT_A_WORKBOOK");
    let csv = my.import_file("issuer", options("xlsx", "x"), THAI.as_bytes()).await.unwrap_err();
    assert_eq!(code(&csv), "XLSX_NOT_A_WORKBOOK");
    assert_eq!(status(&my).await.records, 8);
}

fn register(lines: impl IntoIterator<Item = usize>, given: &str) -> String {
    let mut file = "key,family-name,given-names,birth-date\n".to_owned();
    for line in lines {
        let _ = writeln!(file, "R-{line:06},Retiredfamily{line},{given},1980-01-02");
    }
    file
}

fn snapshot() -> v1::ImportRecordsOptions {
    v1::ImportRecordsOptions { snapshot: true, ..options("csv", "register") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_retires_what_is_gone_and_a_dry_run_says_so_before() {
    let house = House::new();
    let my = house.member("MY").await;
    my.import_csv("register", &register(0..200, "Given")).await.unwrap();
    my.import_csv("another", &register(0..3, "Given")).await.unwrap();
    // Five are gone, one has changed, one is new, and one cannot be read but is still there.
    let file = register((5..200).chain([900]), "Given").replace("Retiredfamily7,Given", "Retiredfamily7,Other")
        + "R-000003,Family,Given,1980-13-02\n";
    let dry = v1::ImportRecordsOptions { dry_run: true, ..snapshot() };
    let report = my.import_file("issuer", dry, file.as_bytes()).await.unwrap();
    assert_eq!((counts(&report), report.rejected.len()), ((1, 1, 194, 4), 1));
    let mut differences = report.differences.clone();
    differences.sort();
    let expected = [
        "changed R-000007: given-names",
        "new R-000900",
        "retired R-000000",
        "retired R-000001",
        "retired R-000002",
        "retired R-000004",
    ];
    assert_eq!(differences, expected);
    assert_eq!(status(&my).await.records, 203, "a dry run changes nothing");

    let report = my.import_file("issuer", snapshot(), file.as_bytes()).await.unwrap();
    assert_eq!((counts(&report), report.differences.len()), ((1, 1, 194, 4), 0));
    assert_eq!(status(&my).await.records, 200);
    assert_eq!(my.outcomes(questions::name("Given Retiredfamily1")).await["MY"], "hit", "the other source has it");
    assert_eq!(my.outcomes(questions::name("Given Retiredfamily4")).await["MY"], "no-hit");
    assert_eq!(counts(&my.import_file("issuer", snapshot(), file.as_bytes()).await.unwrap()), (0, 0, 196, 0));
    // What is gone is gone after a restart too, and the log says how many went.
    let entries = my.audit_entries().await;
    let retired = |entry: &v1::AuditEntry| entry.operation == "RetireRecords" && entry.subject == "register: 4 of 199";
    assert!(entries.iter().any(retired), "{entries:?}");
    let mut my = my;
    my.restart().await;
    assert_eq!(status(&my).await.records, 200);
    assert_eq!(my.outcomes(questions::name("Given Retiredfamily4")).await["MY"], "no-hit");
    assert!(found(my.dir(), b"R-000004").is_empty(), "no key of a record stands in the clear");
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_would_retire_much_or_is_not_whole_retires_nothing() {
    let house = House::new();
    let my = house.member("MY").await;
    my.import_csv("register", &register(0..100, "Given")).await.unwrap();
    let half = register(0..50, "Given");
    let refusal = my.import_file("issuer", snapshot(), half.as_bytes()).await.unwrap_err();
    assert_eq!(code(&refusal), "MASS_RETIREMENT_GUARD");
    assert!(refusal.message().contains("50 of 100"), "{}", refusal.message());
    let overriding = v1::ImportRecordsOptions { override_guard: true, ..snapshot() };
    let denied = my.import_file("issuer", overriding.clone(), half.as_bytes()).await;
    assert_eq!(refused(denied), "ROLE_REQUIRED");
    // A line that does not say which record it is.
    let unreadable = register(0..99, "Given") + "R-000099,too,few\n";
    let refusal = my.import_file("issuer", snapshot(), unreadable.as_bytes()).await.unwrap_err();
    assert_eq!(code(&refusal), "SNAPSHOT_INCOMPLETE");
    assert!(refusal.message().contains("line 101"), "{}", refusal.message());
    // A file that ends before it is whole, as if the connection had been closed in good order.
    let whole = register(0..95, "Given");
    let mut announced = snapshot();
    announced.file_digest = eads_domain::encode::sha256(whole.as_bytes()).as_bytes().to_vec();
    let parts = [Part::Options(announced), Part::Chunk(whole.as_bytes()[..whole.len() - 500].to_vec())];
    let messages = parts.map(|part| v1::ImportRecordsRequest { part: Some(part) });
    let issuer = my.operator("issuer");
    let mut reports = issuer.records().import_records(futures::stream::iter(messages)).await.unwrap().into_inner();
    let refusal = loop {
        match reports.message().await {
            Ok(report) => assert!(report.is_some_and(|report| !report.done && report.retired == 0)),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(code(&refusal), "SNAPSHOT_INCOMPLETE");
    assert_eq!(status(&my).await.records, 100);
    let report = my.import_file("admin-1", overriding, half.as_bytes()).await.unwrap();
    assert_eq!(counts(&report), (0, 0, 50, 50));
    assert_eq!(status(&my).await.records, 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_files_of_one_source_are_imported_one_after_the_other() {
    let house = House::new();
    let my = house.member("MY").await;
    let (one, other) = (register(0..500, "One"), register(0..500, "Other"));
    let (first, second) = tokio::join!(my.import_csv("register", &one), my.import_csv("register", &other));
    let mut all = [counts(&first.unwrap()), counts(&second.unwrap())];
    all.sort_unstable();
    assert_eq!(all, [(0, 500, 0, 0), (500, 0, 0, 0)]);
    assert_eq!(status(&my).await.records, 500);
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_in_a_snapshot_retires_nothing_wrongly_and_finishes_it_next_time() {
    const RECORDS: usize = 3000;
    const GONE: usize = 200;
    let house = tempfile::tempdir().expect("a directory");
    let member: eads_domain::id::MemberId = "MY".parse().expect("a member");
    let participant = Participant { member, name: "Malaysia".to_owned() };
    let mut federation =
        Federation::create(&programs(), &house.path().join("federation"), &[participant]).await.expect("a federation");
    federation.start().await.expect("it serves");
    let (first, second) = (house.path().join("first.csv"), house.path().join("second.csv"));
    std::fs::write(&first, register(0..RECORDS, "Given")).expect("a file");
    std::fs::write(&second, register(GONE..RECORDS + 1500, "Other")).expect("a file");
    let import = |file: &Path| -> Vec<String> {
        let file = file.to_str().expect("a path");
        ["record", "import", file, "--source", "register", "--snapshot"].map(str::to_owned).to_vec()
    };
    let run = import(&first);
    let run: Vec<&str> = run.iter().map(String::as_str).collect();
    let done = federation.operator(member, "issuer").expect("an issuer").get(&run).await.expect("an import");
    assert_eq!((done["inserted"].as_u64(), done["retired"].as_u64()), (Some(RECORDS as u64), Some(0)));
    for round in 0..4_u64 {
        let arguments = import(&second);
        let operator = federation.operator(member, "issuer").expect("an issuer");
        let running = tokio::spawn(async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            operator.get(&arguments).await
        });
        // Ever later: while the file is read, and while records are retired.
        tokio::time::sleep(Duration::from_millis(150 + round * 350)).await;
        federation.node_mut(member).expect("a node").kill().await.expect("it ran until now");
        let _ = running.await.expect("no panic");
        federation.node_mut(member).expect("a node").start().await.expect("it serves again");
        let status =
            federation.operator(member, "issuer").expect("an issuer").get(&["status"]).await.expect("a status");
        let records = status["records"].as_u64().expect("a number") as usize;
        assert!(records >= RECORDS - GONE, "round {round}: {records} are left");
    }
    let arguments = import(&second);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let operator = federation.operator(member, "issuer").expect("an issuer");
    operator.get(&arguments).await.expect("the import is finished");
    let again = operator.get(&arguments).await.expect("once more");
    let all = (RECORDS + 1500 - GONE) as u64;
    assert_eq!((again["unchanged"].as_u64(), again["retired"].as_u64()), (Some(all), Some(0)));
    let status = operator.get(&["status"]).await.expect("a status");
    assert_eq!(status["records"].as_u64(), Some(all));
}

/// Names of the public test data, if it is there.
#[allow(clippy::print_stderr, reason = "says that it was not there")]
fn names(file: &str) -> Option<String> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let places = above.map(|folder| folder.join("shared/data/names"));
    let text = places.map(|folder| folder.join(file)).find_map(|file| std::fs::read_to_string(file).ok());
    if text.is_none() {
        eprintln!("not checked: there is no {file} beside this project");
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_people_are_detected_in_the_encoding_of_their_country() {
    let house = House::new();
    let my = house.member("MY").await;
    if let Some(names) = names("thai_names_dev.tsv") {
        let names: Vec<&str> = names.lines().filter_map(|line| line.split('\t').next()).collect();
        let mut file = "key,given-names\n".to_owned();
        names.iter().enumerate().for_each(|(number, name)| writeln!(file, "T-{number},{name}").unwrap());
        let report = my.import_csv("thai", &file).await.unwrap();
        let again = my.import_file("issuer", options("csv", "thai"), &in_874(&file)).await.unwrap();
        assert_eq!((again.encoding.as_str(), again.unchanged), ("windows-874", report.inserted));
    }
    if let Some(names) = names("vn_names/female.name") {
        // A slip of the list: the Icelandic eth for the Vietnamese letter that looks like it.
        let names = names.replace('Ð', "Đ");
        let mut file = "key,given-names\n".to_owned();
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
        names.enumerate().for_each(|(number, name)| writeln!(file, "V-{number},{name}").unwrap());
        let report = my.import_csv("vietnamese", &file).await.unwrap();
        let again = my.import_file("issuer", options("csv", "vietnamese"), &utf16(&file, false)).await.unwrap();
        assert_eq!((again.encoding.as_str(), again.unchanged), ("utf-16le", report.inserted));
    }
}
