//! The peering ceremony: import a card, compare its code by telephone, two administrators accept, remove.

use eads_domain::agreement::Agreement;
use eads_domain::card::{self, KeyLine, SignedCard, Succession, VerificationCode};
use eads_domain::id::MemberId;
use eads_store::port::Batch;
use serde::{Deserialize, Serialize};

use super::{MAX_PEERS, Peer, PeerState};
use crate::area;
use crate::audit::EntryKind;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows;

/// A card that was imported.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The card.
    pub card: SignedCard,
    /// What the two administrators read to each other.
    pub code: VerificationCode,
}

/// What an administrator's confirmation led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// A second administrator has to confirm the same card and agreement.
    AwaitingSecond,
    /// The peer is accepted.
    Accepted,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    administrator: String,
    card: String,
    agreement: String,
}

impl Node {
    /// The own card with its verification code.
    pub fn card(&self) -> Candidate {
        let card = self.identity().card.clone();
        Candidate { code: card.verification_code(), card }
    }

    /// Keeps a card. A first card becomes a candidate; a later one must succeed the card that is held.
    ///
    /// # Errors
    /// `CARD_*` for a card that is not well signed, names this member, replays, forks or skips.
    pub async fn import_card(&self, call: &Call, bytes: &[u8]) -> Result<Candidate, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "ImportCard")).await?;
        let outcome = self.import_card_audited(bytes).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn import_card_audited(&self, bytes: &[u8]) -> Result<Candidate, ServiceError> {
        let card = SignedCard::parse_and_verify(bytes).map_err(ServiceError::from_coded)?;
        let member = card.card().member;
        if member == self.member {
            return Err(ServiceError::invalid("CARD_OWN_MEMBER", "this card names this node's own member"));
        }
        let _ceremony = self.peers.ceremony.lock().await;
        let code = card.verification_code();
        let peer = match self.peers.get(member) {
            None if self.peers.all().len() >= MAX_PEERS => {
                return Err(ServiceError::exhausted("PEERS_TOO_MANY", format!("at most {MAX_PEERS} peers are kept")));
            }
            // A candidate was never trusted: a new card simply takes its place and needs the whole ceremony.
            None => self.candidate(card.clone()),
            Some(held) if held.state == PeerState::Candidate => self.candidate(card.clone()),
            Some(held) if held.card.bytes() == card.bytes() => return Ok(Candidate { card, code }),
            Some(held) => {
                match card::check_successor(&held.card, &card).map_err(ServiceError::from_peer)? {
                    Succession::Unchanged | Succession::Updated => Peer { card: card.clone(), ..(*held).clone() },
                    // Without its register entry nobody knows what the old key still counts for.
                    Succession::Rotated => return Err(key_change_missing(member)),
                }
            }
        };
        let mut batch = Batch::new();
        super::write(&self.vault, &mut batch, &peer).await?;
        self.store.commit(batch).await?;
        self.peers.insert(peer);
        Ok(Candidate { card, code })
    }

    fn candidate(&self, card: SignedCard) -> Peer {
        Peer {
            keys: KeyLine::begin(card.card()),
            earlier_anchors: Vec::new(),
            card,
            state: PeerState::Candidate,
            agreement: None,
            agreement_text: String::new(),
            since: self.clock.now(),
        }
    }

    /// One administrator's confirmation of a card and an agreement; the second one's makes it effective.
    /// For a peer that is accepted already, a new agreement takes the place of the old one in the same way.
    ///
    /// # Errors
    /// `PEER_UNKNOWN` without a card, `VERIFICATION_CODE_WRONG`, `AGREEMENT_*`, `SECOND_ADMINISTRATOR_REQUIRED`
    /// when the same administrator confirms twice.
    pub async fn accept_peer(
        &self,
        call: &Call,
        member: MemberId,
        code: &str,
        agreement: &str,
    ) -> Result<Acceptance, ServiceError> {
        let mut entry = self.entry(call, "AcceptPeer");
        entry.peer = Some(member);
        let intent = self.audit.intent(entry).await?;
        let outcome = self.accept_peer_audited(call, member, code, agreement).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn accept_peer_audited(
        &self,
        call: &Call,
        member: MemberId,
        code: &str,
        agreement: &str,
    ) -> Result<Acceptance, ServiceError> {
        let _ceremony = self.peers.ceremony.lock().await;
        let held = self.peers.get(member).ok_or_else(|| {
            ServiceError::not_found("PEER_UNKNOWN", format!("no card of {member} was imported"))
                .with_hint("import its card with `eads peer import FILE`")
        })?;
        if held.state == PeerState::Frozen {
            return Err(ServiceError::conflict("PEER_FROZEN", format!("the register of {member} has forked"))
                .with_hint(format!("see `eads proof export {member}`, then `eads peer unfreeze {member}`")));
        }
        let read_out: VerificationCode = code.parse().map_err(ServiceError::from_coded)?;
        if read_out != held.card.verification_code() {
            return Err(ServiceError::denied(
                "VERIFICATION_CODE_WRONG",
                "the code does not belong to the card that was imported",
            )
            .with_hint("do not accept this card: ask the other side to export it again, and compare by telephone"));
        }
        let parsed = Agreement::parse(agreement).map_err(ServiceError::from_coded)?;
        if parsed.member() != member {
            return Err(ServiceError::invalid(
                "AGREEMENT_OTHER_MEMBER",
                format!("the agreement is with {}, not with {member}", parsed.member()),
            ));
        }
        let now = Pending {
            administrator: call.operator.name.to_string(),
            card: held.card.digest().to_string(),
            agreement: eads_domain::encode::sha256(agreement.as_bytes()).to_string(),
        };
        let first: Option<Pending> = rows::get(&*self.store, area::PEER_PENDING, member.as_bytes()).await?;
        let mut batch = Batch::new();
        match first {
            Some(first) if first.card == now.card && first.agreement == now.agreement => {
                if first.administrator == now.administrator {
                    return Err(ServiceError::conflict(
                        "SECOND_ADMINISTRATOR_REQUIRED",
                        "the same administrator has confirmed this already; another one has to",
                    ));
                }
            }
            _ => {
                rows::put(&mut batch, area::PEER_PENDING, member.as_bytes(), &now)?;
                self.store.commit(batch).await?;
                return Ok(Acceptance::AwaitingSecond);
            }
        }
        let peer = Peer {
            card: held.card.clone(),
            keys: held.keys.clone(),
            earlier_anchors: held.earlier_anchors.clone(),
            state: PeerState::Accepted,
            agreement: Some(parsed),
            agreement_text: agreement.to_owned(),
            since: self.clock.now(),
        };
        super::write(&self.vault, &mut batch, &peer).await?;
        batch.delete(area::PEER_PENDING, *member.as_bytes());
        self.store.commit(batch).await?;
        self.peers.insert(peer);
        Ok(Acceptance::Accepted)
    }

    /// Cuts a peer off at once. It may still fetch withdrawals and post receipts. Returns of how many
    /// notices it still owes a purge receipt.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`.
    pub async fn remove_peer(&self, call: &Call, member: MemberId, reason: &str) -> Result<u64, ServiceError> {
        let mut entry = self.entry(call, "RemovePeer");
        entry.peer = Some(member);
        entry.subject = Some(reason.chars().take(200).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.remove_peer_audited(member).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn remove_peer_audited(&self, member: MemberId) -> Result<u64, ServiceError> {
        let _ceremony = self.peers.ceremony.lock().await;
        let held = self
            .peers
            .get(member)
            .ok_or_else(|| ServiceError::not_found("PEER_UNKNOWN", format!("{member} is not a peer")))?;
        let mut batch = Batch::new();
        batch.protective();
        let peer = match held.state {
            // It stays frozen, and is a removed peer once that is taken back.
            PeerState::Frozen => {
                self.removed_while_frozen(&mut batch, member).await?;
                (*held).clone()
            }
            _ => Peer { state: PeerState::RecallOnly, since: self.clock.now(), ..(*held).clone() },
        };
        super::write(&self.vault, &mut batch, &peer).await?;
        self.store.commit(batch).await?;
        self.peers.insert(peer);
        self.link.cut(member);
        self.unsettled(member).await
    }

    /// The audit entry with which a call of an operator begins.
    pub(crate) fn entry(&self, call: &Call, operation: &str) -> crate::audit::Entry {
        call.mark_written();
        crate::audit::Entry::new(EntryKind::Intent, self.clock.now(), call.request, call.actor(), operation)
    }
}

fn key_change_missing(member: MemberId) -> ServiceError {
    ServiceError::conflict(
        "CARD_NEEDS_KEY_CHANGE",
        format!("the card names another signing key of {member}: it counts with the key-change entry of its register"),
    )
    .with_hint("connect the two nodes: the card comes with that entry by itself")
}
