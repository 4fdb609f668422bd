//! To whom a statement is addressed, without telling anybody else (PROTOCOL §2).
//!
//! The signed root covers 16, 64 or 256 leaves in random order: one for each addressee, random ones between
//! them. An addressee gets its own salt, position and path and learns neither who else nor how many.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::code::{Code, Coded, Fault};
use crate::encode::{Misread, Reader, sha256_pae};
use crate::entropy::{Entropy, random};
use crate::id::{Hash, MemberId};

const LABEL: &[u8] = b"eads/v1/addressee";
const SIZES: [u16; 3] = [16, 64, 256];

/// The addressees of one statement, with what proves to each that it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    root: Hash,
    openings: BTreeMap<MemberId, AudienceOpening>,
}

impl Audience {
    /// The most members that a statement is addressed to.
    pub const MAX_MEMBERS: usize = 256;

    /// Addresses `members`, none twice; nobody is allowed.
    ///
    /// # Errors
    /// [`AudienceError::TooMany`] above [`Audience::MAX_MEMBERS`], [`AudienceError::Duplicate`].
    pub fn build(members: &[MemberId], entropy: &dyn Entropy) -> Result<Self, AudienceError> {
        let size = SIZES.into_iter().find(|size| members.len() <= usize::from(*size)).ok_or(AudienceError::TooMany)?;
        let positions = shuffled(size, entropy);
        let mut leaves: Vec<[u8; 32]> = positions.iter().map(|_| random(entropy)).collect();
        let mut own = BTreeMap::new();
        for (member, position) in members.iter().zip(positions) {
            let salt = random(entropy);
            if own.insert(*member, (salt, position)).is_some() {
                return Err(AudienceError::Duplicate(*member));
            }
            if let Some(leaf) = leaves.get_mut(usize::from(position)) {
                *leaf = *leaf_data(&salt, *member).as_bytes();
            }
        }
        let levels = levels(&leaves);
        let root = levels.last().and_then(|top| top.first()).copied().unwrap_or(Hash::from_bytes([0; 32]));
        let open = |(member, (salt, position))| {
            let path = path(&levels, position);
            (member, AudienceOpening { salt, position: position.into(), size: size.into(), path })
        };
        Ok(Self { root, openings: own.into_iter().map(open).collect() })
    }

    /// The payload's `audience`.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// What proves to `member` that it is addressed.
    pub fn opening(&self, member: MemberId) -> Option<&AudienceOpening> {
        self.openings.get(&member)
    }

    /// All addressees with their openings.
    pub fn openings(&self) -> impl Iterator<Item = (MemberId, &AudienceOpening)> {
        self.openings.iter().map(|(member, opening)| (*member, opening))
    }
}

/// Proves to one member that a statement is addressed to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceOpening {
    /// Its salt.
    pub salt: [u8; 32],
    /// Its leaf among `size`, counted from 0.
    pub position: u32,
    /// How many leaves there are: 16, 64 or 256.
    pub size: u32,
    /// RFC 6962 inclusion path from the leaf upwards.
    pub path: Vec<Hash>,
}

impl AudienceOpening {
    /// Checks that `root` addresses `member`.
    ///
    /// # Errors
    /// [`AudienceError::Shape`] for another size, position or path length, [`AudienceError::NotAddressed`] if
    /// the path does not lead from the member's leaf to the root.
    pub fn verify(&self, member: MemberId, root: &Hash) -> Result<(), AudienceError> {
        if depth(self.position, self.size) != Ok(self.path.len()) {
            return Err(AudienceError::Shape);
        }
        let mut position = self.position;
        let mut hash = leaf_hash(leaf_data(&self.salt, member).as_bytes());
        for sibling in &self.path {
            hash = if position & 1 == 0 { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) };
            position >>= 1;
        }
        if hash == *root { Ok(()) } else { Err(AudienceError::NotAddressed) }
    }

    /// One byte string, for keeping: salt (32 bytes) ‖ u32 position ‖ u32 size ‖ path (32 bytes each).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + 32 * self.path.len());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.position.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        for hash in &self.path {
            out.extend_from_slice(hash.as_bytes());
        }
        out
    }

    /// Reads what [`AudienceOpening::encode`] wrote.
    ///
    /// # Errors
    /// [`AudienceError::Shape`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, AudienceError> {
        let mut reader = Reader::new(bytes);
        let (salt, position, size) = (reader.array()?, reader.u32()?, reader.u32()?);
        let path =
            (0..depth(position, size)?).map(|_| reader.array().map(Hash::from_bytes)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { salt, position, size, path })
    }
}

