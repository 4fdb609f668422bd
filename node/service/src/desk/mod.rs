//! The desk: who decides whether another state's notice may be acted on at home.
//!
//! A decision of the desk is this member's own: it is kept apart from what the owner says, survives restarts, and
//! reaches the owner only as a signed receipt. Later versions wait for the desk again unless it said otherwise. A
//! refusal destroys the content first and then says so; what remains is that it was refused, and why, until the
//! notice would have ended.

mod decide;
mod show;

pub use show::{DeskDetail, DeskFilter, DeskNotice};

use eads_domain::agreement::Decision;
use eads_domain::clock::Timestamp;
use eads_domain::id::Hash;
use eads_domain::operator::Role;
use eads_domain::receipt::ReceiptReason;
use eads_domain::subject::{NoticeKind, SubjectType};
use serde::{Deserialize, Serialize};

use crate::context::Call;
use crate::error::ServiceError;

/// The longest note of a decision, in characters.
pub const MAX_NOTE_CHARS: usize = 500;

/// What the desk decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Officers may act on it.
    Approved,
    /// Not taken; nothing of its content is kept.
    Refused,
}

impl Verdict {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
        }
    }
}

/// The latest decision about a held notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeskRow {
    /// What was decided.
    pub verdict: Verdict,
    /// Number of a refusal's reason.
    pub reason: u16,
    /// The officer who decided.
    pub officer: String,
    /// When.
    pub at: Timestamp,
    /// Later versions are decided the same.
    pub for_all_versions: bool,
    /// For this member's own files; says nothing of the subject.
    pub note: String,
    /// D of the version that was decided upon.
    pub digest: Hash,
    /// Its number.
    pub version: u16,
    /// Its index in the owner's register.
    pub index: u64,
    /// What people cite.
    pub reference: String,
    /// Kind.
    pub kind: NoticeKind,
    /// Subject type.
    pub subject: SubjectType,
    /// Exercise notice.
    pub exercise: bool,
    /// Until then the decision is kept.
    pub keep_until: Timestamp,
}

impl DeskRow {
    /// The reason of a refusal.
    pub const fn reason(&self) -> ReceiptReason {
        ReceiptReason::from_number(self.reason)
    }
}

/// Whether the caller is of the desk.
pub(crate) fn is_desk(call: &Call) -> bool {
    call.operator.roles.contains(Role::Approver)
}

pub(crate) fn require_desk(call: &Call) -> Result<(), ServiceError> {
    if is_desk(call) {
        return Ok(());
    }
    Err(ServiceError::denied("ROLE_REQUIRED", "what waits for the desk is shown to approvers only"))
}

/// What becomes of a version that arrives: the agreement first, then what the desk decided about the notice, then
/// whether lawyers must look at it. None where there is no agreement.
pub(crate) fn on_arrival(
    agreed: Option<Decision>,
    decided: Option<&DeskRow>,
    digest: Hash,
    needs_legal_review: bool,
) -> (Decision, bool) {
    match (agreed, decided) {
        (None, _) => (Decision::Refuse(ReceiptReason::KIND_NOT_RECEIVED), false),
        (Some(Decision::Refuse(reason)), _) => (Decision::Refuse(reason), false),
        (Some(_), Some(row)) if row.for_all_versions || row.digest == digest => match row.verdict {
            Verdict::Approved => (Decision::Actionable, true),
            Verdict::Refused => (Decision::Refuse(row.reason()), true),
        },
        (Some(_), Some(_)) => (Decision::Quarantine, false),
        (Some(_), None) if needs_legal_review => (Decision::Quarantine, false),
        (Some(agreed), None) => (agreed, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(verdict: Verdict, for_all_versions: bool) -> DeskRow {
        DeskRow {
            verdict,
            reason: ReceiptReason::POLITICAL.number(),
            officer: "approver".to_owned(),
            at: Timestamp::from_unix(1),
            for_all_versions,
            note: String::new(),
            digest: Hash::from_bytes([1; 32]),
            version: 1,
            index: 4,
            reference: "ID-2026-7K3QX9-5".to_owned(),
            kind: NoticeKind::Red,
            subject: SubjectType::Person,
            exercise: false,
            keep_until: Timestamp::from_unix(9),
        }
    }

    #[test]
    fn the_agreement_comes_first_then_the_desk_then_the_lawyers() {
        use Decision::{Actionable, Quarantine, Refuse};
        use Verdict::{Approved, Refused};
        let (same, other) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let (political, refugee) = (ReceiptReason::POLITICAL, ReceiptReason::REFUGEE);
        let kind = ReceiptReason::KIND_NOT_RECEIVED;
        let table = [
            (None, None, same, false, (Refuse(kind), false)),
            (Some(Actionable), None, same, false, (Actionable, false)),
            (Some(Actionable), None, same, true, (Quarantine, false)),
            (Some(Quarantine), None, same, false, (Quarantine, false)),
            (Some(Refuse(refugee)), Some(row(Approved, true)), same, false, (Refuse(refugee), false)),
            (Some(Quarantine), Some(row(Approved, false)), same, false, (Actionable, true)),
            (Some(Quarantine), Some(row(Approved, false)), other, false, (Quarantine, false)),
            (Some(Actionable), Some(row(Refused, false)), other, false, (Quarantine, false)),
            (Some(Quarantine), Some(row(Approved, true)), other, true, (Actionable, true)),
            (Some(Actionable), Some(row(Refused, false)), same, false, (Refuse(political), true)),
            (Some(Actionable), Some(row(Refused, true)), other, false, (Refuse(political), true)),
        ];
        for (at, (agreed, decided, digest, legal, expected)) in table.into_iter().enumerate() {
            assert_eq!(on_arrival(agreed, decided.as_ref(), digest, legal), expected, "line {at}");
        }
    }
}
