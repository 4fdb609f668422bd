//! Fetching the photographs of held statements: the last thing on every connection.
//!
//! **Promises.**
//! * Nothing is asked for while the sync stream brings anything, and never more than what takes about a second at
//!   the speed seen so far: what protects people waits for that much at most.
//! * A piece that makes no progress for the stall time ends the attempt; how long the whole takes does not matter.
//!   The next attempt goes on at the byte held.
//! * A file is visible only once all of it is there and is what the signed value names. What the peer served wrongly
//!   is dropped, an alarm says so, and it is asked for again later, ever more rarely.
//! * Nothing is given up.

use std::sync::Arc;
use std::time::Duration;

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, MemberId};
use eads_domain::slot::SlotNumber;
use eads_domain::value::BlobRef;
use eads_store::blobs::Download;
use eads_store::port::{Batch, Scan};
use eads_store::vault::Sealed;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::follow::{Backoff, until};
use super::owe::PostError;
use crate::area;
use crate::blobs::BlobAsked;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{LinkError, LinkFailure};
use crate::rows::{self, BlobKey, BlobWanted, HeldBlobs};
use crate::stored::StoredStatement;

/// What is asked for at once: first, at least, at most.
const WINDOW: (u32, u32, u32) = (32 * 1024, 16 * 1024, 512 * 1024);
/// A window that took less is doubled, one that took more is halved.
const QUICK: Duration = Duration::from_millis(500);
const SLOW: Duration = Duration::from_secs(2);
/// Bytes in memory before they are written.
const GATHER: usize = 64 * 1024;
const PAGE: usize = 64;
/// The longest sleep while something waits for its time: the clock may be moved.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Fetches what is wanted of `peer` until `stop`.
pub(super) async fn fetch(node: Arc<Node>, peer: MemberId, stop: CancellationToken) {
    until(&stop, async {
        let mut due = node.blobs_due.subscribe();
        let mut fetching =
            Fetching { caught_up: node.caught_up.watch(peer), node: node.clone(), peer, window: WINDOW.0, begun: None };
        let mut backoff = Backoff::new(&node);
        loop {
            due.mark_unchanged();
            match fetching.all().await {
                Ok(waits) => {
                    backoff.reset();
                    let again = async {
                        match waits {
                            true => tokio::time::sleep(LOOK_AGAIN.min(node.limits.stall)).await,
                            false => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        changed = due.changed() => if changed.is_err() { return },
                        () = again => {}
                    }
                }
                Err(PostError::Link(error)) => {
                    tracing::debug!(%peer, code = error.code, "a photograph was not fetched; trying again");
                    backoff.pause_for(peer).await;
                }
                Err(PostError::Own(error)) => {
                    tracing::error!(%peer, code = %error.code(), "a photograph cannot be kept: {error}");
                    node.alarms.raise(
                        &format!("BLOB_UNWRITTEN:{peer}"),
                        node.clock.now(),
                        format!("photographs of {peer} cannot be kept: {} {error}", error.code()),
                    );
                    backoff.pause().await;
                }
            }
        }
    })
    .await;
}

/// Why a photograph was not fetched.
enum Unfetched {
    /// It is not wanted any more: the notice ended meanwhile.
    Ended,
    /// The peer has it not, or served something else.
    Served(String),
    Post(PostError),
}

impl From<ServiceError> for Unfetched {
    fn from(error: ServiceError) -> Self {
        match error.code().as_str() {
            "KEY_DESTROYED" => Self::Ended,
            _ => Self::Post(error.into()),
        }
    }
}

struct Fetching {
    node: Arc<Node>,
    peer: MemberId,
    caught_up: watch::Receiver<bool>,
    window: u32,
    /// An attempt that broke off, with the bytes that fill no chunk yet.
    begun: Option<Download>,
}

impl Fetching {
    /// Fetches everything whose time has come. Returns whether something waits for its time.
    async fn all(&mut self) -> Result<bool, PostError> {
        let node = self.node.clone();
        let mut waits = false;
        let mut after = None;
        loop {
            let mut scan = Scan::new(area::BLOB_WANTED, PAGE).prefix(*self.peer.as_bytes());
            scan.after = after.take();
            let page = node.store.scan(scan).await.map_err(ServiceError::from)?;
            for (key, row) in &page {
                let wanted: BlobWanted = rows::parse(row)?;
                if wanted.not_before > node.clock.now() {
                    waits = true;
                    continue;
                }
                match self.statement(key).await {
                    Ok(()) => node.fetched(self.peer, key, None).await?,
                    Err(Unfetched::Ended) => {}
                    Err(Unfetched::Served(code)) => {
                        node.fetched(self.peer, key, Some(code)).await?;
                        waits = true;
                    }
                    Err(Unfetched::Post(error)) => return Err(error),
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                _ => return Ok(waits),
            }
        }
    }

    /// All photographs of one statement.
    async fn statement(&mut self, key: &[u8]) -> Result<(), Unfetched> {
        let node = self.node.clone();
        let held: Option<HeldBlobs> = rows::get(&*node.store, area::HELD_BLOBS, key).await?;
        let Some(held) = held else { return Err(Unfetched::Ended) };
        let content = node.vault.get(area::HELD_CONTENT, key).await.map_err(ServiceError::from)?;
        let Some(Sealed::Plain { bytes, .. }) = content else { return Err(Unfetched::Ended) };
        let content = StoredStatement::parse(&bytes)?.content()?;
        // One that the peer cannot serve does not keep the others back.
        let mut unserved = None;
        for blob in &held.blobs {
            let named = content.blobs().find(|(slot, named)| slot.get() == blob.slot && named.blob_id() == blob.id);
            if let Some((slot, named)) = named {
                match self.one(held.digest, slot, blob, named).await {
                    Err(Unfetched::Served(code)) => unserved = Some(code),
                    other => other?,
                }
            }
        }
        unserved.map_or(Ok(()), |code| Err(Unfetched::Served(code)))
    }

    async fn one(&mut self, digest: Hash, slot: SlotNumber, blob: &BlobKey, named: &BlobRef) -> Result<(), Unfetched> {
        let (name, len) = (blob.name(), named.len);
        let whole = self.node.blobs.with(move |store| Ok(store.is_whole(name.key))).await?;
        if whole {
            return Ok(());
        }
        let begun = self.begun.take().filter(|begun| begun.name() == name);
        let mut download = match begun {
            Some(begun) => begun,
            None => self.node.blobs.with(move |store| store.download(name, len)).await?,
        };
        while !download.is_complete() {
            // The sender lives as long as the node.
            let _ = self.caught_up.wait_for(|caught_up| *caught_up).await;
            let (held, window) = (download.held(), self.window);
            let asked = BlobAsked { digest, slot, id: blob.id, offset: held.into(), window };
            let started = Instant::now();
            let (kept, outcome) = self.piece(download, asked).await?;
            download = kept;
            if let Err(error) = outcome {
                let progress = download.held() > held;
                self.begun = Some(download);
                self.window = WINDOW.1;
                return Err(unserved(error, progress));
            }
            if download.held() == held {
                return Err(Unfetched::Served("BLOB_EMPTY_ANSWER".to_owned()));
            }
            self.window = match started.elapsed() {
                quick if quick < QUICK => window.saturating_mul(2).min(WINDOW.2),
                slow if slow > SLOW => (window / 2).max(WINDOW.1),
                _ => window,
            };
        }
        let sha256 = named.sha256;
        if self.node.blobs.with(move |store| store.finish(download, &sha256)).await? {
            Ok(())
        } else {
            Err(Unfetched::Served("BLOB_WRONG".to_owned()))
        }
    }

    /// One window: what came is kept, however it ended.
    async fn piece(
        &self,
        download: Download,
        asked: BlobAsked,
    ) -> Result<(Download, Result<(), LinkError>), Unfetched> {
        let mut pieces = match self.node.link.fetch_blob(self.peer, asked).await {
            Ok(pieces) => pieces,
            Err(error) => return Ok((download, Err(error))),
        };
        let (mut download, mut room) = (Some(download), u64::from(asked.window));
        loop {
            let (gathered, ended) = self.gather(&mut pieces).await;
            // More than was asked for is no answer.
            room = match room.checked_sub(gathered.len() as u64) {
                Some(room) => room,
                None => return Err(Unfetched::Served("BLOB_TOO_LONG".to_owned())),
            };
            let Some(mut kept) = download.take() else { return Err(Unfetched::Ended) };
            let appended = self.node.blobs.with(move |store| Ok((store.append(&mut kept, &gathered), kept)));
            let kept = match appended.await? {
                (Ok(()), kept) => kept,
                (Err(eads_store::blobs::BlobError::TooLarge), _) => {
                    return Err(Unfetched::Served("BLOB_TOO_LONG".to_owned()));
                }
                (Err(error), _) => return Err(ServiceError::from(error).into()),
            };
            match ended {
                Some(outcome) => return Ok((kept, outcome)),
                None => download = Some(kept),
            }
        }
    }

    /// Bytes until there are enough to be written, or until the answer ends.
    async fn gather(
        &self,
        pieces: &mut BoxStream<'static, Result<Vec<u8>, LinkError>>,
    ) -> (Vec<u8>, Option<Result<(), LinkError>>) {
        let mut gathered = Vec::new();
        while gathered.len() < GATHER {
            match tokio::time::timeout(self.node.limits.stall, pieces.next()).await {
                Ok(Some(Ok(piece))) => gathered.extend_from_slice(&piece),
                Ok(Some(Err(error))) => return (gathered, Some(Err(error))),
                Ok(None) => return (gathered, Some(Ok(()))),
                Err(_) => {
                    let error = LinkError::new(LinkFailure::TimedOut, "STALLED", "a photograph made no progress");
                    return (gathered, Some(Err(error)));
                }
            }
        }
        (gathered, None)
    }
}

/// The peer's own no is remembered; everything else is the line's, and tried again soon.
fn unserved(error: LinkError, progress: bool) -> Unfetched {
    let says_no = matches!(error.failure, LinkFailure::Refused | LinkFailure::Incompatible) && !progress;
    if says_no && error.code != "BLOB_STREAMS_TOO_MANY" {
        Unfetched::Served(error.code)
    } else {
        Unfetched::Post(PostError::Link(error))
    }
}

impl Node {
    /// Forgets that photographs of a statement are wanted, or remembers that the peer failed to serve them.
    async fn fetched(&self, peer: MemberId, key: &[u8], failure: Option<String>) -> Result<(), ServiceError> {
        let _applying = self.applying.lock(peer).await;
        let alarm = format!("BLOB:{peer}");
        // It ended while it was fetched: nothing of it is written any more.
        let Some(wanted) = rows::get::<BlobWanted>(&*self.store, area::BLOB_WANTED, key).await? else { return Ok(()) };
        let mut batch = Batch::new();
        match failure {
            // More of them were announced meanwhile.
            None if !self.held_blobs_are_whole(key).await? => return Ok(()),
            None => {
                batch.delete(area::BLOB_WANTED, key);
                self.alarms.clear(&alarm);
                self.alarms.clear(&format!("BLOB_UNWRITTEN:{peer}"));
            }
            Some(code) => {
                let now = self.clock.now();
                let text = format!("{peer} does not serve a photograph as it signed it ({code}); it is asked again");
                self.alarms.raise(&alarm, now, text);
                let not_before = self.retry_at(now, wanted.failures);
                let next = BlobWanted { failures: wanted.failures.saturating_add(1), not_before, code };
                rows::put(&mut batch, area::BLOB_WANTED, key, &next)?;
            }
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    fn retry_at(&self, now: Timestamp, failures: u32) -> Timestamp {
        let (first, longest) = self.limits.blob_retry_seconds;
        let pause = first.saturating_mul(1_i64.checked_shl(failures.min(32)).unwrap_or(i64::MAX));
        now.plus_seconds(pause.min(longest))
    }
}
