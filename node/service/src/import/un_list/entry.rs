//! One listed person or entity as the list states it, and how an element of the file becomes one.
//!
//! Nothing that the list says is dropped in silence: what has no field of its own is kept as text, and what
//! could not be understood is named in [`UnEntry::warnings`].

use eads_domain::code::Code;
use eads_domain::value::PartialDate;

use super::countries;
use crate::import::Rejection;
use crate::import::xml::Element;

/// Person or entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnKind {
    /// `INDIVIDUAL`.
    Person,
    /// `ENTITY`: a group, company or undertaking.
    Entity,
}

/// How well an alias identifies, in the list's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AliasQuality {
    /// `Good`: sufficient to identify.
    Good,
    /// `Low`: not sufficient by itself.
    Low,
    /// `a.k.a.`, of entities.
    AlsoKnownAs,
    /// `f.k.a.`, of entities.
    FormerlyKnownAs,
    /// Left blank.
    Unstated,
}

impl AliasQuality {
    /// The word of the list; empty if it was left blank.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "Good",
            Self::Low => "Low",
            Self::AlsoKnownAs => "a.k.a.",
            Self::FormerlyKnownAs => "f.k.a.",
            Self::Unstated => "",
        }
    }
}

/// Another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnAlias {
    /// How well it identifies.
    pub quality: AliasQuality,
    /// The name.
    pub name: String,
    /// A birth date stated with the alias.
    pub birth_date: Option<PartialDate>,
    /// The birth place stated with the alias, country last.
    pub birth_place: Option<String>,
    /// The list's remark.
    pub note: Option<String>,
}

/// A birth date with the certainty that the list gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnBirthDate {
    /// A day, or a year where the day is not known.
    Exact(PartialDate),
    /// About that time.
    Approximate(PartialDate),
    /// From one year to another, both included.
    Between(PartialDate, PartialDate),
    /// In words only.
    Words(String),
}

/// A country as the list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnCountry {
    /// The list's words.
    pub name: String,
    /// ISO 3166-1 alpha-2, if the name is in the table.
    pub code: Option<&'static str>,
}

/// A place: the parts that are known, smallest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnPlace {
    /// Street, city, province, postal code.
    pub parts: Vec<String>,
    /// The country.
    pub country: Option<UnCountry>,
    /// The list's remark.
    pub note: Option<String>,
}

impl UnPlace {
    /// In one line, country last.
    pub fn line(&self) -> String {
        let country = self.country.as_ref().map(|country| country.name.as_str());
        self.parts.iter().map(String::as_str).chain(country).collect::<Vec<_>>().join(", ")
    }
}

/// What kind of document, as far as the list's many wordings can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnDocumentType {
    /// A passport of any sort.
    Passport,
    /// A national identity card or number.
    NationalId,
    /// Any other, or unstated.
    Other,
}

/// An identity document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnDocument {
    /// Its kind.
    pub kind: UnDocumentType,
    /// The list's words for it.
    pub kind_words: String,
    /// Its number as the list writes it, words around the number included.
    pub number: Option<String>,
    /// Who issued it.
    pub country: Option<UnCountry>,
    /// When it was issued.
    pub issued: Option<PartialDate>,
    /// The list's remark, and the city of issue.
    pub note: Option<String>,
}

/// Something in an entry that could not be understood; the entry is used without it, the text is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line, from 1.
    pub line: u64,
    /// A stable code.
    pub code: Code,
    /// What to look at, without personal data.
    pub text: String,
}

