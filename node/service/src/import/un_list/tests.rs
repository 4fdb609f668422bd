use std::path::PathBuf;

use eads_domain::slot::Fields as _;
use eads_domain::statement::Action;

use super::*;

/// Invented people and a company, in the list's form.
const SAMPLE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<CONSOLIDATED_LIST dateGenerated="2026-01-01T00:00:00Z">
  <INDIVIDUALS>
    <INDIVIDUAL>
      <DATAID>1</DATAID><VERSIONNUM>2</VERSIONNUM>
      <FIRST_NAME>AMAN</FIRST_NAME><SECOND_NAME>BUDI</SECOND_NAME><THIRD_NAME>RASA &amp; SONS</THIRD_NAME>
      <UN_LIST_TYPE>Example</UN_LIST_TYPE><REFERENCE_NUMBER>EXi.001 </REFERENCE_NUMBER>
      <LISTED_ON>2012-12-31-05:00</LISTED_ON>
      <NAME_ORIGINAL_SCRIPT>&#3626;&#x0E21;หมาย</NAME_ORIGINAL_SCRIPT>
      <COMMENTS1>Line one.
        Line two.</COMMENTS1>
      <GENDER>Male</GENDER>
      <TITLE><VALUE>Dr.</VALUE></TITLE>
      <DESIGNATION><VALUE>Clerk</VALUE><VALUE>Clerk</VALUE></DESIGNATION>
      <NATIONALITY><VALUE>Viet Nam</VALUE><VALUE>former Soviet Union</VALUE></NATIONALITY>
      <LIST_TYPE><VALUE>UN List</VALUE></LIST_TYPE>
      <LAST_DAY_UPDATED><VALUE>2016-10-13</VALUE><VALUE>2020-01-02</VALUE><VALUE/></LAST_DAY_UPDATED>
      <INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Kilat</ALIAS_NAME>
        <DATE_OF_BIRTH>1971-05-06</DATE_OF_BIRTH></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Malam</ALIAS_NAME></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Malam</ALIAS_NAME></INDIVIDUAL_ALIAS>
      <INDIVIDUAL_ADDRESS><STREET>1 Example Road</STREET><COUNTRY>Thailand</COUNTRY><NOTE>old</NOTE></INDIVIDUAL_ADDRESS>
      <INDIVIDUAL_ADDRESS><COUNTRY/></INDIVIDUAL_ADDRESS>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1970-02-03</DATE></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><YEAR>1971</YEAR></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>APPROXIMATELY</TYPE_OF_DATE><YEAR>1972</YEAR></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE><FROM_YEAR>1968</FROM_YEAR><TO_YEAR>1973</TO_YEAR>
        <NOTE>Approximately</NOTE></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE/></INDIVIDUAL_DATE_OF_BIRTH>
      <INDIVIDUAL_PLACE_OF_BIRTH><CITY>Exampleville</CITY><COUNTRY>Viet Nam</COUNTRY></INDIVIDUAL_PLACE_OF_BIRTH>
      <INDIVIDUAL_DOCUMENT><TYPE_OF_DOCUMENT>Passport</TYPE_OF_DOCUMENT>
        <NUMBER>XX diplomatic passport no. X0000001</NUMBER><ISSUING_COUNTRY>Viet Nam</ISSUING_COUNTRY>
        <DATE_OF_ISSUE>2010-01-01</DATE_OF_ISSUE><NOTE>expired</NOTE></INDIVIDUAL_DOCUMENT>
      <INDIVIDUAL_DOCUMENT/>
      <SORT_KEY/><SORT_KEY_LAST_MOD/>
    </INDIVIDUAL>
    <INDIVIDUAL><DATAID>x</DATAID><REFERENCE_NUMBER>EXi.002</REFERENCE_NUMBER><FIRST_NAME>A</FIRST_NAME></INDIVIDUAL>
    <INDIVIDUAL><DATAID>3</DATAID><FIRST_NAME>A</FIRST_NAME></INDIVIDUAL>
    <INDIVIDUAL><DATAID>4</DATAID><REFERENCE_NUMBER>EXi.004</REFERENCE_NUMBER><FIRST_NAME> </FIRST_NAME></INDIVIDUAL>
    <INDIVIDUAL><DATAID>5</DATAID><REFERENCE_NUMBER>EXi.001</REFERENCE_NUMBER><FIRST_NAME>A</FIRST_NAME></INDIVIDUAL>
    <NOVELTY>text</NOVELTY>
  </INDIVIDUALS>
  <ENTITIES>
    <ENTITY>
      <DATAID>9</DATAID><VERSIONNUM>1</VERSIONNUM><FIRST_NAME>EXAMPLE TRADING</FIRST_NAME>
      <UN_LIST_TYPE>Example</UN_LIST_TYPE><REFERENCE_NUMBER>EXe.001</REFERENCE_NUMBER>
      <ENTITY_ALIAS><QUALITY>f.k.a.</QUALITY><ALIAS_NAME>Sample Trading</ALIAS_NAME></ENTITY_ALIAS>
      <ENTITY_ADDRESS><COUNTRY>Singapore</COUNTRY></ENTITY_ADDRESS>
    </ENTITY>
  </ENTITIES>
