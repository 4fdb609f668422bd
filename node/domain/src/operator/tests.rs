//! Certificates that name an operator, and those that do not.

use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

fn certificate(uris: &[&str], units: &[&str]) -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["operator.example.test".to_owned()]).unwrap();
    params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
    params.distinguished_name.push(DnType::CommonName, "duty-1");
    for unit in units {
        params.distinguished_name.push(DnType::OrganizationalUnitName, *unit);
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn refusal(uris: &[&str], units: &[&str]) -> &'static str {
    Operator::from_certificate(&certificate(uris, units)).unwrap_err().code().as_str()
}

const URI: &str = "spiffe://id.eads/operator/duty-1";

#[test]
fn a_certificate_names_member_name_and_roles() {
    let operator = Operator::from_certificate(&certificate(&[URI], &["issuer, officer"])).unwrap();
    assert_eq!(operator.member.to_string(), "ID");
    assert_eq!(operator.name.as_str(), "duty-1");
    assert_eq!(operator.roles.to_string(), "officer,issuer");
    assert!(operator.roles.contains(Role::Issuer) && !operator.roles.contains(Role::Approver));
    assert!(!operator.serial.as_bytes().is_empty());
    assert_eq!(operator.uri(), URI);
}

#[test]
fn not_exactly_one_uri_is_refused() {
    assert_eq!(refusal(&[], &["officer"]), "OPERATOR_URI_COUNT");
    assert_eq!(refusal(&[URI, "spiffe://id.eads/operator/duty-2"], &["officer"]), "OPERATOR_URI_COUNT");
    assert_eq!(refusal(&[URI, "https://example.test/"], &["officer"]), "OPERATOR_URI_COUNT");
}

#[test]
fn uris_of_nodes_of_other_schemes_and_in_other_spellings_are_refused() {
    for uri in [
        "spiffe://id.eads/node",
        "https://id.eads/operator/duty-1",
        "spiffe://ID.eads/operator/duty-1",
        "spiffe://id.eads.example/operator/duty-1",
        "spiffe://i.eads/operator/duty-1",
        "spiffe://xyz.eads/operator/duty-1",
        "spiffe://id.eads",
    ] {
        assert_eq!(refusal(&[uri], &["officer"]), "OPERATOR_URI_INVALID", "{uri}");
    }
    for uri in [
        "spiffe://id.eads/operator/",
        "spiffe://id.eads/operator/Duty",
        "spiffe://id.eads/operator/a/b",
        "spiffe://id.eads/operator/a%2e",
    ] {
        assert_eq!(refusal(&[uri], &["officer"]), "OPERATOR_NAME_INVALID", "{uri}");
    }
}

#[test]
fn roles_are_known_each_listed_once_and_in_one_unit() {
    assert_eq!(refusal(&[URI], &[]), "OPERATOR_ROLE_MISSING");
    assert_eq!(refusal(&[URI], &[" "]), "OPERATOR_ROLE_MISSING");
    assert_eq!(refusal(&[URI], &["chief"]), "OPERATOR_ROLE_UNKNOWN");
    assert_eq!(refusal(&[URI], &["officer,"]), "OPERATOR_ROLE_UNKNOWN");
    assert_eq!(refusal(&[URI], &["officer,officer"]), "OPERATOR_ROLE_UNKNOWN");
    assert_eq!(refusal(&[URI], &["Officer"]), "OPERATOR_ROLE_UNKNOWN");
}

#[test]
fn damaged_certificates_are_refused_without_a_panic() {
    let der = certificate(&[URI], &["officer"]);
    for length in 0..der.len() {
        assert_eq!(Operator::from_certificate(&der[..length]), Err(OperatorError::Malformed));
    }
    for place in 0..der.len() {
        let mut altered = der.clone();
        altered[place] ^= 0x55;
        let _outcome = Operator::from_certificate(&altered);
    }
    assert_eq!(Operator::from_certificate(&vec![0x30; MAX_CERTIFICATE_BYTES + 1]), Err(OperatorError::Malformed));
}

#[test]
fn codes_come_back_as_what_they_were() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(role));
    }
    for purpose in Purpose::ALL {
        assert_eq!(purpose.as_str().parse(), Ok(purpose));
    }
    assert_eq!("fishing".parse::<Purpose>(), Err(OperatorError::Purpose));
    assert_eq!(Role::ALL.into_iter().collect::<Roles>().to_string().parse(), Ok(Roles(0b1_1111)));
}