/// One entry of the consolidated list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnEntry {
    /// The line where the entry begins, from 1.
    pub line: u64,
    /// Person or entity.
    pub kind: UnKind,
    /// `DATAID`: stable over the life of the entry.
    pub data_id: u64,
    /// `VERSIONNUM`.
    pub version: u32,
    /// The permanent reference number, `QDi.001`.
    pub reference: String,
    /// `UN_LIST_TYPE`: the committee's list.
    pub list: String,
    /// First to fourth name, those that are stated. At least one.
    pub names: Vec<String>,
    /// The name in its own script.
    pub name_original_script: Option<String>,
    /// Other names.
    pub aliases: Vec<UnAlias>,
    /// `M` or `F`, if stated.
    pub sex: Option<char>,
    /// Honorifics and ranks.
    pub titles: Vec<String>,
    /// Functions.
    pub designations: Vec<String>,
    /// Nationalities.
    pub nationalities: Vec<UnCountry>,
    /// Birth dates, all that the list gives.
    pub birth_dates: Vec<UnBirthDate>,
    /// Birth places.
    pub birth_places: Vec<UnPlace>,
    /// Addresses.
    pub addresses: Vec<UnPlace>,
    /// Identity documents.
    pub documents: Vec<UnDocument>,
    /// The committee's remarks.
    pub comments: Option<String>,
    /// The day of listing.
    pub listed_on: Option<PartialDate>,
    /// The day of the last change.
    pub updated_on: Option<PartialDate>,
    /// What was not understood.
    pub warnings: Vec<Warning>,
}

impl UnEntry {
    /// First to fourth name in one line.
    pub fn full_name(&self) -> String {
        self.names.join(" ")
    }

    /// From one `INDIVIDUAL` or `ENTITY`.
    pub(super) fn from_element(kind: UnKind, element: &Element) -> Result<Self, Rejection> {
        let data_id = element.text_of("DATAID");
        let reject = |code, reason: &str| Rejection {
            line: element.line,
            key: element.text_of("REFERENCE_NUMBER").or_else(|| data_id.clone()),
            code: Code::new(code),
            reason: reason.to_owned(),
        };
        let id = data_id.as_deref().and_then(|text| text.parse().ok());
        let id = id.ok_or_else(|| reject("UN_DATA_ID_INVALID", "DATAID is missing or not a number"))?;
        let reference = element.text_of("REFERENCE_NUMBER").filter(|text| is_reference(text));
        let reference = reference
            .ok_or_else(|| reject("UN_REFERENCE_INVALID", "REFERENCE_NUMBER is missing or not of the form QDi.001"))?;
        let names: Vec<String> = ["FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME"]
            .into_iter()
            .filter_map(|name| element.text_of(name))
            .collect();
        if names.is_empty() {
            return Err(reject("UN_NAME_MISSING", "none of FIRST_NAME to FOURTH_NAME is stated"));
        }

        let mut notes = Notes { line: element.line, warnings: Vec::new() };
        notes.unknown_elements(element, KNOWN);
        let of = |person, entity| if kind == UnKind::Person { person } else { entity };
        let comments: Vec<String> = element.all("COMMENTS1").filter_map(Element::tidy_text).collect();
        let updates = values(element, "LAST_DAY_UPDATED");
        Ok(Self {
            line: element.line,
            kind,
            data_id: id,
            version: notes.number(element, "VERSIONNUM"),
            reference,
            list: element.text_of("UN_LIST_TYPE").unwrap_or_default(),
            names,
            name_original_script: element.text_of("NAME_ORIGINAL_SCRIPT"),
            aliases: notes.aliases(element, of("INDIVIDUAL_ALIAS", "ENTITY_ALIAS")),
            sex: notes.sex(element),
            titles: values(element, "TITLE"),
            designations: values(element, "DESIGNATION"),
            nationalities: values(element, "NATIONALITY").into_iter().filter_map(|n| notes.country(n)).collect(),
            birth_dates: notes.birth_dates(element),
            birth_places: notes.places(element, "INDIVIDUAL_PLACE_OF_BIRTH"),
            addresses: notes.places(element, of("INDIVIDUAL_ADDRESS", "ENTITY_ADDRESS")),
            documents: notes.documents(element),
            comments: (!comments.is_empty()).then(|| comments.join(" ")),
            listed_on: notes.date(element, "LISTED_ON"),
            updated_on: updates.iter().filter_map(|text| notes.parse_date("LAST_DAY_UPDATED", text)).max(),
            warnings: notes.warnings,
        })
    }
}

