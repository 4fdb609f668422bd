//! The buckets used last, unsealed, up to a fixed number: about 33 KiB each.
//!
//! Hand-written because it is one map and one counter: a look-up must also match the bucket's generation, and an
//! entry that leaves must be wiped, which it is when its last user drops it.

use std::collections::HashMap;
use std::sync::Arc;

use super::bucket::Bucket;

/// Buckets by number.
pub(super) struct Cache {
    limit: usize,
    uses: u64,
    buckets: HashMap<u32, Cached>,
}

struct Cached {
    generation: u64,
    last_use: u64,
    bucket: Arc<Bucket>,
}

impl Cache {
    /// Holds at most `limit` buckets.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, uses: 0, buckets: HashMap::new() }
    }

    /// Whether this generation of a bucket is here.
    pub(super) fn holds(&self, number: u32, generation: u64) -> bool {
        self.buckets.get(&number).is_some_and(|cached| cached.generation == generation)
    }

    /// This generation of a bucket, if it is here.
    pub(super) fn get(&mut self, number: u32, generation: u64) -> Option<Arc<Bucket>> {
        let cached = self.buckets.get_mut(&number).filter(|cached| cached.generation == generation)?;
        self.uses += 1;
        cached.last_use = self.uses;
        Some(Arc::clone(&cached.bucket))
    }

    /// Keeps a bucket, in place of its other generations and, if there is no room, of the one unused for longest.
    pub(super) fn insert(&mut self, number: u32, generation: u64, bucket: Arc<Bucket>) {
        if !self.buckets.contains_key(&number) && self.buckets.len() >= self.limit {
            let oldest = self.buckets.iter().min_by_key(|(_, cached)| cached.last_use).map(|(number, _)| *number);
            if let Some(oldest) = oldest {
                self.buckets.remove(&oldest);
            }
        }
        self.uses += 1;
        self.buckets.insert(number, Cached { generation, last_use: self.uses, bucket });
    }
}
