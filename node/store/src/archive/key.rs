//! The key of one archive, and how it is sealed under a passphrase.

use std::fmt;

use eads_domain::encode::{Misread, Reader, pae, sha256_pae};
use eads_domain::entropy::{Entropy, random};
use zeroize::Zeroizing;

use super::error::ArchiveError;
use crate::keys::aead::{self, SecretKey, fresh_key};
use crate::keys::{KdfCost, Passphrase, derive};

const MAGIC: &[u8; 8] = b"EADSAKEY";
const FORMAT: u16 = 1;
const LABEL: &[u8] = b"eads/v1/archive-key";
/// The longest description of a key.
const MAX_ABOUT: usize = 4096;

/// 32 secret bytes that open one archive. Wiped when dropped, never printed.
pub struct ArchiveKey(SecretKey);

impl ArchiveKey {
    /// A fresh one.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self(fresh_key(entropy))
    }

    /// Names the key without saying anything of it.
    pub fn id(&self) -> [u8; 16] {
        let digest = sha256_pae(&[b"eads/v1/archive-key-id", self.0.as_ref()]);
        let mut id = [0; 16];
        id.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        id
    }

    pub(super) const fn secret(&self) -> &SecretKey {
        &self.0
    }

    /// The key file: this key under `passphrase`, with `about` in the clear and protected. Slow on purpose.
    ///
    /// # Errors
    /// [`ArchiveError::TooLong`] for an `about` above 4 KiB.
    pub fn seal(
        &self,
        passphrase: &Passphrase,
        cost: KdfCost,
        about: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, ArchiveError> {
        let too_long = || ArchiveError::TooLong { length: about.len() };
        let length = u32::try_from(about.len()).ok().filter(|_| about.len() <= MAX_ABOUT).ok_or_else(too_long)?;
        let salt: [u8; 32] = random(entropy);
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&cost.to_bytes());
        out.extend_from_slice(&salt);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(about);
        let kek = derive(passphrase, cost, salt)?;
        let sealed = aead::seal(&kek, &pae(&[LABEL, &out]), self.0.as_ref(), entropy).ok_or_else(too_long)?;
        out.extend_from_slice(&sealed);
        Ok(out)
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveKey(..)")
    }
}

/// A key file that was read and not yet opened.
#[derive(Debug)]
pub struct SealedKey {
    about: Vec<u8>,
    cost: KdfCost,
    salt: [u8; 32],
    head: Vec<u8>,
    sealed: Vec<u8>,
}

impl SealedKey {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`ArchiveError::Unknown`], [`ArchiveError::Newer`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let unknown = || ArchiveError::Unknown { expected: "the key of a backup" };
        let mut reader = Reader::new(bytes);
        if reader.array::<8>().ok().as_ref() != Some(MAGIC) {
            return Err(unknown());
        }
        let format = reader.u16().map_err(|_| unknown())?;
        if format != FORMAT {
            return Err(ArchiveError::Newer { format });
        }
        let mut read = || {
            let [log_n, r, p] = reader.array()?;
            let salt = reader.array()?;
            let length = usize::try_from(reader.u32()?).map_err(|_| Misread::Truncated)?;
            let about = reader.take(length)?.to_vec();
            let sealed = reader.take(reader.remaining())?.to_vec();
            Ok::<_, Misread>((log_n, r, p, salt, about, sealed))
        };
        let (log_n, r, p, salt, about, sealed) = read().map_err(|_| unknown())?;
        let cost = KdfCost::new(log_n, r, p)?;
        let head = bytes.get(..bytes.len() - sealed.len()).ok_or_else(unknown)?.to_vec();
        Ok(Self { about, cost, salt, head, sealed })
    }

    /// What was said of the key when it was sealed; true only if the key opens.
    pub fn about(&self) -> &[u8] {
        &self.about
    }

    /// The key. Slow on purpose.
    ///
    /// # Errors
    /// [`ArchiveError::PassphraseWrong`].
    pub fn open(&self, passphrase: &Passphrase) -> Result<ArchiveKey, ArchiveError> {
        let kek = derive(passphrase, self.cost, self.salt)?;
        let plain = aead::unseal(&kek, &pae(&[LABEL, &self.head]), &self.sealed);
        let plain = plain.filter(|plain| plain.len() == 32).ok_or(ArchiveError::PassphraseWrong)?;
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&plain);
        Ok(ArchiveKey(key))
    }
}
