//! The slot table: `table.toml`, read once and checked as it is read.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::shape::Misfit;
use super::{CodeList, ContentError, Part, SCHEMA, SLOTS, Scalar, Shape, SlotNumber, SlotSet};
use crate::subject::{NoticeKind, SubjectType};
use crate::value::Value;

const SOURCE: &str = include_str!("table.toml");
const COMMON: usize = 16;

#[allow(clippy::expect_used, reason = "the table is compiled in and a test reads it")]
static TABLE: LazyLock<SlotTable> = LazyLock::new(|| SlotTable::parse(SOURCE).expect("the slot table is sound"));

/// What is kept how long, and where it may appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionClass {
    /// Destroyed with the notice.
    #[default]
    Notice,
    /// Also never indexed, and shown in answers only where an agreement names it.
    Sensitive,
    /// Under a blob key of its own, destroyed first.
    Image,
}

/// What a look-up may find a slot by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchRole {
    /// A name of the subject.
    Name,
    /// A birth date.
    BirthDate,
    /// A nationality.
    Nationality,
    /// The sex.
    Sex,
    /// An identifier of this type (`document`, `plate`, `imo` …).
    Identifier(String),
    /// Identifiers whose type stands in the part `type` beside the part `value`.
    Typed,
    /// An identifier whose type stands in the field `identifier-type`.
    OwnType,
}

/// One line of the slot table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSpec {
    /// The number.
    pub number: SlotNumber,
    /// The field's name, in small letters and hyphens.
    pub name: String,
    /// What it holds.
    pub shape: Shape,
    /// The kinds that may carry it.
    pub kinds: Vec<NoticeKind>,
    /// The kinds that must say it or say that it is unknown.
    pub required: Vec<NoticeKind>,
    /// Present in every version and opened to every addressee.
    pub mandatory: bool,
    /// Whether a list without items says something here.
    pub may_be_empty: bool,
    /// What is kept how long.
    pub retention: RetentionClass,
    /// What a look-up may find it by.
    pub search: Option<SearchRole>,
    /// Where name and form come from.
    pub source: String,
}

impl SlotSpec {
    /// Whether `value` may stand in this slot, apart from which kinds allow or require it.
    ///
    /// # Errors
    /// [`ContentError`] for an unknown mandatory value, one out of bounds, or one of another shape.
    pub fn check(&'static self, value: &Value) -> Result<(), ContentError> {
        let field = self.name.as_str();
        match value {
            Value::Absent => return Ok(()),
            Value::Unknown if self.mandatory => return Err(ContentError::MustBeKnown { field }),
            Value::Unknown => return Ok(()),
            _ => {}
        }
        value.check_bounds().map_err(|source| ContentError::Value { field, source })?;
        let expected = || self.shape.describe();
        self.shape.fit(value, self.may_be_empty).map_err(|misfit| match misfit {
            Misfit::Type => ContentError::Type { field, expected: expected() },
            Misfit::Form => ContentError::Form { field, expected: expected() },
            Misfit::Code => ContentError::Code { field, expected: expected() },
            Misfit::Empty => ContentError::Empty { field },
            Misfit::Duplicate => ContentError::Duplicate { field },
        })
    }

    /// Whether notices of `kind` may carry it.
    pub fn is_allowed_in(&self, kind: NoticeKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether notices of `kind` must say it.
    pub fn is_required_in(&self, kind: NoticeKind) -> bool {
        self.required.contains(&kind)
    }
}

/// All slots of all subjects.
#[derive(Debug)]
pub struct SlotTable {
    common: Vec<SlotSpec>,
    subjects: BTreeMap<SubjectType, Subject>,
    codes: BTreeMap<String, CodeList>,
    mandatory: SlotSet,
}

#[derive(Debug)]
struct Subject {
    kinds: Vec<NoticeKind>,
    slots: Vec<SlotSpec>,
}

impl SlotTable {
    /// The table of [`SCHEMA`].
    pub fn get() -> &'static Self {
        &TABLE
    }

    /// The slot `number` of `subject`; `None` if that number is free.
    pub fn slot(&self, subject: SubjectType, number: SlotNumber) -> Option<&SlotSpec> {
        match number.index().checked_sub(COMMON) {
            None => self.common.get(number.index()),
            Some(own) => self.subjects.get(&subject)?.slots.get(own),
        }
    }

    /// The slot that `subject` calls `name`.
    pub fn by_name(&self, subject: SubjectType, name: &str) -> Option<&SlotSpec> {
        self.slots(subject).find(|spec| spec.name == name)
    }

