//! A whole content: one value for each of the 48 slots.

use std::collections::BTreeMap;
use std::fmt;

use super::checks::reads_political;
use super::rules::set_by_node;
use super::{ContentError, FieldInput, Fields, SLOTS, Shape, SlotNumber, SlotSet, SlotTable, Stage, check_fields};
use crate::encode::{Reader, sha256_pae};
use crate::id::Hash;
use crate::reference::Reference;
use crate::statement::Action;
use crate::subject::{NoticeKind, SubjectType};
use crate::value::{InvalidValue, Value};

const LABEL: &[u8] = b"eads/v1/content";

/// The values of one version of a notice. Which subject and kind it has is fixed; whether it may be signed is
/// what [`Content::check`] says.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    subject: SubjectType,
    kind: NoticeKind,
    values: Box<[Value; SLOTS]>,
}

impl Content {
    /// The longest content: all encoded values together, without the blobs that they name, in bytes.
    pub const MAX_ENCODED: usize = 256 * 1024;

    /// From single values. Subject and kind are set from the arguments, and where they are left out the
    /// exercise flag is off and reasons, approvals and protection are empty.
    ///
    /// # Errors
    /// [`ContentError`] if the subject has no such kind or slot, or a value is not one of its slot.
    pub fn build(
        subject: SubjectType,
        kind: NoticeKind,
        fields: impl IntoIterator<Item = (SlotNumber, Value)>,
    ) -> Result<Self, ContentError> {
        let mut content = Self::empty(subject, kind)?;
        for (slot, value) in fields {
            content.set(slot, value)?;
        }
        Ok(content)
    }

    /// Nothing but subject, kind and the defaults named at [`Content::build`].
    fn empty(subject: SubjectType, kind: NoticeKind) -> Result<Self, ContentError> {
        if !SlotTable::get().is_kind_of(subject, kind) {
            return Err(ContentError::KindNotForSubject { subject, kind });
        }
        let mut content = Self { subject, kind, values: Box::new(std::array::from_fn(|_| Value::Absent)) };
        content.set_text(SlotNumber::SUBJECT, subject.as_str())?;
        content.set_text(SlotNumber::KIND, kind.as_str())?;
        content.set_text(SlotNumber::EXERCISE, "0")?;
        for slot in [SlotNumber::REASONS, SlotNumber::APPROVALS, SlotNumber::PROTECTION] {
            content.set(slot, Value::List(Vec::new()))?;
        }
        Ok(content)
    }

    /// From a draft as an officer writes it: field names and values in TOML or JSON (see [`FieldInput`]),
    /// `subject` and `kind` among them.
    ///
    /// # Errors
    /// All [`ContentError`]s that the fields have by themselves: names, types, codes, and fields that only the
    /// node sets. What is missing is told by [`Content::check_draft`].
    pub fn from_fields(fields: BTreeMap<String, FieldInput>) -> Result<Self, Vec<ContentError>> {
        let word = |name: &str| fields.get(name).and_then(FieldInput::as_str).unwrap_or_default();
        let subject = word("subject").parse::<SubjectType>().map_err(|error| vec![error.into()])?;
        let kind = word("kind").parse::<NoticeKind>().map_err(|error| vec![error.into()])?;
        let mut content = Self::empty(subject, kind).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        for (name, input) in &fields {
            if let Err(error) = content.set_field(name, input) {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(content) } else { Err(errors) }
    }

    /// The fields as a draft of the next version: what [`Content::from_fields`] reads.
    pub fn to_draft_fields(&self) -> BTreeMap<String, FieldInput> {
        let mut fields = self.to_fields();
        fields.retain(|name, _| {
            SlotTable::get().by_name(self.subject, name).is_some_and(|spec| !set_by_node().contains(spec.number))
        });
        fields
    }

    fn set_field(&mut self, name: &str, input: &FieldInput) -> Result<(), ContentError> {
        let Some(spec) = SlotTable::get().by_name(self.subject, name) else {
            return Err(ContentError::UnknownField {
                subject: self.subject,
                name: name.chars().filter(|c| !c.is_control()).take(40).collect(),
            });
        };
        if set_by_node().contains(spec.number) {
            return Err(ContentError::SetByNode { field: &spec.name });
        }
        self.set(spec.number, input.to_value(spec)?)
    }

    /// What suspends, resumes or withdraws the notice that `self` is a version of: its mandatory slots, the
    /// `reasons`, and nothing about the subject (data minimality). Approvals are cleared.
    ///
    /// # Errors
    /// [`ContentError`] for a reason that the table does not list.
    pub fn state_change<'a>(&self, reasons: impl IntoIterator<Item = &'a str>) -> Result<Self, ContentError> {
        let mut content = Self::empty(self.subject, self.kind)?;
        for slot in SlotTable::get().mandatory().iter().filter(|slot| *slot != SlotNumber::APPROVALS) {
            content.set(slot, self.value(slot).clone())?;
        }
        let reasons: Result<Vec<_>, _> = reasons.into_iter().map(Value::text).collect();
        let reasons = reasons.map_err(|source| ContentError::Text { field: "reasons", source })?;
        content.set(SlotNumber::REASONS, Value::List(reasons))?;
        Ok(content)
    }

