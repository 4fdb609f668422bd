//! The root: a key that opens the table, sealed under the passphrase, in a file of two records.
//!
//! ```text
//! body = magic[8] ‖ u8 version ‖ u8 kind ‖ u8 log2 N ‖ u8 r ‖ u8 p ‖ salt[32] ‖ tree[16] ‖ u64 generation
//!        ‖ nonce[12] ‖ sealed root key[48] ‖ zeros
//! sealed under scrypt(passphrase, salt; N, r, p), AAD = PAE("eads/v1/keys/root", body up to the generation)
//! ```
//!
//! At rest both records are the same. While they differ, the one of the higher generation is the truth. A record
//! whose checksum holds and whose seal does not open means a wrong passphrase: damage fails the checksum first.

use std::fmt;

use eads_domain::encode::{Misread, Reader, pae};
use eads_domain::entropy::Entropy;
use zeroize::Zeroizing;

use super::aead::{self, NONCE_BYTES, SecretKey, TAG_BYTES};
use super::disk::Disk;
use super::{KeyError, slots};

/// The name of the root file.
pub(super) const FILE: &str = "root";

const LABEL: &str = "eads/v1/keys/root";
const MAGIC: [u8; 8] = *b"eads-key";
const VERSION: u8 = 1;
const KIND_PASSPHRASE: u8 = 1;
const HEADER_BYTES: usize = 8 + 5 + 32 + 16 + 8;
const SEALED_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;

/// The identity of one key tree, in every seal's associated data: files of two trees never mix.
pub(super) type TreeId = [u8; 16];

/// A passphrase, or the content of a key file: any bytes but none. Wiped when dropped, never printed.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes as they are; a line end that does not belong to the passphrase is the caller's to remove.
    ///
    /// # Errors
    /// [`KeyError::PassphraseEmpty`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.is_empty() { Err(KeyError::PassphraseEmpty) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// The cost of deriving a key from a passphrase: scrypt (RFC 7914) with N = 2^`log_n`, block size `r`,
/// parallelism `p`. Memory is 128 · N · r bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    log_n: u8,
    r: u8,
    p: u8,
}

impl KdfCost {
    /// What nodes use: N = 2^15, r = 8, p = 1; 32 MiB and about a tenth of a second.
    pub const PRODUCTION: Self = Self { log_n: 15, r: 8, p: 1 };
    /// What tests and simulations use: next to nothing.
    pub const TESTS: Self = Self { log_n: 2, r: 8, p: 1 };

    /// A cost of one's own.
    ///
    /// # Errors
    /// [`KeyError::CostOutOfRange`] unless `log_n` is 1 to 20, `r` 1 to 32 and `p` 1 to 4: the figures also come
    /// from a file, and whoever can write that must not be able to make a start take days or all memory.
    pub const fn new(log_n: u8, r: u8, p: u8) -> Result<Self, KeyError> {
        if log_n >= 1 && log_n <= 20 && r >= 1 && r <= 32 && p >= 1 && p <= 4 {
            Ok(Self { log_n, r, p })
        } else {
            Err(KeyError::CostOutOfRange)
        }
    }

    /// `log_n`, `r`, `p`.
    pub(crate) const fn to_bytes(self) -> [u8; 3] {
        [self.log_n, self.r, self.p]
    }
}

/// The key that `passphrase` gives at this cost. Slow on purpose.
pub(crate) fn derive(passphrase: &Passphrase, cost: KdfCost, salt: [u8; 32]) -> Result<SecretKey, KeyError> {
    Ok(PassphraseKey::derive(passphrase, cost, salt)?.key)
}

/// The key that seals roots, with what is needed to derive it again.
pub(super) struct PassphraseKey {
    cost: KdfCost,
    salt: [u8; 32],
    key: SecretKey,
}

impl PassphraseKey {
    pub(super) fn derive(passphrase: &Passphrase, cost: KdfCost, salt: [u8; 32]) -> Result<Self, KeyError> {
        let params = scrypt::Params::new(cost.log_n, cost.r.into(), cost.p.into());
        let params = params.map_err(|_| KeyError::CostOutOfRange)?;
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(&passphrase.0, &salt, &params, key.as_mut()).map_err(|_| KeyError::CostOutOfRange)?;
        Ok(Self { cost, salt, key })
    }

