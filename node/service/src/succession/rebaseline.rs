//! Following a peer's new register in the place of the old one: after its member lost its keys, or its node for good.
//!
//! Two administrators confirm the new card by its verification code, as at the first acceptance. What was held of the
//! old register is destroyed, since nobody could withdraw it any more; what it came to is kept as history. The
//! agreement stays. An interruption leaves a mark by which the next start finishes.

use std::sync::Arc;

use eads_domain::card::{KeyLine, SignedCard, VerificationCode};
use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId};
use eads_store::port::{Batch, MAX_OPERATIONS, Scan};
use serde::{Deserialize, Serialize};

use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::peers::{Peer, PeerState};
use crate::rows::{self, Followed, HeldNotice, PurgeJob};

const PAGE: usize = 1000;

/// A first administrator's word.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pending {
    administrator: String,
    card: Hash,
}

/// What is kept of a register that is followed no more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormerRegister {
    /// The old register.
    pub register: String,
    /// Digest of the card under which it was followed last.
    pub card: Hash,
    /// Entries that were verified of it.
    pub size: u64,
    /// Its last verified checkpoint, verbatim.
    pub checkpoint: String,
    /// When it was given up.
    pub at: Timestamp,
    /// Who said so.
    pub administrators: [String; 2],
    /// Why.
    pub reason: String,
}

