//! `node.toml`: what an administrator decides about this node before it runs.
//!
//! A configuration that exists is consistent: every section checks itself while it is read. Unknown keys are
//! refused, units stand in names, and relative paths are relative to the file.

mod audit;
mod error;
mod limits;
mod listeners;
mod log;
mod notices;
mod store;
mod template;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use eads_domain::id::MemberId;
use serde::Deserialize;

pub use audit::AuditConfig;
pub use error::ConfigError;
pub use limits::LimitsConfig;
pub use listeners::{Advertised, MetricsConfig, OperatorsConfig, PeersConfig};
pub use log::{LogConfig, LogFilter, LogFormat};
pub use notices::NoticesConfig;
pub use store::StoreConfig;

pub(crate) use template::Template;

/// The file's name in a data directory.
pub const FILE_NAME: &str = "node.toml";
/// Larger than any configuration.
const MAX_BYTES: usize = 256 * 1024;

/// Everything in `node.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose node it is; must be the member on the card in `dir`.
    pub member: MemberId,
    /// The data directory; relative to the file until [`Config::load`] has resolved it.
    #[serde(default = "here")]
    pub dir: PathBuf,
    /// The listener for peers, and how it is reached.
    pub peers: PeersConfig,
    /// The listener for this node's own operators.
    pub operators: OperatorsConfig,
    /// Bounds of both listeners.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// The life of own notices.
    #[serde(default)]
    pub notices: NoticesConfig,
    /// How the disk is used.
    #[serde(default)]
    pub store: StoreConfig,
    /// How long the audit log is kept.
    #[serde(default)]
    pub audit: AuditConfig,
    /// What is logged, and how.
    #[serde(default)]
    pub log: LogConfig,
    /// Figures for whoever watches over the machine.
    #[serde(default)]
    pub metrics: MetricsConfig,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`], with the line for what is wrong in the text.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let invalid = |text: String| ConfigError::Invalid { path: path.to_owned(), text };
        if text.len() > MAX_BYTES {
            return Err(invalid("the file is too large to be a configuration".to_owned()));
        }
        let mut config = Self::parse(&text).map_err(invalid)?;
        config.dir = path.parent().unwrap_or(Path::new("")).join(&config.dir);
        Ok(config)
    }

    /// Checks the text of a configuration; the error is for a person.
    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if config.peers.listen == config.operators.listen && config.peers.listen.port() != 0 {
            return Err("peers.listen and operators.listen must differ: the two are never one listener".to_owned());
        }
        Ok(config)
    }
}
