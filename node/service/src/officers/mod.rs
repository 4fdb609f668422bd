//! The officers of this member: who is enrolled, under which certificates, and who may work now.
//!
//! What this promises:
//! * Only a certificate that stands here admits anybody; that the operator CA signed it is not enough.
//! * A suspension or revocation counts from the moment it is durable: every later call is refused, and the
//!   officer's open connections are cut before it is answered.
//! * The node never sees an officer's private key: certificates are made from requests.
//! * One administrator alone cannot make an administrator or an approver, nor give a name that was revoked to
//!   somebody else; and there are always two administrators who can work.
//!
//! An approval that an officer signed before being revoked stays valid: whoever doubts it withdraws the notice.

mod adopt;
mod certificate;
mod enrol;
mod list;
mod port;
mod standing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use eads_domain::clock::Timestamp;
use eads_domain::entropy::{Entropy, random};
use eads_domain::operator::{OperatorName, Role};
use eads_store::keys::KeySlot;
use eads_store::port::Batch;
use eads_store::vault::{Sealed, Vault};
use serde::{Deserialize, Serialize};

pub use certificate::{CertificateState, EnrolledCertificate};
pub use enrol::{Enrolled, Enrolment};
pub use list::{AwaitedOfficer, OfficerList};
pub use port::{OfficerAuthority, OfficerLines, ToCertify};
pub use standing::OfficerRefusal;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;

/// The most officers that a node enrols, revoked ones included.
pub const MAX_OFFICERS: usize = 10_000;
/// The most certificates that are remembered of one officer.
const MAX_CERTIFICATES: usize = 8;
/// How many administrators must always be able to work.
const FEWEST_ADMINISTRATORS: usize = 2;
const SCHEMA: u16 = 1;
/// Seconds after which it is written down anew that an officer was seen.
const SEEN_INTERVAL: i64 = 3600;

/// Where an officer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfficerState {
    /// May work.
    Active,
    /// May not work until resumed.
    Suspended,
    /// Will not work again under any certificate issued so far.
    Revoked,
}

impl OfficerState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
        }
    }
}

