//! Requests and certificates as files and as words.

use std::path::Path;

use eads_domain::encode::sha256;
use eads_domain::operator::{OfficerRequest, Operator, OperatorName, Roles};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::error::CliError;
use crate::exit::Exit;
use crate::files;

const CERTIFICATE: &str = "CERTIFICATE";

/// A request signed by `key`, PEM.
pub(super) fn request(key: &KeyPair, name: &OperatorName, roles: Roles) -> Result<(OfficerRequest, String), CliError> {
    let unmade = |cause: rcgen::Error| CliError::new("OFFICER_REQUEST_UNMADE", Exit::Local, cause.to_string());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationalUnitName, roles.to_string());
    params.distinguished_name.push(DnType::CommonName, name.as_str());
    let made = params.serialize_request(key).map_err(unmade)?;
    Ok((OfficerRequest::parse_and_verify(made.der())?, made.pem().map_err(unmade)?))
}

/// A request file, PEM or DER, with its bytes as they were signed.
pub(super) fn read_request(path: &Path) -> Result<(OfficerRequest, Vec<u8>), CliError> {
    let bytes = files::read(path)?;
    let der = match pem::parse(&bytes) {
        Ok(block) => block.into_contents(),
        Err(_) => bytes,
    };
    let request = OfficerRequest::parse_and_verify(&der);
    Ok((request.map_err(|error| CliError::from(error).about(path.display()))?, der))
}

/// Certificates as PEM, one after the other.
pub(super) fn armor(certificates: &[&[u8]]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    certificates.iter().map(|der| pem::encode_config(&pem::Pem::new(CERTIFICATE, *der), config)).collect()
}

/// The officer's certificate and the authority's, as enrolment writes them.
pub(super) fn read_bundle(path: &Path) -> Result<(Vec<u8>, Vec<u8>), CliError> {
    let unusable = || {
        let text = format!("{} holds no certificate followed by that of its authority", path.display());
        CliError::new("OFFICER_CERTIFICATE_FILE", Exit::BadInput, text)
    };
    let blocks = pem::parse_many(files::read(path)?).map_err(|_| unusable())?;
    let mut found = blocks.into_iter().filter(|block| block.tag() == CERTIFICATE).map(pem::Pem::into_contents);
    match (found.next(), found.next(), found.next()) {
        (Some(leaf), Some(authority), None) => Ok((leaf, authority)),
        _ => Err(unusable()),
    }
}

/// What the node certified, checked: this key, this name, these roles, by this authority.
pub(super) fn check(
    certificate: &[u8],
    authority: &[u8],
    public_key: &[u8],
    wanted: Option<(&OperatorName, Roles)>,
) -> Result<Operator, CliError> {
    eads_domain::approval::OfficerCertificate::verify(certificate, authority)?;
    let operator = Operator::from_certificate(certificate)?;
    if operator.public_key != public_key {
        return Err(CliError::new(
            "OFFICER_CERTIFICATE_OTHER_KEY",
            Exit::BadInput,
            "the certificate is for another key than this one",
        ));
    }
    if wanted.is_some_and(|wanted| wanted != (&operator.name, operator.roles)) {
        let text = format!("the node certified {} ({}) instead", operator.name, operator.roles);
        return Err(CliError::new("OFFICER_CERTIFICATE_DIFFERS", Exit::Integrity, text));
    }
    Ok(operator)
}

/// A key in few digits, for two people who compare it by telephone.
pub(super) fn key_digits(public_key: &[u8]) -> String {
    let digest = sha256(public_key).to_string();
    let groups: Vec<&str> = (0..8).filter_map(|group| digest.get(group * 4..group * 4 + 4)).collect();
    groups.join(" ")
}
