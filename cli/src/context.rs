//! What every command is given: the options that all share, the output, the clock, and the way to the node.

use std::path::Path;
use std::time::Duration;

use eads_domain::clock::{Clock, SystemClock, Timestamp};
use eads_domain::operator::Operator;

use crate::error::CliError;
use crate::node::Node;
use crate::options::Global;
use crate::output::{Output, moment};
use crate::profile::Profile;

/// How long an ordinary call may take.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a call that walks a whole register, audit log or list may take.
const DEFAULT_LONG_TIMEOUT: Duration = Duration::from_secs(600);

/// How long before the end of the own certificate every call says so, seconds.
const EXPIRY_REMARK: i64 = 14 * 86_400;

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
        self.warn_of_expiry(profile);
        Node::connect(profile, self.timeout(), self.long_timeout()).await
    }

    /// A certificate that ends soon is renewed by its holder, who has to know.
    fn warn_of_expiry(&self, profile: &Profile) {
        let Ok(operator) = Operator::from_certificate(&profile.certificate_der) else { return };
        let left = operator.not_after.seconds_since(self.now());
        if left < EXPIRY_REMARK {
            let verb = if left < 0 { "ended" } else { "ends" };
            let end = moment(operator.not_after.as_unix());
            self.out.note(&format!("Your certificate {verb} on {end}. Renew it while it is valid: eads officer renew"));
        }
    }
}
