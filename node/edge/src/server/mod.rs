//! Both listeners of a node, from the first connection to a clean end.
//!
//! Peers reach `PeerService` and nothing else. Operators reach all services of the operator interface, and gRPC
//! health and reflection. A node that cannot be dialled serves its peers over connections that it opens to them. Peers
//! whose standing or card changes lose their connections at once and come back under
//! the new terms; refused connections are written to the audit log.

mod refusals;

use std::collections::BTreeMap;
use std::sync::Arc;

use eads_domain::entropy::Entropy;
use eads_domain::id::{Hash, MemberId};
use eads_domain::operator::{Operator, OperatorName};
use eads_service::Node;
use eads_service::officers::OfficerRefusal;
use eads_service::peers::PeerState;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::grpc::{OperatorApi, PeerApi};
use crate::link::keep_reverse_lines;
use crate::tls::{
    CertificateDer, CertificateProblem, ConnectionRegistry, IdentitySource, Limits, OperatorDirectory,
    OperatorRegistry, OperatorServer, PeerConnector, PeerDirectory, PeerServer, ReverseLines, TlsSettings,
    serve_operators, serve_peers,
};
use refusals::RefusalLog;

/// Names the two listeners in the audit log.
const PEER_LISTENER: &str = "peer";
const OPERATOR_LISTENER: &str = "operator";

/// The listeners with everything that TLS needs.
pub struct Listeners {
    /// Where peers connect.
    pub peers: TcpListener,
    /// What peers see.
    pub peer_identity: IdentitySource,
    /// Who may connect; [`crate::link::NodePeers`] of the node.
    pub directory: Arc<dyn PeerDirectory>,
    /// Live connections with peers; the link's.
    pub registry: ConnectionRegistry,
    /// Bounds of the peer listener.
    pub peer_limits: Limits,
    /// Takes the connections that members open for this node's calls; the node's link.
    pub lines: Arc<dyn ReverseLines>,
    /// Opens such connections, where this node is the one that cannot be dialled.
    pub connector: PeerConnector,
    /// Where operators connect.
    pub operators: TcpListener,
    /// What operators see.
    pub operator_identity: IdentitySource,
    /// The anchor of the node's operator CA.
    pub operator_anchor: CertificateDer<'static>,
    /// Live connections of operators; those that the node cuts.
    pub operator_registry: OperatorRegistry,
    /// Bounds of the operator listener.
    pub operator_limits: Limits,
    /// The administrator's choices about TLS, for both.
    pub settings: TlsSettings,
}

/// The services could not be put together.
#[derive(Debug, thiserror::Error)]
#[error("the descriptors of the services cannot be read")]
pub struct ServeError(#[from] tonic_reflection::server::Error);

impl eads_domain::code::Coded for ServeError {
    fn code(&self) -> eads_domain::code::Code {
        eads_domain::code::Code::new("SERVICE_DESCRIPTORS_UNREADABLE")
    }

    fn fault(&self) -> eads_domain::code::Fault {
        eads_domain::code::Fault::Ourselves
    }
}

/// Serves `node` on both listeners until `shutdown`, lets what is in flight finish within the listeners' drain
/// timeouts, and returns.
///
/// # Errors
/// [`ServeError`] at once, or none.
pub async fn serve(
    node: Arc<Node>,
    entropy: Arc<dyn Entropy>,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (health, operator_routes) = operator_routes(OperatorApi::new(node.clone(), entropy.clone())).await?;
    let peer_routes = Routes::new(PeerApi::new(node.clone(), shutdown.clone()).into_server());
    let (peer_refusals, peer_log) = RefusalLog::new(node.clone(), entropy.clone(), PEER_LISTENER);
    let (operator_refusals, operator_log) = RefusalLog::new(node.clone(), entropy.clone(), OPERATOR_LISTENER);
    let Listeners { peers, operators, registry, connector, peer_limits, .. } = listeners;
    let stop = shutdown.clone();
    let reverse = keep_reverse_lines(node.clone(), entropy, connector, peer_routes.clone(), peer_limits, stop);
    let peer_server = PeerServer {
        identity: listeners.peer_identity,
        directory: listeners.directory,
        registry: registry.clone(),
        clock: node.clock().clone(),
        refusals: Arc::new(peer_refusals),
        settings: listeners.settings,
        limits: peer_limits,
        reverse: Some(listeners.lines),
    };
    let operator_server = OperatorServer {
        identity: listeners.operator_identity,
        anchor: listeners.operator_anchor,
        directory: Arc::new(NodeOperators(node.clone())),
        registry: listeners.operator_registry,
        clock: node.clock().clone(),
        refusals: Arc::new(operator_refusals),
        settings: listeners.settings,
        limits: listeners.operator_limits,
    };
    tokio::join!(
        serve_peers(peers, peer_server, peer_routes, shutdown.clone()),
        serve_operators(operators, operator_server, operator_routes, shutdown.clone()),
        cut_on_change(&node, &registry, &shutdown),
        stop_serving(health, &shutdown),
        reverse,
        // These end when the listeners have dropped their sinks.
        peer_log.run(),
        operator_log.run(),
    );
    Ok(())
}

/// The officers of a node.
struct NodeOperators(Arc<Node>);

impl OperatorDirectory for NodeOperators {
    fn holder(&self, certificate: &[u8]) -> Result<Option<OperatorName>, CertificateProblem> {
        let Ok(operator) = Operator::from_certificate(certificate) else { return Ok(None) };
        match self.0.officer_standing(&operator, certificate) {
            Err(OfficerRefusal::Revoked) => Err(CertificateProblem::Revoked),
            Ok(()) | Err(_) => Ok(Some(operator.name)),
        }
    }
}

async fn operator_routes(api: OperatorApi) -> Result<(HealthReporter, Routes), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in OperatorApi::SERVICES.iter().copied() {
        reporter.set_service_status(service, ServingStatus::Serving).await;
    }
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(eads_proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let mut routes = Routes::builder();
    api.add_to(&mut routes);
    routes.add_service(health);
    routes.add_service(reflection);
    Ok((reporter, routes.routes()))
}

/// Tells health checks that the node is stopping while it still answers what is in flight.
async fn stop_serving(health: HealthReporter, shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    for service in OperatorApi::SERVICES.iter().copied().chain([""]) {
        health.set_service_status(service, ServingStatus::NotServing).await;
    }
}

/// A connection keeps the terms under which it was accepted, so a change of them ends it.
async fn cut_on_change(node: &Node, registry: &ConnectionRegistry, shutdown: &CancellationToken) {
    let mut changed = node.peers().watch();
    let mut known = terms(node);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            change = changed.changed() => if change.is_err() { return },
        }
        let now = terms(node);
        for (member, before) in &known {
            let after = now.get(member);
            let is_recall = |terms: &(PeerState, Hash)| terms.0 == PeerState::RecallOnly;
            // Who is removed was cut with the removal; a second cut would only hit its return for recall.
            let removed = !is_recall(before) && after.is_some_and(is_recall);
            if after != Some(before) && !removed {
                registry.cut(*member);
            }
        }
        known = now;
    }
}

/// What a member's connections depend on: its state, and its card with the anchors. A candidate has none, so that
/// its acceptance cuts nothing.
fn terms(node: &Node) -> BTreeMap<MemberId, (PeerState, Hash)> {
    let peers = node.peers().all();
    let followed = peers.iter().filter(|peer| peer.is_followed());
    followed.map(|peer| (peer.member(), (peer.state, peer.card.digest()))).collect()
}
