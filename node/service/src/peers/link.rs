//! How a peer is reached: a port that the edge implements over mutual TLS and tests implement in memory.

use std::time::Duration;

use async_trait::async_trait;
use eads_domain::id::{MemberId, RegisterId, RequestId};
use eads_domain::query::{Answer, Query};
use eads_domain::receipt::SignedReceipts;
use futures::stream::BoxStream;

use crate::audit::{MatchAsked, MatchPage};
use crate::blobs::BlobAsked;
use crate::sync::{SyncBatch, SyncCursor};
use crate::trust::{Held, HeldCheckpoint, Returned};

/// Why a peer did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFailure {
    /// It answered, and said no.
    Refused,
    /// No connection.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// It speaks no version that this node speaks, or nonsense.
    Incompatible,
}

/// A failed exchange with a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct LinkError {
    /// What kind of failure.
    pub failure: LinkFailure,
    /// The peer's code, or ours.
    pub code: String,
    /// In words, without personal data.
    pub text: String,
}

impl LinkError {
    /// A failure with its code and words.
    pub fn new(failure: LinkFailure, code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { failure, code: code.into(), text: text.into() }
    }
}

/// What this node asks of a peer's node.
#[async_trait]
pub trait PeerLink: Send + Sync {
    /// Opens the peer's sync stream from `cursor`. Dropping the stream ends it.
    async fn sync(
        &self,
        peer: MemberId,
        cursor: SyncCursor,
    ) -> Result<BoxStream<'static, Result<SyncBatch, LinkError>>, LinkError>;

    /// Hands over receipts; returns how many were new to the peer.
    async fn post_receipts(&self, peer: MemberId, receipts: &SignedReceipts) -> Result<u32, LinkError>;

    /// Asks the peer; fails rather than waits longer than `deadline`.
    async fn query(
        &self,
        peer: MemberId,
        request: RequestId,
        query: &Query,
        deadline: Duration,
    ) -> Result<Answer, LinkError>;

    /// How many bytes have moved on the connection with the peer, in either direction. Only changes of it mean
    /// something: by them a slow line is told from a dead one.
    fn moved(&self, _peer: MemberId) -> u64 {
        0
    }

    /// Asks the peer what it holds of the own register; `receipts_again` has it owe every receipt anew.
    async fn get_held(&self, peer: MemberId, register: RegisterId, receipts_again: bool) -> Result<Held, LinkError>;

    /// Has the peer give the own register back from `first` on.
    async fn return_register(
        &self,
        peer: MemberId,
        register: RegisterId,
        first: u64,
    ) -> Result<BoxStream<'static, Result<Returned, LinkError>>, LinkError>;

    /// Tells the peer which checkpoints are held here, and returns which it holds.
    async fn exchange_checkpoints(
        &self,
        peer: MemberId,
        held: Vec<HeldCheckpoint>,
    ) -> Result<Vec<HeldCheckpoint>, LinkError>;

    /// One page of what the peer's audit log holds of exchanges with this member.
    async fn match_audit(&self, peer: MemberId, asked: MatchAsked) -> Result<MatchPage, LinkError>;

    /// A photograph that the peer announced, from the byte asked for on. Dropping the stream ends it.
    async fn fetch_blob(
        &self,
        peer: MemberId,
        asked: BlobAsked,
    ) -> Result<BoxStream<'static, Result<Vec<u8>, LinkError>>, LinkError>;

    /// Cuts every connection with the peer, in both directions, at once.
    fn cut(&self, peer: MemberId);
}
