//! Reading: bytes in as they come, frames out as soon as their pieces are proven.

use aes_gcm_siv::aead::{Aead as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::write::cipher;
use super::{
    FRAME_HEADER_BYTES, HEADER_BYTES, Header, MAX_FRAME_BYTES, PIECE_BYTES, SIGNATURE_BYTES, SyncFileError, TAG_BYTES,
    message, nonce, verify,
};

/// What opens files that are sealed to a node: made of its signing key, for this and nothing else.
pub struct SyncFileKey {
    scalar: Zeroizing<[u8; 32]>,
    public: VerifyingKey,
}

impl SyncFileKey {
    /// The X25519 key of the same secret (RFC 7748, 4.1; RFC 8032, 5.1.5).
    pub fn new(signing: &SigningKey) -> Self {
        Self { scalar: Zeroizing::new(signing.to_scalar_bytes()), public: signing.verifying_key() }
    }
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Its bytes.
    pub body: Zeroizing<Vec<u8>>,
}

/// Reads one file. Holds at most a frame and a piece.
pub struct FileReader {
    header: Vec<u8>,
    cipher: Aes256GcmSiv,
    origin: VerifyingKey,
    arrived: Vec<u8>,
    plain: Zeroizing<Vec<u8>>,
    number: u64,
    ended: bool,
}

impl FileReader {
    /// A file that begins with `bytes`, of which [`Header::parse`] gave `header`, by the holder of `origin`.
    ///
    /// # Errors
    /// [`SyncFileError::OtherKey`] when it is not sealed to `key`.
    pub fn new(header: &Header, bytes: &[u8], origin: VerifyingKey, key: &SyncFileKey) -> Result<Self, SyncFileError> {
        if header.receiver_key != *key.public.as_bytes() {
            return Err(SyncFileError::OtherKey);
        }
        let (written, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(SyncFileError::Malformed)?;
        let shared = Zeroizing::new(MontgomeryPoint(header.ephemeral).mul_clamped(*key.scalar).to_bytes());
        Ok(Self {
            cipher: cipher(&shared, written, &key.public)?,
            header: written.to_vec(),
            origin,
            arrived: rest.to_vec(),
            plain: Zeroizing::default(),
            number: 0,
            ended: false,
        })
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.arrived.extend_from_slice(bytes);
    }

    /// The next frame; none if more bytes are needed.
    ///
    /// # Errors
    /// [`SyncFileError`] at the first piece that does not hold.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, SyncFileError> {
        loop {
            if let Some(frame) = self.frame()? {
                return Ok(Some(frame));
            }
            if !self.open_piece()? {
                return Ok(None);
            }
        }
    }

    /// That the file has come to its end, and nothing is left over.
    ///
    /// # Errors
    /// [`SyncFileError::Truncated`].
    pub fn finish(self) -> Result<(), SyncFileError> {
        if self.ended && self.plain.is_empty() { Ok(()) } else { Err(SyncFileError::Truncated) }
    }

    fn frame(&mut self) -> Result<Option<Frame>, SyncFileError> {
        let Some(([kind, length @ ..], rest)) = self.plain.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_FRAME_BYTES {
            return Err(SyncFileError::Frame);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let frame = Frame { kind: *kind, body: Zeroizing::new(body.to_vec()) };
        self.plain.drain(..FRAME_HEADER_BYTES + length);
        Ok(Some(frame))
    }

    /// Proves and opens the next piece, if all of it has arrived.
    fn open_piece(&mut self) -> Result<bool, SyncFileError> {
        if self.ended {
            return if self.arrived.is_empty() { Ok(false) } else { Err(SyncFileError::Trailing) };
        }
        let Some(([last, length @ ..], rest)) = self.arrived.split_first_chunk::<5>() else { return Ok(false) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if *last > 1 || !(TAG_BYTES..=PIECE_BYTES + TAG_BYTES).contains(&length) {
            return Err(SyncFileError::Altered);
        }
        let Some((sealed, rest)) = rest.split_at_checked(length) else { return Ok(false) };
        let Some((signature, _)) = rest.split_first_chunk::<SIGNATURE_BYTES>() else { return Ok(false) };
        let last = *last == 1;
        verify(&self.origin, &message(&self.header, self.number, last, sealed), signature)?;
        let payload = Payload { msg: sealed, aad: &self.header };
        let opened = self.cipher.decrypt(&Nonce::from(nonce(self.number, last)), payload);
        let opened = Zeroizing::new(opened.map_err(|_| SyncFileError::Altered)?);
        self.plain.extend_from_slice(&opened);
        self.arrived.drain(..5 + length + SIGNATURE_BYTES);
        self.number += 1;
        self.ended = last;
        Ok(true)
    }
}
