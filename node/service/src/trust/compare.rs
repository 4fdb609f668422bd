//! Holding a signed checkpoint of another register against what was verified of it here.

use std::sync::Arc;

use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, MemberId};
use eads_domain::register::{Checkpoint, EquivocationProof, Frontier, SignedCheckpoint, Tree, empty_root};
use eads_store::port::Scan;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::peers::Peer;
use crate::rows::{self, Followed};

/// What a checkpoint is beside what is held.
#[derive(Debug)]
pub(crate) enum Judgement {
    /// It says what the leaves held here say.
    Agrees,
    /// It is larger than what is held: nothing can be said yet.
    Ahead,
    /// It contradicts what is held; the proof is made of the owner's signatures alone.
    Contradicts(Box<EquivocationProof>),
    /// It contradicts what is held, which two administrators know and have forgiven.
    Forgiven,
}

impl Node {
    /// Judges a checkpoint that its owner has signed. The caller holds the origin's lock.
    pub(crate) async fn judge(&self, origin: &Peer, signed: &SignedCheckpoint) -> Result<Judgement, ServiceError> {
        let member = origin.member();
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        let Some(held) = self.held_checkpoint(origin).await? else {
            return Ok(if size == 0 { Judgement::Agrees } else { Judgement::Ahead });
        };
        let cursor = held.checkpoint().size;
        if size > cursor {
            return Ok(Judgement::Ahead);
        }
        if self.held_root(member, size, &held).await? == Some(root) {
            return Ok(Judgement::Agrees);
        }
        if self.is_forgiven(member, size, root).await? {
            return Ok(Judgement::Forgiven);
        }
        let path = if size == cursor {
            Vec::new()
        } else {
            let tree = self.held_tree(member, cursor).await?;
            tree.full_consistency_path(size, cursor).unwrap_or_default()
        };
        Ok(match EquivocationProof::new(&held, signed, path) {
            Ok(proof) => Judgement::Contradicts(Box::new(proof)),
            // Leaves of an interrupted start: what is held is not whole, so nothing is shown.
            Err(_) => Judgement::Ahead,
        })
    }

    /// The latest verified checkpoint of a peer.
    pub(crate) async fn held_checkpoint(&self, origin: &Peer) -> Result<Option<SignedCheckpoint>, ServiceError> {
        let card = origin.card.card();
        let followed: Option<Followed> = rows::get(&*self.store, area::FOLLOWED, origin.member().as_bytes()).await?;
        let Some(followed) = followed.filter(|followed| !followed.checkpoint.is_empty()) else { return Ok(None) };
        let signed = origin.keys.checkpoint(followed.checkpoint.as_bytes(), card.member, card.register);
        Ok(signed.ok().map(|(signed, _)| signed).filter(|signed| signed.checkpoint().size == followed.register_cursor))
    }

    /// The root of the first `size` leaves held of `origin`; none if they are not all there.
    async fn held_root(
        &self,
        origin: MemberId,
        size: u64,
        held: &SignedCheckpoint,
    ) -> Result<Option<Hash>, ServiceError> {
        if size == held.checkpoint().size {
            return Ok(Some(held.checkpoint().root));
        }
        if size == 0 {
            return Ok(Some(empty_root()));
        }
        if let Some(root) = self.trust.known(origin, |known| known.recent.get(&size).copied()) {
            return Ok(Some(root));
        }
        let mut frontier = Frontier::new();
        let mut pages = Pages::of(&*self.store, area::LEAVES).prefix(origin.as_bytes());
        while let Some(page) = pages.next().await? {
            for (_, run) in page {
                for leaf in run.chunks_exact(32).filter_map(|leaf| Hash::try_from(leaf).ok()) {
                    if frontier.size() == size {
                        return Ok(Some(frontier.root()));
                    }
                    frontier.append(leaf);
                }
            }
        }
        Ok((frontier.size() == size).then(|| frontier.root()))
    }

    pub(crate) async fn held_tree(&self, origin: MemberId, size: u64) -> Result<Tree, ServiceError> {
        let mut tree = Tree::new();
        let mut pages = Pages::of(&*self.store, area::LEAVES).prefix(origin.as_bytes());
        while let Some(page) = pages.next().await? {
            for (_, run) in page {
                for leaf in run.chunks_exact(32).filter_map(|leaf| Hash::try_from(leaf).ok()) {
                    if tree.size() < size {
                        tree.append(leaf);
                    }
                }
            }
        }
        Ok(tree)
    }