    /// What it is about.
    pub const fn subject(&self) -> SubjectType {
        self.subject
    }

    /// The kind of the notice.
    pub const fn kind(&self) -> NoticeKind {
        self.kind
    }

    /// The value of a slot.
    pub fn value(&self, slot: SlotNumber) -> &Value {
        self.values.get(slot.index()).unwrap_or(&Value::Absent)
    }

    /// All 48 values in order.
    pub fn values(&self) -> &[Value; SLOTS] {
        &self.values
    }

    /// Sets one value.
    ///
    /// # Errors
    /// [`ContentError`] if the value is not one of the slot, or would change subject or kind.
    pub fn set(&mut self, slot: SlotNumber, value: Value) -> Result<(), ContentError> {
        let subject = self.subject;
        match SlotTable::get().slot(subject, slot) {
            None if value.is_absent() => return Ok(()),
            None => return Err(ContentError::UnknownSlot { subject, slot }),
            Some(spec) => spec.check(&value)?,
        }
        let fixed = match slot {
            SlotNumber::SUBJECT => Some(subject.as_str()),
            SlotNumber::KIND => Some(self.kind.as_str()),
            _ => None,
        };
        if fixed.is_some() && value.as_text() != fixed {
            return Err(ContentError::KindNotForSubject { subject, kind: self.kind });
        }
        if let Some(place) = self.values.get_mut(slot.index()) {
            *place = value;
        }
        Ok(())
    }

    fn set_text(&mut self, slot: SlotNumber, text: &str) -> Result<(), ContentError> {
        let value = Value::text(text).map_err(|source| ContentError::Text { field: "subject", source })?;
        self.set(slot, value)
    }

    /// Sets the reference and the version, which are the node's to give.
    ///
    /// # Errors
    /// [`ContentError`] for version 0.
    pub fn set_identity(&mut self, reference: Reference, version: u16) -> Result<(), ContentError> {
        self.set_text(SlotNumber::REFERENCE, &reference.to_string())?;
        self.set_text(SlotNumber::VERSION, &version.to_string())
    }