</CONSOLIDATED_LIST>"#;

fn wrap(inner: &str) -> String {
    format!("<CONSOLIDATED_LIST><INDIVIDUALS>{inner}</INDIVIDUALS></CONSOLIDATED_LIST>")
}

fn code(text: &str) -> &'static str {
    read_un_list(text.as_bytes()).unwrap_err().code().as_str()
}

#[test]
fn an_entry_keeps_all_that_the_list_says() {
    let list = read_un_list(SAMPLE.as_bytes()).unwrap();
    let [person, entity] = list.entries.as_slice() else { panic!("{:?}", list.entries) };
    assert_eq!((person.data_id, person.version, person.line), (1, 2, 4));
    assert_eq!(person.reference, "EXi.001");
    assert_eq!(person.names, ["AMAN", "BUDI", "RASA & SONS"]);
    assert_eq!(person.name_original_script.as_deref(), Some("สมหมาย"));
    assert_eq!(person.comments.as_deref(), Some("Line one. Line two."));
    assert_eq!(person.listed_on.map(|date| date.to_string()).as_deref(), Some("2012-12-31"));
    assert_eq!(person.updated_on.map(|date| date.to_string()).as_deref(), Some("2020-01-02"));
    assert_eq!(person.aliases.len(), 2);
    assert_eq!(person.birth_dates.len(), 5);
    assert_eq!((person.addresses.len(), person.documents.len(), person.designations.len()), (1, 1, 1));
    assert_eq!(person.nationalities[0].code, Some("VN"));
    assert_eq!(person.nationalities[1].code, None);
    let warnings: Vec<_> = person.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(warnings, ["UN_COUNTRY_UNMAPPED"]);
    assert_eq!((entity.kind, entity.full_name().as_str()), (UnKind::Entity, "EXAMPLE TRADING"));
    assert_eq!(entity.aliases[0].quality, AliasQuality::FormerlyKnownAs);
}

#[test]
fn what_cannot_be_used_is_rejected_with_line_and_reason() {
    let list = read_un_list(SAMPLE.as_bytes()).unwrap();
    let rejected: Vec<_> =
        list.rejections.iter().map(|r| (r.line, r.key.as_deref().unwrap_or(""), r.code.as_str())).collect();
    let first = SAMPLE.lines().position(|line| line.contains("EXi.002")).unwrap() as u64 + 1;
    assert_eq!(
        rejected,
        [
            (first, "EXi.002", "UN_DATA_ID_INVALID"),
            (first + 1, "3", "UN_REFERENCE_INVALID"),
            (first + 2, "EXi.004", "UN_NAME_MISSING"),
            (first + 3, "EXi.001", "UN_DUPLICATE"),
            (first + 4, "", "UN_ELEMENT_UNKNOWN"),
        ]
    );
}

#[test]
fn an_entry_becomes_a_content_that_may_be_issued() {
    let list = read_un_list(SAMPLE.as_bytes()).unwrap();
    let contents: Vec<_> = list.entries.iter().map(|entry| to_content(entry).unwrap()).collect();
    for content in &contents {
        assert_eq!(content.check_draft(Action::Issue), Ok(()));
    }
    let shown = |name: &str| contents[0].to_fields().get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!(shown("given-names"), "AMAN");
    assert_eq!(shown("family-name"), "BUDI RASA & SONS");
    assert_eq!(shown("birth-date"), "1970-02-03");
    assert_eq!(shown("other-birth-dates"), "1971; 1972; 1968, 1973; 1971-05-06");
    assert_eq!(shown("nationalities"), "VN");
    assert_eq!(shown("documents"), "VN, 2010-01-01, X0000001, diplomatic-passport");
    assert_eq!(shown("addresses"), "1 Example Road, Thailand, TH, old");
    let summary = shown("summary");
    for said in [
        "Line one. Line two.",
        "Birth date: approximately 1972",
        "Birth date: Approximately",
        "Nationality: former Soviet Union",
        "Title: Dr.",
        "Alias: Kilat (born 1971-05-06)",
        "Document X0000001: XX diplomatic passport no. X0000001; expired",
    ] {
        assert!(summary.contains(said), "{said} not in {summary}");
    }
    let keys = contents[0].search_keys();
    assert_eq!(keys.names, ["AMAN BUDI RASA & SONS", "สมหมาย", "Kilat", "Malam"]);
    assert!(keys.identifiers.contains(&("un-reference".to_owned(), "EXi.001".to_owned())));
    assert!(contents[1].search_keys().names.contains(&"Sample Trading".to_owned()));
}

