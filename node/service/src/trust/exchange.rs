//! Telling each other which checkpoints are held, cosigned, and taking what others tell.
//!
//! Each side tells its own latest checkpoint, the latest verified one of the other, and those of every other origin
//! that it follows. About the teller's register the owner answers with its word at the very size that was told, so
//! that two copies of one node, which each honestly sign, give themselves away.

use std::collections::BTreeSet;
use std::sync::Arc;

use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_domain::register::SignedCheckpoint;
use eads_store::port::Batch;
use serde::{Deserialize, Serialize};

use super::compare::Judgement;
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{LinkError, MAX_PEERS, Peer};
use crate::rows;

/// A checkpoint as somebody holds it. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldCheckpoint {
    /// Whose register it is of.
    pub member: MemberId,
    /// A C2SP `tlog-checkpoint` with the owner's signature and any cosignatures.
    pub checkpoint: Vec<u8>,
}

/// The own register as a peer cosigned it last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosigned {
    /// Entries that the peer has seen.
    pub size: u64,
    /// When it cosigned, by its own clock.
    pub at: Timestamp,
    /// The note with its cosignature.
    pub checkpoint: String,
}

/// Why checkpoints were not exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The peer could not be reached or refused.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// This node failed, or what the peer told is not fit to be read.
    #[error("{0}")]
    Own(#[from] ServiceError),
}

