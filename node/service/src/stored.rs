//! A statement as it is kept, own or held: the bytes that were signed, verbatim, with what opens them.
//!
//! It was verified before it was written and is sealed, so reading it back parses and does not verify again;
//! `eads register verify` does.

use eads_domain::audience::AudienceOpening;
use eads_domain::disclosure::{Disclosure, Opening};
use eads_domain::encode::{Misread, Reader};
use eads_domain::id::{Hash, MemberId};
use eads_domain::slot::{Fields, SLOTS, SlotNumber, SlotSet};
use eads_domain::statement::Payload;
use eads_domain::subject::{NoticeKind, SubjectType};
use eads_domain::value::{BlobRef, Value};

use crate::error::ServiceError;
use crate::sync::Disclosed;

const VERSION: u8 = 1;

/// A statement with everything that is known of it here.
#[derive(Clone, Debug)]
pub struct StoredStatement {
    /// As signed.
    pub payload: Vec<u8>,
    /// Ed25519.
    pub signature: Vec<u8>,
    /// Openings and commitments of its slots; empty for statements without content.
    pub disclosure: Disclosure,
    /// The openings of the audience: everyone's for own statements, this member's for held ones.
    pub audience: Vec<(MemberId, AudienceOpening)>,
    /// The bytes behind the payload's `detail`.
    pub detail: Vec<u8>,
}

impl StoredStatement {
    /// Slots that are opened.
    pub fn shown(&self) -> SlotSet {
        self.disclosure.shown()
    }

    /// What `peer` is sent of an own statement.
    pub fn disclosed(&self, peer: MemberId, slots: SlotSet) -> Disclosed {
        let carries_content = !self.disclosure.openings.is_empty();
        let disclosure = Payload::parse(&self.payload)
            .ok()
            .filter(|_| carries_content)
            .map(|payload| self.disclosure.narrowed(&payload.notice, slots));
        Disclosed {
            payload: self.payload.clone(),
            signature: self.signature.clone(),
            audience: self.audience.iter().find(|(member, _)| *member == peer).map(|(_, opening)| opening.clone()),
            disclosure,
            detail: self.detail.clone(),
        }
    }

    /// The fields that are opened.
    ///
    /// # Errors
    /// `STATEMENT_UNREADABLE` when the openings are not those of a notice.
    pub fn content(&self) -> Result<ShownFields, ServiceError> {
        ShownFields::parse(&self.disclosure.openings)
    }

    /// u8 1 ‖ payload ‖ signature ‖ detail ‖ openings ‖ commitments ‖ audience; byte strings with u32 length,
    /// lists with u16 count.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for bytes in [&self.payload, &self.signature, &self.detail] {
            put_bytes(&mut out, bytes);
        }
        put_count(&mut out, self.disclosure.openings.len());
        for opening in &self.disclosure.openings {
            out.push(opening.slot.get());
            out.extend_from_slice(&opening.salt);
            put_bytes(&mut out, &opening.value);
        }
        put_count(&mut out, self.disclosure.commitments.len());
        for (slot, commitment) in &self.disclosure.commitments {
            out.push(slot.get());
            out.extend_from_slice(commitment.as_bytes());
        }
        put_count(&mut out, self.audience.len());
        for (member, opening) in &self.audience {
            out.extend_from_slice(member.as_bytes());
            put_bytes(&mut out, &opening.encode());
        }
        out
    }

    /// Reads what [`StoredStatement::to_bytes`] wrote.
    ///
    /// # Errors
    /// `STATEMENT_UNREADABLE` for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ServiceError> {
        Self::read(bytes).ok_or_else(unreadable)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8().ok()? != VERSION {
            return None;
        }
        let payload = take_bytes(&mut reader).ok()?;
        let signature = take_bytes(&mut reader).ok()?;
        let detail = take_bytes(&mut reader).ok()?;
        let mut openings = Vec::new();
        for _ in 0..reader.u16().ok()? {
            let slot = SlotNumber::new(reader.u8().ok()?).ok()?;
            openings.push(Opening { slot, salt: reader.array().ok()?, value: take_bytes(&mut reader).ok()? });
        }
        let mut commitments = Vec::new();
        for _ in 0..reader.u16().ok()? {
            let slot = SlotNumber::new(reader.u8().ok()?).ok()?;
            commitments.push((slot, Hash::from_bytes(reader.array().ok()?)));
        }
        let mut audience = Vec::new();
        for _ in 0..reader.u16().ok()? {
            let member = MemberId::from_bytes(reader.array().ok()?).ok()?;
            audience.push((member, AudienceOpening::parse(&take_bytes(&mut reader).ok()?).ok()?));
        }
        reader.finish().ok()?;
        Some(Self { payload, signature, disclosure: Disclosure { openings, commitments }, audience, detail })
    }
}

fn unreadable() -> ServiceError {
    ServiceError::internal("STATEMENT_UNREADABLE", "a stored statement cannot be read; run `eads register verify`")
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes());
}

fn take_bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>, Misread> {
    let length = usize::try_from(reader.u32()?).map_err(|_| Misread::Truncated)?;
    reader.take(length).map(<[u8]>::to_vec)
}

/// The fields of a stored statement, as far as they are opened.
#[derive(Clone, Debug)]
pub struct ShownFields {
    subject: SubjectType,
    kind: NoticeKind,
    values: Vec<Option<Value>>,
}

impl ShownFields {
    fn parse(openings: &[Opening]) -> Result<Self, ServiceError> {
        let mut values = vec![None; SLOTS];
        for opening in openings {
            let value = Value::parse(&opening.value).map_err(|error| unreadable().caused_by(error))?;
            if let Some(place) = values.get_mut(opening.slot.index()) {
                *place = Some(value);
            }
        }
        let code = |slot: SlotNumber| {
            values.get(slot.index()).and_then(Option::as_ref).and_then(Value::as_text).unwrap_or_default().to_owned()
        };
        let subject = code(SlotNumber::SUBJECT).parse().map_err(|_| unreadable())?;
        let kind = code(SlotNumber::KIND).parse().map_err(|_| unreadable())?;
        Ok(Self { subject, kind, values })
    }

    /// The slots that are opened with their values.
    pub fn values(&self) -> impl Iterator<Item = (SlotNumber, &Value)> {
        SlotNumber::all().zip(&self.values).filter_map(|(slot, value)| value.as_ref().map(|value| (slot, value)))
    }

    /// The files that opened slots name.
    pub fn blobs(&self) -> impl Iterator<Item = (SlotNumber, &BlobRef)> {
        let images = self.shown(SlotNumber::IMAGES).map(Value::items).unwrap_or_default();
        images.iter().filter_map(Value::as_blob).map(|blob| (SlotNumber::IMAGES, blob))
    }

    /// The slots that are opened.
    pub fn slots(&self) -> SlotSet {
        self.values().map(|(slot, _)| slot).collect()
    }
}

impl Fields for ShownFields {
    fn subject(&self) -> SubjectType {
        self.subject
    }

    fn kind(&self) -> NoticeKind {
        self.kind
    }

    fn shown(&self, slot: SlotNumber) -> Option<&Value> {
        self.values.get(slot.index())?.as_ref()
    }
}
