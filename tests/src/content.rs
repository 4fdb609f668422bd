//! Contents of invented subjects, and agreements.

use std::collections::BTreeMap;

use eads_domain::id::MemberId;
use eads_domain::slot::{Content, FieldInput, SlotNumber};
use eads_domain::value::Value;
use eads_proto::v1;

/// An invented person who is wanted; every value that identifies is made from `tag`, so that it can be looked for.
pub fn red(tag: &str) -> String {
    format!(
        r#"kind = "red"
subject = "person"
handling = ["H1"]
grading = "B2"
legal-basis = ["arrest-warrant"]
reasons = []
protection = []
authority = "Court of {tag}"
requested-action = "arrest-for-extradition"
family-name = "{tag}family"
given-names = "{tag}given"
aliases = ["{tag}alias"]
birth-date = 1984-07-19
sex = "M"
nationalities = ["ID"]
documents = [{{ type = "passport", number = "{number}", country = "ID" }}]
phones = ["+62 800 {tag}"]
height-cm = 171
warrants = [{{ country = "ID", charge = "{tag}charge", penalty = "up to 6 years", reference = "{tag}/17" }}]
penalty = {{ maximum-months = 72 }}
offences = ["online-scam"]
summary = "{tag}summary."
"#,
        number = passport(tag)
    )
}

/// The passport number of the person of `tag`.
pub fn passport(tag: &str) -> String {
    format!("X{}", tag.to_uppercase())
}

/// Every value of the person of `tag` that a search of a disk could find.
pub fn secrets(tag: &str) -> Vec<String> {
    let words = ["family", "given", "alias", "charge", "summary"].map(|word| format!("{tag}{word}"));
    words.into_iter().chain([passport(tag), format!("+62 800 {tag}"), format!("Court of {tag}")]).collect()
}

/// A stolen passport of that number.
pub fn stolen_passport(number: &str) -> String {
    format!(
        r#"kind = "document"
subject = "document"
handling = ["H1"]
grading = "A1"
legal-basis = ["theft-or-loss-report"]
reasons = []
protection = []
requested-action = "seize-document"
document-type = "passport"
number = "{number}"
country = "TH"
document-reason = "stolen"
event-date = 2026-03-01
report = "RPT/2026/18"
"#
    )
}

/// The fields of a draft in TOML as a content.
///
/// # Panics
/// When they are not one.
pub fn content(draft: &str) -> Content {
    let fields: BTreeMap<String, FieldInput> = toml::from_str(draft).expect("a draft in TOML");
    Content::from_fields(fields).expect("fields of the slot table")
}

/// A content as `CreateDraft` takes it.
pub fn values(content: &Content) -> Vec<v1::SlotValue> {
    let of_the_node = [SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];
    let values = content.to_slot_values().into_iter().filter(|(slot, _)| !of_the_node.contains(slot));
    values.map(|(slot, value)| v1::SlotValue { slot: u32::from(slot.get()), value }).collect()
}

/// Reasons for a change of state, as `CreateDraft` takes them.
///
/// # Panics
/// When a reason is no text.
pub fn reasons(codes: &[&str]) -> Vec<v1::SlotValue> {
    let items = codes.iter().map(|code| Value::Text(eads_domain::value::Text::new(code).expect("a text"))).collect();
    vec![v1::SlotValue { slot: SlotNumber::REASONS.get().into(), value: Value::List(items).encode() }]
}

/// The text of one slot of a notice as a node shows it.
pub fn text_of(values: &[v1::SlotValue], content: &Content, name: &str) -> Option<String> {
    let slot = eads_domain::slot::SlotTable::get().by_name(content.subject(), name)?.number;
    let value = values.iter().find(|value| value.slot == u32::from(slot.get()))?;
    Value::parse(&value.value).ok()?.as_text().map(str::to_owned)
}

/// What an agreement of a test says.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Fields of persons that are withheld.
    pub withhold: Vec<&'static str>,
    /// Purposes for which questions are answered.
    pub purposes: Vec<&'static str>,
    /// Questions that are answered an hour.
    pub queries_per_hour: u32,
    /// `actionable`, `quarantine`, `refuse:REASON`.
    pub decision: &'static str,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            withhold: Vec::new(),
            purposes: vec!["criminal-investigation", "missing-person-search", "border-check", "exercise"],
            queries_per_hour: 6000,
            decision: "actionable",
        }
    }
}

impl Terms {
    /// The agreement file towards `peer`.
    pub fn with(&self, peer: MemberId) -> String {
        const KINDS: &str = r#"["red", "blue", "green", "yellow", "black", "orange", "purple", "silver", "un", "document", "vehicle", "vessel", "firearm"]"#;
        let Self { withhold, purposes, queries_per_hour, decision } = self;
        format!(
            r#"version = 1
member = "{peer}"
reference = "Memorandum for tests"
[sends]
kinds = {KINDS}
[sends.withhold]
person = {withhold:?}
[answers]
subjects = ["person", "organisation", "body", "document", "vehicle", "vessel", "firearm", "asset", "identifier"]
purposes = {purposes:?}
shows = ["family-name", "given-names", "birth-date", "number"]
queries_per_hour = {queries_per_hour}
[receives]
kinds = {KINDS}
decision = "{decision}"
"#
        )
    }
}
