//! What every command is given: the options that all share, the output, the clock, and the way to the node.

use std::path::Path;
use std::time::Duration;

use eads_domain::clock::{Clock, SystemClock, Timestamp};

use crate::error::CliError;
use crate::node::Node;
use crate::options::Global;
use crate::output::Output;
use crate::profile::Profile;

/// How long an ordinary call may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call that walks a whole register, audit log or list may take.
const DEFAULT_LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// Shared by all commands.
pub(crate) struct Context {
    /// Where results go.
    pub(crate) out: Output,
    global: Global,
    clock: Box<dyn Clock>,
}

impl Context {
    /// From the options that all commands share.
    pub(crate) fn new(global: Global) -> Self {
        Self { out: Output::new(global.output), global, clock: Box::new(SystemClock) }
    }

    /// Now, for ages and validity.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long an ordinary call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.global.timeout.map_or(DEFAULT_TIMEOUT, |seconds| Duration::from_secs(seconds.get()))
    }

    /// How long a call may take that walks everything.
    pub(crate) fn long_timeout(&self) -> Duration {
        self.global.timeout.map_or(DEFAULT_LONG_TIMEOUT, |seconds| Duration::from_secs(seconds.get()))
    }

    /// The profile that was asked for, or the one at the default place.
    pub(crate) fn profile(&self) -> Result<Profile, CliError> {
        Ok(Profile::load(self.global.profile.as_deref().map(Path::new))?)
    }

    /// A connection to the node of the profile.
    pub(crate) async fn node(&self) -> Result<Node, CliError> {
        self.node_of(&self.profile()?).await
    }

    /// A connection to the node of a profile that was read before.
    pub(crate) async fn node_of(&self, profile: &Profile) -> Result<Node, CliError> {
        Node::connect(profile, self.timeout(), self.long_timeout()).await
    }
}
