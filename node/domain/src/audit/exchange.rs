//! One exchange between two members as each of them wrote it down, told in digests only.
//!
//! Both sides know the request's random id. Whoever does not learns nothing from a digest, and nobody learns from it
//! what was asked.

use crate::code::{Code, Coded, Fault};
use crate::encode::sha256_pae;
use crate::id::{Hash, MemberId, RequestId};

const LABEL: &[u8] = b"eads/v1/audit-match";

/// How a question was answered, as both sides see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExchangeResult {
    /// With at least one hit.
    Hit,
    /// With none.
    NoHit,
    /// Not at all, with a reason.
    Refused,
}

impl ExchangeResult {
    /// The code in outputs and digests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::NoHit => "no-hit",
            Self::Refused => "refused",
        }
    }
}

/// A question of one member to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    /// The request, the same on both sides.
    pub request: RequestId,
    /// Who asked.
    pub asker: MemberId,
    /// Who answered.
    pub answerer: MemberId,
    /// How.
    pub result: ExchangeResult,
}

/// What one side tells the other of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExchangeDigest {
    /// That it was: the same whatever came of it.
    pub exchange: Hash,
    /// What came of it.
    pub result: Hash,
}

/// Bytes that are no digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of exchanges")]
pub struct InvalidDigests;

impl Coded for InvalidDigests {
    fn code(&self) -> Code {
        Code::new("AUDIT_DIGESTS_MALFORMED")
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl Exchange {
    /// `SHA-256(PAE("eads/v1/audit-match", request[16], "query", asker[2], answerer[2]))`, and the same with the result's
    /// code as one more part.
    pub fn digest(&self) -> ExchangeDigest {
        let parts = [LABEL, self.request.as_bytes(), b"query", self.asker.as_bytes(), self.answerer.as_bytes()];
        let with_result = [parts.as_slice(), &[self.result.as_str().as_bytes()]].concat();
        ExchangeDigest { exchange: sha256_pae(&parts), result: sha256_pae(&with_result) }
    }
}

impl ExchangeDigest {
    /// Bytes of one.
    pub const LEN: usize = 64;

    /// Both hashes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let both = self.exchange.as_bytes().iter().chain(self.result.as_bytes());
        out.iter_mut().zip(both).for_each(|(to, from)| *to = *from);
        out
    }

    /// Reads a list of them.
    ///
    /// # Errors
    /// [`InvalidDigests`] for another length.
    pub fn parse_all(bytes: &[u8]) -> Result<Vec<Self>, InvalidDigests> {
        let (chunks, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || chunks.len() % 2 != 0 {
            return Err(InvalidDigests);
        }
        let digest = |pair: &[[u8; 32]]| match pair {
            [exchange, result] => Ok(Self { exchange: Hash::from_bytes(*exchange), result: Hash::from_bytes(*result) }),
            _ => Err(InvalidDigests),
        };
        chunks.chunks_exact(2).map(digest).collect()
    }
}
