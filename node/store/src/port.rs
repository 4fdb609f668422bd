//! The storage port: what every engine promises and what its users may rely on.
//!
//! **Promises.** [`Store::commit`] is atomic (all operations of a batch or none, in their order), durable (it
//! returns only when the batch survives a power cut) and visible (every later `get` or `scan` by anyone sees it).
//! Commits are totally ordered by their [`Sequence`].
//!
//! **Crash windows.** A commit that returned `Ok` is never lost. A commit whose future was dropped, or that
//! returned an error whose text says that its outcome is unknown, may have happened: read back before repeating
//! it. A batch is never half there.
//!
//! **Not promised.** A scan is ordered but is no snapshot: rows that are committed while it runs may or may not be
//! in it, and two calls may see different states. Deleting erases nothing from the medium (PROTOCOL §6): personal
//! values are sealed by the [vault](crate::vault), and purging means destroying their keys.

use std::fmt;
use std::ops::Bound;

use async_trait::async_trait;

use crate::error::StoreError;

/// The most operations in one batch: sled's readers stall behind larger ones.
pub const MAX_OPERATIONS: usize = 64;

/// The longest key in bytes, without its area.
pub const MAX_KEY: usize = 256;

/// The longest value in bytes; longer ones are split into numbered parts by their owner.
pub const MAX_VALUE: usize = 4096;

/// A family of keys. Its number and version stand before each key on disk, so that a changed row format is a new
/// version of the area and never a guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Area {
    id: u8,
    version: u8,
    name: &'static str,
}

impl Area {
    /// An area. `id` is unique within the node and never reused; `version` is that of the row format; `name` is
    /// for people and stands in error texts.
    pub const fn new(id: u8, version: u8, name: &'static str) -> Self {
        Self { id, version, name }
    }

    /// The number on disk.
    pub const fn id(self) -> u8 {
        self.id
    }

    /// The version of the row format.
    pub const fn version(self) -> u8 {
        self.version
    }

    /// The name for people.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The two bytes before every key of this area on disk.
    pub const fn prefix(self) -> [u8; 2] {
        [self.id, self.version]
    }

    /// The key as it stands on disk: `id ‖ version ‖ key`.
    pub fn store_key(self, key: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(key.len() + 2);
        out.extend_from_slice(&self.prefix());
        out.extend_from_slice(key);
        out
    }
}

impl fmt::Debug for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}.{})", self.name, self.id, self.version)
    }
}

/// One operation of a batch.
#[derive(Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets the value of a key, whether it exists or not.
    Put {
        /// Where.
        area: Area,
        /// At most [`MAX_KEY`] bytes; may be empty.
        key: Vec<u8>,
        /// At most [`MAX_VALUE`] bytes; may be empty.
        value: Vec<u8>,
    },
    /// Removes a key, whether it exists or not.
    Delete {
        /// Where.
        area: Area,
        /// At most [`MAX_KEY`] bytes; may be empty.
        key: Vec<u8>,
    },
}

impl fmt::Debug for Op {
    /// Sizes only: keys and values may belong to persons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { area, key, value } => write!(f, "put {area:?} key[{}] value[{}]", key.len(), value.len()),
            Self::Delete { area, key } => write!(f, "delete {area:?} key[{}]", key.len()),
        }
    }
}

/// Operations that happen together or not at all, in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<Op>,
    protective: bool,
}

impl Batch {
    /// A batch without operations. Committing it makes everything before it durable and changes nothing.
    pub const fn new() -> Self {
        Self { ops: Vec::new(), protective: false }
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, area: Area, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.ops.push(Op::Put { area, key: key.into(), value: value.into() });
        self
    }

    /// Removes `key`.
    pub fn delete(&mut self, area: Area, key: impl Into<Vec<u8>>) -> &mut Self {
        self.ops.push(Op::Delete { area, key: key.into() });
        self
    }

    /// Lets this batch use the disk reserve. For withdrawals, suspensions, retractions and purges (and their audit)
    /// only: they protect people, and a full disk must not stop them.
    pub fn protective(&mut self) -> &mut Self {
        self.protective = true;
        self
    }

    /// Whether this batch may use the disk reserve.
    pub const fn is_protective(&self) -> bool {
        self.protective
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// How many operations can still be added.
    pub fn room(&self) -> usize {
        MAX_OPERATIONS.saturating_sub(self.ops.len())
    }

    /// The operations in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Moves the operations of `other` to the end of this batch; protective if either was.
    pub fn append(&mut self, mut other: Self) -> &mut Self {
        self.ops.append(&mut other.ops);
        self.protective |= other.protective;
        self
    }

    /// Checks the limits that all engines share; every engine calls it first in `commit`.
    ///
    /// # Errors
    /// [`StoreError::BatchTooLarge`], [`StoreError::KeyTooLarge`] or [`StoreError::ValueTooLarge`].
    pub fn check(&self) -> Result<(), StoreError> {
        if self.ops.len() > MAX_OPERATIONS {
            return Err(StoreError::BatchTooLarge { operations: self.ops.len() });
        }
        for op in &self.ops {
            let (area, key, value) = match op {
                Op::Put { area, key, value } => (area, key, value.len()),
                Op::Delete { area, key } => (area, key, 0),
            };
            if key.len() > MAX_KEY {
                return Err(StoreError::KeyTooLarge { area: area.name(), length: key.len() });
            }
            if value > MAX_VALUE {
                return Err(StoreError::ValueTooLarge { area: area.name(), length: value });
            }
        }
        Ok(())
    }
}

/// Lower and upper bound of keys.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A question for rows of one area in key order.
#[derive(Clone, PartialEq, Eq)]
pub struct Scan {
    /// Where.
    pub area: Area,
    /// Only keys that begin with these bytes; empty means all.
    pub prefix: Vec<u8>,
    /// Only keys strictly behind this one in the direction of the scan; the whole key, without its area. It need
    /// not exist and need not carry the prefix.
    pub after: Option<Vec<u8>>,
    /// From the greatest key to the smallest.
    pub reverse: bool,
    /// At most so many rows. The rows are held in memory: page with [`Scan::after`].
    pub limit: usize,
}

impl Scan {
    /// All rows of `area`, ascending, at most `limit`.
    pub const fn new(area: Area, limit: usize) -> Self {
        Self { area, prefix: Vec::new(), after: None, reverse: false, limit }
    }

