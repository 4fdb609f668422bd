//! Slot numbers and sets of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::code::{Code, Coded, Fault};

/// How many slots a notice has, always.
pub const SLOTS: usize = 48;

/// A slot number, 0 to 47.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct SlotNumber(u8);

impl SlotNumber {
    /// What the notice is about.
    pub const SUBJECT: Self = Self(0);
    /// The kind of the notice.
    pub const KIND: Self = Self(1);
    /// The reference that people cite.
    pub const REFERENCE: Self = Self(2);
    /// The version, counted from 1.
    pub const VERSION: Self = Self(3);
    /// Handling codes.
    pub const HANDLING: Self = Self(4);
    /// Source and information grade.
    pub const GRADING: Self = Self(5);
    /// Legal basis.
    pub const LEGAL_BASIS: Self = Self(6);
    /// Reasons of a suspension, resumption or withdrawal.
    pub const REASONS: Self = Self(7);
    /// The exercise flag.
    pub const EXERCISE: Self = Self(8);
    /// The approvals of second officers.
    pub const APPROVALS: Self = Self(9);
    /// The unit that issues.
    pub const AUTHORITY: Self = Self(10);
    /// What the reader is asked to do.
    pub const REQUESTED_ACTION: Self = Self(11);
    /// The case in a few sentences.
    pub const SUMMARY: Self = Self(12);
    /// Photographs.
    pub const IMAGES: Self = Self(13);
    /// References of notices that belong to this one.
    pub const RELATED_REFERENCES: Self = Self(14);
    /// Why the subject needs protection.
    pub const PROTECTION: Self = Self(15);

    /// From a number.
    ///
    /// # Errors
    /// [`InvalidSlot`] above 47.
    pub const fn new(number: u8) -> Result<Self, InvalidSlot> {
        if (number as usize) < SLOTS { Ok(Self(number)) } else { Err(InvalidSlot) }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number as an index into 48 of something.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All 48 in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        const COUNT: u8 = 48;
        (0..COUNT).map(Self)
    }
}

impl fmt::Display for SlotNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SlotNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<u8> for SlotNumber {
    type Error = InvalidSlot;

    fn try_from(number: u8) -> Result<Self, InvalidSlot> {
        Self::new(number)
    }
}

impl TryFrom<u32> for SlotNumber {
    type Error = InvalidSlot;

    fn try_from(number: u32) -> Result<Self, InvalidSlot> {
        u8::try_from(number).map_err(|_| InvalidSlot).and_then(Self::new)
    }
}

impl From<SlotNumber> for u8 {
    fn from(slot: SlotNumber) -> Self {
        slot.0
    }
}

impl From<SlotNumber> for u32 {
    fn from(slot: SlotNumber) -> Self {
        Self::from(slot.0)
    }
}

/// A number above 47, or a set with a bit above 47.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slots are numbered 0 to 47")]
pub struct InvalidSlot;

impl Coded for InvalidSlot {
    fn code(&self) -> Code {
        Code::new("SLOT_NUMBER_INVALID")
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// A set of slots, as a bitmap: bit *i* is slot *i*.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SlotSet(u64);

impl SlotSet {
    /// No slot.
    pub const EMPTY: Self = Self(0);
    /// All 48.
    pub const ALL: Self = Self((1 << SLOTS) - 1);

    /// From a bitmap; `None` if a bit above 47 is set.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// The bitmap.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether `slot` is one of them.
    pub const fn contains(self, slot: SlotNumber) -> bool {
        self.0 & (1 << slot.0) != 0
    }

    /// Adds `slot`; true if it was not there.
    pub const fn insert(&mut self, slot: SlotNumber) -> bool {
        let new = !self.contains(slot);
        self.0 |= 1 << slot.0;
        new
    }

    /// Takes `slot` out; true if it was there.
    pub const fn remove(&mut self, slot: SlotNumber) -> bool {
        let there = self.contains(slot);
        self.0 &= !(1 << slot.0);
        there
    }

    /// Those of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of this but not of `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// All others of the 48.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }

    /// Whether every one of these is in `other`.
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The slots in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = SlotNumber> {
        SlotNumber::all().filter(move |slot| self.contains(*slot))
    }
}

impl FromIterator<SlotNumber> for SlotSet {
    fn from_iter<I: IntoIterator<Item = SlotNumber>>(slots: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(slots);
        set
    }
}

impl Extend<SlotNumber> for SlotSet {
    fn extend<I: IntoIterator<Item = SlotNumber>>(&mut self, slots: I) {
        for slot in slots {
            self.insert(slot);
        }
    }
}

impl TryFrom<u64> for SlotSet {
    type Error = InvalidSlot;

    fn try_from(bits: u64) -> Result<Self, InvalidSlot> {
        Self::from_bits(bits).ok_or(InvalidSlot)
    }
}

impl From<SlotSet> for u64 {
    fn from(set: SlotSet) -> Self {
        set.0
    }
}

impl fmt::Display for SlotSet {
    /// Runs of numbers, `0-9,13`; `none` if empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut slots = self.iter().map(SlotNumber::get).peekable();
        let mut separator = "";
        while let Some(first) = slots.next() {
            let mut last = first;
            while let Some(next) = slots.next_if_eq(&(last + 1)) {
                last = next;
            }
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[u8]) -> SlotSet {
        numbers.iter().map(|number| SlotNumber::new(*number).unwrap()).collect()
    }

    #[test]
    fn there_is_no_slot_48() {
        assert_eq!(SlotNumber::new(47).map(SlotNumber::get), Ok(47));
        assert_eq!(SlotNumber::new(48), Err(InvalidSlot));
        assert_eq!(SlotNumber::try_from(256_u32), Err(InvalidSlot));
        assert_eq!(SlotSet::from_bits(1 << 48), None);
        assert_eq!(SlotSet::ALL.len(), SLOTS);
    }

    #[test]
    fn sets_behave_as_sets() {
        let (a, b) = (set(&[1, 2, 40]), set(&[2, 47]));
        assert_eq!(a.union(b), set(&[1, 2, 40, 47]));
        assert_eq!(a.intersection(b), set(&[2]));
        assert_eq!(a.difference(b), set(&[1, 40]));
        assert_eq!(a.complement().union(a), SlotSet::ALL);
        assert!(set(&[2]).is_subset_of(a) && !b.is_subset_of(a));
        let mut c = a;
        assert!(c.remove(SlotNumber::KIND) && !c.remove(SlotNumber::KIND));
        assert!(c.insert(SlotNumber::KIND) && !c.insert(SlotNumber::KIND));
        assert_eq!(c, a);
    }

    #[test]
    fn a_set_is_shown_as_runs_of_numbers() {
        assert_eq!(set(&[0, 1, 2, 9, 11, 12]).to_string(), "0-2,9,11-12");
        assert_eq!(SlotSet::EMPTY.to_string(), "none");
        assert_eq!(SlotSet::ALL.to_string(), "0-47");
    }
}
