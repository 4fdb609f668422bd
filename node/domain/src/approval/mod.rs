//! Approvals: the second officer's signature, which any peer can check (PROTOCOL §2, DESIGN §5).
//!
//! An approval covers notice, schema, end of validity and every commitment but that of the approvals slot. It
//! stands in that slot with the officer's certificate, and counts only under the operator CA that the origin's
//! card announces.

mod certificate;
mod error;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

pub use certificate::OfficerCertificate;
pub use error::ApprovalError;

use crate::clock::Timestamp;
use crate::encode::pae;
use crate::id::{Hash, MemberId, NoticeId};
use crate::operator::{CertificateSerial, OperatorName, Role};
use crate::slot::{ContentError, SLOTS, SlotNumber};
use crate::value::{Text, Value};

const LABEL: &[u8] = b"eads/v1/approval";
const FIELD: &str = "approvals";

/// What an approver signs: PAE("eads/v1/approval", notice, u16 schema, i64 not_after, commitments), the
/// commitments being c_0 ‖ … ‖ c_47 without that of the approvals slot.
pub fn message(notice: &NoticeId, schema: u16, not_after: Timestamp, commitments: &[Hash; SLOTS]) -> Vec<u8> {
    let covered: Vec<u8> = SlotNumber::all()
        .zip(commitments)
        .filter(|(slot, _)| *slot != SlotNumber::APPROVALS)
        .flat_map(|(_, commitment)| *commitment.as_bytes())
        .collect();
    pae(&[LABEL, notice.as_bytes(), &schema.to_be_bytes(), &not_after.as_unix().to_be_bytes(), &covered])
}

/// A second officer's signature with the certificate that it was made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// ECDSA P-256 with SHA-256, r ‖ s.
    pub signature: [u8; 64],
    /// The officer's certificate, DER.
    pub certificate: Vec<u8>,
}

/// The officer who approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// Whose officer.
    pub member: MemberId,
    /// The name in the certificate's URI.
    pub name: OperatorName,
    /// The certificate's serial number.
    pub serial: CertificateSerial,
}

impl Approval {
    /// The longest certificate, in bytes.
    pub const MAX_CERTIFICATE: usize = 8 * 1024;

    /// Signs an approval message with the officer's key.
    pub fn sign(message: &[u8], key: &SigningKey, certificate: Vec<u8>) -> Self {
        let signature: Signature = key.sign(message);
        Self { signature: signature.to_bytes().into(), certificate }
    }

    /// Checks that an approver of `member`, whose operator CA is `anchor` (DER), signed `message`, and that the
    /// certificate was valid `at` that time.
    ///
    /// # Errors
    /// [`ApprovalError`], one code for each thing that can be wrong.
    pub fn verify(
        &self,
        message: &[u8],
        anchor: &[u8],
        member: MemberId,
        at: Timestamp,
    ) -> Result<Approver, ApprovalError> {
        self.verify_under(&OfficerCertificate::verify(&self.certificate, anchor)?, message, member, at)
    }

    /// [`Approval::verify`] with its own certificate verified before, for callers who meet it often.
    ///
    /// # Errors
    /// [`ApprovalError`], apart from what is wrong with the certificate at any time.
    pub fn verify_under(
        &self,
        certificate: &OfficerCertificate,
        message: &[u8],
        member: MemberId,
        at: Timestamp,
    ) -> Result<Approver, ApprovalError> {
        let operator = certificate.valid_at(at)?;
        if operator.member != member {
            return Err(ApprovalError::OtherMember);
        }
        if !operator.roles.contains(Role::Approver) {
            return Err(ApprovalError::NotApprover);
        }
        certificate.check_signature(message, &self.signature)?;
        Ok(Approver { member: operator.member, name: operator.name.clone(), serial: operator.serial.clone() })
    }

    fn to_item(&self) -> Result<Value, ContentError> {
        let text = |bytes: &[u8]| {
            let text = Text::new(&STANDARD.encode(bytes));
            text.map(Value::Text).map_err(|source| ContentError::Text { field: FIELD, source })
        };
        Ok(Value::List(vec![text(&self.signature)?, text(&self.certificate)?]))
    }

    fn from_item(item: &Value) -> Option<Self> {
        let [signature, certificate] = item.items() else { return None };
        let signature = STANDARD.decode(signature.as_text()?).ok()?.try_into().ok()?;
        let certificate = STANDARD.decode(certificate.as_text()?).ok()?;
        (certificate.len() <= Self::MAX_CERTIFICATE).then_some(Self { signature, certificate })
    }
}

/// The value of the approvals slot: a list of [signature, certificate], both base64.
///
/// # Errors
/// [`ContentError`] if a certificate is too long to be a text.
pub fn to_value(approvals: &[Approval]) -> Result<Value, ContentError> {
    approvals.iter().map(Approval::to_item).collect::<Result<_, _>>().map(Value::List)
}

/// The approvals in the value of the approvals slot.
///
/// # Errors
/// [`ApprovalError::Malformed`] if it is not a list of them.
pub fn from_value(value: &Value) -> Result<Vec<Approval>, ApprovalError> {
    let Value::List(items) = value else { return Err(ApprovalError::Malformed) };
    items.iter().map(|item| Approval::from_item(item).ok_or(ApprovalError::Malformed)).collect()
}
