//! AES-256-GCM-SIV (RFC 8452) with random 96-bit nonces: the one way in which this crate seals.

use aes_gcm_siv::aead::{Aead as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use eads_domain::entropy::{Entropy, random};
use zeroize::Zeroizing;

/// Bytes that sealing adds behind the nonce: the tag.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 12;

/// 32 secret bytes, wiped when dropped.
pub(crate) type SecretKey = Zeroizing<[u8; 32]>;

/// A fresh random key.
pub(crate) fn fresh_key(entropy: &dyn Entropy) -> SecretKey {
    let mut key = Zeroizing::new([0; 32]);
    entropy.fill(key.as_mut());
    key
}

/// `nonce ‖ ciphertext ‖ tag`, or `None` above 64 GiB of plaintext.
pub(crate) fn seal(key: &SecretKey, aad: &[u8], plaintext: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = random(entropy);
    let sealed =
        Aes256GcmSiv::new((&**key).into()).encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad }).ok()?;
    let mut out = Vec::with_capacity(NONCE_BYTES + sealed.len());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Some(out)
}

/// The plaintext of what [`seal`] gave, or `None` if key, associated data or bytes are not the ones of the sealing.
pub(crate) fn unseal(key: &SecretKey, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let plaintext = Aes256GcmSiv::new((&**key).into()).decrypt(&Nonce::from(*nonce), Payload { msg, aad }).ok()?;
    Some(Zeroizing::new(plaintext))
}
