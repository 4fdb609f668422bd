//! The people who work at a node: who they are by their certificate, what they may do, and for what purpose.
//!
//! Reading a certificate here says what it states, not that it is genuine: the TLS listener, or for an approval
//! the operator CA's anchor, has to vouch for it first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use crate::clock::Timestamp;
use crate::code::{Code, Coded, Fault};
use crate::id::MemberId;

mod request;

pub use request::{OfficerRequest, OfficerRequestError};

/// RFC 4519, 2.20 `ou`.
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
/// The largest operator certificate that is read, bytes.
const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// A certificate, a name or a code that does not describe an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Not a certificate.
    #[error("the operator certificate is not well-formed DER of at most {MAX_CERTIFICATE_BYTES} bytes")]
    Malformed,
    /// Not exactly one URI among the subject alternative names.
    #[error("the operator certificate must carry exactly one URI name; it carries {found}")]
    UriCount {
        /// How many there are.
        found: usize,
    },
    /// A URI that is not an operator's.
    #[error("the URI name is not of the form spiffe://<cc>.eads/operator/<name>")]
    Uri,
    /// A name outside its alphabet.
    #[error("an operator name is 1 to 64 of a-z, 0-9, dot and hyphen")]
    Name,
    /// No role, or more than one organizational unit.
    #[error("the certificate must list the operator's roles in exactly one organizational unit (OU)")]
    NoRole,
    /// A role that does not exist, or one listed twice.
    #[error("roles are a comma-separated list of officer, issuer, approver, auditor, administrator, each once")]
    Role,
    /// A purpose that does not exist.
    #[error("the purpose is not one of: {}", Purpose::codes())]
    Purpose,
}

impl Coded for OperatorError {
    fn code(&self) -> Code {
        Code::new(match self {
            Self::Malformed => "OPERATOR_CERTIFICATE_MALFORMED",
            Self::UriCount { .. } => "OPERATOR_URI_COUNT",
            Self::Uri => "OPERATOR_URI_INVALID",
            Self::Name => "OPERATOR_NAME_INVALID",
            Self::NoRole => "OPERATOR_ROLE_MISSING",
            Self::Role => "OPERATOR_ROLE_UNKNOWN",
            Self::Purpose => "PURPOSE_UNKNOWN",
        })
    }

    fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// An operator as a client certificate of the operator CA names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The member whose operator it is.
    pub member: MemberId,
    /// The name, unique within the member.
    pub name: OperatorName,
    /// What the operator may do.
    pub roles: Roles,
    /// Of the certificate.
    pub serial: CertificateSerial,
    /// First second of the certificate's validity.
    pub not_before: Timestamp,
    /// Last second of the certificate's validity.
    pub not_after: Timestamp,
    /// The certificate's public key: subjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
}

impl Operator {
    /// Reads what a certificate says: exactly one URI name `spiffe://<cc>.eads/operator/<name>`, and the roles,
    /// comma separated, in exactly one organizational unit.
    ///
    /// # Errors
    /// [`OperatorError`], by what is wrong with it.
    pub fn from_certificate(der: &[u8]) -> Result<Self, OperatorError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(OperatorError::Malformed);
        }
        let certificate = Certificate::from_der(der).map_err(|_| OperatorError::Malformed)?;
        let (member, name) = operator_uri(&only_uri(&certificate)?)?;
        let roles = organizational_unit(&certificate)?.parse()?;
        let tbs = certificate.tbs_certificate();
        let second = |time: x509_cert::time::Time| {
            Timestamp::from_unix(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
        };
        Ok(Self {
            member,
            name,
            roles,
            serial: CertificateSerial(tbs.serial_number().as_bytes().to_vec()),
            not_before: second(tbs.validity().not_before),
            not_after: second(tbs.validity().not_after),
            public_key: tbs.subject_public_key_info().to_der().map_err(|_| OperatorError::Malformed)?,
        })
    }

    /// The URI name that this operator's certificates carry.
    pub fn uri(&self) -> String {
        format!("spiffe://{}.eads/operator/{}", self.member.to_lowercase(), self.name)
    }
}

fn only_uri(certificate: &Certificate) -> Result<String, OperatorError> {
    let names = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .map_err(|_| OperatorError::Malformed)?
        .map(|(_critical, names)| names.0)
        .unwrap_or_default();
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str()),
        _ => None,
    });
    match (uris.next(), uris.count()) {
        (Some(uri), 0) => Ok(uri.to_owned()),
        (None, _) => Err(OperatorError::UriCount { found: 0 }),
        (Some(_), more) => Err(OperatorError::UriCount { found: more + 1 }),
    }
}

fn operator_uri(uri: &str) -> Result<(MemberId, OperatorName), OperatorError> {
    let rest = uri.strip_prefix("spiffe://").ok_or(OperatorError::Uri)?;
    let (authority, path) = rest.split_once('/').ok_or(OperatorError::Uri)?;
    let name = path.strip_prefix("operator/").ok_or(OperatorError::Uri)?;
    let cc = authority.strip_suffix(".eads").ok_or(OperatorError::Uri)?;
    let member: MemberId = cc.to_ascii_uppercase().parse().map_err(|_| OperatorError::Uri)?;
    if member.to_lowercase() != cc {
        return Err(OperatorError::Uri);
    }
    Ok((member, name.parse()?))
}

