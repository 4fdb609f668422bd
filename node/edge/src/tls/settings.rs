//! One set of TLS settings for both listeners and the connector: what is negotiated, and by which clock.

use std::sync::Arc;
use std::time::Duration;

use eads_domain::clock::Clock;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::UnixTime;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use super::identity::TlsIdentity;

/// HTTP/2, in which the side that dialled asks.
pub(super) const ALPN_H2: &[u8] = b"h2";
/// HTTP/2, in which the side that was dialled asks: for members that cannot be dialled.
pub(super) const ALPN_REVERSE: &[u8] = b"eads-reverse/1";

/// What an administrator may choose about TLS. There is deliberately little of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Accept a key exchange by X25519 alone where the other side cannot do X25519MLKEM768. The hybrid is
    /// preferred all the same. Without it, recorded traffic stays secret even from a later quantum computer.
    pub allow_x25519: bool,
}

/// Settings, clock and cryptography together: what a configuration is made from.
#[derive(Clone, Debug)]
pub(super) struct TlsBase {
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
}

impl TlsBase {
    pub(super) fn new(settings: TlsSettings, clock: Arc<dyn Clock>) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        // Set explicitly: the order of the library's default list is not a promise.
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768];
        if settings.allow_x25519 {
            provider.kx_groups.push(aws_lc_rs::kx_group::X25519);
        }
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        Self { provider: Arc::new(provider), clock }
    }

    pub(super) fn algorithms(&self) -> WebPkiSupportedAlgorithms {
        self.provider.signature_verification_algorithms
    }

    /// Now, as certificates' validity is measured. A clock before 1970 counts as 1970, when nothing is valid.
    pub(super) fn now(&self) -> UnixTime {
        unix_time(&*self.clock)
    }

    pub(super) fn server(
        &self,
        identity: &TlsIdentity,
        verifier: Arc<dyn ClientCertVerifier>,
        protocols: &[&[u8]],
    ) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_details(
            Arc::clone(&self.provider),
            Arc::new(ClockTime(Arc::clone(&self.clock))),
        )
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity.resolver());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    pub(super) fn client(
        &self,
        identity: &TlsIdentity,
        verifier: Arc<dyn ServerCertVerifier>,
        protocol: &[u8],
    ) -> Result<ClientConfig, rustls::Error> {
        let mut config = ClientConfig::builder_with_details(
            Arc::clone(&self.provider),
            Arc::new(ClockTime(Arc::clone(&self.clock))),
        )
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity.resolver());
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        // Names are not checked, so none is told to whoever watches the line.
        config.enable_sni = false;
        Ok(config)
    }
}

fn unix_time(clock: &dyn Clock) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(clock.now().as_unix()).unwrap_or(0)))
}

#[derive(Debug)]
struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(&*self.0))
    }
}
