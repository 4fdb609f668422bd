//! An auditor's signature over the log up to an entry: from then on not even the node's own administrators can give
//! it another past without the auditor's noticing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde::{Deserialize, Serialize};

use crate::approval::{Approval, ApprovalError, OfficerCertificate};
use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::encode::pae;
use crate::id::{Hash, MemberId, RegisterId};
use crate::operator::{OperatorName, Role};

const LABEL: &[u8] = b"eads/v1/audit-countersign";

/// One signature, as it is kept and exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countersignature {
    /// The last entry that it covers.
    pub sequence: u64,
    /// The chain after that entry.
    pub chain: Hash,
    /// When, by the auditor's clock.
    pub at: Timestamp,
    /// ECDSA P-256 with SHA-256, r ‖ s, in hexadecimal digits.
    signature: String,
    /// The auditor's certificate, DER in base64.
    certificate: String,
}

/// Why a countersignature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountersignatureError {
    /// Not 64 bytes beside a certificate.
    #[error("a countersignature is malformed")]
    Malformed,
    /// The certificate or the signature is not good.
    #[error("{0}")]
    Signature(#[from] ApprovalError),
    /// An officer without the role, or of another member.
    #[error("the signer is no auditor of this member")]
    NotAuditor,
}

impl Coded for CountersignatureError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed => Code::new("COUNTERSIGNATURE_MALFORMED"),
            Self::Signature(_) => Code::new("COUNTERSIGNATURE_INVALID"),
            Self::NotAuditor => Code::new("COUNTERSIGNER_NOT_AUDITOR"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl Countersignature {
    /// From what came over the wire; nothing is verified.
    pub fn new(sequence: u64, chain: Hash, at: Timestamp, signature: &[u8], certificate: &[u8]) -> Self {
        Self { sequence, chain, at, signature: hex::encode(signature), certificate: STANDARD.encode(certificate) }
    }

    /// Signs the log of `register` up to `sequence` with an auditor's key.
    pub fn sign(
        (member, register): (MemberId, RegisterId),
        (sequence, chain): (u64, Hash),
        at: Timestamp,
        key: &SigningKey,
        certificate: &[u8],
    ) -> Self {
        let signature: Signature = key.sign(&message(member, register, sequence, &chain, at));
        Self::new(sequence, chain, at, &signature.to_bytes(), certificate)
    }

    /// The auditor, if the signature is that of one under the operator CA `anchor` (DER), whose certificate was valid
    /// when it was made.
    ///
    /// # Errors
    /// [`CountersignatureError`].
    pub fn verify(
        &self,
        member: MemberId,
        register: RegisterId,
        anchor: &[u8],
    ) -> Result<OperatorName, CountersignatureError> {
        let (signature, certificate) = (self.signature(), self.certificate());
        let signature: [u8; 64] = signature.try_into().map_err(|_| CountersignatureError::Malformed)?;
        if certificate.is_empty() || certificate.len() > Approval::MAX_CERTIFICATE {
            return Err(CountersignatureError::Malformed);
        }
        let certificate = OfficerCertificate::verify(&certificate, anchor)?;
        let auditor = certificate.valid_at(self.at)?;
        if auditor.member != member || !auditor.roles.contains(Role::Auditor) {
            return Err(CountersignatureError::NotAuditor);
        }
        certificate.check_signature(&message(member, register, self.sequence, &self.chain, self.at), &signature)?;
        Ok(auditor.name.clone())
    }

    /// The signature; empty if it is none.
    pub fn signature(&self) -> Vec<u8> {
        hex::decode(&self.signature).unwrap_or_default()
    }

    /// The certificate, DER; empty if it is none.
    pub fn certificate(&self) -> Vec<u8> {
        STANDARD.decode(&self.certificate).unwrap_or_default()
    }
}

/// `PAE("eads/v1/audit-countersign", member[2], register[16], u64 sequence, chain[32], i64 at)`.
fn message(member: MemberId, register: RegisterId, sequence: u64, chain: &Hash, at: Timestamp) -> Vec<u8> {
    pae(&[
        LABEL,
        member.as_bytes(),
        register.as_bytes(),
        &sequence.to_be_bytes(),
        chain.as_bytes(),
        &at.as_unix().to_be_bytes(),
    ])
}
