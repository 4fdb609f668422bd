//! The operator listener: the node's own officers, under the node's own operator CA.

use std::net::SocketAddr;
use std::sync::Arc;

use eads_domain::clock::Clock;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use webpki::KeyUsage;

use super::identity::IdentitySource;
use super::limits::Limits;
use super::listen::{Gate, Listener};
use super::refusal::{RefusalReason, RefusalSink, Rejection};
use super::registry::{ConnectionId, Lease};
use super::settings::{TlsBase, TlsSettings};
use super::verify::{Judge, leaf, verify_path};

/// What the operator listener needs.
pub struct OperatorServer {
    /// The certificate and key that operators' programs see.
    pub identity: IdentitySource,
    /// The anchor of the node's operator CA.
    pub anchor: CertificateDer<'static>,
    /// By which certificates' validity is measured.
    pub clock: Arc<dyn Clock>,
    /// Where refusals are told; they never name a member.
    pub refusals: Arc<dyn RefusalSink>,
    /// The administrator's choices.
    pub settings: TlsSettings,
    /// Bounds.
    pub limits: Limits,
}

/// Request extension: the operator certificate that a request came under, issued by this node's operator CA,
/// valid, and its key proven. Who that is and which roles it has is read from it elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// The client certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// From where; for logs only.
    pub remote: SocketAddr,
    /// Which connection of this process.
    pub connection: ConnectionId,
}

/// Serves `routes` to operators on `listener` until `shutdown`, then lets requests in flight finish within
/// [`Limits::drain_timeout`] and returns. Each request carries an [`OperatorIdentity`].
pub async fn serve_operators(
    listener: TcpListener,
    server: OperatorServer,
    routes: Routes,
    shutdown: CancellationToken,
) {
    let base = TlsBase::new(server.settings, server.clock);
    let gate = OperatorGate { anchors: [server.anchor], algorithms: base.algorithms() };
    Listener::new(gate, base, server.identity, server.limits, server.refusals, routes, shutdown).run(listener).await;
}

#[derive(Debug)]
struct OperatorGate {
    anchors: [CertificateDer<'static>; 1],
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge for OperatorGate {
    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejection> {
        let [first, intermediates @ ..] = chain else {
            return Err(Rejection::anonymous(RefusalReason::NoClientCertificate));
        };
        let leaf = leaf(first).map_err(Rejection::anonymous)?;
        verify_path(&leaf, intermediates, &self.anchors, &self.algorithms, now, KeyUsage::client_auth())
            .map_err(Rejection::anonymous)
    }
}

impl Gate for OperatorGate {
    type Identity = OperatorIdentity;

    fn enter(
        &self,
        chain: &[CertificateDer<'_>],
        _now: UnixTime,
        remote: SocketAddr,
    ) -> Result<(OperatorIdentity, Lease), Rejection> {
        let leaf = chain.first().ok_or_else(|| Rejection::anonymous(RefusalReason::NoClientCertificate))?;
        let lease = Lease::unregistered();
        let identity = OperatorIdentity { certificate: leaf.clone().into_owned(), remote, connection: lease.id };
        Ok((identity, lease))
    }
}
