//! A certificate of an officer, as it is remembered.

use eads_domain::clock::Timestamp;
use eads_domain::operator::Operator;
use serde::{Deserialize, Serialize};

use super::unreadable;
use crate::error::ServiceError;

/// Whether a certificate may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateState {
    /// Until its end.
    Current,
    /// Another has taken its place.
    Superseded,
    /// Its holder was revoked.
    Revoked,
}

impl CertificateState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Superseded => "superseded",
            Self::Revoked => "revoked",
        }
    }
}

/// One certificate of an officer.
#[derive(Clone, Debug)]
pub struct EnrolledCertificate {
    /// DER.
    pub der: Vec<u8>,
    /// What it says.
    pub operator: Operator,
    /// Whether it may be used.
    pub state: CertificateState,
    /// When it was enrolled.
    pub enrolled: Timestamp,
    /// By whom: one administrator or two, or the officer by renewal.
    pub by: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CertificateRow {
    der: String,
    state: CertificateState,
    enrolled: Timestamp,
    by: Vec<String>,
}

impl EnrolledCertificate {
    pub(super) fn new(der: Vec<u8>, enrolled: Timestamp, by: Vec<String>) -> Result<Self, ServiceError> {
        let operator = Operator::from_certificate(&der).map_err(ServiceError::from_coded)?;
        Ok(Self { der, operator, state: CertificateState::Current, enrolled, by })
    }

    /// Whether it may be used now.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.state == CertificateState::Current && self.operator.not_before <= now && now <= self.operator.not_after
    }

    pub(super) fn to_row(&self) -> CertificateRow {
        CertificateRow { der: hex::encode(&self.der), state: self.state, enrolled: self.enrolled, by: self.by.clone() }
    }

    pub(super) fn from_row(row: CertificateRow) -> Result<Self, ServiceError> {
        let der = hex::decode(row.der).map_err(unreadable)?;
        let operator = Operator::from_certificate(&der).map_err(unreadable)?;
        Ok(Self { der, operator, state: row.state, enrolled: row.enrolled, by: row.by })
    }
}
