//! Checkpoints: the signed size and root of a register (C2SP `tlog-checkpoint`), and cosignatures over them
//! (C2SP `tlog-cosignature`).
//!
//! A [`SignedCheckpoint`] that exists was signed by the key of the register's owner; its bytes are kept as they
//! came, with signature lines of others that nobody here vouches for. Extension lines are refused: no node writes
//! any, and what nobody here understands shall not be cosigned.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::note::{
    COSIGNATURE_V1, ED25519, MAX_NOTE_BYTES, MAX_SIGNATURES, Note, NoteSignature, key_id, signature_line,
};
use super::proof::verify_consistency;
use super::tree::empty_root;
use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::id::{Hash, MemberId, RegisterId};

/// A checkpoint that is not taken, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Above a bound.
    #[error("the checkpoint is larger than {MAX_NOTE_BYTES} bytes or has more than {MAX_SIGNATURES} signatures")]
    TooLarge,
    /// Not a checkpoint note in canonical form.
    #[error("not a checkpoint: origin, size, root, a blank line, signatures")]
    Malformed,
    /// Size 0 with a root other than that of the empty tree.
    #[error("the checkpoint has size 0 but not the root of an empty register")]
    EmptyRoot,
    /// Another member's, or another register of the same member.
    #[error("the checkpoint is of another register than the one that was asked for")]
    OtherRegister,
    /// No line by the owner's key, or one that does not verify.
    #[error("the checkpoint is not signed by the key of the register's owner")]
    Signature,
    /// A cosignature that does not verify, or has no time.
    #[error("the cosignature does not verify")]
    Cosignature,
    /// Smaller than what is held already.
    #[error("the checkpoint is smaller than the one that is held")]
    Shrunk,
    /// Not shown to contain what is held already.
    #[error("the checkpoint is not consistent with the one that is held")]
    Inconsistent,
}

impl Coded for CheckpointError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::TooLarge => "CHECKPOINT_TOO_LARGE",
            Self::Malformed => "CHECKPOINT_MALFORMED",
            Self::EmptyRoot => "CHECKPOINT_EMPTY_ROOT",
            Self::OtherRegister => "CHECKPOINT_OTHER_REGISTER",
            Self::Signature => "CHECKPOINT_SIGNATURE",
            Self::Cosignature => "COSIGNATURE_INVALID",
            Self::Shrunk => "CHECKPOINT_SHRUNK",
            Self::Inconsistent => "CHECKPOINT_INCONSISTENT",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Size and root of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The owner.
    pub member: MemberId,
    /// Which of its registers.
    pub register: RegisterId,
    /// Number of entries.
    pub size: u64,
    /// Merkle root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The origin line, which is the key name too: `<cc>.eads/register/<32 hex>`.
    pub fn origin(&self) -> String {
        origin(self.member, self.register)
    }

    /// Whether this checkpoint continues `older`, by a consistency proof from its size to this.
    ///
    /// # Errors
    /// [`CheckpointError::OtherRegister`], [`CheckpointError::Shrunk`], [`CheckpointError::Inconsistent`]. None of
    /// them proves a fork by itself: see [`EquivocationProof`](super::EquivocationProof).
    pub fn continues(&self, older: &Self, proof: &[Hash]) -> Result<(), CheckpointError> {
        if (self.member, self.register) != (older.member, older.register) {
            return Err(CheckpointError::OtherRegister);
        }
        if self.size < older.size {
            return Err(CheckpointError::Shrunk);
        }
        verify_consistency(older.size, older.root, self.size, self.root, proof)
            .map_err(|_| CheckpointError::Inconsistent)
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin(), self.size, STANDARD.encode(self.root.as_bytes()))
    }

    fn check(&self) -> Result<(), CheckpointError> {
        if self.size == 0 && self.root != empty_root() { Err(CheckpointError::EmptyRoot) } else { Ok(()) }
    }
}

