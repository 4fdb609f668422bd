use eads_domain::code::Coded as _;
use eads_domain::query::{IdentifierType, Nationality, Sex};
use proptest::prelude::*;

use super::*;
use crate::normalise::MAX_WORDS;

fn id(number: u32) -> EntryId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    EntryId::from_bytes(bytes)
}

fn person(number: u32, names: &[&str]) -> Entry {
    Entry {
        id: id(number),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        main_names: 1,
        birth_dates: Vec::new(),
        nationalities: Vec::new(),
        sex: None,
        subject: SubjectType::Person,
        identifiers: Vec::new(),
        tag: 0,
    }
}

fn index(names: &[&str]) -> Index {
    let index = Index::new();
    for (number, name) in names.iter().enumerate() {
        index.upsert(&person(number as u32, &[name]));
    }
    index
}

fn find(index: &Index, name: &str) -> Vec<Match> {
    index.find_by_name(&NameKey::new(name).unwrap(), Limits::default()).unwrap().matches
}

fn codes(found: &Match) -> Vec<&'static str> {
    found.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

#[test]
fn a_name_typed_identically_is_found_in_every_script_of_the_region() {
    let names = [
        "สมหมาย ดวงแก้ว",
        "សុខ ចាន់ថា",
        "မောင်မောင် လွင်",
        "Trần Thị Ngọc Ánh",
        "陈小丽",
        "ສົມພອນ ວົງຄຳ",
        "முருகன் செல்வி",
        "محمد رسا",
        "Budi Santosa",
    ];
    let index = index(&names);
    for (number, name) in names.iter().enumerate() {
        let found = find(&index, name);
        assert_eq!(found[0].id, id(number as u32), "{name}");
        assert_eq!(codes(&found[0]), ["EXACT"], "{name}");
        assert_eq!(found[0].score, 900);
    }
}

#[test]
fn case_marks_and_width_make_no_difference() {
    let index = index(&["Trần Thị Ngọc Ánh", "DELA CRUZ, José"]);
    for name in ["tran thi ngoc anh", "TRẦN THỊ NGỌC ÁNH", "Tran Thị Ngoc Anh", "Tra\u{302}\u{300}n Thi Ngoc Anh"]
    {
        assert_eq!(codes(&find(&index, name)[0]), ["EXACT"], "{name}");
    }
    assert_eq!(codes(&find(&index, "ｄｅｌａ ｃｒｕｚ jose")[0]), ["EXACT"]);
}

#[test]
fn the_order_of_the_parts_costs_little() {
    let index = index(&["Budi Santosa"]);
    let found = find(&index, "Santosa, Budi");
    assert_eq!(codes(&found[0]), ["PARTS", "ORDER"]);
    assert_eq!(found[0].score, 880);
}

#[test]
fn parts_joined_or_split_are_found() {
    let index = index(&["Wang Xiaoli", "Abdul Rahman bin Rasa", "陈小丽"]);
    assert_eq!(codes(&find(&index, "Wang Xiao Li")[0]), ["PARTS", "SPACING"]);
    assert!(codes(&find(&index, "Abdulrahman Rasa")[0]).contains(&"SPACING"));
    let chinese = find(&index, "Chen Xiaoli");
    assert_eq!(chinese[0].id, id(2));
    assert_eq!(codes(&chinese[0]), ["PARTS", "SPACING", "TRANSLIT"]);
}

#[test]
fn a_missing_or_additional_part_lowers_the_score_and_is_explained() {
    let index = index(&["Aman Budi Rasa"]);
    let fewer = &find(&index, "Aman Rasa")[0];
    assert_eq!(codes(fewer), ["PARTS", "EXTRA"]);
    assert_eq!(fewer.score, 825);
    let more = &find(&index, "Aman Budi Rasa Wijaya")[0];
    assert_eq!(codes(more), ["PARTS", "MISSING"]);
    assert_eq!(more.reasons[1].text, "asked and not found: wijaya");
    assert!(more.score < fewer.score);
    assert!(find(&index, "Aman Wijaya Susila").is_empty());
}

