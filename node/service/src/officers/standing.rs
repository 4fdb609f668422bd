//! Who may work now: asked at each handshake and each call, and changed by administrators.

use std::sync::atomic::Ordering;

use eads_domain::clock::Timestamp;
use eads_domain::code::{Code, Coded, Fault};
use eads_domain::operator::{Operator, OperatorName};
use eads_store::port::Batch;

use super::{CertificateState, FEWEST_ADMINISTRATORS, Officer, OfficerState, SEEN_INTERVAL};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// Why a certificate of the operator CA admits nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfficerRefusal {
    /// It was not enrolled here.
    #[error("this certificate is not enrolled at this node")]
    Unregistered,
    /// Another has taken its place.
    #[error("a newer certificate has taken the place of this one")]
    Superseded,
    /// Its validity is over.
    #[error("this certificate has expired")]
    Expired,
    /// Its holder is suspended, until an administrator takes that back.
    #[error("the officer is suspended")]
    Suspended,
    /// Its holder is revoked, for good: work goes on with a new enrolment only.
    #[error("the officer is revoked")]
    Revoked,
}

impl Coded for OfficerRefusal {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Unregistered => "OFFICER_UNREGISTERED",
            Self::Superseded => "OFFICER_CERTIFICATE_SUPERSEDED",
            Self::Expired => "OFFICER_CERTIFICATE_EXPIRED",
            Self::Suspended => "OFFICER_SUSPENDED",
            Self::Revoked => "OFFICER_REVOKED",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl Officer {
    /// Whether a certificate with this officer's name admits its holder.
    fn admits(&self, certificate: &[u8], now: Timestamp) -> Result<(), OfficerRefusal> {
        let known = self.certificates.iter().find(|one| one.der == certificate);
        match (known.map(|one| one.state), self.state) {
            (Some(CertificateState::Revoked), _) | (_, OfficerState::Revoked) => Err(OfficerRefusal::Revoked),
            (None, _) => Err(OfficerRefusal::Unregistered),
            (Some(CertificateState::Superseded), _) => Err(OfficerRefusal::Superseded),
            (_, OfficerState::Suspended) => Err(OfficerRefusal::Suspended),
            (Some(CertificateState::Current), OfficerState::Active) => {
                let expired = known.is_none_or(|one| now > one.operator.not_after);
                if expired { Err(OfficerRefusal::Expired) } else { Ok(()) }
            }
        }
    }

    /// Whether certificates with other keys are still in use beside this newer one.
    fn takes_over(&self, certificate: &[u8]) -> bool {
        let Some(own) = self.certificates.iter().position(|one| one.der == certificate) else { return false };
        let key = self.certificates.get(own).map(|one| &one.operator.public_key);
        self.certificates
            .iter()
            .take(own)
            .any(|one| one.state == CertificateState::Current && Some(&one.operator.public_key) != key)
    }
}

impl Node {
    /// Whether the holder of a certificate of the operator CA may work here now.
    ///
    /// # Errors
    /// [`OfficerRefusal`].
    pub fn officer_standing(&self, operator: &Operator, certificate: &[u8]) -> Result<(), OfficerRefusal> {
        let officer = self.officers.get(&operator.name).ok_or(OfficerRefusal::Unregistered)?;
        officer.admits(certificate, self.clock.now())
    }

    /// Remembers that an officer was here. The first use of a renewed certificate with a new key ends those with
    /// older keys.
    pub(crate) async fn officer_seen(&self, call: &Call) {
        let Some(officer) = self.officers.get(&call.operator.name) else { return };
        let now = self.clock.now();
        officer.seen.store(now.as_unix(), Ordering::Relaxed);
        let takes_over = officer.takes_over(&call.certificate);
        if !takes_over && now.seconds_since(officer.seen_written) < SEEN_INTERVAL {
            return;
        }
        // Nobody waits for this beside a ceremony; the next call does it.
        let Ok(_ceremony) = self.officers.ceremony.try_lock() else { return };
        let Some(held) = self.officers.get(&call.operator.name) else { return };
        let mut officer = (*held).clone();
        if takes_over {
            let own = officer.certificates.iter().position(|one| one.der == call.certificate).unwrap_or_default();
            let key = call.operator.public_key.as_slice();
            for older in officer.certificates.iter_mut().take(own) {
                if older.state == CertificateState::Current && older.operator.public_key != key {
                    older.state = CertificateState::Superseded;
                }
            }
        }
        if let Err(error) = self.write_officer(officer, Batch::new()).await {
            tracing::warn!(code = %error.code(), "it cannot be written down that an officer was seen: {error}");
        }
    }

