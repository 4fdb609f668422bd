//! What is known of the connection with each peer; kept in memory only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_store::port::Scan;

use super::{LinkError, Peer};
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::{self, Followed, Holding};
use crate::trust::Cosigned;

/// The connection with one peer.
#[derive(Clone, Debug, Default)]
pub struct PeerStatus {
    /// Its sync stream to this node is open.
    pub connected: bool,
    /// When it was last heard.
    pub last_heard: Option<Timestamp>,
    /// Its clock minus ours, seconds.
    pub clock_skew: i64,
    /// The sequence of the own card that it holds, as its latest sync said; 0 if it did not.
    pub card_held: u64,
    /// The last failure, until the next success.
    pub last_error: Option<LinkError>,
}

/// A peer with everything that an administrator wants to see of it.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// The peer.
    pub peer: std::sync::Arc<Peer>,
    /// The connection.
    pub status: PeerStatus,
    /// How far it was followed.
    pub followed: Followed,
    /// Entries of ours that it has not receipted.
    pub awaiting_receipt: u64,
    /// Receipts of ours that it has not taken.
    pub owed_receipts: u64,
    /// The own register as it cosigned it last.
    pub cosigned: Option<Cosigned>,
}

#[derive(Debug, Default)]
pub(super) struct Board(Mutex<BTreeMap<MemberId, PeerStatus>>);

impl super::Peers {
    /// The connection with `member`.
    pub fn status(&self, member: MemberId) -> PeerStatus {
        self.status.0.lock().unwrap_or_else(PoisonError::into_inner).get(&member).cloned().unwrap_or_default()
    }

    pub(crate) fn note(&self, member: MemberId, change: impl FnOnce(&mut PeerStatus)) {
        change(self.status.0.lock().unwrap_or_else(PoisonError::into_inner).entry(member).or_default());
    }
}

const PAGE: usize = 1000;

impl Node {
    /// Every peer with its connection, cursors and what is owed on both sides.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn peer_views(&self) -> Result<Vec<PeerView>, ServiceError> {
        let awaiting = self.awaiting_receipts().await?;
        let mut views = Vec::new();
        for peer in self.peers.all() {
            let member = peer.member();
            let followed = rows::get(&*self.store, area::FOLLOWED, member.as_bytes()).await?.unwrap_or_default();
            let owed = self.store.scan(Scan::new(area::OWED, PAGE).prefix(*member.as_bytes())).await?.len();
            views.push(PeerView {
                status: self.peers.status(member),
                followed,
                awaiting_receipt: awaiting.get(&member).copied().unwrap_or_default(),
                owed_receipts: owed as u64,
                cosigned: rows::get(&*self.store, area::COSIGNED, member.as_bytes()).await?,
                peer,
            });
        }
        Ok(views)
    }

    /// Of how many notices `member` was sent a content that it has neither purged nor refused.
    pub(super) async fn unsettled(&self, member: MemberId) -> Result<u64, ServiceError> {
        let mut notices = BTreeSet::new();
        let mut pages = Pages::of(&*self.store, area::HOLDING);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let holding: Holding = rows::parse(value)?;
                let of_member = key.last_chunk::<2>() == Some(member.as_bytes());
                if of_member && holding.action.describes_subject() && !holding.is_settled() {
                    notices.insert(holding.notice);
                }
            }
        }
        Ok(notices.len() as u64)
    }

    async fn awaiting_receipts(&self) -> Result<BTreeMap<MemberId, u64>, ServiceError> {
        let mut counts = BTreeMap::new();
        let mut pages = Pages::of(&*self.store, area::HOLDING);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let holding: Holding = rows::parse(value)?;
                let member = key.last_chunk::<2>().and_then(|bytes| MemberId::from_bytes(*bytes).ok());
                if let Some(member) = member.filter(|_| holding.awaits_receipt()) {
                    *counts.entry(member).or_insert(0) += 1;
                }
            }
        }
        Ok(counts)
    }
}
