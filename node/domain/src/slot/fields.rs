//! What can be read off the fields of a notice, whether all of them are known or only those that are shown.

use std::collections::BTreeMap;

use super::table::SearchRole;
use super::{FieldInput, RetentionClass, Shape, SlotNumber, SlotSpec, SlotTable};
use crate::reference::Reference;
use crate::subject::{NoticeKind, SubjectType};
use crate::value::{PartialDate, Value};

/// The reason that marks a notice which one officer issued.
pub const EMERGENCY: &str = "emergency";
/// The reason that marks a notice for legal review at both ends.
pub const LEGAL_REVIEW: &str = "legal-review";

/// The fields of one version of a notice: whole ([`Content`](super::Content)) or as far as they are shown
/// ([`DisclosedContent`](crate::disclosure::DisclosedContent)).
pub trait Fields {
    /// What it is about.
    fn subject(&self) -> SubjectType;

    /// The kind of the notice.
    fn kind(&self) -> NoticeKind;

    /// The value of a slot; `None` if it is withheld.
    fn shown(&self, slot: SlotNumber) -> Option<&Value>;

    /// The value of a field by its name; `None` if it is withheld, absent, or not a field of the subject.
    fn by_name(&self, name: &str) -> Option<&Value> {
        let spec = SlotTable::get().by_name(self.subject(), name)?;
        self.shown(spec.number).filter(|value| !value.is_absent())
    }

    /// The text of a field by its name, where it is shown and a text.
    fn text_of(&self, name: &str) -> Option<&str> {
        self.by_name(name)?.as_text()
    }

    /// The reference that people cite, once the node has set it.
    fn reference(&self) -> Option<Reference> {
        self.shown(SlotNumber::REFERENCE)?.as_text()?.parse().ok()
    }

    /// The version, counted from 1, once the node has set it.
    fn version(&self) -> Option<u16> {
        self.shown(SlotNumber::VERSION)?.as_text()?.parse().ok()
    }

    /// Whether it is an exercise.
    fn is_exercise(&self) -> bool {
        self.shown(SlotNumber::EXERCISE).and_then(Value::as_text) == Some("1")
    }

    /// The handling codes.
    fn handling(&self) -> Vec<&str> {
        texts(self.shown(SlotNumber::HANDLING))
    }

    /// The reasons of a suspension, resumption or withdrawal.
    fn reasons(&self) -> Vec<&str> {
        texts(self.shown(SlotNumber::REASONS))
    }

    /// Whether one officer issued it, and the second is still awaited.
    fn is_emergency(&self) -> bool {
        self.reasons().contains(&EMERGENCY)
    }

    /// Whether it is marked for legal review: a political, military, religious or racial character was thought of
    /// (article 3 of INTERPOL's constitution).
    fn is_for_legal_review(&self) -> bool {
        self.reasons().contains(&LEGAL_REVIEW)
    }

    /// Why the subject needs protection.
    fn protection(&self) -> Vec<&str> {
        texts(self.shown(SlotNumber::PROTECTION))
    }

    /// One line that names the subject as far as it is shown, `DOE, Jane (1990-05-01, ID)`; the subject type
    /// where nothing that names it is shown.
    fn title(&self) -> String {
        title(self.subject(), &|name| self.by_name(name))
    }

    /// What a look-up may find the notice by, as far as it is shown.
    fn search_keys(&self) -> SearchKeys {
        let mut keys = SearchKeys::default();
        for spec in SlotTable::get().slots(self.subject()) {
            if let (Some(role), Some(value)) = (&spec.search, self.shown(spec.number))
                && spec.retention != RetentionClass::Sensitive
            {
                keys.add(role, spec, value, self.text_of("identifier-type"));
            }
        }
        for (given, family) in [("given-names", "family-name"), ("holder-given-names", "holder-family-name")] {
            if let (Some(given), Some(family)) = (self.text_of(given), self.text_of(family)) {
                keys.names.retain(|name| name != given && name != family);
                keys.names.insert(0, format!("{given} {family}"));
            }
        }
        keys
    }

    /// The shown fields by name, in the form in which a draft is written; also those that only the node sets.
    fn to_fields(&self) -> BTreeMap<String, FieldInput> {
        SlotTable::get()
            .slots(self.subject())
            .filter_map(|spec| {
                let value = self.shown(spec.number).filter(|value| !value.is_absent())?;
                Some((spec.name.clone(), FieldInput::from_value(&spec.shape, value)))
            })
            .collect()
    }
}

/// The texts of a list; of an item with parts, its first.
fn texts(value: Option<&Value>) -> Vec<&str> {
    value.map_or(&[][..], Value::items).iter().filter_map(|item| first_text(item)).collect()
}

fn first_text(value: &Value) -> Option<&str> {
    match value {
        Value::List(parts) => parts.first()?.as_text(),
        value => value.as_text(),
    }
}

