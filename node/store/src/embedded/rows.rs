//! Rows as they stand in the view, and what the view knows about itself.
//!
//! ```text
//! row       = 01 ‖ area ‖ area version ‖ key  →  u32 crc32 | value
//! watermark = 00                              →  u32 crc32 | u64 sequence | chain[32] | u64 rows | u64 sum | u64 bytes
//! crc32     = over u32 len(row key) ‖ row key ‖ value
//! ```
//! The watermark is written in the same atomic batch as the rows of its commit. `rows` and `sum` (of the rows'
//! checksums, wrapping) tell a view that lost rows, or kept old ones, from a whole one; `bytes` (of keys and values) is
//! what a compaction would keep.

use std::collections::BTreeMap;

use eads_domain::encode::{Misread, Reader};
use eads_domain::id::Hash;

use super::record::Change;
use crate::journal::Head;
use crate::port::{Batch, Op};

pub(super) const WATERMARK: [u8; 1] = [0];
pub(super) const ROWS: u8 = 1;

const CRC_LEN: usize = 4;

/// A row whose checksum does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadRow;

/// The view's key for a key as it stands on disk.
pub(super) fn row_key(store_key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(store_key.len() + 1);
    out.push(ROWS);
    out.extend_from_slice(store_key);
    out
}

fn checksum(row_key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&u32::try_from(row_key.len()).unwrap_or(u32::MAX).to_be_bytes());
    crc.update(row_key);
    crc.update(value);
    crc.finalize()
}

/// A value with its checksum in front.
pub(super) fn protect(row_key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + CRC_LEN);
    out.extend_from_slice(&checksum(row_key, value).to_be_bytes());
    out.extend_from_slice(value);
    out
}

/// The value behind a checksum that matches.
pub(super) fn checked<'a>(row_key: &[u8], stored: &'a [u8]) -> Result<&'a [u8], BadRow> {
    let (crc, value) = stored.split_first_chunk::<CRC_LEN>().ok_or(BadRow)?;
    if checksum(row_key, value) == u32::from_be_bytes(*crc) { Ok(value) } else { Err(BadRow) }
}

/// How many rows there are, the sum of their checksums, and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    sum: u64,
    pub(super) bytes: u64,
}

impl Tally {
    pub(super) fn add(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(weight(stored));
        self.bytes = self.bytes.wrapping_add((key.len() + stored.len()) as u64);
    }

    pub(super) fn remove(&mut self, key: &[u8], stored: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(weight(stored));
        self.bytes = self.bytes.wrapping_sub((key.len() + stored.len()) as u64);
    }
}

fn weight(stored: &[u8]) -> u64 {
    stored.first_chunk::<CRC_LEN>().map_or(0, |crc| u64::from(u32::from_be_bytes(*crc)))
}

/// Up to where the journal has been applied, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watermark {
    pub(super) head: Head,
    pub(super) tally: Tally,
}

impl Watermark {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(64);
        value.extend_from_slice(&self.head.sequence.to_be_bytes());
        value.extend_from_slice(self.head.chain.as_bytes());
        value.extend_from_slice(&self.tally.rows.to_be_bytes());
        value.extend_from_slice(&self.tally.sum.to_be_bytes());
        value.extend_from_slice(&self.tally.bytes.to_be_bytes());
        protect(&WATERMARK, &value)
    }

    pub(super) fn decode(stored: &[u8]) -> Result<Self, BadRow> {
        let read = |value| {
            let mut reader = Reader::new(value);
            let head = Head { sequence: reader.u64()?, chain: Hash::from_bytes(reader.array()?) };
            let tally = Tally { rows: reader.u64()?, sum: reader.u64()?, bytes: reader.u64()? };
            reader.finish()?;
            Ok::<_, Misread>(Self { head, tally })
        };
        read(checked(&WATERMARK, stored)?).map_err(|_| BadRow)
    }
}

/// What a run of commits leaves of each row: key in the view, and the stored value or `None`.
#[derive(Debug, Default)]
pub(super) struct Outcome(pub(super) BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Outcome {
    /// Adds a change that comes after those already there.
    fn set(&mut self, store_key: &[u8], value: Option<&[u8]>) {
        let key = row_key(store_key);
        let stored = value.map(|value| protect(&key, value));
        self.0.insert(key, stored);
    }

    /// Adds the changes of a commit that comes after those already there.
    pub(super) fn add(&mut self, changes: &[Change]) {
        for change in changes {
            self.set(&change.store_key(), change.value.as_deref());
        }
    }
}

impl From<&Batch> for Outcome {
    fn from(batch: &Batch) -> Self {
        let mut outcome = Self::default();
        for op in batch.ops() {
            match op {
                Op::Put { area, key, value } => outcome.set(&area.store_key(key), Some(value)),
                Op::Delete { area, key } => outcome.set(&area.store_key(key), None),
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_in_key_or_value_is_seen() {
        let key = row_key(&[1, 1, 9]);
        let stored = protect(&key, b"value");
        assert_eq!(checked(&key, &stored), Ok(&b"value"[..]));
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(checked(&key, &flipped), Err(BadRow));
        }
        assert_eq!(checked(&row_key(&[1, 1, 8]), &stored), Err(BadRow), "the value of another key");
        assert_eq!(checked(&key, &[]), Err(BadRow));
    }

    #[test]
    fn a_tally_knows_a_lost_row_from_a_replaced_one() {
        let (one, two) = (protect(b"k", b"1"), protect(b"k", b"2"));
        let mut tally = Tally::default();
        tally.add(b"k", &one);
        let before = tally;
        tally.remove(b"k", &one);
        assert_eq!(tally, Tally::default());
        tally.add(b"k", &two);
        assert_ne!(tally, before);
        assert_eq!(tally.rows, before.rows);
    }

    #[test]
    fn a_watermark_reads_back_and_no_other_bytes_do() {
        let head = Head { sequence: 5, chain: Hash::from_bytes([7; 32]) };
        let mark = Watermark { head, tally: Tally { rows: 3, sum: 99, bytes: 12 } };
        assert_eq!(Watermark::decode(&mark.encode()), Ok(mark));
        assert_eq!(Watermark::decode(&protect(&WATERMARK, b"short")), Err(BadRow));
    }
}
