//! The own cards, from the first to the one in force, and what of them a follower is shown.

use std::sync::PoisonError;

use eads_domain::card::{KeyLine, SignedCard, Succession, check_successor};
use eads_domain::clock::Timestamp;
use eads_domain::id::{Hash, MemberId};
use eads_store::port::{Batch, Scan};
use eads_store::vault::{Sealed, Vault};

use crate::area;
use crate::error::ServiceError;
use crate::node::{Node, NodeIdentity, OwnIdentity};
use crate::stored::StoredStatement;

const SCHEMA: u16 = 1;
/// The most cards that a member has in its life here; one a week for twenty years.
const MOST: usize = 1000;
/// Cards that go to a follower at once.
const STEPS: usize = 16;
/// Stands for the index of a card that came without an entry.
const NO_ENTRY: u64 = u64::MAX;

/// One card of a succession, as it travels. Nothing of it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardStep {
    /// As its member signed it.
    pub card: Vec<u8>,
    /// The register entry of a card that names another signing key.
    pub change: Option<KeyChange>,
}

/// A key-change entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// Where it stands in the register.
    pub index: u64,
    /// As signed.
    pub payload: Vec<u8>,
    /// Ed25519, by the new key.
    pub signature: Vec<u8>,
}

/// An own card with the index of its key-change.
pub(super) struct OwnCard {
    pub(super) card: SignedCard,
    pub(super) index: Option<u64>,
}

/// Puts an own card into `batch`.
pub(super) fn put_card(
    vault: &Vault,
    batch: &mut Batch,
    card: &SignedCard,
    index: Option<u64>,
) -> Result<(), ServiceError> {
    let value = [index.unwrap_or(NO_ENTRY).to_be_bytes().as_slice(), card.bytes()].concat();
    let key = vault.keys().allocate()?;
    Ok(vault.put(batch, area::OWN_CARD, &area::index(card.card().sequence), key, SCHEMA, &value)?)
}

/// The own cards from `sequence` on, at most `most`.
async fn cards_from(vault: &Vault, sequence: u64, most: usize) -> Result<Vec<OwnCard>, ServiceError> {
    let mut scan = Scan::new(area::OWN_CARD, most);
    scan.after = sequence.checked_sub(1).map(area::index);
    let mut cards = Vec::new();
    for (key, value) in vault.store().scan(scan).await? {
        let Some(Sealed::Plain { bytes, .. }) = vault.open_row(area::OWN_CARD, &key, &value).await? else {
            return Err(damaged());
        };
        let (index, card) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
        let index = Some(u64::from_be_bytes(*index)).filter(|index| *index != NO_ENTRY);
        cards.push(OwnCard { card: SignedCard::parse_and_verify(card)?, index });
    }
    Ok(cards)
}

fn damaged() -> ServiceError {
    ServiceError::internal("OWN_CARDS_DAMAGED", "the own earlier cards cannot be read; run `eads-node store check`")
}

/// The own signing keys as the store knows them, up to `card`, which is in force.
///
/// # Errors
/// `IDENTITY_OLD` if the store knows a later card, `IDENTITY_FORKED` if it knows another of the same number.
pub async fn own_keys(vault: &Vault, card: &SignedCard) -> Result<KeyLine, ServiceError> {
    let mut cards = cards_from(vault, 0, MOST).await?;
    let known = cards.last().map(|last| (last.card.card().sequence, last.card.digest()));
    let shown = (card.card().sequence, card.digest());
    match known {
        Some(known) if known == shown => {}
        Some((sequence, _)) if sequence > shown.0 => {
            let text = format!("identity/ holds card {}, but card {sequence} was in force already", shown.0);
            return Err(ServiceError::internal("IDENTITY_OLD", text)
                .with_hint("restore the identity as it was last: `eads-node key restore`"));
        }
        Some((sequence, _)) if sequence == shown.0 => {
            let text = format!("identity/ holds another card {sequence} than was in force");
            return Err(ServiceError::internal("IDENTITY_FORKED", text));
        }
        // The first card, or one that was restored together with an older store.
        _ => cards.push(OwnCard { card: card.clone(), index: None }),
    }
    let mut line: Option<KeyLine> = None;
    for own in cards {
        let named = own.card.card();
        line = Some(match line {
            None => KeyLine::begin(named),
            Some(line) if line.current().key == named.signing_key => line,
            Some(line) => match own.index {
                Some(index) => line.rotated(named, index, own_leaf(vault, index).await?, index),
                None => line.replaced(named),
            },
        });
    }
    Ok(line.unwrap_or_else(|| KeyLine::begin(card.card())))
}