impl Node {
    /// Takes what `peer` tells and answers with what is held here.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `REGISTER_FORKED` for a member that is frozen here, `CHECKPOINTS_TOO_MANY`.
    pub async fn exchange_checkpoints(
        &self,
        peer: MemberId,
        told: Vec<HeldCheckpoint>,
    ) -> Result<Vec<HeldCheckpoint>, ServiceError> {
        let teller = self.peers.get(peer).filter(|peer| peer.is_followed());
        let teller =
            teller.ok_or_else(|| ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"))?;
        if !teller.is_accepted() {
            return Err(match teller.state {
                crate::peers::PeerState::Frozen => ServiceError::denied(
                    "REGISTER_FORKED",
                    "two checkpoints of this member contradict each other; its administrators must speak to ours",
                ),
                _ => ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"),
            });
        }
        let _taking = self.trust.taking.lock(peer).await;
        let about_me = self.take_told(&teller, told).await?;
        self.checkpoints_for(&teller, about_me).await
    }

    /// Exchanges checkpoints with a peer that is connected; does nothing with another.
    pub(crate) async fn exchange_with(&self, peer: MemberId) -> Result<(), ExchangeError> {
        let Some(teller) = self.peers.get(peer).filter(|peer| peer.is_accepted()) else { return Ok(()) };
        if !self.peers.status(peer).connected && self.held_checkpoint(&teller).await?.is_none() {
            return Ok(());
        }
        let held = self.checkpoints_for(&teller, None).await?;
        let told = match self.link.exchange_checkpoints(peer, held).await {
            Ok(told) => told,
            Err(error) => {
                if error.code == "REGISTER_FORKED" {
                    self.alarms.raise(
                        &format!("FROZEN_BY:{peer}"),
                        self.clock.now(),
                        format!(
                            "{peer} has frozen this member: two checkpoints that it signed contradict each other; \
                             look for a second copy of this node, then speak to the administrators of {peer}"
                        ),
                    );
                }
                return Err(error.into());
            }
        };
        self.alarms.clear(&format!("FROZEN_BY:{peer}"));
        let _taking = self.trust.taking.lock(peer).await;
        self.take_told(&teller, told).await?;
        Ok(())
    }

    /// What `peer` is told; the own register at `own_size` if that is not more than there is.
    async fn checkpoints_for(&self, peer: &Peer, own_size: Option<u64>) -> Result<Vec<HeldCheckpoint>, ServiceError> {
        let own = match own_size.filter(|size| (1..=self.register.size()).contains(size)) {
            Some(size) => self.checkpoint_at(size),
            None => self.register.checkpoint(),
        };
        let own = own.map(|own| HeldCheckpoint { member: self.member, checkpoint: own.bytes().to_vec() });
        let mut held: Vec<HeldCheckpoint> = own.into_iter().collect();
        for origin in self.peers.all() {
            let member = origin.member();
            if !(origin.is_accepted() || member == peer.member()) {
                continue;
            }
            if let Some(signed) = self.held_checkpoint(&origin).await? {
                let cosignature = signed.cosign(self.member, &self.identity().cosigner, self.clock.now())?;
                let signed = signed.with_cosignature(&cosignature)?;
                held.push(HeldCheckpoint { member, checkpoint: signed.bytes().to_vec() });
            }
        }
        Ok(held)
    }

    /// Takes what a peer tells. Returns at which size it holds the own register.
    async fn take_told(&self, teller: &Arc<Peer>, told: Vec<HeldCheckpoint>) -> Result<Option<u64>, ServiceError> {
        if told.len() > MAX_PEERS + 1 {
            return Err(ServiceError::peer("CHECKPOINTS_TOO_MANY", "more checkpoints than a node has peers"));
        }
        let mut seen = BTreeSet::new();
        let mut about_me = None;
        for held in told {
            if !seen.insert(held.member) {
                return Err(ServiceError::peer("CHECKPOINT_TWICE", "two checkpoints of one member"));
            }
            if held.member == self.member {
                about_me = self.take_own(teller, &held.checkpoint).await?;
            } else if let Some(origin) = self.peers.get(held.member).filter(|origin| origin.is_accepted()) {
                self.take_of(teller, &origin, &held.checkpoint).await?;
            }
        }
        Ok(about_me)
    }

    /// The own register as the teller holds it.
    async fn take_own(&self, teller: &Peer, bytes: &[u8]) -> Result<Option<u64>, ServiceError> {
        let (peer, cosigner) = (teller.member(), teller.card.card().cosigner_key);
        let signed = self.identity().keys.checkpoint(bytes, self.member, self.register_id);
        let signed = signed.and_then(|(signed, key)| signed.keeping(&key, &[(peer, cosigner)]));
        let Ok(signed) = signed else { return Ok(None) };
        let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
        match self.register.root_at(size) {
            None => {
                self.has_signed(size);
                self.trust.listen_again();
            }
            Some(own) if own == root => {
                if let Ok(Some(at)) = signed.verify_cosignature(peer, &cosigner) {
                    self.keep_cosigned(peer, &signed, at).await?;
                }
            }
            Some(_) => self.cloned(peer, size),
        }
        Ok(Some(size))
    }

    async fn keep_cosigned(
        &self,
        peer: MemberId,
        signed: &SignedCheckpoint,
        at: Timestamp,
    ) -> Result<(), ServiceError> {
        let size = signed.checkpoint().size;
        let kept: Option<Cosigned> = rows::get(&*self.store, area::COSIGNED, peer.as_bytes()).await?;
        if kept.is_some_and(|kept| kept.size >= size) {
            return Ok(());
        }
        let checkpoint = String::from_utf8_lossy(signed.bytes()).into_owned();
        let mut batch = Batch::new();
        rows::put(&mut batch, area::COSIGNED, peer.as_bytes(), &Cosigned { size, at, checkpoint })?;
        self.store.commit(batch).await?;
        Ok(())
    }

    /// A register as its owner tells it, or as a third member cosigned it.
    async fn take_of(&self, teller: &Peer, origin: &Arc<Peer>, bytes: &[u8]) -> Result<(), ServiceError> {
        let (card, witness) = (origin.card.card(), teller.card.card());
        let cosigners = [(witness.member, witness.cosigner_key)];
        let signed = origin.keys.checkpoint(bytes, card.member, card.register);
        let signed = signed.and_then(|(signed, key)| signed.keeping(&key, &cosigners));
        // What is not the owner's word, or the teller does not vouch for, says nothing about anybody.
        let Ok(signed) = signed else { return Ok(()) };
        let vouched = teller.member() == origin.member()
            || matches!(signed.verify_cosignature(witness.member, &witness.cosigner_key), Ok(Some(_)));
        if !vouched {
            return Ok(());
        }
        let _applying = self.applying.lock(card.member).await;
        let size = signed.checkpoint().size;
        match self.judge(origin, &signed).await? {
            Judgement::Contradicts(proof) => {
                self.freeze(&proof).await?;
                return Ok(());
            }
            Judgement::Forgiven => return Ok(()),
            Judgement::Ahead => self.trust.known(card.member, |known| known.held_ahead(size)),
            Judgement::Agrees => {}
        }
        let row = [card.member.as_bytes().as_slice(), witness.member.as_bytes()].concat();
        let kept = self.store.get(area::WITNESSED, &row).await?;
        let kept = kept.and_then(|kept| origin.keys.checkpoint(&kept, card.member, card.register).ok());
        if kept.is_some_and(|(kept, _)| kept.checkpoint().size >= size) {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(area::WITNESSED, row, signed.bytes());
        self.store.commit(batch).await?;
        Ok(())
    }
}
