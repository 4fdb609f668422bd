//! One member's node in this process: a real directory, real keys and stores, real listeners on loopback.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use eads_domain::clock::{Clock as _, ManualClock, SystemClock, Timestamp};
use eads_domain::code::Coded as _;
use eads_domain::entropy::{Entropy, SystemEntropy};
use eads_domain::id::MemberId;
use eads_domain::operator::{Role, Roles};
use eads_node::config::{Config, FILE_NAME};
use eads_node::identity::{Authority, AuthorityKind, Identity, KeyCost, Passphrase};
use eads_node::init::{InitOptions, init};
use eads_node::lifecycle::{self, LifecycleError, Running};
use eads_service::Node;
use eads_service::limits::Limits;
use eads_store::embedded::EmbeddedOptions;
use eads_store::keys::KeyTree;
use eads_store::vault::Vault;
use eads_store::{EmbeddedStore, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::operator::Operator;
use crate::ports;
use crate::wait::{PATIENCE, PAUSE};

/// Opens every node of every test.
pub const PASSPHRASE: &str = "five random words for tests";

/// What every clock shows at first, so that the members of a test agree to the second.
static START: LazyLock<Timestamp> = LazyLock::new(|| SystemClock.now());

/// One member's node, running or not.
pub struct Member {
    /// Whose.
    pub id: MemberId,
    /// Its clock, which stands still until a test moves it.
    pub clock: Arc<ManualClock>,
    /// Bounds for the next start.
    pub limits: Limits,
    /// Where it listens for peers.
    pub peers: SocketAddr,
    dir: PathBuf,
    operators: Mutex<BTreeMap<String, Operator>>,
    live: Option<Live>,
}

struct Live {
    node: Arc<Node>,
    stop: CancellationToken,
    served: JoinHandle<Result<(), LifecycleError>>,
}

/// Bounds that make a test quick.
pub fn quick() -> Limits {
    Limits {
        heartbeat: Duration::from_millis(200),
        stall: Duration::from_secs(5),
        connect: Duration::from_secs(2),
        search_deadline: Duration::from_secs(3),
        backoff: (Duration::from_millis(20), Duration::from_millis(200)),
        purge_gather: Duration::from_millis(1),
        expiry_interval: Duration::from_millis(50),
        sequencing_patience: Duration::from_secs(10),
        exchange_gap: Duration::from_millis(50),
        exchange_interval: Duration::from_secs(1),
        ..Limits::default()
    }
}

impl Member {
    /// Makes the directory of a new node below `home`; nothing runs yet.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn create(home: &Path, id: &str) -> Self {
        Self::create_at(home, id, ports::free(), None)
    }

    /// The same for a node that listens for peers at `peers`, and whose card says that it is reached at `endpoints`,
    /// if not there.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn create_at(home: &Path, id: &str, peers: SocketAddr, endpoints: Option<Vec<SocketAddr>>) -> Self {
        Self::create_as(home, id, peers, endpoints, "member")
    }

    /// The same with a standing in the federation.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn create_as(
        home: &Path,
        id: &str,
        peers: SocketAddr,
        endpoints: Option<Vec<SocketAddr>>,
        standing: &str,
    ) -> Self {
        let member: MemberId = id.parse().expect("a member");
        let clock = Arc::new(ManualClock::new(*START));
        let operators = ports::free();
        let endpoints = endpoints.unwrap_or_else(|| vec![peers]);
        let dir = home.join(id);
        let options = InitOptions {
            member,
            dir: dir.clone(),
            display_name: id.parse().expect("a name"),
            standing: standing.parse().expect("a standing"),
            peer_listen: peers,
            operator_listen: operators,
            endpoints: endpoints.iter().map(|at| at.to_string().parse().expect("an endpoint")).collect(),
            duty_contacts: Vec::new(),
            passphrase: passphrase(PASSPHRASE),
            cost: KeyCost::Tests,
        };
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        init(&options, &*clock, &entropy).expect("a new node");
        let file = dir.join(FILE_NAME);
        let config = std::fs::read_to_string(&file).expect("the configuration");
        // A node that is stopped must not wait for streams that its peers keep open.
        let config = config.replace("# drain_timeout_seconds = 10", "drain_timeout_seconds = 1");
        std::fs::write(&file, config).expect("the configuration");
        Self { id: member, clock, limits: quick(), peers, dir, operators: Mutex::default(), live: None }
    }

    /// Starts the node.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.try_start().await {
            // What an operator's call still holds when its node goes, goes with that call.
            let closing = error.code().as_str() == "STORE_LOCKED" && Instant::now() < deadline;
            assert!(closing, "the node of {} does not start: {error}", self.id);
            sleep(PAUSE).await;
        }
    }

    /// Starts the node, or says why it does not.
    ///
    /// # Errors
    /// [`LifecycleError`].
    pub async fn try_start(&mut self) -> Result<(), LifecycleError> {
        self.try_start_with(PASSPHRASE).await
    }

    /// Starts the node with another passphrase.
    ///
    /// # Errors
    /// [`LifecycleError`].
    ///
    /// # Panics
    /// When it runs already.
    pub async fn try_start_with(&mut self, secret: &str) -> Result<(), LifecycleError> {
        assert!(self.live.is_none(), "the node of {} runs already", self.id);
        let running = self.open(secret).await?;
        let (node, stop) = (running.node.clone(), CancellationToken::new());
        let served = tokio::spawn(running.run(stop.clone()));
        self.live = Some(Live { node, stop, served });
        Ok(())
    }

    /// Opens the directory as a starting node does, whether or not one runs on it.
    ///
    /// # Errors
    /// [`LifecycleError`].
    ///
    /// # Panics
    /// When there is no configuration.
    pub async fn open(&self, secret: &str) -> Result<Running, LifecycleError> {
        let config = Config::load(&self.dir.join(FILE_NAME)).expect("a configuration");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        // Boxed, or it makes every test's future large.
        let (clock, limits) = (self.clock.clone(), self.limits.clone());
        Box::pin(lifecycle::open(config, passphrase(secret), clock, entropy, limits)).await
    }

    /// The store and keys of a stopped node, as they lie on disk.
    ///
    /// # Panics
    /// When they cannot be opened.
    pub async fn vault(&self) -> Vault {
        assert!(self.live.is_none(), "the node of {} still runs", self.id);
        let deadline = Instant::now() + PATIENCE;
        let store = loop {
            match EmbeddedStore::open(&self.dir, EmbeddedOptions::default()) {
                Ok(store) => break store,
                // What a call still held when the node went goes with that call.
                Err(StoreError::Locked { .. }) if Instant::now() < deadline => sleep(PAUSE).await,
                Err(error) => panic!("the store of {}: {error}", self.id),
            }
        };
        let secret = passphrase(PASSPHRASE).for_key_tree().expect("a passphrase");
        let keys = KeyTree::open(&self.dir, &secret, Arc::new(SystemEntropy)).expect("the keys");
        Vault::new(Arc::new(store), Arc::new(keys))
    }

    /// Waits until nobody in this process holds the stopped node's directory: what a call still held goes with that call.
    ///
    /// # Panics
    /// When it stays held.
    pub async fn let_go(&self) {
        crate::wait::until("the directory is let go", || async { self.is_closed() }).await;
    }

    /// Stops the node and waits until everything of it is closed.
    ///
    /// # Panics
    /// When it does not end well, or something keeps it open.
    pub async fn stop(&mut self) {
        let Some(Live { node, stop, served }) = self.live.take() else { return };
        stop.cancel();
        served.await.expect("the node ends").expect("the node ends well");
        let last = Arc::downgrade(&node);
        drop(node);
        crate::wait::until("the stopped node is closed", || async { last.strong_count() == 0 && self.is_closed() })
            .await;
    }

    /// Whether nothing below the directory is locked any more; what a node held goes a moment after the node.
    fn is_closed(&self) -> bool {
        let is_free = |part: &&str| match File::options().write(true).open(self.dir.join(part).join("lock")) {
            Ok(file) => file.try_lock().is_ok(),
            Err(_) => true,
        };
        ["", "keys", "journal", "audit"].iter().all(is_free)
    }

    /// Stops and starts again.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Whether it runs.
    pub const fn is_running(&self) -> bool {
        self.live.is_some()
    }

    /// The node itself, for what no operator can see.
    ///
    /// # Panics
    /// When it does not run.
    pub fn node(&self) -> &Arc<Node> {
        &self.live.as_ref().unwrap_or_else(|| panic!("the node of {} does not run", self.id)).node
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Now, as this node sees it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The operator called `name`; every node has `admin-1`, `admin-2`, `issuer`, `approver`, `officer`, `auditor`.
    ///
    /// # Panics
    /// When there is no such profile.
    pub fn operator(&self, name: &str) -> Operator {
        let mut operators = self.operators.lock().expect("no panic while it was held");
        let profile = self.dir.join("profiles").join(name);
        operators.entry(name.to_owned()).or_insert_with(|| Operator::from_profile(&profile)).clone()
    }

    /// An operator of this member who turns to the node of `other`.
    ///
    /// # Panics
    /// When there is no such profile.
    pub fn operator_at(&self, name: &str, other: &Self) -> Operator {
        Operator::from_profile_at(&self.dir.join("profiles").join(name), &other.dir.join("profiles").join(name))
    }

    /// One more operator with these roles, as the setup of the running node would have made one.
    ///
    /// # Panics
    /// When the certificate cannot be issued.
    pub async fn hire(&self, name: &str, roles: &[&str]) -> Operator {
        let (operator, certificate) = self.certify(name, roles);
        assert_eq!(self.node().adopt_officers(&[certificate]).await.expect("an enrolment"), 1);
        operator
    }

    /// An operator with these roles and a certificate of the node's own authority, DER, which the node does not know.
    ///
    /// # Panics
    /// When the certificate cannot be issued.
    pub fn certify(&self, name: &str, roles: &[&str]) -> (Operator, Vec<u8>) {
        let roles: Roles = roles.iter().map(|role| role.parse::<Role>().expect("a role")).collect();
        let authority = Authority::open(&self.dir, AuthorityKind::Operators, self.id, &passphrase(PASSPHRASE));
        let authority = authority.expect("the operator authority");
        let issued =
            authority.issue_operator(&name.parse().expect("a name"), roles, self.now()).expect("a certificate");
        let (dir, model) = (self.dir.join("profiles").join(name), self.dir.join("profiles").join("issuer"));
        std::fs::create_dir(&dir).expect("a directory");
        for file in ["ca.crt", "profile.toml"] {
            std::fs::copy(model.join(file), dir.join(file)).expect("a file of the profile");
        }
        std::fs::write(dir.join("operator.crt"), &issued.certificate_pem).expect("a certificate");
        std::fs::write(dir.join("operator.key"), issued.key_pem.as_bytes()).expect("a key");
        (Operator::from_profile(&dir), issued.certificate_der().expect("a certificate"))
    }

    /// The keys and the card in the directory, as the node reads them at its start.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn identity(&self) -> Identity {
        Identity::load(&self.dir, &passphrase(PASSPHRASE)).expect("an identity")
    }
}

/// As a passphrase.
///
/// # Panics
/// When it is none.
pub fn passphrase(secret: &str) -> Passphrase {
    Passphrase::new(secret.as_bytes()).expect("a passphrase")
}
