//! The commented `node.toml` that `init` writes.

use std::net::SocketAddr;

use eads_domain::card::Endpoint;
use eads_domain::id::MemberId;

/// What differs from node to node.
pub(crate) struct Template<'a> {
    pub(crate) member: MemberId,
    pub(crate) peer_listen: SocketAddr,
    pub(crate) operator_listen: SocketAddr,
    pub(crate) endpoints: &'a [Endpoint],
}

impl Template<'_> {
    /// The text of the file. It parses, and means the defaults where it says nothing.
    pub(crate) fn render(&self) -> String {
        let Self { member, peer_listen, operator_listen, .. } = self;
        let advertised = self.endpoints.iter().map(|endpoint| format!("\"{endpoint}\"")).collect::<Vec<_>>().join(", ");
        format!(
            r#"# Configuration of the node of {member}. Paths are relative to this file; unknown keys are refused.
# Check a change with `eads-node check-config`; it takes effect when the node is restarted.

# Whose node this is: two capital letters, as on its card.
member = "{member}"
# The data directory: keys, journal, audit.
dir = "."

[peers]
# Where other members' nodes connect.
listen = "{peer_listen}"
# How they reach it: host:port, none if this node only dials. The card carries these; a change needs a new card.
advertised = [{advertised}]
# Accept peers that cannot do the post-quantum key exchange X25519MLKEM768. Their traffic can be recorded today
# and read by whoever has a quantum computer one day.
allow_x25519 = false

[operators]
# Where this node's own officers and administrators connect. Not an address that other members can reach.
listen = "{operator_listen}"
allow_x25519 = false
# The longest validity of an officer's certificate; without a wish it is 90 days.
# certificate_days_most = 366

[limits]
# All have sound defaults; remove the # to change one.
# handshake_timeout_seconds = 10
# handshakes = 64
# handshakes_per_address = 16
# connections = 256
# connections_per_member = 16
# streams_per_connection = 128
# keepalive_interval_seconds = 20
# keepalive_timeout_seconds = 30
# drain_timeout_seconds = 10

[notices]
# How long a notice that one officer issued in an emergency stays in force until a second officer has approved it.
# emergency_hours = 24

[store]
# Below this much free space only withdrawals, suspensions, purges and the like are still written.
# reserve_mib = 256
# The node compacts its store by itself, at most once an hour, when that gives back more than this and than what stays.
# compact_above_mib = 256

[metrics]
# Figures for Prometheus at http://ADDRESS/metrics, without encryption and without personal data: only on an address
# that nobody but the machine's watchers reaches. Nothing is served without it.
# listen = "127.0.0.1:9744"

[audit]
# What officers and peers asked stays readable for auditors for so many days; that they asked stays longer.
# query_days = 365
# Entries older than so many days are removed, in whole files of the log; 0 keeps them for ever.
# keep_days = 0

[log]
# "text" for people, "json" for collectors.
format = "text"
# off, error, warn, info, debug, or per part: "info,eads_edge=debug".
filter = "info"
"#
        )
    }
}
