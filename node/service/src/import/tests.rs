use eads_domain::code::Coded as _;
use eads_domain::slot::FieldInput;
use eads_domain::subject::SubjectType;
use eads_domain::value::Value;

use super::*;

/// 2026-06-01.
const NOW: Timestamp = Timestamp::from_unix(1_780_272_000);

fn options(mapping: &str) -> ImportOptions {
    let mapping = Mapping::parse(&format!("source = \"register\"\n{mapping}")).unwrap();
    ImportOptions { mapping, now: NOW, resume_after: 0 }
}

fn import_csv(mapping: &str, file: &[u8]) -> Vec<Parsed> {
    try_csv(options(mapping), file, 7).unwrap()
}

fn try_csv(options: ImportOptions, file: &[u8], chunk: usize) -> Result<Vec<Parsed>, ImportError> {
    let mut importer = CsvImporter::new(options);
    let mut parsed = Vec::new();
    for bytes in file.chunks(chunk) {
        parsed.extend(importer.push(bytes)?);
    }
    parsed.extend(importer.finish()?);
    Ok(parsed)
}

fn import_json(mapping: &str, file: &[u8]) -> Vec<Parsed> {
    let mut importer = JsonLinesImporter::new(options(mapping));
    let mut parsed = Vec::new();
    for bytes in file.chunks(7) {
        parsed.extend(importer.push(bytes).unwrap());
    }
    parsed.extend(importer.finish().unwrap());
    parsed
}

/// (line, key or code) of each outcome.
fn outline(parsed: &[Parsed]) -> Vec<(u64, String)> {
    let word = |parsed: &Parsed| match &parsed.outcome {
        Ok(record) => record.key().to_string(),
        Err(rejection) => rejection.code.to_string(),
    };
    parsed.iter().map(|parsed| (parsed.line, word(parsed))).collect()
}

