//! Commitments to the 48 slots of a version, and the openings of those that a reader is allowed (PROTOCOL §2).
//!
//! The origin commits to a [`Content`] under a secret [`Seed`]; a reader gets the openings that its agreement
//! allows and the bare commitments of all other slots. [`Disclosure::verify`] is the only way from those bytes
//! to values: what it returns is what the origin signed.

mod error;

#[cfg(test)]
mod tests;

use std::fmt;

use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use error::DisclosureError;

use crate::approval::{self, Approval};
use crate::clock::Timestamp;
use crate::encode::{pae, sha256_pae};
use crate::entropy::{Entropy, random};
use crate::id::{Hash, NoticeId};
use crate::slot::{Content, ContentError, Fields, SCHEMA, SLOTS, SlotNumber, SlotSet, SlotTable, Stage, check_fields};
use crate::statement::Statement;
use crate::subject::{NoticeKind, SubjectType};
use crate::value::Value;

const SLOT_LABEL: &[u8] = b"eads/v1/slot";
const SLOTS_LABEL: &[u8] = b"eads/v1/slots";
const SALT_LABEL: &[u8] = b"eads/v1/salt";

/// The secret from which the salts of one version are derived; fresh per version, wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be sealed.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A fresh one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }

    /// All salts: salt_i = HKDF(IKM = seed, info = PAE("eads/v1/salt", u16 i)).
    #[allow(clippy::expect_used, reason = "32 bytes are below the limit of RFC 5869")]
    fn salts(&self) -> [[u8; 32]; SLOTS] {
        let extracted = hkdf::Hkdf::<Sha256>::new(None, &self.0);
        let mut slots = SlotNumber::all();
        std::array::from_fn(|_| {
            let number = slots.next().map_or(0, |slot| u16::from(slot.get()));
            let mut salt = [0; 32];
            extracted.expand(&pae(&[SALT_LABEL, &number.to_be_bytes()]), &mut salt).expect("32 bytes can be expanded");
            salt
        })
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// c_i = SHA-256(PAE("eads/v1/slot", notice, u16 i, salt_i, value_i)).
pub fn commitment(notice: &NoticeId, slot: SlotNumber, salt: &[u8; 32], value: &[u8]) -> Hash {
    let number = u16::from(slot.get()).to_be_bytes();
    sha256_pae(&[SLOT_LABEL, notice.as_bytes(), &number, salt, value])
}

/// slots = SHA-256(PAE("eads/v1/slots", c_0 ‖ … ‖ c_47)).
pub fn slots_root(commitments: &[Hash; SLOTS]) -> Hash {
    let mut all = [0; SLOTS * 32];
    for (place, commitment) in all.chunks_exact_mut(32).zip(commitments) {
        place.copy_from_slice(commitment.as_bytes());
    }
    sha256_pae(&[SLOTS_LABEL, &all])
}

/// A content with everything that its origin needs to commit to it and to open it.
#[derive(Clone)]
pub struct CommittedContent {
    notice: NoticeId,
    seed: Seed,
    content: Content,
    salts: Box<[[u8; 32]; SLOTS]>,
    commitments: Box<[Hash; SLOTS]>,
}

impl CommittedContent {
    /// Commits to `content` as a version of `notice` under [`SCHEMA`].
    pub fn new(notice: NoticeId, seed: Seed, content: Content) -> Self {
        let salts = Box::new(seed.salts());
        let mut parts = SlotNumber::all().zip(salts.iter()).zip(content.values());
        let commitments = Box::new(std::array::from_fn(|_| match parts.next() {
            Some(((slot, salt), value)) => commitment(&notice, slot, salt, &value.encode()),
            None => Hash::from_bytes([0; 32]),
        }));
        Self { notice, seed, content, salts, commitments }
    }

    /// The same version with its approvals, which no approval covers: all other commitments stay as they are.
    ///
    /// # Errors
    /// [`ContentError`] if the approvals do not fit their slot.
    pub fn with_approvals(&self, approvals: &[Approval]) -> Result<Self, ContentError> {
        let mut content = self.content.clone();
        content.set(SlotNumber::APPROVALS, approval::to_value(approvals)?)?;
        Ok(Self::new(self.notice, self.seed.clone(), content))
    }

    /// Which notice.
    pub const fn notice(&self) -> NoticeId {
        self.notice
    }

    /// The schema under which it is committed.
    pub const fn schema(&self) -> u16 {
        SCHEMA
    }

    /// The secret of this version.
    pub const fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The values.
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The 48 commitments in order.
    pub const fn commitments(&self) -> &[Hash; SLOTS] {
        &self.commitments
    }

    /// The payload's `slots`.
    pub fn slots_root(&self) -> Hash {
        slots_root(&self.commitments)
    }

    /// What the approver of this version signs (PROTOCOL §2).
    pub fn approval_message(&self, not_after: Timestamp) -> Vec<u8> {
        approval::message(&self.notice, SCHEMA, not_after, &self.commitments)
    }

    /// What opens one slot.
    pub fn opening(&self, slot: SlotNumber) -> Opening {
        let salt = self.salts.get(slot.index()).copied().unwrap_or_default();
        Opening { slot, salt, value: self.content.value(slot).encode() }
    }

    /// What an addressee is sent who may see `slots`; mandatory slots are always opened.
    pub fn disclose(&self, slots: SlotSet) -> Disclosure {
        let shown = slots.union(SlotTable::get().mandatory());
        let openings = shown.iter().map(|slot| self.opening(slot)).collect();
        let all = SlotNumber::all().zip(self.commitments.iter().copied());
        Disclosure { openings, commitments: all.filter(|(slot, _)| !shown.contains(*slot)).collect() }
    }
}

impl fmt::Debug for CommittedContent {
    /// Without values, salts and seed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommittedContent({}, {:?})", self.notice, self.content)
    }
}

