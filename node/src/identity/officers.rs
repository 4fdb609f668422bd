//! Officers' certificates: the operator CA as the running node uses it, and the list of those that this machine
//! issued itself.
//!
//! `identity/officers.pem` holds the certificates that were issued here with the passphrase of the keys: the first
//! officers', and those of an emergency. A node enrols them at its start and at SIGHUP; what it has enrolled it keeps
//! in its store, and never looks for here again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::clock::{Clock, Timestamp};
use eads_domain::entropy::Entropy;
use eads_domain::operator::OfficerRequest;
use eads_service::ServiceError;
use eads_service::officers::{OfficerAuthority, ToCertify};
use pem::{EncodeConfig, LineEnding, Pem};

use super::{Authority, IdentityError, files, place};

const TAG: &str = "CERTIFICATE";
/// The most certificates of the list.
const MOST: usize = 1000;

/// The operator CA of a running node.
pub struct OperatorAuthority {
    authority: Authority,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl OperatorAuthority {
    /// Issues by `authority`.
    pub fn new(authority: Authority, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { authority, clock, entropy }
    }
}

impl OfficerAuthority for OperatorAuthority {
    fn certify(&self, officer: ToCertify<'_>) -> Result<Vec<u8>, ServiceError> {
        let ToCertify { name, roles, point, days } = officer;
        let issued = self.authority.certify_operator(name, roles, point, days, self.clock.now(), &*self.entropy);
        issued.map(|der| der.to_vec()).map_err(|error| {
            ServiceError::internal("OFFICER_NOT_CERTIFIED", "the certificate could not be issued").caused_by(error)
        })
    }
}

/// The certificates, DER, that the machine below the data directory `dir` issued itself; none without a list.
///
/// # Errors
/// [`IdentityError`], which names the file.
pub fn issued_here(dir: &Path) -> Result<Vec<Vec<u8>>, IdentityError> {
    let path = list(dir);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = files::read_text(&path)?;
    let blocks = pem::parse_many(text).map_err(|_| IdentityError::Damaged { path: path.clone() })?;
    if blocks.len() > MOST || blocks.iter().any(|block| block.tag() != TAG) {
        return Err(IdentityError::Damaged { path });
    }
    Ok(blocks.into_iter().map(Pem::into_contents).collect())
}

/// Certifies an officer on the node's own machine, and enters the certificate into the list. Returns it as PEM.
///
/// # Errors
/// [`IdentityError`], which names the file.
pub fn certify_here(
    dir: &Path,
    authority: &Authority,
    request: &OfficerRequest,
    days: u32,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<String, IdentityError> {
    let der = authority.certify_operator(&request.name, request.roles, &request.point, days, now, entropy)?;
    let mut all = issued_here(dir)?;
    all.push(der.to_vec());
    files::replace_public(&list(dir), armor(&all).as_bytes())?;
    Ok(armor(&[der.to_vec()]))
}

/// The list of a new node.
pub(crate) fn write_list(dir: &Path, certificates: &[Vec<u8>]) -> Result<(), IdentityError> {
    files::write_public(&list(dir), armor(certificates).as_bytes())
}

fn list(dir: &Path) -> PathBuf {
    dir.join(place::OFFICERS)
}

fn armor(certificates: &[Vec<u8>]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    certificates.iter().map(|der| pem::encode_config(&Pem::new(TAG, der.as_slice()), config)).collect()
}
