use std::collections::BTreeSet;

use crate::code::Coded as _;
use crate::slot::samples::{RED, fields};
use crate::slot::{CHECKS, Content, ContentError, SlotTable, needs_legal_review};
use crate::statement::Action;
use crate::subject::SubjectType;

const YELLOW: &str = r#"
kind = "yellow"
subject = "person"
family-name = "Contoh"
given-names = "Ani Sintetis"
birth-date = 1990-05-01
sex = "f"
event-date = 2026-02-01
"#;
const BLACK: &str = r#"
kind = "black"
subject = "body"
found-date = 2026-02-01
found-place = "A beach"
sex = "u"
"#;
const SILVER: &str = r#"
kind = "silver"
subject = "asset"
asset-type = "artwork"
description = "Invented"
penalty = { maximum-months = 48 }
"#;
const STOLEN: &str = r#"
kind = "document"
subject = "document"
document-type = "passport"
number = "X0000002"
country = "MY"
document-reason = "stolen"
report = { reference = "RPT-1" }
"#;

fn broken(draft: &str, basis: &[&str], action: Action) -> Vec<&'static str> {
    let mut fields = fields(draft);
    let bases = basis.iter().map(|basis| (*basis).into()).collect();
    fields.insert("legal-basis".into(), crate::slot::FieldInput::List(bases));
    let errors = Content::from_fields(fields).unwrap().check_draft(action).err().unwrap_or_default();
    errors.iter().map(|error| error.code().as_str()).collect()
}

