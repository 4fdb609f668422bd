//! A node from its directory to a clean end: open everything, serve, follow the peers, drain.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use eads_domain::clock::Clock;
use eads_domain::code::{Code, Coded, Fault};
use eads_domain::entropy::Entropy;
use eads_domain::id::MemberId;
use eads_edge::link::{GrpcLink, LinkTimeouts, NodePeers};
use eads_edge::metrics::serve_metrics;
use eads_edge::server::{Listeners, serve};
use eads_edge::tls::{ConnectionRegistry, IdentityHandle, OperatorRegistry, PeerConnector};
use eads_service::audit::AuditLog;
use eads_service::limits::Limits;
use eads_service::{Node, NodeIdentity, Parts, ServiceError};
use eads_store::keys::KeyTree;
use eads_store::reserve::{FileSystem, FreeSpace as _};
use eads_store::vault::Vault;
use eads_store::{BlobStore, EmbeddedStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::control::{Control, Target};
use crate::identity::{Authority, AuthorityKind, Identity, OperatorAuthority, Passphrase, issued_here};
use crate::succession::{Expiry, Reload, settle};
use crate::upkeep::Upkeep;

const AUDIT: &str = "audit";

/// Why a node did not start, or ended.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct LifecycleError {
    code: Code,
    fault: Fault,
    text: String,
}

impl LifecycleError {
    pub(crate) fn new(error: &(impl Coded + ?Sized)) -> Self {
        Self { code: error.code(), fault: error.fault(), text: error.to_string() }
    }

    fn listen(address: std::net::SocketAddr, error: &std::io::Error) -> Self {
        Self {
            code: Code::new("LISTEN_FAILED"),
            fault: Fault::Caller,
            text: format!("cannot listen on {address}: {error}"),
        }
    }
}

impl Coded for LifecycleError {
    fn code(&self) -> Code {
        self.code
    }

    fn fault(&self) -> Fault {
        self.fault
    }
}

/// A node with its listeners, ready to serve.
pub struct Running {
    /// The node.
    pub node: Arc<Node>,
    /// Where peers connect.
    pub peers: std::net::SocketAddr,
    /// Where operators connect.
    pub operators: std::net::SocketAddr,
    listeners: Listeners,
    entropy: Arc<dyn Entropy>,
    target: Target,
    control: Option<Control>,
    upkeep: Upkeep,
    expiry: Expiry,
    metrics: Option<TcpListener>,
    /// Where figures are served, if they are.
    pub metrics_at: Option<std::net::SocketAddr>,
}

/// Opens the node of `config`. Slow on purpose where keys are decrypted; everything that blocks does so on
/// threads of its own.
///
/// # Errors
/// [`LifecycleError`] with the code of what failed; nothing is served then.
pub async fn open(
    config: Config,
    passphrase: Passphrase,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    limits: Limits,
) -> Result<Running, LifecycleError> {
    let limits = Limits { emergency_seconds: config.notices.emergency_seconds(limits.emergency_seconds), ..limits };
    let every = limits.expiry_interval.max(std::time::Duration::from_secs(1));
    let expiry = Expiry::new(passphrase.clone(), every);
    let Files { identity, authority, issued, blobs, mut target } =
        open_files(&config, passphrase, clock.clone(), entropy.clone()).await?;
    let directory = NodePeers::new();
    let registry = ConnectionRegistry::new();
    let operator_registry = OperatorRegistry::new();
    let peer_identity = IdentityHandle::new(identity.node);
    let operator_identity = IdentityHandle::new(identity.operators);
    let connector = PeerConnector::new(
        peer_identity.source(),
        directory.clone(),
        registry.clone(),
        clock.clone(),
        config.peers.tls(),
        config.limits.connect(),
    );
    let timeouts = LinkTimeouts::default();
    let link = Arc::new(GrpcLink::new(connector.clone(), directory.clone(), registry.clone(), timeouts));
    let parts = Parts {
        identity: NodeIdentity { card: identity.card, signing: identity.signing_key, cosigner: identity.cosigner_key },
        store: target.store.clone(),
        keys: target.keys.clone(),
        blobs: Arc::new(blobs),
        audit: target.audit.clone(),
        link: link.clone(),
        authority: Arc::new(authority),
        lines: Arc::new(operator_registry.clone()),
        clock,
        entropy: entropy.clone(),
        limits: Limits { officer_days_most: config.operators.certificate_days_most, ..limits },
    };
    let node = Node::open(parts).await.map_err(|error| LifecycleError::new(&error))?;
    node.adopt_officers(&issued).await.map_err(|error| LifecycleError::new(&error))?;
    target.node = Some(node.clone());
    directory.bind(&node);
    let metrics = match config.metrics.listen {
        Some(at) => Some(listen(at).await?),
        None => None,
    };
    let metrics_at = metrics.as_ref().and_then(|listener| listener.local_addr().ok());
    let peers = listen(config.peers.listen).await?;
    let operators = listen(config.operators.listen).await?;
    let (peer_address, operator_address) =
        (address(&peers, config.peers.listen), address(&operators, config.operators.listen));
    let listeners = Listeners {
        peers,
        peer_identity: peer_identity.source(),
        directory,
        registry,
        peer_limits: config.limits.listener(),
        lines: link,
        connector,
        operators,
        operator_identity: operator_identity.source(),
        operator_anchor: identity.operator_anchor,
        operator_registry,
        operator_limits: config.limits.listener(),
        settings: config.peers.tls(),
    };
    let upkeep = Upkeep::new(config.store.compact_above_bytes());
    let control = control(&config.dir);
    let reload = Arc::new(Reload::new(peer_identity, operator_identity));
    target.reload = Some(reload.clone());
    tokio::spawn(keep(reload, config.dir, Arc::downgrade(&node)));
    Ok(Running {
        node,
        peers: peer_address,
        operators: operator_address,
        listeners,
        entropy,
        target,
        control,
        upkeep,
        expiry,
        metrics,
        metrics_at,
    })
}