impl Node {
    /// One administrator's word that a peer's new card, of another register, takes the place of the one held; the
    /// second one's makes it effective. Returns whether it is.
    ///
    /// # Errors
    /// `CARD_*`, `PEER_UNKNOWN`, `REBASELINE_SAME_REGISTER`, `VERIFICATION_CODE_WRONG`,
    /// `SECOND_ADMINISTRATOR_REQUIRED` when the same administrator says it twice.
    pub async fn rebaseline_peer(
        &self,
        call: &Call,
        card: &[u8],
        code: &str,
        reason: &str,
    ) -> Result<bool, ServiceError> {
        let mut entry = self.entry(call, "RebaselinePeer");
        let card = SignedCard::parse_and_verify(card).map_err(ServiceError::from_coded);
        entry.peer = card.as_ref().ok().map(|card| card.card().member);
        entry.subject = Some(reason.chars().take(200).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = match card {
            Ok(card) => self.rebaseline(call, card, code, reason).await,
            Err(error) => Err(error),
        };
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn rebaseline(&self, call: &Call, card: SignedCard, code: &str, reason: &str) -> Result<bool, ServiceError> {
        let member = card.card().member;
        let _applying = self.applying.lock(member).await;
        let _ceremony = self.peers.ceremony.lock().await;
        let held = self.peers.get(member).filter(|held| matches!(held.state, PeerState::Accepted | PeerState::Frozen));
        let held =
            held.ok_or_else(|| ServiceError::not_found("PEER_UNKNOWN", format!("{member} is not an accepted peer")))?;
        if held.card.card().register == card.card().register {
            return Err(ServiceError::conflict(
                "REBASELINE_SAME_REGISTER",
                format!("the card names the register of {member} that is followed already"),
            )
            .with_hint("cards of one register follow each other by themselves, or with `eads peer import FILE`"));
        }
        let read_out: VerificationCode = code.parse().map_err(ServiceError::from_coded)?;
        if read_out != card.verification_code() {
            return Err(ServiceError::denied("VERIFICATION_CODE_WRONG", "the code does not belong to this card")
                .with_hint("do not take this card: ask the other side to export it again, and compare by telephone"));
        }
        let now = Pending { administrator: call.operator.name.to_string(), card: card.digest() };
        let first: Option<Pending> = rows::get(&*self.store, area::REBASELINE, member.as_bytes()).await?;
        let mut batch = Batch::new();
        let Some(first) = first.filter(|first| first.card == now.card) else {
            rows::put(&mut batch, area::REBASELINE, member.as_bytes(), &now)?;
            self.store.commit(batch).await?;
            return Ok(false);
        };
        if first.administrator == now.administrator {
            return Err(ServiceError::conflict(
                "SECOND_ADMINISTRATOR_REQUIRED",
                "the same administrator has said so already; another one has to",
            ));
        }
        self.begin_anew(&held, card, [first.administrator, now.administrator], reason).await?;
        self.forget_register(member).await?;
        self.link.cut(member);
        for code in ["REGISTER_FORKED", "CHECKPOINT_INCONSISTENT", "SYNC", "CARD_REFUSED", "KEY_STOLEN"] {
            self.alarms.clear(&format!("{code}:{member}"));
        }
        Ok(true)
    }

    /// The new card, the history of the old register, and the mark that the old one is still to be forgotten.
    async fn begin_anew(
        &self,
        held: &Arc<Peer>,
        card: SignedCard,
        administrators: [String; 2],
        reason: &str,
    ) -> Result<(), ServiceError> {
        let (member, at) = (held.member(), self.clock.now());
        let followed: Option<Followed> = rows::get(&*self.store, area::FOLLOWED, member.as_bytes()).await?;
        let followed = followed.unwrap_or_default();
        let former = FormerRegister {
            register: held.card.card().register.to_string(),
            card: held.card.digest(),
            size: followed.register_cursor,
            checkpoint: followed.checkpoint,
            at,
            administrators,
            reason: reason.chars().take(200).collect(),
        };
        let mut batch = Batch::new();
        batch.protective();
        let key = area::member_number(member, u64::try_from(at.as_unix()).unwrap_or_default());
        rows::put(&mut batch, area::FORMER_REGISTER, &key, &former)?;
        batch.put(area::FORGETTING, member.as_bytes(), []);
        batch.delete(area::REBASELINE, *member.as_bytes());
        let peer = Peer {
            keys: KeyLine::begin(card.card()),
            card,
            state: PeerState::Accepted,
            earlier_anchors: Vec::new(),
            since: at,
            ..(**held).clone()
        };
        crate::peers::write(&self.vault, &mut batch, &peer).await?;
        self.store.commit(batch).await?;
        self.peers.insert(peer);
        Ok(())
    }

    /// At the start: what an interruption left of old registers.
    pub(crate) async fn finish_forgetting(&self) -> Result<(), ServiceError> {
        for (key, _) in self.store.scan(Scan::new(area::FORGETTING, crate::peers::MAX_PEERS)).await? {
            let member = key.first_chunk::<2>().and_then(|bytes| MemberId::from_bytes(*bytes).ok());
            if let Some(member) = member {
                self.forget_register(member).await?;
            }
        }
        Ok(())
    }

    /// Destroys everything that was held of a member's old register. The caller holds the origin's lock, or nothing
    /// runs yet.
    async fn forget_register(&self, member: MemberId) -> Result<(), ServiceError> {
        self.forget_notices(member).await?;
        self.forget_purges(member).await?;
        for area in [
            area::LEAVES,
            area::FOLLOWED,
            area::OWED,
            area::ANSWERED,
            area::OWNERS_STATE,
            area::WITNESSED,
            area::COSIGNED,
            area::FORK,
            area::UNFREEZE,
            area::HELD_BLOBS,
            area::BLOB_WANTED,
            area::PEER_POSITION,
        ] {
            loop {
                let rows = self.store.scan(Scan::new(area, PAGE).prefix(*member.as_bytes())).await?;
                if rows.is_empty() {
                    break;
                }
                for chunk in rows.chunks(MAX_OPERATIONS) {
                    let mut batch = Batch::new();
                    batch.protective();
                    for (key, _) in chunk {
                        batch.delete(area, key.clone());
                    }
                    self.store.commit(batch).await?;
                }
            }
        }
        self.trust.forget(member);
        let mut batch = Batch::new();
        batch.protective();
        batch.delete(area::FORGETTING, *member.as_bytes());
        self.store.commit(batch).await?;
        self.purge_due.notify_one();
        Ok(())
    }

    async fn forget_notices(&self, member: MemberId) -> Result<(), ServiceError> {
        loop {
            let rows = self.store.scan(Scan::new(area::HELD_NOTICE, PAGE).prefix(*member.as_bytes())).await?;
            if rows.is_empty() {
                return Ok(());
            }
            for (key, value) in rows {
                let (_, notice) = crate::notices::split(&key)?;
                let held: HeldNotice = rows::parse(&value)?;
                let mut batch = Batch::new();
                batch.protective();
                batch.delete(area::HELD_NOTICE, key);
                batch.delete(area::EXPIRY, area::expiry(held.not_after.as_unix(), member, notice));
                for blob in self.take_held_blobs(&mut batch, member, held.content_index).await? {
                    self.queue_purge(&mut batch, &PurgeJob::Blob { blob })?;
                }
                self.queue_purge(&mut batch, &PurgeJob::Key { key: held.key })?;
                let row = area::member_number(member, held.content_index);
                self.vault.delete(&mut batch, area::HELD_CONTENT, &row).await?;
                self.store.commit(batch).await?;
                self.indexes.remove_held_notice(member, notice);
            }
        }
    }

    /// Purges that are due already still destroy their keys, but owe nobody a receipt: the index that they name is
    /// one of the new register from now on.
    async fn forget_purges(&self, member: MemberId) -> Result<(), ServiceError> {
        let mut pages = Pages::of(&*self.store, area::PURGE);
        while let Some(page) = pages.next().await? {
            for (_, value) in page {
                let PurgeJob::Held { origin, index, key, blobs, .. } = rows::parse(&value)? else { continue };
                if origin != member {
                    continue;
                }
                let mut batch = Batch::new();
                batch.protective();
                // Under the same row.
                self.queue_purge(&mut batch, &PurgeJob::Key { key })?;
                for blob in blobs {
                    self.queue_purge(&mut batch, &PurgeJob::Blob { blob })?;
                }
                self.vault.delete(&mut batch, area::HELD_CONTENT, &area::member_number(member, index)).await?;
                self.store.commit(batch).await?;
            }
        }
        Ok(())
    }
}