#[test]
fn every_check_tells_the_cases_that_it_is_about() {
    const NONE: &[&str] = &[];
    let no_basis = ["missing-person-report"];
    let red = |from: &str, to: &str| RED.replacen(from, to, 1);
    let penalty = |text: &str| red("{ maximum-months = 72 }", text);
    let minor = YELLOW.replace("1990-05-01", "2008-02-02");
    let found = |reason: &str, more: &str| format!("{YELLOW}reasons = [\"{reason}\"]\n{more}");
    const SEEN: &str = "last-seen = \"A harbour\"\n";
    let cases: &[(&str, &[&str], &[&str])] = &[
        (RED, &["arrest-warrant"], NONE),
        (&penalty("{ maximum-months = 23 }"), &["arrest-warrant"], &["RED_BELOW_THRESHOLD"]),
        (&penalty("{ maximum-months = 24 }"), &["arrest-warrant"], NONE),
        (&penalty("{ maximum-months = 12, sentence-months = 6 }"), &["conviction"], NONE),
        (&penalty("{ sentence-months = 5 }"), &["conviction"], &["RED_BELOW_THRESHOLD"]),
        (&penalty("{ unknown = true }"), &["arrest-warrant"], &["RED_BELOW_THRESHOLD"]),
        (&red("penalty = { maximum", "# penalty = { maximum"), &["arrest-warrant"], &["RED_BELOW_THRESHOLD"]),
        (&red("arrest-for-extradition", "locate"), &["arrest-warrant"], &["RED_WITHOUT_EXTRADITION"]),
        (&red("Online fraud", "Sedition by pamphlet"), &["arrest-warrant"], &["LEGAL_REVIEW_UNMARKED"]),
        (
            &format!("{}reasons = [\"legal-review\"]\n", red("Online fraud", "Sedition by pamphlet")),
            &["arrest-warrant"],
            NONE,
        ),
        (YELLOW, &no_basis, NONE),
        (&minor, &no_basis, &["MINOR_WITHOUT_CONSENT"]),
        (&minor.replace("02-02", "02-01"), &no_basis, NONE),
        (&minor.replace("2008-02-02", "\"2008\""), &no_basis, &["MINOR_WITHOUT_CONSENT"]),
        (&format!("{YELLOW}protection = [\"minor\"]\n"), &no_basis, &["MINOR_WITHOUT_CONSENT"]),
        (&minor, &["missing-person-report", "guardian-consent"], NONE),
        (&minor, &["missing-person-report", "authority-consent"], NONE),
        (&minor, &["subject-consent"], &["MINOR_WITHOUT_CONSENT"]),
        (&format!("{YELLOW}{SEEN}"), &no_basis, NONE),
        (&found("located", ""), &no_basis, NONE),
        (&found("located", SEEN), &no_basis, &["CONSENT_REQUIRED"]),
        (&found("located", SEEN), &["subject-consent"], NONE),
        (&found("located", "phones = [\"+62 800\"]\n"), &no_basis, &["CONSENT_REQUIRED"]),
        (&found("safe-contact-declined", SEEN), &["subject-consent"], &["CONTACT_DECLINED"]),
        (&found("safe-contact-declined", ""), &no_basis, NONE),
        (BLACK, &["identification-of-remains"], NONE),
        (
            &BLACK.replace("\"A beach\"", "{ unknown = true }"),
            &["identification-of-remains"],
            &["BLACK_WITHOUT_RECOVERY"],
        ),
        (SILVER, &["court-decision"], NONE),
        (&SILVER.replace("48", "47"), &["court-decision"], &["SILVER_BELOW_THRESHOLD"]),
        (STOLEN, &["theft-or-loss-report"], NONE),
        (&STOLEN.replace("report =", "# report ="), &["theft-or-loss-report"], &["DOCUMENT_WITHOUT_REPORT"]),
        (
            &format!("{STOLEN}protection = [\"refugee-or-asylum-seeker\"]\n"),
            &["theft-or-loss-report"],
            &["DOCUMENT_HOLDER_PROTECTED"],
        ),
        (
            &format!("{}protection = [\"victim\"]\n", STOLEN.replace("\"stolen\"", "\"withheld-from-holder\"")),
            &["victim-protection"],
            NONE,
        ),
    ];
    let mut met = BTreeSet::new();
    for (draft, basis, expected) in cases {
        assert_eq!(broken(draft, basis, Action::Issue), *expected, "{draft}\n{basis:?}");
        assert_eq!(broken(draft, basis, Action::Amend), *expected, "amended: {draft}");
        met.extend(expected.iter().copied());
    }
    met.extend(["RED_WITHOUT_WARRANT", "RED_WITHOUT_CHARGE", "RED_WITHOUT_PENALTY"]);
    let all: BTreeSet<_> = CHECKS.iter().map(|check| check.code).collect();
    assert_eq!(all.difference(&met).count(), 0, "every check is met in some case");
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_field_and_hint() {
    let draft = RED.replace("arrest-for-extradition", "locate").replace("72", "12");
    let errors = Content::from_fields(fields(&draft)).unwrap().check_draft(Action::Issue).unwrap_err();
    let told: Vec<_> = errors.iter().map(|error| (error.code().as_str(), error.field())).collect();
    assert_eq!(told, [("RED_BELOW_THRESHOLD", Some("penalty")), ("RED_WITHOUT_EXTRADITION", Some("requested-action"))]);
    assert!(errors.iter().all(|error| error.hint().is_some()));
}

#[test]
fn an_emergency_is_only_ever_a_first_version() {
    let draft = format!("{RED}reasons = [\"emergency\"]\n");
    assert_eq!(broken(&draft, &["arrest-warrant"], Action::Issue), Vec::<&str>::new());
    assert_eq!(broken(&draft, &["arrest-warrant"], Action::Amend), ["EMERGENCY_NOT_FIRST"]);
    let content = Content::from_fields(fields(&draft)).unwrap();
    let suspension = content.state_change(["approval-overdue"]).unwrap();
    assert_eq!(suspension.check_draft(Action::Suspend), Ok(()));
    let mut resumed = content.state_change(["emergency"]).unwrap();
    assert_eq!(resumed.check_draft(Action::Resume), Err(vec![ContentError::EmergencyNotFirst]));
    resumed = content.state_change([]).unwrap();
    assert_eq!(resumed.check_draft(Action::Resume), Ok(()));
}

#[test]
fn what_is_for_lawyers_is_seen_with_and_without_the_mark() {
    let content = |draft: &str| Content::from_fields(fields(draft)).unwrap();
    assert!(!needs_legal_review(&content(RED)));
    assert!(needs_legal_review(&content(&RED.replace("Online fraud", "High TREASON"))));
    assert!(needs_legal_review(&content(&format!("{RED}reasons = [\"legal-review\"]\n"))));
}

#[test]
fn every_check_names_a_field_of_every_subject_of_its_kinds_that_can_break_it() {
    let table = SlotTable::get();
    for check in CHECKS {
        let has = |subject: &SubjectType| {
            check.kinds.iter().any(|kind| table.is_kind_of(*subject, *kind))
                && table.by_name(*subject, check.field).is_some()
        };
        assert!(SubjectType::ALL.iter().any(has), "{check:?}");
        assert!(!check.hint.is_empty() && !check.text.is_empty());
    }
}