fn origin(member: MemberId, register: RegisterId) -> String {
    format!("{}.eads/register/{register}", member.to_lowercase())
}

/// A checkpoint with its signatures, verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    bytes: Vec<u8>,
}

impl SignedCheckpoint {
    /// Signs a checkpoint with the owner's signing key.
    ///
    /// # Errors
    /// [`CheckpointError::EmptyRoot`].
    pub fn sign(checkpoint: Checkpoint, key: &SigningKey) -> Result<Self, CheckpointError> {
        checkpoint.check()?;
        let (text, name) = (checkpoint.text(), checkpoint.origin());
        let signature = key.sign(text.as_bytes()).to_bytes();
        let line = signature_line(&name, key_id(&name, ED25519, &key.verifying_key()), &signature);
        Ok(Self { checkpoint, bytes: format!("{text}\n{line}").into_bytes() })
    }

    /// Takes a checkpoint that is said to be of this member and register, signed by `key`. Signature lines of
    /// other keys are kept and ignored; a second line of the same key is refused.
    ///
    /// # Errors
    /// [`CheckpointError`], by what is wrong with it.
    pub fn verify(
        bytes: &[u8],
        member: MemberId,
        register: RegisterId,
        key: &VerifyingKey,
    ) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let mut lines = note.text.split('\n');
        let (Some(origin_line), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Malformed);
        };
        let name = origin(member, register);
        if origin_line != name {
            return Err(CheckpointError::OtherRegister);
        }
        let checkpoint = Checkpoint { member, register, size: decimal(size)?, root: digest(root)? };
        checkpoint.check()?;
        let line = note.by_key(&name, key_id(&name, ED25519, key))?.ok_or(CheckpointError::Signature)?;
        let signature = Signature::from_slice(&line.signature).map_err(|_| CheckpointError::Signature)?;
        key.verify_strict(note.text.as_bytes(), &signature).map_err(|_| CheckpointError::Signature)?;
        Ok(Self { checkpoint, bytes: bytes.to_vec() })
    }

    /// What is signed.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, verbatim.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Cosigns for `member` with its cosigner key: "I have seen this checkpoint at `at`, and it continues those
    /// that I saw before". The caller has checked that.
    ///
    /// # Errors
    /// [`CheckpointError::Cosignature`] for a moment before 1970.
    pub fn cosign(&self, member: MemberId, key: &SigningKey, at: Timestamp) -> Result<Cosignature, CheckpointError> {
        let seconds = u64::try_from(at.as_unix()).map_err(|_| CheckpointError::Cosignature)?;
        let name = cosigner(member);
        let signature = key.sign(&cosigned(seconds, &self.checkpoint.text())).to_bytes();
        let blob = [&seconds.to_be_bytes(), signature.as_slice()].concat();
        Ok(Cosignature(signature_line(&name, key_id(&name, COSIGNATURE_V1, &key.verifying_key()), &blob)))
    }

    /// This checkpoint with one more signature line; the line is not verified. A line that is there already is
    /// not repeated.
    ///
    /// # Errors
    /// [`CheckpointError::TooLarge`].
    pub fn with_cosignature(&self, cosignature: &Cosignature) -> Result<Self, CheckpointError> {
        let note = Note::parse(&self.bytes)?;
        let added = NoteSignature::parse(cosignature.0.trim_end_matches('\n'))?;
        if note.signatures.iter().any(|line| line.name == added.name && line.key_id == added.key_id) {
            return Ok(self.clone());
        }
        if note.signatures.len() >= MAX_SIGNATURES || self.bytes.len() + cosignature.0.len() > MAX_NOTE_BYTES {
            return Err(CheckpointError::TooLarge);
        }
        let bytes = [self.bytes.as_slice(), cosignature.0.as_bytes()].concat();
        Ok(Self { checkpoint: self.checkpoint, bytes })
    }

    /// This checkpoint with the owner's signature line and those of these cosigners only: what is kept of a note
    /// that others may have made as long as they liked.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] where a key has two lines.
    pub fn keeping(
        &self,
        owner: &VerifyingKey,
        cosigners: &[(MemberId, VerifyingKey)],
    ) -> Result<Self, CheckpointError> {
        let note = Note::parse(&self.bytes)?;
        let name = self.checkpoint.origin();
        let mut kept = vec![(key_id(&name, ED25519, owner), name)];
        for (member, key) in cosigners {
            let name = cosigner(*member);
            kept.push((key_id(&name, COSIGNATURE_V1, key), name));
        }
        let mut bytes = format!("{}\n", note.text);
        for (id, name) in kept {
            if let Some(line) = note.by_key(&name, id)? {
                bytes.push_str(&signature_line(line.name, line.key_id, &line.signature));
            }
        }
        Ok(Self { checkpoint: self.checkpoint, bytes: bytes.into_bytes() })
    }

    /// The key that verifies checkpoints of a register, as tools for signed notes take it (C2SP `signed-note`):
    /// `<name>+<key id in hexadecimal digits>+<base64 of algorithm byte and key>`.
    pub fn verifier_key(member: MemberId, register: RegisterId, key: &VerifyingKey) -> String {
        let name = origin(member, register);
        let id = u32::from_be_bytes(key_id(&name, ED25519, key));
        format!("{name}+{id:08x}+{}", STANDARD.encode([[ED25519].as_slice(), key.as_bytes()].concat()))
    }

    /// When `member` cosigned this checkpoint with `key`; `None` if it carries no such line.
    ///
    /// # Errors
    /// [`CheckpointError::Cosignature`] if there is a line that does not verify.
    pub fn verify_cosignature(
        &self,
        member: MemberId,
        key: &VerifyingKey,
    ) -> Result<Option<Timestamp>, CheckpointError> {
        let note = Note::parse(&self.bytes)?;
        let name = cosigner(member);
        let Some(line) = note.by_key(&name, key_id(&name, COSIGNATURE_V1, key))? else { return Ok(None) };
        let (seconds, signature) = line.signature.split_first_chunk::<8>().ok_or(CheckpointError::Cosignature)?;
        let seconds = u64::from_be_bytes(*seconds);
        let signature = Signature::from_slice(signature).map_err(|_| CheckpointError::Cosignature)?;
        key.verify_strict(&cosigned(seconds, note.text), &signature).map_err(|_| CheckpointError::Cosignature)?;
        let seconds = i64::try_from(seconds).map_err(|_| CheckpointError::Cosignature)?;
        Ok(Some(Timestamp::from_unix(seconds)))
    }
}

fn cosigner(member: MemberId) -> String {
    format!("{}.eads/cosigner", member.to_lowercase())
}

fn cosigned(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

/// Digits without leading zeros.
fn decimal(text: &str) -> Result<u64, CheckpointError> {
    let number: u64 = text.parse().map_err(|_| CheckpointError::Malformed)?;
    if number.to_string() == text { Ok(number) } else { Err(CheckpointError::Malformed) }
}

fn digest(text: &str) -> Result<Hash, CheckpointError> {
    let bytes = STANDARD.decode(text).map_err(|_| CheckpointError::Malformed)?;
    Hash::try_from(bytes.as_slice()).map_err(|_| CheckpointError::Malformed)
}

/// A cosignature as the line that stands under a checkpoint, with its newline. Well formed, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature(String);

impl Cosignature {
    /// The line with its newline.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cosignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cosignature {
    type Err = CheckpointError;

    /// The final newline may be missing.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        if line.len() > MAX_NOTE_BYTES || line.chars().any(char::is_control) {
            return Err(CheckpointError::Malformed);
        }
        NoteSignature::parse(line)?;
        Ok(Self(format!("{line}\n")))
    }
}

#[cfg(test)]
mod tests;
