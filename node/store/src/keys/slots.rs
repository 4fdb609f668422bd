//! Two checksummed 4 KiB records in one file: one is written while the other one still holds.
//!
//! A power cut while a record is written leaves that record old, new or unreadable and the other one untouched.
//! The file is written once in full when it is created and only ever over in place, so that an old record does
//! not live on in blocks that the file system has set free.

use eads_domain::encode::sha256_pae;

/// Bytes of one record, checksum included: a page, which no medium in use splits badly, and which is all written.
pub(super) const SLOT_BYTES: usize = 4096;
const CHECKSUM_BYTES: usize = 32;

/// A record of `body` bytes, zero-padded and checksummed under `label`.
///
/// Every body of this crate is a few hundred bytes; one that would not fit is cut and would fail to parse.
pub(super) fn encode(label: &str, body: &[u8]) -> Vec<u8> {
    let mut slot = body.to_vec();
    slot.resize(SLOT_BYTES - CHECKSUM_BYTES, 0);
    let checksum = checksum(label, &slot);
    slot.extend_from_slice(&checksum);
    slot
}

/// The two records of a file, each as its body with the padding, or `None` if its checksum does not hold.
///
/// A file of another length than two records holds no record.
pub(super) fn decode<'a>(label: &str, file: &'a [u8]) -> [Option<&'a [u8]>; 2] {
    if file.len() != 2 * SLOT_BYTES {
        return [None, None];
    }
    let (first, second) = file.split_at(SLOT_BYTES);
    [first, second].map(|slot| {
        let (body, found) = slot.split_at_checked(SLOT_BYTES - CHECKSUM_BYTES)?;
        (checksum(label, body) == *found).then_some(body)
    })
}

/// Where record `index` (0 or 1) starts in the file.
pub(super) const fn offset(index: usize) -> u64 {
    index as u64 * SLOT_BYTES as u64
}

fn checksum(label: &str, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *sha256_pae(&[label.as_bytes(), body]).as_bytes()
}
