//! An officer's certificate under the operator CA of a member.
//!
//! One level deep and closed: the operator CA signs officers directly, with ECDSA P-256 and SHA-256. There is
//! no path building and no revocation list; a certificate is short-lived and a card can change its anchor.

use std::ops::RangeInclusive;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _, Header, Reader as _, SliceReader};
use x509_cert::ext::pkix::BasicConstraints;

use super::{Approval, ApprovalError};
use crate::clock::Timestamp;
use crate::operator::{Operator, OperatorError};

/// RFC 5758 §3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// RFC 5280 §4.2.1: basicConstraints, keyUsage, extKeyUsage, subjectAltName.
const UNDERSTOOD: [ObjectIdentifier; 4] = [
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
];

/// An officer's certificate that an anchor issued, with everything checked that depends on no time.
#[derive(Debug)]
pub struct OfficerCertificate {
    operator: Operator,
    key: ParsedPublicKey,
    /// First and last second of the certificate's and of the anchor's validity.
    valid: [RangeInclusive<i64>; 2],
}

impl OfficerCertificate {
    /// Reads `der` after checking that `anchor`, DER too, issued it.
    ///
    /// # Errors
    /// [`ApprovalError`] for what is wrong with it at any time.
    pub fn verify(der: &[u8], anchor: &[u8]) -> Result<Self, ApprovalError> {
        if der.len() > Approval::MAX_CERTIFICATE || anchor.len() > Approval::MAX_CERTIFICATE {
            return Err(ApprovalError::Certificate);
        }
        let certificate = parse(der)?;
        let anchor = parse(anchor)?;
        check_issued(der, &certificate, &anchor)?;
        check_extensions(&certificate)?;
        let operator = Operator::from_certificate(der).map_err(|error| match error {
            OperatorError::NoRole | OperatorError::Role => ApprovalError::NotApprover,
            _ => ApprovalError::Certificate,
        })?;
        let point = public_key(&certificate)?.to_sec1_point(false);
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_bytes());
        let key = key.map_err(|_| ApprovalError::Certificate)?;
        Ok(Self { operator, key, valid: [validity(&certificate), validity(&anchor)] })
    }

    /// The officer, if certificate and anchor were valid `at` that time.
    pub(crate) fn valid_at(&self, at: Timestamp) -> Result<&Operator, ApprovalError> {
        let valid = self.valid.iter().all(|seconds| seconds.contains(&at.as_unix()));
        if valid { Ok(&self.operator) } else { Err(ApprovalError::Expired) }
    }

    /// Whether the officer's key signed `message`; r ‖ s.
    pub(crate) fn check_signature(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), ApprovalError> {
        self.key.verify_sig(message, signature).map_err(|_| ApprovalError::Signature)
    }
}

fn parse(der: &[u8]) -> Result<Certificate, ApprovalError> {
    Certificate::from_der(der).map_err(|_| ApprovalError::Certificate)
}

fn public_key(certificate: &Certificate) -> Result<VerifyingKey, ApprovalError> {
    let spki = certificate.tbs_certificate().subject_public_key_info().to_der();
    VerifyingKey::from_public_key_der(&spki.map_err(|_| ApprovalError::Certificate)?)
        .map_err(|_| ApprovalError::Certificate)
}

fn check_issued(der: &[u8], certificate: &Certificate, anchor: &Certificate) -> Result<(), ApprovalError> {
    let tbs = certificate.tbs_certificate();
    if tbs.issuer() != anchor.tbs_certificate().subject() {
        return Err(ApprovalError::Issuer);
    }
    let algorithms = [certificate.signature_algorithm(), tbs.signature()];
    if algorithms.iter().any(|each| each.oid != ECDSA_WITH_SHA256 || each.parameters.is_some()) {
        return Err(ApprovalError::Certificate);
    }
    let signature = certificate.signature().as_bytes().ok_or(ApprovalError::Certificate)?;
    let signature = DerSignature::from_bytes(signature).map_err(|_| ApprovalError::Issuer)?;
    let signed = signed_bytes(der).ok_or(ApprovalError::Certificate)?;
    public_key(anchor)?.verify(signed, &signature).map_err(|_| ApprovalError::Issuer)
}

/// The bytes of tbsCertificate as they stand in the certificate: what was signed is not built again.
fn signed_bytes(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    reader.tlv_bytes().ok()
}

fn validity(certificate: &Certificate) -> RangeInclusive<i64> {
    let validity = certificate.tbs_certificate().validity();
    let second = |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    second(validity.not_before)..=second(validity.not_after)
}

/// No critical extension beyond those understood, none twice, and not itself a CA.
fn check_extensions(certificate: &Certificate) -> Result<(), ApprovalError> {
    let tbs = certificate.tbs_certificate();
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    if extensions.iter().any(|each| each.critical && !UNDERSTOOD.contains(&each.extn_id)) {
        return Err(ApprovalError::Certificate);
    }
    let constraints = tbs.get_extension::<BasicConstraints>().map_err(|_| ApprovalError::Certificate)?;
    if constraints.is_some_and(|(_, constraints)| constraints.ca) { Err(ApprovalError::Certificate) } else { Ok(()) }
}
