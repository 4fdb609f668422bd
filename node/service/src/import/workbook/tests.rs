use std::io::{Cursor, Write as _};

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::import::Mapping;

const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">
<numFmts count="2"><numFmt numFmtId="164" formatCode="0000000"/><numFmt numFmtId="165" formatCode="[$-41E]d mmm yy"/></numFmts>
<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/><xf numFmtId="165"/></cellXfs></styleSheet>"#;
const SHARED: &str = r#"<sst><si><t>key</t></si><si><t>family-name</t></si><si><r><t>birth</t></r><r><t xml:space="preserve">-date</t></r><rPh><t>x</t></rPh></si>
<si><t>documents</t></si><si><t>ด&amp;วง</t></si></sst>"#;
const HEADER: &str = r#"<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="C2" t="s"><v>2</v></c><c r="D2" t="s"><v>3</v></c></row>"#;

fn workbook(rows: &str) -> Vec<u8> {
    let sheet = format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    archive(&[
        (
            "xl/workbook.xml",
            r#"<workbook xmlns:r="x"><sheets><sheet name="Persons" sheetId="1" r:id="rId7"/><sheet name="Other" sheetId="2" r:id="rId8"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<Relationships><Relationship Id="rId8" Target="worksheets/none.xml"/><Relationship Id="rId7" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
        ("xl/styles.xml", STYLES),
        ("xl/sharedStrings.xml", SHARED),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

fn archive(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn import_with(mapping: &str, sheet: Option<&str>, file: &[u8]) -> Result<Vec<Parsed>, ImportError> {
    let mapping = Mapping::parse(&format!("source = \"register\"\n{mapping}")).unwrap();
    let options = ImportOptions { mapping, now: Timestamp::from_unix(1_780_272_000), resume_after: 0 };
    let mut importer = WorkbookImporter::new(options, sheet.map(str::to_owned));
    for chunk in file.chunks(1000) {
        importer.push(chunk)?;
    }
    let mut all = Vec::new();
    while let Some(parsed) = importer.more()? {
        all.extend(parsed);
    }
    assert_eq!(importer.done(), 1000);
    Ok(all)
}

fn import(rows: &str) -> Vec<Parsed> {
    import_with("", None, &workbook(&format!("{HEADER}{rows}"))).unwrap()
}

fn shown(parsed: &Parsed, field: &str) -> String {
    let record = parsed.outcome.as_ref().unwrap();
    record.to_fields().get(field).map(ToString::to_string).unwrap_or_default()
}

fn rejected(parsed: &Parsed) -> (u64, &str, &str) {
    let rejection = parsed.outcome.as_ref().unwrap_err();
    (rejection.line, rejection.code.as_str(), rejection.reason.as_str())
}

#[test]
fn rows_become_records_with_their_dates_numbers_and_texts_unmangled() {
    let parsed = import(
        r#"<row r="4"><c r="A4"><v>12345678901</v></c><c r="B4" t="s"><v>4</v></c><c r="C4" s="2"><v>29254</v></c><c r="D4" t="inlineStr"><is><t>passport|0012345|KH</t></is></c></row>
        <row r="5"/><row><c s="1"><v>12345</v></c><c t="str"><f>A1</f><v>Rasa</v></c><c s="3"><v>29254.0</v></c></row>
        <row r="9"><c r="A9"><v>1.2E+10</v></c><c r="C9" t="inlineStr"><is><t>1980-02-03</t></is></c></row>"#,
    );
    assert_eq!(parsed.iter().map(|parsed| parsed.line).collect::<Vec<_>>(), [4, 6, 9]);
    let keys: Vec<_> = parsed.iter().map(|parsed| parsed.outcome.as_ref().unwrap().key().as_str()).collect();
    assert_eq!(keys, ["12345678901", "0012345", "12000000000"]);
    assert!(parsed.iter().all(|parsed| shown(parsed, "birth-date") == "1980-02-03"), "{parsed:#?}");
    assert_eq!(shown(&parsed[0], "family-name"), "ด&วง");
    assert_eq!(shown(&parsed[0], "documents"), "KH, 0012345, passport");
}

#[test]
fn a_date_cell_is_read_alike_whatever_the_mapping_says_of_written_ones() {
    let rows = r#"<row r="3"><c r="A3"><v>1</v></c><c r="C3" s="2"><v>29254</v></c></row>
        <row r="4"><c r="A4"><v>2</v></c><c r="C4" s="2"><v>227581</v></c></row>
        <row r="5"><c r="A5"><v>3</v></c><c r="C5" t="str"><v>3/2/2523</v></c></row>"#;
    let mapping = "calendar = \"buddhist\"\ndate-format = \"day-month-year\"";
    let parsed = import_with(mapping, None, &workbook(&format!("{HEADER}{rows}"))).unwrap();
    assert!(parsed.iter().all(|parsed| shown(parsed, "birth-date") == "1980-02-03"), "{parsed:#?}");
}

#[test]
fn a_bad_cell_costs_its_row_and_is_named_by_sheet_and_cell() {
    let parsed = import(
        r##"<row r="3"><c r="A3"><v>1</v></c><c r="B3" t="e"><v>#N/A</v></c></row>
        <row r="4"><c r="A4"><v>2</v></c><c r="C4" t="str"><v>Zulkarnain</v></c></row>
        <row r="5"><c r="A5"><v>1234567890123456789</v></c></row>
        <row r="6"><c r="A6"><v>4</v></c><c r="B6" t="str"><v>Rasa</v></c><c r="G6"><v>7</v></c></row>
        <row r="7"><c r="B7" t="str"><v>Rasa</v></c></row>
        <row r="8"><c r="A8"><v>5</v></c><c r="B8" t="s"><v>99</v></c></row>
        <row r="9"><c r="A9"><v>6</v></c><c r="B9" t="str"><v>Good</v></c></row>"##,
    );
    let all: Vec<_> = parsed.iter().take(6).map(rejected).collect();
    let places = ["cell B3", "cell C4", "cell A5", "cell G6", "", "cell B8"];
    let codes = [
        "XLSX_CELL_ERROR",
        "DATE_FORM",
        "XLSX_NUMBER_TOO_LONG",
        "XLSX_COLUMN_NAMELESS",
        "RECORD_KEY_MISSING",
        "XLSX_DAMAGED",
    ];
    for (((line, code, reason), place), expected) in all.iter().zip(places).zip(codes) {
        assert_eq!(*code, expected, "row {line}");
        assert!(reason.contains(place) && !reason.contains("Zulkarnain"), "{reason}");
        assert!(place.is_empty() || reason.contains("sheet \"Persons\""), "{reason}");
    }
    assert_eq!(parsed[3].outcome.as_ref().unwrap_err().key.as_deref(), Some("4"));
    assert!(parsed[6].outcome.is_ok());
}

#[test]
fn a_cell_merged_downwards_counts_for_every_row_and_one_merged_sideways_for_none() {
    let rows = format!(
        "{HEADER}{}",
        r#"<row r="3"><c r="A3"><v>1</v></c><c r="B3" t="str"><v>Rasa</v></c></row><row r="4"><c r="A4"><v>2</v></c></row>
        <row r="5"><c r="A5"><v>3</v></c></row><row r="6"><c r="A6"><v>4</v></c><c r="B6" t="str"><v>Both</v></c></row>"#
    );
    let sheet = format!(
        "<worksheet><sheetData>{rows}</sheetData><mergeCells count=\"2\"><mergeCell ref=\"B3:B4\"/><mergeCell ref=\"B6:C6\"/></mergeCells></worksheet>"
    );
    let file = archive(&[
        ("xl/workbook.xml", r#"<workbook><sheets><sheet name="S" r:id="a"/></sheets></workbook>"#),
        ("xl/_rels/workbook.xml.rels", r#"<Relationships><Relationship Id="a" Target="/xl/s.xml"/></Relationships>"#),
        ("xl/sharedStrings.xml", SHARED),
        ("xl/s.xml", &sheet),
    ]);
    let parsed = import_with("", None, &file).unwrap();
    assert_eq!([shown(&parsed[0], "family-name"), shown(&parsed[1], "family-name")], ["Rasa", "Rasa"]);
    assert_eq!(rejected(&parsed[2]).1, "RECORD_EMPTY");
    assert_eq!(rejected(&parsed[3]).1, "XLSX_MERGED");
}

#[test]
fn the_sheet_is_chosen_by_name_and_what_is_no_workbook_is_refused() {
    let file =
        workbook(&format!("{HEADER}<row r=\"3\"><c r=\"A3\"><v>1</v></c><c r=\"B3\" t=\"str\"><v>x</v></c></row>"));
    assert_eq!(import_with("", Some("Persons"), &file).unwrap().len(), 1);
    let code = |outcome: Result<Vec<Parsed>, ImportError>| outcome.unwrap_err().code().as_str();
    assert_eq!(code(import_with("", Some("persons"), &file)), "XLSX_SHEET_UNKNOWN");
    assert_eq!(code(import_with("", Some("Other"), &file)), "XLSX_DAMAGED");
    assert_eq!(code(import_with("", None, b"key,family-name\n")), "XLSX_NOT_A_WORKBOOK");
    assert_eq!(code(import_with("", None, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")), "XLSX_NOT_A_WORKBOOK");
    assert_eq!(code(import_with("", None, &archive(&[("a.txt", "x")]))), "XLSX_NOT_A_WORKBOOK");
    assert_eq!(code(import_with("", None, &workbook(""))), "IMPORT_HEADER_MISSING");
    assert_eq!(
        code(import_with("ignore = [\"documents\"]\n[columns]\nborn = \"sex\"", None, &file)),
        "IMPORT_COLUMN_MISSING"
    );
    let whole = file.len();
    for cut in (0..whole).step_by(37) {
        assert!(import_with("", None, &file[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn hostile_workbooks_end_early() {
    let code = |file: &[u8]| import_with("", None, file).map(|all| all.len()).unwrap_err().code().as_str();
    // A bomb: forty megabytes of spaces in forty kilobytes.
    let bomb = workbook(&format!("{HEADER}{}", " ".repeat(40_000_000)));
    assert!(bomb.len() < 100_000);
    assert_eq!(code(&bomb), "XLSX_TOO_LARGE");
    let wide = workbook(&format!("{HEADER}<row r=\"3\"><c r=\"XFE3\"><v>1</v></c></row>"));
    assert_eq!(code(&wide), "XLSX_DAMAGED");
    let backwards = workbook(&format!("{HEADER}<row r=\"1\"/>"));
    assert_eq!(code(&backwards), "XLSX_DAMAGED");
    let deep = workbook(&format!("{HEADER}{}", "<x>".repeat(1000)));
    assert_eq!(code(&deep), "XLSX_TOO_LARGE");
    let entity = archive(&[("xl/workbook.xml", "<!DOCTYPE a [<!ENTITY b \"c\">]><workbook/>")]);
    assert_eq!(code(&entity), "XLSX_DAMAGED");
    let long =
        workbook(&format!("{HEADER}<row r=\"3\"><c r=\"A3\" t=\"str\"><v>{}</v></c></row>", "ab ".repeat(60_000)));
    assert_eq!(code(&long), "XLSX_TOO_LARGE");
    let names: Vec<String> = (0..2100).map(|number| format!("{number}.xml")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(code(&archive(&many)), "XLSX_TOO_LARGE");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_workbook_makes_the_importer_panic(rows in "(<row( r=\"[0-9]{1,3}\")?>|</row>|<c( r=\"[A-C][1-9]\")?( t=\"(s|b|e|d|str|n)\")?>|</c>|<v>|</v>|[0-9a]{1,3}){0,30}") {
        let _ = import_with("", None, &workbook(&format!("{HEADER}{rows}")));
    }
}
