//! The change of the own signing key: one register entry, after which nothing is signed with the old one.

use eads_domain::audience::Audience;
use eads_domain::card::{SignedCard, Succession, check_successor};
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Disclosure;
use eads_domain::id::{Hash, NoticeId};
use eads_domain::slot::{SCHEMA, SlotSet};
use eads_domain::statement::{Action, leaf};
use eads_store::port::Scan;
use eads_store::vault::Sealed;
use ed25519_dalek::SigningKey;

use super::own::put_card;
use crate::area;
use crate::error::ServiceError;
use crate::node::{Node, OwnIdentity};
use crate::register::{Appended, Publication};
use crate::stored::StoredStatement;

/// The card and key that are to be in force.
pub struct Rotation {
    /// Succeeds the card in force under the key that it announced.
    pub card: SignedCard,
    /// That key.
    pub signing: SigningKey,
}

/// Since when a stolen key may have been used by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compromise {
    /// From this entry of the register on.
    Index(u64),
    /// From this moment on.
    Time(Timestamp),
}

impl Node {
    /// The first entry that is not vouched for after a theft: for a moment, the first entry that is not known to be
    /// from before it.
    ///
    /// # Errors
    /// `COMPROMISE_IN_FUTURE` for an index beyond the register; when the store cannot be read.
    pub async fn compromised_from(&self, since: Compromise) -> Result<u64, ServiceError> {
        let size = self.register.size();
        match since {
            Compromise::Index(index) if index > size => Err(ServiceError::invalid(
                "COMPROMISE_IN_FUTURE",
                format!("the register has {size} entries; the theft cannot begin at {index}"),
            )),
            Compromise::Index(index) => Ok(index),
            Compromise::Time(moment) => {
                let mut index = size;
                let mut scan = Scan::new(area::OWN_CONTENT, 1).reverse();
                // Backwards to the latest entry that is known to be older; what is destroyed says nothing.
                while let Some((key, value)) = self.store.scan(scan.clone()).await?.pop() {
                    let at = area::trailing_number(&key).unwrap_or_default();
                    if let Some(Sealed::Plain { bytes, .. }) =
                        self.vault.open_row(area::OWN_CONTENT, &key, &value).await?
                    {
                        let stored = StoredStatement::parse(&bytes)?;
                        let statement = self.identity().keys.statement(&stored.payload, &stored.signature)?;
                        if statement.payload().issued < moment {
                            return Ok(index);
                        }
                    }
                    index = at;
                    scan.after = Some(key);
                }
                Ok(0)
            }
        }
    }

    /// Changes the signing key: entry and card in one commit, then followers get both.
    ///
    /// # Errors
    /// `CARD_*` if the card does not rotate the one in force, `CARD_KEY_MISMATCH` if the key is not the one it names,
    /// `SEQUENCING_*` while nothing may be signed; when the store fails.
    pub async fn rotate(&self, rotation: Rotation) -> Result<u64, ServiceError> {
        let Rotation { card, signing } = rotation;
        let mut writer = self.register_writer().await;
        let old = self.identity();
        if check_successor(&old.card, &card)? != Succession::Rotated {
            return Err(ServiceError::internal("CARD_NOT_ROTATED", "the card does not change the signing key"));
        }
        if signing.verifying_key() != card.card().signing_key {
            return Err(ServiceError::internal("CARD_KEY_MISMATCH", "the key is not the one that the card names"));
        }
        let next = OwnIdentity { card, signing, cosigner: old.cosigner.clone(), keys: old.keys.clone() };
        let publication = Publication {
            action: Action::KeyChange,
            notice: NoticeId::random(&*self.entropy),
            version: 0,
            schema: SCHEMA,
            not_after: self.clock.now(),
            slots: Hash::random(&*self.entropy),
            audience: Audience::build(&[], &*self.entropy)?.root(),
            detail: next.card.digest(),
            audience_openings: Vec::new(),
            disclosure: Disclosure { openings: Vec::new(), commitments: Vec::new() },
            detail_bytes: next.card.body().to_vec(),
            key: self.keys.allocate()?,
            blobs: Vec::new(),
            deliveries: self.peers.accepted().iter().map(|peer| (peer.member(), SlotSet::EMPTY)).collect(),
        };
        let card = next.card.clone();
        let beside = |appended: &[Appended], batch: &mut _| {
            put_card(&self.vault, batch, &card, appended.first().map(|entry| entry.index))
        };
        // In force before the longer register is seen: nobody is shown the old key's word on it.
        let durable = |appended: &[Appended]| {
            let Some(entry) = appended.first() else { return };
            let keys = next.keys.rotated(next.card.card(), entry.index, leaf(&entry.digest), entry.index);
            let OwnIdentity { card, signing, cosigner, .. } = &next;
            let (card, signing, cosigner) = (card.clone(), signing.clone(), cosigner.clone());
            self.replace_identity(OwnIdentity { card, signing, cosigner, keys });
        };
        let appended = self.append_as(&mut writer, &next, vec![publication], false, beside, durable).await?;
        appended.first().map(|entry| entry.index).ok_or_else(|| ServiceError::internal("KEY_CHANGE_LOST", "no entry"))
    }
}
