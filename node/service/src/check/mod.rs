//! Reading and verifying everything that a node keeps: keys, sealed values, registers, what refers to what, audit.
//!
//! Nothing is changed and nothing stops at the first flaw: each section counts what it walked and lists what is
//! wrong, by a stable code with its meaning and its remedy. Places are indexes, members and random identifiers; no
//! value of a notice or record is ever shown.
//!
//! On a stopped node one walk is exact. On a running one rows change under the walk, so a flaw only counts when a
//! second walk finds it at the same place again ([`Checker::running`]).
//!
//! Journal and view are the store's own to check (`EmbeddedStore::check`); this reads what they hold.

mod audit;
mod blobs;
mod finding;
mod held;
mod notices;
mod own;
mod sealed;

use std::sync::Arc;

use eads_domain::card::KeyLine;
use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, MemberId, RegisterId};
use eads_domain::statement::Statement;
use eads_store::blobs::BlobStore;
use eads_store::keys::{KeyError, KeySlot, KeyTree};
use eads_store::port::{Area, Store};
use eads_store::vault::{Sealed, Vault, VaultError};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use finding::{Finding, Section};

use crate::audit::AuditLog;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows;
use crate::stored::StoredStatement;

/// How often a section of a running node is walked before what it found counts.
const WALKS: usize = 3;

/// What is checked, and against which identity.
#[derive(Clone, Debug)]
pub struct Checker {
    /// Whose node it is.
    pub member: MemberId,
    /// The register on its card.
    pub register: RegisterId,
    /// Its signing keys.
    pub signing: KeyLine,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The key tree.
    pub keys: Arc<KeyTree>,
    /// The sealed files.
    pub blobs: Arc<BlobStore>,
    /// The audit log.
    pub audit: AuditLog,
    /// Rows may change while they are read.
    pub running: bool,
}

/// The sections in the order in which they are walked.
#[derive(Clone, Copy)]
enum Part {
    Keys,
    Sealed,
    Register,
    Notices,
    Deliveries,
    Held,
    Photographs,
    Jobs,
    Audit,
}

const PARTS: [Part; 9] = [
    Part::Keys,
    Part::Sealed,
    Part::Register,
    Part::Notices,
    Part::Deliveries,
    Part::Held,
    Part::Photographs,
    Part::Jobs,
    Part::Audit,
];

impl Node {
    /// What checks this node while it runs.
    pub fn checker(&self) -> Checker {
        Checker {
            member: self.member,
            register: self.register_id,
            signing: self.identity().keys.clone(),
            store: self.store.clone(),
            keys: self.keys.clone(),
            blobs: self.blobs.files(),
            audit: self.audit.clone(),
            running: true,
        }
    }
}

impl Checker {
    /// Walks everything. `told` hears of each section as it is done; `stopped` is asked before each.
    ///
    /// # Errors
    /// `CHECK_STOPPED` when it was told to stop; what is wrong is in the sections.
    pub async fn check(
        &self,
        mut told: impl FnMut(&Section) + Send,
        stopped: impl Fn() -> bool + Send,
    ) -> Result<Vec<Section>, ServiceError> {
        let walk = Walk { on: self, vault: Vault::new(self.store.clone(), self.keys.clone()) };
        let mut sections = Vec::with_capacity(PARTS.len());
        for part in PARTS {
            if stopped() {
                return Err(ServiceError::unavailable("CHECK_STOPPED", "the check was stopped"));
            }
            let mut section = walk.section(part).await;
            if self.running {
                for _ in 1..WALKS {
                    if section.findings.is_empty() {
                        break;
                    }
                    section = section.confirmed_by(walk.section(part).await);
                }
            }
            told(&section);
            sections.push(section);
        }
        Ok(sections)
    }
}

/// One walk over the parts of a node.
struct Walk<'a> {
    on: &'a Checker,
    vault: Vault,
}