#[test]
fn an_unchanged_entry_has_an_unchanged_digest() {
    let digests = |text: &str| -> Vec<_> {
        let list = read_un_list(text.as_bytes()).unwrap();
        list.entries.iter().map(|entry| content_digest(&to_content(entry).unwrap())).collect()
    };
    let reformatted = SAMPLE.replace("\n      ", "\n\t").replace("2026-01-01", "2026-02-02");
    assert_eq!(digests(SAMPLE), digests(&reformatted));
    let changed = digests(&SAMPLE.replace("Kilat", "Kilat Dua"));
    assert_ne!(changed[0], digests(SAMPLE)[0]);
    assert_eq!(changed[1], digests(SAMPLE)[1]);
}

#[test]
fn a_document_type_is_refused_wherever_it_points() {
    for doctype in [
        "<!DOCTYPE CONSOLIDATED_LIST>",
        "<!DOCTYPE x SYSTEM \"file:///etc/hostname\">",
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>",
    ] {
        assert_eq!(code(&format!("{doctype}{}", wrap(""))), "XML_DOCTYPE", "{doctype}");
    }
}

#[test]
fn entities_that_are_not_predefined_are_refused() {
    for entity in ["&nbsp;", "&lol9;", "&#0;", "&#xD800;", "&#x110000;", "&;"] {
        let text = wrap(&format!("<INDIVIDUAL><FIRST_NAME>{entity}</FIRST_NAME></INDIVIDUAL>"));
        assert!(["XML_ENTITY", "XML_MALFORMED"].contains(&code(&text)), "{entity} {}", code(&text));
    }
    assert_eq!(code(&wrap("<INDIVIDUAL><FIRST_NAME>a & b</FIRST_NAME></INDIVIDUAL>")), "XML_MALFORMED");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_an_error() {
    let starts = SAMPLE.char_indices().map(|(at, _)| at).filter(|at| *at > 60).step_by(37);
    for at in starts {
        let found = code(&SAMPLE[..at]);
        assert!(["XML_TRUNCATED", "XML_MALFORMED", "UN_LIST_ROOT"].contains(&found), "{at} {found}");
    }
    assert_eq!(code(""), "UN_LIST_ROOT");
}

#[test]
fn a_file_that_is_not_the_list_is_refused() {
    assert_eq!(code("<html><body/></html>"), "UN_LIST_ROOT");
    assert_eq!(code("<CONSOLIDATED_LIST/>"), "UN_LIST_EMPTY");
    assert_eq!(code("not xml"), "XML_MALFORMED");
    assert_eq!(code(&format!("{}<more/>", wrap(""))), "XML_MALFORMED");
    assert_eq!(code(&format!("{}text", wrap(""))), "XML_MALFORMED");
    assert_eq!(code("<?xml version=\"1.0\" encoding=\"UTF-16\"?><CONSOLIDATED_LIST/>"), "XML_ENCODING");
    let latin1 = wrap("<INDIVIDUAL>#</INDIVIDUAL>").into_bytes();
    let latin1: Vec<u8> = latin1.into_iter().map(|byte| if byte == b'#' { 0xe9 } else { byte }).collect();
    assert_eq!(read_un_list(latin1.as_slice()).unwrap_err().code().as_str(), "XML_ENCODING");
}

#[test]
fn limits_hold_for_depth_length_and_number() {
    let deep = wrap(&format!("<INDIVIDUAL>{}{}</INDIVIDUAL>", "<A>".repeat(40), "</A>".repeat(40)));
    assert_eq!(code(&deep), "XML_TOO_DEEP");
    let attribute = wrap(&format!("<INDIVIDUAL a=\"{}\"/>", "x".repeat(10_000_000)));
    assert_eq!(code(&attribute), "XML_TOO_LONG");
    let text = wrap(&format!("<INDIVIDUAL><FIRST_NAME>{}</FIRST_NAME></INDIVIDUAL>", "x".repeat(70_000)));
    assert_eq!(code(&text), "XML_TOO_LONG");
    let pieces = wrap(&format!("<INDIVIDUAL><FIRST_NAME>{}</FIRST_NAME></INDIVIDUAL>", "&amp;".repeat(70_000)));
    assert_eq!(code(&pieces), "XML_TOO_LONG");
    let comment = wrap(&format!("<!-- {} -->", "x".repeat(1_000_000)));
    assert_eq!(code(&comment), "XML_TOO_LONG");
    let many = wrap(&format!("<INDIVIDUAL>{}</INDIVIDUAL>", "<A/>".repeat(5000)));
    assert_eq!(code(&many), "XML_TOO_MANY_ELEMENTS");
}

#[test]
fn a_file_without_end_is_cut_at_its_limit() {
    let line = wrap("<INDIVIDUAL/>\n").replace("</INDIVIDUALS></CONSOLIDATED_LIST>", "");
    let endless = std::io::BufReader::new(std::io::Read::chain(line.as_bytes(), std::io::repeat(b' ')));
    let mut reader = XmlReader::new(endless);
    let error = std::iter::from_fn(|| Some(reader.step())).find_map(Result::err).unwrap();
    assert_eq!(error.code().as_str(), "XML_TOO_LONG");

    let many = "<!-- a comment -->\n".repeat(1000);
    let mut reader = XmlReader::with_limit(many.as_bytes(), 10_000);
    let error = std::iter::from_fn(|| Some(reader.step())).find_map(Result::err).unwrap();
    assert_eq!(error.code().as_str(), "XML_TOO_BIG");
    assert!(error.to_string().starts_with("line 5"), "{error}");
}

#[test]
fn no_text_of_the_file_stands_in_an_error() {
    let text = wrap("<INDIVIDUAL><FIRST_NAME>Zulkarnain</SECOND_NAME></INDIVIDUAL>");
    let error = read_un_list(text.as_bytes()).unwrap_err();
    assert_eq!(error.code().as_str(), "XML_MALFORMED");
    assert!(!error.to_string().contains("Zulkarnain") && !error.to_string().contains("SECOND"));
}

proptest::proptest! {
    #[test]
    fn a_damaged_file_gives_an_error_or_fewer_entries_and_never_a_panic(
        at in 0_usize..SAMPLE.len(),
        with in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..6),
        gone in 0_usize..40,
    ) {
        let mut damaged = SAMPLE.as_bytes()[..at].to_vec();
        damaged.extend_from_slice(&with);
        damaged.extend_from_slice(SAMPLE.as_bytes().get(at + gone..).unwrap_or_default());
        if let Ok(list) = read_un_list(damaged.as_slice()) {
            proptest::prop_assert!(list.entries.len() <= 5);
            for entry in &list.entries {
                let _ = to_content(entry);
            }
        }
    }
}

