//! What is still taken from an origin whose register has forked: what protects people, and nothing else.

use std::sync::Arc;

use eads_store::port::Batch;

use super::SyncBatch;
use super::apply::Applied;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::Peer;

impl Node {
    /// Applies the suspensions, withdrawals and retractions of a batch. Signature and delivery suffice, for a
    /// register that has forked shows no inclusion; no cursor moves, so that nothing is skipped once the freeze is
    /// taken back. The caller holds the origin's lock.
    pub(super) async fn apply_protective(&self, peer: &Arc<Peer>, batch: SyncBatch) -> Result<Applied, ServiceError> {
        let all = batch.urgent.into_iter().chain(batch.deliveries).collect();
        let mut applied = Applied::default();
        for delivery in self.verify_all(peer, all).await? {
            let action = delivery.word.as_ref().map(|word| word.statement.payload().action);
            if !action.is_some_and(|action| action.is_protective()) {
                continue;
            }
            let mut batch = Batch::new();
            batch.protective();
            let effect = self.effect(peer, delivery, &super::known::Known::default(), &mut batch).await?;
            self.store.commit(batch).await?;
            self.after(effect);
            applied.deliveries += 1;
        }
        Ok(applied)
    }
}