/// What a look-up may find a subject by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchKeys {
    /// Full names, the main one first, then other scripts and aliases. Where given and family names are both
    /// known they stand together, given names first.
    pub names: Vec<String>,
    /// (identifier type, value as written); not normalised.
    pub identifiers: Vec<(String, String)>,
    /// Birth dates, the main one first. Of a range, both ends.
    pub birth_dates: Vec<PartialDate>,
    /// ISO 3166-1 alpha-2, or ICAO's `XXA`, `XXB`, `XXC`.
    pub nationalities: Vec<String>,
    /// `M`, `F`, `U` or `X`.
    pub sex: Option<char>,
}

impl SearchKeys {
    fn add(&mut self, role: &SearchRole, spec: &SlotSpec, value: &Value, own_type: Option<&str>) {
        let items: &[Value] = match (&spec.shape, value) {
            (Shape::Many(_) | Shape::ManyParts(_), Value::List(items)) => items,
            (_, Value::Absent | Value::Unknown) => &[],
            (_, value) => std::slice::from_ref(value),
        };
        for item in items {
            let part = |name: &str| part(&spec.shape, item, name).and_then(Value::as_text).map(str::to_owned);
            match role {
                SearchRole::Name => {
                    self.names.extend(first_text(item).map(str::to_owned));
                    self.names.extend(part("original-script"));
                }
                SearchRole::BirthDate => match item {
                    Value::List(parts) => self.birth_dates.extend(parts.iter().filter_map(Value::as_date)),
                    item => self.birth_dates.extend(item.as_date()),
                },
                SearchRole::Nationality => self.nationalities.extend(first_text(item).map(str::to_owned)),
                SearchRole::Sex => self.sex = first_text(item).and_then(|text| text.chars().next()).or(self.sex),
                SearchRole::Identifier(kind) => {
                    let value = part("number").or_else(|| first_text(item).map(str::to_owned));
                    self.identifiers.extend(value.map(|value| (kind.clone(), value)));
                }
                SearchRole::Typed => self.identifiers.extend(part("type").zip(part("value"))),
                SearchRole::OwnType => {
                    self.identifiers.extend(own_type.map(str::to_owned).zip(first_text(item).map(str::to_owned)));
                }
            }
        }
    }
}

/// The part called `name` of a value with parts.
fn part<'a>(shape: &Shape, value: &'a Value, name: &str) -> Option<&'a Value> {
    let (Shape::Parts(parts) | Shape::ManyParts(parts)) = shape else { return None };
    value.items().get(parts.iter().position(|part| part.name == name)?)
}

fn title<'a>(subject: SubjectType, field: &dyn Fn(&str) -> Option<&'a Value>) -> String {
    let text = |name: &str| field(name).and_then(first_text);
    let date = |name: &str| field(name).and_then(Value::as_date).map(|date| date.to_string());
    let first = |name: &str| field(name).and_then(|value| value.items().first()).and_then(first_text);
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let (name, details): (Option<String>, Vec<Option<String>>) = match subject {
        SubjectType::Person => {
            let name = match (text("family-name"), text("given-names")) {
                (Some(family), Some(given)) => Some(format!("{}, {given}", family.to_uppercase())),
                (Some(family), None) => Some(family.to_uppercase()),
                (None, given) => owned(given.or_else(|| text("name-original-script")).or_else(|| first("aliases"))),
            };
            (name, vec![date("birth-date"), owned(first("nationalities"))])
        }
        SubjectType::Organisation => (owned(text("name")), vec![owned(text("registration-country"))]),
        SubjectType::Body => {
            let place = text("found-place").map(|place| format!("found at {place}"));
            (place, vec![date("found-date"), owned(text("sex"))])
        }
        SubjectType::Document => {
            let name = text("number").map(|number| format!("{} {number}", text("document-type").unwrap_or("document")));
            (name, vec![owned(text("country")), owned(text("document-reason"))])
        }
        SubjectType::Vehicle => {
            let vin = || text("vin").map(|vin| format!("VIN {vin}"));
            (text("plate").map(str::to_owned).or_else(vin), vec![owned(text("make")), owned(text("model"))])
        }
        SubjectType::Vessel => {
            let imo = text("imo").map(|imo| format!("IMO {imo}"));
            (owned(text("vessel-name")).or_else(|| imo.clone()), vec![imo, owned(text("flag"))])
        }
        SubjectType::Firearm => {
            let name =
                text("make").map(|make| format!("{make} {}", text("model").unwrap_or_default()).trim().to_owned());
            (name, vec![owned(text("calibre")), owned(text("serial"))])
        }
        SubjectType::Asset => (owned(text("description")), vec![owned(text("asset-type"))]),
        SubjectType::Identifier => {
            (owned(text("value")), vec![owned(text("identifier-type")), owned(text("provider"))])
        }
        SubjectType::ModusOperandi => (owned(text("title")), vec![]),
    };
    let name = name.map_or_else(|| subject.to_string(), |name| shorten(&name));
    let details: Vec<String> = details.into_iter().flatten().filter(|detail| *detail != name).collect();
    if details.is_empty() { name } else { format!("{name} ({})", details.join(", ")) }
}

/// The first line, at most 80 characters of it.
fn shorten(text: &str) -> String {
    const MAX: usize = 80;
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
