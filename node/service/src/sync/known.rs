//! Rows that a run of deliveries will ask for, read in one look instead of several for each.
//!
//! What is known is what was durable when the run began; it holds for as long as nobody else changes those rows (the
//! origin's lock) and the run itself touches each notice once.

use std::collections::HashMap;

use eads_domain::id::MemberId;
use eads_store::port::{Area, Store};
use serde::de::DeserializeOwned;

use super::verify::{Says, Verified};
use crate::area;
use crate::error::ServiceError;
use crate::rows;

/// Rows by area and key; one that is absent in the store is known to be absent.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<(u8, Vec<u8>), Option<Vec<u8>>>);

impl Known {
    /// What the effects of `run` read.
    pub(super) async fn of(store: &dyn Store, origin: MemberId, run: &[Verified]) -> Result<Self, ServiceError> {
        let mut keys = Vec::with_capacity(run.len() * 6);
        for (delivery, word) in run.iter().filter_map(|delivery| Some((delivery, delivery.word.as_ref()?))) {
            let number = area::member_number(origin, delivery.index);
            keys.push((area::ANSWERED, number.clone()));
            if matches!(word.says, Says::Content(_)) {
                let notice = area::member_notice(origin, word.statement.payload().notice);
                keys.push((area::HELD_CONTENT, number));
                keys.extend(
                    [area::HELD_NOTICE, area::MARK, area::OWNERS_STATE, area::DESK].map(|area| (area, notice.clone())),
                );
            }
        }
        let values = store.get_many(keys.clone()).await?;
        Ok(Self(keys.into_iter().zip(values).map(|((area, key), value)| ((area.id(), key), value)).collect()))
    }

    /// The row at a key: as known, or else as it is now.
    pub(super) async fn row(&self, store: &dyn Store, area: Area, key: &[u8]) -> Result<Option<Vec<u8>>, ServiceError> {
        match self.0.get(&(area.id(), key.to_vec())) {
            Some(known) => Ok(known.clone()),
            None => Ok(store.get(area, key).await?),
        }
    }

    /// The same, parsed.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        store: &dyn Store,
        area: Area,
        key: &[u8],
    ) -> Result<Option<T>, ServiceError> {
        self.row(store, area, key).await?.map(|bytes| rows::parse(&bytes)).transpose()
    }
}
