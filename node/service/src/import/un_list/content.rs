//! An entry of the list as the content of a notice of kind `un`.
//!
//! What the slots cannot hold exactly (approximate dates, remarks, titles, countries that are no more) stands in
//! the summary in a fixed order and wording, so that nothing is lost and equal entries have equal contents.

use eads_domain::id::Hash;
use eads_domain::slot::{Content, ContentError, SlotTable};
use eads_domain::subject::{NoticeKind, SubjectType};
use eads_domain::value::{PartialDate, Text, Value};

use super::entry::{AliasQuality, UnBirthDate, UnDocument, UnDocumentType, UnEntry, UnKind, UnPlace};

/// Who maintains the list.
const AUTHORITY: &str = "United Nations Security Council";
/// Public data of an official source: handling without further restriction, reliability of the source not in
/// doubt, content known to the source.
const HANDLING: &str = "H0";
const GRADING: &str = "A2";

/// The content of a notice about the entry: complete but for what the node adds (reference, version, approvals).
///
/// # Errors
/// [`ContentError`] if a text of the entry does not fit its slot.
pub fn to_content(entry: &UnEntry) -> Result<Content, ContentError> {
    let subject = match entry.kind {
        UnKind::Person => SubjectType::Person,
        UnKind::Entity => SubjectType::Organisation,
    };
    let mut draft = Draft { subject, content: Content::build(subject, NoticeKind::Un, [])?, remarks: Vec::new() };
    draft.set("handling", list([list([text("handling", HANDLING)?, Value::Absent])]))?;
    draft.set("grading", text("grading", GRADING)?)?;
    draft.set("legal-basis", list([text("legal-basis", "un-resolution")?]))?;
    draft.set("authority", text("authority", AUTHORITY)?)?;
    draft.names(entry)?;
    draft.addresses(&entry.addresses)?;
    draft.listing(entry)?;
    if entry.kind == UnKind::Person {
        draft.birth(entry)?;
        draft.person(entry)?;
        draft.documents(&entry.documents)?;
    }
    draft.summary(entry)?;
    Ok(draft.content)
}

/// A digest of what a content says, by which an import sees that nothing changed.
pub fn content_digest(content: &Content) -> Hash {
    content.digest()
}

struct Draft {
    subject: SubjectType,
    content: Content,
    remarks: Vec<String>,
}

impl Draft {
    fn set(&mut self, field: &'static str, value: Value) -> Result<(), ContentError> {
        if value == Value::List(Vec::new()) {
            return Ok(());
        }
        let spec = SlotTable::get().by_name(self.subject, field);
        let unknown = || ContentError::UnknownField { subject: self.subject, name: field.to_owned() };
        self.content.set(spec.ok_or_else(unknown)?.number, value)
    }

    fn remark(&mut self, label: &str, words: &str) {
        self.remarks.push(format!("{label}: {words}"));
    }

    /// The list numbers the parts of a name and does not say which is the family's: the first is taken as given.
    fn names(&mut self, entry: &UnEntry) -> Result<(), ContentError> {
        match (entry.kind, entry.names.as_slice()) {
            (UnKind::Person, [given, rest @ ..]) if !rest.is_empty() => {
                self.set("given-names", text("given-names", given)?)?;
                self.set("family-name", text("family-name", &rest.join(" "))?)?;
            }
            (UnKind::Person, names) => self.set("family-name", text("family-name", &names.join(" "))?)?,
            (UnKind::Entity, names) => self.set("name", text("name", &names.join(" "))?)?,
        }
        if let Some(name) = &entry.name_original_script {
            self.set("name-original-script", text("name-original-script", name)?)?;
        }
        let mut aliases = Distinct::default();
        for alias in &entry.aliases {
            let quality = match alias.quality {
                AliasQuality::Good => text("aliases", "good")?,
                AliasQuality::Low => text("aliases", "low")?,
                AliasQuality::AlsoKnownAs => text("aliases", "also-known-as")?,
                AliasQuality::FormerlyKnownAs => text("aliases", "formerly-known-as")?,
                AliasQuality::Unstated => Value::Absent,
            };
            aliases.push(list([text("aliases", &alias.name)?, quality, Value::Absent]));
            let birth_date = alias.birth_date.map(|date| format!("born {date}"));
            let birth_place = alias.birth_place.as_ref().map(|place| format!("born in {place}"));
            let said: Vec<String> = birth_date.into_iter().chain(birth_place).chain(alias.note.clone()).collect();
            if !said.is_empty() {
                self.remark("Alias", &format!("{} ({})", alias.name, said.join("; ")));
            }
        }
        self.set("aliases", aliases.into_value())
    }

