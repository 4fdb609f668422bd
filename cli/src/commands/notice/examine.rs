//! What a notice or draft says, read from the bytes that are committed to and never from what the node says
//! beside them.

use eads_domain::approval;
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Opening;
use eads_domain::encode::sha256;
use eads_domain::id::{Hash, NoticeId};
use eads_domain::slot::{Content, FieldInput, Fields as _, Part, SCHEMA, SLOTS, Scalar, Shape, SlotNumber, SlotTable};
use eads_domain::statement::Action;
use eads_domain::subject::SubjectType;
use eads_domain::value::{BlobRef, Value};
use eads_proto::v1 as proto;
use serde::Serialize;

use super::draft::refused;
use super::view::DraftView;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::{Page, Tone};

/// A field in JSON: its slot, its name, and its value in the form in which a draft is written.
#[derive(Debug, Serialize)]
pub(super) struct FieldView {
    slot: u8,
    name: String,
    value: FieldInput,
    #[serde(skip)]
    lines: Vec<String>,
}

impl FieldView {
    fn new(subject: SubjectType, slot: SlotNumber, value: &Value) -> Self {
        let generic = Shape::One(Scalar::Text);
        let spec = SlotTable::get().slot(subject, slot);
        // A slot of a newer table has no name here, but is shown all the same.
        let name = spec.map_or_else(|| format!("slot-{slot}"), |spec| spec.name.clone());
        let shape = spec.map_or(&generic, |spec| &spec.shape);
        let shown = FieldInput::from_value(shape, value);
        Self { slot: slot.get(), name, lines: lines(shape, &shown), value: shown }
    }

    /// All of them, one line each, long lists on several.
    pub(super) fn show_all(fields: &[Self], page: &mut Page) {
        for field in fields {
            let mut name = field.name.as_str();
            for line in &field.lines {
                page.field(name, line);
                name = "";
            }
            if field.lines.is_empty() {
                page.field(name, "-");
            }
        }
    }
}

/// A value on lines: one for each item that has parts, one for everything else.
fn lines(shape: &Shape, shown: &FieldInput) -> Vec<String> {
    match (shape, shown) {
        (Shape::ManyParts(parts), FieldInput::List(items)) => {
            items.iter().map(|item| parts_in_words(parts, item)).collect()
        }
        (Shape::Parts(parts), item) => vec![parts_in_words(parts, item)],
        (Shape::One(Scalar::Text), FieldInput::Text(text)) => text.lines().map(str::to_owned).collect(),
        (Shape::Many(_), FieldInput::List(items)) if items.is_empty() => Vec::new(),
        _ => vec![shown.to_string()],
    }
}

/// `type passport, number X0000000, country TH`, in the order of the table.
fn parts_in_words(parts: &[Part], item: &FieldInput) -> String {
    let FieldInput::Table(given) = item else { return item.to_string() };
    let known = parts.iter().filter_map(|part| Some(format!("{} {}", part.name, given.get(&part.name)?)));
    let words: Vec<_> = known.collect();
    if words.is_empty() { item.to_string() } else { words.join(", ") }
}

/// Values that this node was shown of a notice.
#[derive(Debug)]
pub(super) struct Shown {
    subject: SubjectType,
    values: Vec<(SlotNumber, Value)>,
}

impl Shown {
    /// What the head of a page says in words.
    const ELSEWHERE: [SlotNumber; 5] =
        [SlotNumber::SUBJECT, SlotNumber::KIND, SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];

    /// From what the node sends; the subject is among the values.
    pub(super) fn parse(values: &[proto::SlotValue]) -> Result<Self, CliError> {
        let mut parsed = Vec::with_capacity(values.len());
        for each in values {
            let value = Value::parse(&each.value).map_err(|error| unreadable(&error))?;
            parsed.push((slot_number(each.slot)?, value));
        }
        let word = parsed.iter().find(|(slot, _)| *slot == SlotNumber::SUBJECT).and_then(|(_, value)| value.as_text());
        let subject = word.unwrap_or_default().parse::<SubjectType>().map_err(|error| unreadable(&error))?;
        Ok(Self { subject, values: parsed })
    }

    /// The fields that say something, subject and approvals apart: those are shown in words.
    pub(super) fn fields(&self) -> Vec<FieldView> {
        self.values
            .iter()
            .filter(|(slot, value)| !value.is_absent() && !Self::ELSEWHERE.contains(slot))
            .map(|(slot, value)| FieldView::new(self.subject, *slot, value))
            .collect()
    }

    /// The photographs that are named.
    pub(super) fn images(&self) -> Vec<BlobRef> {
        let images = self.values.iter().filter(|(slot, _)| *slot == SlotNumber::IMAGES);
        images.flat_map(|(_, value)| value.items()).filter_map(Value::as_blob).copied().collect()
    }

    /// The name of a slot of this subject.
    pub(super) fn name_of(&self, slot: SlotNumber) -> Option<String> {
        SlotTable::get().slot(self.subject, slot).map(|spec| spec.name.clone())
    }
}

/// A draft as an approver examines it: content and approval message, computed here from the node's openings.
#[derive(Debug, Serialize)]
pub(super) struct Examined {
    #[serde(flatten)]
    pub(super) draft: DraftView,
    title: String,
    exercise: bool,
    notice: String,
    schema: u16,
    fields: Vec<FieldView>,
    /// SHA-256 of what an approval signs.
    approval_digest: String,
    #[serde(skip)]
    message: Vec<u8>,
    #[serde(skip)]
    images: Vec<BlobRef>,
}

