//! New certificates: enrolment by administrators, renewal by the officer.

use eads_domain::clock::Timestamp;
use eads_domain::encode::{pae, sha256};
use eads_domain::id::Hash;
use eads_domain::operator::{OfficerRequest, OperatorName, Role, Roles};
use eads_store::port::Batch;
use eads_store::vault::Sealed;
use serde::{Deserialize, Serialize};

use super::{CertificateState, EnrolledCertificate, Officer, OfficerState, SCHEMA, ToCertify};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;

/// How long a first administrator's word waits for the second's, seconds.
const PATIENCE: i64 = 7 * 86_400;

/// What an administrator says of a new officer.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// PKCS#10, DER.
    pub request: Vec<u8>,
    /// Who it is; must be what the request says.
    pub name: OperatorName,
    /// What the officer may do; must be what the request says.
    pub roles: Roles,
    /// How long the certificate is valid, days; 0 leaves it to the node.
    pub days: u32,
}

/// What became of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// A second administrator has to say the same.
    AwaitingSecond,
    /// The certificate, DER.
    Certified(Vec<u8>),
}

/// A first administrator's word.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pending {
    pub(super) name: OperatorName,
    pub(super) roles: String,
    pub(super) administrator: OperatorName,
    pub(super) at: Timestamp,
    /// Of everything that was said.
    said: Hash,
}

/// A pending row with the bytes of its key.
pub(super) struct PendingAt {
    key: Vec<u8>,
    row: Vec<u8>,
    pub(super) word: Pending,
}

