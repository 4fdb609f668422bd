//! Names of what is kept on file here: holds, access requests, marks.

use std::fmt;
use std::str::FromStr;

use eads_domain::entropy::{Entropy, random};

use crate::error::ServiceError;

/// Names a hold, an access request or a mark: 16 random bytes, 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId([u8; 16]);

impl CaseId {
    /// A fresh one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        Self(random(entropy))
    }

    /// From the key of its row.
    pub(crate) fn from_key(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self)
    }

    /// The key of its row.
    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for CaseId {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            ServiceError::invalid("CASE_ID_INVALID", "this is not 32 hexadecimal digits, as the list shows them")
        })
    }
}