/// Opens the directory of `config` for maintenance while no node runs on it.
///
/// # Errors
/// [`LifecycleError`] with the code of what failed, `STORE_LOCKED` if a node runs on it.
pub async fn open_directory(
    config: &Config,
    passphrase: Passphrase,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Target, LifecycleError> {
    Ok(open_files(config, passphrase, clock, entropy).await?.target)
}

impl Running {
    /// Serves and follows the peers until `stop`, then drains.
    ///
    /// # Errors
    /// [`LifecycleError`] if the services cannot be put together.
    pub async fn run(self, stop: CancellationToken) -> Result<(), LifecycleError> {
        let workers = tokio::spawn(eads_service::sync::run(self.node.clone(), stop.clone()));
        let upkeep = tokio::spawn(self.upkeep.run(self.target.clone(), stop.clone()));
        if let Some(listener) = self.metrics {
            let dir = self.target.dir.clone();
            let free = Arc::new(move || FileSystem.free(&dir).ok());
            tokio::spawn(serve_metrics(listener, self.node.clone(), free, stop.clone()));
        }
        let expiry = tokio::spawn(self.expiry.run(self.target.clone(), stop.clone()));
        let control = self.control.map(|control| tokio::spawn(control.serve(self.target, stop.clone())));
        let served = serve(self.node, self.entropy, self.listeners, stop.clone()).await;
        stop.cancel();
        // A worker that panicked has said so in the log already.
        let _ = workers.await;
        if let Some(control) = control {
            let _ = control.await;
        }
        let _ = upkeep.await;
        let _ = expiry.await;
        served.map_err(|error| LifecycleError::new(&error))
    }
}

/// Local control, which listens before anybody can have seen the node serve. A node without it can do everything but be
/// maintained while it runs.
fn control(dir: &Path) -> Option<Control> {
    match Control::listen(dir) {
        Ok(control) => Some(control),
        Err(refusal) => {
            tracing::warn!(code = refusal.code, "no local control: {}", refusal.text);
            None
        }
    }
}

struct Files {
    identity: Identity,
    authority: OperatorAuthority,
    /// Officers' certificates that this machine issued.
    issued: Vec<Vec<u8>>,
    blobs: BlobStore,
    target: Target,
}

async fn open_files(
    config: &Config,
    passphrase: Passphrase,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Files, LifecycleError> {
    let opening = config.clone();
    let opened = tokio::task::spawn_blocking(move || open_blocking(&opening, &passphrase, clock, entropy));
    opened.await.map_err(|error| LifecycleError {
        code: Code::new("START_INTERRUPTED"),
        fault: Fault::Ourselves,
        text: format!("the start was interrupted: {error}"),
    })?
}

fn open_blocking(
    config: &Config,
    passphrase: &Passphrase,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Files, LifecycleError> {
    let dir = &config.dir;
    // The store first: it locks the directory, so that nothing below is opened by two nodes.
    let store = EmbeddedStore::open(dir, config.store.options()).map_err(|error| LifecycleError::new(&error))?;
    let for_keys = passphrase.for_key_tree().map_err(|error| LifecycleError::new(&error))?;
    let keys = KeyTree::open(dir, &for_keys, entropy.clone()).map_err(|error| LifecycleError::new(&error))?;
    let keys = Arc::new(keys);
    let store = Arc::new(store);
    // What a killed node left of a change of keys ends before anything is read of them.
    let vault = Vault::new(store.clone(), keys.clone());
    tokio::runtime::Handle::current().block_on(settle(dir, &vault))?;
    let identity = Identity::load(dir, passphrase).map_err(|error| LifecycleError::new(&error))?;
    keys.use_ballast(store.ballast().clone());
    let blobs = BlobStore::open(dir, keys.clone()).map_err(|error| LifecycleError::new(&error))?;
    let base = tokio::runtime::Handle::current().block_on(AuditLog::base(&*store));
    let audit = base
        .and_then(|base| AuditLog::open(&dir.join(AUDIT), base, keys.clone(), clock.clone()))
        .map_err(|error: ServiceError| LifecycleError::new(&error))?;
    check_member(config.member, &identity)?;
    let authority = Authority::open(dir, AuthorityKind::Operators, config.member, passphrase)
        .map_err(|error| LifecycleError::new(&error))?;
    let authority = OperatorAuthority::new(authority, clock.clone(), entropy.clone());
    let issued = issued_here(dir).map_err(|error| LifecycleError::new(&error))?;
    report(&store);
    let target = Target { dir: dir.clone(), store, keys, audit, clock, entropy, node: None, reload: None };
    Ok(Files { identity, authority, issued, blobs, target })
}

fn check_member(configured: MemberId, identity: &Identity) -> Result<(), LifecycleError> {
    let member = identity.card.card().member;
    if member == configured {
        return Ok(());
    }
    Err(LifecycleError {
        code: Code::new("CONFIG_OTHER_MEMBER"),
        fault: Fault::Caller,
        text: format!("the configuration is for {configured}, but the directory is the node of {member}"),
    })
}

fn report(store: &EmbeddedStore) {
    let report = store.report();
    if let Some(rebuilt) = &report.rebuilt {
        tracing::warn!(reason = ?rebuilt, "the view was built anew from the journal; nothing is lost");
    }
    if let Some(torn) = &report.recovered.torn {
        tracing::warn!(file = %torn.file.display(), offset = torn.offset, "an unfinished record was cut off");
    }
    tracing::info!(replayed = report.replayed, rows = report.rows, "store opened");
}

async fn listen(address: std::net::SocketAddr) -> Result<TcpListener, LifecycleError> {
    TcpListener::bind(address).await.map_err(|error| LifecycleError::listen(address, &error))
}

fn address(listener: &TcpListener, configured: std::net::SocketAddr) -> std::net::SocketAddr {
    listener.local_addr().unwrap_or(configured)
}

/// Takes replaced certificates at SIGHUP; a pair that does not match is refused and the old one kept. Enrols officers
/// whom this machine certified meanwhile.
async fn keep(reload: Arc<Reload>, dir: PathBuf, node: Weak<Node>) {
    let Ok(mut hangup) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        adopt(&dir, &node).await;
        let (dir, reload) = (dir.clone(), reload.clone());
        match tokio::task::spawn_blocking(move || reload.reload(&dir)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(code = %error.code(), "certificates were not reloaded: {error}"),
            Err(_) => tracing::error!("certificates were not reloaded"),
        }
    }
}

async fn adopt(dir: &Path, node: &Weak<Node>) {
    let Some(node) = node.upgrade() else { return };
    let adopted = match issued_here(dir) {
        Ok(issued) => node.adopt_officers(&issued).await.map_err(|error| LifecycleError::new(&error)),
        Err(error) => Err(LifecycleError::new(&error)),
    };
    match adopted {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "officers whom this machine certified are enrolled"),
        Err(error) => tracing::error!(code = %error.code(), "officers were not enrolled: {error}"),
    }
}