    fn addresses(&mut self, places: &[UnPlace]) -> Result<(), ContentError> {
        let mut addresses = Distinct::default();
        for place in places {
            let line = place.line();
            let Some(address) = [Some(line), place.note.clone()].into_iter().flatten().find(|line| !line.is_empty())
            else {
                continue;
            };
            let country = place.country.as_ref().and_then(|country| country.code);
            let note = place.note.as_deref().filter(|note| *note != address);
            addresses.push(list([
                text("addresses", &address)?,
                optional("addresses", country)?,
                optional("addresses", note)?,
            ]));
        }
        self.set("addresses", addresses.into_value())
    }

    fn listing(&mut self, entry: &UnEntry) -> Result<(), ContentError> {
        let listing = list([
            text("un-listing", &entry.reference)?,
            Value::Absent,
            date(entry.listed_on),
            optional("un-listing", Some(entry.list.as_str()))?,
            date(entry.updated_on),
        ]);
        self.set("un-listing", listing)
    }

    /// The one birth date is an exact one; all others, the ends of ranges and the dates of aliases included, stand
    /// as other dates. How certain each is stands in the summary.
    fn birth(&mut self, entry: &UnEntry) -> Result<(), ContentError> {
        let exact = || {
            entry.birth_dates.iter().filter_map(|birth| match birth {
                UnBirthDate::Exact(date) => Some(*date),
                _ => None,
            })
        };
        let main = exact().find(|date| date.day().is_some()).or_else(|| exact().next());
        if let Some(main) = main {
            self.set("birth-date", Value::Date(main))?;
        }
        let mut others = Distinct::default();
        let mut add = |from, to| {
            if Some(from) != main || to != Value::Absent {
                others.push(list([Value::Date(from), to]));
            }
        };
        for birth in &entry.birth_dates {
            match birth {
                UnBirthDate::Exact(date) => add(*date, Value::Absent),
                UnBirthDate::Approximate(date) => {
                    add(*date, Value::Absent);
                    self.remarks.push(format!("Birth date: approximately {date}"));
                }
                UnBirthDate::Between(from, to) => add(*from, Value::Date(*to)),
                UnBirthDate::Words(words) => self.remarks.push(format!("Birth date: {words}")),
            }
        }
        entry.aliases.iter().filter_map(|alias| alias.birth_date).for_each(|date| add(date, Value::Absent));
        self.set("other-birth-dates", others.into_value())?;

        let (mut place_set, mut country_set) = (false, false);
        for place in &entry.birth_places {
            let line = place.line();
            let code = place.country.as_ref().and_then(|country| country.code);
            if !place_set && !place.parts.is_empty() {
                place_set = true;
                self.set("birth-place", text("birth-place", &line)?)?;
                if let Some(code) = code {
                    country_set = true;
                    self.set("birth-country", text("birth-country", code)?)?;
                }
            } else if !place_set && !country_set && code.is_some() {
                country_set = true;
                self.set("birth-country", optional("birth-country", code)?)?;
            } else if !line.is_empty() {
                self.remark("Birth place", &line);
            }
            if let Some(note) = &place.note {
                self.remark("Birth place", note);
            }
        }
        Ok(())
    }

    fn person(&mut self, entry: &UnEntry) -> Result<(), ContentError> {
        if let Some(sex) = entry.sex {
            self.set("sex", text("sex", sex.encode_utf8(&mut [0; 4]))?)?;
        }
        let mut nationalities = Distinct::default();
        for nationality in &entry.nationalities {
            match nationality.code {
                Some(code) => nationalities.push(text("nationalities", code)?),
                None => self.remark("Nationality", &nationality.name),
            }
        }
        self.set("nationalities", nationalities.into_value())?;
        if !entry.designations.is_empty() {
            self.set("profession", text("profession", &entry.designations.join("; "))?)?;
        }
        if !entry.titles.is_empty() {
            self.remark("Title", &entry.titles.join("; "));
        }
        Ok(())
    }