impl Node {
    /// Enrols an officer. For an approver, an administrator, and a name that was revoked, this is the first
    /// administrator's word and takes effect with the second's; for everybody else at once.
    ///
    /// # Errors
    /// `OFFICER_REQUEST_*`, `OFFICER_REQUEST_DIFFERS`, `OFFICER_DAYS`, `OFFICER_NAME_TAKEN`, `OFFICER_KEY_IN_USE`,
    /// `OFFICER_KEY_REVOKED`, `OFFICER_SUSPENDED`, `SECOND_ADMINISTRATOR_REQUIRED`, `LAST_ADMINISTRATORS`.
    pub async fn enrol_officer(&self, call: &Call, enrolment: Enrolment) -> Result<Enrolled, ServiceError> {
        let mut entry = self.entry(call, "EnrolOfficer");
        entry.subject = Some(format!("{} ({})", enrolment.name, enrolment.roles));
        let intent = self.audit.intent(entry).await?;
        let outcome = self.enrol_officer_audited(call, enrolment).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn enrol_officer_audited(&self, call: &Call, enrolment: Enrolment) -> Result<Enrolled, ServiceError> {
        let request = OfficerRequest::parse_and_verify(&enrolment.request).map_err(ServiceError::from_coded)?;
        if (&request.name, request.roles) != (&enrolment.name, enrolment.roles) {
            let text = format!(
                "the request is for {} ({}), not for {} ({})",
                request.name, request.roles, enrolment.name, enrolment.roles
            );
            return Err(ServiceError::invalid("OFFICER_REQUEST_DIFFERS", text));
        }
        let days = self.officer_days(enrolment.days)?;
        let _ceremony = self.officers.ceremony.lock().await;
        let held = self.officers.get(&request.name);
        self.check_officer_key(&request)?;
        if let Some(held) = held.as_deref() {
            check_name(held, &request)?;
        }
        let revoked = held.as_ref().is_some_and(|held| held.state == OfficerState::Revoked);
        let grave = [Role::Administrator, Role::Approver].into_iter().any(|role| request.roles.contains(role));
        let mut batch = Batch::new();
        let mut by = vec![call.operator.name.to_string()];
        let pending = self.pending_officer(&request.name).await?;
        if revoked || grave {
            let roles = request.roles.to_string();
            let said = [request.name.as_str().as_bytes(), roles.as_bytes(), &request.public_key, &days.to_be_bytes()];
            let said = sha256(&pae(&said));
            match self.first_word_on_officer(pending.as_ref(), said) {
                Some(first) if first.administrator == call.operator.name => {
                    return Err(ServiceError::conflict(
                        "SECOND_ADMINISTRATOR_REQUIRED",
                        "the same administrator has said so already; another one has to",
                    ));
                }
                Some(first) => by.insert(0, first.administrator.to_string()),
                None => {
                    let word = Pending {
                        name: request.name,
                        roles: request.roles.to_string(),
                        administrator: call.operator.name.clone(),
                        at: self.clock.now(),
                        said,
                    };
                    self.write_pending_officer(batch, pending, &word).await?;
                    return Ok(Enrolled::AwaitingSecond);
                }
            }
        }
        if let Some(pending) = &pending {
            self.vault.delete(&mut batch, area::OFFICER_PENDING, &pending.key).await?;
        }
        let mut officer = match held {
            Some(held) => (*held).clone(),
            None => self.new_officer(request.name.clone(), by.join(", "))?,
        };
        let der = self.certify_officer(&request, request.roles, days)?;
        let same_roles = |one: &EnrolledCertificate| one.operator.roles == request.roles;
        if !officer.certificates.iter().filter(|one| one.state == CertificateState::Current).all(same_roles) {
            // Roles are what administrators said last.
            if !request.roles.contains(Role::Administrator) {
                self.enough_administrators_without(&officer)?;
            }
            let current = officer.certificates.iter_mut().filter(|one| one.state == CertificateState::Current);
            current.for_each(|one| one.state = CertificateState::Superseded);
        }
        if revoked {
            officer.state = OfficerState::Active;
            officer.since = self.clock.now();
            officer.by = by.join(", ");
            officer.reason.clear();
        }
        officer.add(EnrolledCertificate::new(der.clone(), self.clock.now(), by)?);
        self.write_officer(officer, batch).await?;
        Ok(Enrolled::Certified(der))
    }

    /// A new certificate for the caller: the same name and roles, the key of the request.
    ///
    /// # Errors
    /// `OFFICER_REQUEST_*`, `OFFICER_REQUEST_DIFFERS`, `OFFICER_DAYS`, `OFFICER_KEY_IN_USE`, `OFFICER_KEY_REVOKED`.
    pub async fn renew_officer(&self, call: &Call, request: &[u8], days: u32) -> Result<Vec<u8>, ServiceError> {
        let mut entry = self.entry(call, "RenewOfficer");
        entry.subject = Some(format!("{} ({})", call.operator.name, call.operator.roles));
        let intent = self.audit.intent(entry).await?;
        let outcome = self.renew_officer_audited(call, request, days).await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn renew_officer_audited(&self, call: &Call, request: &[u8], days: u32) -> Result<Vec<u8>, ServiceError> {
        let request = OfficerRequest::parse_and_verify(request).map_err(ServiceError::from_coded)?;
        if (&request.name, request.roles) != (&call.operator.name, call.operator.roles) {
            let text = format!(
                "a renewal is for {} ({}), as the certificate says; the request is for {} ({})",
                call.operator.name, call.operator.roles, request.name, request.roles
            );
            return Err(ServiceError::invalid("OFFICER_REQUEST_DIFFERS", text));
        }
        let days = self.officer_days(days)?;
        let _ceremony = self.officers.ceremony.lock().await;
        // Between the admission and here an administrator may have acted.
        self.officer_standing(&call.operator, &call.certificate).map_err(ServiceError::denied_by)?;
        self.check_officer_key(&request)?;
        let mut officer = (*self.officers.known(&call.operator.name)?).clone();
        let revoked = |one: &EnrolledCertificate| one.state == CertificateState::Revoked;
        if officer.certificates.iter().any(|one| revoked(one) && one.operator.public_key == request.public_key) {
            return Err(key_revoked());
        }
        let der = self.certify_officer(&request, call.operator.roles, days)?;
        officer.add(EnrolledCertificate::new(der.clone(), self.clock.now(), vec![call.operator.name.to_string()])?);
        self.write_officer(officer, Batch::new()).await?;
        Ok(der)
    }

    fn certify_officer(&self, request: &OfficerRequest, roles: Roles, days: u32) -> Result<Vec<u8>, ServiceError> {
        let der =
            self.officers.authority.certify(ToCertify { name: &request.name, roles, point: &request.point, days })?;
        Ok(der)
    }

    /// How many days a certificate is valid that was asked for so many.
    fn officer_days(&self, asked: u32) -> Result<u32, ServiceError> {
        let limits = &self.limits;
        let most = limits.officer_days_most.max(1);
        match asked {
            0 => Ok(limits.officer_days.clamp(1, most)),
            days if days <= most => Ok(days),
            _ => Err(ServiceError::invalid(
                "OFFICER_DAYS",
                format!("an officer's certificate is valid for at most {most} days at this node"),
            )),
        }
    }

    /// A key is one person's.
    fn check_officer_key(&self, request: &OfficerRequest) -> Result<(), ServiceError> {
        match self.officers.holder(&request.public_key) {
            Some(holder) if holder != request.name => {
                Err(ServiceError::conflict("OFFICER_KEY_IN_USE", "another officer's certificate has this key")
                    .with_hint("make a request with a key of its own: `eads officer request`"))
            }
            _ => Ok(()),
        }
    }

    /// All words of first administrators that still wait.
    pub(super) async fn pending_officers(&self) -> Result<Vec<PendingAt>, ServiceError> {
        let mut found = Vec::new();
        let mut pages = Pages::of(&*self.store, area::OFFICER_PENDING);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let opened = self.vault.open_row(area::OFFICER_PENDING, &key, &row).await?;
                if let Some(Sealed::Plain { bytes, .. }) = opened {
                    found.push(PendingAt { key: key.to_vec(), row: row.to_vec(), word: crate::rows::parse(&bytes)? });
                }
            }
        }
        Ok(found)
    }

