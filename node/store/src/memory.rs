//! The engine for tests and simulations: a sorted map with the limits of the real engines. Nothing survives it,
//! so "durable" means here: as long as a clone lives.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::error::StoreError;
use crate::port::{Area, Batch, Op, Row, Scan, Sequence, Store};

/// A store in memory. Clones share their contents, so that a clone can play the reopened store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<RwLock<State>>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    last: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("rows", &self.rows.len()).field("last", &self.last).finish()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Ok(state.rows.get(&area.store_key(key)).cloned())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        let Some(bounds) = scan.bounds() else { return Ok(Vec::new()) };
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let rows = state.rows.range(bounds);
        let row = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.get(2..).unwrap_or_default().to_vec(), value.clone());
        Ok(if scan.reverse {
            rows.rev().take(scan.limit).map(row).collect()
        } else {
            rows.take(scan.limit).map(row).collect()
        })
    }

    async fn commit(&self, batch: Batch) -> Result<Sequence, StoreError> {
        batch.check()?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for op in batch.ops() {
            match op {
                Op::Put { area, key, value } => {
                    state.rows.insert(area.store_key(key), value.clone());
                }
                Op::Delete { area, key } => {
                    state.rows.remove(&area.store_key(key));
                }
            }
        }
        state.last += 1;
        Ok(Sequence::new(state.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_engine_conforms_to_the_port() {
        crate::conformance::run(|| async {
            let store = MemoryStore::new();
            crate::conformance::Subject::new(Arc::new(store.clone()), move || {
                let store = store.clone();
                async move { Arc::new(store) as Arc<dyn Store> }
            })
        })
        .await;
    }
}