    /// All slots that `subject` uses, by ascending number.
    pub fn slots(&self, subject: SubjectType) -> impl Iterator<Item = &SlotSpec> {
        self.common.iter().chain(self.subjects.get(&subject).into_iter().flat_map(|each| &each.slots))
    }

    /// The slots that are present in every version and opened to every addressee.
    pub const fn mandatory(&self) -> SlotSet {
        self.mandatory
    }

    /// The slots that a notice of `kind` about `subject` may carry, mandatory ones among them; empty if there
    /// is no such notice.
    pub fn allowed(&self, subject: SubjectType, kind: NoticeKind) -> SlotSet {
        if !self.is_kind_of(subject, kind) {
            return SlotSet::EMPTY;
        }
        self.slots(subject).filter(|spec| spec.is_allowed_in(kind)).map(|spec| spec.number).collect()
    }

    /// The slots that a notice of `kind` about `subject` must say, mandatory ones among them; empty if there is
    /// no such notice.
    pub fn required(&self, subject: SubjectType, kind: NoticeKind) -> SlotSet {
        if !self.is_kind_of(subject, kind) {
            return SlotSet::EMPTY;
        }
        let required = |spec: &&SlotSpec| spec.mandatory || spec.is_required_in(kind);
        self.slots(subject).filter(required).map(|spec| spec.number).collect()
    }

    /// The kinds of notices about `subject`.
    pub fn kinds(&self, subject: SubjectType) -> &[NoticeKind] {
        self.subjects.get(&subject).map_or(&[], |each| &each.kinds)
    }

    /// Whether there are notices of `kind` about `subject`.
    pub fn is_kind_of(&self, subject: SubjectType, kind: NoticeKind) -> bool {
        self.kinds(subject).contains(&kind)
    }

    /// The closed list of codes called `name` (`reason`, `country` …).
    pub fn codes(&self, name: &str) -> Option<&CodeList> {
        self.codes.get(name)
    }

    /// Reads a table and checks that it is one.
    ///
    /// # Errors
    /// [`SlotTableError`] for anything that is not a sound table of [`SCHEMA`].
    pub(super) fn parse(text: &str) -> Result<Self, SlotTableError> {
        let raw: RawTable = toml::from_str(text).map_err(|error| SlotTableError(error.to_string()))?;
        if raw.schema != SCHEMA {
            return Err(SlotTableError(format!("schema {} instead of {SCHEMA}", raw.schema)));
        }
        let codes: BTreeMap<_, _> = raw
            .codes
            .into_iter()
            .map(|(name, codes)| (name.clone(), CodeList { name, codes: Arc::from(codes) }))
            .collect();
        let common = numbered(raw.common.slots, 0, &NoticeKind::ALL, &codes)?;
        let mandatory = common.iter().filter(|spec| spec.mandatory).map(|spec| spec.number).collect();
        let mut subjects = BTreeMap::new();
        for (word, section) in raw.subjects {
            let subject: SubjectType = word.parse().map_err(|_| SlotTableError(format!("no subject {word}")))?;
            let slots = numbered(section.slots, COMMON, &section.kinds, &codes)?;
            let taken = |spec: &&SlotSpec| common.iter().any(|each| each.name == spec.name);
            if let Some(spec) = slots.iter().find(|spec| spec.mandatory || taken(spec)) {
                return Err(SlotTableError(format!("{word}.{} is mandatory or a common name", spec.name)));
            }
            subjects.insert(subject, Subject { kinds: section.kinds, slots });
        }
        if let Some(missing) = SubjectType::ALL.into_iter().find(|subject| !subjects.contains_key(subject)) {
            return Err(SlotTableError(format!("no section {missing}")));
        }
        Ok(Self { common, subjects, codes, mandatory })
    }
}