#[test]
fn a_particle_weighs_less_than_a_name() {
    let index = index(&["Aman bin Rasa"]);
    assert!(find(&index, "Aman Rasa")[0].score > 850);
    assert!(find(&index, "bin Wijaya").is_empty());
}

#[test]
fn an_alias_matches_and_is_named_as_one() {
    let index = Index::new();
    index.upsert(&person(1, &["Aman Rasa", "Kilat Malam"]));
    let found = find(&index, "kilat malam");
    assert_eq!(codes(&found[0]), ["EXACT", "ALIAS"]);
    assert_eq!(found[0].score, 890);
}

#[test]
fn what_else_is_known_moves_the_score_both_ways() {
    let index = Index::new();
    let mut entry = person(1, &["Aman Rasa"]);
    entry.birth_dates = vec!["1980-02-03".parse().unwrap()];
    entry.nationalities = vec!["ID".parse::<Nationality>().unwrap()];
    entry.sex = Some(Sex::Male);
    index.upsert(&entry);
    let ask = |date: &str, nationality: &str, sex: &str| {
        let key = NameKey::parse("Aman Rasa", date, nationality, sex).unwrap();
        index.find_by_name(&key, Limits::default()).unwrap().matches.remove(0)
    };
    let all = ask("1980-02-03", "ID", "M");
    assert_eq!((all.score, codes(&all)), (1000, vec!["EXACT", "BIRTH-DATE", "NATIONALITY", "SEX"]));
    for (date, code, score) in [
        ("1980", "BIRTH-YEAR", 925),
        ("1980-02", "BIRTH-YEAR", 940),
        ("1980-03-02", "BIRTH-DATE-CONFLICT", 890),
        ("1980-07-09", "BIRTH-DATE-CONFLICT", 860),
        ("1981", "BIRTH-DATE-CONFLICT", 840),
        ("1955-02-03", "BIRTH-DATE-CONFLICT", 700),
    ] {
        let found = ask(date, "", "");
        assert_eq!((found.score, codes(&found)[1]), (score, code), "{date}");
    }
    let against = ask("", "VN", "F");
    assert_eq!((against.score, codes(&against)), (750, vec!["EXACT", "NATIONALITY-CONFLICT", "SEX-CONFLICT"]));
    assert_eq!(codes(&ask("", "", "U")), ["EXACT"]);
}

