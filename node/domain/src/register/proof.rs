//! Checking proofs (RFC 9162, sections 2.1.3.2 and 2.1.4.2). A proof that is longer or shorter than the sizes
//! demand is no proof.

use super::tree::{empty_root, node_hash};
use crate::code::{Code, Coded, Fault};
use crate::id::Hash;

/// A proof that proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not shown to stand there.
    #[error("the inclusion proof does not lead from the entry to the checkpoint's root")]
    Inclusion,
    /// The smaller register is not shown to be a prefix of the larger.
    #[error("the consistency proof does not lead from the smaller checkpoint to the larger")]
    Consistency,
}

impl Coded for ProofError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Inclusion => "INCLUSION_PROOF_INVALID",
            Self::Consistency => "CONSISTENCY_PROOF_INVALID",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

/// Checks that the leaf with hash `leaf` stands at `index` in the tree of `size` leaves with root `root`.
///
/// # Errors
/// [`ProofError::Inclusion`].
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash], root: Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Inclusion);
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::Inclusion);
        }
        if position & 1 == 1 || position == last {
            hash = node_hash(sibling, &hash);
            climb_to_left_child(&mut position, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == root { Ok(()) } else { Err(ProofError::Inclusion) }
}

/// Checks that the tree of `from` leaves with root `from_root` is a prefix of that of `to` leaves with root
/// `to_root`.
///
/// # Errors
/// [`ProofError::Consistency`].
pub fn verify_consistency(
    from: u64,
    from_root: Hash,
    to: u64,
    to_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let sound = match from {
        0 => proof.is_empty() && from_root == empty_root() && (to > 0 || to_root == from_root),
        _ if from == to => proof.is_empty() && from_root == to_root,
        _ if from > to => false,
        _ if from.is_power_of_two() => roots_after(from, to, from_root, proof) == Some((from_root, to_root)),
        _ => match proof {
            [first, rest @ ..] => roots_after(from, to, *first, rest) == Some((from_root, to_root)),
            [] => false,
        },
    };
    if sound { Ok(()) } else { Err(ProofError::Consistency) }
}

/// The roots at sizes `from` and `to` that a path rebuilds, 0 < `from` < `to`, where `first` is the node that both
/// are built from. `None` if the path has another length than the sizes demand.
pub(super) fn roots_after(from: u64, to: u64, first: Hash, rest: &[Hash]) -> Option<(Hash, Hash)> {
    let (mut position, mut last) = (from.checked_sub(1)?, to.checked_sub(1)?);
    let shared = position.trailing_ones();
    position >>= shared;
    last >>= shared;
    let (mut smaller, mut larger) = (first, first);
    for sibling in rest {
        if last == 0 {
            return None;
        }
        if position & 1 == 1 || position == last {
            smaller = node_hash(sibling, &smaller);
            larger = node_hash(sibling, &larger);
            climb_to_left_child(&mut position, &mut last);
        } else {
            larger = node_hash(&larger, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((smaller, larger))
}

/// A node at the right edge of an incomplete tree has no sibling on some levels: they are skipped.
const fn climb_to_left_child(position: &mut u64, last: &mut u64) {
    while *position & 1 == 0 && *position != 0 {
        *position >>= 1;
        *last >>= 1;
    }
}