#[test]
fn a_document_is_looked_up_by_its_number_and_not_by_the_words_around_it() {
    let bare = |number: &str| {
        let document = format!(
            "<INDIVIDUAL><DATAID>1</DATAID><REFERENCE_NUMBER>EXi.001</REFERENCE_NUMBER><FIRST_NAME>A</FIRST_NAME>\
             <INDIVIDUAL_DOCUMENT><NUMBER>{number}</NUMBER></INDIVIDUAL_DOCUMENT></INDIVIDUAL>"
        );
        let list = read_un_list(wrap(&document).as_bytes()).unwrap();
        let keys = to_content(&list.entries[0]).unwrap().search_keys();
        keys.identifiers.into_iter().find(|(kind, _)| kind == "document").map(|(_, value)| value).unwrap()
    };
    for (written, expected) in [
        ("X0000001", "X0000001"),
        ("OB 0000001", "OB 0000001"),
        ("XX diplomatic passport no. X0000001", "X0000001"),
        ("Service passport number: SA 0001", "SA 0001"),
        ("a number that is not known", "a number that is not known"),
        ("1234 issued in Exampleville", "1234 issued in Exampleville"),
    ] {
        assert_eq!(bare(written), expected);
    }
}

/// The list itself, where a copy is at hand.
fn published_list() -> Option<PathBuf> {
    let named = std::env::var_os("EADS_UN_LIST").map(PathBuf::from);
    let above = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let beside = above.ancestors().map(|folder| folder.join("shared/data/un_consolidated.xml"));
    named.into_iter().chain(beside).find(|path| path.is_file())
}

#[test]
fn the_published_list_is_read_whole() {
    let Some(path) = published_list() else {
        println!("skipped: no copy of the consolidated list (set EADS_UN_LIST)");
        return;
    };
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let list = read_un_list(file).unwrap();
    assert_eq!(list.rejections, []);
    let persons = list.entries.iter().filter(|entry| entry.kind == UnKind::Person).count();
    assert_eq!(persons, 730);
    assert!(list.entries.len() - persons > 200);
    let mut unmapped = 0;
    for entry in &list.entries {
        for warning in &entry.warnings {
            assert_eq!(warning.code.as_str(), "UN_COUNTRY_UNMAPPED", "{warning:?}");
            unmapped += 1;
        }
        let content = to_content(entry).unwrap();
        assert_eq!(content.check_draft(Action::Issue), Ok(()), "line {}", entry.line);
        assert!(!content.search_keys().names.is_empty());
    }
    assert!(unmapped < 5);
}
