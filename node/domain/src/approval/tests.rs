use p256::pkcs8::DecodePrivateKey as _;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
    SanType, date_time_ymd,
};

use super::*;
use crate::code::Coded as _;

const MESSAGE: &[u8] = b"what is approved";

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    anchor: Vec<u8>,
}

struct Officer {
    key: SigningKey,
    certificate: Vec<u8>,
}

fn params(subject: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn ca(name: &str) -> Ca {
    let key = KeyPair::generate().unwrap();
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    let anchor = params.self_signed(&key).unwrap().der().to_vec();
    Ca { issuer: Issuer::new(params, key), anchor }
}

fn officer_params(uris: &[&str], unit: Option<&str>) -> CertificateParams {
    let mut params = params("approver-1");
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    if let Some(unit) = unit {
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    }
    params
}

fn issue(ca: &Ca, params: &CertificateParams) -> Officer {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca.issuer).unwrap().der().to_vec();
    Officer { key: SigningKey::from_pkcs8_der(&key.serialize_der()).unwrap(), certificate }
}

fn good(ca: &Ca) -> Officer {
    issue(ca, &officer_params(&["spiffe://id.eads/operator/approver-1"], Some("officer,approver")))
}

fn at(year: i64) -> Timestamp {
    Timestamp::from_unix((year - 1970) * 31_556_952 + 86_400 * 30)
}

fn verify(officer: &Officer, anchor: &[u8], when: Timestamp) -> Result<Approver, ApprovalError> {
    let approval = Approval::sign(MESSAGE, &officer.key, officer.certificate.clone());
    approval.verify(MESSAGE, anchor, "ID".parse().unwrap(), when)
}

fn refused(params: &CertificateParams) -> ApprovalError {
    let ca = ca("operators of ID");
    verify(&issue(&ca, params), &ca.anchor, at(2026)).unwrap_err()
}

#[test]
fn an_approvers_signature_counts() {
    let ca = ca("operators of ID");
    let approver = verify(&good(&ca), &ca.anchor, at(2026)).unwrap();
    assert_eq!(approver.name.as_str(), "approver-1");
    assert_eq!(approver.member.to_string(), "ID");
    assert!(!approver.serial.as_bytes().is_empty());
}

#[test]
fn an_approval_of_other_content_does_not_count() {
    let ca = ca("operators of ID");
    let officer = good(&ca);
    let approval = Approval::sign(b"something else", &officer.key, officer.certificate);
    let member = "ID".parse().unwrap();
    assert_eq!(approval.verify(MESSAGE, &ca.anchor, member, at(2026)), Err(ApprovalError::Signature));
    for bit in [0, 100, 511] {
        let mut flipped = approval.clone();
        flipped.signature[bit / 8] ^= 1 << (bit % 8);
        assert!(flipped.verify(b"something else", &ca.anchor, member, at(2026)).is_err());
    }
    let zero = Approval { signature: [0; 64], certificate: approval.certificate };
    assert_eq!(zero.verify(MESSAGE, &ca.anchor, member, at(2026)), Err(ApprovalError::Signature));
}

#[test]
fn an_approval_by_another_key_does_not_count() {
    let ca = ca("operators of ID");
    let (one, other) = (good(&ca), good(&ca));
    let mixed = Officer { key: other.key, certificate: one.certificate };
    assert_eq!(verify(&mixed, &ca.anchor, at(2026)), Err(ApprovalError::Signature));
}

#[test]
fn an_officer_of_another_member_does_not_count() {
    let params = officer_params(&["spiffe://my.eads/operator/approver-1"], Some("approver"));
    assert_eq!(refused(&params).code().as_str(), "APPROVAL_OTHER_MEMBER");
}

#[test]
fn another_members_ca_cannot_speak_for_this_one() {
    let (ours, theirs) = (ca("operators"), ca("operators"));
    assert_eq!(verify(&good(&theirs), &ours.anchor, at(2026)), Err(ApprovalError::Issuer), "same name, other key");
    let renamed = ca("operators of MY");
    assert_eq!(verify(&good(&renamed), &ours.anchor, at(2026)), Err(ApprovalError::Issuer));
}

#[test]
fn an_officer_who_may_not_approve_does_not_count() {
    let uri = ["spiffe://id.eads/operator/officer-1"];
    assert_eq!(refused(&officer_params(&uri, Some("officer,issuer"))), ApprovalError::NotApprover);
    assert_eq!(refused(&officer_params(&uri, Some("approver-in-training"))), ApprovalError::NotApprover);
    assert_eq!(refused(&officer_params(&uri, None)), ApprovalError::NotApprover);
}

