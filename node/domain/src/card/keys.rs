//! The signing keys that a member has had, and what each of them counts for (PROTOCOL §3, §7).
//!
//! Earlier entries of a register belong to earlier keys, later ones to later keys: a [`KeyLine`] knows which. It
//! grows by [`KeyLine::rotated`] only, whose caller has verified the succession of the cards.

use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use super::Card;
use crate::id::{Hash, MemberId, RegisterId};
use crate::receipt::{ReceiptError, SignedReceipts};
use crate::register::{CheckpointError, SignedCheckpoint};
use crate::statement::{Payload, Statement, StatementError};

/// One signing key with the part of the register that it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpan {
    /// Its number.
    pub keyseq: u32,
    /// The key.
    #[serde(with = "hex_key")]
    pub key: VerifyingKey,
    /// The first entry that it signs: its own key-change, or 0 for the first key that is known.
    pub from: u64,
    /// The leaf of its key-change; none for the first key that is known.
    pub change: Option<Hash>,
    /// It counts for no entry from this index on; none for the key in force.
    pub until: Option<u64>,
    /// Its owner has said that somebody else may have signed with it.
    pub compromised: bool,
}

impl KeySpan {
    /// Whether it may have signed the entry at `index`.
    pub fn signs(&self, index: u64) -> bool {
        index >= self.from && self.until.is_none_or(|until| index < until)
    }

    /// Whether it may have signed a checkpoint over `size` entries: it never saw more than its part.
    pub fn signs_checkpoint(&self, size: u64) -> bool {
        self.until.is_none_or(|until| size <= until)
    }
}

/// The keys of one member, the oldest first; there is always one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    past: Vec<KeySpan>,
    current: KeySpan,
}

impl KeyLine {
    /// Of a card with which trust began: nothing is known of keys before it.
    pub fn begin(card: &Card) -> Self {
        let current = KeySpan {
            keyseq: card.keyseq,
            key: card.signing_key,
            from: 0,
            change: None,
            until: None,
            compromised: false,
        };
        Self { past: Vec::new(), current }
    }

    /// From its spans as [`KeyLine::spans`] gave them out; none without any.
    pub fn from_spans(mut spans: Vec<KeySpan>) -> Option<Self> {
        let current = spans.pop()?;
        Some(Self { past: spans, current })
    }

    /// All spans, the oldest first.
    pub fn spans(&self) -> impl Iterator<Item = &KeySpan> {
        self.past.iter().chain([&self.current])
    }

    /// The key in force.
    pub const fn current(&self) -> &KeySpan {
        &self.current
    }

    /// All keys, the one in force first.
    pub fn keys(&self) -> Vec<VerifyingKey> {
        self.newest_first().map(|span| span.key).collect()
    }

    /// The line after the key-change at `index`, whose leaf is `change`, to the key that `card` names. The old key
    /// counts for entries below `trusted`, which is `index` unless the card says that it was stolen.
    #[must_use]
    pub fn rotated(&self, card: &Card, index: u64, change: Hash, trusted: u64) -> Self {
        let old = KeySpan {
            until: Some(trusted.min(index)),
            compromised: card.compromised_from.is_some(),
            ..self.current.clone()
        };
        let current = KeySpan {
            keyseq: card.keyseq,
            key: card.signing_key,
            from: index,
            change: Some(change),
            until: None,
            compromised: false,
        };
        Self { past: self.past.iter().cloned().chain([old]).collect(), current }
    }

    /// The line where it is not known at which index the key was changed to the one that `card` names: then both
    /// count for every index.
    #[must_use]
    pub fn replaced(&self, card: &Card) -> Self {
        let current = KeySpan { from: 0, ..Self::begin(card).current };
        Self { past: self.past.iter().cloned().chain([self.current.clone()]).collect(), current }
    }

    fn newest_first(&self) -> impl Iterator<Item = &KeySpan> {
        [&self.current].into_iter().chain(self.past.iter().rev())
    }

    fn of(&self, keyseq: u32) -> Option<&KeySpan> {
        self.newest_first().find(|span| span.keyseq == keyseq)
    }

    /// A statement under the key that it names, whatever its index.
    ///
    /// # Errors
    /// As [`Statement::verify`]; [`StatementError::OtherKey`] if it names none of these keys.
    pub fn statement(&self, payload: &[u8], signature: &[u8]) -> Result<Statement, StatementError> {
        self.verify(payload, signature).map(|(statement, _)| statement)
    }

