//! Which role may call which method of the operator interface. What is not in the table is refused.

use eads_domain::operator::{Operator, Role};

use crate::error::ServiceError;

use Role::{Administrator, Approver, Auditor, Issuer, Officer};

/// Every operator method with the roles that may call it.
pub const METHODS: &[(&str, &[Role])] = &[
    ("GetStatus", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("VerifyRegisters", &[Auditor, Administrator]),
    ("ExportCard", &[Administrator]),
    ("ImportCard", &[Administrator]),
    ("AcceptPeer", &[Administrator]),
    ("ListPeers", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("RemovePeer", &[Administrator]),
    ("CreateDraft", &[Issuer]),
    ("ListDrafts", &[Issuer, Approver]),
    ("GetDraft", &[Issuer, Approver]),
    ("ApproveDraft", &[Approver]),
    ("DiscardDraft", &[Issuer, Approver]),
    ("IssueDraft", &[Issuer, Approver]),
    ("SuspendNotice", &[Issuer, Approver]),
    ("ListNotices", &[Officer, Issuer, Approver]),
    ("GetNotice", &[Officer, Issuer, Approver]),
    ("GetNoticeStatus", &[Officer, Issuer, Approver, Auditor, Administrator]),
    ("ImportNotices", &[Issuer]),
    ("ImportRecords", &[Issuer, Administrator]),
    ("GetRecord", &[Officer, Issuer, Approver]),
    ("Search", &[Officer, Issuer, Approver]),
    ("ListAuditEntries", &[Auditor]),
    ("VerifyAudit", &[Auditor, Administrator]),
];

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
