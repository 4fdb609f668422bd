//! Statements: the signed register entries about notices (PROTOCOL §2).
//!
//! A [`Statement`] exists only if its signature is good: it is made by [`Statement::sign`] or by
//! [`Statement::verify`], and its bytes are kept as they were signed. Whether the signer was entitled (key
//! sequence, register, audience) and whether it is still valid is decided by those who hold the register.

mod detail;
mod error;
mod payload;

#[cfg(test)]
pub(crate) mod tests;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

pub use detail::{InvalidDetail, RetractDetail, anchor_digest, key_change_digest};
pub use error::StatementError;
pub use payload::{Action, Blind, Payload};

use crate::encode::{pae, sha256};
use crate::id::Hash;

const LABEL: &[u8] = b"eads/v1/statement";

/// A signed register entry whose signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    payload: Payload,
    payload_bytes: [u8; Payload::LEN],
    signature: [u8; 64],
    digest: Hash,
    leaf: Hash,
}

impl Statement {
    /// Signs `payload` with the origin's key of `payload.keyseq`.
    ///
    /// # Errors
    /// [`StatementError`] if no reader would accept the payload: an unknown schema, or a detail where the
    /// action has none (and the reverse).
    pub fn sign(payload: Payload, key: &SigningKey) -> Result<Self, StatementError> {
        payload.check()?;
        let payload_bytes = payload.to_bytes();
        let message = message(&payload_bytes);
        let signature = key.sign(&message).to_bytes();
        Ok(Self::from_parts(payload, payload_bytes, signature, &message))
    }

    /// The gate: bytes from anywhere become a statement only here.
    ///
    /// # Errors
    /// [`StatementError`] if the key is weak, the signature is not good under `verify_strict`, or the payload
    /// is not exactly one of version 1.
    pub fn verify(payload: &[u8], signature: &[u8], key: &VerifyingKey) -> Result<Self, StatementError> {
        if key.is_weak() {
            return Err(StatementError::WeakKey);
        }
        let payload_bytes: [u8; Payload::LEN] = payload.try_into().map_err(|_| StatementError::PayloadLength)?;
        let signature: [u8; 64] = signature.try_into().map_err(|_| StatementError::SignatureLength)?;
        let message = message(&payload_bytes);
        key.verify_strict(&message, &Signature::from_bytes(&signature)).map_err(|_| StatementError::Signature)?;
        let payload = Payload::parse(&payload_bytes)?;
        Ok(Self::from_parts(payload, payload_bytes, signature, &message))
    }

    fn from_parts(payload: Payload, payload_bytes: [u8; Payload::LEN], signature: [u8; 64], message: &[u8]) -> Self {
        let digest = sha256(message);
        Self { payload, payload_bytes, signature, digest, leaf: leaf(&digest) }
    }

    /// What it says.
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The bytes that were signed.
    pub const fn payload_bytes(&self) -> &[u8; Payload::LEN] {
        &self.payload_bytes
    }

    /// The Ed25519 signature.
    pub const fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// D = SHA-256(M).
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// The register's leaf hash, SHA-256(0x00 ‖ D). The signature is not in it.
    pub const fn leaf(&self) -> Hash {
        self.leaf
    }
}

/// The leaf hash of a statement digest, SHA-256(0x00 ‖ D) (RFC 6962 §2.1).
pub fn leaf(digest: &Hash) -> Hash {
    let mut data = [0; 33];
    data[1..].copy_from_slice(digest.as_bytes());
    sha256(&data)
}

/// M = PAE("eads/v1/statement", payload).
fn message(payload: &[u8; Payload::LEN]) -> Vec<u8> {
    pae(&[LABEL, payload])
}