impl Examined {
    /// Fetches a draft and checks that what the node says of it is what it would commit to.
    pub(super) async fn fetch(draft: &str, node: &Node) -> Result<Self, CliError> {
        let request = node.request(proto::GetDraftRequest { draft_id: draft.to_owned() });
        let found = node::answer(node.notices().get_draft(request)).await?;
        Self::parse(found)
    }

    /// SHA-256 of the bytes that an approval signs.
    pub(super) fn approval_digest(&self) -> &str {
        &self.approval_digest
    }

    /// The bytes that an approval signs.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// The photographs that the approval covers.
    pub(super) fn images(&self) -> &[BlobRef] {
        &self.images
    }

    /// One line for a list of drafts.
    pub(super) fn line(&self) -> String {
        let exercise = if self.exercise { "[exercise] " } else { "" };
        let draft = &self.draft;
        format!("{} {} {} {}: {exercise}{}", draft.action, draft.reference, draft.kind, draft.subject, self.title)
    }

    /// Everything that the approval signs, and what it does not.
    pub(super) fn show(&self, page: &mut Page, now: Timestamp) {
        self.draft.show(page, now);
        if self.exercise {
            page.toned("EXERCISE: not a real case", Tone::Caution);
        }
        page.heading("Content");
        FieldView::show_all(&self.fields, page);
        page.gap();
        page.toned(&format!("an approval signs {} (content and validity)", self.approval_digest), Tone::Quiet);
    }

    fn parse(found: proto::GetDraftResponse) -> Result<Self, CliError> {
        let summary = found.draft.unwrap_or_default();
        let notice = NoticeId::try_from(found.notice.as_slice()).map_err(|error| unreadable(&error))?;
        let schema = u16::try_from(found.schema).map_err(|error| unreadable(&error))?;
        if schema != SCHEMA {
            let text = format!("the draft is of slot table {schema}, this command knows {SCHEMA}");
            return Err(CliError::new("DRAFT_OTHER_SCHEMA", Exit::BadInput, text)
                .with_hint("node and command are of different versions: see `eads status` and `eads --version`"));
        }
        let openings = openings(&found.openings)?;
        let content =
            Content::from_slot_values(openings.iter().map(|opening| (opening.slot, opening.value.as_slice())))?;
        let action = summary.action.parse::<Action>().map_err(|error| unreadable(&error))?;
        content.check(action).map_err(|errors| refused(&errors))?;
        told_what_is_committed(&summary, &content)?;
        let not_after = Timestamp::from_unix(summary.not_after);
        let message = approval::message(&notice, schema, not_after, &commitments(&notice, &openings));
        let values = openings.iter().map(|opening| (opening.slot, content.value(opening.slot)));
        Ok(Self {
            title: content.title(),
            images: content.blobs().copied().collect(),
            exercise: content.is_exercise(),
            notice: notice.to_string(),
            schema,
            fields: values
                .filter(|(slot, value)| !value.is_absent() && !Shown::ELSEWHERE.contains(slot))
                .map(|(slot, value)| FieldView::new(content.subject(), slot, value))
                .collect(),
            approval_digest: sha256(&message).to_string(),
            message,
            draft: DraftView::from(summary),
        })
    }
}

/// The openings of a draft: every slot but the approvals slot, once, in order.
fn openings(found: &[proto::SlotOpening]) -> Result<Vec<Opening>, CliError> {
    let mut openings = Vec::with_capacity(found.len());
    for each in found {
        let salt = each.salt.as_slice().try_into().map_err(|error| unreadable(&error))?;
        openings.push(Opening { slot: slot_number(each.slot)?, salt, value: each.value.clone() });
    }
    openings.sort_by_key(|opening| opening.slot);
    let expected = SlotNumber::all().filter(|slot| *slot != SlotNumber::APPROVALS);
    if openings.iter().map(|opening| opening.slot).eq(expected) {
        Ok(openings)
    } else {
        Err(tampered("the node does not open every slot of the draft exactly once"))
    }
}

/// Each slot's commitment, computed from its opening. The approvals slot has none yet, and none is signed.
fn commitments(notice: &NoticeId, openings: &[Opening]) -> [Hash; SLOTS] {
    let mut commitments = [Hash::from_bytes([0; 32]); SLOTS];
    for opening in openings {
        if let Some(place) = commitments.get_mut(opening.slot.index()) {
            *place = opening.commitment(notice);
        }
    }
    commitments
}

/// What the node says beside the openings must be what they say: officers decide by it.
fn told_what_is_committed(summary: &proto::DraftSummary, content: &Content) -> Result<(), CliError> {
    let reference = content.reference().map(|reference| reference.to_string()).unwrap_or_default();
    let told = [&summary.reference, &summary.kind, &summary.subject].map(String::as_str);
    if told == [reference.as_str(), content.kind().as_str(), content.subject().as_str()] {
        Ok(())
    } else {
        Err(tampered("reference, kind or subject of the draft are not those that it commits to"))
    }
}

fn slot_number(slot: u32) -> Result<SlotNumber, CliError> {
    u8::try_from(slot).ok().and_then(|slot| SlotNumber::new(slot).ok()).ok_or_else(|| tampered("there is no such slot"))
}

fn tampered(text: &str) -> CliError {
    CliError::new("DRAFT_TAMPERED", Exit::Integrity, text)
}

/// Bytes of the node that are not what the protocol says.
fn unreadable(error: &dyn std::fmt::Display) -> CliError {
    CliError::new("NODE_MALFORMED", Exit::NodeFault, format!("the node's answer cannot be read: {error}"))
}
