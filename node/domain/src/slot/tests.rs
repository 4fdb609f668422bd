use std::collections::HashSet;

use proptest::prelude::*;

use super::samples::{COMMON, DOCUMENT, RED, content, fields};
use super::*;
use crate::code::Coded as _;
use crate::statement::Action;
use crate::subject::{NoticeKind, SubjectType};
use crate::value::Value;

fn codes(result: Result<(), Vec<ContentError>>) -> Vec<&'static str> {
    result.err().unwrap_or_default().iter().map(|error| error.code().as_str()).collect()
}

fn without(draft: &str, start: &str) -> String {
    draft.lines().filter(|line| !line.starts_with(start)).map(|line| format!("{line}\n")).collect()
}

fn draft_errors(draft: &str) -> Vec<&'static str> {
    match Content::from_fields(fields(draft)) {
        Ok(content) => codes(content.check_draft(Action::Issue)),
        Err(errors) => codes(Err(errors)),
    }
}

#[test]
fn the_table_is_sound_and_names_every_subject() {
    let table = SlotTable::get();
    for subject in SubjectType::ALL {
        assert!(!table.kinds(subject).is_empty(), "{subject}");
        let mut names = HashSet::new();
        for spec in table.slots(subject) {
            assert!(names.insert(spec.name.as_str()), "{subject}.{}", spec.name);
            assert!(spec.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            assert!(!spec.source.is_empty());
            assert_eq!(table.slot(subject, spec.number), Some(spec));
            assert_eq!(table.by_name(subject, &spec.name), Some(spec));
        }
    }
    let used: HashSet<_> = SubjectType::ALL.into_iter().flat_map(|subject| table.kinds(subject)).collect();
    assert_eq!(used.len(), NoticeKind::ALL.len(), "every kind has a subject");
}

#[test]
fn the_words_of_slots_zero_and_one_are_those_of_the_types() {
    let table = SlotTable::get();
    let words: Vec<_> = SubjectType::ALL.iter().map(|each| each.as_str()).collect();
    assert_eq!(table.codes("subject").unwrap().codes.as_ref(), words);
    let words: Vec<_> = NoticeKind::ALL.iter().map(|each| each.as_str()).collect();
    assert_eq!(table.codes("kind").unwrap().codes.as_ref(), words);
}

#[test]
fn mandatory_slots_are_required_and_allowed_in_every_notice() {
    let table = SlotTable::get();
    assert_eq!(table.mandatory().to_string(), "0-9,15");
    for subject in SubjectType::ALL {
        for kind in NoticeKind::ALL {
            let (allowed, required) = (table.allowed(subject, kind), table.required(subject, kind));
            assert!(required.is_subset_of(allowed));
            assert_eq!(table.mandatory().is_subset_of(required), table.is_kind_of(subject, kind));
        }
    }
}

#[test]
fn an_unsound_table_is_refused() {
    let sound = include_str!("table.toml");
    for (from, to) in [
        ("schema = 2", "schema = 3"),
        ("n = 17, name = \"given-names\"", "n = 18, name = \"given-names\""),
        ("name = \"given-names\"", "name = \"family-name\""),
        ("name = \"given-names\"", "name = \"handling\""),
        ("type = \"grading\"", "type = \"grade\""),
        ("type = \"code:sex\"", "type = \"code:gender\""),
        ("[body]\nkinds = [\"black\"]", "[body]\nkinds = [\"red\"]"),
        ("[body]", "[corpse]"),
        ("n = 16, name = \"found-date\"", "mandatory = true, n = 16, name = \"found-date\""),
    ] {
        assert!(SlotTable::parse(&sound.replacen(from, to, 1)).is_err(), "{to}");
    }
    assert!(SlotTable::parse(sound).is_ok());
}

#[test]
fn a_complete_red_notice_may_be_signed() {
    let content = content(RED);
    assert_eq!(content.check(Action::Issue), Ok(()));
    assert_eq!(content.title(), "CONTOH, Budi Sintetis (1990-05-01, ID)");
    assert!(!content.is_exercise());
    assert_eq!(content.handling(), ["H1"]);
    assert_eq!(content.version(), Some(1));
    assert_eq!(content.reference().unwrap().year(), 2026);
}

#[test]
fn a_red_notice_without_warrant_charge_or_penalty_is_refused() {
    assert_eq!(draft_errors(&without(RED, "warrants")), ["RED_WITHOUT_WARRANT"]);
    assert_eq!(draft_errors(&RED.replace("charge = \"Online fraud\", ", "")), ["RED_WITHOUT_CHARGE"]);
    assert_eq!(draft_errors(&RED.replace("penalty = \"up to 6 years\", ", "")), ["RED_WITHOUT_PENALTY"]);
    let unknown = RED.replace("charge = \"Online fraud\"", "charge = { unknown = true }");
    assert_eq!(draft_errors(&unknown), ["RED_WITHOUT_CHARGE"], "unknown is not enough");
    let unknown = format!("{}warrants = {{ unknown = true }}\n", without(RED, "warrants"));
    assert_eq!(draft_errors(&unknown), ["RED_WITHOUT_WARRANT"]);
}

#[test]
fn required_means_said_or_said_to_be_unknown() {
    assert_eq!(draft_errors(&without(RED, "birth-date")), ["FIELD_REQUIRED"]);
    assert_eq!(draft_errors(&RED.replace("1990-05-01", "{ unknown = true }")), Vec::<&str>::new());
}

#[test]
fn a_draft_leaves_to_the_node_what_is_the_nodes() {
    let draft = Content::from_fields(fields(RED)).unwrap();
    assert_eq!(codes(draft.check_draft(Action::Issue)), Vec::<&str>::new());
    assert_eq!(codes(draft.check(Action::Issue)), ["FIELD_REQUIRED", "FIELD_REQUIRED"]);
    assert_eq!(draft_errors(&format!("{RED}version = 3\n")), ["FIELD_SET_BY_NODE"]);
    assert_eq!(draft_errors(&format!("{RED}approvals = []\n")), ["FIELD_SET_BY_NODE"]);
}

#[test]
fn what_a_kind_does_not_carry_is_refused() {
    assert_eq!(draft_errors(&format!("{RED}guardian = \"Somebody\"\n")), ["FIELD_NOT_ALLOWED"]);
    let blue = RED.replace("kind = \"red\"", "kind = \"blue\"");
    assert_eq!(draft_errors(&blue), ["FIELD_NOT_ALLOWED", "FIELD_NOT_ALLOWED"], "no warrants, no penalty");
    assert_eq!(draft_errors(&RED.replace("kind = \"red\"", "kind = \"black\"")), ["KIND_NOT_FOR_SUBJECT"]);
    assert_eq!(draft_errors(&RED.replace("kind = \"red\"", "kind = \"crimson\"")), ["NOTICE_KIND_UNKNOWN"]);
}

#[test]
fn each_mistake_in_a_draft_has_its_code() {
    for (from, to, code) in [
        ("family-name", "surname", "FIELD_UNKNOWN"),
        ("height-cm = 172", "height-cm = \"tall\"", "FIELD_FORM"),
        ("height-cm = 172", "height-cm = 1.72", "FIELD_TYPE"),
        ("height-cm = 172", "height-cm = 0", "FIELD_FORM"),
        ("sex = \"m\"", "sex = \"male\"", "FIELD_CODE"),
        ("[\"id\", \"stateless\"]", "[\"UK\"]", "FIELD_CODE"),
        ("[\"id\", \"stateless\"]", "[\"ID\", \"id\"]", "FIELD_DUPLICATE"),
        ("[\"id\", \"stateless\"]", "[]", "FIELD_EMPTY"),
        ("birth-date = 1990-05-01", "birth-date = \"1990-02-30\"", "DATE_NO_SUCH_DAY"),
        ("birth-date = 1990-05-01", "birth-date = \"01.05.1990\"", "DATE_FORM"),
        ("\"Contoh\"", "\" \"", "TEXT_BLANK"),
        ("\"Contoh\"", "\"a\\u0007b\"", "TEXT_CONTROL_CHARACTER"),
        ("\"Contoh\"", "\"two\\nlines\"", "FIELD_FORM"),
        ("type = \"passport\"", "kind = \"passport\"", "FIELD_PART"),
        ("number = \"X0000001\", ", "", "FIELD_TYPE"),
    ] {
        assert!(RED.contains(from), "{from}");
        assert_eq!(draft_errors(&RED.replacen(from, to, 1)), [code], "{to}");
    }
}

#[test]
fn handling_h3_and_only_h3_says_what_it_restricts() {
    let draft = |handling: &str| {
        let mut fields = fields(RED);
        let table: std::collections::BTreeMap<String, FieldInput> = toml::from_str(handling).unwrap();
        fields.extend(table);
        codes(Content::from_fields(fields).unwrap().check_draft(Action::Issue))
    };
    assert_eq!(draft("handling = [\"H3\"]"), ["HANDLING_TEXT"]);
    assert_eq!(draft("handling = [{ code = \"H1\", text = \"x\" }]"), ["HANDLING_TEXT"]);
    assert_eq!(draft("handling = [\"H0\", { code = \"H3\", text = \"ask first\" }]"), Vec::<&str>::new());
}

#[test]
fn a_state_change_says_nothing_about_the_subject() {
    let issued = content(RED);
    let withdrawal = issued.state_change(["warrant-cancelled"]).unwrap();
    assert_eq!(withdrawal.check(Action::Withdraw), Ok(()));
    assert_eq!(withdrawal.reasons(), ["warrant-cancelled"]);
    assert_eq!(withdrawal.reference(), issued.reference());
    assert_eq!(withdrawal.title(), "person");
    assert!(codes(issued.check(Action::Withdraw)).contains(&"FIELD_NOT_IN_STATE_CHANGE"));
    assert_eq!(codes(issued.state_change([]).unwrap().check(Action::Suspend)), ["REASON_REQUIRED"]);
    assert_eq!(issued.state_change([]).unwrap().check(Action::Resume), Ok(()));
    assert_eq!(issued.state_change(["because"]).unwrap_err().code().as_str(), "FIELD_CODE");
}

#[test]
fn a_mandatory_field_is_never_unknown() {
    let draft = format!("{}grading = {{ unknown = true }}\n", without(COMMON, "grading"));
    let fields = toml::from_str(&format!("{draft}{RED}")).unwrap();
    assert_eq!(codes(Content::from_fields(fields).map(|_| ())), ["FIELD_MUST_BE_KNOWN"]);
}

#[test]
fn subject_and_kind_cannot_be_changed() {
    let mut content = content(RED);
    assert!(content.set(SlotNumber::KIND, Value::text("blue").unwrap()).is_err());
    assert!(content.set(SlotNumber::SUBJECT, Value::text("body").unwrap()).is_err());
    assert!(content.set(SlotNumber::SUBJECT, Value::Absent).is_err());
    assert!(content.set(SlotNumber::new(47).unwrap(), Value::text("x").unwrap()).is_err(), "another form");
}

#[test]
fn too_long_a_content_is_refused() {
    let mut draft = fields(RED);
    let long = |n: usize| FieldInput::Text(format!("{n:0>1000}"));
    let list = |make: &dyn Fn(usize) -> FieldInput| FieldInput::List((0..55).map(make).collect());
    let typed = |word: &'static str| move |n| FieldInput::List(vec![word.into(), long(n)]);
    draft.insert("phones".into(), list(&long));
    draft.insert("aliases".into(), list(&long));
    draft.insert("addresses".into(), list(&long));
    draft.insert("accounts".into(), list(&typed("wallet")));
    let fits = Content::from_fields(draft.clone()).unwrap();
    assert_eq!(codes(fits.check_draft(Action::Issue)), Vec::<&str>::new());
    draft.insert("documents".into(), list(&typed("passport")));
    let exceeds = Content::from_fields(draft).unwrap();
    assert_eq!(codes(exceeds.check_draft(Action::Issue)), ["CONTENT_TOO_LARGE"]);
}

#[test]
fn search_keys_are_what_a_look_up_needs() {
    let keys = content(RED).search_keys();
    assert_eq!(keys.names, ["Budi Sintetis Contoh", "Si Contoh", "Budy", "บูดี้"]);
    assert_eq!(keys.nationalities, ["ID", "XXA"]);
    assert_eq!(keys.sex, Some('M'));
    assert_eq!(keys.birth_dates, ["1990-05-01".parse().unwrap()]);
    let pair = |kind: &str, value: &str| (kind.to_owned(), value.to_owned());
    assert_eq!(keys.identifiers, [pair("document", "X0000001"), pair("phone", "+62 800 0000 001")]);

    let keys = content(DOCUMENT).search_keys();
    assert_eq!(keys.identifiers, [pair("document", "X0000002")]);
    let wallet = "kind = \"silver\"\nsubject = \"identifier\"\nidentifier-type = \"wallet\"\nvalue = \"bc1qexample\"\n";
    assert_eq!(content(wallet).search_keys().identifiers, [pair("wallet", "bc1qexample")]);
}

#[test]
fn sensitive_fields_are_no_search_keys() {
    let table = SlotTable::get();
    for subject in SubjectType::ALL {
        let both = |spec: &&SlotSpec| spec.retention == RetentionClass::Sensitive && spec.search.is_some();
        assert_eq!(table.slots(subject).find(both), None);
    }
}

#[test]
fn a_content_is_read_back_from_its_bytes_and_nothing_else_is() {
    for draft in [RED, DOCUMENT] {
        let content = content(draft);
        let bytes = content.encode();
        assert_eq!(Content::parse(&bytes).as_ref(), Ok(&content));
        for cut in 0..bytes.len() {
            assert!(Content::parse(&bytes[..cut]).is_err() || Content::parse(&bytes[..cut]).unwrap() != content);
        }
        assert!(Content::parse(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn fields_written_out_are_the_draft_that_is_read_in() {
    for draft in [RED, DOCUMENT] {
        let original = Content::from_fields(fields(draft)).unwrap();
        let json = toml::to_string(&original.to_draft_fields()).unwrap();
        assert_eq!(Content::from_fields(toml::from_str(&json).unwrap()), Ok(original));
    }
}

#[test]
fn the_digest_ignores_what_the_node_sets() {
    let (bare, set) = (Content::from_fields(fields(RED)).unwrap(), content(RED));
    assert_eq!(bare.digest(), set.digest());
    assert_ne!(content(&RED.replace("172", "173")).digest(), set.digest());
}

#[test]
fn fields_are_shown_to_people_on_one_line() {
    let shown = content(RED).to_fields();
    assert_eq!(shown["nationalities"].to_string(), "ID; XXA");
    assert_eq!(shown["documents"].to_string(), "ID, X0000001, passport");
    assert_eq!(FieldInput::unknown().to_string(), "unknown");
}

fn any_field() -> impl Strategy<Value = FieldInput> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(FieldInput::Flag),
        any::<i64>().prop_map(FieldInput::Integer),
        any::<f64>().prop_map(FieldInput::Number),
        ".{0,12}".prop_map(FieldInput::Text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(FieldInput::List),
            proptest::collection::btree_map("[a-z]{1,8}|unknown|type|name|number", inner, 0..4)
                .prop_map(FieldInput::Table),
        ]
    })
}

proptest! {
    #[test]
    fn no_draft_makes_a_content_that_breaks_its_own_table(
        subject in 0..10usize, kind in 0..13usize, slot in 0..48u8, field in any_field()
    ) {
        let (subject, kind) = (SubjectType::ALL[subject], NoticeKind::ALL[kind]);
        let mut draft = fields("");
        draft.insert("subject".into(), subject.as_str().into());
        draft.insert("kind".into(), kind.as_str().into());
        if let Some(spec) = SlotTable::get().slot(subject, SlotNumber::new(slot).unwrap()) {
            draft.insert(spec.name.clone(), field);
        }
        if let Ok(content) = Content::from_fields(draft) {
            prop_assert_eq!(Content::parse(&content.encode()), Ok(content.clone()));
            prop_assert_eq!(Content::from_fields(content.to_draft_fields()), Ok(content.clone()));
            prop_assert!(content.title().len() < 2000);
            prop_assert!(content.search_keys().names.len() < 10);
        }
    }
}