    /// Whether an officer's draft may go to a second officer; reference, version and approvals are not asked for.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_draft(&self, action: Action) -> Result<(), Vec<ContentError>> {
        self.check_at(action, Stage::Draft)
    }

    /// Whether it may be signed as `action`. Says nothing about who approved it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, action: Action) -> Result<(), Vec<ContentError>> {
        self.check_at(action, Stage::Complete)
    }

    fn check_at(&self, action: Action, stage: Stage) -> Result<(), Vec<ContentError>> {
        let mut errors = check_fields(self, action, stage);
        if action.describes_subject() && reads_political(self) && !self.is_for_legal_review() {
            errors.push(ContentError::LegalReviewUnmarked);
        }
        if self.values.iter().map(Value::encoded_len).sum::<usize>() > Self::MAX_ENCODED {
            errors.push(ContentError::TooLarge { max: Self::MAX_ENCODED });
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Names other blobs, under the ids of another version; without any the field stays as it is.
    pub fn set_images(&mut self, images: Vec<crate::value::BlobRef>) {
        if let (Some(place), false) = (self.values.get_mut(SlotNumber::IMAGES.index()), images.is_empty()) {
            *place = Value::List(images.into_iter().map(Value::Blob).collect());
        }
    }

    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &crate::value::BlobRef> {
        self.value(SlotNumber::IMAGES).items().iter().filter_map(Value::as_blob)
    }

    /// The slots that say something, with the canonical encoding of what they say.
    pub fn to_slot_values(&self) -> Vec<(SlotNumber, Vec<u8>)> {
        SlotNumber::all()
            .zip(self.values.iter())
            .filter(|(_, v)| !v.is_absent())
            .map(|(s, v)| (s, v.encode()))
            .collect()
    }

    /// From slots and canonical encodings, subject and kind among them.
    ///
    /// # Errors
    /// [`ContentError`] for an encoding, value or slot that does not belong there.
    pub fn from_slot_values<'a>(
        values: impl IntoIterator<Item = (SlotNumber, &'a [u8])>,
    ) -> Result<Self, ContentError> {
        let parse = |bytes| Value::parse(bytes).map_err(|source| ContentError::Value { field: "content", source });
        let values: Vec<(SlotNumber, Value)> =
            values.into_iter().map(|(slot, bytes)| Ok((slot, parse(bytes)?))).collect::<Result<_, ContentError>>()?;
        let word = |slot| values.iter().find(|(s, _)| *s == slot).and_then(|(_, v)| v.as_text()).unwrap_or_default();
        let (subject, kind) = (word(SlotNumber::SUBJECT).parse()?, word(SlotNumber::KIND).parse()?);
        Self::build(subject, kind, values)
    }

    /// One byte string, for keeping: (u8 slot ‖ u32 length ‖ value)* of the slots that say something, ascending.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (slot, value) in self.to_slot_values() {
            out.push(slot.get());
            out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(&value);
        }
        out
    }

    /// Reads what [`Content::encode`] wrote.
    ///
    /// # Errors
    /// [`ContentError`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContentError> {
        let malformed = |source| ContentError::Value { field: "content", source };
        let misread = |error| malformed(InvalidValue::Misread(error));
        let mut reader = Reader::new(bytes);
        let mut values = Vec::new();
        while reader.remaining() > 0 {
            let slot = SlotNumber::new(reader.u8().map_err(misread)?)?;
            let length = usize::try_from(reader.u32().map_err(misread)?).unwrap_or(usize::MAX);
            values.push((slot, reader.take(length).map_err(misread)?));
        }
        let content = Self::from_slot_values(values)?;
        if content.encode() == bytes { Ok(content) } else { Err(malformed(InvalidValue::NotCanonical)) }
    }

    /// A digest of what it says apart from reference, version and approvals, so that two versions or imports
    /// that say the same can be told from those that do not: SHA-256(PAE("eads/v1/content", …)).
    pub fn digest(&self) -> Hash {
        let mut own = self.clone();
        for slot in set_by_node().iter() {
            if let Some(place) = own.values.get_mut(slot.index()) {
                *place = Value::Absent;
            }
        }
        sha256_pae(&[LABEL, &own.encode()])
    }

    /// The shape of a field, for programs that ask for it piece by piece.
    pub fn shape_of(&self, name: &str) -> Option<&'static Shape> {
        SlotTable::get().by_name(self.subject, name).map(|spec| &spec.shape)
    }
}

impl fmt::Debug for Content {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: SlotSet = SlotNumber::all().filter(|slot| !self.value(*slot).is_absent()).collect();
        write!(f, "Content({:?}, {:?}, {said})", self.subject, self.kind)
    }
}

impl Fields for Content {
    fn subject(&self) -> SubjectType {
        self.subject
    }

    fn kind(&self) -> NoticeKind {
        self.kind
    }

    fn shown(&self, slot: SlotNumber) -> Option<&Value> {
        self.values.get(slot.index())
    }
}
