//! The 186 bytes that a statement's signature covers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::StatementError;
use crate::clock::Timestamp;
use crate::encode::Reader;
use crate::entropy::{Entropy, random};
use crate::id::{Hash, MemberId, NoticeId, RegisterId};
use crate::slot::SCHEMA;

const VERSION: u8 = 1;
const NO_DETAIL: Hash = Hash::from_bytes([0; 32]);

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// 1: a notice begins.
    Issue,
    /// 2: a new version replaces the one before.
    Amend,
    /// 3: the notice is contested and must not be acted on.
    Suspend,
    /// 4: it may be acted on again.
    Resume,
    /// 5: the notice ends; every holder destroys it.
    Withdraw,
    /// 6: some holders must give up some or all slots of earlier statements.
    Retract,
    /// 7: the origin's next signing key takes over.
    KeyChange,
    /// 8: fixes an audit head or a blind table in the register.
    Anchor,
}

impl Action {
    /// All of them, in the order of their bytes.
    pub const ALL: [Self; 8] = [
        Self::Issue,
        Self::Amend,
        Self::Suspend,
        Self::Resume,
        Self::Withdraw,
        Self::Retract,
        Self::KeyChange,
        Self::Anchor,
    ];

    /// The byte in the payload, 1 to 8.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Issue => 1,
            Self::Amend => 2,
            Self::Suspend => 3,
            Self::Resume => 4,
            Self::Withdraw => 5,
            Self::Retract => 6,
            Self::KeyChange => 7,
            Self::Anchor => 8,
        }
    }

    /// The word for it in commands and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Amend => "amend",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Withdraw => "withdraw",
            Self::Retract => "retract",
            Self::KeyChange => "key-change",
            Self::Anchor => "anchor",
        }
    }

    /// Whether the statement commits to 48 slots of content (actions 1–5).
    pub const fn carries_content(self) -> bool {
        self.byte() <= Self::Withdraw.byte()
    }

    /// Whether the content describes the subject (issue, amend) or only the notice's state.
    pub const fn describes_subject(self) -> bool {
        matches!(self, Self::Issue | Self::Amend)
    }

    /// Whether it protects the people concerned, so that it is applied first and even from a frozen origin:
    /// suspend, withdraw, retract (PROTOCOL §3, §4).
    pub const fn is_protective(self) -> bool {
        matches!(self, Self::Suspend | Self::Withdraw | Self::Retract)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<u8> for Action {
    type Error = StatementError;

    fn try_from(byte: u8) -> Result<Self, StatementError> {
        Self::ALL.into_iter().find(|action| action.byte() == byte).ok_or(StatementError::Action(byte))
    }
}

impl FromStr for Action {
    type Err = StatementError;

    fn from_str(word: &str) -> Result<Self, StatementError> {
        Self::ALL.into_iter().find(|action| action.as_str() == word).ok_or(StatementError::ActionWord)
    }
}

/// 32 random bytes that keep a digest from being guessed when everything else about a statement is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blind([u8; 32]);

impl Blind {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A fresh one; each version has its own.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind(..)")
    }
}

/// What a statement says, as it stands in its 186 signed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What it does.
    pub action: Action,
    /// Whose register it stands in.
    pub origin: MemberId,
    /// Which register of that member.
    pub register: RegisterId,
    /// Which of that member's signing keys signed it.
    pub keyseq: u32,
    /// Hides the digest.
    pub blind: Blind,
    /// Which notice; random for actions that are about none.
    pub notice: NoticeId,
    /// Version of the slot table, 1 to [`SCHEMA`].
    pub schema: u16,
    /// When it was signed, by the origin's clock.
    pub issued: Timestamp,
    /// The last second at which the notice may be acted on.
    pub not_after: Timestamp,
    /// Root over the 48 commitments; random for actions without content.
    pub slots: Hash,
    /// Root over those to whom it is addressed.
    pub audience: Hash,
    /// Digest of what retract, key-change and anchor speak of; zero otherwise.
    pub detail: Hash,
}

/// Where `keyseq` stands in a payload.
const KEYSEQ_AT: usize = 20;

impl Payload {
    /// Length of the signed bytes.
    pub const LEN: usize = 186;

    /// The detail of actions that have none.
    pub const NO_DETAIL: Hash = NO_DETAIL;

    /// The signed bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let mut rest = out.as_mut_slice();
        let parts: [&[u8]; 13] = [
            &[VERSION],
            &[self.action.byte()],
            self.origin.as_bytes(),
            self.register.as_bytes(),
            &self.keyseq.to_be_bytes(),
            self.blind.as_bytes(),
            self.notice.as_bytes(),
            &self.schema.to_be_bytes(),
            &self.issued.as_unix().to_be_bytes(),
            &self.not_after.as_unix().to_be_bytes(),
            self.slots.as_bytes(),
            self.audience.as_bytes(),
            self.detail.as_bytes(),
        ];
        for part in parts {
            // The parts are 186 bytes by their types, so that no part is ever cut short.
            let (head, tail) = rest.split_at_mut(part.len().min(rest.len()));
            head.copy_from_slice(part.get(..head.len()).unwrap_or_default());
            rest = tail;
        }
        out
    }

    /// Which key of its origin a payload names, read before anything of it is verified.
    pub(crate) fn keyseq_of(bytes: &[u8]) -> Option<u32> {
        bytes.get(KEYSEQ_AT..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Reads the 186 bytes; says nothing about a signature.
    ///
    /// # Errors
    /// [`StatementError`] for another length, version, schema or action, a malformed origin, or a detail that
    /// does not fit the action.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(StatementError::Version(version));
        }
        let payload = Self {
            action: Action::try_from(reader.u8()?)?,
            origin: MemberId::from_bytes(reader.array()?).map_err(|_| StatementError::Origin)?,
            register: RegisterId::from_bytes(reader.array()?),
            keyseq: reader.u32()?,
            blind: Blind::from_bytes(reader.array()?),
            notice: NoticeId::from_bytes(reader.array()?),
            schema: reader.u16()?,
            issued: Timestamp::from_unix(reader.i64()?),
            not_after: Timestamp::from_unix(reader.i64()?),
            slots: Hash::from_bytes(reader.array()?),
            audience: Hash::from_bytes(reader.array()?),
            detail: Hash::from_bytes(reader.array()?),
        };
        reader.finish()?;
        payload.check()?;
        Ok(payload)
    }

    /// Whether the notice may be acted on at `now` as far as its signed validity goes.
    pub fn is_expired_at(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    pub(super) fn check(&self) -> Result<(), StatementError> {
        // A later table only adds to an earlier one, so that earlier statements stay readable.
        if !(1..=SCHEMA).contains(&self.schema) {
            return Err(StatementError::Schema(self.schema));
        }
        let has_detail = self.detail != NO_DETAIL;
        if has_detail == self.action.carries_content() { Err(StatementError::Detail) } else { Ok(()) }
    }
}
