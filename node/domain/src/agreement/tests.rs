//! Agreements as administrators write them, and as they mistype them.

use super::*;
use crate::code::Coded as _;
use crate::query::{NameKey, QueryKey};
use crate::slot::SlotNumber;

fn member() -> MemberId {
    "MY".parse().unwrap()
}

const HEAD: &str = "version = 1\nmember = \"MY\"\nreference = \"Example treaty\"\n";

fn parse(rest: &str) -> Result<Agreement, AgreementError> {
    Agreement::parse(&format!("{HEAD}{rest}"))
}

fn refusal(toml: &str) -> (&'static str, String) {
    let error = Agreement::parse(toml).unwrap_err();
    (error.code().as_str(), error.to_string())
}

fn complaint(rest: &str) -> (&'static str, String) {
    refusal(&format!("{HEAD}{rest}"))
}

fn query(subject: SubjectType, purpose: Purpose) -> Query {
    let key = QueryKey::Name(NameKey::new("Aman Rasa").unwrap());
    let legal_basis = "example basis".parse::<crate::query::LegalBasis>().unwrap();
    Query { purpose, legal_basis: Some(legal_basis), subject, key, kinds: Vec::new(), exercise: false }
}

#[test]
fn the_example_parses_and_says_what_its_comments_say() {
    let agreement = Agreement::parse(&Agreement::example(member())).unwrap();
    assert_eq!(agreement.member(), member());
    assert_eq!(agreement.decision(NoticeKind::Red), Decision::Quarantine);
    assert_eq!(agreement.decision(NoticeKind::Yellow), Decision::Actionable);
    assert_eq!(agreement.decision(NoticeKind::Un), Decision::Refuse(ReceiptReason::KIND_NOT_RECEIVED));
    assert_eq!(agreement.allowed_slots(SubjectType::Person, NoticeKind::Un), None);
    assert_eq!(agreement.answers().queries_per_hour, 600);
    assert!(agreement.source().lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn what_is_not_written_is_not_allowed() {
    let agreement = parse("").unwrap();
    for kind in NoticeKind::ALL {
        assert_eq!(agreement.decision(kind), Decision::Refuse(ReceiptReason::KIND_NOT_RECEIVED));
        for subject in SubjectType::ALL {
            assert_eq!(agreement.allowed_slots(subject, kind), None);
            let asked = query(subject, Purpose::CrimePrevention);
            assert_eq!(agreement.admit(&asked), Err(AgreementRefusal::Subject));
        }
    }
    assert_eq!(agreement.receives().kinds().count(), 0);
}

#[test]
fn withheld_slots_are_left_out_and_mandatory_ones_never() {
    let agreement = parse("[sends]\nkinds = [\"red\"]\nwithhold.person = [\"marks\", \"images\"]\n").unwrap();
    let marks = SlotTable::get().by_name(SubjectType::Person, "marks").unwrap().number;
    let allowed = agreement.allowed_slots(SubjectType::Person, NoticeKind::Red).unwrap();
    assert_eq!(allowed.complement(), [marks, SlotNumber::IMAGES].into_iter().collect());
    assert!(SlotTable::get().mandatory().is_subset_of(allowed));
    assert_eq!(agreement.allowed_slots(SubjectType::Organisation, NoticeKind::Red), Some(SlotSet::ALL));
    assert_eq!(agreement.allowed_slots(SubjectType::Person, NoticeKind::Blue), None);
}

#[test]
fn withholding_a_mandatory_slot_is_refused_by_name_and_line() {
    let (code, text) =
        complaint("[sends]\nkinds = [\"red\"]\n[sends.withhold]\nperson = [\n  \"marks\",\n  \"handling\",\n]\n");
    assert_eq!(code, "AGREEMENT_WITHHOLDS_MANDATORY");
    assert!(text.starts_with("line 9, sends.withhold: handling"), "{text}");
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    for (rest, line, key) in [
        ("colour = 1\n", 4, "colour"),
        ("[sends]\nkinds = []\nkind = []\n", 6, "kind"),
        (
            "[answers]\nsubjects = []\npurposes = []\nshows = \"score\"\nqueries_per_minute = 1\n",
            8,
            "queries_per_minute",
        ),
        ("[receives]\nkinds = []\ndecision = \"quarantine\"\n[receives.exception]\n", 7, "exception"),
        ("[sned]\n", 4, "sned"),
    ] {
        let (code, text) = complaint(rest);
        assert_eq!(code, "AGREEMENT_MALFORMED");
        assert!(text.contains(&format!("line {line}:")) && text.contains(key), "{text}");
    }
}

#[test]
fn unknown_words_are_refused_with_field_and_line() {
    for (rest, line, field) in [
        ("[sends]\nkinds = [\n\"red\",\n\"pink\"]\n", 7, "sends.kinds"),
        ("[sends]\nkinds = [\"red\", \"red\"]\n", 5, "sends.kinds"),
        ("[sends]\nkinds = []\nwithhold.people = []\n", 6, "sends.withhold"),
        ("[sends]\nkinds = []\nwithhold.person = [\"shoe-size\"]\n", 6, "sends.withhold"),
        ("[receives]\nkinds = []\ndecision = \"ignore\"\n", 6, "receives.decision"),
        ("[receives]\nkinds = []\ndecision = \"refuse:other\"\n", 6, "receives.decision"),
        ("[receives]\nkinds = []\ndecision = \"refuse:expired\"\n", 6, "receives.decision"),
        ("[receives]\nkinds = []\ndecision = \"quarantine\"\nexceptions.red = \"x\"\n", 7, "receives.exceptions"),
    ] {
        let (code, text) = complaint(rest);
        assert_eq!(code, "AGREEMENT_VALUE");
        assert!(text.starts_with(&format!("line {line}, {field}:")), "{text}");
    }
}

#[test]
fn what_a_hit_shows_is_a_word_or_known_fields() {
    let answers = |shows: &str| {
        parse(&format!(
            "[answers]\nsubjects = [\"person\"]\npurposes = [\"border-check\"]\nshows = {shows}\nqueries_per_hour = 9\n"
        ))
    };
    assert_eq!(answers("\"score\"").unwrap().answers().shows, Shows::Score);
    assert!(answers("\"reference\"").unwrap().answers().shows.shows_reference());
    let fields = answers("[\"family-name\", \"images\"]").unwrap().answers().shows.clone();
    assert!(fields.shows_reference() && fields.shows_field("family-name") && !fields.shows_field("marks"));
    for shows in ["\"all\"", "[\"plate\"]", "[1]", "1", "true"] {
        let error = answers(shows).unwrap_err();
        assert!(error.to_string().starts_with("line 7, answers.shows:"), "{error}");
    }
}

#[test]
fn questions_are_admitted_by_subject_and_purpose() {
    let agreement = parse(
        "[answers]\nsubjects = [\"person\"]\npurposes = [\"border-check\"]\nshows = \"score\"\nqueries_per_hour = 9\n",
    )
    .unwrap();
    assert_eq!(agreement.admit(&query(SubjectType::Person, Purpose::BorderCheck)), Ok(()));
    let purpose = agreement.admit(&query(SubjectType::Person, Purpose::Extradition));
    assert_eq!(purpose.unwrap_err().code().as_str(), "AGREEMENT_PURPOSE_NOT_ADMITTED");
    let subject = agreement.admit(&query(SubjectType::Vehicle, Purpose::BorderCheck));
    assert_eq!(subject.unwrap_err().code().as_str(), "AGREEMENT_SUBJECT_NOT_ADMITTED");
}

#[test]
fn exceptions_outrank_the_common_decision() {
    let agreement = parse(
        "[receives]\nkinds = [\"red\", \"blue\"]\ndecision = \"actionable\"\n\
         [receives.exceptions]\nred = \"refuse:death-penalty\"\nblack = \"quarantine\"\n",
    )
    .unwrap();
    assert_eq!(agreement.decision(NoticeKind::Red), Decision::Refuse(ReceiptReason::DEATH_PENALTY));
    assert_eq!(agreement.decision(NoticeKind::Blue), Decision::Actionable);
    assert_eq!(agreement.decision(NoticeKind::Black), Decision::Quarantine);
    let taken: Vec<_> = agreement.receives().kinds().collect();
    assert_eq!(taken, [NoticeKind::Blue, NoticeKind::Black]);
}

#[test]
fn missing_parts_wrong_types_and_later_versions_are_told() {
    assert_eq!(refusal("version = 1\nmember = \"MY\"\n").0, "AGREEMENT_MALFORMED");
    assert_eq!(refusal("version = 2\nmember = \"MY\"\nreference = \"x\"\n").0, "AGREEMENT_VERSION");
    assert_eq!(refusal("version = 1\nmember = \"my\"\nreference = \"x\"\n").0, "AGREEMENT_VALUE");
    assert_eq!(refusal("version = 1\nmember = \"MY\"\nreference = \" \"\n").0, "AGREEMENT_VALUE");
    assert_eq!(complaint("[sends]\nkinds = \"red\"\n").0, "AGREEMENT_MALFORMED");
    assert_eq!(complaint("[sends\n").0, "AGREEMENT_MALFORMED");
    assert_eq!(
        complaint("[answers]\nsubjects = []\npurposes = []\nshows = \"score\"\nqueries_per_hour = -1\n").0,
        "AGREEMENT_MALFORMED"
    );
    assert_eq!(
        complaint("[answers]\nsubjects = []\npurposes = []\nshows = \"score\"\nqueries_per_hour = 1000001\n").0,
        "AGREEMENT_VALUE"
    );
    assert_eq!(refusal(&"#".repeat(MAX_AGREEMENT_BYTES + 1)).0, "AGREEMENT_TOO_LARGE");
    assert_eq!(refusal("").0, "AGREEMENT_MALFORMED");
}

#[test]
fn the_digest_is_over_the_file_as_it_stands() {
    let one = parse("").unwrap();
    let other = parse("# a comment\n").unwrap();
    assert_eq!(one.digest(), parse("").unwrap().digest());
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one.digest(), sha256_pae(&[b"eads/v1/agreement", HEAD.as_bytes()]));
}
