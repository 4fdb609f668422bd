//! Officers whom the node's own machine certified: the first ones, and those of an emergency.

use eads_domain::approval::OfficerCertificate;
use eads_domain::code::Coded as _;
use eads_domain::id::RequestId;
use eads_domain::operator::Operator;
use eads_store::port::Batch;

use super::{CertificateState, EnrolledCertificate, OfficerState};
use crate::area;
use crate::audit::{Actor, Entry, EntryKind};
use crate::error::ServiceError;
use crate::node::Node;

/// Who enrols in the name of the machine.
const SETUP: &str = "setup";

impl Node {
    /// Enrols the holders of certificates that were issued on the node's own machine with the passphrase of its
    /// keys. What is enrolled already, what the operator CA did not issue, and a name or key of somebody else stays
    /// as it is. Returns how many were new.
    ///
    /// # Errors
    /// When the store or the audit log cannot be written.
    pub async fn adopt_officers(&self, certificates: &[Vec<u8>]) -> Result<usize, ServiceError> {
        let mut adopted = 0;
        for der in certificates {
            match self.adopt_officer(der).await {
                Ok(new) => adopted += usize::from(new),
                Err(error) if error.class() == crate::Class::Internal || error.class() == crate::Class::Unavailable => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(code = %error.code(), "a certificate from the setup was not taken: {error}");
                }
            }
        }
        Ok(adopted)
    }

    /// A backup does not know who was suspended or revoked after it was taken.
    pub(crate) async fn recall_restored_officers(&self) -> Result<(), ServiceError> {
        if self.store.get(area::META, area::meta::RESTORED).await?.is_some() {
            self.alarms.raise(
                "OFFICERS_RESTORED",
                self.clock.now(),
                "officers stand as in the backup: suspend and revoke again whom you suspended or revoked since \
                 (`eads officer list`)"
                    .to_owned(),
            );
        }
        Ok(())
    }

    async fn adopt_officer(&self, der: &[u8]) -> Result<bool, ServiceError> {
        let own = self.identity();
        OfficerCertificate::verify(der, own.card.card().operator_anchor.as_der()).map_err(ServiceError::from_coded)?;
        let operator = Operator::from_certificate(der).map_err(ServiceError::from_coded)?;
        if operator.member != self.member {
            return Err(ServiceError::denied("OPERATOR_OTHER_MEMBER", "it names an operator of another member"));
        }
        let _ceremony = self.officers.ceremony.lock().await;
        let held = self.officers.get(&operator.name);
        if held.as_ref().is_some_and(|held| held.certificates.iter().any(|one| one.der == der)) {
            return Ok(false);
        }
        let taken = |text| ServiceError::conflict("OFFICER_NAME_TAKEN", text);
        if self.officers.holder(&operator.public_key).is_some_and(|holder| holder != operator.name) {
            return Err(taken("its key is another officer's"));
        }
        let mut officer = match held {
            None => self.new_officer(operator.name.clone(), SETUP.to_owned())?,
            Some(held) if held.state != OfficerState::Active => return Err(taken("its name was suspended or revoked")),
            Some(held) => {
                let same = |one: &EnrolledCertificate| {
                    one.state == CertificateState::Current && one.operator.public_key == operator.public_key
                };
                if !held.certificates.iter().any(same) {
                    return Err(taken("its name is enrolled with another key"));
                }
                (*held).clone()
            }
        };
        let mut entry = Entry::new(
            EntryKind::Event,
            self.clock.now(),
            RequestId::random(&*self.entropy),
            Actor::Node,
            "AdoptOfficer",
        );
        entry.subject = Some(format!("{} ({})", operator.name, operator.roles));
        self.audit.event(entry, "OK").await?;
        officer.add(EnrolledCertificate::new(der.to_vec(), self.clock.now(), vec![SETUP.to_owned()])?);
        self.write_officer(officer, Batch::new()).await?;
        Ok(true)
    }
}