/// One officer.
#[derive(Clone, Debug)]
pub struct Officer {
    /// Who; unique within the member.
    pub name: OperatorName,
    /// Where the officer stands.
    pub state: OfficerState,
    /// Since when.
    pub since: Timestamp,
    /// Which administrator said so; the node's own setup for those who came with it.
    pub by: String,
    /// Why, if suspended or revoked.
    pub reason: String,
    /// Oldest first.
    pub certificates: Vec<EnrolledCertificate>,
    row: RowAt,
    /// When a call was last admitted.
    seen: Arc<AtomicI64>,
    seen_written: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct RowAt {
    id: [u8; 16],
    key: KeySlot,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfficerRow {
    name: OperatorName,
    state: OfficerState,
    since: Timestamp,
    by: String,
    reason: String,
    certificates: Vec<certificate::CertificateRow>,
    seen: Timestamp,
}

impl Officer {
    /// When a call was last admitted; to the hour for the time before the node's start.
    pub fn last_seen(&self) -> Option<Timestamp> {
        Some(self.seen.load(Ordering::Relaxed)).filter(|seconds| *seconds > 0).map(Timestamp::from_unix)
    }

    /// The newest certificate under which the officer may work, or the newest of all.
    pub fn certificate(&self) -> Option<&EnrolledCertificate> {
        let current = self.certificates.iter().rfind(|one| one.state == CertificateState::Current);
        current.or(self.certificates.last())
    }

    /// Whether the officer can work as administrator now.
    fn is_able_administrator(&self, now: Timestamp) -> bool {
        self.state == OfficerState::Active
            && self.certificates.iter().any(|one| one.is_valid(now) && one.operator.roles.contains(Role::Administrator))
    }

    fn holds_key(&self, public_key: &[u8]) -> bool {
        self.certificates.iter().any(|one| one.operator.public_key == public_key)
    }

    /// Adds a certificate; of those remembered the oldest goes when there are too many.
    fn add(&mut self, certificate: EnrolledCertificate) {
        self.certificates.push(certificate);
        let surplus = self.certificates.len().saturating_sub(MAX_CERTIFICATES);
        self.certificates.drain(..surplus);
    }
}

/// All officers, in memory and in the store.
pub(crate) struct Officers {
    all: RwLock<BTreeMap<OperatorName, Arc<Officer>>>,
    /// Serialises changes.
    ceremony: tokio::sync::Mutex<()>,
    authority: Arc<dyn OfficerAuthority>,
    lines: Arc<dyn OfficerLines>,
}

impl Officers {
    pub(crate) async fn open(
        vault: &Vault,
        authority: Arc<dyn OfficerAuthority>,
        lines: Arc<dyn OfficerLines>,
    ) -> Result<Self, ServiceError> {
        let mut all = BTreeMap::new();
        let mut pages = Pages::of(&**vault.store(), area::OFFICER);
        while let Some(page) = pages.next().await? {
            for (key, value) in page {
                let slot = vault.slot_of(area::OFFICER, &value)?;
                let Some(Sealed::Plain { bytes, .. }) = vault.open_row(area::OFFICER, &key, &value).await? else {
                    continue;
                };
                let officer = read(&key, slot, &bytes)?;
                all.insert(officer.name.clone(), Arc::new(officer));
            }
        }
        Ok(Self { all: RwLock::new(all), ceremony: tokio::sync::Mutex::new(()), authority, lines })
    }

    fn get(&self, name: &OperatorName) -> Option<Arc<Officer>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn known(&self, name: &OperatorName) -> Result<Arc<Officer>, ServiceError> {
        self.get(name).ok_or_else(|| {
            ServiceError::not_found("OFFICER_UNKNOWN", format!("no officer {name} is enrolled"))
                .with_hint("see `eads officer list`")
        })
    }

    fn all(&self) -> Vec<Arc<Officer>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn insert(&self, officer: Officer) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(officer.name.clone(), Arc::new(officer));
    }

    /// Whose key it is, or was.
    fn holder(&self, public_key: &[u8]) -> Option<OperatorName> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().find(|officer| officer.holds_key(public_key)).map(|officer| officer.name.clone())
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> ServiceError {
    ServiceError::internal("ROW_UNREADABLE", "an officer's row cannot be read; run `eads-node store check`")
        .caused_by(error)
}

fn read(key: &[u8], slot: KeySlot, bytes: &[u8]) -> Result<Officer, ServiceError> {
    let row: OfficerRow = crate::rows::parse(bytes)?;
    Ok(Officer {
        name: row.name,
        state: row.state,
        since: row.since,
        by: row.by,
        reason: row.reason,
        certificates: row.certificates.into_iter().map(EnrolledCertificate::from_row).collect::<Result<_, _>>()?,
        row: RowAt { id: key.try_into().map_err(unreadable)?, key: slot },
        seen: Arc::new(AtomicI64::new(row.seen.as_unix())),
        seen_written: row.seen,
    })
}

impl Node {
    /// An officer who is not written down yet.
    fn new_officer(&self, name: OperatorName, by: String) -> Result<Officer, ServiceError> {
        if self.officers.all.read().unwrap_or_else(PoisonError::into_inner).len() >= MAX_OFFICERS {
            return Err(ServiceError::exhausted(
                "OFFICERS_TOO_MANY",
                format!("at most {MAX_OFFICERS} officers can be enrolled"),
            ));
        }
        let entropy: &dyn Entropy = &*self.entropy;
        Ok(Officer {
            name,
            state: OfficerState::Active,
            since: self.clock.now(),
            by,
            reason: String::new(),
            certificates: Vec::new(),
            row: RowAt { id: random(entropy), key: self.keys.allocate()? },
            seen: Arc::default(),
            seen_written: Timestamp::from_unix(0),
        })
    }

    /// Writes an officer, and `beside` it what belongs to it, in one commit; it is in force when this returns.
    async fn write_officer(&self, mut officer: Officer, beside: Batch) -> Result<(), ServiceError> {
        let seen = Timestamp::from_unix(officer.seen.load(Ordering::Relaxed));
        let row = OfficerRow {
            name: officer.name.clone(),
            state: officer.state,
            since: officer.since,
            by: officer.by.clone(),
            reason: officer.reason.clone(),
            certificates: officer.certificates.iter().map(EnrolledCertificate::to_row).collect(),
            seen,
        };
        let bytes = serde_json::to_vec(&row).map_err(|error| {
            ServiceError::internal("ROW_UNWRITABLE", "an officer cannot be written").caused_by(error)
        })?;
        let mut batch = beside;
        let RowAt { id, key } = officer.row;
        self.vault.replace(&mut batch, area::OFFICER, &id, key, SCHEMA, &bytes).await?;
        self.store.commit(batch).await?;
        officer.seen_written = seen;
        self.officers.insert(officer);
        Ok(())
    }
}
