//! Photographs of held statements: which are wanted, and which go with what is destroyed.

use eads_domain::id::MemberId;
use eads_domain::slot::{SlotNumber, SlotSet};
use eads_store::keys::KeySlot;
use eads_store::port::Batch;
use eads_store::vault::Sealed;

use super::effect::Effect;
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::{self, BlobKey, BlobWanted, HeldBlobs, HeldNotice, PurgeJob};
use crate::stored::StoredStatement;

impl Node {
    /// The origin has announced the photographs of a slot: if the statement is held with that slot, each gets a
    /// data key, and all are wanted. What was destroyed meanwhile is not wanted any more.
    pub(super) async fn blobs_announced(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        index: u64,
        slot: SlotNumber,
    ) -> Result<Effect, ServiceError> {
        let key = area::member_number(origin, index);
        let Some(Sealed::Plain { bytes, .. }) = self.vault.get(area::HELD_CONTENT, &key).await? else {
            return Ok(Effect::default());
        };
        let statement = StoredStatement::parse(&bytes)?;
        let payload = eads_domain::statement::Payload::parse(&statement.payload)?;
        let notice_key = area::member_notice(origin, payload.notice);
        let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &notice_key).await?;
        let Some(head) = head.filter(|head| head.content_index == index) else { return Ok(Effect::default()) };
        let content = statement.content()?;
        let held: Option<HeldBlobs> = rows::get(&*self.store, area::HELD_BLOBS, &key).await?;
        let mut held = held.unwrap_or_else(|| HeldBlobs {
            notice: payload.notice,
            digest: head.content_digest,
            blobs: Vec::new(),
        });
        let before = held.blobs.len();
        for (_, blob) in content.blobs().filter(|(named, _)| *named == slot) {
            if !held.blobs.iter().any(|one| one.id == blob.blob_id()) {
                let key = self.keys.allocate()?.into();
                held.blobs.push(BlobKey { id: blob.blob_id(), slot: slot.get(), key });
            }
        }
        let mut effect = Effect::default();
        if held.blobs.len() > before {
            rows::put(batch, area::HELD_BLOBS, &key, &held)?;
            rows::put(batch, area::BLOB_WANTED, &key, &BlobWanted::default())?;
            effect.blobs = true;
        }
        Ok(effect)
    }

    /// Whether every photograph of a held statement is here.
    pub(super) async fn held_blobs_are_whole(&self, key: &[u8]) -> Result<bool, ServiceError> {
        let held: Option<HeldBlobs> = rows::get(&*self.store, area::HELD_BLOBS, key).await?;
        let keys: Vec<KeySlot> = held.iter().flat_map(|held| &held.blobs).map(|blob| blob.key.into()).collect();
        self.blobs.with(move |store| Ok(keys.iter().all(|key| store.is_whole(*key)))).await
    }

    /// Takes the photographs of a held statement out of the rows, for the purge job that destroys them.
    pub(crate) async fn take_held_blobs(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        index: u64,
    ) -> Result<Vec<BlobKey>, ServiceError> {
        let key = area::member_number(origin, index);
        let held: Option<HeldBlobs> = rows::get(&*self.store, area::HELD_BLOBS, &key).await?;
        if held.is_some() {
            batch.delete(area::HELD_BLOBS, key.clone());
            batch.delete(area::BLOB_WANTED, key);
        }
        Ok(held.map(|held| held.blobs).unwrap_or_default())
    }

    /// Destroys the photographs of slots that are no longer allowed.
    pub(super) async fn narrow_held_blobs(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        index: u64,
        allowed: SlotSet,
    ) -> Result<(), ServiceError> {
        let key = area::member_number(origin, index);
        let Some(held) = rows::get::<HeldBlobs>(&*self.store, area::HELD_BLOBS, &key).await? else { return Ok(()) };
        let is_allowed = |blob: &BlobKey| SlotNumber::new(blob.slot).is_ok_and(|slot| allowed.contains(slot));
        let (kept, gone): (Vec<BlobKey>, Vec<BlobKey>) = held.blobs.iter().partition(|blob| is_allowed(blob));
        for blob in gone {
            self.queue_purge(batch, &PurgeJob::Blob { blob })?;
        }
        if kept.is_empty() {
            batch.delete(area::HELD_BLOBS, key.clone());
            batch.delete(area::BLOB_WANTED, key);
        } else {
            rows::put(batch, area::HELD_BLOBS, &key, &HeldBlobs { blobs: kept, ..held })?;
        }
        Ok(())
    }
}
