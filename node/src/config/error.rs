//! A configuration that cannot be used.

use std::io;
use std::path::PathBuf;

use eads_domain::code::{Code, Coded, Fault};

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is not a configuration.
    #[error("{}: {text}", path.display())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong and, where known, on which line.
        text: String,
    },
}

impl Coded for ConfigError {
    fn code(&self) -> Code {
        match self {
            Self::Unreadable { .. } => Code::new("CONFIG_UNREADABLE"),
            Self::Invalid { .. } => Code::new("CONFIG_INVALID"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}