/// The length of the path of leaf `position` among `size`.
fn depth(position: u32, size: u32) -> Result<usize, AudienceError> {
    let is_leaf = position < size && SIZES.iter().any(|each| u32::from(*each) == size);
    let depth = if is_leaf { size.checked_ilog2() } else { None };
    depth.and_then(|depth| usize::try_from(depth).ok()).ok_or(AudienceError::Shape)
}

/// SHA-256(PAE("eads/v1/addressee", salt, member)).
fn leaf_data(salt: &[u8; 32], member: MemberId) -> Hash {
    sha256_pae(&[LABEL, salt, member.as_bytes()])
}

/// RFC 6962 §2.1: SHA-256(0x00 ‖ data).
fn leaf_hash(data: &[u8; 32]) -> Hash {
    Hash::from_bytes(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// RFC 6962 §2.1: SHA-256(0x01 ‖ left ‖ right).
fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let hasher = Sha256::new().chain_update([1]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
    Hash::from_bytes(hasher.finalize().into())
}

/// All levels of the tree, leaf hashes first; the number of leaves is a power of two.
fn levels(leaves: &[[u8; 32]]) -> Vec<Vec<Hash>> {
    let mut levels = vec![leaves.iter().map(leaf_hash).collect::<Vec<_>>()];
    while let Some(below) = levels.last().filter(|level| level.len() > 1) {
        let (pairs, _) = below.as_chunks::<2>();
        let above = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        levels.push(above);
    }
    levels
}

/// The siblings of `position` from the leaf upwards.
fn path(levels: &[Vec<Hash>], position: u16) -> Vec<Hash> {
    let sibling = |(level, hashes): (usize, &Vec<Hash>)| hashes.get((usize::from(position) >> level) ^ 1).copied();
    levels.iter().enumerate().filter_map(sibling).collect()
}

/// The numbers below `size` in random order (Fisher–Yates), every order equally likely.
fn shuffled(size: u16, entropy: &dyn Entropy) -> Vec<u16> {
    let mut numbers: Vec<u16> = (0..size).collect();
    for bound in (2..=size).rev() {
        numbers.swap(usize::from(bound - 1), usize::from(below(bound, entropy)));
    }
    numbers
}

/// A number below `bound`, unbiased: draws beyond the last whole multiple are thrown away.
fn below(bound: u16, entropy: &dyn Entropy) -> u16 {
    let limit = u16::MAX - u16::MAX % bound;
    loop {
        let draw = u16::from_be_bytes(random(entropy));
        if draw < limit {
            return draw % bound;
        }
    }
}

/// Why an audience cannot be built, or does not address a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AudienceError {
    /// Above [`Audience::MAX_MEMBERS`].
    #[error("a statement is addressed to at most {} members", Audience::MAX_MEMBERS)]
    TooMany,
    /// A member is named twice.
    #[error("{0} is addressed twice")]
    Duplicate(MemberId),
    /// Another size, position or path length than there can be.
    #[error("an audience opening is malformed")]
    Shape,
    /// The statement is not addressed to the member.
    #[error("the statement is not addressed to this member")]
    NotAddressed,
}

impl From<Misread> for AudienceError {
    fn from(_: Misread) -> Self {
        Self::Shape
    }
}

impl Coded for AudienceError {
    fn code(&self) -> Code {
        match self {
            Self::TooMany => Code::new("AUDIENCE_TOO_MANY"),
            Self::Duplicate(_) => Code::new("AUDIENCE_MEMBER_TWICE"),
            Self::Shape => Code::new("AUDIENCE_MALFORMED"),
            Self::NotAddressed => Code::new("AUDIENCE_NOT_ADDRESSED"),
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::TooMany | Self::Duplicate(_) => Fault::Caller,
            Self::Shape | Self::NotAddressed => Fault::Peer,
        }
    }
}
