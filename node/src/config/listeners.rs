//! `[peers]` and `[operators]`: where the node listens and how it is reached.

use std::net::SocketAddr;

use eads_domain::card::Endpoint;
use eads_edge::tls::TlsSettings;
use serde::Deserialize;

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
