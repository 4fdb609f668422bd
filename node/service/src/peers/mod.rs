//! The peers of this member: their cards, their state, the agreement with each, and how they are reached.

mod ceremony;
mod freeze;
mod link;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use eads_domain::agreement::Agreement;
use eads_domain::card::{Anchor, KeyLine, KeySpan, SignedCard};
use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_store::port::{Batch, Scan};
use eads_store::vault::{Sealed, Vault};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use ceremony::{Acceptance, Candidate};
pub use freeze::ProofExport;
pub use link::{LinkError, LinkFailure, PeerLink};
pub use status::{PeerStatus, PeerView};

use crate::area;
use crate::error::ServiceError;

/// The most peers that a node keeps.
pub const MAX_PEERS: usize = 64;

const SCHEMA: u16 = 1;

/// Where a peer stands with this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// Its card was imported; nothing else.
    Candidate,
    /// Two administrators accepted it.
    Accepted,
    /// Removed: it may fetch withdrawals and post receipts until settled.
    RecallOnly,
    /// Its register has forked, by its own signatures.
    Frozen,
}

impl PeerState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Accepted => "accepted",
            Self::RecallOnly => "recall-only",
            Self::Frozen => "frozen",
        }
    }
}

/// One peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its current card.
    pub card: SignedCard,
    /// Its signing keys, each with its part of its register.
    pub keys: KeyLine,
    /// The operator CAs of its earlier cards.
    pub earlier_anchors: Vec<EarlierAnchor>,
    /// Where it stands.
    pub state: PeerState,
    /// What is sent to it and answered; absent until accepted.
    pub agreement: Option<Agreement>,
    pub(crate) agreement_text: String,
    /// Since when it stands so.
    pub since: Timestamp,
}

/// An operator CA that was replaced.
#[derive(Clone, Debug)]
pub struct EarlierAnchor {
    /// The CA.
    pub anchor: Anchor,
    /// Approvals under it count in what is issued until then.
    pub until: Timestamp,
}

impl Peer {
    /// The operator CAs under which an approval of something issued at that time counts, the one in force first.
    pub fn operator_anchors(&self, issued: Timestamp) -> impl Iterator<Item = &Anchor> {
        let earlier = self.earlier_anchors.iter().rev().filter(move |earlier| issued <= earlier.until);
        [&self.card.card().operator_anchor].into_iter().chain(earlier.map(|earlier| &earlier.anchor))
    }

    /// Who it is.
    pub fn member(&self) -> MemberId {
        self.card.card().member
    }

    /// Whether it is served everything that its agreement allows.
    pub fn is_accepted(&self) -> bool {
        self.state == PeerState::Accepted
    }

    /// The text of its agreement; empty until accepted.
    pub(crate) fn agreement_text(&self) -> &str {
        &self.agreement_text
    }

    /// Whether its register is followed: also a frozen peer's, for withdrawals.
    pub fn is_followed(&self) -> bool {
        self.state != PeerState::Candidate
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerRow {
    card: String,
    state: PeerState,
    agreement: String,
    since: Timestamp,
    /// Keys, the oldest first; none where there was one only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<KeySpan>,
    /// Earlier operator CAs, DER in hexadecimal digits, each until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier_anchors: Vec<(String, Timestamp)>,
}

/// All peers, in memory and in the store.
#[derive(Debug)]
pub struct Peers {
    all: RwLock<BTreeMap<MemberId, Arc<Peer>>>,
    changed: watch::Sender<u64>,
    pub(crate) ceremony: tokio::sync::Mutex<()>,
    status: status::Board,
}

impl Peers {
    pub(crate) async fn open(vault: &Vault) -> Result<Self, ServiceError> {
        let mut all = BTreeMap::new();
        for (key, value) in vault.store().scan(Scan::new(area::PEER, MAX_PEERS)).await? {
            let Some(Sealed::Plain { bytes, .. }) = vault.open_row(area::PEER, &key, &value).await? else { continue };
            let peer = read(&bytes)?;
            all.insert(peer.member(), Arc::new(peer));
        }
        Ok(Self {
            all: RwLock::new(all),
            changed: watch::Sender::new(0),
            ceremony: tokio::sync::Mutex::new(()),
            status: status::Board::default(),
        })
    }

    /// The peer of that name, in whatever state.
    pub fn get(&self, member: MemberId) -> Option<Arc<Peer>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(&member).cloned()
    }

    /// All peers in order of their names.
    pub fn all(&self) -> Vec<Arc<Peer>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// All accepted peers.
    pub fn accepted(&self) -> Vec<Arc<Peer>> {
        self.all().into_iter().filter(|peer| peer.is_accepted()).collect()
    }

    /// Tells of every change of any peer.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn insert(&self, peer: Peer) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(peer.member(), Arc::new(peer));
        self.changed.send_modify(|changes| *changes += 1);
    }
}

fn read(bytes: &[u8]) -> Result<Peer, ServiceError> {
    let row: PeerRow = crate::rows::parse(bytes)?;
    let card = hex::decode(&row.card)
        .map_err(|error| ServiceError::internal("ROW_UNREADABLE", "a peer's card cannot be read").caused_by(error))?;
    let agreement = if row.agreement.is_empty() { None } else { Some(Agreement::parse(&row.agreement)?) };
    let card = SignedCard::parse_and_verify(&card)?;
    let earlier = |(anchor, until): (String, Timestamp)| {
        let der = hex::decode(&anchor).unwrap_or_default();
        Ok(EarlierAnchor { anchor: Anchor::from_der(der)?, until })
    };
    Ok(Peer {
        earlier_anchors: row.earlier_anchors.into_iter().map(earlier).collect::<Result<_, ServiceError>>()?,
        keys: KeyLine::from_spans(row.keys).unwrap_or_else(|| KeyLine::begin(card.card())),
        card,
        state: row.state,
        agreement,
        agreement_text: row.agreement,
        since: row.since,
    })
}

/// Puts a peer into `batch`, sealed under a key of its own.
pub(crate) async fn write(vault: &Vault, batch: &mut Batch, peer: &Peer) -> Result<(), ServiceError> {
    let row = PeerRow {
        card: hex::encode(peer.card.bytes()),
        state: peer.state,
        agreement: peer.agreement_text.clone(),
        since: peer.since,
        keys: peer.keys.spans().cloned().collect(),
        earlier_anchors: peer
            .earlier_anchors
            .iter()
            .map(|earlier| (hex::encode(earlier.anchor.as_der()), earlier.until))
            .collect(),
    };
    let bytes = serde_json::to_vec(&row)
        .map_err(|error| ServiceError::internal("ROW_UNWRITABLE", "a peer cannot be written").caused_by(error))?;
    let key = vault.keys().allocate()?;
    vault.replace(batch, area::PEER, peer.member().as_bytes(), key, SCHEMA, &bytes).await?;
    Ok(())
}
