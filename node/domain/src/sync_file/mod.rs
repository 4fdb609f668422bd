//! Batches of a register as a file: sealed to one receiver, signed piece by piece by the origin.
//!
//! ```text
//! file    = header ‖ piece*, the last of which is marked
//! header  = "eads-sync/1\n" | origin[2] | receiver[2] | register[16] (of the origin) | u32 keyseq (of the origin)
//!           | receiver key[32] (Ed25519, from its card) | ephemeral[32] (X25519) | i64 created
//! piece   = u8 last (0 or 1) | u32 length | sealed (length bytes) | signature[64]
//! sealed  = AES-256-GCM-SIV(key, nonce, plaintext of at most 65,536 bytes, AAD = header)
//!   nonce = 000000 | u64 number of the piece from 0 | u8 last
//!   key   = HKDF-SHA-256(IKM = X25519(ephemeral secret, u), info = PAE("eads/v1/sync-file-key", header, u))
//!   u     = the Montgomery u-coordinate of the receiver key (RFC 7748, 4.1)
//! signature = Ed25519 over PAE("eads/v1/sync-file", header, u64 number, u8 last, SHA-256(sealed))
//! ```
//!
//! The plaintexts of the pieces, joined, are frames: `u8 type | u32 length | body`; a frame may span pieces.
//!
//! What this promises: nothing of a piece is handed out before its signature and seal were checked, so a reader may act
//! on each frame as it comes; a file that was cut, joined, reordered or altered is found out at the piece where that
//! was done; only the receiver can read it. What it does not: a later thief of the receiver's signing key can read old
//! files, and so could, one day, a quantum computer.

mod read;
mod write;

#[cfg(test)]
mod tests;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::encode::{Reader, pae, sha256};
use crate::id::{MemberId, RegisterId};

pub use read::{FileReader, Frame, SyncFileKey};
pub use write::FileWriter;

const MAGIC: &[u8; 12] = b"eads-sync/1\n";
const MAGIC_ANY_VERSION: &[u8] = b"eads-sync/";
const HEADER_BYTES: usize = 12 + 2 + 2 + 16 + 4 + 32 + 32 + 8;
/// The longest plaintext of a piece.
const PIECE_BYTES: usize = 64 * 1024;
const TAG_BYTES: usize = 16;
const SIGNATURE_BYTES: usize = 64;
/// The longest body of a frame: the largest message between nodes.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;
const FRAME_HEADER_BYTES: usize = 5;

/// Who wrote a file for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose register and deliveries it carries.
    pub origin: MemberId,
    /// Who can read it.
    pub receiver: MemberId,
    /// The origin's register.
    pub register: RegisterId,
    /// Which key of the origin signs it.
    pub keyseq: u32,
    /// The receiver's signing key to which it is sealed.
    pub receiver_key: [u8; 32],
    /// X25519 public key made for this file.
    ephemeral: [u8; 32],
    /// When it was written, by the origin's clock.
    pub created: Timestamp,
}

impl Header {
    fn to_bytes(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(self.origin.as_bytes());
        out.extend_from_slice(self.receiver.as_bytes());
        out.extend_from_slice(self.register.as_bytes());
        out.extend_from_slice(&self.keyseq.to_be_bytes());
        out.extend_from_slice(&self.receiver_key);
        out.extend_from_slice(&self.ephemeral);
        out.extend_from_slice(&self.created.as_unix().to_be_bytes());
        out
    }

    /// The header of a file that begins with `bytes`; none if more bytes are needed.
    ///
    /// # Errors
    /// [`SyncFileError`] for what is no such file, or one of another version.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, SyncFileError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) {
            let other_version = bytes.starts_with(MAGIC_ANY_VERSION);
            return Err(if other_version { SyncFileError::Version } else { SyncFileError::Malformed });
        }
        let Some(header) = bytes.get(MAGIC.len()..HEADER_BYTES) else { return Ok(None) };
        Self::fields(header).map(Some).ok_or(SyncFileError::Malformed)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            origin: MemberId::from_bytes(reader.array().ok()?).ok()?,
            receiver: MemberId::from_bytes(reader.array().ok()?).ok()?,
            register: RegisterId::from_bytes(reader.array().ok()?),
            keyseq: reader.u32().ok()?,
            receiver_key: reader.array().ok()?,
            ephemeral: reader.array().ok()?,
            created: Timestamp::from_unix(reader.i64().ok()?),
        })
    }
}

fn nonce(number: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(place) = nonce.get_mut(3..11) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    if let Some(place) = nonce.last_mut() {
        *place = last.into();
    }
    nonce
}

fn message(header: &[u8], number: u64, last: bool, sealed: &[u8]) -> Vec<u8> {
    let digest = sha256(sealed);
    pae(&[b"eads/v1/sync-file", header, &number.to_be_bytes(), &[last.into()], digest.as_bytes()])
}

fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8; 64]) -> Result<(), SyncFileError> {
    key.verify_strict(message, &Signature::from_bytes(signature)).map_err(|_| SyncFileError::Altered)
}

/// A file that is not taken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncFileError {
    /// Something else.
    #[error("this is no sync file")]
    Malformed,
    /// A later format.
    #[error("the sync file has a format that this version does not know; upgrade the node")]
    Version,
    /// For somebody else, or for a key that this node has no more.
    #[error("the sync file is sealed to another key than this node's")]
    OtherKey,
    /// A signature or seal does not hold.
    #[error("the sync file was altered: its signature or seal does not hold")]
    Altered,
    /// The end is missing.
    #[error("the sync file is cut off: its last part is missing; what came before was taken, so import it whole again")]
    Truncated,
    /// Something follows the end.
    #[error("the sync file goes on behind its end")]
    Trailing,
    /// A frame that no message can be.
    #[error("the sync file carries a part that is too long or of an unknown kind")]
    Frame,
}

impl Coded for SyncFileError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Malformed => "SYNC_FILE_MALFORMED",
            Self::Version => "SYNC_FILE_VERSION",
            Self::OtherKey => "SYNC_FILE_OTHER_KEY",
            Self::Altered => "SYNC_FILE_ALTERED",
            Self::Truncated => "SYNC_FILE_TRUNCATED",
            Self::Trailing => "SYNC_FILE_TRAILING",
            Self::Frame => "SYNC_FILE_FRAME",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