    /// A whole record that holds `root` as the root key of `generation`.
    pub(super) fn record(
        &self,
        tree: &TreeId,
        generation: u64,
        root: &SecretKey,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyError> {
        let mut body = header(self.cost, &self.salt, tree, generation);
        let sealed = aead::seal(&self.key, &pae(&[LABEL.as_bytes(), &body]), root.as_ref(), entropy);
        body.extend_from_slice(&sealed.ok_or(KeyError::TooLarge)?);
        Ok(slots::encode(LABEL, &body))
    }
}

/// What the root file says before the passphrase is known.
pub(super) struct Root {
    /// The identity of the tree.
    pub(super) tree: TreeId,
    /// The generation that counts.
    pub(super) generation: u64,
    /// Which of the two records says so.
    pub(super) index: usize,
    /// Whether the other record is the same: if not, a change was interrupted, or the other one is damaged.
    pub(super) settled: bool,
    /// The record that counts, to be written again.
    pub(super) record: Vec<u8>,
    cost: KdfCost,
    salt: [u8; 32],
    sealed: [u8; SEALED_BYTES],
}

impl Root {
    /// Reads the root file and picks the newest valid record.
    pub(super) fn read(disk: &dyn Disk) -> Result<Self, KeyError> {
        let file = disk.read(FILE)?.ok_or_else(|| KeyError::Missing { path: disk.path(FILE) })?;
        let damaged = |what| KeyError::Damaged { file: disk.path(FILE), what };
        let [first, second] = slots::decode(LABEL, &file);
        let parse = |body: Option<&[u8]>, index| body.map(|body| Self::parse(disk, body, index)).transpose();
        Ok(match (parse(first, 0)?, parse(second, 1)?) {
            (Some(first), Some(second)) if first.generation == second.generation => {
                if first.record != second.record {
                    return Err(damaged("two different records of one generation"));
                }
                Self { settled: true, ..first }
            }
            (Some(first), Some(second)) if first.generation < second.generation => second,
            (Some(first), _) => first,
            (None, Some(second)) => second,
            (None, None) => return Err(damaged("neither of its two records is intact")),
        })
    }

    fn parse(disk: &dyn Disk, body: &[u8], index: usize) -> Result<Self, KeyError> {
        let malformed = |_| KeyError::Damaged { file: disk.path(FILE), what: "a record that was never written so" };
        let mut reader = Reader::new(body);
        if reader.array().map_err(malformed)? != MAGIC {
            return Err(malformed(Misread::Truncated));
        }
        if reader.u8().map_err(malformed)? != VERSION || reader.u8().map_err(malformed)? != KIND_PASSPHRASE {
            return Err(KeyError::Newer { file: disk.path(FILE) });
        }
        let [log_n, r, p] = reader.array().map_err(malformed)?;
        Ok(Self {
            cost: KdfCost::new(log_n, r, p).map_err(|_| malformed(Misread::Truncated))?,
            salt: reader.array().map_err(malformed)?,
            tree: reader.array().map_err(malformed)?,
            generation: reader.u64().map_err(malformed)?,
            sealed: reader.array().map_err(malformed)?,
            index,
            settled: false,
            record: slots::encode(LABEL, body),
        })
    }

    /// The root key, and the key that will seal the next ones.
    pub(super) fn unseal(&self, passphrase: &Passphrase) -> Result<(PassphraseKey, SecretKey), KeyError> {
        let kek = PassphraseKey::derive(passphrase, self.cost, self.salt)?;
        let header = header(self.cost, &self.salt, &self.tree, self.generation);
        let plaintext = aead::unseal(&kek.key, &pae(&[LABEL.as_bytes(), &header]), &self.sealed);
        let plaintext = plaintext.ok_or(KeyError::PassphraseWrong)?;
        let mut root = Zeroizing::new([0; 32]);
        if plaintext.len() != root.len() {
            return Err(KeyError::PassphraseWrong);
        }
        root.copy_from_slice(&plaintext);
        Ok((kek, root))
    }
}

fn header(cost: KdfCost, salt: &[u8; 32], tree: &TreeId, generation: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES + SEALED_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&[VERSION, KIND_PASSPHRASE, cost.log_n, cost.r, cost.p]);
    header.extend_from_slice(salt);
    header.extend_from_slice(tree);
    header.extend_from_slice(&generation.to_be_bytes());
    header
}
