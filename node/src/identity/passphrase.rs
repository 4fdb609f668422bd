//! The passphrase that opens the node's keys, and where it comes from. It is never an argument of a command:
//! arguments are shown to every user of the machine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use eads_domain::code::{Code, Coded, Fault};
use eads_store::keys::{self, KeyError};
use zeroize::Zeroizing;

/// The environment variable that holds the passphrase where no file is named.
pub const PASSPHRASE_VARIABLE: &str = "EADS_PASSPHRASE";
/// Longer than any passphrase, short enough to notice a wrong file.
const MAX_BYTES: usize = 1024;
/// What a new passphrase has at least, in bytes: a stolen disk can be tried against without limit.
const MIN_NEW_BYTES: usize = 12;

/// No usable passphrase. No text carries any of it.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// Neither a file nor the variable.
    #[error("a passphrase is needed, from a file or an environment variable")]
    Missing,
    /// The file cannot be read.
    #[error("cannot read the passphrase file {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Empty, or too long to be one.
    #[error("a passphrase has 1 to {MAX_BYTES} bytes")]
    Length,
    /// Too short to protect new keys.
    #[error("the passphrase of a new node has at least {MIN_NEW_BYTES} bytes: five random words are a good one")]
    TooShort,
}

impl Coded for PassphraseError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Missing => "PASSPHRASE_MISSING",
            Self::Unreadable { .. } => "PASSPHRASE_UNREADABLE",
            Self::Length => "PASSPHRASE_LENGTH",
            Self::TooShort => "PASSPHRASE_TOO_SHORT",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// 1 to 1,024 bytes. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes without one line end after them, which editors add.
    ///
    /// # Errors
    /// [`PassphraseError::Length`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PassphraseError> {
        let mut bytes = Zeroizing::new(bytes.into());
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if (1..=MAX_BYTES).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(PassphraseError::Length) }
    }

    /// From `file` where one is named, else from the environment variable [`PASSPHRASE_VARIABLE`].
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn obtain(file: Option<&Path>) -> Result<Self, PassphraseError> {
        Self::obtain_from(file, PASSPHRASE_VARIABLE)
    }

    /// From `file` where one is named, else from the environment variable `variable`.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn obtain_from(file: Option<&Path>, variable: &str) -> Result<Self, PassphraseError> {
        match (file, std::env::var_os(variable)) {
            (Some(path), _) => {
                let unreadable = |source| PassphraseError::Unreadable { path: path.to_owned(), source };
                Self::new(std::fs::read(path).map_err(unreadable)?)
            }
            (None, Some(value)) => Self::new(value.into_encoded_bytes()),
            (None, None) => Err(PassphraseError::Missing),
        }
    }

    /// For the key tree of the store, which knows passphrases of its own.
    ///
    /// # Errors
    /// Those of [`keys::Passphrase::new`].
    pub fn for_key_tree(&self) -> Result<keys::Passphrase, KeyError> {
        keys::Passphrase::new(self.0.to_vec())
    }

    /// Whether it may protect new keys.
    pub(crate) fn check_new(&self) -> Result<(), PassphraseError> {
        if self.0.len() < MIN_NEW_BYTES { Err(PassphraseError::TooShort) } else { Ok(()) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
