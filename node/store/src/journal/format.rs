//! The bytes of a segment.
//!
//! ```text
//! segment = header[256] record* zeros
//! header  = "EADSJRNL" | u32 format=1 | u32 schema | u64 number | u64 first sequence | chain[32]
//!           | u8 len | label[63], zero-padded | zeros[124] | u32 crc32 of the 252 bytes before
//! record  = "EADR" | u32 len | u64 sequence | u64 group | u32 crc32 | chain[32] | payload[len]
//! crc32   = over header.chain ‖ len ‖ sequence ‖ group ‖ chain ‖ payload
//! chain_n = SHA-256(PAE("eads/v1/journal", chain_(n-1), u64 sequence, payload))
//! chain_0 = SHA-256(PAE("eads/v1/journal-genesis", label))
//! ```
//! `group` is the sequence of the first record that was made durable by the same sync: records of one group may
//! reach the device in any order, records of different groups may not. The segment's chain in each checksum keeps
//! bytes inside a payload from passing for a record. Any later format keeps the length and the checksum of the
//! header, so that "newer" can be told from "damaged".

pub(super) use eads_domain::chain::{genesis, link};
use eads_domain::encode::Reader;
use eads_domain::id::Hash;

use super::MAX_RECORD;

pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_LEN: usize = 256;
pub(super) const FRAME_LEN: usize = 60;
pub(super) const MAX_LABEL: usize = 63;

const HEADER_MAGIC: &[u8; 8] = b"EADSJRNL";
const FRAME_MAGIC: &[u8; 4] = b"EADR";

/// The first block of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) schema: u32,
    pub(super) number: u64,
    pub(super) first: u64,
    /// The chain value before the first record of the segment.
    pub(super) chain: Hash,
    pub(super) label: String,
}

/// Why a header is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged(&'static str),
    Newer(u32),
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(HEADER_MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.schema.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(self.chain.as_bytes());
        let label = self.label.as_bytes();
        let label = label.get(..MAX_LABEL).unwrap_or(label);
        out.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(label);
        out.resize(HEADER_LEN - 4, 0);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let short = BadHeader::Damaged("the header is cut off");
        let block = bytes.get(..HEADER_LEN).ok_or(short)?;
        let (body, crc) = block.split_last_chunk::<4>().ok_or(short)?;
        let mut reader = Reader::new(body);
        if &reader.array::<8>().map_err(|_| short)? != HEADER_MAGIC {
            return Err(BadHeader::Damaged("the header does not begin as one"));
        }
        if crc32fast::hash(body) != u32::from_be_bytes(*crc) {
            return Err(BadHeader::Damaged("the header's checksum does not match"));
        }
        let format = reader.u32().map_err(|_| short)?;
        if format > FORMAT {
            return Err(BadHeader::Newer(format));
        }
        let mut read = || {
            let (schema, number, first) = (reader.u32()?, reader.u64()?, reader.u64()?);
            let chain = Hash::from_bytes(reader.array()?);
            let length = usize::from(reader.u8()?);
            let label = reader.take(length)?.to_vec();
            Ok::<_, eads_domain::encode::Misread>((schema, number, first, chain, label))
        };
        let (schema, number, first, chain, label) = read().map_err(|_| short)?;
        let label = String::from_utf8(label).map_err(|_| BadHeader::Damaged("the label is not text"))?;
        let header = Self { schema, number, first, chain, label };
        // What encodes differently was not written by this program.
        if format == 0 || header.encode() != block {
            return Err(BadHeader::Damaged("the header is not canonical"));
        }
        Ok(header)
    }
}