fn organizational_unit(certificate: &Certificate) -> Result<String, OperatorError> {
    let unit = only(certificate.tbs_certificate().subject(), ORGANIZATIONAL_UNIT).ok_or(OperatorError::NoRole)?;
    text_of(unit).ok_or(OperatorError::Malformed)
}

/// The one attribute of that kind; none if there are more.
fn only(name: &Name, kind: ObjectIdentifier) -> Option<&AttributeTypeAndValue> {
    let mut found = name.iter().filter(|part| part.oid == kind);
    found.next().filter(|_| found.next().is_none())
}

fn text_of(attribute: &AttributeTypeAndValue) -> Option<String> {
    let utf8 = attribute.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    let printable = || attribute.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned());
    utf8.or_else(|_| printable()).ok()
}

/// The name of an operator: 1 to 64 of a–z, 0–9, dot and hyphen. A service name or number, not a person's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorName(String);

impl OperatorName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OperatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OperatorName {
    type Err = OperatorError;

    fn from_str(text: &str) -> Result<Self, OperatorError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OperatorError::Name)
        }
    }
}

impl TryFrom<String> for OperatorName {
    type Error = OperatorError;

    fn try_from(text: String) -> Result<Self, OperatorError> {
        text.parse()
    }
}

impl From<OperatorName> for String {
    fn from(name: OperatorName) -> Self {
        name.0
    }
}

/// The serial number of a certificate; shows as hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertificateSerial(Vec<u8>);

impl CertificateSerial {
    /// Big-endian, as in the certificate.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for CertificateSerial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an operator may do. An operator can have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Searches and reads.
    Officer,
    /// Drafts and issues notices.
    Issuer,
    /// Approves what another drafted.
    Approver,
    /// Reads the audit log.
    Auditor,
    /// Peers, agreements, keys, backups.
    Administrator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Officer, Self::Issuer, Self::Approver, Self::Auditor, Self::Administrator];

    /// The code in certificates, commands and audit entries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Officer => "officer",
            Self::Issuer => "issuer",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = OperatorError;

    fn from_str(text: &str) -> Result<Self, OperatorError> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(OperatorError::Role)
    }
}

/// A set of roles; shows as the comma-separated list that stands in certificates.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// Whether `role` is among them.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// These roles and `role`.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    /// In the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, role) in self.iter().enumerate() {
            write!(f, "{}{role}", if position == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Roles {
    type Err = OperatorError;

    fn from_str(text: &str) -> Result<Self, OperatorError> {
        if text.trim().is_empty() {
            return Err(OperatorError::NoRole);
        }
        text.split(',').map(str::trim).try_fold(Self::NONE, |roles, name| {
            let role: Role = name.parse()?;
            if roles.contains(role) { Err(OperatorError::Role) } else { Ok(roles.with(role)) }
        })
    }
}

/// Why something is asked or done; stated on every query, enquiry and notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Preventing a crime.
    CrimePrevention,
    /// Investigating a crime.
    CriminalInvestigation,
    /// Prosecution and proceedings before a court.
    JudicialProceedings,
    /// Finding a missing person.
    MissingPersonSearch,
    /// Protecting victims and those at risk, of trafficking above all.
    VictimProtection,
    /// Naming the dead and the unknown, after disasters too.
    HumanitarianIdentification,
    /// A check of persons, documents or vehicles at a border.
    BorderCheck,
    /// Countering terrorism.
    CounterTerrorism,
    /// Extradition or surrender.
    Extradition,
    /// Tracing and recovering assets.
    AssetRecovery,
    /// Enforcing sanctions of the UN Security Council.
    Sanctions,
    /// Auditing lawfulness.
    Audit,
    /// An exercise: no real data is asked.
    Exercise,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 13] = [
        Self::CrimePrevention,
        Self::CriminalInvestigation,
        Self::JudicialProceedings,
        Self::MissingPersonSearch,
        Self::VictimProtection,
        Self::HumanitarianIdentification,
        Self::BorderCheck,
        Self::CounterTerrorism,
        Self::Extradition,
        Self::AssetRecovery,
        Self::Sanctions,
        Self::Audit,
        Self::Exercise,
    ];

    /// The code on the wire, in agreements and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrimePrevention => "crime-prevention",
            Self::CriminalInvestigation => "criminal-investigation",
            Self::JudicialProceedings => "judicial-proceedings",
            Self::MissingPersonSearch => "missing-person-search",
            Self::VictimProtection => "victim-protection",
            Self::HumanitarianIdentification => "humanitarian-identification",
            Self::BorderCheck => "border-check",
            Self::CounterTerrorism => "counter-terrorism",
            Self::Extradition => "extradition",
            Self::AssetRecovery => "asset-recovery",
            Self::Sanctions => "sanctions",
            Self::Audit => "audit",
            Self::Exercise => "exercise",
        }
    }

    /// All codes, for messages.
    pub fn codes() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = OperatorError;

    fn from_str(text: &str) -> Result<Self, OperatorError> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(OperatorError::Purpose)
    }
}

#[cfg(test)]
mod tests;
