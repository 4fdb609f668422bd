//! Proof that a member told different things about one register (PROTOCOL §3).
//!
//! Only the accused's own signatures count: two checkpoints of one size with different roots, or two of different
//! sizes with a path that rebuilds the larger root but another smaller one. A missing proof, a time-out or a third
//! member's word never makes one.

use ed25519_dalek::VerifyingKey;

use super::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use super::note::MAX_NOTE_BYTES;
use super::proof::roots_after;
use crate::code::{Code, Coded, Fault};
use crate::encode::{Misread, Reader};
use crate::id::{Hash, MemberId, RegisterId};

const VERSION: u8 = 1;
/// A path has at most one node a level, and the first.
const MAX_PATH: usize = 65;

/// Something that proves nothing against anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EquivocationError {
    /// Not the encoding of a proof.
    #[error("the proof is cut off, has bytes after its end, or has a version that is not known")]
    Malformed,
    /// A checkpoint that the accused did not sign.
    #[error("a checkpoint of the proof is not the accused's: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Two checkpoints that agree, or a path that does not show that they do not.
    #[error("the two checkpoints are not shown to contradict each other")]
    NoContradiction,
}

impl Coded for EquivocationError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed => Code::new("EQUIVOCATION_MALFORMED"),
            Self::Checkpoint(error) => error.code(),
            Self::NoContradiction => Code::new("EQUIVOCATION_UNPROVEN"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl From<Misread> for EquivocationError {
    fn from(_: Misread) -> Self {
        Self::Malformed
    }
}

/// A portable accusation. It proves something once [`EquivocationProof::verify`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EquivocationProof {
    member: MemberId,
    register: RegisterId,
    smaller: Vec<u8>,
    larger: Vec<u8>,
    path: Vec<Hash>,
}

/// What a verified proof shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equivocation {
    /// The checkpoint that says the one thing, not larger than the other.
    pub smaller: Checkpoint,
    /// The checkpoint that says the other.
    pub larger: Checkpoint,
}

impl EquivocationProof {
    /// From two verified checkpoints, in any order, and for different sizes the
    /// [full path](super::Tree::full_consistency_path) of the tree behind the larger.
    ///
    /// # Errors
    /// [`EquivocationError::NoContradiction`].
    pub fn new(one: &SignedCheckpoint, other: &SignedCheckpoint, path: Vec<Hash>) -> Result<Self, EquivocationError> {
        let (smaller, larger) =
            if one.checkpoint().size <= other.checkpoint().size { (one, other) } else { (other, one) };
        check(smaller.checkpoint(), larger.checkpoint(), &path)?;
        let Checkpoint { member, register, .. } = *smaller.checkpoint();
        Ok(Self { member, register, smaller: smaller.bytes().to_vec(), larger: larger.bytes().to_vec(), path })
    }

    /// Who is accused.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// Which register it is about.
    pub const fn register(&self) -> RegisterId {
        self.register
    }

    /// The checkpoint that says the one thing, verbatim; not larger than the other.
    pub fn smaller(&self) -> &[u8] {
        &self.smaller
    }

    /// The checkpoint that says the other, verbatim.
    pub fn larger(&self) -> &[u8] {
        &self.larger
    }

    /// The path from the smaller size to the larger, its first node included; empty for two of one size.
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// Checks both signatures and the contradiction. `keys` are the signing keys that the accused has had, each
    /// taken from a verified card; each checkpoint must verify under one of them.
    ///
    /// # Errors
    /// [`EquivocationError::Checkpoint`], [`EquivocationError::NoContradiction`].
    pub fn verify(&self, keys: &[VerifyingKey]) -> Result<Equivocation, EquivocationError> {
        let smaller = *self.signed(&self.smaller, keys)?.checkpoint();
        let larger = *self.signed(&self.larger, keys)?.checkpoint();
        check(&smaller, &larger, &self.path)?;
        Ok(Equivocation { smaller, larger })
    }

    fn signed(&self, bytes: &[u8], keys: &[VerifyingKey]) -> Result<SignedCheckpoint, CheckpointError> {
        let mut outcome = Err(CheckpointError::Signature);
        for key in keys {
            outcome = SignedCheckpoint::verify(bytes, self.member, self.register, key);
            if !matches!(outcome, Err(CheckpointError::Signature)) {
                break;
            }
        }
        outcome
    }

    /// `u8 version | member[2] | register[16] | (u32 length ‖ checkpoint)×2 | u8 n ‖ hash[32]×n`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(self.member.as_bytes());
        out.extend_from_slice(self.register.as_bytes());
        for checkpoint in [&self.smaller, &self.larger] {
            out.extend_from_slice(&u32::try_from(checkpoint.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(checkpoint);
        }
        out.push(u8::try_from(self.path.len()).unwrap_or(u8::MAX));
        for node in &self.path {
            out.extend_from_slice(node.as_bytes());
        }
        out
    }

    /// Reads what [`EquivocationProof::to_bytes`] wrote. Verifies nothing.
    ///
    /// # Errors
    /// [`EquivocationError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EquivocationError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(EquivocationError::Malformed);
        }
        let member = MemberId::from_bytes(reader.array()?).map_err(|_| EquivocationError::Malformed)?;
        let register = RegisterId::from_bytes(reader.array()?);
        let smaller = checkpoint_bytes(&mut reader)?;
        let larger = checkpoint_bytes(&mut reader)?;
        let count = usize::from(reader.u8()?);
        if count > MAX_PATH {
            return Err(EquivocationError::Malformed);
        }
        let path = (0..count).map(|_| reader.array().map(Hash::from_bytes)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { member, register, smaller, larger, path })
    }
}

fn checkpoint_bytes(reader: &mut Reader<'_>) -> Result<Vec<u8>, EquivocationError> {
    let length = usize::try_from(reader.u32()?).map_err(|_| EquivocationError::Malformed)?;
    if length > MAX_NOTE_BYTES {
        return Err(EquivocationError::Malformed);
    }
    Ok(reader.take(length)?.to_vec())
}

fn check(smaller: &Checkpoint, larger: &Checkpoint, path: &[Hash]) -> Result<(), EquivocationError> {
    if (smaller.member, smaller.register) != (larger.member, larger.register) {
        return Err(EquivocationError::NoContradiction);
    }
    let contradicts = if smaller.size == larger.size {
        path.is_empty() && smaller.root != larger.root
    } else {
        smaller.size > 0 && smaller.size < larger.size && rebuilds_another(smaller, larger, path)
    };
    if contradicts { Ok(()) } else { Err(EquivocationError::NoContradiction) }
}

/// Rebuilding the larger root binds every node of the path, so the smaller root that comes with it is the true
/// one of the larger register.
fn rebuilds_another(smaller: &Checkpoint, larger: &Checkpoint, path: &[Hash]) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    roots_after(smaller.size, larger.size, *first, rest)
        .is_some_and(|(rebuilt, root)| root == larger.root && rebuilt != smaller.root)
}

#[cfg(test)]
mod tests;
