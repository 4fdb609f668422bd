//! What the officers' use cases need from outside: the operator CA's key, and the officers' connections.

use eads_domain::operator::{OperatorName, Roles};

use crate::error::ServiceError;

/// What is to stand in a new certificate.
#[derive(Clone, Copy, Debug)]
pub struct ToCertify<'a> {
    /// Whose.
    pub name: &'a OperatorName,
    /// What the officer may do.
    pub roles: Roles,
    /// The officer's P-256 key, a point in SEC 1, uncompressed.
    pub point: &'a [u8],
    /// How long it is valid from now on, days.
    pub days: u32,
}

/// The node's operator CA with its key in hand.
pub trait OfficerAuthority: Send + Sync {
    /// A certificate with a fresh random serial number, DER.
    ///
    /// # Errors
    /// When it cannot be issued.
    fn certify(&self, officer: ToCertify<'_>) -> Result<Vec<u8>, ServiceError>;
}

/// The officers' live connections.
pub trait OfficerLines: Send + Sync {
    /// Ends all connections of an officer at once, streams in flight included.
    fn cut(&self, name: &OperatorName);
}