/// The children that this version of the list is known to have.
const KNOWN: &[&str] = &[
    "DATAID",
    "VERSIONNUM",
    "FIRST_NAME",
    "SECOND_NAME",
    "THIRD_NAME",
    "FOURTH_NAME",
    "UN_LIST_TYPE",
    "REFERENCE_NUMBER",
    "LISTED_ON",
    "NAME_ORIGINAL_SCRIPT",
    "COMMENTS1",
    "GENDER",
    "TITLE",
    "DESIGNATION",
    "NATIONALITY",
    "LIST_TYPE",
    "LAST_DAY_UPDATED",
    "INDIVIDUAL_ALIAS",
    "INDIVIDUAL_ADDRESS",
    "INDIVIDUAL_DATE_OF_BIRTH",
    "INDIVIDUAL_PLACE_OF_BIRTH",
    "INDIVIDUAL_DOCUMENT",
    "ENTITY_ALIAS",
    "ENTITY_ADDRESS",
    "SORT_KEY",
    "SORT_KEY_LAST_MOD",
];

/// `QDi.001`: capital letters, `i` or `e`, a full stop, digits.
fn is_reference(text: &str) -> bool {
    let Some((series, number)) = text.split_once('.') else { return false };
    (2..=6).contains(&series.len())
        && series.ends_with(['i', 'e'])
        && series.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (1..=6).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The texts of `name/VALUE`, without repeats, in their order.
fn values(element: &Element, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for text in element.all(name).flat_map(|outer| outer.all("VALUE")).filter_map(Element::tidy_text) {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// Reads the parts of an entry and notes what it cannot understand.
struct Notes {
    line: u64,
    warnings: Vec<Warning>,
}

impl Notes {
    fn warn(&mut self, code: &'static str, text: String) {
        self.warnings.push(Warning { line: self.line, code: Code::new(code), text });
    }

    fn unknown_elements(&mut self, element: &Element, known: &[&str]) {
        let unknown = element.children.iter().filter(|child| !known.contains(&child.name.as_str())).count();
        if unknown > 0 {
            self.warn("UN_ELEMENT_UNKNOWN", format!("{unknown} elements that this version does not know"));
        }
    }

    fn number(&mut self, element: &Element, name: &'static str) -> u32 {
        let parsed = element.text_of(name).and_then(|text| text.parse().ok());
        parsed.unwrap_or_else(|| {
            self.warn("UN_NUMBER_INVALID", format!("{name} is missing or not a number; taken as 0"));
            0
        })
    }

    fn parse_date(&mut self, name: &'static str, text: &str) -> Option<PartialDate> {
        // Some days carry an offset, `2004-02-03-05:00`; the day is what the committee decided.
        let day = if text.len() > 10 { text.get(..10).unwrap_or(text) } else { text };
        let parsed = day.parse().ok();
        if parsed.is_none() {
            self.warn("UN_DATE_INVALID", format!("{name} is not a date"));
        }
        parsed
    }

    fn date(&mut self, element: &Element, name: &'static str) -> Option<PartialDate> {
        element.text_of(name).and_then(|text| self.parse_date(name, &text))
    }

    fn country(&mut self, name: String) -> Option<UnCountry> {
        if countries::is_blank(&name) {
            return None;
        }
        let code = countries::alpha2(&name);
        if code.is_none() {
            self.warn("UN_COUNTRY_UNMAPPED", format!("no ISO 3166 code for \"{name}\"; kept as text"));
        }
        Some(UnCountry { name, code })
    }

    fn sex(&mut self, element: &Element) -> Option<char> {
        match element.text_of("GENDER")?.as_str() {
            "Male" => Some('M'),
            "Female" => Some('F'),
            _ => {
                self.warn("UN_GENDER_UNKNOWN", "GENDER is neither Male nor Female".to_owned());
                None
            }
        }
    }

    fn aliases(&mut self, element: &Element, name: &'static str) -> Vec<UnAlias> {
        let mut found: Vec<UnAlias> = Vec::new();
        for alias in element.all(name) {
            let Some(alias_name) = alias.text_of("ALIAS_NAME") else { continue };
            let quality = match alias.text_of("QUALITY").as_deref() {
                None => AliasQuality::Unstated,
                Some("Good") => AliasQuality::Good,
                Some("Low") => AliasQuality::Low,
                Some("a.k.a.") => AliasQuality::AlsoKnownAs,
                Some("f.k.a.") => AliasQuality::FormerlyKnownAs,
                Some(_) => {
                    self.warn("UN_ALIAS_QUALITY_UNKNOWN", "QUALITY of an alias is not known".to_owned());
                    AliasQuality::Unstated
                }
            };
            let place: Vec<String> =
                ["CITY_OF_BIRTH", "COUNTRY_OF_BIRTH"].into_iter().filter_map(|part| alias.text_of(part)).collect();
            let alias = UnAlias {
                quality,
                name: alias_name,
                birth_date: self.date(alias, "DATE_OF_BIRTH"),
                birth_place: (!place.is_empty()).then(|| place.join(", ")),
                note: alias.text_of("NOTE"),
            };
            if !found.contains(&alias) {
                found.push(alias);
            }
        }
        found
    }

    fn birth_dates(&mut self, element: &Element) -> Vec<UnBirthDate> {
        let mut found = Vec::new();
        for birth in element.all("INDIVIDUAL_DATE_OF_BIRTH") {
            let note = birth.text_of("NOTE");
            let date = self.date(birth, "DATE").or_else(|| self.date(birth, "YEAR"));
            let from = self.date(birth, "FROM_YEAR");
            let to = self.date(birth, "TO_YEAR");
            let kind = birth.text_of("TYPE_OF_DATE");
            let parsed = match (kind.as_deref(), date, from, to) {
                (_, None, Some(from), Some(to)) if from <= to => Some(UnBirthDate::Between(from, to)),
                (_, None, None, None) => None,
                (Some("APPROXIMATELY"), Some(date), ..) => Some(UnBirthDate::Approximate(date)),
                (_, Some(date), ..) => Some(UnBirthDate::Exact(date)),
                _ => {
                    self.warn("UN_BIRTH_DATE_INVALID", "a birth date has half a range".to_owned());
                    None
                }
            };
            for birth_date in parsed.into_iter().chain(note.map(UnBirthDate::Words)) {
                if !found.contains(&birth_date) {
                    found.push(birth_date);
                }
            }
        }
        found
    }

    fn places(&mut self, element: &Element, name: &'static str) -> Vec<UnPlace> {
        let mut found = Vec::new();
        for place in element.all(name) {
            let parts: Vec<String> = ["STREET", "CITY", "STATE_PROVINCE", "ZIP_CODE"]
                .into_iter()
                .filter_map(|part| place.text_of(part))
                .collect();
            let country = place.text_of("COUNTRY").and_then(|name| self.country(name));
            let place = UnPlace { parts, country, note: place.text_of("NOTE") };
            let says_something = !place.parts.is_empty() || place.country.is_some() || place.note.is_some();
            if says_something && !found.contains(&place) {
                found.push(place);
            }
        }
        found
    }

    fn documents(&mut self, element: &Element) -> Vec<UnDocument> {
        let mut found = Vec::new();
        for document in element.all("INDIVIDUAL_DOCUMENT") {
            let words: Vec<String> =
                ["TYPE_OF_DOCUMENT", "TYPE_OF_DOCUMENT2"].into_iter().filter_map(|t| document.text_of(t)).collect();
            let country = ["ISSUING_COUNTRY", "COUNTRY_OF_ISSUE"].into_iter().find_map(|name| document.text_of(name));
            let note: Vec<String> =
                ["CITY_OF_ISSUE", "NOTE"].into_iter().filter_map(|part| document.text_of(part)).collect();
            let number = document.text_of("NUMBER").filter(|number| !countries::is_blank(number));
            if number.is_none() && note.is_empty() {
                continue;
            }
            let document = UnDocument {
                kind: document_type(&words),
                kind_words: words.join(", "),
                number,
                country: country.and_then(|name| self.country(name)),
                issued: self.date(document, "DATE_OF_ISSUE"),
                note: (!note.is_empty()).then(|| note.join("; ")),
            };
            if !found.contains(&document) {
                found.push(document);
            }
        }
        found
    }
}

/// The second, more precise wording decides where there is one.
fn document_type(words: &[String]) -> UnDocumentType {
    let of = |text: &String| {
        let text = text.to_lowercase();
        if text.contains("passport") || text.contains("passeport") || text.contains("pasaporte") {
            UnDocumentType::Passport
        } else if ["national id", "identity", "identification"].iter().any(|word| text.contains(word)) {
            UnDocumentType::NationalId
        } else {
            UnDocumentType::Other
        }
    };
    words.iter().map(of).rfind(|kind| *kind != UnDocumentType::Other).unwrap_or(UnDocumentType::Other)
}
