//! The closed, canonical encodings under every hash and signature (PROTOCOL §1).

use sha2::{Digest as _, Sha256};

use crate::id::Hash;

/// Pre-authentication encoding as in PASETO: `LE64(n) ‖ (LE64(len pᵢ) ‖ pᵢ)*`.
///
/// No two different lists of parts have the same encoding.
pub fn pae(parts: &[&[u8]]) -> Vec<u8> {
    let total: usize = parts.iter().map(|part| part.len() + 8).sum();
    let mut out = Vec::with_capacity(total + 8);
    out.extend_from_slice(&(parts.len() as u64).to_le_bytes());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash::from_bytes(Sha256::digest(bytes).into())
}

/// SHA-256 of the pre-authentication encoding of `parts`, the first of which is a versioned label.
pub fn sha256_pae(parts: &[&[u8]]) -> Hash {
    sha256(&pae(parts))
}

/// HKDF-SHA-256 with an empty salt (RFC 5869), `N` bytes.
///
/// # Panics
/// Never for `N` ≤ 8160, the limit of RFC 5869.
#[allow(clippy::expect_used, reason = "every N used is far below the limit of RFC 5869")]
pub fn hkdf<const N: usize>(ikm: &[u8], info: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    hkdf::Hkdf::<Sha256>::new(None, ikm).expand(info, &mut out).expect("N is at most 255 hash lengths");
    out
}

/// Reads fixed-size, big-endian fields off a byte string; what it has not read is the rest.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

/// Fewer bytes than a field needs, or bytes left over at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misread {
    /// The bytes end inside a field.
    #[error("the bytes end inside a field")]
    Truncated,
    /// Bytes follow where none belong.
    #[error("bytes follow after the last field")]
    Trailing,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Misread::Truncated`] if there are fewer.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Misread> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Misread::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`Misread::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Misread> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Misread::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    /// An unsigned byte.
    ///
    /// # Errors
    /// [`Misread::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, Misread> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A big-endian `u16`.
    ///
    /// # Errors
    /// [`Misread::Truncated`] at the end.
    pub fn u16(&mut self) -> Result<u16, Misread> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian `u32`.
    ///
    /// # Errors
    /// [`Misread::Truncated`] at the end.
    pub fn u32(&mut self) -> Result<u32, Misread> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian `u64`.
    ///
    /// # Errors
    /// [`Misread::Truncated`] at the end.
    pub fn u64(&mut self) -> Result<u64, Misread> {
        self.array().map(u64::from_be_bytes)
    }

    /// A big-endian `i64`.
    ///
    /// # Errors
    /// [`Misread::Truncated`] at the end.
    pub fn i64(&mut self) -> Result<i64, Misread> {
        self.array().map(i64::from_be_bytes)
    }

    /// How many bytes have not been read.
    pub const fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Misread::Trailing`] if bytes are left.
    pub const fn finish(self) -> Result<(), Misread> {
        if self.0.is_empty() { Ok(()) } else { Err(Misread::Trailing) }
    }
}
