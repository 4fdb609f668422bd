//! Peer cards: how a member describes itself to another, signed by itself (PROTOCOL §7).
//!
//! A [`SignedCard`] that exists is well formed and was signed by the key it names. That says nothing about who
//! made it: trust begins when two administrators have read the [`VerificationCode`] to each other, and goes on
//! from card to card by [`check_successor`].

mod code;
mod encoding;
mod error;
mod field;
mod keys;
mod succession;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

pub use code::{InvalidCode, VerificationCode};
pub use error::CardError;
pub use field::{Anchor, DisplayName, DutyContact, Endpoint, ProtocolRange, Standing};
pub use keys::{KeyLine, KeySpan};
pub use succession::{Succession, check_successor};

use crate::clock::Timestamp;
use crate::encode::{pae, sha256, sha256_pae};
use crate::id::{Hash, MemberId, RegisterId};

/// The label of a card's signature and digest.
pub const CARD_LABEL: &[u8] = b"eads/v1/card";
/// The largest signed card, bytes.
pub const MAX_CARD_BYTES: usize = 64 * 1024;
/// The most endpoints, TLS anchors or duty contacts on a card.
pub const MAX_ENTRIES: usize = 16;
/// The sequence number of a member's first card.
pub const GENESIS_SEQUENCE: u64 = 1;

const ARMOR: &str = "EADS CARD";
const SIGNATURE_BYTES: usize = 64;

/// What a member says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Who it is.
    pub member: MemberId,
    /// What it is in the federation.
    pub standing: Standing,
    /// What people call it.
    pub display_name: DisplayName,
    /// Where its peer listener is reached; none for a member that only dials.
    pub endpoints: Vec<Endpoint>,
    /// Its own TLS CAs, at least one.
    pub tls_anchors: Vec<Anchor>,
    /// The CA of its operators, against which approvals are checked.
    pub operator_anchor: Anchor,
    /// Signs statements, checkpoints, receipts and this card.
    pub signing_key: VerifyingKey,
    /// 0 for the first signing key, one more with each key-change.
    pub keyseq: u32,
    /// Signs cosignatures, and nothing else.
    pub cosigner_key: VerifyingKey,
    /// Its register.
    pub register: RegisterId,
    /// Protocol versions that it speaks.
    pub protocol: ProtocolRange,
    /// How its duty officers are reached when the machines are not enough.
    pub duty_contacts: Vec<DutyContact>,
    /// [`GENESIS_SEQUENCE`] for the first card, one more with each.
    pub sequence: u64,
    /// Digest of the card before this one; `None` on the first.
    pub previous: Option<Hash>,
    /// When it was made.
    pub issued: Timestamp,
    /// SHA-256 of the signing key that will follow, whose private half is kept offline.
    pub next_signing_key: Hash,
    /// The key before this one was stolen: its member vouches for nothing that it signed from this index of the
    /// register on. Only on the card of a rotation.
    pub compromised_from: Option<u64>,
}

impl Card {
    /// Rules between the fields; each field is well formed by its type.
    fn check(&self) -> Result<(), CardError> {
        if self.tls_anchors.is_empty() {
            return Err(CardError::NoAnchor);
        }
        let lists = [self.endpoints.len(), self.tls_anchors.len(), self.duty_contacts.len()];
        if lists.into_iter().any(|length| length > MAX_ENTRIES) {
            return Err(CardError::TooMany);
        }
        let is_repeated = |(place, endpoint)| self.endpoints.iter().take(place).any(|other| other == endpoint);
        if self.endpoints.iter().enumerate().any(is_repeated) {
            return Err(CardError::Endpoint);
        }
        if (self.sequence == GENESIS_SEQUENCE) != self.previous.is_none() || self.sequence < GENESIS_SEQUENCE {
            return Err(CardError::Sequence);
        }
        if self.compromised_from.is_some() && self.keyseq == 0 {
            return Err(CardError::Compromise);
        }
        if !is_sound(&self.signing_key) || !is_sound(&self.cosigner_key) {
            return Err(CardError::WeakKey);
        }
        if self.signing_key == self.cosigner_key || self.next_signing_key == key_digest(&self.signing_key) {
            return Err(CardError::KeyReused);
        }
        Ok(())
    }
}

