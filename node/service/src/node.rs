//! The node as the use cases see it: everything that they share, handed in from outside.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use eads_domain::card::{KeyLine, SignedCard};
use eads_domain::clock::{Clock, Timestamp};
use eads_domain::entropy::Entropy;
use eads_domain::id::{MemberId, RegisterId};
use eads_store::blobs::BlobStore;
use eads_store::keys::KeyTree;
use eads_store::port::Store;
use eads_store::vault::Vault;
use ed25519_dalek::SigningKey;
use tokio::sync::Notify;

use crate::alarm::Alarms;
use crate::audit::AuditLog;
use crate::blobs::Blobs;
use crate::error::ServiceError;
use crate::limits::Limits;
use crate::officers::{OfficerAuthority, OfficerLines, Officers};
use crate::peers::{PeerLink, Peers};
use crate::register::OwnRegister;
use crate::search::Indexes;

/// What a node signs with and says of itself.
pub struct NodeIdentity {
    /// The current card.
    pub card: SignedCard,
    /// Signs statements, checkpoints, receipts.
    pub signing: SigningKey,
    /// Signs cosignatures over what other members' registers show, and nothing else.
    pub cosigner: SigningKey,
}

/// The identity in force, with the keys that it has had.
pub(crate) struct OwnIdentity {
    /// The current card.
    pub(crate) card: SignedCard,
    /// Signs statements, checkpoints, receipts.
    pub(crate) signing: SigningKey,
    /// Signs cosignatures.
    pub(crate) cosigner: SigningKey,
    /// The own signing keys, each with its part of the register.
    pub(crate) keys: KeyLine,
}

/// What a node is made of.
pub struct Parts {
    /// Who it is.
    pub identity: NodeIdentity,
    /// Where it keeps things.
    pub store: Arc<dyn Store>,
    /// What seals them.
    pub keys: Arc<KeyTree>,
    /// Where it keeps photographs.
    pub blobs: Arc<BlobStore>,
    /// Who asked and saw what.
    pub audit: AuditLog,
    /// How it reaches its peers.
    pub link: Arc<dyn PeerLink>,
    /// What issues officers' certificates.
    pub authority: Arc<dyn OfficerAuthority>,
    /// Where officers' connections are cut.
    pub lines: Arc<dyn OfficerLines>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Bounds and deadlines.
    pub limits: Limits,
}

/// One member's node.
pub struct Node {
    pub(crate) member: MemberId,
    pub(crate) register_id: RegisterId,
    identity: RwLock<Arc<OwnIdentity>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: Arc<KeyTree>,
    pub(crate) vault: Vault,
    pub(crate) blobs: Blobs,
    pub(crate) audit: AuditLog,
    pub(crate) link: Arc<dyn PeerLink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) limits: Limits,
    pub(crate) register: OwnRegister,
    pub(crate) peers: Peers,
    pub(crate) officers: Officers,
    pub(crate) indexes: Indexes,
    pub(crate) marks: crate::marks::Marks,
    pub(crate) rates: crate::search::Rates,
    /// How often each peer may compare audit logs.
    pub(crate) match_rates: crate::search::Rates,
    /// What peers do often or are refused, until it is written down.
    pub(crate) tally: crate::audit::Tally,
    pub(crate) served_blobs: crate::blobs::Served,
    pub(crate) outcomes: crate::search::Outcomes,
    pub(crate) alarms: Alarms,
    /// Wakes the worker that destroys keys.
    pub(crate) purge_due: Notify,
    /// Wakes the worker that compares notices with each other.
    pub(crate) screen_due: Notify,
    /// Wakes the workers that post receipts.
    pub(crate) receipts_due: tokio::sync::watch::Sender<u64>,
    /// Wakes the workers that fetch photographs.
    pub(crate) blobs_due: tokio::sync::watch::Sender<u64>,
    /// Serialises changes of drafts and own notices.
    pub(crate) notices: tokio::sync::Mutex<()>,
    /// Serialises what is applied from one peer after another; each origin has its own.
    pub(crate) applying: crate::sync::Applying,
    pub(crate) certificates: Arc<crate::sync::Certificates>,
    pub(crate) dialled: crate::sync::Dialled,
    pub(crate) trust: crate::trust::Trust,
    /// One file of a source at a time.
    pub(crate) importing: crate::records::Importing,
    pub(crate) caught_up: crate::sync::CaughtUp,
    /// When the own certificates end, by name.
    pub(crate) certificate_ends: Mutex<Vec<(String, Timestamp)>>,
    pub(crate) court: crate::court::Court,
    pub(crate) subjects: crate::subjects::Subjects,
}

impl Node {
    /// Opens the node over its parts: reads the register, the peers and the indexes back from the store.
    ///
    /// # Errors
    /// When the store cannot be read, or when the register is behind what this member has already signed.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, ServiceError> {
        let Parts { identity, store, keys, blobs, audit, link, authority, lines, clock, entropy, limits } = parts;
        let member = identity.card.card().member;
        let register_id = identity.card.card().register;
        let vault = Vault::new(store.clone(), keys.clone());
        let identity = crate::succession::recall(&vault, identity).await?;
        let register = OwnRegister::open(&*store, member, register_id, &identity.keys).await?;
        let peers = Peers::open(&vault).await?;
        let officers = Officers::open(&vault, authority, lines).await?;
        let node = Self {
            member,
            register_id,
            identity: RwLock::new(Arc::new(identity)),
            store,
            keys,
            vault,
            blobs: Blobs::new(blobs),
            audit,
            link,
            clock,
            entropy,
            limits,
            register,
            peers,
            officers,
            indexes: Indexes::default(),
            marks: crate::marks::Marks::default(),
            rates: crate::search::Rates::default(),
            match_rates: crate::search::Rates::default(),
            tally: crate::audit::Tally::default(),
            served_blobs: crate::blobs::Served::default(),
            outcomes: crate::search::Outcomes::default(),
            alarms: Alarms::default(),
            purge_due: Notify::new(),
            screen_due: Notify::new(),
            receipts_due: tokio::sync::watch::Sender::new(0),
            blobs_due: tokio::sync::watch::Sender::new(0),
            notices: tokio::sync::Mutex::new(()),
            applying: crate::sync::Applying::default(),
            certificates: Arc::default(),
            dialled: crate::sync::Dialled::default(),
            trust: crate::trust::Trust::default(),
            importing: crate::records::Importing::default(),
            caught_up: crate::sync::CaughtUp::default(),
            certificate_ends: Mutex::default(),
            court: crate::court::Court::default(),
            subjects: crate::subjects::Subjects::default(),
        };
        node.finish_forgetting().await?;
        node.sweep_blobs().await?;
        node.fill_indexes().await?;
        node.fill_marks().await?;
        node.recall_restored_officers().await?;
        node.load_holds().await?;
        node.load_subjects().await?;
        node.begin_start().await?;
        Ok(Arc::new(node))
    }

    /// The identity in force. What is signed together is signed under one look at it.
    pub(crate) fn identity(&self) -> Arc<OwnIdentity> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another identity in force, which is durable.
    pub(crate) fn replace_identity(&self, identity: OwnIdentity) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
    }

    /// Whose node it is.
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// Time, as this node sees it.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The peers with their agreements.
    pub const fn peers(&self) -> &Peers {
        &self.peers
    }

    /// The audit log.
    pub const fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// What an administrator should look at.
    pub const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Bounds and deadlines.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