#[test]
fn a_certificate_counts_only_while_it_is_valid() {
    let ca = ca("operators of ID");
    let officer = good(&ca);
    assert!(verify(&officer, &ca.anchor, at(2026)).is_ok());
    assert_eq!(verify(&officer, &ca.anchor, at(2025)), Err(ApprovalError::Expired));
    assert_eq!(verify(&officer, &ca.anchor, at(2027)), Err(ApprovalError::Expired));
}

#[test]
fn a_certificate_names_exactly_one_officer() {
    let role = Some("approver");
    let uri = "spiffe://id.eads/operator/a";
    for uris in [
        &[][..],
        &[uri, "spiffe://id.eads/operator/b"],
        &[uri, uri],
        &["spiffe://id.eads/node"],
        &["spiffe://ID.eads/operator/a"],
        &["spiffe://id.eads/operator/"],
        &["spiffe://id.eads/operator/a/b"],
        &["spiffe://id.eads/operator/A"],
        &["spiffe://idn.eads/operator/a"],
        &["https://id.eads/operator/a"],
    ] {
        assert_eq!(refused(&officer_params(uris, role)), ApprovalError::Certificate, "{uris:?}");
    }
}

#[test]
fn a_certificate_that_asks_for_more_is_refused() {
    let uri = ["spiffe://id.eads/operator/a"];
    let mut params = officer_params(&uri, Some("approver"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(refused(&params), ApprovalError::Certificate, "a CA");
    let mut params = officer_params(&uri, Some("approver"));
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
    assert_eq!(refused(&params), ApprovalError::Certificate, "an unknown critical extension");
}

#[test]
fn keys_of_other_curves_are_refused() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let ca = ca("operators of ID");
    let params = officer_params(&["spiffe://id.eads/operator/a"], Some("approver"));
    let certificate = params.signed_by(&key, &ca.issuer).unwrap().der().to_vec();
    let officer = Officer { certificate, ..good(&ca) };
    assert_eq!(verify(&officer, &ca.anchor, at(2026)), Err(ApprovalError::Certificate));
}

#[test]
fn damaged_certificates_never_count() {
    let ca = ca("operators of ID");
    let officer = good(&ca);
    let length = officer.certificate.len();
    for bit in (0..length * 8).step_by(29) {
        let mut certificate = officer.certificate.clone();
        certificate[bit / 8] ^= 1 << (bit % 8);
        let damaged = Officer { key: officer.key.clone(), certificate };
        assert!(verify(&damaged, &ca.anchor, at(2026)).is_err(), "bit {bit}");
    }
    for certificate in [
        officer.certificate[..length - 1].to_vec(),
        [officer.certificate.as_slice(), &[0]].concat(),
        Vec::new(),
        vec![0x30; Approval::MAX_CERTIFICATE + 1],
    ] {
        let damaged = Officer { key: officer.key.clone(), certificate };
        assert_eq!(verify(&damaged, &ca.anchor, at(2026)), Err(ApprovalError::Certificate));
    }
    assert_eq!(verify(&officer, b"no anchor", at(2026)), Err(ApprovalError::Certificate));
}

#[test]
fn approvals_are_read_back_from_their_slot() {
    let approvals: Vec<_> = (1..4).map(|n| Approval { signature: [n; 64], certificate: vec![n; 500] }).collect();
    let value = to_value(&approvals).unwrap();
    let spec = crate::slot::SlotTable::get().by_name(crate::subject::SubjectType::Person, "approvals").unwrap();
    assert_eq!(spec.check(&value), Ok(()));
    assert_eq!(from_value(&value), Ok(approvals));
    assert_eq!(from_value(&Value::List(Vec::new())), Ok(Vec::new()));
    assert_eq!(from_value(&Value::Absent), Err(ApprovalError::Malformed));
    let text = |text: &str| Value::text(text).unwrap();
    for item in [text("a"), Value::List(vec![text("AAAA")]), Value::List(vec![text("AAAA"), text("AAAA")])] {
        assert_eq!(from_value(&Value::List(vec![item])), Err(ApprovalError::Malformed));
    }
}

#[test]
fn the_message_covers_all_but_the_approvals() {
    let commitments: [Hash; SLOTS] = std::array::from_fn(|n| Hash::from_bytes([u8::try_from(n).unwrap(); 32]));
    let notice = NoticeId::from_bytes([3; 16]);
    let one = message(&notice, 1, Timestamp::from_unix(5), &commitments);
    assert_eq!(one.len(), 8 + 5 * 8 + 16 + 16 + 2 + 8 + 47 * 32);
    for slot in SlotNumber::all() {
        let mut other = commitments;
        other[slot.index()] = Hash::from_bytes([99; 32]);
        let same = message(&notice, 1, Timestamp::from_unix(5), &other) == one;
        assert_eq!(same, slot == SlotNumber::APPROVALS);
    }
    assert_ne!(message(&notice, 2, Timestamp::from_unix(5), &commitments), one);
    assert_ne!(message(&notice, 1, Timestamp::from_unix(6), &commitments), one);
}
