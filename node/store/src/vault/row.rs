//! The rows of a sealed value.
//!
//! ```text
//! first row  = u8 format=1 ‖ u16 schema ‖ u8 parts ‖ sealed(first 4,000 bytes)   under the value's own key
//! other rows = sealed(next 4,000 bytes)      in the area of parts, key = area[2] ‖ key ‖ u8 part
//! AAD        = PAE(area[2], key, u16 schema, u8 part ‖ u8 parts, link)
//! link       = empty for the first part, for the others the nonce of the first
//! ```
//!
//! The associated data bind a value to its place, its schema and its number of parts, and a part to the writing it
//! belongs to: rows cannot be moved, cut short, or mixed with those of an earlier value.

use eads_domain::encode::Reader;

use crate::keys::KeySlot;
use crate::port::Area;

const FORMAT: u8 = 1;
/// Bytes before the sealed bytes of the first row.
pub(super) const HEADER_BYTES: usize = 4;

/// What the first row says in the clear.
#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) schema: u16,
    pub(super) parts: u8,
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let [high, low] = self.schema.to_be_bytes();
        [FORMAT, high, low, self.parts]
    }

    /// The header and the sealed first part of a row, or `None` if no row was ever written so.
    pub(super) fn split(row: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(row);
        let format = reader.u8().ok()?;
        let header = Self { schema: reader.u16().ok()?, parts: reader.u8().ok()? };
        let sealed = reader.take(reader.remaining()).ok()?;
        let valid = format == FORMAT && (1..=super::MAX_PARTS).contains(&header.parts.into());
        valid.then_some((header, sealed))
    }
}

/// What one part is bound to.
pub(super) struct Binding<'a> {
    area: [u8; 2],
    key: &'a [u8],
    schema: [u8; 2],
    position: [u8; 2],
    link: &'a [u8],
}

impl<'a> Binding<'a> {
    /// `link` is what [`link`] gives for the first part, and empty for that part itself.
    pub(super) fn new(area: Area, key: &'a [u8], header: Header, part: u8, link: &'a [u8]) -> Self {
        let position = [part, header.parts];
        Self { area: area.prefix(), key, schema: header.schema.to_be_bytes(), position, link }
    }

    /// The parts of the associated data.
    pub(super) fn aad(&self) -> [&[u8]; 5] {
        [&self.area, self.key, &self.schema, &self.position, self.link]
    }
}

/// What ties the other parts of a value to its sealed first part: that one's random nonce.
pub(super) fn link(first_sealed: &[u8]) -> &[u8] {
    let start = 1 + KeySlot::BYTES;
    first_sealed.get(start..start + 12).unwrap_or_default()
}

/// The key of a part in the area of parts. No two (area, key, part) have the same.
pub(super) fn part_key(area: Area, key: &[u8], part: u8) -> Vec<u8> {
    let mut out = area.store_key(key);
    out.push(part);
    out
}
