//! Which role may call which method of the operator interface. What is not in the table is refused.

use std::future::Future;

use eads_domain::code::Coded as _;
use eads_domain::id::RequestId;
use eads_domain::operator::{Operator, Role};

use crate::audit::{Actor, Entry, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

use Role::{Administrator, Approver, Auditor, Issuer, Officer};

/// Every operator method with the roles that may call it.
pub const METHODS: &[(&str, &[Role])] = &[
    ("GetStatus", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("VerifyRegisters", &[Auditor, Administrator]),
    ("SkipStartWait", &[Administrator]),
    ("ExportCard", &[Administrator]),
    ("ImportCard", &[Administrator]),
    ("AcceptPeer", &[Administrator]),
    ("ListPeers", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("RemovePeer", &[Administrator]),
    ("UnfreezePeer", &[Administrator]),
    ("RebaselinePeer", &[Administrator]),
    ("ExportProof", &[Auditor, Administrator]),
    ("ExportSync", &[Administrator]),
    ("ImportSync", &[Administrator]),
    ("UploadPhoto", &[Issuer]),
    ("GetPhoto", &[Officer, Issuer, Approver]),
    ("CreateDraft", &[Issuer]),
    ("ListDrafts", &[Issuer, Approver]),
    ("GetDraft", &[Issuer, Approver]),
    ("ApproveDraft", &[Approver]),
    ("DiscardDraft", &[Issuer, Approver]),
    ("IssueDraft", &[Issuer, Approver]),
    ("SubmitDraft", &[Issuer]),
    ("ReturnDraft", &[Approver]),
    ("IssueInEmergency", &[Issuer]),
    ("ConfirmEmergency", &[Issuer]),
    ("ExtendNotice", &[Issuer]),
    ("ListDue", &[Officer, Issuer, Approver]),
    ("SuspendNotice", &[Issuer, Approver]),
    ("ListNotices", &[Officer, Issuer, Approver]),
    ("GetNotice", &[Officer, Issuer, Approver]),
    ("GetNoticeStatus", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("ImportNotices", &[Issuer]),
    ("ImportRecords", &[Issuer, Administrator]),
    ("GetRecord", &[Officer, Issuer, Approver]),
    ("Search", &[Officer, Issuer, Approver]),
    ("ListDesk", &[Approver]),
    ("GetDeskNotice", &[Approver]),
    ("ApproveHeldNotice", &[Approver]),
    ("RefuseHeldNotice", &[Approver]),
    ("UndoDeskDecision", &[Approver]),
    ("ListCollisions", &[Approver]),
    ("RecordChallenge", &[Issuer, Approver]),
    ("ListChallenges", &[Approver]),
    ("AnswerChallenge", &[Approver]),
    ("CloseChallenge", &[Approver]),
    ("ExportCourtPack", &[Auditor, Administrator]),
    ("PlaceHold", &[Administrator]),
    ("ReleaseHold", &[Administrator]),
    ("ListHolds", &[Auditor, Administrator]),
    ("WriteOffReceipt", &[Administrator]),
    ("OpenSubjectRequest", &[Auditor, Administrator]),
    ("ListSubjectRequests", &[Auditor, Administrator]),
    ("FindSubject", &[Auditor]),
    ("AnswerSubjectRequest", &[Auditor, Administrator]),
    ("AddNotThisPerson", &[Issuer, Approver]),
    ("ListNotThisPerson", &[Officer, Issuer, Approver, Auditor]),
    ("RemoveNotThisPerson", &[Issuer, Approver, Auditor]),
    ("ListAuditEntries", &[Auditor]),
    ("GetAuditEntry", &[Auditor]),
    ("VerifyAudit", &[Auditor, Administrator]),
    ("EnrolOfficer", &[Administrator]),
    ("RenewOfficer", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("ListOfficers", &[Auditor, Administrator]),
    ("GetOfficer", &[Auditor, Administrator]),
    ("SuspendOfficer", &[Administrator]),
    ("ResumeOfficer", &[Administrator]),
    ("RevokeOfficer", &[Administrator]),
    ("ExportAudit", &[Auditor]),
    ("CountersignAudit", &[Auditor]),
    ("ListAuditCountersignatures", &[Auditor, Administrator]),
    ("CompareAudit", &[Auditor]),
];

impl Node {
    /// Lets the holder of a client certificate of this node's operator CA call `method`. A refusal is written
    /// down before it is answered.
    ///
    /// # Errors
    /// `OPERATOR_*` for a certificate that names no operator of this member, `OFFICER_*` for one that is not enrolled
    /// or whose officer may not work now, `ROLE_REQUIRED`, `METHOD_UNKNOWN`.
    pub async fn admit(&self, certificate: &[u8], request: RequestId, method: &str) -> Result<Call, ServiceError> {
        let operator = Operator::from_certificate(certificate);
        let (actor, admitted) = match operator {
            Ok(operator) => {
                let call = Call::new(operator, certificate.to_vec(), request);
                let admitted = if call.operator.member == self.member {
                    self.officer_standing(&call.operator, certificate)
                        .map_err(ServiceError::denied_by)
                        .and_then(|()| authorise(&call.operator, method))
                } else {
                    Err(ServiceError::denied(
                        "OPERATOR_OTHER_MEMBER",
                        "the certificate names an operator of another member",
                    ))
                };
                (call.actor(), admitted.map(|()| call))
            }
            Err(error) => {
                let unknown = Actor::Operator { name: "(unreadable certificate)".to_owned(), roles: Vec::new() };
                (unknown, Err(ServiceError::denied_by(error)))
            }
        };
        if let Err(error) = &admitted {
            self.write_refusal(actor, request, method, error).await?;
        }
        if let Ok(call) = &admitted {
            self.officer_seen(call).await;
        }
        admitted
    }

    /// Writes down that a call of `operation` was refused before it became one of a use case: an auditor sees
    /// what was tried.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`.
    pub async fn refused(&self, call: &Call, operation: &str, error: &ServiceError) -> Result<(), ServiceError> {
        call.mark_written();
        self.write_refusal(call.actor(), call.request, operation, error).await
    }

    /// The same where only the refusal's code is known.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE`.
    pub async fn refused_as(&self, call: &Call, operation: &str, code: &str) -> Result<(), ServiceError> {
        call.mark_written();
        let entry = Entry::new(EntryKind::Event, self.clock.now(), call.request, call.actor(), operation);
        self.audit.event(entry, code).await
    }

    async fn write_refusal(
        &self,
        actor: Actor,
        request: RequestId,
        operation: &str,
        error: &ServiceError,
    ) -> Result<(), ServiceError> {
        let entry = Entry::new(EntryKind::Event, self.clock.now(), request, actor, operation);
        self.audit.event(entry, error.code().as_str()).await
    }

    /// Does `work`, which reads something without a use case of its own, between an intent and its outcome.
    ///
    /// # Errors
    /// Those of `work`, and `AUDIT_UNAVAILABLE`.
    pub async fn audited<T>(
        &self,
        call: &Call,
        operation: &'static str,
        subject: Option<String>,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let mut entry = self.entry(call, operation);
        entry.subject = subject;
        let intent = self.audit.intent(entry).await?;
        let outcome = work.await;
        self.audit.close(intent, &outcome).await?;
        outcome
    }
}

/// Lets `operator` call `method`, or refuses.
///
/// # Errors
/// `ROLE_REQUIRED` when no role of the operator allows it; `METHOD_UNKNOWN` for a method not in the table.
pub fn authorise(operator: &Operator, method: &str) -> Result<(), ServiceError> {
    let Some((_, allowed)) = METHODS.iter().find(|(name, _)| *name == method) else {
        return Err(ServiceError::denied("METHOD_UNKNOWN", "this method is in no role's table"));
    };
    if allowed.iter().any(|role| operator.roles.contains(*role)) {
        return Ok(());
    }
    let names: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
    Err(ServiceError::denied("ROLE_REQUIRED", format!("{method} needs one of the roles: {}", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use eads_domain::life::{DraftAct, NoticeAct};

    use super::*;

    #[test]
    fn the_roles_of_a_notices_life_are_those_of_its_tables() {
        let roles = |method: &str| METHODS.iter().find(|(name, _)| *name == method).map(|(_, roles)| *roles);
        for act in DraftAct::ALL {
            assert_eq!(roles(act.method()), Some(act.roles()), "{act}");
        }
        for act in NoticeAct::ALL {
            assert_eq!(act.method().and_then(roles).unwrap_or_default(), act.roles(), "{act}");
        }
    }
}