    fn documents(&mut self, documents: &[UnDocument]) -> Result<(), ContentError> {
        let mut found = Distinct::default();
        for document in documents {
            let country = document.country.as_ref().and_then(|country| country.code);
            if let Some(written) = &document.number {
                found.push(list([
                    text("documents", document_type(document))?,
                    text("documents", bare_number(written))?,
                    optional("documents", country)?,
                    date(document.issued),
                    Value::Absent,
                ]));
            }
            let plain = document.kind_words == "Passport" || document.kind_words == "National Identification Number";
            let number = document.number.as_deref().filter(|written| bare_number(written) != *written);
            let words = Some(document.kind_words.as_str()).filter(|words| !plain && !words.is_empty());
            let former = document.country.as_ref().filter(|country| country.code.is_none());
            let said: Vec<&str> = [words, number, former.map(|country| country.name.as_str())]
                .into_iter()
                .flatten()
                .chain(document.note.as_deref())
                .collect();
            if !said.is_empty() {
                let which = document.number.as_deref().map_or("", bare_number);
                self.remark(format!("Document {which}").trim_end(), &said.join("; "));
            }
        }
        self.set("documents", found.into_value())
    }

    /// The committee's words first, then the remarks; cut at the end if they are longer than a text may be.
    fn summary(&mut self, entry: &UnEntry) -> Result<(), ContentError> {
        let lines: Vec<String> = entry.comments.iter().cloned().chain(std::mem::take(&mut self.remarks)).collect();
        let mut summary = lines.join("\n");
        if summary.is_empty() {
            return Ok(());
        }
        // Composition may lengthen a text; half of the room is always enough.
        let fits = [Text::MAX_BYTES, Text::MAX_BYTES / 2].into_iter().find_map(|max| {
            summary.truncate(summary.floor_char_boundary(max));
            Value::text(&summary).ok()
        });
        fits.map_or(Ok(()), |value| self.set("summary", value))
    }
}

/// Items without repeats, in their order.
#[derive(Default)]
struct Distinct(Vec<Value>);

impl Distinct {
    fn push(&mut self, value: Value) {
        if !self.0.contains(&value) {
            self.0.push(value);
        }
    }

    fn into_value(self) -> Value {
        Value::List(self.0)
    }
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

fn text(field: &'static str, written: &str) -> Result<Value, ContentError> {
    Value::text(written).map_err(|source| ContentError::Text { field, source })
}

fn optional(field: &'static str, written: Option<&str>) -> Result<Value, ContentError> {
    written.filter(|written| !written.is_empty()).map_or(Ok(Value::Absent), |written| text(field, written))
}

fn date(date: Option<PartialDate>) -> Value {
    date.map_or(Value::Absent, Value::Date)
}

fn document_type(document: &UnDocument) -> &'static str {
    let words = format!("{} {}", document.kind_words, document.number.as_deref().unwrap_or_default()).to_lowercase();
    let says = |word: &str| words.contains(word);
    match document.kind {
        _ if says("diplomatic passport") => "diplomatic-passport",
        _ if says("service passport") => "service-passport",
        _ if says("laissez-passer") => "laissez-passer",
        UnDocumentType::Passport => "passport",
        _ if says("birth certificate") => "birth-certificate",
        _ if says("driver") || says("driving") => "driving-licence",
        _ if says("fiscal code") || says("tax") => "tax-number",
        UnDocumentType::NationalId => "national-identity-card",
        UnDocumentType::Other => "other",
    }
}

/// Some numbers are written with words before them ("diplomatic passport no. D00000001"); what stands after the
/// last word is what a document is looked up by. The whole is kept in the summary.
fn bare_number(written: &str) -> &str {
    let is_word = |piece: &str| {
        let letters = piece.trim_matches(|c: char| !c.is_alphanumeric());
        letters.chars().filter(|c| c.is_lowercase()).count() >= 2 && !letters.chars().any(|c| c.is_ascii_digit())
    };
    let mut at = 0;
    let mut words_end = None;
    for piece in written.split(' ') {
        at += piece.len();
        if is_word(piece) {
            words_end = Some(at);
        }
        at += 1;
    }
    let after_words = words_end.and_then(|end| written.get(end..));
    let after_words =
        after_words.map(|rest| rest.trim_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '.' | ',')));
    after_words.filter(|rest| rest.chars().any(|c| c.is_ascii_digit())).unwrap_or(written)
}
