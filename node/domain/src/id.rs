//! Identifiers. A value that exists is well formed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::code::{Code, Coded, Fault};

/// An identifier that is not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Not a member id.
    #[error("a member id is two capital letters (ISO 3166-1 alpha-2, or XA to XZ for organisations)")]
    Member,
    /// Not so many bytes or hexadecimal digits.
    #[error("expected {expected} bytes as hexadecimal digits")]
    Length {
        /// The number of bytes that make up the identifier.
        expected: usize,
    },
}

impl Coded for InvalidId {
    fn code(&self) -> Code {
        match self {
            Self::Member => Code::new("MEMBER_ID_INVALID"),
            Self::Length { .. } => Code::new("IDENTIFIER_INVALID"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// A member state (ISO 3166-1 alpha-2) or an organisation (`XA`–`XZ`): two capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberId([u8; 2]);

impl MemberId {
    /// From its two bytes as they stand in signed payloads.
    ///
    /// # Errors
    /// [`InvalidId::Member`] unless both are capital ASCII letters.
    pub fn from_bytes(bytes: [u8; 2]) -> Result<Self, InvalidId> {
        if bytes.iter().all(u8::is_ascii_uppercase) { Ok(Self(bytes)) } else { Err(InvalidId::Member) }
    }

    /// The two bytes as they stand in signed payloads.
    pub const fn as_bytes(&self) -> &[u8; 2] {
        &self.0
    }

    /// In lower case, as in key names, host names and SPIFFE ids (`<cc>`).
    pub fn to_lowercase(self) -> String {
        self.to_string().to_ascii_lowercase()
    }

    /// The one URI SAN that a certificate of this member's node carries: `spiffe://<cc>.eads/node`.
    pub fn node_uri(self) -> String {
        format!("spiffe://{}.eads/node", self.to_lowercase())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MemberId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.as_bytes().try_into().map_err(|_| InvalidId::Member).and_then(Self::from_bytes)
    }
}

impl TryFrom<String> for MemberId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<MemberId> for String {
    fn from(member: MemberId) -> Self {
        member.to_string()
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $length]);

        impl $name {
            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// A fresh random one.
            pub fn random(entropy: &dyn crate::entropy::Entropy) -> Self {
                Self(crate::entropy::random(entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                bytes.try_into().map(Self).map_err(|_| InvalidId::Length { expected: $length })
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let bytes = hex::decode(text).map_err(|_| InvalidId::Length { expected: $length })?;
                Self::try_from(bytes.as_slice())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

byte_id!(
    /// A notice over all its versions: 16 random bytes.
    NoticeId,
    16
);
byte_id!(
    /// One register of a member: 16 random bytes chosen at genesis.
    RegisterId,
    16
);
byte_id!(
    /// A draft that has not been issued: 16 random bytes.
    DraftId,
    16
);
byte_id!(
    /// A challenge against a notice: 16 random bytes.
    ChallengeId,
    16
);
byte_id!(
    /// A file that a statement names, such as a photograph: 16 random bytes, fresh in each version.
    BlobId,
    16
);
byte_id!(
    /// One request end to end; both sides keep it in their audit: 16 random bytes.
    RequestId,
    16
);
byte_id!(
    /// A SHA-256 output.
    Hash,
    32
);