/// A record as it stands in a segment, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    pub(super) group: u64,
    pub(super) chain: Hash,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Appends the record to `out`.
    pub(super) fn encode(&self, seed: &Hash, out: &mut Vec<u8>) {
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(FRAME_MAGIC);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.group.to_be_bytes());
        out.extend_from_slice(&self.checksum(seed, length).to_be_bytes());
        out.extend_from_slice(self.chain.as_bytes());
        out.extend_from_slice(self.payload);
    }

    /// The record at the start of `bytes`, with the length that it takes.
    pub(super) fn decode(bytes: &'a [u8], seed: &Hash) -> Result<(Self, usize), &'static str> {
        const SHORT: &str = "a record is cut off";
        let mut reader = Reader::new(bytes);
        if &reader.array::<4>().map_err(|_| SHORT)? != FRAME_MAGIC {
            return Err("no record begins here");
        }
        let length = reader.u32().map_err(|_| SHORT)?;
        let sequence = reader.u64().map_err(|_| SHORT)?;
        let group = reader.u64().map_err(|_| SHORT)?;
        let crc = reader.u32().map_err(|_| SHORT)?;
        let chain = Hash::from_bytes(reader.array().map_err(|_| SHORT)?);
        let size =
            usize::try_from(length).ok().filter(|size| *size <= MAX_RECORD).ok_or("a record's length is absurd")?;
        let payload = reader.take(size).map_err(|_| SHORT)?;
        let frame = Frame { sequence, group, chain, payload };
        if frame.checksum(seed, length) != crc {
            return Err("a record's checksum does not match");
        }
        Ok((frame, FRAME_LEN + size))
    }

    fn checksum(&self, seed: &Hash, length: u32) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(seed.as_bytes());
        crc.update(&length.to_be_bytes());
        crc.update(&self.sequence.to_be_bytes());
        crc.update(&self.group.to_be_bytes());
        crc.update(self.chain.as_bytes());
        crc.update(self.payload);
        crc.finalize()
    }
}

/// Whether a record with a valid checksum and a group after `sequence` begins anywhere in `bytes`: proof that
/// what should stand before it was once durable.
pub(super) fn has_later_group(bytes: &[u8], seed: &Hash, sequence: u64) -> bool {
    let mut rest = bytes;
    while let Some(at) = find(rest) {
        let candidate = rest.get(at..).unwrap_or_default();
        if Frame::decode(candidate, seed).is_ok_and(|(frame, _)| frame.group > sequence) {
            return true;
        }
        rest = candidate.get(1..).unwrap_or_default();
    }
    false
}

fn find(bytes: &[u8]) -> Option<usize> {
    let [first, ..] = FRAME_MAGIC;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if bytes.get(at..at + FRAME_MAGIC.len())? == FRAME_MAGIC {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Whether all of `bytes` are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| ZEROS.get(..chunk.len()) == Some(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header { schema: 3, number: 7, first: 99, chain: genesis("x"), label: "store".to_owned() }
    }

    #[test]
    fn a_header_reads_back_and_no_flipped_bit_passes() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_LEN);
        assert_eq!(Header::decode(&bytes), Ok(header()));
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Header::decode(&flipped), Err(BadHeader::Damaged(_))), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = header().encode();
        bytes[11] = 2;
        let crc = crc32fast::hash(&bytes[..HEADER_LEN - 4]);
        bytes[HEADER_LEN - 4..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(Header::decode(&bytes), Err(BadHeader::Newer(2)));
    }

    #[test]
    fn a_record_reads_back_and_no_flipped_bit_passes() {
        let seed = genesis("x");
        let frame = Frame { sequence: 5, group: 4, chain: link(&seed, 5, b"payload"), payload: b"payload" };
        let mut bytes = Vec::new();
        frame.encode(&seed, &mut bytes);
        assert_eq!(Frame::decode(&bytes, &seed), Ok((frame, bytes.len())));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&flipped, &seed).is_err(), "bit {bit}");
        }
        assert!(Frame::decode(&bytes, &genesis("y")).is_err(), "a record of another segment");
        assert!(has_later_group(&[&b"EADEADR"[..], &bytes].concat(), &seed, 3));
        assert!(!has_later_group(&bytes, &seed, 4));
    }

    #[test]
    fn every_part_of_a_record_is_in_the_chain() {
        let before = genesis("x");
        let chain = link(&before, 1, b"a");
        assert_ne!(chain, link(&before, 2, b"a"));
        assert_ne!(chain, link(&before, 1, b"b"));
        assert_ne!(chain, link(&genesis("y"), 1, b"a"));
    }
}
