//! Somebody with a key of their own who wants to work at a node.

use eads_domain::code::Coded as _;
use eads_domain::operator::OfficerRequest;
use eads_proto::v1;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use tonic::Status;

use crate::member::Member;
use crate::operator::Operator;

/// A key and what its holder asks for.
pub struct Applicant {
    /// The name asked for.
    pub name: String,
    /// The roles asked for.
    pub roles: Vec<String>,
    key: KeyPair,
}

impl Applicant {
    /// With a fresh key.
    ///
    /// # Panics
    /// When none can be made.
    pub fn new(name: &str, roles: &[&str]) -> Self {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Self { name: name.to_owned(), roles, key: KeyPair::generate().expect("a key") }
    }

    /// The same key under another name or with other roles.
    ///
    /// # Panics
    /// When the key cannot be copied.
    #[must_use]
    pub fn same_key(&self, name: &str, roles: &[&str]) -> Self {
        let key = KeyPair::from_pem(&self.key.serialize_pem()).expect("a key");
        Self { key, ..Self::new(name, roles) }
    }

    /// The request, DER.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn request(&self) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationalUnitName, self.roles.join(","));
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        let der = params.serialize_request(&self.key).expect("a request").der().to_vec();
        if let Err(error) = OfficerRequest::parse_and_verify(&der) {
            panic!("{}: {error}", error.code());
        }
        der
    }

    /// What an administrator sends to the node.
    pub fn enrolment(&self, days: u32) -> v1::EnrolOfficerRequest {
        v1::EnrolOfficerRequest { request: self.request(), name: self.name.clone(), roles: self.roles.clone(), days }
    }

    /// Asks one administrator of `member`. Gives the certificate, DER; empty while a second one has to say so.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn ask(&self, member: &Member, administrator: &str) -> Result<Vec<u8>, Status> {
        let request = self.enrolment(0);
        let answer = member.operator(administrator).officers().enrol_officer(request).await?;
        Ok(answer.into_inner().certificate)
    }

    /// Enrols with `member`, with as many administrators as it takes.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn enrol(&self, member: &Member) -> Operator {
        let mut certificate = self.ask(member, "admin-1").await.expect("an enrolment");
        if certificate.is_empty() {
            certificate = self.ask(member, "admin-2").await.expect("an enrolment");
        }
        assert!(!certificate.is_empty(), "{} is not enrolled", self.name);
        self.with(member, &certificate)
    }

    /// The operator with this key and that certificate.
    ///
    /// # Panics
    /// When the profile cannot be written.
    pub fn with(&self, member: &Member, certificate: &[u8]) -> Operator {
        let model = member.dir().join("profiles").join("issuer");
        let dir = tempfile::tempdir_in(member.dir()).expect("a directory");
        for file in ["ca.crt", "profile.toml"] {
            std::fs::copy(model.join(file), dir.path().join(file)).expect("a file of the profile");
        }
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", certificate));
        std::fs::write(dir.path().join("operator.crt"), pem).expect("a certificate");
        std::fs::write(dir.path().join("operator.key"), self.key.serialize_pem()).expect("a key");
        Operator::from_profile(dir.path())
    }
}
