//! Reading an agreement file: words become values of the domain, and every complaint names its line.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use serde::Deserialize;
use toml::{Spanned, Value};

use super::{Agreement, AgreementError, Answers, Decision, MAX_AGREEMENT_BYTES, MAX_QUERIES_PER_HOUR};
use super::{Receives, Sends, Shows};
use crate::id::MemberId;
use crate::operator::Purpose;
use crate::receipt::ReceiptReason;
use crate::slot::{SlotSet, SlotTable};
use crate::subject::{NoticeKind, SubjectType};

const VERSION: u32 = 1;
const MAX_REFERENCE_CHARS: usize = 200;

type Words = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    member: Spanned<String>,
    reference: Spanned<String>,
    sends: Option<SendsSection>,
    answers: Option<AnswersSection>,
    receives: Option<ReceivesSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendsSection {
    kinds: Words,
    #[serde(default)]
    withhold: BTreeMap<Spanned<String>, Words>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswersSection {
    subjects: Words,
    purposes: Words,
    shows: Spanned<Value>,
    queries_per_hour: Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceivesSection {
    kinds: Words,
    decision: Spanned<String>,
    #[serde(default)]
    exceptions: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    block_when_unanswered: bool,
}

/// The text of the file, to turn places into lines.
struct Source<'a>(&'a str);

pub(super) fn parse(toml: &str) -> Result<Agreement, AgreementError> {
    if toml.len() > MAX_AGREEMENT_BYTES {
        return Err(AgreementError::TooLarge);
    }
    let source = Source(toml);
    let file: File = toml::from_str(toml).map_err(|error| AgreementError::Malformed {
        line: source.line(error.span().map_or(0, |span| span.start)),
        problem: error.message().trim_end().replace('\n', "; "),
    })?;
    if *file.version.get_ref() != VERSION {
        return Err(AgreementError::Version { line: source.line(file.version.span().start) });
    }
    Ok(Agreement {
        member: source.member(&file.member)?,
        reference: source.reference(&file.reference)?,
        sends: file.sends.map_or_else(|| Ok(Sends::default()), |section| source.sends(&section))?,
        answers: file.answers.map_or_else(|| Ok(Answers::default()), |section| source.answers(&section))?,
        receives: file.receives.map_or_else(|| Ok(Receives::default()), |section| source.receives(&section))?,
        source: toml.to_owned(),
    })
}

impl Source<'_> {
    fn line(&self, place: usize) -> usize {
        self.0.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
    }

    fn complaint<T>(&self, at: &Spanned<T>, field: &'static str, problem: impl Into<String>) -> AgreementError {
        AgreementError::Value { line: self.line(at.span().start), field, problem: problem.into() }
    }

    fn member(&self, word: &Spanned<String>) -> Result<MemberId, AgreementError> {
        word.get_ref().parse().map_err(|error| self.complaint(word, "member", format!("{error}")))
    }

    fn reference(&self, text: &Spanned<String>) -> Result<String, AgreementError> {
        let reference = text.get_ref().trim();
        let length = reference.chars().count();
        if !(1..=MAX_REFERENCE_CHARS).contains(&length) || reference.chars().any(char::is_control) {
            let problem = format!("name the treaty or memorandum in 1 to {MAX_REFERENCE_CHARS} characters on one line");
            return Err(self.complaint(text, "reference", problem));
        }
        Ok(reference.to_owned())
    }

    fn sends(&self, section: &SendsSection) -> Result<Sends, AgreementError> {
        let kinds = self.set("sends.kinds", &section.kinds, self.kind_words())?;
        let mut withhold = BTreeMap::new();
        for (word, names) in &section.withhold {
            let subject = self.word("sends.withhold", word, &self.subject_words())?;
            withhold.insert(subject, self.withheld(subject, names)?);
        }
        Ok(Sends { kinds, withhold })
    }

    fn withheld(&self, subject: SubjectType, names: &[Spanned<String>]) -> Result<SlotSet, AgreementError> {
        let table = SlotTable::get();
        let mut slots = SlotSet::EMPTY;
        for name in names {
            let slot = table.by_name(subject, name.get_ref()).ok_or_else(|| {
                let problem = format!("there is no field {:?} of subject {subject}", name.get_ref());
                self.complaint(name, "sends.withhold", problem)
            })?;
            if table.mandatory().contains(slot.number) {
                let line = self.line(name.span().start);
                return Err(AgreementError::WithholdsMandatory { line, slot: slot.name.clone() });
            }
            slots.insert(slot.number);
        }
        Ok(slots)
    }

    fn answers(&self, section: &AnswersSection) -> Result<Answers, AgreementError> {
        let subjects = self.set("answers.subjects", &section.subjects, self.subject_words())?;
        let purposes = self.set("answers.purposes", &section.purposes, Purpose::codes())?;
        let queries_per_hour = *section.queries_per_hour.get_ref();
        if queries_per_hour > MAX_QUERIES_PER_HOUR {
            let problem = format!("at most {MAX_QUERIES_PER_HOUR}");
            return Err(self.complaint(&section.queries_per_hour, "answers.queries_per_hour", problem));
        }
        let shows = self.shows(&section.shows, &subjects)?;
        Ok(Answers { subjects, purposes, shows, queries_per_hour })
    }

    fn shows(&self, value: &Spanned<Value>, subjects: &BTreeSet<SubjectType>) -> Result<Shows, AgreementError> {
        let wrong = || self.complaint(value, "answers.shows", "\"score\", \"reference\", or a list of field names");
        match value.get_ref() {
            Value::String(word) if word == "score" => Ok(Shows::Score),
            Value::String(word) if word == "reference" => Ok(Shows::Reference),
            Value::Array(names) => {
                let names = names.iter().map(|name| name.as_str().ok_or_else(wrong));
                let names = names.collect::<Result<Vec<_>, _>>()?;
                let known = |name: &str| subjects.iter().any(|each| SlotTable::get().by_name(*each, name).is_some());
                match names.iter().find(|name| !known(name)) {
                    Some(name) => {
                        let problem = format!("there is no field {name:?} of any subject in answers.subjects");
                        Err(self.complaint(value, "answers.shows", problem))
                    }
                    None => Ok(Shows::Fields(names.into_iter().map(str::to_owned).collect())),
                }
            }
            _ => Err(wrong()),
        }
    }

    fn receives(&self, section: &ReceivesSection) -> Result<Receives, AgreementError> {
        let decision = self.decision("receives.decision", &section.decision)?;
        let kinds: BTreeSet<NoticeKind> = self.set("receives.kinds", &section.kinds, self.kind_words())?;
        let mut decisions: BTreeMap<_, _> = kinds.into_iter().map(|kind| (kind, decision)).collect();
        for (word, decision) in &section.exceptions {
            let kind = self.word("receives.exceptions", word, &self.kind_words())?;
            decisions.insert(kind, self.decision("receives.exceptions", decision)?);
        }
        Ok(Receives { decisions, block_when_unanswered: section.block_when_unanswered })
    }

    fn decision(&self, field: &'static str, word: &Spanned<String>) -> Result<Decision, AgreementError> {
        let reasons = || ReceiptReason::decisions().map(|reason| reason.to_string()).collect::<Vec<_>>().join(", ");
        match word.get_ref().as_str() {
            "actionable" => Ok(Decision::Actionable),
            "quarantine" => Ok(Decision::Quarantine),
            other => {
                let reason = other.strip_prefix("refuse:").and_then(|reason| reason.parse::<ReceiptReason>().ok());
                let reason = reason.filter(|reason| reason.is_decision());
                reason.map(Decision::Refuse).ok_or_else(|| {
                    let problem =
                        format!("\"actionable\", \"quarantine\", or \"refuse:<reason>\" with one of {}", reasons());
                    self.complaint(word, field, problem)
                })
            }
        }
    }

    /// Words that each mean one thing, none twice.
    fn set<T: FromStr + Ord>(
        &self,
        field: &'static str,
        words: &[Spanned<String>],
        known: String,
    ) -> Result<BTreeSet<T>, AgreementError> {
        let mut set = BTreeSet::new();
        for word in words {
            if !set.insert(self.word(field, word, &known)?) {
                return Err(self.complaint(word, field, format!("{:?} stands twice", word.get_ref())));
            }
        }
        Ok(set)
    }

    fn word<T: FromStr>(&self, field: &'static str, word: &Spanned<String>, known: &str) -> Result<T, AgreementError> {
        word.get_ref()
            .parse()
            .map_err(|_| self.complaint(word, field, format!("{:?} is not one of {known}", word.get_ref())))
    }

    fn kind_words(&self) -> String {
        NoticeKind::ALL.map(NoticeKind::as_str).join(", ")
    }

    fn subject_words(&self) -> String {
        SubjectType::ALL.map(SubjectType::as_str).join(", ")
    }
}
