//! `[peers]` and `[operators]`: where the node listens and how it is reached.

use std::net::SocketAddr;

use eads_domain::card::Endpoint;
use eads_edge::tls::TlsSettings;
use serde::Deserialize;

/// The longest validity of an officer's certificate that can be configured, days.
const LONGEST_DAYS: u32 = 366;

/// The listener for peers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeersConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// How peers reach it; empty for a node that only dials. The card carries these, so a change needs a new card.
    #[serde(default)]
    pub advertised: Vec<Advertised>,
    /// Accept X25519 alone where the other side cannot do X25519MLKEM768.
    #[serde(default)]
    pub allow_x25519: bool,
}

impl PeersConfig {
    /// For the listener and the connector.
    pub const fn tls(&self) -> TlsSettings {
        TlsSettings { allow_x25519: self.allow_x25519 }
    }
}

/// The listener for this node's own operators.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorsConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Accept X25519 alone, for programs that cannot do X25519MLKEM768.
    #[serde(default)]
    pub allow_x25519: bool,
    /// The longest validity of an officer's certificate, days, 1 to 366; 90 where nothing is asked for.
    #[serde(default = "a_year", deserialize_with = "days")]
    pub certificate_days_most: u32,
}

fn a_year() -> u32 {
    LONGEST_DAYS
}

fn days<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(from)?;
    if (1..=LONGEST_DAYS).contains(&days) {
        return Ok(days);
    }
    Err(serde::de::Error::custom(format!("certificate_days_most is 1 to {LONGEST_DAYS}")))
}

impl OperatorsConfig {
    /// For the listener.
    pub const fn tls(&self) -> TlsSettings {
        TlsSettings { allow_x25519: self.allow_x25519 }
    }
}

/// Figures over plain HTTP: on an address of the machine itself, or of a network that only its watchers reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address and port to listen on; none where no figures are served.
    pub listen: Option<SocketAddr>,
}

/// `host:port` in the one spelling that a card accepts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Advertised(pub Endpoint);

impl TryFrom<String> for Advertised {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("\"{text}\" is not an endpoint: write host:port in lower case, an IPv6 address in brackets")
        })
    }
}
