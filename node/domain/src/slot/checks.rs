//! The pre-issue checks: what each kind of notice must be able to answer before anybody is asked to act on it.
//!
//! They are data: one line a check. Each is asked when a draft is submitted, again before it is signed, and by
//! every receiver, which refuses what fails. A field that a reader is not shown breaks no check.

use std::fmt;

use super::{Fields, SlotSet, SlotTable};
use crate::subject::{NoticeKind, SubjectType};
use crate::value::{PartialDate, Value};

use NoticeKind::{Black, Blue, Document, Red, Silver, Yellow};

/// The least maximum penalty of a wanted person's offence, months (INTERPOL RPD art. 83).
const RED_MAXIMUM_MONTHS: u32 = 24;
/// The least sentence still to be served, months (INTERPOL RPD art. 83).
const RED_SENTENCE_MONTHS: u32 = 6;
/// The least maximum penalty of the offence behind a silver notice, months (a serious crime, UNTOC art. 2).
const SILVER_MAXIMUM_MONTHS: u32 = 48;
/// The age from which a person decides alone, years.
const MAJORITY: u16 = 18;

/// One pre-issue check.
pub struct Check {
    /// Stable code.
    pub code: &'static str,
    /// Kinds that it is about.
    pub kinds: &'static [NoticeKind],
    /// The field to mend.
    pub field: &'static str,
    /// What is wrong, for people.
    pub text: &'static str,
    /// What would mend it.
    pub hint: &'static str,
    is_broken: fn(&dyn Fields) -> bool,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Check {}

/// Every check. Codes never change meaning.
pub static CHECKS: &[Check] = &[
    Check {
        code: "RED_WITHOUT_WARRANT",
        kinds: &[Red],
        field: "warrants",
        text: "a red notice names at least one arrest warrant or sentence that is in force",
        hint: "warrants = [{ country = \"ID\", charge = \"…\", penalty = \"…\", reference = \"…\" }]",
        is_broken: |fields| fields.shown_by_name("warrants").is_some_and(|value| value.items().is_empty()),
    },
    Check {
        code: "RED_WITHOUT_CHARGE",
        kinds: &[Red],
        field: "warrants",
        text: "every warrant of a red notice states its charge",
        hint: "say in words what the person is charged with or was convicted of",
        is_broken: |fields| !each_warrant_says(fields, 1),
    },
    Check {
        code: "RED_WITHOUT_PENALTY",
        kinds: &[Red],
        field: "warrants",
        text: "every warrant of a red notice states the penalty",
        hint: "say in words what penalty is possible or was imposed",
        is_broken: |fields| !each_warrant_says(fields, 2),
    },
    Check {
        code: "RED_BELOW_THRESHOLD",
        kinds: &[Red],
        field: "penalty",
        text: "a red notice is for offences punishable by at least 2 years, or at least 6 months of a sentence to be served",
        hint: "penalty = { maximum-months = 24 } or { sentence-months = 6 } at the least; a blue notice has no threshold",
        is_broken: |fields| {
            fields.shown_by_name("penalty").is_some_and(|_| {
                months(fields, 0).is_none_or(|maximum| maximum < RED_MAXIMUM_MONTHS)
                    && months(fields, 1).is_none_or(|sentence| sentence < RED_SENTENCE_MONTHS)
            })
        },
    },
    Check {
        code: "RED_WITHOUT_EXTRADITION",
        kinds: &[Red],
        field: "requested-action",
        text: "a red notice asks for arrest with a view to extradition",
        hint: "requested-action = \"arrest-for-extradition\"; if extradition is not intended, issue a blue notice",
        is_broken: |fields| {
            fields
                .shown_by_name("requested-action")
                .is_some_and(|value| value.as_text() != Some("arrest-for-extradition"))
        },
    },
    Check {
        code: "MINOR_WITHOUT_CONSENT",
        kinds: &[Yellow],
        field: "legal-basis",
        text: "a missing minor is published only with the consent of a guardian or of the authority responsible",
        hint: "add \"guardian-consent\" or \"authority-consent\" to legal-basis once it was given",
        is_broken: |fields| is_minor(fields) && !rests_on(fields, &["guardian-consent", "authority-consent"]),
    },
    Check {
        code: "CONSENT_REQUIRED",
        kinds: &[Yellow, Blue],
        field: "last-seen",
        text: "the whereabouts of an adult who was found go out only with that person's consent",
        hint: "leave last-seen, addresses and phones out, or add \"subject-consent\" to legal-basis once it was given",
        is_broken: |fields| {
            let is_found = fields.reasons().iter().any(|reason| FOUND.contains(reason));
            is_found && !is_minor(fields) && says_where(fields) && !rests_on(fields, &["subject-consent"])
        },
    },
    Check {
        code: "CONTACT_DECLINED",
        kinds: &[Yellow, Blue],
        field: "last-seen",
        text: "who is safe and declined contact is not located for anybody",
        hint: "leave last-seen, addresses and phones out",
        is_broken: |fields| fields.reasons().contains(&"safe-contact-declined") && says_where(fields),
    },
    Check {
        code: "BLACK_WITHOUT_RECOVERY",
        kinds: &[Black],
        field: "found-place",
        text: "a black notice says where and when the body was recovered",
        hint: "found-date and found-place cannot be unknown",
        is_broken: |fields| {
            let is_unsaid =
                |name| fields.shown_by_name(name).is_some_and(|value| matches!(value, Value::Absent | Value::Unknown));
            is_unsaid("found-date") || is_unsaid("found-place")
        },
    },
    Check {
        code: "SILVER_BELOW_THRESHOLD",
        kinds: &[Silver],
        field: "penalty",
        text: "a silver notice is for offences punishable by at least 4 years",
        hint: "penalty = { maximum-months = 48 } at the least",
        is_broken: |fields| {
            fields
                .shown_by_name("penalty")
                .is_some_and(|_| months(fields, 0).is_none_or(|maximum| maximum < SILVER_MAXIMUM_MONTHS))
        },
    },
    Check {
        code: "DOCUMENT_WITHOUT_REPORT",
        kinds: &[Document],
        field: "report",
        text: "a stolen document names the report of the theft",
        hint: "report = { reference = \"…\", authority = \"…\", date = \"2026-03-01\" }",
        is_broken: |fields| {
            fields.text_of("document-reason") == Some("stolen")
                && fields.shown_by_name("report").is_some_and(|value| value.items().is_empty())
        },
    },
    Check {
        code: "DOCUMENT_HOLDER_PROTECTED",
        kinds: &[Document],
        field: "document-reason",
        text: "a document is never reported as stolen, lost or revoked against a holder under protection",
        hint: "a document that was taken from its holder is \"withheld-from-holder\"",
        is_broken: |fields| {
            matches!(fields.text_of("document-reason"), Some("stolen" | "lost" | "revoked"))
                && !fields.protection().is_empty()
        },
    },
];

/// The reasons of a notice whose subject was found.
const FOUND: [&str; 3] = ["located", "identified", "safe-contact-declined"];

/// The fields that tell where somebody is.
const WHERE: [&str; 3] = ["last-seen", "addresses", "phones"];

/// Words in a charge that make a political, military, religious or racial character likely: offences that
/// INTERPOL's repository of practice on article 3 treats as such. In other languages an officer has to see it.
const CHARGES_FOR_REVIEW: [&str; 18] = [
    "treason",
    "sedition",
    "seditious",
    "espionage",
    "subversion",
    "secession",
    "separatism",
    "insurrection",
    "rebellion",
    "desertion",
    "conscription",
    "draft evasion",
    "lese-majest",
    "lèse-majest",
    "blasphemy",
    "apostasy",
    "unlawful assembly",
    "insulting the head of state",
];

/// The checks that the shown fields break.
pub(super) fn broken(fields: &dyn Fields) -> impl Iterator<Item = &'static Check> {
    CHECKS.iter().filter(move |check| check.kinds.contains(&fields.kind()) && (check.is_broken)(fields))
}

