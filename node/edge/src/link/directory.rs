//! Whom this node knows, for listener and dialler: the peers of a node that is opened after both.

use std::sync::{Arc, OnceLock, Weak};

use eads_domain::id::MemberId;
use eads_service::Node;
use eads_service::peers::{Peer, PeerState};

use crate::tls::{CertificateDer, PeerAdmission, PeerDirectory};

/// Where peers are reached.
pub trait Endpoints: Send + Sync {
    /// The endpoints of `member`, `host:port`, the preferred one first; none if it is no peer.
    fn endpoints(&self, member: MemberId) -> Vec<String>;

    /// `member` has opened a connection for this node's calls: who waits for it need not wait longer.
    fn arrived(&self, _member: MemberId) {}
}

/// The peers of one node. Knows nobody before [`NodePeers::bind`].
///
/// The node owns its link and the link asks here, so this holds the node weakly.
#[derive(Default)]
pub struct NodePeers(OnceLock<Weak<Node>>);

impl NodePeers {
    /// Bound to no node yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on the peers are those of `node`; only the first call counts.
    pub fn bind(&self, node: &Arc<Node>) {
        // A second node in one process would be a mistake of the wiring; the first keeps its peers.
        let _ = self.0.set(Arc::downgrade(node));
    }

    fn peer(&self, member: MemberId) -> Option<Arc<Peer>> {
        self.0.get()?.upgrade()?.peers().get(member)
    }
}

impl Endpoints for NodePeers {
    fn endpoints(&self, member: MemberId) -> Vec<String> {
        let peer = self.peer(member).filter(|peer| peer.is_followed());
        peer.map(|peer| peer.card.card().endpoints.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    fn arrived(&self, member: MemberId) {
        if let Some(node) = self.0.get().and_then(Weak::upgrade) {
            node.peer_arrived(member);
        }
    }
}

impl PeerDirectory for NodePeers {
    fn anchors(&self, member: MemberId) -> PeerAdmission {
        let Some(peer) = self.peer(member) else { return PeerAdmission::Unknown };
        let anchors = peer.card.card().tls_anchors.iter();
        let anchors = anchors.map(|anchor| CertificateDer::from(anchor.as_der().to_vec())).collect();
        match peer.state {
            PeerState::Candidate => PeerAdmission::Unknown,
            PeerState::Accepted => PeerAdmission::Accepted { anchors },
            PeerState::RecallOnly => PeerAdmission::RecallOnly { anchors },
            PeerState::Frozen => PeerAdmission::Frozen { anchors },
        }
    }
}
