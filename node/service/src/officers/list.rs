//! The officers as administrators and auditors see them.

use std::sync::Arc;

use eads_domain::clock::Timestamp;
use eads_domain::operator::OperatorName;

use super::Officer;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

/// An enrolment that waits for a second administrator.
#[derive(Clone, Debug)]
pub struct AwaitedOfficer {
    /// Who is to be enrolled.
    pub name: OperatorName,
    /// With which roles, comma separated.
    pub roles: String,
    /// Who said so first.
    pub administrator: OperatorName,
    /// When.
    pub at: Timestamp,
}

/// All officers.
#[derive(Clone, Debug)]
pub struct OfficerList {
    /// In order of their names, revoked ones included.
    pub officers: Vec<Arc<Officer>>,
    /// Those who wait for a second administrator.
    pub awaited: Vec<AwaitedOfficer>,
}

impl Node {
    /// All officers, revoked ones included, and enrolments that wait for a second administrator.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list_officers(&self, call: &Call) -> Result<OfficerList, ServiceError> {
        let listing = async {
            let awaited = self.pending_officers().await?.into_iter().map(|pending| AwaitedOfficer {
                name: pending.word.name,
                roles: pending.word.roles,
                administrator: pending.word.administrator,
                at: pending.word.at,
            });
            Ok(OfficerList { officers: self.officers.all(), awaited: awaited.collect() })
        };
        self.audited(call, "ListOfficers", None, listing).await
    }

    /// One officer with every certificate that is remembered.
    ///
    /// # Errors
    /// `OFFICER_UNKNOWN`.
    pub async fn get_officer(&self, call: &Call, name: &OperatorName) -> Result<Arc<Officer>, ServiceError> {
        self.audited(call, "GetOfficer", Some(name.to_string()), async { self.officers.known(name) }).await
    }
}
