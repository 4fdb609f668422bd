//! A request for an officer's certificate: PKCS#10, made where the key is, so that the node never has the key.
//!
//! The subject states the officer's name as common name (CN) and the roles, comma separated, as organizational unit
//! (OU). The key is P-256 and the request is signed with it by ECDSA with SHA-256: whoever asks has the key.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::request::CertReq;

use super::{ORGANIZATIONAL_UNIT, OperatorName, Roles, only, text_of};
use crate::code::{Code, Coded, Fault};

/// RFC 4519, 2.3 `cn`.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// RFC 5758 §3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A request that cannot become a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfficerRequestError {
    /// Not PKCS#10 in DER.
    #[error("the certificate request is not well-formed PKCS#10 in DER of at most {} bytes", OfficerRequest::MAX_BYTES)]
    Malformed,
    /// Another key than P-256.
    #[error("the key of the certificate request is not a P-256 key")]
    Key,
    /// Not signed by its own key.
    #[error("the certificate request is not signed, with ECDSA and SHA-256, by the key that it is for")]
    Signature,
    /// No name, several, or one outside the alphabet.
    #[error("the certificate request must state the officer's name in exactly one common name (CN)")]
    Name,
    /// No roles, or unknown ones.
    #[error("the certificate request must list the officer's roles in exactly one organizational unit (OU)")]
    Roles,
}

impl Coded for OfficerRequestError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Malformed => "OFFICER_REQUEST_MALFORMED",
            Self::Key => "OFFICER_REQUEST_KEY",
            Self::Signature => "OFFICER_REQUEST_SIGNATURE",
            Self::Name => "OFFICER_REQUEST_NAME",
            Self::Roles => "OFFICER_REQUEST_ROLES",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// What a request asks for, its signature checked. What it states is a wish: who grants it states it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfficerRequest {
    /// The name asked for.
    pub name: OperatorName,
    /// The roles asked for.
    pub roles: Roles,
    /// subjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// The same key as a point: SEC 1, uncompressed.
    pub point: Vec<u8>,
}

impl OfficerRequest {
    /// The longest request that is read, bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Reads `der` and checks that its own key signed it.
    ///
    /// # Errors
    /// [`OfficerRequestError`], by what is wrong with it.
    pub fn parse_and_verify(der: &[u8]) -> Result<Self, OfficerRequestError> {
        if der.len() > Self::MAX_BYTES {
            return Err(OfficerRequestError::Malformed);
        }
        let request = CertReq::from_der(der).map_err(|_| OfficerRequestError::Malformed)?;
        // What was signed is then exactly what is read: there is one encoding of it.
        if request.to_der().ok().as_deref() != Some(der) {
            return Err(OfficerRequestError::Malformed);
        }
        let signed = request.info.to_der().map_err(|_| OfficerRequestError::Malformed)?;
        let public_key = request.info.public_key.to_der().map_err(|_| OfficerRequestError::Malformed)?;
        let key = VerifyingKey::from_public_key_der(&public_key).map_err(|_| OfficerRequestError::Key)?;
        if request.algorithm.oid != ECDSA_WITH_SHA256 || request.algorithm.parameters.is_some() {
            return Err(OfficerRequestError::Signature);
        }
        let signature = request.signature.as_bytes().and_then(|bytes| DerSignature::from_bytes(bytes).ok());
        let signature = signature.ok_or(OfficerRequestError::Signature)?;
        key.verify(&signed, &signature).map_err(|_| OfficerRequestError::Signature)?;

        let stated = |kind| only(&request.info.subject, kind).and_then(text_of);
        let name = stated(COMMON_NAME).and_then(|text| text.parse().ok()).ok_or(OfficerRequestError::Name)?;
        let roles = stated(ORGANIZATIONAL_UNIT).and_then(|text| text.parse().ok());
        let roles = roles.ok_or(OfficerRequestError::Roles)?;
        Ok(Self { name, roles, public_key, point: key.to_sec1_point(false).as_bytes().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P384_SHA384, SigningKey};

    use super::*;

    fn request(key: &impl SigningKey, subject: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, text) in subject {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.serialize_request(key).unwrap().der().to_vec()
    }

    fn subject<'a>(name: &'a str, roles: &'a str) -> [(DnType, &'a str); 2] {
        [(DnType::OrganizationalUnitName, roles), (DnType::CommonName, name)]
    }

    #[test]
    fn a_request_says_who_asks_for_what_and_proves_the_key() {
        let key = KeyPair::generate().unwrap();
        let der = request(&key, &subject("desk-7", "officer,issuer"));
        let read = OfficerRequest::parse_and_verify(&der).unwrap();
        assert_eq!((read.name.as_str(), read.roles.to_string().as_str()), ("desk-7", "officer,issuer"));
        assert_eq!(read.point, key.public_key_raw());
        for at in 0..der.len() {
            let mut tampered = der.clone();
            tampered[at] ^= 1;
            assert!(OfficerRequest::parse_and_verify(&tampered).is_err(), "byte {at} changed and nothing noticed");
        }
        assert_eq!(OfficerRequest::parse_and_verify(&der[1..]), Err(OfficerRequestError::Malformed));
        assert_eq!(OfficerRequest::parse_and_verify(&[der, vec![0]].concat()), Err(OfficerRequestError::Malformed));
    }

    #[test]
    fn what_is_missing_or_of_another_kind_has_a_name() {
        let key = KeyPair::generate().unwrap();
        for (subject, error) in [
            (vec![(DnType::OrganizationalUnitName, "officer")], OfficerRequestError::Name),
            (subject("Desk 7", "officer").to_vec(), OfficerRequestError::Name),
            (vec![(DnType::CommonName, "desk-7")], OfficerRequestError::Roles),
            (subject("desk-7", "officer,king").to_vec(), OfficerRequestError::Roles),
        ] {
            assert_eq!(OfficerRequest::parse_and_verify(&request(&key, &subject)), Err(error));
        }
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let der = request(&other, &subject("desk-7", "officer"));
        assert_eq!(OfficerRequest::parse_and_verify(&der), Err(OfficerRequestError::Key));
    }
}