    /// Only keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only keys strictly behind `key` in the direction of the scan.
    #[must_use]
    pub fn after(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// From the greatest key to the smallest.
    #[must_use]
    pub const fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The bounds of this scan over keys as they stand on disk, for [`std::collections::BTreeMap::range`] and its
    /// like; `None` if no key can lie between them.
    pub fn bounds(&self) -> Option<KeyRange> {
        use Bound::{Excluded, Included, Unbounded};
        let start = self.area.store_key(&self.prefix);
        let end = successor(&start);
        let after = self.after.as_ref().map(|key| self.area.store_key(key));
        let (lower, upper) = match (self.reverse, after) {
            (false, Some(after)) if after >= start => (Excluded(after), end.map_or(Unbounded, Excluded)),
            (true, Some(after)) if end.as_ref().is_none_or(|end| &after < end) => (Included(start), Excluded(after)),
            (_, _) => (Included(start), end.map_or(Unbounded, Excluded)),
        };
        let possible = match (&lower, &upper) {
            (Included(low), Excluded(high)) | (Excluded(low), Excluded(high)) => low < high,
            _ => true,
        };
        possible.then_some((lower, upper))
    }
}

impl fmt::Debug for Scan {
    /// Sizes only: keys may belong to persons.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.after.as_ref().map(Vec::len);
        let (area, prefix, reverse, limit) = (self.area, self.prefix.len(), self.reverse, self.limit);
        write!(f, "scan {area:?} prefix[{prefix}] after{after:?} reverse={reverse} limit={limit}")
    }
}

/// The smallest byte string greater than every one that begins with `prefix`; `None` if there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut out = prefix.to_vec();
    while let Some(last) = out.pop() {
        if last < u8::MAX {
            out.push(last + 1);
            return Some(out);
        }
    }
    None
}

/// The place of a commit in the total order of all commits; the first one is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// From its number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A row: its key without the area, and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// A storage engine. See the [module](self) for what is promised.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The value of `key`, or `None`.
    ///
    /// # Errors
    /// Only of the engine: a key that is not there is no error.
    async fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Rows in key order; keys come back without their area. Fewer rows than the limit mean that there are no more.
    ///
    /// # Errors
    /// Only of the engine.
    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError>;

    /// Applies a batch atomically. It is durable and visible to `get` and `scan` before this returns.
    ///
    /// # Errors
    /// The limits of [`Batch::check`]; [`StoreError::DiskReserve`] when the disk is nearly full and the batch is not
    /// protective; errors of the engine, of which those marked in [`StoreError`] leave the outcome unknown.
    async fn commit(&self, batch: Batch) -> Result<Sequence, StoreError>;

    /// The values of several keys, in their order; no snapshot. One look where each [`Store::get`] would be one.
    ///
    /// # Errors
    /// As [`Store::get`].
    async fn get_many(&self, keys: Vec<(Area, Vec<u8>)>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut values = Vec::with_capacity(keys.len());
        for (area, key) in keys {
            values.push(self.get(area, &key).await?);
        }
        Ok(values)
    }

    /// Applies batches in their order, each atomically; all are durable and visible before this returns. A crash or
    /// an error leaves the first of them, some or none: never a later one without those before it. Engines may make
    /// many of them durable with one sync.
    ///
    /// # Errors
    /// As [`Store::commit`], for the first batch that fails.
    async fn commit_all(&self, batches: Vec<Batch>) -> Result<(), StoreError> {
        for batch in batches {
            self.commit(batch).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area::new(7, 1, "test");

    #[test]
    fn the_successor_of_a_prefix_skips_bytes_that_cannot_grow() {
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[1, 255]), Some(vec![2]));
        assert_eq!(successor(&[255, 255]), None);
    }

    #[test]
    fn limits_are_the_callers_fault_and_exact() {
        let mut batch = Batch::new();
        for _ in 0..MAX_OPERATIONS {
            batch.put(AREA, vec![0; MAX_KEY], vec![0; MAX_VALUE]);
        }
        assert!(batch.check().is_ok());
        assert_eq!(batch.room(), 0);
        batch.delete(AREA, vec![1]);
        assert!(matches!(batch.check(), Err(StoreError::BatchTooLarge { operations: 65 })));
        let mut batch = Batch::new();
        batch.delete(AREA, vec![0; MAX_KEY + 1]);
        assert!(matches!(batch.check(), Err(StoreError::KeyTooLarge { .. })));
        let mut batch = Batch::new();
        batch.put(AREA, vec![0], vec![0; MAX_VALUE + 1]);
        assert!(matches!(batch.check(), Err(StoreError::ValueTooLarge { .. })));
    }

    #[test]
    fn debug_output_shows_sizes_and_no_contents() {
        let mut batch = Batch::new();
        batch.put(AREA, b"secret-key".to_vec(), b"secret-value".to_vec());
        let text = format!("{batch:?} {:?}", Scan::new(AREA, 1).prefix(b"secret".to_vec()));
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
    }
}