/// Whether a lawyer has to look at it at both ends: it is marked so, or a charge reads as if it should be.
pub fn needs_legal_review(fields: &dyn Fields) -> bool {
    fields.is_for_legal_review() || reads_political(fields)
}

/// Whether a charge reads as if article 3 could be concerned, marked or not.
pub(super) fn reads_political(fields: &dyn Fields) -> bool {
    let warrants = fields.by_name("warrants").map_or(&[][..], Value::items);
    let charges = warrants.iter().flat_map(|warrant| [1, 5].map(|part| warrant.items().get(part)));
    charges
        .flatten()
        .filter_map(Value::as_text)
        .map(str::to_lowercase)
        .any(|charge| CHARGES_FOR_REVIEW.iter().any(|word| charge.contains(word)))
}

/// The slots that tell where a person of a notice is, for the subjects that have them.
pub fn whereabouts(subject: SubjectType) -> SlotSet {
    WHERE.iter().filter_map(|name| SlotTable::get().by_name(subject, name)).map(|spec| spec.number).collect()
}

/// Whether the subject is to be treated as a minor: marked so, or possibly under age when it happened.
pub fn is_minor(fields: &dyn Fields) -> bool {
    let date = |name| fields.by_name(name).and_then(Value::as_date);
    let is_marked = fields.protection().contains(&"minor");
    is_marked
        || matches!((date("birth-date"), date("event-date")), (Some(born), Some(then)) if could_be_minor(born, then))
}

/// Whether somebody born on `born` can have been under age on `then`; what is not known counts for the younger.
fn could_be_minor(born: PartialDate, then: PartialDate) -> bool {
    let of_age = (born.year() + MAJORITY, born.month().unwrap_or(12), born.day().unwrap_or(31));
    of_age > (then.year(), then.month().unwrap_or(1), then.day().unwrap_or(1))
}

fn rests_on(fields: &dyn Fields, bases: &[&str]) -> bool {
    let stated = fields.by_name("legal-basis").map_or(&[][..], Value::items);
    stated.iter().filter_map(Value::as_text).any(|basis| bases.contains(&basis))
}

fn says_where(fields: &dyn Fields) -> bool {
    WHERE.iter().any(|name| fields.by_name(name).is_some())
}

/// Whether every warrant says that part in words; unknown is not enough here.
fn each_warrant_says(fields: &dyn Fields, part: usize) -> bool {
    let warrants = fields.by_name("warrants").map_or(&[][..], Value::items);
    warrants.iter().all(|warrant| matches!(warrant.items().get(part), Some(Value::Text(_))))
}

/// Months of the penalty: part 0 is the maximum, part 1 the sentence.
fn months(fields: &dyn Fields, part: usize) -> Option<u32> {
    fields.by_name("penalty")?.items().get(part)?.as_text()?.parse().ok()
}

impl dyn Fields + '_ {
    /// The value of a field, absent or not; `None` if it is withheld or not a field of the subject.
    fn shown_by_name(&self, name: &str) -> Option<&Value> {
        self.shown(SlotTable::get().by_name(self.subject(), name)?.number)
    }
}

#[cfg(test)]
mod tests;
