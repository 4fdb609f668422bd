//! Which card may follow which.

use super::{CardError, SignedCard, key_digest};

/// How a card relates to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// It is the same card.
    Unchanged,
    /// A new card under the same signing key.
    Updated,
    /// A new card under the signing key that the one before announced. A key-change entry in the register goes
    /// with it.
    Rotated,
}

/// Whether `new` may take the place of `old`, which is trusted.
///
/// # Errors
/// [`CardError::OtherMember`], [`CardError::Replayed`], [`CardError::Forked`], [`CardError::Gap`],
/// [`CardError::OtherRegister`], [`CardError::KeyNotAnnounced`], [`CardError::AnnouncementChanged`],
/// [`CardError::Compromise`].
pub fn check_successor(old: &SignedCard, new: &SignedCard) -> Result<Succession, CardError> {
    let (before, after) = (old.card(), new.card());
    if before.member != after.member {
        return Err(CardError::OtherMember);
    }
    if after.sequence < before.sequence {
        return Err(CardError::Replayed);
    }
    if after.sequence == before.sequence {
        return if old.digest() == new.digest() { Ok(Succession::Unchanged) } else { Err(CardError::Forked) };
    }
    if before.sequence.checked_add(1) != Some(after.sequence) {
        return Err(CardError::Gap);
    }
    if after.previous != Some(old.digest()) {
        return Err(CardError::Forked);
    }
    if before.register != after.register {
        return Err(CardError::OtherRegister);
    }
    if before.signing_key == after.signing_key && before.keyseq == after.keyseq {
        if after.compromised_from.is_some() {
            return Err(CardError::Compromise);
        }
        // Whoever steals the key in use must not be able to choose the one that follows it.
        return if before.next_signing_key == after.next_signing_key {
            Ok(Succession::Updated)
        } else {
            Err(CardError::AnnouncementChanged)
        };
    }
    let announced = key_digest(&after.signing_key) == before.next_signing_key;
    if announced && before.keyseq.checked_add(1) == Some(after.keyseq) {
        Ok(Succession::Rotated)
    } else {
        Err(CardError::KeyNotAnnounced)
    }
}