/// The opening of one slot: what is released of a notice.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// Which slot.
    pub slot: SlotNumber,
    /// Its salt.
    pub salt: [u8; 32],
    /// The canonical encoding of its value.
    pub value: Vec<u8>,
}

impl Opening {
    /// The commitment that it opens.
    pub fn commitment(&self, notice: &NoticeId) -> Hash {
        commitment(notice, self.slot, &self.salt, &self.value)
    }
}

impl fmt::Debug for Opening {
    /// Without salt and value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({}, {} bytes)", self.slot, self.value.len())
    }
}

/// What one addressee is shown of one version: openings and commitments, together each of the 48 slots once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The slots that are shown.
    pub openings: Vec<Opening>,
    /// The slots that are withheld.
    pub commitments: Vec<(SlotNumber, Hash)>,
}

impl Disclosure {
    /// The slots that are opened.
    pub fn shown(&self) -> SlotSet {
        self.openings.iter().map(|opening| opening.slot).collect()
    }

    /// Checks that this is what `statement` commits to and that it is a notice.
    ///
    /// Says nothing about the audience, the register, approvals or validity.
    ///
    /// # Errors
    /// [`DisclosureError`] if the statement carries no content, a slot is missing or there twice, the openings
    /// do not open the commitments, a mandatory slot is withheld, a value is not canonical, or the values break
    /// the rules of their kind.
    pub fn verify(&self, statement: &Statement) -> Result<DisclosedContent, DisclosureError> {
        let payload = statement.payload();
        if !payload.action.carries_content() {
            return Err(DisclosureError::NoContent(payload.action));
        }
        let commitments = self.all_commitments(&payload.notice)?;
        if slots_root(&commitments) != payload.slots {
            return Err(DisclosureError::Root);
        }
        let shown = self.shown();
        if let Some(slot) = SlotTable::get().mandatory().difference(shown).iter().next() {
            return Err(DisclosureError::MandatoryWithheld(slot));
        }
        let mut values: [Option<Value>; SLOTS] = std::array::from_fn(|_| None);
        for opening in &self.openings {
            let parsed =
                Value::parse(&opening.value).map_err(|source| DisclosureError::Value { slot: opening.slot, source })?;
            if let Some(place) = values.get_mut(opening.slot.index()) {
                *place = Some(parsed);
            }
        }
        let content = DisclosedContent::from_values(values, commitments)?;
        let errors = check_fields(&content, payload.action, Stage::Complete);
        if !errors.is_empty() {
            return Err(DisclosureError::Content(errors));
        }
        match content.reference() {
            Some(reference) if reference.member() == payload.origin => Ok(content),
            _ => Err(DisclosureError::ReferenceOfOtherMember),
        }
    }