    async fn pending_officer(&self, name: &OperatorName) -> Result<Option<PendingAt>, ServiceError> {
        Ok(self.pending_officers().await?.into_iter().find(|pending| pending.word.name == *name))
    }

    /// The first administrator's word, if it said the same, is not too old, and its administrator still is one.
    fn first_word_on_officer<'a>(&self, pending: Option<&'a PendingAt>, said: Hash) -> Option<&'a Pending> {
        let now = self.clock.now();
        let word = pending.map(|pending| &pending.word)?;
        let able = self.officers.get(&word.administrator).is_some_and(|first| first.is_able_administrator(now));
        (word.said == said && able && now.seconds_since(word.at) <= PATIENCE).then_some(word)
    }

    async fn write_pending_officer(
        &self,
        mut batch: Batch,
        over: Option<PendingAt>,
        word: &Pending,
    ) -> Result<(), ServiceError> {
        let (key, slot) = match over {
            Some(over) => (over.key, self.vault.slot_of(area::OFFICER_PENDING, &over.row)?),
            None => {
                let key: [u8; 16] = eads_domain::entropy::random(&*self.entropy);
                (key.to_vec(), self.keys.allocate()?)
            }
        };
        let bytes = serde_json::to_vec(word).map_err(|error| {
            ServiceError::internal("ROW_UNWRITABLE", "a pending enrolment cannot be written").caused_by(error)
        })?;
        self.vault.replace(&mut batch, area::OFFICER_PENDING, &key, slot, SCHEMA, &bytes).await?;
        self.store.commit(batch).await?;
        Ok(())
    }
}

fn key_revoked() -> ServiceError {
    ServiceError::denied("OFFICER_KEY_REVOKED", "this key belongs to a certificate that was revoked")
        .with_hint("make a request with a new key: `eads officer request`")
}

/// A name is one person's: of the same key, or given anew after a revocation.
fn check_name(held: &Officer, request: &OfficerRequest) -> Result<(), ServiceError> {
    match held.state {
        OfficerState::Suspended => {
            Err(ServiceError::conflict("OFFICER_SUSPENDED", format!("{} is suspended", held.name))
                .with_hint("resume or revoke the officer first"))
        }
        OfficerState::Revoked if held.holds_key(&request.public_key) => Err(key_revoked()),
        OfficerState::Revoked => Ok(()),
        OfficerState::Active => {
            let mut current = held.certificates.iter().filter(|one| one.state != CertificateState::Revoked);
            if current.any(|one| one.operator.public_key == request.public_key) {
                return Ok(());
            }
            Err(ServiceError::conflict("OFFICER_NAME_TAKEN", format!("{} is enrolled with another key", held.name))
                .with_hint("the holder renews with `eads officer renew`; if the key is lost, revoke the officer first"))
        }
    }
}