#[test]
fn the_reasons_add_up_to_the_score_and_never_quote_the_entry() {
    let index = Index::new();
    let mut entry = person(1, &["Aman Budi Zulkarnain", "Kilat"]);
    entry.birth_dates = vec!["1977-11-05".parse().unwrap()];
    entry.nationalities = vec!["KH".parse::<Nationality>().unwrap()];
    index.upsert(&entry);
    let key = NameKey::parse("Budi Aman Wijaya", "1980-01-02", "VN", "M").unwrap();
    let mut asked = key.clone();
    asked.birth_date = Some("1977".parse().unwrap());
    for key in [key, asked] {
        for found in index.find_by_name(&key, Limits::default()).unwrap().matches {
            let sum: i32 = found.reasons.iter().map(|reason| reason.weight).sum();
            assert_eq!(sum, i32::from(found.score));
            let text: String = found.reasons.iter().map(|reason| reason.text.to_lowercase()).collect();
            for secret in ["zulkarnain", "kilat", "11-05", "kh"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

#[test]
fn the_best_match_comes_first_and_ties_are_in_a_fixed_order() {
    let index = index(&["Aman Rasa Wijaya", "Aman Rasa", "Rasa Aman", "Aman Rasa"]);
    let ids: Vec<EntryId> = find(&index, "Aman Rasa").into_iter().map(|found| found.id).collect();
    assert_eq!(ids, [id(1), id(3), id(2), id(0)]);
}

#[test]
fn a_removed_entry_is_not_found_and_leaves_no_word_behind() {
    let index = Index::new();
    let mut entry = person(1, &["Aman Rasa", "Aman Kilat"]);
    entry.identifiers = vec![IdentifierKey::new(IdentifierType::Document, "AB 123").unwrap(); 2];
    let key = entry.identifiers[0].clone();
    index.upsert(&entry);
    index.upsert(&person(2, &["Aman Wijaya"]));
    assert!(index.remove(id(1)) && !index.remove(id(1)));
    assert!(find(&index, "Rasa").is_empty() && find(&index, "Kilat").is_empty());
    assert_eq!(find(&index, "Aman").len(), 1);
    assert!(index.find_by_identifier(&key, Limits::default()).matches.is_empty());
    assert_eq!(index.len(), 1);
    let shelf = index.read();
    assert_eq!((shelf.words.len(), shelf.identifiers.len()), (2, 0));
}

#[test]
fn an_entry_that_comes_again_replaces_the_former_one() {
    let index = index(&["Aman Rasa", "Budi Santosa"]);
    index.upsert(&person(0, &["Kilat Malam"]));
    assert_eq!(index.len(), 2);
    assert!(find(&index, "Aman Rasa").is_empty());
    assert_eq!(find(&index, "Kilat Malam")[0].id, id(0));
}

#[test]
fn an_identifier_is_found_exactly_and_by_type() {
    let index = Index::new();
    let key = |kind, text: &str| IdentifierKey::new(kind, text).unwrap();
    let mut entry = person(1, &["Aman Rasa"]);
    entry.identifiers = vec![key(IdentifierType::Document, "AB-123 45"), key(IdentifierType::Serial, "99")];
    index.upsert(&entry);
    let find = |key| index.find_by_identifier(&key, Limits::default()).matches;
    let found = find(key(IdentifierType::Document, "ab12345"));
    assert_eq!((found[0].id, found[0].score, codes(&found[0])), (id(1), 1000, vec!["IDENTIFIER"]));
    assert!(find(key(IdentifierType::Serial, "AB12345")).is_empty());
}

#[test]
fn entries_that_are_not_accepted_are_neither_found_nor_counted() {
    let index = Index::new();
    for number in 0..100 {
        let mut entry = person(number, &["Aman Rasa"]);
        entry.tag = number % 2;
        entry.subject = if number == 0 { SubjectType::Vessel } else { SubjectType::Person };
        index.upsert(&entry);
    }
    let key = NameKey::new("Aman Rasa").unwrap();
    let limits = Limits { matches: 100, work: 49 };
    let accepts = |subject, tag| subject == SubjectType::Person && tag == 0;
    let found = index.find_by_name_where(&key, limits, &accepts).unwrap();
    assert_eq!((found.matches.len(), found.truncated), (49, false));
    assert!(found.matches.iter().all(|found| found.tag == 0));
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let index = Index::new();
    for number in 0..500 {
        index.upsert(&person(number, &[&format!("Aman Rasa{number}")]));
    }
    let key = NameKey::new("Aman").unwrap();
    let find = |matches, work| index.find_by_name(&key, Limits { matches, work }).unwrap();
    assert_eq!((find(500, 500).matches.len(), find(500, 500).truncated), (500, false));
    assert_eq!((find(10, 500).matches.len(), find(10, 500).truncated), (10, true));
    assert!(find(500, 10).truncated && find(500, 10).matches.len() == 10);
    assert!(find(500, 0).truncated);
}

#[test]
fn of_common_words_those_are_compared_first_that_stand_together() {
    let index = Index::new();
    for number in 0..2000 {
        let name = if number % 2 == 0 { format!("Aman X{number}") } else { format!("Rasa X{number}") };
        index.upsert(&person(number, &[&name]));
    }
    index.upsert(&person(9000, &["Rasa Aman"]));
    let found = index.find_by_name(&NameKey::new("Aman Rasa").unwrap(), Limits { matches: 5, work: 200 }).unwrap();
    assert_eq!(found.matches[0].id, id(9000));
}

#[test]
fn a_name_that_cannot_be_looked_up_is_an_error_and_no_empty_answer() {
    let index = index(&["Aman Rasa"]);
    let ask = |name: &str| index.find_by_name(&NameKey::new(name).unwrap(), Limits::default());
    assert_eq!(ask("***").unwrap_err().code().as_str(), "QUERY_NAME_UNSEARCHABLE");
    assert_eq!(ask(&"a ".repeat(17)).unwrap_err().code().as_str(), "QUERY_TOO_MANY_PARTS");
    assert!(ask(&"a ".repeat(16)).is_ok());
}

#[test]
fn names_beyond_the_bounds_are_left_out_without_harm() {
    let index = Index::new();
    let names: Vec<String> = (0..MAX_NAMES + 10).map(|number| format!("Aman{number}")).collect();
    index.upsert(&person(1, &names.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(find(&index, "Aman0").len(), 1);
    assert!(find(&index, &format!("Aman{}", MAX_NAMES + 1)).is_empty());
    index.upsert(&person(2, &[&"rasa ".repeat(MAX_WORDS * 10), ""]));
    assert_eq!(codes(&find(&index, "rasa")[0]), ["PARTS", "EXTRA"]);
    index.clear();
    assert!(index.is_empty());
}

proptest! {
    #[test]
    fn any_entry_with_letters_is_found_by_its_own_name(name in "\\PC{1,40}|[a-zก-ฮက-အក-អ王李 '-]{1,30}") {
        let index = index(&["Aman Rasa"]);
        index.upsert(&person(7, &[&name]));
        if let Ok(key) = NameKey::new(&name) {
            match index.find_by_name(&key, Limits::default()) {
                Ok(found) => prop_assert!(found.matches.iter().any(|found| found.id == id(7)), "{name:?} {found:?}"),
                Err(SearchError::NoWords | SearchError::TooManyWords) => {}
            }
        }
        index.remove(id(7));
        prop_assert_eq!(index.read().words.len(), 2);
    }

    #[test]
    fn upserts_and_removals_in_any_order_leave_a_consistent_index(
        steps in proptest::collection::vec((0_u32..6, proptest::option::of("[ab]{1,2} [ab]{1,2}")), 0..60)
    ) {
        let index = Index::new();
        let mut truth = std::collections::BTreeMap::new();
        for (number, name) in steps {
            match name {
                Some(name) => {
                    index.upsert(&person(number, &[&name]));
                    truth.insert(number, name);
                }
                None => prop_assert_eq!(index.remove(id(number)), truth.remove(&number).is_some()),
            }
        }
        prop_assert_eq!(index.len(), truth.len());
        for (number, name) in truth {
            prop_assert!(find(&index, &name).iter().any(|found| found.id == id(number) && found.score == 900));
        }
    }
}

#[test]
fn an_entry_is_made_of_what_a_notice_or_record_may_be_found_by() {
    let keys = eads_domain::slot::SearchKeys {
        names: vec!["Aman Rasa".to_owned()],
        identifiers: [("document", "X-1"), ("imo", "not a number"), ("call-sign", "ABC")]
            .map(|(kind, value)| (kind.to_owned(), value.to_owned()))
            .to_vec(),
        birth_dates: vec!["1980".parse().unwrap(), "1982-02-03".parse().unwrap()],
        nationalities: vec!["ID".to_owned(), "XXC".to_owned()],
        sex: Some('F'),
    };
    let index = Index::new();
    index.upsert(&Entry::from_keys(id(1), SubjectType::Person, 7, &keys));
    let key = NameKey::parse("aman rasa", "1982-02-03", "ID", "F").unwrap();
    let found = index.find_by_name(&key, Limits::default()).unwrap().matches.remove(0);
    assert_eq!((found.tag, found.score), (7, 1000));
    let document = IdentifierKey::new(IdentifierType::Document, "x1").unwrap();
    assert_eq!(index.find_by_identifier(&document, Limits::default()).matches.len(), 1);
}
