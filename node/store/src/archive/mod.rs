//! An archive: records of a backup in one sealed file, written and read as a stream.
//!
//! **Promises.** Whoever has the file without its key learns its length and its header. Whoever has both reads
//! exactly what was written: a file that was cut, extended, reordered or changed anywhere is an error, never a
//! shorter archive. Memory is bounded by one record and one chunk. The hash at the end tells a damaged copy from a
//! whole one without any key.
//!
//! ```text
//! file   = "EADSARCH" ‖ u16 format=1 ‖ key id[16] ‖ u32 len ‖ header[len] ‖ chunk* ‖ SHA-256[32] of all before
//! chunk  = u8 last (0, 1) ‖ u32 len ‖ nonce[12] ‖ sealed(at most 64 KiB) ‖ tag[16]       AES-256-GCM-SIV
//! AAD    = PAE("eads/v1/archive", SHA-256(all before the first chunk), u64 number, u8 last)
//! record = u8 kind ‖ u32 len ‖ body[len]      one after the other in the chunks' plaintext, across their borders
//! key id = first 16 bytes of SHA-256(PAE("eads/v1/archive-key-id", key))
//! ```
//!
//! A key seals one archive and lies in a file of its own, sealed under a passphrase:
//!
//! ```text
//! key file = "EADSAKEY" ‖ u16 format=1 ‖ u8 log2 N ‖ u8 r ‖ u8 p ‖ salt[32] ‖ u32 len ‖ about[len]
//!            ‖ nonce[12] ‖ sealed(key[32]) ‖ tag[16]       under scrypt(passphrase, salt; N, r, p)
//! AAD      = PAE("eads/v1/archive-key", all before the nonce)
//! ```

mod error;
mod key;
mod read;
#[cfg(test)]
mod tests;
mod write;

use eads_domain::encode::pae;
use eads_domain::id::Hash;

pub use error::ArchiveError;
pub use key::{ArchiveKey, SealedKey};
pub use read::{ArchiveReader, Record};
pub use write::{ArchiveWriter, Written};

const MAGIC: &[u8; 8] = b"EADSARCH";
const FORMAT: u16 = 1;
const LABEL: &[u8] = b"eads/v1/archive";
/// Bytes of plaintext in a chunk.
const CHUNK: usize = 64 * 1024;
/// The longest header.
const MAX_HEADER: usize = 16 * 1024;
/// The longest body of a record.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

fn aad(head: &Hash, number: u64, last: u8) -> Vec<u8> {
    pae(&[LABEL, head.as_bytes(), &number.to_be_bytes(), &[last]])
}
