//! The operator listener: the node's own officers, under the node's own operator CA.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use eads_domain::clock::Clock;
use eads_domain::operator::OperatorName;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use webpki::KeyUsage;

use super::identity::IdentitySource;
use super::limits::Limits;
use super::listen::{Gate, Listener};
use super::refusal::{CertificateProblem, RefusalReason, RefusalSink, Rejection};
use super::registry::{ConnectionId, Lease, OperatorRegistry};
use super::settings::{TlsBase, TlsSettings};
use super::verify::{Judge, leaf, verify_path};

/// What the operator listener needs.
pub struct OperatorServer {
    /// The certificate and key that operators' programs see.
    pub identity: IdentitySource,
    /// The anchor of the node's operator CA.
    pub anchor: CertificateDer<'static>,
    /// Who may connect, asked at each handshake.
    pub directory: Arc<dyn OperatorDirectory>,
    /// Where live connections are kept, so that an officer's can be cut.
    pub registry: OperatorRegistry,
    /// By which certificates' validity is measured.
    pub clock: Arc<dyn Clock>,
    /// Where refusals are told; they never name a member.
    pub refusals: Arc<dyn RefusalSink>,
    /// The administrator's choices.
    pub settings: TlsSettings,
    /// Bounds.
    pub limits: Limits,
}

/// Whose certificates of the operator CA open a connection. What a connection may then be used for is decided call by
/// call; this keeps out those who can never call anything.
pub trait OperatorDirectory: Send + Sync {
    /// The officer whom a certificate names; none where it names nobody, which each call will say.
    ///
    /// # Errors
    /// [`CertificateProblem::Revoked`].
    fn holder(&self, certificate: &[u8]) -> Result<Option<OperatorName>, CertificateProblem>;
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
    let gate = OperatorGate {
        anchors: [server.anchor],
        algorithms: base.algorithms(),
        directory: server.directory,
        registry: server.registry,
    };
    Listener::new(gate, base, server.identity, server.limits, server.refusals, routes, shutdown).run(listener).await;
}

struct OperatorGate {
    anchors: [CertificateDer<'static>; 1],
    algorithms: WebPkiSupportedAlgorithms,
    directory: Arc<dyn OperatorDirectory>,
    registry: OperatorRegistry,
}

impl fmt::Debug for OperatorGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorGate").finish_non_exhaustive()
    }
}

impl Judge for OperatorGate {
    fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejection> {
        let [first, intermediates @ ..] = chain else {
            return Err(Rejection::anonymous(RefusalReason::NoClientCertificate));
        };
        let leaf = leaf(first).map_err(Rejection::anonymous)?;
        verify_path(&leaf, intermediates, &self.anchors, &self.algorithms, now, KeyUsage::client_auth())
            .map_err(Rejection::anonymous)?;
        self.directory.holder(first).map(drop).map_err(Rejection::anonymous)
    }
}

#[async_trait]
impl Gate for OperatorGate {
    type Identity = OperatorIdentity;

    fn enter(
        &self,
        chain: &[CertificateDer<'_>],
        _now: UnixTime,
        remote: SocketAddr,
    ) -> Result<(OperatorIdentity, Lease), Rejection> {
        let leaf = chain.first().ok_or_else(|| Rejection::anonymous(RefusalReason::NoClientCertificate))?;
        let lease = match self.directory.holder(leaf).map_err(Rejection::anonymous)? {
            None => Lease::unregistered(),
            // How many connections there may be in all is bounded elsewhere.
            Some(name) => self
                .registry
                .enter(name, usize::MAX)
                .ok_or_else(|| Rejection::anonymous(RefusalReason::TooManyConnections))?,
        };
        // Asked again now that a cut would find this connection: who is revoked during the handshake stays out.
        self.directory.holder(leaf).map_err(Rejection::anonymous)?;
        let identity = OperatorIdentity { certificate: leaf.clone().into_owned(), remote, connection: lease.id };
        Ok((identity, lease))
    }
}
