//! `[limits]`: bounds of the listeners and the connector.

use std::time::Duration;

use eads_edge::tls::{ConnectTimeouts, Limits};
use serde::Deserialize;

/// Bounds; each key that is left out has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Written")]
pub struct LimitsConfig(Limits);

impl LimitsConfig {
    /// For the listeners.
    pub const fn listener(&self) -> Limits {
        self.0
    }

    /// For the connector.
    pub const fn connect(&self) -> ConnectTimeouts {
        self.0.connect()
    }
}

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    handshake_timeout_seconds: u64,
    handshakes: usize,
    handshakes_per_address: usize,
    connections: usize,
    connections_per_member: usize,
    streams_per_connection: u32,
    keepalive_interval_seconds: u64,
    keepalive_timeout_seconds: u64,
    drain_timeout_seconds: u64,
}

impl Default for Written {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            handshake_timeout_seconds: limits.handshake_timeout.as_secs(),
            handshakes: limits.max_handshakes,
            handshakes_per_address: limits.max_handshakes_per_address,
            connections: limits.max_connections,
            connections_per_member: limits.max_connections_per_member,
            streams_per_connection: limits.max_streams_per_connection,
            keepalive_interval_seconds: limits.keepalive_interval.as_secs(),
            keepalive_timeout_seconds: limits.keepalive_timeout.as_secs(),
            drain_timeout_seconds: limits.drain_timeout.as_secs(),
        }
    }
}

impl TryFrom<Written> for LimitsConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        within("handshake_timeout_seconds", written.handshake_timeout_seconds, 1, 60)?;
        within("handshakes", written.handshakes as u64, 1, 10_000)?;
        within("handshakes_per_address", written.handshakes_per_address as u64, 1, 10_000)?;
        within("connections", written.connections as u64, 1, 100_000)?;
        within("connections_per_member", written.connections_per_member as u64, 1, 1_000)?;
        within("streams_per_connection", u64::from(written.streams_per_connection), 1, 10_000)?;
        within("keepalive_interval_seconds", written.keepalive_interval_seconds, 1, 3_600)?;
        within("keepalive_timeout_seconds", written.keepalive_timeout_seconds, 1, 600)?;
        within("drain_timeout_seconds", written.drain_timeout_seconds, 0, 600)?;
        Ok(Self(Limits {
            handshake_timeout: Duration::from_secs(written.handshake_timeout_seconds),
            max_handshakes: written.handshakes,
            max_handshakes_per_address: written.handshakes_per_address,
            max_connections: written.connections,
            max_connections_per_member: written.connections_per_member,
            max_streams_per_connection: written.streams_per_connection,
            keepalive_interval: Duration::from_secs(written.keepalive_interval_seconds),
            keepalive_timeout: Duration::from_secs(written.keepalive_timeout_seconds),
            drain_timeout: Duration::from_secs(written.drain_timeout_seconds),
            ..Limits::default()
        }))
    }
}

fn within(key: &str, value: u64, min: u64, max: u64) -> Result<(), String> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(format!("limits.{key} must be {min} to {max}, not {value}")) }
}
