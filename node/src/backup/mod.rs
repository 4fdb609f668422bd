//! `eads-node backup` and `restore`: a node's own data in one sealed file, its key somewhere else.
//!
//! **Promises.** A backup is of one moment, written beside its final name, synced, read back to its end with the key
//! as it lies in the escrow, and only then given its name: what has the name can be restored. Every backup has a
//! fresh key of its own (its *generation*), sealed under a passphrase of the escrow's own. Keys older than 35 days
//! are overwritten and removed at each backup: from then on nobody reads those backups, so that what was purged here
//! is gone there too. A restore makes a new directory beside its name and renames it when it is whole; it never
//! writes into one that holds anything.
//!
//! **Not promised.** A medium that keeps old blocks, and whoever copied a key, may still have it. What peers sent is
//! in no backup: it is fetched again. What is in it and what is not: [`eads_service::backup`].

mod escrow;
mod files;
mod restore;
mod take;

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

pub use restore::{RestoreOptions, restore};
pub(crate) use take::backup;

/// Where the escrow's passphrase is looked for, if no file is named.
pub const ESCROW_VARIABLE: &str = "EADS_ESCROW_PASSPHRASE";

/// A passphrase on its way through the control socket. Never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// In hexadecimal digits: a passphrase need not be text.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        use std::fmt::Write as _;
        let mut digits = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }

    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let digits = self.0.as_bytes();
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digits.chunks(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