fn expect(parsed: &[Parsed], expected: &[(u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(line, word)| (*line, (*word).to_owned())).collect();
    assert_eq!(outline(parsed), expected, "{parsed:#?}");
}

fn shown(parsed: &Parsed, field: &str) -> Option<FieldInput> {
    parsed.outcome.as_ref().unwrap().to_fields().get(field).cloned()
}

fn text(parsed: &Parsed, field: &str) -> String {
    shown(parsed, field).map(|field| field.to_string()).unwrap_or_default()
}

#[test]
fn columns_named_like_fields_need_no_mapping() {
    let file = "key,family-name,given-names,birth-date,nationalities,documents,sex\r\n\
                A-1,Rasa,Aman,1980-02-03,ID;stateless,passport|X0000001|KH;other|X2,m\r\n\
                A-2,\"Wijaya, the \"\"elder\"\"\",,1980,,,\r\n";
    let parsed = import_csv("", file.as_bytes());
    expect(&parsed, &[(2, "A-1"), (3, "A-2")]);
    let record = parsed[0].outcome.as_ref().unwrap();
    assert_eq!(record.subject(), SubjectType::Person);
    assert_eq!(record.search_keys().names, ["Aman Rasa"]);
    assert_eq!(text(&parsed[0], "nationalities"), "ID; XXA");
    assert_eq!(text(&parsed[0], "documents"), "KH, X0000001, passport; X2, other");
    assert_eq!(text(&parsed[0], "sex"), "M");
    assert_eq!(text(&parsed[1], "family-name"), "Wijaya, the \"elder\"");
    assert_eq!(shown(&parsed[1], "sex"), None);
    assert_eq!(parsed[1].byte_end, file.len() as u64);
}

#[test]
fn a_mapping_gives_columns_constants_words_and_dates_their_meaning() {
    let mapping = "key = \"no\"\ndelimiter = \";\"\nlist-separator = \",\"\ndate-format = \"day-month-year\"\n\
                   calendar = \"buddhist\"\nunknown-words = [\"ไม่ทราบ\"]\nignore = [\"note\"]\n\
                   [columns]\nsurname = \"family-name\"\nborn = \"birth-date\"\n\
                   [constants]\nnationalities = \"TH\"\n[values.sex]\n\"ชาย\" = \"M\"\n";
    let parsed = import_csv(mapping, "no;surname;born;sex;note\n7;ดวงแก้ว;29/02/2543;ชาย;x\n8;ไม่ทราบ;;;\n".as_bytes());
    expect(&parsed, &[(2, "7"), (3, "8")]);
    assert_eq!(text(&parsed[0], "birth-date"), "2000-02-29");
    assert_eq!(text(&parsed[0], "sex"), "M");
    assert_eq!(text(&parsed[0], "nationalities"), "TH");
    assert_eq!(parsed[1].outcome.as_ref().unwrap().by_name("family-name"), Some(&Value::Unknown));
}

#[test]
fn a_bad_line_costs_that_line_only() {
    let long = "x".repeat(MAX_RECORD_BYTES + 10);
    let file = [
        "key,family-name,birth-date\n".as_bytes(),
        b"1,Rasa\n",
        b"2,Rasa,1980,more\n",
        b"3,\xff\xfe,1980\n",
        b"4,\"Rasa,1980\n",
        b"5,\"Rasa\nSenior\",1980\n",
        format!("6,{long},1980\n").as_bytes(),
        b",Rasa,1980\n",
        b"8,Rasa,1980-02-30\n",
        b"9,Rasa,1980\n",
        b"9,Wijaya,1980\n",
        b"\n",
        b"10,,\n",
        b"11,Rasa,1980",
    ]
    .concat();
    let parsed = import_csv("", &file);
    expect(
        &parsed,
        &[
            (2, "CSV_RAGGED"),
            (3, "CSV_RAGGED"),
            (4, "CSV_NOT_UTF8"),
            (5, "CSV_QUOTES"),
            (6, "FIELD_FORM"),
            (8, "RECORD_TOO_LONG"),
            (9, "RECORD_KEY_MISSING"),
            (10, "DATE_NO_SUCH_DAY"),
            (11, "9"),
            (12, "RECORD_DUPLICATE"),
            (14, "RECORD_EMPTY"),
            (15, "11"),
        ],
    );
    assert_eq!(parsed.last().unwrap().byte_end, file.len() as u64);
}

#[test]
fn line_ends_inside_quotes_do_not_shift_lines_or_offsets() {
    let file = "\u{feff}key,summary\n1,\"a\nb\r\nc\"\n2,d\n";
    let parsed = import_csv("", file.as_bytes());
    expect(&parsed, &[(2, "1"), (5, "2")]);
    assert_eq!(text(&parsed[0], "summary"), "a\nb\nc");
    assert_eq!(parsed[0].byte_end as usize, file.find("2,d").unwrap());
}

#[test]
fn an_interrupted_run_continues_exactly_where_it_stopped() {
    let file = "key,family-name\n1,Rasa\n2,\"Wi\njaya\"\n1,Again\n4,\"open\n5,Budi\n6\n";
    let whole = import_csv("", file.as_bytes());
    assert_eq!(whole.len(), 6);
    for done in 0..whole.len() {
        let mut options = options("");
        options.resume_after = if done == 0 { 0 } else { whole[done - 1].byte_end };
        for chunk in [1, 5, 1000] {
            assert_eq!(try_csv(options.clone(), file.as_bytes(), chunk).unwrap(), whole[done..]);
        }
    }
}

#[test]
fn a_header_that_does_not_fit_stops_the_run() {
    let fails = |mapping: &str, file: &[u8]| try_csv(options(mapping), file, 9).unwrap_err().code().as_str();
    assert_eq!(fails("", b""), "IMPORT_HEADER_MISSING");
    assert_eq!(fails("", b"\n\n"), "IMPORT_HEADER_MISSING");
    assert_eq!(fails("", b"key,surname\n"), "IMPORT_COLUMN_UNKNOWN");
    assert_eq!(fails("", b"family-name\nRasa\n"), "IMPORT_COLUMN_MISSING");
    assert_eq!(fails("[columns]\nborn = \"birth-date\"", b"key\n"), "IMPORT_COLUMN_MISSING");
    assert_eq!(fails("", b"key,sex,sex\n"), "IMPORT_COLUMN_TWICE");
    assert_eq!(fails("[columns]\ngender = \"sex\"", b"key,sex,gender\n"), "IMPORT_FIELD_TWICE");
    assert_eq!(fails("[constants]\nsex = \"M\"", b"key,sex\n"), "IMPORT_FIELD_TWICE");
    assert_eq!(fails("", b"key,\xff\n"), "IMPORT_HEADER_UNREADABLE");
    assert_eq!(fails("", b"key,\"sex\n1,M\n"), "IMPORT_HEADER_UNREADABLE");
    let mut importer = CsvImporter::new(options(""));
    assert!(importer.push(b"nonsense\n").is_err() && importer.push(b"key\n").is_err());
}

#[test]
fn a_date_of_the_buddhist_era_is_explained() {
    let parsed = import_csv("", b"key,birth-date\n1,2523-04-05\n2,2031\n3,2026\n");
    expect(&parsed, &[(2, "DATE_BUDDHIST_ERA"), (3, "DATE_IN_FUTURE"), (4, "3")]);
    let reason = &parsed[0].outcome.as_ref().unwrap_err().reason;
    assert!(reason.contains("calendar = \"buddhist\"") && !reason.contains("2523"), "{reason}");
    let wrong = import_csv("calendar = \"buddhist\"", b"key,birth-date\n1,1980\n2,2580\n");
    expect(&wrong, &[(2, "1"), (3, "DATE_IN_FUTURE")]);
}

#[test]
fn a_calendar_that_is_wrong_for_the_file_shows_in_the_dates() {
    let parsed = import_csv("calendar = \"buddhist\"", b"key,birth-date\n1,0600\n");
    expect(&parsed, &[(2, "DATE_YEAR")]);
}

#[test]
fn every_problem_of_a_line_is_told_and_no_value_repeated() {
    let parsed = import_csv("", b"key,birth-date,sex,documents\nA-9,Zulkarnain,Zulkarnain,a|b|c|d|e|f\n");
    let rejection = parsed[0].outcome.as_ref().unwrap_err();
    assert_eq!((rejection.key.as_deref(), rejection.code.as_str()), (Some("A-9"), "DATE_FORM"));
    for word in ["birth-date", "sex", "documents"] {
        assert!(rejection.reason.contains(word), "{}", rejection.reason);
    }
    assert!(!rejection.reason.contains("Zulkarnain"));
}

#[test]
fn json_lines_are_read_with_lists_parts_and_unknowns() {
    let file = r#"{"key": 17, "family-name": "Rasa", "given-names": {"unknown": true}, "height-cm": 172, "sex": null}
{"key": "B", "nationalities": ["ID", "refugee"], "documents": [{"type": "passport", "number": "X1"}, ["other", "X2"]]}

{"key": "C", "event-place": {"place": "Exampleville"}, "aliases": "Kilat;Malam|low"}"#;
    let parsed = import_json("", file.as_bytes());
    expect(&parsed, &[(1, "17"), (2, "B"), (4, "C")]);
    assert_eq!(parsed[0].outcome.as_ref().unwrap().by_name("given-names"), Some(&Value::Unknown));
    assert_eq!(text(&parsed[0], "height-cm"), "172");
    assert_eq!(text(&parsed[1], "nationalities"), "ID; XXB");
    assert_eq!(text(&parsed[1], "documents"), "X1, passport; X2, other");
    assert_eq!(text(&parsed[2], "aliases"), "Kilat; Malam, low");
    assert_eq!(parsed[2].byte_end, file.len() as u64);
}

#[test]
fn a_bad_json_line_costs_that_line_only() {
    let long = format!("{{\"key\": \"{}\"}}", "x".repeat(MAX_RECORD_BYTES));
    let deep = format!("{{\"key\": \"1\", \"aliases\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let lines = [
        "{\"key\": \"1\", ",
        "[1, 2]",
        "nonsense Zulkarnain",
        "{\"key\": \"1\", \"sex\": \"M\", \"sex\": \"F\"}",
        "{\"key\": \"1\", \"surname\": \"Rasa\"}",
        "{\"key\": [], \"sex\": \"M\"}",
        "{\"key\": \"1\", \"sex\": [\"M\"]}",
        "{\"key\": \"1\", \"documents\": [{\"typ\": \"passport\"}]}",
        "{\"key\": \"1\", \"height-cm\": 12.5}",
        &deep,
        &long,
        "{\"key\": \"1\", \"sex\": \"M\"}",
        "{\"key\": \"1\", \"sex\": \"F\"}",
        "{\"key\": \"2\", \"sex\": \"F\"} x",
    ];
    let mut file = lines.join("\n").into_bytes();
    file.extend_from_slice(b"\n\xff\n");
    let parsed = import_json("", &file);
    expect(
        &parsed,
        &[
            (1, "JSON_MALFORMED"),
            (2, "JSON_MALFORMED"),
            (3, "JSON_MALFORMED"),
            (4, "JSON_MALFORMED"),
            (5, "IMPORT_COLUMN_UNKNOWN"),
            (6, "RECORD_KEY_MISSING"),
            (7, "FIELD_TYPE"),
            (8, "FIELD_TYPE"),
            (9, "FIELD_FORM"),
            (10, "JSON_TOO_DEEP"),
            (11, "RECORD_TOO_LONG"),
            (12, "1"),
            (13, "RECORD_DUPLICATE"),
            (14, "JSON_MALFORMED"),
            (15, "JSON_NOT_UTF8"),
        ],
    );
    let reasons: String = parsed.iter().filter_map(|p| p.outcome.as_ref().err()).map(|r| r.reason.clone()).collect();
    assert!(!reasons.contains("Zulkarnain") && !reasons.contains("surname"));
}

#[test]
fn a_record_of_another_subject_has_its_own_fields() {
    let parsed = import_csv("subject = \"vehicle\"", b"key,plate,vin\n1,AB 123,WVWZZZ1JZXW000001\n");
    let keys = parsed[0].outcome.as_ref().unwrap().search_keys();
    assert_eq!(keys.identifiers.len(), 2);
}

proptest::proptest! {
    #[test]
    fn no_file_makes_an_importer_panic_or_lose_its_place(
        text in "[a1,;|\"{}\\[\\]:\n\r ก]{0,80}|\\PC{0,60}", chunk in 1_usize..9,
    ) {
        let file = format!("key,family-name,aliases\n{text}");
        let parsed = try_csv(options(""), file.as_bytes(), chunk).unwrap();
        for pair in parsed.windows(2) {
            proptest::prop_assert!(pair[0].byte_end < pair[1].byte_end && pair[0].line < pair[1].line);
        }
        proptest::prop_assert!(parsed.iter().all(|parsed| parsed.byte_end <= file.len() as u64));
        import_json("", text.as_bytes());
    }
}
