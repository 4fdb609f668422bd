//! A whole federation on the loopback interface of one machine: one process, directory, store, set of keys and
//! authorities for each member.
//!
//! Nothing here knows what happens inside a node: every act is a run of the operators' command against the node of
//! that operator, over mutual TLS. Processes end with their owner: they watch their standard input, and are killed
//! when the [`Federation`] is dropped.
//!
//! For demonstrations and tests only: keys are sealed at next to no cost, under a passphrase that lies beside them.

mod error;
mod member;
mod operator;
mod peering;
mod ports;
mod waiting;

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eads_domain::card::{CardError, Standing};
use eads_domain::clock::SystemClock;
use eads_domain::entropy::{Entropy, SystemEntropy, random};
use eads_domain::id::MemberId;
use eads_node::identity::{KeyCost, Passphrase};
use eads_node::init::{InitOptions, init};

pub use error::FederationError;
pub use member::MemberNode;
pub use operator::{Operator, Ran};
pub use peering::{Ceremony, Terms};
pub use waiting::{Waiting, until};

use member::write_private;
use ports::HeldPort;

/// How long all nodes together may take to end when the federation is dropped, before they are killed.
const GRACE: Duration = Duration::from_secs(3);

/// The two programs of a federation: the operators' command, and the node with its first arguments.
#[derive(Clone, Debug)]
pub struct Programs {
    pub(in crate::demo) cli: PathBuf,
    pub(in crate::demo) node: (PathBuf, Vec<OsString>),
}

impl Programs {
    /// `cli` is an `eads`, `node` an `eads-node`.
    pub fn new(cli: impl Into<PathBuf>, node: impl Into<PathBuf>) -> Self {
        Self { cli: cli.into(), node: (node.into(), Vec::new()) }
    }

    /// The running program as both: it must be an `eads`, which is a node too when its first argument is
    /// [`crate::demo::NODE_ARGUMENT`].
    ///
    /// # Errors
    /// [`FederationError::Machine`] if the system does not say where the program lies.
    pub fn current() -> Result<Self, FederationError> {
        let this = std::env::current_exe()
            .map_err(|cause| FederationError::machine("cannot find the running program", cause))?;
        Ok(Self { cli: this.clone(), node: (this, vec![crate::demo::NODE_ARGUMENT.into()]) })
    }
}

/// A member that is to take part.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Which.
    pub member: MemberId,
    /// What people call it.
    pub name: String,
}

/// The nodes of a federation, in the order of its members.
#[derive(Debug)]
pub struct Federation {
    dir: PathBuf,
    nodes: Vec<MemberNode>,
}