/// What a card announces of the signing key that will follow: SHA-256 of its 32 bytes.
pub fn key_digest(key: &VerifyingKey) -> Hash {
    sha256(key.as_bytes())
}

/// Neither of small order, nor a second encoding of the same point.
fn is_sound(key: &VerifyingKey) -> bool {
    !key.is_weak() && key.to_edwards().compress().as_bytes() == key.as_bytes()
}

/// A card with its signature, as the bytes that were signed. One that exists verified under the key it names.
///
/// The bytes are the card's canonical encoding followed by a 64-byte Ed25519 signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCard {
    card: Card,
    bytes: Vec<u8>,
}

impl SignedCard {
    /// Signs `card` with the key that it names.
    ///
    /// # Errors
    /// [`CardError::KeyMismatch`] if `key` is another one; otherwise what is wrong with the card.
    pub fn sign(card: Card, key: &SigningKey) -> Result<Self, CardError> {
        card.check()?;
        if key.verifying_key() != card.signing_key {
            return Err(CardError::KeyMismatch);
        }
        let mut bytes = encoding::encode(&card);
        let signature = key.sign(&pae(&[CARD_LABEL, &bytes]));
        bytes.extend_from_slice(&signature.to_bytes());
        if bytes.len() > MAX_CARD_BYTES {
            return Err(CardError::TooLarge);
        }
        Ok(Self { card, bytes })
    }

    /// Takes a card as [`SignedCard::bytes`] gave it out.
    ///
    /// # Errors
    /// What is wrong with it: form, rules between fields, weak keys, signature.
    pub fn parse_and_verify(bytes: &[u8]) -> Result<Self, CardError> {
        if bytes.len() > MAX_CARD_BYTES {
            return Err(CardError::TooLarge);
        }
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or(CardError::Malformed)?;
        let card = encoding::parse(body)?;
        card.check()?;
        card.signing_key
            .verify_strict(&pae(&[CARD_LABEL, body]), &Signature::from_bytes(signature))
            .map_err(|_| CardError::Signature)?;
        Ok(Self { card, bytes: bytes.to_vec() })
    }

    /// Takes a card from a text file: exactly one block `-----BEGIN EADS CARD-----`.
    ///
    /// # Errors
    /// [`CardError::Armor`], or those of [`SignedCard::parse_and_verify`].
    pub fn from_armor(text: &str) -> Result<Self, CardError> {
        if text.len() > MAX_CARD_BYTES * 2 {
            return Err(CardError::TooLarge);
        }
        let blocks = pem::parse_many(text).map_err(|_| CardError::Armor)?;
        match blocks.as_slice() {
            [block] if block.tag() == ARMOR => Self::parse_and_verify(block.contents()),
            _ => Err(CardError::Armor),
        }
    }

    /// The card as a text file.
    pub fn to_armor(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new(ARMOR, self.bytes.clone()), config)
    }

    /// What the card says.
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// Card and signature, verbatim.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was signed: what stands behind the detail of a key-change.
    pub fn body(&self) -> &[u8] {
        self.bytes.split_last_chunk::<SIGNATURE_BYTES>().map_or(&[], |(body, _)| body)
    }

    /// SHA-256(PAE(label, card)): what the next card and a key-change entry refer to.
    pub fn digest(&self) -> Hash {
        sha256_pae(&[CARD_LABEL, self.body()])
    }

    /// The digits that two administrators read to each other.
    pub fn verification_code(&self) -> VerificationCode {
        VerificationCode::of_card(self.body())
    }
}

#[cfg(test)]
pub(crate) mod tests;
