//! Why an approval does not count.

use crate::code::{Code, Coded, Fault};

/// Why an approval does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// Not a signature of 64 bytes beside a certificate.
    #[error("an approval is malformed")]
    Malformed,
    /// The certificate or the anchor is not an X.509 certificate with a P-256 key, names no single officer, or
    /// asks for something that is not understood.
    #[error("the approver's certificate cannot be used")]
    Certificate,
    /// Not issued by the member's operator CA.
    #[error("the approver's certificate was not issued by the member's operator CA")]
    Issuer,
    /// Outside the certificate's validity.
    #[error("the approver's certificate was not valid at that time")]
    Expired,
    /// An officer of another member.
    #[error("the approver is an officer of another member")]
    OtherMember,
    /// An officer without the role.
    #[error("the officer may not approve")]
    NotApprover,
    /// Signed by another key or over something else.
    #[error("the approval's signature is not good")]
    Signature,
}

impl Coded for ApprovalError {
    fn code(&self) -> Code {
        match self {
            Self::Malformed => Code::new("APPROVAL_MALFORMED"),
            Self::Certificate => Code::new("APPROVAL_CERTIFICATE"),
            Self::Issuer => Code::new("APPROVAL_CERTIFICATE_ISSUER"),
            Self::Expired => Code::new("APPROVAL_CERTIFICATE_EXPIRED"),
            Self::OtherMember => Code::new("APPROVAL_OTHER_MEMBER"),
            Self::NotApprover => Code::new("APPROVAL_NOT_APPROVER"),
            Self::Signature => Code::new("APPROVAL_SIGNATURE"),
        }
    }

    fn fault(&self) -> Fault {
        Fault::Peer
    }
}
