//! Freezing a peer whose register has forked, by its own signatures; taking that back; the kept proof.

use eads_domain::clock::Timestamp;
use eads_domain::encode::sha256;
use eads_domain::id::{Hash, MemberId, RequestId};
use eads_domain::register::EquivocationProof;
use eads_store::port::{Batch, Scan};
use serde::{Deserialize, Serialize};

use super::{MAX_PEERS, Peer, PeerState};
use crate::area;
use crate::audit::{Actor, Entry, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows;

/// The most forgiven checkpoints of one member: a row holds no more.
const MOST_FORGIVEN: usize = 16;

/// What is kept of a fork beside its proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fork {
    found_at: Timestamp,
    /// Where the peer stood, and stands again once the freeze is taken back.
    state_before: PeerState,
    /// Checkpoints off the line held here that two administrators know of.
    forgiven: Vec<(u64, Hash)>,
}

/// A first administrator's word.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfreezing {
    administrator: String,
    proof: Hash,
}

/// A proof with what a third party needs beside it.
#[derive(Clone, Debug)]
pub struct ProofExport {
    /// The file.
    pub file: Vec<u8>,
}

impl Node {
    /// Freezes the accused of a proof: state and proof in one commit. Returns false for one that is frozen already
    /// or is no peer.
    pub(crate) async fn freeze(&self, proof: &EquivocationProof) -> Result<bool, ServiceError> {
        let member = proof.member();
        {
            let _ceremony = self.peers.ceremony.lock().await;
            let Some(held) = self.peers.get(member) else { return Ok(false) };
            if !matches!(held.state, PeerState::Accepted | PeerState::RecallOnly) {
                return Ok(false);
            }
            proof.verify(&held.keys.keys()).map_err(ServiceError::from_peer)?;
            let before: Option<Fork> = rows::get(&*self.store, area::FORK, member.as_bytes()).await?;
            let fork = Fork {
                found_at: self.clock.now(),
                state_before: held.state,
                forgiven: before.map(|before| before.forgiven).unwrap_or_default(),
            };
            let peer = Peer { state: PeerState::Frozen, since: self.clock.now(), ..(*held).clone() };
            let mut batch = Batch::new();
            batch.protective();
            rows::put(&mut batch, area::FORK, member.as_bytes(), &fork)?;
            batch.put(area::FORK, proof_key(member), proof.to_bytes());
            super::write(&self.vault, &mut batch, &peer).await?;
            self.store.commit(batch).await?;
            self.peers.insert(peer);
        }
        self.link.cut(member);
        self.alarm_frozen(member);
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Event, self.clock.now(), request, Actor::Node, "FreezePeer");
        entry.peer = Some(member);
        entry.subject = Some(format!("proof {}", sha256(&proof.to_bytes())));
        self.audit.event(entry, "REGISTER_FORKED").await?;
        Ok(true)
    }

    fn alarm_frozen(&self, member: MemberId) {
        self.alarms.raise(
            &format!("REGISTER_FORKED:{member}"),
            self.clock.now(),
            format!(
                "{member} is frozen: two checkpoints that it signed contradict each other; `eads proof export {member}` \
                 writes the proof"
            ),
        );
    }

    /// Raises the alarms of peers that were frozen before the start.
    pub(crate) fn recall_frozen(&self) {
        for peer in self.peers.all().iter().filter(|peer| peer.state == PeerState::Frozen) {
            self.alarm_frozen(peer.member());
        }
    }

    pub(crate) async fn is_forgiven(&self, member: MemberId, size: u64, root: Hash) -> Result<bool, ServiceError> {
        let fork: Option<Fork> = rows::get(&*self.store, area::FORK, member.as_bytes()).await?;
        Ok(fork.is_some_and(|fork| fork.forgiven.contains(&(size, root))))
    }

    /// A frozen peer was removed: it is a removed one once the freeze is taken back.
    pub(super) async fn removed_while_frozen(&self, batch: &mut Batch, member: MemberId) -> Result<(), ServiceError> {
        let fork: Option<Fork> = rows::get(&*self.store, area::FORK, member.as_bytes()).await?;
        if let Some(fork) = fork {
            let fork = Fork { state_before: PeerState::RecallOnly, ..fork };
            rows::put(batch, area::FORK, member.as_bytes(), &fork)?;
        }
        Ok(())
    }

    /// One administrator's word that a freeze be taken back; the second one's makes it effective. The proof is
    /// kept; following resumes from the last verified checkpoint. Returns whether it is effective.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `PEER_NOT_FROZEN`, `SECOND_ADMINISTRATOR_REQUIRED` when the same administrator says it twice.
    pub async fn unfreeze_peer(&self, call: &Call, member: MemberId, reason: &str) -> Result<bool, ServiceError> {
        let mut entry = self.entry(call, "UnfreezePeer");
        entry.peer = Some(member);
        entry.subject = Some(reason.chars().take(200).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.unfreeze(call, member).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn unfreeze(&self, call: &Call, member: MemberId) -> Result<bool, ServiceError> {
        let _applying = self.applying.lock(member).await;
        let _ceremony = self.peers.ceremony.lock().await;
        let held = self.peers.get(member);
        let held = held.ok_or_else(|| ServiceError::not_found("PEER_UNKNOWN", format!("{member} is not a peer")))?;
        if held.state != PeerState::Frozen {
            return Err(ServiceError::conflict("PEER_NOT_FROZEN", format!("{member} is not frozen")));
        }
        let (fork, proof) = self.fork(member).await?;
        let digest = sha256(&proof.to_bytes());
        let administrator = call.operator.name.to_string();
        let mut batch = Batch::new();
        let first: Option<Unfreezing> = rows::get(&*self.store, area::UNFREEZE, member.as_bytes()).await?;
        match first.filter(|first| first.proof == digest) {
            None => {
                rows::put(&mut batch, area::UNFREEZE, member.as_bytes(), &Unfreezing { administrator, proof: digest })?;
                self.store.commit(batch).await?;
                return Ok(false);
            }
            Some(first) if first.administrator == administrator => {
                return Err(ServiceError::conflict(
                    "SECOND_ADMINISTRATOR_REQUIRED",
                    "the same administrator has said so already; another one has to",
                ));
            }
            Some(_) => {}
        }
        let mut forgiven = fork.forgiven.clone();
        let shown = proof.verify(&held.keys.keys()).map_err(ServiceError::from_peer)?;
        for checkpoint in [shown.smaller, shown.larger] {
            if !self.is_on_the_line(&held, checkpoint).await? {
                forgiven.push((checkpoint.size, checkpoint.root));
            }
        }
        let surplus = forgiven.len().saturating_sub(MOST_FORGIVEN);
        forgiven.drain(..surplus);
        let peer = Peer { state: fork.state_before, since: self.clock.now(), ..(*held).clone() };
        rows::put(&mut batch, area::FORK, member.as_bytes(), &Fork { forgiven, ..fork })?;
        super::write(&self.vault, &mut batch, &peer).await?;
        batch.delete(area::UNFREEZE, *member.as_bytes());
        self.store.commit(batch).await?;
        self.forget_witnessed(member).await?;
        self.peers.insert(peer);
        // The stream that is open only carries what protects people.
        self.link.cut(member);
        self.alarms.clear(&format!("REGISTER_FORKED:{member}"));
        self.alarms.clear(&format!("CHECKPOINT_INCONSISTENT:{member}"));
        Ok(true)
    }

    /// What others told of the register while it was forked decides nothing afterwards.
    async fn forget_witnessed(&self, member: MemberId) -> Result<(), ServiceError> {
        let rows = self.store.scan(Scan::new(area::WITNESSED, MAX_PEERS).prefix(*member.as_bytes())).await?;
        for chunk in rows.chunks(eads_store::port::MAX_OPERATIONS) {
            let mut batch = Batch::new();
            for (key, _) in chunk {
                batch.delete(area::WITNESSED, key.clone());
            }
            self.store.commit(batch).await?;
        }
        Ok(())
    }

    async fn fork(&self, member: MemberId) -> Result<(Fork, EquivocationProof), ServiceError> {
        let fork: Option<Fork> = rows::get(&*self.store, area::FORK, member.as_bytes()).await?;
        let proof = self.store.get(area::FORK, &proof_key(member)).await?;
        match (fork, proof) {
            (Some(fork), Some(proof)) => Ok((fork, EquivocationProof::parse(&proof)?)),
            _ => Err(ServiceError::not_found("PROOF_UNKNOWN", format!("no proof against {member} is kept here"))),
        }
    }

    /// The kept proof that a peer's register has forked, as a self-contained file.
    ///
    /// # Errors
    /// `PROOF_UNKNOWN`.
    pub async fn export_proof(&self, call: &Call, member: MemberId) -> Result<ProofExport, ServiceError> {
        let work = async {
            let (fork, proof) = self.fork(member).await?;
            let peer = self.peers.get(member);
            let peer =
                peer.ok_or_else(|| ServiceError::not_found("PEER_UNKNOWN", format!("{member} is not a peer")))?;
            Ok(ProofExport { file: crate::trust::proof_file(&peer.card, &proof, fork.found_at)? })
        };
        self.audited(call, "ExportProof", Some(member.to_string()), work).await
    }
}

fn proof_key(member: MemberId) -> Vec<u8> {
    [member.as_bytes().as_slice(), b"proof"].concat()
}