    /// The statement at `index` under the key that it names, and whether its origin vouches for it: not if the key
    /// was stolen by then and the statement was not verified before that was stated.
    ///
    /// # Errors
    /// As [`KeyLine::statement`]; [`StatementError::OtherKey`] also if that key never counted for the index.
    pub fn statement_at(
        &self,
        payload: &[u8],
        signature: &[u8],
        index: u64,
    ) -> Result<(Statement, bool), StatementError> {
        let (statement, span) = self.verify(payload, signature)?;
        if span.signs(index) {
            return Ok((statement, true));
        }
        // The entry of the key-change that ended it.
        let ended = self.spans().find(|next| next.from > span.from).map(|next| next.from);
        if span.compromised && ended.is_some_and(|ended| (span.from..ended).contains(&index)) {
            Ok((statement, false))
        } else {
            Err(StatementError::OtherKey)
        }
    }

    fn verify(&self, payload: &[u8], signature: &[u8]) -> Result<(Statement, &KeySpan), StatementError> {
        let named = Payload::keyseq_of(payload).and_then(|keyseq| self.of(keyseq));
        // What names a key that is not known is told apart from a forgery by the key in force.
        let statement = Statement::verify(payload, signature, &named.unwrap_or(&self.current).key)?;
        Ok((statement, named.ok_or(StatementError::OtherKey)?))
    }

    /// A checkpoint under the newest of the keys that may have signed one of its size, with that key.
    ///
    /// # Errors
    /// As [`SignedCheckpoint::verify`].
    pub fn checkpoint(
        &self,
        bytes: &[u8],
        member: MemberId,
        register: RegisterId,
    ) -> Result<(SignedCheckpoint, VerifyingKey), CheckpointError> {
        for span in self.newest_first() {
            match SignedCheckpoint::verify(bytes, member, register, &span.key) {
                Ok(signed) if span.signs_checkpoint(signed.checkpoint().size) => return Ok((signed, span.key)),
                Ok(_) | Err(CheckpointError::Signature) => {}
                Err(error) => return Err(error),
            }
        }
        Err(CheckpointError::Signature)
    }

    /// The same with the owner's signature line alone.
    ///
    /// # Errors
    /// As [`KeyLine::checkpoint`].
    pub fn bare_checkpoint(
        &self,
        bytes: &[u8],
        member: MemberId,
        register: RegisterId,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        let (signed, key) = self.checkpoint(bytes, member, register)?;
        signed.keeping(&key, &[])
    }

    /// Receipts of `receiver`, whose keys these are, as they are kept: under any key that it has had.
    ///
    /// # Errors
    /// As [`SignedReceipts::verify`].
    pub fn receipts(
        &self,
        parts: &[Vec<u8>],
        signature: &[u8],
        receiver: MemberId,
    ) -> Result<SignedReceipts, ReceiptError> {
        self.receipts_by(parts, signature, receiver, |_| true)
    }

    /// Receipts that come now: a key that was stolen gives none any more.
    ///
    /// # Errors
    /// As [`SignedReceipts::verify`].
    pub fn fresh_receipts(
        &self,
        parts: &[Vec<u8>],
        signature: &[u8],
        receiver: MemberId,
    ) -> Result<SignedReceipts, ReceiptError> {
        self.receipts_by(parts, signature, receiver, |span| !span.compromised)
    }

    fn receipts_by(
        &self,
        parts: &[Vec<u8>],
        signature: &[u8],
        receiver: MemberId,
        counts: impl Fn(&KeySpan) -> bool,
    ) -> Result<SignedReceipts, ReceiptError> {
        let mut outcome = Err(ReceiptError::Signature);
        for span in self.newest_first().filter(|span| counts(span)) {
            outcome = SignedReceipts::verify(parts.to_vec(), signature, receiver, &span.key);
            if !matches!(outcome, Err(ReceiptError::Signature)) {
                break;
            }
        }
        outcome
    }
}

mod hex_key {
    use ed25519_dalek::VerifyingKey;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(key: &VerifyingKey, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(key.as_bytes()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<VerifyingKey, D::Error> {
        let text = String::deserialize(from)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(D::Error::custom)?;
        VerifyingKey::from_bytes(&bytes).map_err(D::Error::custom)
    }
}
