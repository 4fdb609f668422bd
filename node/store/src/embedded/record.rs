//! A commit as it stands in the journal.
//!
//! ```text
//! record    = u8 version=1 | u8 flags (1 protective) | u16 count | operation*
//! operation = u8 1 put, 2 delete | u8 area | u8 area version | u16 len | key | for a put: u16 len | value
//! ```
//! Decoding is strict: what would encode differently is an error.

use eads_domain::encode::{Misread, Reader};

use crate::port::{Batch, MAX_KEY, MAX_OPERATIONS, MAX_VALUE, Op};

/// The most operations of one record: those of so many full batches that are committed together.
pub(super) const MAX_RECORD_OPERATIONS: usize = 16 * MAX_OPERATIONS;

const VERSION: u8 = 1;
const PROTECTIVE: u8 = 1;
const PUT: u8 = 1;
const DELETE: u8 = 2;

/// One change of one row, as the journal has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// The area's number.
    pub area: u8,
    /// The version of the area's row format.
    pub version: u8,
    /// The key without the area.
    pub key: Vec<u8>,
    /// The new value; `None` if the row was deleted.
    pub value: Option<Vec<u8>>,
}

impl Change {
    /// The key as it stands on disk, [`Area::store_key`](crate::port::Area::store_key).
    pub(super) fn store_key(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.key.len() + 2);
        out.extend_from_slice(&[self.area, self.version]);
        out.extend_from_slice(&self.key);
        out
    }
}

impl std::fmt::Debug for Change {
    /// Sizes only: keys and values may belong to persons.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (area, version, key) = (self.area, self.version, self.key.len());
        write!(f, "change {area}.{version} key[{key}] value{:?}", self.value.as_ref().map(Vec::len))
    }
}

/// Batches within their limits ([`Batch::check`]) as one record, which has at most [`MAX_RECORD_OPERATIONS`].
pub(super) fn encode(batches: &[Batch]) -> Vec<u8> {
    let flags = if batches.iter().any(Batch::is_protective) { PROTECTIVE } else { 0 };
    let mut out = vec![VERSION, flags];
    push_length(&mut out, batches.iter().map(Batch::len).sum());
    for op in batches.iter().flat_map(Batch::ops) {
        let (kind, area, key) = match op {
            Op::Put { area, key, .. } => (PUT, area, key),
            Op::Delete { area, key } => (DELETE, area, key),
        };
        out.extend_from_slice(&[kind, area.id(), area.version()]);
        push_length(&mut out, key.len());
        out.extend_from_slice(key);
        if let Op::Put { value, .. } = op {
            push_length(&mut out, value.len());
            out.extend_from_slice(value);
        }
    }
    out
}

/// How many bytes the operations of a batch take in a record.
pub(super) fn size(batch: &Batch) -> usize {
    let of = |op: &Op| match op {
        Op::Put { key, value, .. } => 7 + key.len() + value.len(),
        Op::Delete { key, .. } => 5 + key.len(),
    };
    batch.ops().iter().map(of).sum()
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    // The limits of a batch are far below this one.
    out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
}

/// A record that no version of this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<Misread> for Malformed {
    fn from(_: Misread) -> Self {
        Self
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Change>, Malformed> {
    let mut reader = Reader::new(bytes);
    let (version, flags, count) = (reader.u8()?, reader.u8()?, usize::from(reader.u16()?));
    if version != VERSION || flags & !PROTECTIVE != 0 || count > MAX_RECORD_OPERATIONS {
        return Err(Malformed);
    }
    let mut changes = Vec::with_capacity(count);
    for _ in 0..count {
        let (kind, area, version) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let key = take(&mut reader, MAX_KEY)?;
        let value = match kind {
            PUT => Some(take(&mut reader, MAX_VALUE)?),
            DELETE => None,
            _ => return Err(Malformed),
        };
        changes.push(Change { area, version, key, value });
    }
    reader.finish()?;
    Ok(changes)
}

fn take(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<u8>, Malformed> {
    let length = usize::from(reader.u16()?);
    if length > limit {
        return Err(Malformed);
    }
    Ok(reader.take(length)?.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::port::Area;

    #[test]
    fn the_bytes_of_a_record_are_fixed() {
        let mut batch = Batch::new();
        batch.put(Area::new(7, 2, "x"), b"k", b"vv").delete(Area::new(8, 1, "y"), b"").protective();
        let bytes = encode(&[batch]);
        assert_eq!(bytes, [1, 1, 0, 2, 1, 7, 2, 0, 1, b'k', 0, 2, b'v', b'v', 2, 8, 1, 0, 0]);
        let changes = decode(&bytes).unwrap();
        assert_eq!(changes[0].store_key(), [7, 2, b'k']);
        assert_eq!((changes[0].value.as_deref(), changes[1].value.as_deref()), (Some(&b"vv"[..]), None));
    }

    #[test]
    fn records_that_are_cut_or_run_on_are_refused() {
        let mut batch = Batch::new();
        batch.put(Area::new(7, 2, "x"), b"key", b"value").delete(Area::new(8, 1, "y"), b"key");
        let bytes = encode(&[batch]);
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Err(Malformed), "cut to {length}");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn what_decodes_is_what_would_be_encoded(bytes in proptest::collection::vec(0_u8..4, 0..40)) {
            if let Ok(changes) = decode(&bytes) {
                let mut batch = Batch::new();
                for change in changes {
                    let area = Area::new(change.area, change.version, "x");
                    match change.value {
                        Some(value) => batch.put(area, change.key, value),
                        None => batch.delete(area, change.key),
                    };
                }
                if bytes[1] == PROTECTIVE {
                    batch.protective();
                }
                prop_assert_eq!(encode(&[batch]), bytes);
            }
        }
    }
}