    /// The 48 commitments, those of opened slots computed anew.
    pub(crate) fn all_commitments(&self, notice: &NoticeId) -> Result<[Hash; SLOTS], DisclosureError> {
        // Counted first, so that a hostile list costs nothing.
        if self.openings.len().saturating_add(self.commitments.len()) > SLOTS {
            return Err(DisclosureError::TooManySlots);
        }
        let mut all = [Hash::from_bytes([0; 32]); SLOTS];
        let mut seen = SlotSet::EMPTY;
        let opened = self.openings.iter().map(|opening| (opening.slot, opening.commitment(notice)));
        for (slot, hash) in opened.chain(self.commitments.iter().copied()) {
            if !seen.insert(slot) {
                return Err(DisclosureError::Duplicate(slot));
            }
            if let Some(place) = all.get_mut(slot.index()) {
                *place = hash;
            }
        }
        match seen.complement().iter().next() {
            Some(slot) => Err(DisclosureError::Missing(slot)),
            None => Ok(all),
        }
    }

    /// What is left after everything but `allowed` has been given up: it verifies against the same statement.
    #[must_use]
    pub fn narrowed(&self, notice: &NoticeId, allowed: SlotSet) -> Self {
        let (openings, closed): (Vec<_>, Vec<_>) =
            self.openings.iter().cloned().partition(|opening| allowed.contains(opening.slot));
        let closed = closed.iter().map(|opening| (opening.slot, opening.commitment(notice)));
        let mut commitments: Vec<_> = self.commitments.iter().copied().chain(closed).collect();
        commitments.sort_unstable_by_key(|(slot, _)| *slot);
        Self { openings, commitments }
    }
}

/// Verified values of a notice, as far as they were shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DisclosedContent {
    subject: SubjectType,
    kind: NoticeKind,
    values: Box<[Option<Value>; SLOTS]>,
    commitments: Box<[Hash; SLOTS]>,
}

impl DisclosedContent {
    fn from_values(values: [Option<Value>; SLOTS], commitments: [Hash; SLOTS]) -> Result<Self, DisclosureError> {
        let word = |slot: SlotNumber| {
            values.get(slot.index()).and_then(Option::as_ref).and_then(Value::as_text).unwrap_or_default()
        };
        let invalid = |error: crate::subject::InvalidSubject| DisclosureError::Content(vec![error.into()]);
        let subject = word(SlotNumber::SUBJECT).parse().map_err(invalid)?;
        let kind = word(SlotNumber::KIND).parse().map_err(invalid)?;
        Ok(Self { subject, kind, values: Box::new(values), commitments: Box::new(commitments) })
    }

    /// The value of a slot; `None` if it is withheld.
    pub fn value(&self, slot: SlotNumber) -> Option<&Value> {
        self.values.get(slot.index())?.as_ref()
    }

    /// The slots that are shown.
    pub fn shown_slots(&self) -> SlotSet {
        SlotNumber::all().filter(|slot| self.value(*slot).is_some()).collect()
    }

    /// The 48 commitments of the version.
    pub const fn commitments(&self) -> &[Hash; SLOTS] {
        &self.commitments
    }

    /// The approvals that it carries; whose they are is what [`Approval::verify`] says.
    ///
    /// # Errors
    /// [`approval::ApprovalError`] if one is malformed.
    pub fn approvals(&self) -> Result<Vec<Approval>, approval::ApprovalError> {
        approval::from_value(self.value(SlotNumber::APPROVALS).unwrap_or(&Value::Absent))
    }

    /// What its approvers signed, if it belongs to `statement`.
    pub fn approval_message(&self, statement: &Statement) -> Vec<u8> {
        let payload = statement.payload();
        approval::message(&payload.notice, payload.schema, payload.not_after, &self.commitments)
    }
}

impl fmt::Debug for DisclosedContent {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DisclosedContent({:?}, {:?}, {})", self.subject, self.kind, self.shown_slots())
    }
}

impl Fields for DisclosedContent {
    fn subject(&self) -> SubjectType {
        self.subject
    }

    fn kind(&self) -> NoticeKind {
        self.kind
    }

    fn shown(&self, slot: SlotNumber) -> Option<&Value> {
        self.value(slot)
    }
}