async fn own_leaf(vault: &Vault, index: u64) -> Result<Hash, ServiceError> {
    let row = vault.store().get(area::OWN_ENTRY, &area::index(index)).await?;
    row.and_then(|row| row.first_chunk::<32>().copied()).map(Hash::from_bytes).ok_or_else(damaged)
}

/// The identity with which a node starts: remembers its card if it is new.
pub(crate) async fn recall(vault: &Vault, identity: NodeIdentity) -> Result<OwnIdentity, ServiceError> {
    let NodeIdentity { card, signing, cosigner } = identity;
    let keys = own_keys(vault, &card).await?;
    if vault.store().get(area::OWN_CARD, &area::index(card.card().sequence)).await?.is_none() {
        let mut batch = Batch::new();
        put_card(vault, &mut batch, &card, None)?;
        vault.store().commit(batch).await?;
    }
    Ok(OwnIdentity { card, signing, cosigner, keys })
}

impl Node {
    /// Whether `card` is durable as one that is or was in force here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn knows_card(&self, card: &SignedCard) -> Result<bool, ServiceError> {
        Self::knows_own_card(&self.vault, card).await
    }

    /// The same of a node that is not open yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn knows_own_card(vault: &Vault, card: &SignedCard) -> Result<bool, ServiceError> {
        let known = cards_from(vault, card.card().sequence, 1).await?;
        Ok(known.first().is_some_and(|known| known.card.digest() == card.digest()))
    }

    /// Every own card that is remembered, the oldest first.
    pub(crate) async fn own_cards(&self) -> Result<Vec<SignedCard>, ServiceError> {
        Ok(cards_from(&self.vault, 0, MOST).await?.into_iter().map(|own| own.card).collect())
    }

    pub(crate) fn own_card_sequence(&self) -> u64 {
        self.identity().card.card().sequence
    }

    /// What a follower needs that holds the own card `held`; nothing for one that does not say.
    pub(crate) async fn card_steps(&self, held: u64) -> Result<Vec<CardStep>, ServiceError> {
        if held == 0 || held >= self.identity().card.card().sequence {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        for OwnCard { card, index } in cards_from(&self.vault, held + 1, STEPS).await? {
            let change = match index {
                Some(index) => self.key_change(index).await?,
                None => None,
            };
            steps.push(CardStep { card: card.bytes().to_vec(), change });
        }
        Ok(steps)
    }

    async fn key_change(&self, index: u64) -> Result<Option<KeyChange>, ServiceError> {
        let content = self.vault.get(area::OWN_CONTENT, &area::index(index)).await?;
        let Some(Sealed::Plain { bytes, .. }) = content else { return Ok(None) };
        let StoredStatement { payload, signature, .. } = StoredStatement::parse(&bytes)?;
        Ok(Some(KeyChange { index, payload, signature }))
    }

    /// Accepted peers that do not hold the card in force, as far as they have said.
    pub fn peers_behind(&self) -> Vec<MemberId> {
        let current = self.own_card_sequence();
        let behind = |member: &MemberId| self.peers.status(*member).card_held != current;
        self.peers.accepted().iter().map(|peer| peer.member()).filter(behind).collect()
    }

    /// Keeps when the certificates of this node end, for its status and metrics.
    pub fn note_certificates(&self, ends: Vec<(String, Timestamp)>) {
        *self.certificate_ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    /// When the certificates of this node end, by name.
    pub fn certificate_ends(&self) -> Vec<(String, Timestamp)> {
        self.certificate_ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a card with the same signing key the one in force: durable, then followers get it.
    ///
    /// # Errors
    /// `CARD_*` if it does not succeed the one in force; when the store fails.
    pub async fn update_card(&self, card: SignedCard) -> Result<(), ServiceError> {
        let _writer = self.register_writer().await;
        let identity = self.identity();
        if check_successor(&identity.card, &card)? != Succession::Updated {
            return Err(ServiceError::internal("CARD_NOT_UPDATED", "the card does not update the one in force"));
        }
        let mut batch = Batch::new();
        put_card(&self.vault, &mut batch, &card, None)?;
        self.store.commit(batch).await?;
        let OwnIdentity { signing, cosigner, keys, .. } = &*identity;
        let next = OwnIdentity { card, signing: signing.clone(), cosigner: cosigner.clone(), keys: keys.clone() };
        self.replace_identity(next);
        self.wake_followers();
        Ok(())
    }
}