impl Walk<'_> {
    async fn section(&self, part: Part) -> Section {
        let (name, mut section) = match part {
            Part::Keys => ("keys", Section::new("keys")),
            Part::Sealed => ("sealed values", Section::new("sealed values")),
            Part::Register => ("own register", Section::new("own register")),
            Part::Notices => ("own notices", Section::new("own notices")),
            Part::Deliveries => ("deliveries", Section::new("deliveries")),
            Part::Held => ("held notices", Section::new("held notices")),
            Part::Photographs => ("photographs", Section::new("photographs")),
            Part::Jobs => ("jobs", Section::new("jobs")),
            Part::Audit => ("audit", Section::new("audit")),
        };
        let walked = match part {
            Part::Keys => self.keys(&mut section).await,
            Part::Sealed => self.sealed(&mut section).await,
            Part::Register => self.own_register(&mut section).await,
            Part::Notices => self.own_notices(&mut section).await,
            Part::Deliveries => self.deliveries(&mut section).await,
            Part::Held => self.held(&mut section).await,
            Part::Photographs => self.photographs(&mut section).await,
            Part::Jobs => self.jobs(&mut section).await,
            Part::Audit => self.audit(&mut section).await,
        };
        if let Err(error) = walked {
            // What the walk could not get past: the rest of the section is unread.
            section.find("WALK_STOPPED", format!("{name}: {}: {error}", error.code()));
        }
        section
    }

    fn store(&self) -> &dyn Store {
        &*self.on.store
    }

    /// A row of closed fields, or a finding.
    fn parse<T: DeserializeOwned>(&self, section: &mut Section, area: Area, place: &str, bytes: &[u8]) -> Option<T> {
        let row = rows::parse(bytes).ok();
        if row.is_none() {
            section.find("ROW_UNREADABLE", format!("{} {place}", area.name()));
        }
        row
    }

    async fn row<T: DeserializeOwned>(
        &self,
        section: &mut Section,
        area: Area,
        key: &[u8],
        place: &str,
    ) -> Result<Option<T>, ServiceError> {
        let bytes = self.store().get(area, key).await?;
        Ok(bytes.and_then(|bytes| self.parse(section, area, place, &bytes)))
    }

    /// Opens a sealed value; what does not open is a finding and reads as absent.
    async fn open(&self, section: &mut Section, area: Area, key: &[u8], place: &str) -> Result<Value, ServiceError> {
        match self.vault.get(area, key).await {
            Ok(Some(Sealed::Plain { bytes, .. })) => Ok(Value::Plain(bytes)),
            Ok(Some(Sealed::Destroyed)) => Ok(Value::Destroyed),
            Ok(None) => Ok(Value::Absent),
            Err(error) => self.unopened(section, area, place, error),
        }
    }

    fn unopened(
        &self,
        section: &mut Section,
        area: Area,
        place: &str,
        error: VaultError,
    ) -> Result<Value, ServiceError> {
        let code = match &error {
            VaultError::Damaged { .. } => "VALUE_DAMAGED",
            VaultError::Keys(KeyError::Unknown { .. }) => "KEY_UNKNOWN",
            VaultError::Keys(KeyError::Damaged { .. }) => "KEYS_DAMAGED",
            _ => return Err(error.into()),
        };
        section.find(code, format!("{} {place}", area.name()));
        Ok(Value::Unopened)
    }

    /// Whether a key is destroyed; none for one that was never handed out.
    async fn is_destroyed(&self, slot: KeySlot) -> Result<Option<bool>, ServiceError> {
        let keys = Arc::clone(&self.on.keys);
        let asked = if keys.is_warm(slot) {
            keys.is_destroyed(slot)
        } else {
            tokio::task::spawn_blocking(move || keys.is_destroyed(slot)).await.map_err(|error| {
                ServiceError::internal("CHECK_STOPPED", "the check was interrupted").caused_by(error)
            })?
        };
        match asked {
            Ok(destroyed) => Ok(Some(destroyed)),
            Err(KeyError::Unknown { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What stands under a key.
enum Value {
    Plain(Zeroizing<Vec<u8>>),
    Destroyed,
    Absent,
    /// There is one, and it is among the findings.
    Unopened,
}

/// A stored statement is signed, stands under its leaf, and its openings open what was signed.
pub(crate) fn statement(
    bytes: &[u8],
    keys: &KeyLine,
    leaf: Hash,
) -> Result<(Statement, StoredStatement), ServiceError> {
    let stored = StoredStatement::parse(bytes)?;
    let statement = keys.statement(&stored.payload, &stored.signature)?;
    if statement.leaf() != leaf {
        return Err(ServiceError::internal(
            "STATEMENT_NOT_IN_REGISTER",
            "the statement is not the one in the register",
        ));
    }
    if statement.payload().action.carries_content() {
        stored.disclosure.verify(&statement)?;
    }
    Ok((statement, stored))
}