impl Federation {
    /// Makes the node of each participant below `dir`, which must be absent or empty. Starts none.
    ///
    /// # Errors
    /// [`FederationError`]; what was made so far stays in `dir`.
    pub async fn create(
        programs: &Programs,
        dir: &Path,
        participants: &[Participant],
    ) -> Result<Self, FederationError> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        prepare(dir)?;
        let words = hex::encode(random::<16>(&*entropy));
        let passphrase = dir.join("passphrase");
        write_private(&passphrase, words.as_bytes())
            .map_err(|cause| FederationError::machine(format!("cannot write {}", passphrase.display()), cause))?;
        // All ports are held until all nodes are made, so that no two nodes get the same.
        let mut held = Vec::new();
        let mut making = Vec::new();
        for Participant { member, name } in participants {
            let ports = [HeldPort::take(&*entropy), HeldPort::take(&*entropy)];
            let no_port = |cause| FederationError::machine("no port is free on 127.0.0.1", cause);
            let [peers, operators] = ports.map(|port| port.map_err(no_port));
            let (peers, operators) = (peers?, operators?);
            let (peer_listen, operator_listen) =
                (peers.address().map_err(no_port)?, operators.address().map_err(no_port)?);
            held.extend([peers, operators]);
            let node = MemberNode {
                member: *member,
                name: name.clone(),
                dir: dir.join(member.to_string()),
                log: dir.join(format!("{member}.log")),
                peers: peer_listen,
                programs: programs.clone(),
                passphrase: passphrase.clone(),
                process: None,
            };
            let display_name = format!("National police of {name} (demonstration)");
            let options = options(&node, operator_listen, &display_name, &words)?;
            making.push((node, options));
        }
        // On the spot: work that went on elsewhere could write into a directory that is being removed.
        let made = std::thread::scope(|scope| {
            let making = making.iter().map(|(_, options)| scope.spawn(|| init(options, &SystemClock, &entropy)));
            let making: Vec<_> = making.collect();
            making.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
        });
        let mut nodes = Vec::new();
        for ((node, _), made) in making.into_iter().zip(made) {
            let stopped = |_| FederationError::machine("cannot make a node", std::io::Error::other("it stopped"));
            made.map_err(stopped)?.map_err(|error| node.not_made("the node", &error))?;
            nodes.push(node);
        }
        Ok(Self { dir: dir.to_owned(), nodes })
    }

    /// Where everything lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The members, in order.
    pub fn members(&self) -> Vec<MemberId> {
        self.nodes.iter().map(MemberNode::member).collect()
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> &[MemberNode] {
        &self.nodes
    }

    /// Everybody but `member`.
    pub fn others(&self, member: MemberId) -> impl Iterator<Item = &MemberNode> {
        self.nodes.iter().filter(move |node| node.member != member)
    }

    /// The node of `member`.
    ///
    /// # Errors
    /// [`FederationError::NotAMember`].
    pub fn node(&self, member: MemberId) -> Result<&MemberNode, FederationError> {
        self.nodes.iter().find(|node| node.member == member).ok_or(FederationError::NotAMember { member })
    }

    /// The node of `member`, to start, stop or kill it.
    ///
    /// # Errors
    /// [`FederationError::NotAMember`].
    pub fn node_mut(&mut self, member: MemberId) -> Result<&mut MemberNode, FederationError> {
        self.nodes.iter_mut().find(|node| node.member == member).ok_or(FederationError::NotAMember { member })
    }

    /// The operator `name` of `member`.
    ///
    /// # Errors
    /// [`FederationError::NotAMember`].
    pub fn operator(&self, member: MemberId, name: &str) -> Result<Operator, FederationError> {
        self.node(member).map(|node| node.operator(name))
    }

    /// Starts every node that does not run, all at once, and waits until each serves.
    ///
    /// # Errors
    /// The first [`FederationError`] of any node.
    pub async fn start(&mut self) -> Result<(), FederationError> {
        let starting = self.nodes.iter_mut().filter(|node| !node.is_running()).map(MemberNode::start);
        futures::future::try_join_all(starting).await.map(drop)
    }

    /// Ends every node, all at once, and waits until each has ended. Returns whether all ended cleanly.
    ///
    /// # Errors
    /// The first [`FederationError`] of any node.
    pub async fn stop(&mut self) -> Result<bool, FederationError> {
        let ended = futures::future::try_join_all(self.nodes.iter_mut().map(MemberNode::stop)).await?;
        Ok(ended.into_iter().all(|cleanly| cleanly))
    }
}

impl Drop for Federation {
    /// Lets the nodes end by themselves for a moment; what still runs then is killed with its [`MemberNode`].
    fn drop(&mut self) {
        const LOOK_EVERY: Duration = Duration::from_millis(10);
        let mut left: Vec<_> = self.nodes.iter_mut().filter_map(|node| node.process.as_mut()).collect();
        left.iter_mut().for_each(|process| process.release());
        let mut waited = Duration::ZERO;
        while waited < GRACE && !left.is_empty() {
            left.retain_mut(|process| !process.has_ended());
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
    }
}

/// What the node is to be.
fn options(
    node: &MemberNode,
    operator_listen: SocketAddr,
    display_name: &str,
    words: &str,
) -> Result<InitOptions, FederationError> {
    let unfit = |error: CardError| node.not_made("the card", &error);
    let passphrase = Passphrase::new(words.as_bytes().to_vec());
    Ok(InitOptions {
        member: node.member,
        dir: node.dir.clone(),
        display_name: display_name.parse().map_err(unfit)?,
        standing: Standing::Member,
        peer_listen: node.peers,
        operator_listen,
        endpoints: vec![node.peers.to_string().parse().map_err(unfit)?],
        duty_contacts: vec!["duty officer, by nobody's telephone".parse().map_err(unfit)?],
        passphrase: passphrase.map_err(|error| node.not_made("the passphrase", &error))?,
        cost: KeyCost::Tests,
    })
}

fn prepare(dir: &Path) -> Result<(), FederationError> {
    let unfit = |why| FederationError::Directory { path: dir.to_owned(), why };
    if dir.to_str().is_none() {
        return Err(unfit("its path is not UTF-8 text"));
    }
    let cannot = |cause| FederationError::machine(format!("cannot make {}", dir.display()), cause);
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unfit("it is not empty")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            use std::os::unix::fs::DirBuilderExt as _;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(cannot)
        }
        Err(cause) => Err(cannot(cause)),
    }
}