    /// Takes an officer's right to work away until resumed; open connections are cut before this returns.
    ///
    /// # Errors
    /// `OFFICER_UNKNOWN`, `OFFICER_STATE`, `OFFICER_SELF`, `LAST_ADMINISTRATORS`.
    pub async fn suspend_officer(&self, call: &Call, name: &OperatorName, reason: &str) -> Result<(), ServiceError> {
        self.change_officer(call, "SuspendOfficer", name, reason, OfficerState::Suspended).await
    }

    /// Gives a suspended officer's right to work back.
    ///
    /// # Errors
    /// `OFFICER_UNKNOWN`, `OFFICER_STATE`.
    pub async fn resume_officer(&self, call: &Call, name: &OperatorName, reason: &str) -> Result<(), ServiceError> {
        self.change_officer(call, "ResumeOfficer", name, reason, OfficerState::Active).await
    }

    /// Takes an officer's right to work away for good, under every certificate so far; open connections are cut
    /// before this returns.
    ///
    /// # Errors
    /// `OFFICER_UNKNOWN`, `OFFICER_STATE`, `OFFICER_SELF`, `LAST_ADMINISTRATORS`.
    pub async fn revoke_officer(&self, call: &Call, name: &OperatorName, reason: &str) -> Result<(), ServiceError> {
        self.change_officer(call, "RevokeOfficer", name, reason, OfficerState::Revoked).await
    }

    async fn change_officer(
        &self,
        call: &Call,
        operation: &str,
        name: &OperatorName,
        reason: &str,
        to: OfficerState,
    ) -> Result<(), ServiceError> {
        let mut entry = self.entry(call, operation);
        entry.subject = Some(format!("{name}: {}", reason.chars().take(200).collect::<String>()));
        let intent = self.audit.intent(entry).await?;
        let outcome = self.change_officer_audited(call, name, reason, to).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn change_officer_audited(
        &self,
        call: &Call,
        name: &OperatorName,
        reason: &str,
        to: OfficerState,
    ) -> Result<(), ServiceError> {
        let _ceremony = self.officers.ceremony.lock().await;
        let held = self.officers.known(name)?;
        let possible = match to {
            OfficerState::Active => held.state == OfficerState::Suspended,
            OfficerState::Suspended => held.state == OfficerState::Active,
            OfficerState::Revoked => held.state != OfficerState::Revoked,
        };
        if !possible {
            let text = format!("{name} is {} and cannot become {}", held.state.as_str(), to.as_str());
            return Err(ServiceError::conflict("OFFICER_STATE", text));
        }
        if to != OfficerState::Active {
            if call.operator.name == *name {
                return Err(ServiceError::denied("OFFICER_SELF", "nobody takes their own right to work away")
                    .with_hint("another administrator has to"));
            }
            self.enough_administrators_without(&held)?;
        }
        let mut officer = (*held).clone();
        officer.state = to;
        officer.since = self.clock.now();
        officer.by = call.operator.name.to_string();
        officer.reason = reason.chars().take(200).collect();
        if to == OfficerState::Revoked {
            officer.certificates.iter_mut().for_each(|one| one.state = CertificateState::Revoked);
        }
        let mut batch = Batch::new();
        batch.protective();
        self.write_officer(officer, batch).await?;
        if to != OfficerState::Active {
            self.officers.lines.cut(name);
        }
        Ok(())
    }

    /// Refuses what would leave fewer administrators than it takes to make one.
    pub(super) fn enough_administrators_without(&self, officer: &Officer) -> Result<(), ServiceError> {
        let now = self.clock.now();
        if !officer.is_able_administrator(now) {
            return Ok(());
        }
        let all = self.officers.all();
        let others = all.iter().filter(|one| one.name != officer.name && one.is_able_administrator(now)).count();
        if others >= FEWEST_ADMINISTRATORS {
            return Ok(());
        }
        Err(ServiceError::conflict(
            "LAST_ADMINISTRATORS",
            format!("there must be {FEWEST_ADMINISTRATORS} other administrators who can work; there are {others}"),
        )
        .with_hint(
            "enrol another administrator first; without a second one, `eads-node officer` on the node's machine",
        ))
    }
}
