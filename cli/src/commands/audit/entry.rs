//! An entry as programs and people read it.

use eads_proto::v1 as proto;
use serde::Serialize;

use crate::output::{Grid, Page, Tone, json_time, moment, plural};

/// One entry in JSON. `slots` lists the numbers of the slots that were shown.
#[derive(Debug, Serialize)]
pub(super) struct EntryView {
    pub(super) sequence: u64,
    pub(super) kind: String,
    pub(super) at: Option<String>,
    pub(super) request_id: String,
    pub(super) actor: String,
    pub(super) roles: Vec<String>,
    pub(super) operation: String,
    pub(super) purpose: String,
    pub(super) legal_basis: String,
    pub(super) case_reference: String,
    pub(super) result: String,
    pub(super) peer: String,
    pub(super) subject: String,
    pub(super) intent: Option<u64>,
    pub(super) shown: Vec<ShownView>,
    pub(super) query_text: String,
    pub(super) unfinished: bool,
    pub(super) chain: String,
}

#[derive(Debug, Serialize)]
pub(super) struct ShownView {
    pub(super) digest: String,
    pub(super) slots: Vec<u8>,
}

impl EntryView {
    fn result_cell(&self) -> (String, Tone) {
        match (self.result.as_str(), self.unfinished) {
            (_, true) => ("no outcome".to_owned(), Tone::Caution),
            (result @ ("OK" | ""), _) => (result.to_owned(), Tone::Plain),
            (result, _) if is_answer(result) => (result.to_owned(), Tone::Plain),
            (refused, _) => (refused.to_owned(), Tone::Bad),
        }
    }

    /// All of it, a line a field.
    pub(super) fn show(&self, page: &mut Page) {
        let fields = [
            ("sequence", self.sequence.to_string()),
            ("kind", self.kind.clone()),
            ("at", self.at.clone().unwrap_or_else(|| moment(0))),
            ("request", self.request_id.clone()),
            ("actor", self.actor.clone()),
            ("roles", self.roles.join(", ")),
            ("operation", self.operation.clone()),
            ("purpose", self.purpose.clone()),
            ("legal basis", self.legal_basis.clone()),
            ("case", self.case_reference.clone()),
            ("peer", self.peer.clone()),
            ("subject", self.subject.clone()),
            ("asked", self.query_text.clone()),
        ];
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
            page.field(name, value);
        }
        let (result, tone) = self.result_cell();
        if !result.is_empty() {
            page.toned_field("result", &result, tone);
        }
        for shown in &self.shown {
            let slots: Vec<String> = shown.slots.iter().map(u8::to_string).collect();
            page.field("shown", &format!("{} slots {}", shown.digest, slots.join(",")));
        }
        page.field("chain", &self.chain);
    }
}

/// `HIT`, `NO-HIT`, or what a member answered, such as `MY:no-hit`.
fn is_answer(result: &str) -> bool {
    let of = result.split_once(':').map_or(result, |(_, of)| of);
    of.eq_ignore_ascii_case("hit") || of.eq_ignore_ascii_case("no-hit")
}

/// A table of entries, and below it what was asked.
pub(super) fn show_entries(entries: &[EntryView], page: &mut Page) {
    let mut grid =
        Grid::new(&["SEQ", "AT", "KIND", "ACTOR", "OPERATION", "PURPOSE", "CASE", "PEER", "RESULT", "SHOWN"]);
    for entry in entries {
        let shown = if entry.shown.is_empty() {
            String::new()
        } else {
            plural(entry.shown.len() as u64, "statement", "statements")
        };
        grid.row([
            (entry.sequence.to_string(), Tone::Plain),
            (entry.at.clone().unwrap_or_else(|| moment(0)), Tone::Plain),
            (entry.kind.clone(), Tone::Plain),
            (entry.actor.clone(), Tone::Plain),
            (entry.operation.clone(), Tone::Plain),
            (entry.purpose.clone(), Tone::Plain),
            (entry.case_reference.clone(), Tone::Plain),
            (entry.peer.clone(), Tone::Plain),
            entry.result_cell(),
            (shown, Tone::Plain),
        ]);
    }
    if entries.is_empty() {
        page.line("no entries");
    } else {
        page.grid(&grid);
    }
    let asked = entries.iter().filter(|entry| !entry.query_text.is_empty());
    let mut headed = false;
    for entry in asked {
        if !headed {
            page.heading("Asked");
            headed = true;
        }
        page.field(&entry.sequence.to_string(), &entry.query_text);
    }
}

impl From<proto::AuditEntry> for EntryView {
    fn from(entry: proto::AuditEntry) -> Self {
        Self {
            sequence: entry.sequence,
            kind: entry.kind,
            at: json_time(entry.at),
            request_id: hex::encode(&entry.request_id),
            actor: entry.actor,
            roles: entry.roles,
            operation: entry.operation,
            purpose: entry.purpose,
            legal_basis: entry.legal_basis,
            case_reference: entry.case_reference,
            result: entry.result,
            peer: entry.peer,
            subject: entry.subject,
            intent: (entry.intent != 0).then_some(entry.intent),
            shown: entry.shown.into_iter().map(ShownView::from).collect(),
            query_text: entry.query_text,
            unfinished: entry.unfinished,
            chain: hex::encode(&entry.chain),
        }
    }
}

impl From<proto::ShownStatement> for ShownView {
    fn from(shown: proto::ShownStatement) -> Self {
        let slots = (0..48).filter(|slot| shown.slots >> slot & 1 == 1).collect();
        Self { digest: hex::encode(&shown.digest), slots }
    }
}
