//! Writing: frames in, sealed and signed pieces out.

use aes_gcm_siv::aead::{Aead as _, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use curve25519_dalek::montgomery::MontgomeryPoint;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::{Header, PIECE_BYTES, SyncFileError, message, nonce};
use crate::card::Card;
use crate::clock::Timestamp;
use crate::encode::{hkdf, pae};
use crate::entropy::{Entropy, random};

/// Writes one file. Holds at most a frame and a piece.
pub struct FileWriter<'a> {
    header: Vec<u8>,
    cipher: Aes256GcmSiv,
    signing: &'a SigningKey,
    pending: Zeroizing<Vec<u8>>,
    number: u64,
    out: Vec<u8>,
}

impl<'a> FileWriter<'a> {
    /// A file of the member of `origin`, whose key `signing` is, for the member of `receiver`.
    ///
    /// # Errors
    /// [`SyncFileError::OtherKey`] when nothing can be sealed to the receiver's key.
    pub fn new(
        origin: &Card,
        signing: &'a SigningKey,
        receiver: &Card,
        created: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<Self, SyncFileError> {
        let secret = Zeroizing::new(random::<32>(entropy));
        let header = Header {
            origin: origin.member,
            receiver: receiver.member,
            register: origin.register,
            keyseq: origin.keyseq,
            receiver_key: *receiver.signing_key.as_bytes(),
            ephemeral: MontgomeryPoint::mul_base_clamped(*secret).to_bytes(),
            created,
        }
        .to_bytes();
        let there = receiver.signing_key.to_montgomery();
        let shared = Zeroizing::new(there.mul_clamped(*secret).to_bytes());
        let cipher = cipher(&shared, &header, &receiver.signing_key)?;
        Ok(Self { out: header.clone(), header, cipher, signing, pending: Zeroizing::default(), number: 0 })
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// [`SyncFileError::Frame`] for a body above [`super::MAX_FRAME_BYTES`].
    pub fn frame(&mut self, kind: u8, body: &[u8]) -> Result<(), SyncFileError> {
        let length = u32::try_from(body.len()).map_err(|_| SyncFileError::Frame)?;
        if body.len() > super::MAX_FRAME_BYTES {
            return Err(SyncFileError::Frame);
        }
        self.pending.push(kind);
        self.pending.extend_from_slice(&length.to_be_bytes());
        self.pending.extend_from_slice(body);
        // The last piece may be full, and is known to be the last only at the end.
        while self.pending.len() > PIECE_BYTES {
            let rest = self.pending.split_off(PIECE_BYTES);
            let piece = std::mem::replace(&mut self.pending, Zeroizing::new(rest));
            self.piece(&piece, false)?;
        }
        Ok(())
    }

    /// What can be written by now.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Ends the file. The rest of it.
    ///
    /// # Errors
    /// [`SyncFileError::Frame`] when the last piece cannot be sealed.
    pub fn finish(mut self) -> Result<Vec<u8>, SyncFileError> {
        let piece = std::mem::take(&mut self.pending);
        self.piece(&piece, true)?;
        Ok(self.out)
    }

    fn piece(&mut self, plaintext: &[u8], last: bool) -> Result<(), SyncFileError> {
        let payload = Payload { msg: plaintext, aad: &self.header };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce(self.number, last)), payload);
        let sealed = sealed.map_err(|_| SyncFileError::Frame)?;
        let length = u32::try_from(sealed.len()).map_err(|_| SyncFileError::Frame)?;
        let signature = self.signing.sign(&message(&self.header, self.number, last, &sealed));
        self.out.push(last.into());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(&sealed);
        self.out.extend_from_slice(&signature.to_bytes());
        self.number += 1;
        Ok(())
    }
}

/// The cipher of a file. A shared secret of zeros would be the same for everybody.
pub(super) fn cipher(
    shared: &Zeroizing<[u8; 32]>,
    header: &[u8],
    receiver: &VerifyingKey,
) -> Result<Aes256GcmSiv, SyncFileError> {
    if **shared == [0; 32] {
        return Err(SyncFileError::OtherKey);
    }
    let info = pae(&[b"eads/v1/sync-file-key", header, &receiver.to_montgomery().to_bytes()]);
    let key = Zeroizing::new(hkdf::<32>(&**shared, &info));
    Ok(Aes256GcmSiv::new((&*key).into()))
}
