//! Destroying data keys, and only then saying so (PROTOCOL §6).
//!
//! A job is durable with the change that asks for it. The worker destroys the keys of all jobs together, then
//! commits the receipts and forgets the jobs; a crash anywhere in between repeats it without harm.

use std::collections::BTreeMap;

use eads_domain::id::NoticeId;
use eads_domain::receipt::{ReceiptReason, ReceiptStatus};
use eads_store::keys::KeySlot;
use eads_store::port::{Batch, Scan};

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::{self, Answered, BlobKey, Holding, Life, OwnNotice, OwnVersion, PurgeJob};

const JOBS: usize = 256;

impl Node {
    /// Puts a job beside the change that asks for it.
    pub(crate) fn queue_purge(&self, batch: &mut Batch, job: &PurgeJob) -> Result<(), ServiceError> {
        rows::put(batch, area::PURGE, &job.row_key(), job)
    }

    /// Waits until something is to be destroyed.
    pub async fn purge_due(&self) {
        self.purge_due.notified().await;
    }

    /// Destroys the keys of every job that stands. Returns how many keys.
    ///
    /// # Errors
    /// When keys or store cannot be written; the jobs stand.
    pub async fn purge(&self) -> Result<usize, ServiceError> {
        let mut destroyed = 0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut scan = Scan::new(area::PURGE, JOBS);
            scan.after = after.take();
            let page = self.store.scan(scan).await?;
            let mut jobs = Vec::with_capacity(page.len());
            for (key, value) in &page {
                jobs.push((key.clone(), rows::parse::<PurgeJob>(value)?));
            }
            destroyed += self.purge_jobs(jobs).await?;
            match page.last() {
                Some((key, _)) if page.len() == JOBS => after = Some(key.clone()),
                _ => return Ok(destroyed),
            }
        }
    }

    async fn purge_jobs(&self, jobs: Vec<(Vec<u8>, PurgeJob)>) -> Result<usize, ServiceError> {
        let jobs = self.without_held(jobs).await?;
        let mut slots: Vec<KeySlot> = Vec::new();
        // What of each notice is destroyed now. More may come to be due meanwhile: that waits for the next time.
        let mut ending = BTreeMap::new();
        for (_, job) in &jobs {
            match job {
                PurgeJob::Held { key, blobs, .. } => {
                    slots.push((*key).into());
                    slots.extend(blobs.iter().map(|blob| KeySlot::from(blob.key)));
                }
                PurgeJob::Key { key } | PurgeJob::Blob { blob: BlobKey { key, .. } } => slots.push((*key).into()),
                PurgeJob::Own { notice } => {
                    let versions = self.ended_versions(*notice).await?;
                    for (_, version) in &versions {
                        slots.push(version.key.into());
                        slots.extend(version.blobs.iter().map(|blob| KeySlot::from(blob.key)));
                    }
                    ending.insert(*notice, versions);
                }
            }
        }
        let keys = self.keys.clone();
        let count = slots.len();
        if count > 0 {
            tokio::task::spawn_blocking(move || keys.destroy(&slots)).await.map_err(|error| {
                ServiceError::internal("PURGE_STOPPED", "the destruction of keys was interrupted").caused_by(error)
            })??;
        }
        for (row, job) in jobs {
            match job {
                PurgeJob::Own { notice } => {
                    self.finish_own(row, notice, ending.remove(&notice).unwrap_or_default()).await?;
                }
                job => self.finish_purge(row, job).await?,
            }
        }
        Ok(count)
    }

    /// The keys of these versions of an own notice are gone: removes their sealed rows, and forgets the job unless
    /// more has come to be due.
    async fn finish_own(
        &self,
        row: Vec<u8>,
        notice: NoticeId,
        versions: Vec<(u64, OwnVersion)>,
    ) -> Result<(), ServiceError> {
        let _notices = self.notices.lock().await;
        for (index, version) in versions {
            let mut one = Batch::new();
            one.protective();
            self.vault.delete(&mut one, area::OWN_CONTENT, &area::index(index)).await?;
            self.remove_files(&version.blobs).await?;
            for blob in &version.blobs {
                self.vault.delete(&mut one, area::BLOB, blob.id.as_bytes()).await?;
            }
            one.delete(area::BLOB_STATEMENT, version.digest.as_bytes());
            let version = OwnVersion { destroyed: true, blobs: Vec::new(), ..version };
            rows::put(&mut one, area::OWN_VERSION, &area::notice_index(notice, index), &version)?;
            self.store.commit(one).await?;
        }
        if !self.ended_versions(notice).await?.is_empty() {
            self.purge_due.notify_one();
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.protective();
        batch.delete(area::PURGE, row);
        self.store.commit(batch).await?;
        Ok(())
    }

    /// The keys are gone: removes the sealed rows, owes the receipt, forgets the job.
    async fn finish_purge(&self, row: Vec<u8>, job: PurgeJob) -> Result<(), ServiceError> {
        let mut batch = Batch::new();
        batch.protective();
        batch.delete(area::PURGE, row);
        match job {
            // What is left of an own notice is told apart first: `finish_own`.
            PurgeJob::Key { .. } | PurgeJob::Own { .. } => {}
            PurgeJob::Blob { blob } => {
                self.remove_files(&[blob]).await?;
                self.vault.delete(&mut batch, area::BLOB, blob.id.as_bytes()).await?;
            }
            PurgeJob::Held { origin, index, reason, blobs, .. } => {
                self.remove_files(&blobs).await?;
                let _applying = self.applying.lock(origin).await;
                let key = area::member_number(origin, index);
                self.vault.delete(&mut batch, area::HELD_CONTENT, &key).await?;
                if let Some(answered) = rows::get::<Answered>(&*self.store, area::ANSWERED, &key).await? {
                    // Destroyed because it was refused: that is what its owner is told.
                    let refused = ReceiptReason::from_number(reason).is_decision();
                    let status = if refused { ReceiptStatus::Rejected } else { ReceiptStatus::Purged };
                    let status = status.as_byte();
                    let purged = Answered { status, reason, at: self.clock.now(), ..answered };
                    self.owe_receipt(&mut batch, origin, index, &purged)?;
                }
                self.store.commit(batch).await?;
                self.receipts_due.send_modify(|due| *due += 1);
                return Ok(());
            }
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Removes files whose keys are destroyed, before anybody is told so.
    async fn remove_files(&self, blobs: &[BlobKey]) -> Result<(), ServiceError> {
        if blobs.is_empty() {
            return Ok(());
        }
        let keys: Vec<KeySlot> = blobs.iter().map(|blob| blob.key.into()).collect();
        self.blobs.with(move |store| store.remove(&keys)).await
    }

    /// What of an own notice that has ended is to be destroyed now: its contents at once; the statements that
    /// changed its state only when everyone who owed a purge receipt has given it.
    pub(crate) async fn ended_versions(&self, notice: NoticeId) -> Result<Vec<(u64, OwnVersion)>, ServiceError> {
        let head = self.own_notice(notice).await?;
        let Some(head) = head.filter(|head| matches!(head.life, Life::Withdrawn | Life::Expired)) else {
            return Ok(Vec::new());
        };
        let versions = self.own_versions(notice).await?;
        Ok(versions
            .into_iter()
            .filter(|(_, version)| !version.destroyed && (head.settled || version.action.describes_subject()))
            .collect())
    }

    /// Settles what a crash between the last receipt and its consequence left unsettled.
    pub(crate) async fn settle_ended(&self) -> Result<(), ServiceError> {
        let mut pages = Pages::of(&*self.store, area::OWN_NOTICE);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let head: OwnNotice = rows::parse(value)?;
                if !head.settled && matches!(head.life, Life::Withdrawn | Life::Expired) {
                    self.settle(NoticeId::try_from(key.as_slice())?).await?;
                }
            }
        }
        Ok(())
    }

    /// Settles those of `notices` that have ended.
    pub(crate) async fn settle_all(&self, notices: Vec<NoticeId>) -> Result<(), ServiceError> {
        let keys = notices.iter().map(|notice| (area::OWN_NOTICE, notice.as_bytes().to_vec())).collect();
        let heads = self.store.get_many(keys).await?;
        for (notice, head) in notices.into_iter().zip(heads) {
            let head: Option<OwnNotice> = head.as_deref().map(rows::parse).transpose()?;
            if head.is_some_and(|head| matches!(head.life, Life::Withdrawn | Life::Expired)) {
                self.settle(notice).await?;
            }
        }
        Ok(())
    }

    /// Marks an ended notice as settled once every holder of any content has receipted its purge.
    pub(crate) async fn settle(&self, notice: NoticeId) -> Result<(), ServiceError> {
        let _notices = self.notices.lock().await;
        let Some(head) = self.own_notice(notice).await? else { return Ok(()) };
        if head.settled || !matches!(head.life, Life::Withdrawn | Life::Expired) {
            return Ok(());
        }
        for (index, version) in self.own_versions(notice).await? {
            if !version.action.describes_subject() && version.action != eads_domain::statement::Action::Withdraw {
                continue;
            }
            for member in &head.ever_sent {
                let key = area::index_member(index, *member);
                let Some(holding) = rows::get::<Holding>(&*self.store, area::HOLDING, &key).await? else { continue };
                let settled = match version.action.describes_subject() {
                    true => holding.is_settled(),
                    false => !holding.awaits_receipt(),
                };
                if !settled {
                    return Ok(());
                }
            }
        }
        let mut batch = Batch::new();
        batch.protective();
        rows::put(&mut batch, area::OWN_NOTICE, notice.as_bytes(), &OwnNotice { settled: true, ..head })?;
        self.queue_purge(&mut batch, &PurgeJob::Own { notice })?;
        self.store.commit(batch).await?;
        self.purge_due.notify_one();
        Ok(())
    }
}