    /// A checkpoint of a sync stream was refused: if its owner's signatures show a fork, the owner is frozen;
    /// otherwise it is asked for its word about what is held. Returns what the refusal says.
    pub(crate) async fn distrust(
        &self,
        peer: &Arc<Peer>,
        checkpoint: &[u8],
        consistency: &[Hash],
        error: ServiceError,
    ) -> ServiceError {
        if !matches!(error.code().as_str(), "CHECKPOINT_SHRINKS" | "CHECKPOINT_INCONSISTENT") {
            return error;
        }
        match self.fork_shown(peer, checkpoint, consistency).await {
            Ok(Some(proof)) => match self.freeze(&proof).await {
                Ok(_) => ServiceError::peer("REGISTER_FORKED", "its register has forked, by its own signatures"),
                Err(failed) => failed,
            },
            Ok(None) => {
                self.trust.exchange_soon();
                error
            }
            Err(failed) => failed,
        }
    }

    async fn fork_shown(
        &self,
        peer: &Peer,
        checkpoint: &[u8],
        consistency: &[Hash],
    ) -> Result<Option<EquivocationProof>, ServiceError> {
        let card = peer.card.card();
        let signed =
            peer.keys.bare_checkpoint(checkpoint, card.member, card.register).map_err(ServiceError::from_peer)?;
        match self.judge(peer, &signed).await? {
            Judgement::Contradicts(proof) => Ok(Some(*proof)),
            Judgement::Agrees | Judgement::Forgiven => Ok(None),
            Judgement::Ahead => {
                let checkpoint = signed.checkpoint();
                if self.is_forgiven(card.member, checkpoint.size, checkpoint.root).await? {
                    return Ok(None);
                }
                // Its own proof that it extends another register than the one held.
                let held = self.held_checkpoint(peer).await?;
                Ok(held.and_then(|held| EquivocationProof::new(&held, &signed, consistency.to_vec()).ok()))
            }
        }
    }

    /// A peer's register was followed to `size`: what others hold of it, and was too large before, is judged now.
    /// The caller holds the origin's lock.
    pub(crate) async fn advanced(&self, peer: &Arc<Peer>, size: u64) -> Result<(), ServiceError> {
        self.trust.exchange_soon();
        let held = self.held_checkpoint(peer).await?;
        let due = self.trust.known(peer.member(), |known| {
            if let Some(held) = held {
                known.reached(held.checkpoint().size, held.checkpoint().root);
            }
            known.ahead.is_some_and(|ahead| ahead <= size)
        });
        if due { self.judge_witnessed(peer).await } else { Ok(()) }
    }

    async fn judge_witnessed(&self, peer: &Arc<Peer>) -> Result<(), ServiceError> {
        let card = peer.card.card();
        self.trust.known(peer.member(), |known| known.ahead = None);
        let scan = Scan::new(area::WITNESSED, crate::peers::MAX_PEERS).prefix(*peer.member().as_bytes());
        for (_, bytes) in self.store.scan(scan).await? {
            let Ok((signed, _)) = peer.keys.checkpoint(&bytes, card.member, card.register) else { continue };
            match self.judge(peer, &signed).await? {
                Judgement::Contradicts(proof) => {
                    self.freeze(&proof).await?;
                    return Ok(());
                }
                Judgement::Ahead => {
                    let size = signed.checkpoint().size;
                    self.trust.known(peer.member(), |known| known.held_ahead(size));
                }
                Judgement::Agrees | Judgement::Forgiven => {}
            }
        }
        Ok(())
    }

    /// Whether a checkpoint of a peer is one of the register that is held here.
    pub(crate) async fn is_on_the_line(&self, origin: &Peer, checkpoint: Checkpoint) -> Result<bool, ServiceError> {
        let Some(held) = self.held_checkpoint(origin).await? else { return Ok(false) };
        if checkpoint.size > held.checkpoint().size {
            return Ok(false);
        }
        Ok(self.held_root(origin.member(), checkpoint.size, &held).await? == Some(checkpoint.root))
    }

    /// At the start: what others were ahead with, and which peers are frozen.
    pub(crate) async fn recall_witnessed(&self) -> Result<(), ServiceError> {
        for peer in self.peers.all() {
            let _applying = self.applying.lock(peer.member()).await;
            self.judge_witnessed(&peer).await?;
        }
        self.recall_frozen();
        Ok(())
    }
}