/// The slots of one section, which are numbered from `first` without a gap and named once.
fn numbered(
    raw: Vec<RawSlot>,
    first: usize,
    kinds: &[NoticeKind],
    codes: &BTreeMap<String, CodeList>,
) -> Result<Vec<SlotSpec>, SlotTableError> {
    let mut slots: Vec<SlotSpec> = Vec::with_capacity(raw.len());
    for (expected, slot) in (first..SLOTS).zip(raw) {
        let at = |what: &str| SlotTableError(format!("slot {} ({}): {what}", slot.n, slot.name));
        let number = SlotNumber::new(slot.n).map_err(|_| at("no such number"))?;
        if number.index() != expected || slots.iter().any(|each| each.name == slot.name) {
            return Err(at("number or name out of order or used twice"));
        }
        let allowed = slot.kinds.unwrap_or_else(|| kinds.to_vec());
        if !allowed.iter().all(|kind| kinds.contains(kind)) || !slot.required.iter().all(|kind| allowed.contains(kind))
        {
            return Err(at("a kind that the section or slot does not have"));
        }
        slots.push(SlotSpec {
            number,
            shape: shape(&slot.r#type, slot.parts.as_deref(), codes).ok_or_else(|| at("no such type"))?,
            search: slot.search.map(role),
            name: slot.name,
            kinds: allowed,
            required: slot.required,
            mandatory: slot.mandatory,
            may_be_empty: slot.may_be_empty,
            retention: slot.retention,
            source: slot.source,
        });
    }
    Ok(slots)
}

fn shape(word: &str, parts: Option<&[String]>, codes: &BTreeMap<String, CodeList>) -> Option<Shape> {
    let parts = parts.map(|parts| parts.iter().map(|text| part(text, codes)).collect::<Option<Vec<_>>>());
    match (word, parts) {
        ("tuple", Some(parts)) => parts.map(Shape::Parts),
        ("list(parts)", Some(parts)) => parts.map(Shape::ManyParts),
        (_, Some(_)) => None,
        (word, None) => match word.strip_prefix("list(").and_then(|rest| rest.strip_suffix(')')) {
            Some(item) => scalar(item, codes).map(Shape::Many),
            None => scalar(word, codes).map(Shape::One),
        },
    }
}

fn part(text: &str, codes: &BTreeMap<String, CodeList>) -> Option<Part> {
    let (name, word) = text.split_once(':')?;
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    Some(Part { name: name.to_owned(), optional, scalar: scalar(word, codes)? })
}

fn scalar(word: &str, codes: &BTreeMap<String, CodeList>) -> Option<Scalar> {
    let (word, argument) = word.split_once(':').map_or((word, None), |(word, argument)| (word, Some(argument)));
    Some(match (word, argument) {
        ("text", None) => Scalar::Text,
        ("line", None) => Scalar::Line,
        ("date", None) => Scalar::Date,
        ("flag", None) => Scalar::Flag,
        ("number", Some(range)) => {
            let (min, max) = range.split_once('-')?;
            Scalar::Number { min: min.parse().ok()?, max: max.parse().ok()? }
        }
        ("decimal", None) => Scalar::Decimal,
        ("digits", Some(count)) => Scalar::Digits(count.parse().ok()?),
        ("code", Some(list)) => Scalar::Code(codes.get(list)?.clone()),
        ("country", None) => Scalar::Country(codes.get("country")?.clone()),
        ("nationality", None) => Scalar::Nationality(codes.get("country")?.clone()),
        ("language", None) => Scalar::Language,
        ("currency", None) => Scalar::Currency,
        ("grading", None) => Scalar::Grading,
        ("reference", None) => Scalar::Reference,
        ("image", None) => Scalar::Image,
        ("base64", None) => Scalar::Base64,
        _ => return None,
    })
}

fn role(word: String) -> SearchRole {
    match word.as_str() {
        "name" => SearchRole::Name,
        "birth-date" => SearchRole::BirthDate,
        "nationality" => SearchRole::Nationality,
        "sex" => SearchRole::Sex,
        "typed" => SearchRole::Typed,
        "own-type" => SearchRole::OwnType,
        _ => SearchRole::Identifier(word),
    }
}

/// A slot table that is not sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the slot table is not sound: {0}")]
pub struct SlotTableError(String);

#[derive(Deserialize)]
struct RawTable {
    schema: u16,
    codes: BTreeMap<String, Vec<String>>,
    common: RawCommon,
    #[serde(flatten)]
    subjects: BTreeMap<String, RawSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommon {
    slots: Vec<RawSlot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSection {
    kinds: Vec<NoticeKind>,
    slots: Vec<RawSlot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlot {
    n: u8,
    name: String,
    r#type: String,
    parts: Option<Vec<String>>,
    kinds: Option<Vec<NoticeKind>>,
    #[serde(default)]
    required: Vec<NoticeKind>,
    #[serde(default)]
    mandatory: bool,
    #[serde(default)]
    may_be_empty: bool,
    #[serde(default)]
    retention: RetentionClass,
    search: Option<String>,
    source: String,
}
