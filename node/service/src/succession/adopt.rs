//! Taking a peer's next cards, which come from the peer itself with its sync stream.

use std::sync::Arc;

use eads_domain::card::{CardError, SignedCard, Succession, check_successor};
use eads_domain::code::Coded as _;
use eads_domain::id::{MemberId, RequestId};
use eads_domain::statement::{Action, Statement};
use eads_store::port::Batch;

use super::own::{CardStep, KeyChange};
use crate::area;
use crate::audit::{Actor, Entry, EntryKind};
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{EarlierAnchor, Peer};
use crate::rows::{self, Followed};

/// The most cards that one item of a stream may carry.
pub(crate) const MAX_STEPS: usize = 64;
/// How long after a new operator CA approvals under the one before still count: its officers get new certificates
/// meanwhile.
const ANCHOR_OVERLAP_SECONDS: i64 = 30 * 86_400;
/// Earlier operator CAs that are remembered of one peer.
const MOST_ANCHORS: usize = 8;

impl Node {
    /// Takes the cards by which a peer's card is succeeded; each that counts is durable and audited by itself. The
    /// caller holds the origin's lock. With `again`, cards that are held already are passed over.
    ///
    /// # Errors
    /// `CARD_*`, `KEY_CHANGE_*`: the peer's fault. What came before the fault stays.
    pub(crate) async fn adopt_cards(
        &self,
        origin: MemberId,
        steps: Vec<CardStep>,
        again: bool,
    ) -> Result<(), ServiceError> {
        if steps.len() > MAX_STEPS {
            return Err(ServiceError::peer("CARDS_TOO_MANY", "more cards at once than the protocol allows"));
        }
        for step in steps {
            let _ceremony = self.peers.ceremony.lock().await;
            let Some(held) = self.peers.get(origin) else { return Ok(()) };
            let taken = match self.next_of(&held, &step, again).await {
                Ok(Some(next)) => self.take_card(&held, next).await.map(Some),
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            match taken {
                Ok(Some(subject)) => {
                    self.alarms.clear(&format!("CARD_REFUSED:{origin}"));
                    self.note_card(origin, subject, "OK").await?;
                }
                Ok(None) => {}
                Err(error) => {
                    let text = format!("{origin} sent a card that does not follow the one that is held: {error}");
                    self.alarms.raise(&format!("CARD_REFUSED:{origin}"), self.clock.now(), text);
                    self.note_card(origin, "refused".to_owned(), error.code().as_str()).await?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The peer with the next card; none if it is held already.
    async fn next_of(&self, held: &Arc<Peer>, step: &CardStep, again: bool) -> Result<Option<Peer>, ServiceError> {
        let card = SignedCard::parse_and_verify(&step.card).map_err(ServiceError::from_peer)?;
        let succession = match check_successor(&held.card, &card) {
            Err(CardError::Replayed) if again => return Ok(None),
            other => other.map_err(ServiceError::from_peer)?,
        };
        let keys = match (succession, &step.change) {
            (Succession::Unchanged, _) => return Ok(None),
            (Succession::Updated, None) => held.keys.clone(),
            (Succession::Updated, Some(_)) => {
                return Err(ServiceError::peer("KEY_CHANGE_WRONG", "a key-change entry without a change of the key"));
            }
            (Succession::Rotated, None) => {
                return Err(ServiceError::peer("KEY_CHANGE_MISSING", "a new signing key without its register entry"));
            }
            (Succession::Rotated, Some(change)) => self.rotated(held, &card, change).await?,
        };
        let now = self.clock.now();
        let mut earlier = held.earlier_anchors.clone();
        if held.card.card().operator_anchor != card.card().operator_anchor {
            let until = now.plus_seconds(ANCHOR_OVERLAP_SECONDS);
            earlier.push(EarlierAnchor { anchor: held.card.card().operator_anchor.clone(), until });
            earlier.drain(..earlier.len().saturating_sub(MOST_ANCHORS));
        }
        Ok(Some(Peer { card, keys, earlier_anchors: earlier, ..(**held).clone() }))
    }

    /// The keys after a key-change, whose entry must be signed by the new key and say exactly this card.
    async fn rotated(
        &self,
        held: &Peer,
        card: &SignedCard,
        change: &KeyChange,
    ) -> Result<eads_domain::card::KeyLine, ServiceError> {
        let wrong = |text: &'static str| ServiceError::peer("KEY_CHANGE_WRONG", text);
        let named = card.card();
        let statement = Statement::verify(&change.payload, &change.signature, &named.signing_key)
            .map_err(ServiceError::from_peer)?;
        let payload = statement.payload();
        if payload.action != Action::KeyChange || payload.detail != card.digest() {
            return Err(wrong("the entry is not the key-change of this card"));
        }
        if (payload.origin, payload.register, payload.keyseq) != (named.member, named.register, named.keyseq) {
            return Err(wrong("the entry is of another member, register or key"));
        }
        if change.index < held.keys.current().from {
            return Err(wrong("the entry stands before the key that it replaces"));
        }
        let followed: Option<Followed> = rows::get(&*self.store, area::FOLLOWED, named.member.as_bytes()).await?;
        let cursor = followed.map_or(0, |followed| followed.register_cursor);
        if change.index < cursor && self.held_leaf(named.member, change.index).await? != Some(statement.leaf()) {
            return Err(ServiceError::peer(
                "KEY_CHANGE_NOT_IN_REGISTER",
                "the key-change is not the entry that is held at its index",
            ));
        }
        // What was verified here before the theft was stated stays trusted.
        let trusted = named.compromised_from.map_or(change.index, |from| from.max(cursor));
        Ok(held.keys.rotated(card.card(), change.index, statement.leaf(), trusted))
    }

    async fn take_card(&self, held: &Peer, next: Peer) -> Result<String, ServiceError> {
        let mut batch = Batch::new();
        batch.protective();
        crate::peers::write(&self.vault, &mut batch, &next).await?;
        self.store.commit(batch).await?;
        let (member, now) = (next.member(), self.clock.now());
        let named = next.card.card();
        let rotated = next.keys.current().keyseq != held.keys.current().keyseq;
        if let Some(from) = named.compromised_from.filter(|_| rotated) {
            let text = format!(
                "{member} says that its signing key {} was stolen: it vouches for none of its entries from {from} to {} \
                 that are not confirmed anew; ask it about what is held here, see `eads register status`",
                held.keys.current().keyseq,
                next.keys.current().from,
            );
            self.alarms.raise(&format!("KEY_STOLEN:{member}"), now, text);
        }
        if rotated {
            tracing::info!(%member, keyseq = named.keyseq, index = next.keys.current().from, "a peer changed its signing key");
        } else {
            tracing::info!(%member, sequence = named.sequence, "a peer has a new card");
        }
        let subject = format!("card {}, key {}", named.sequence, named.keyseq);
        self.peers.insert(next);
        Ok(subject)
    }

    async fn note_card(&self, peer: MemberId, subject: String, result: &str) -> Result<(), ServiceError> {
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Event, self.clock.now(), request, Actor::Peer(peer), "SucceedCard");
        entry.peer = Some(peer);
        entry.subject = Some(subject);
        self.audit.event(entry, result).await
    }
}
