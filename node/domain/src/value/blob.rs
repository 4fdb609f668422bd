//! References to files (photographs) that travel beside a notice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidValue;
use crate::code::{Code, Coded, Fault};
use crate::encode::Reader;
use crate::id::{BlobId, Hash};

/// A file named by a value: 53 bytes inside the encoding.
///
/// The id is random per version and is never derived from the content, so that it links nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// 16 random bytes, hexadecimal in JSON and TOML.
    #[serde(with = "hex_id")]
    pub id: [u8; 16],
    /// SHA-256 of the plaintext.
    pub sha256: Hash,
    /// Length of the plaintext in bytes.
    pub len: u32,
    /// What the file is.
    pub media: Media,
}

impl BlobRef {
    /// The longest file, in bytes.
    pub const MAX_LEN: u32 = 2 * 1024 * 1024;

    /// The id as a word of its own.
    pub const fn blob_id(&self) -> BlobId {
        BlobId::from_bytes(self.id)
    }

    pub(super) const ENCODED_LEN: usize = 16 + 32 + 4 + 1;

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id);
        out.extend_from_slice(self.sha256.as_bytes());
        out.extend_from_slice(&self.len.to_be_bytes());
        out.push(self.media.byte());
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InvalidValue> {
        let mut reader = Reader::new(bytes);
        let blob = Self {
            id: reader.array()?,
            sha256: Hash::from_bytes(reader.array()?),
            len: reader.u32()?,
            media: Media::try_from(reader.u8()?)?,
        };
        reader.finish()?;
        Ok(blob)
    }
}

mod hex_id {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(id: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(id))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut id = [0; 16];
        hex::decode_to_slice(text, &mut id).map_err(|_| D::Error::custom("expected 32 hexadecimal digits"))?;
        Ok(id)
    }
}

/// What a blob is. Closed: only what the node itself checks and re-encodes on import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Media {
    /// `image/jpeg`, byte 1.
    Jpeg,
    /// `image/png`, byte 2.
    Png,
}

impl Media {
    /// The byte of the encoding.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Jpeg => 1,
            Self::Png => 2,
        }
    }

    /// The IANA media type.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<u8> for Media {
    type Error = InvalidMedia;

    fn try_from(byte: u8) -> Result<Self, InvalidMedia> {
        [Self::Jpeg, Self::Png].into_iter().find(|media| media.byte() == byte).ok_or(InvalidMedia)
    }
}

impl FromStr for Media {
    type Err = InvalidMedia;

    fn from_str(text: &str) -> Result<Self, InvalidMedia> {
        [Self::Jpeg, Self::Png].into_iter().find(|media| media.as_str() == text).ok_or(InvalidMedia)
    }
}

impl TryFrom<String> for Media {
    type Error = InvalidMedia;

    fn try_from(text: String) -> Result<Self, InvalidMedia> {
        text.parse()
    }
}

impl From<Media> for String {
    fn from(media: Media) -> Self {
        media.as_str().to_owned()
    }
}

/// A media type that is not among [`Media`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob is neither image/jpeg nor image/png")]
pub struct InvalidMedia;

impl Coded for InvalidMedia {
    fn code(&self) -> Code {
        Code::new("BLOB_MEDIA_UNKNOWN")
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
