//! Who this node is: its keys, its certificates and its card, as they lie in the data directory.
//!
//! ```text
//! identity/signing.key       Ed25519: statements, checkpoints, receipts, cards     encrypted
//! identity/cosigner.key      Ed25519: cosignatures                                 encrypted
//! identity/card.pem          the card in force, signed by signing.key
//! identity/tls-ca.{crt,key}  P-256: issues the node's own certificate              key encrypted
//! identity/node.{crt,key}    P-256: what peers see                                 key not encrypted
//! identity/tls-ca-next.{crt,key}  the one that takes its place, until it does      key encrypted
//! identity/operator-ca.{crt,key}  P-256: issues operators' certificates            key encrypted
//! identity/officers.pem           officers' certificates issued on this machine
//! identity/operators.{crt,key}    P-256: what operators' programs see              key not encrypted
//! identity/change/           a change of several of these that is under way
//! offline/next-signing.key   Ed25519: the next signing key; belongs on offline media   encrypted
//! ```
//!
//! The keys that can make others believe something new, sign or issue, are encrypted under the passphrase. The two
//! TLS keys are not, so that a renewed certificate can be loaded without asking for it: they are short-lived and
//! replaced by the authorities beside them. Every key file is for its owner alone, and is refused otherwise.

mod authority;
mod error;
mod files;
mod officers;
mod passphrase;
mod sealed_key;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use eads_domain::card::{Endpoint, SignedCard};
use eads_domain::id::MemberId;
use eads_edge::tls::{CertificateDer, TlsIdentity};
use ed25519_dalek::SigningKey;

pub use authority::{Authority, AuthorityKind, Issued};
pub use error::IdentityError;
pub use officers::{OperatorAuthority, certify_here, issued_here};
pub use passphrase::{PASSPHRASE_VARIABLE, Passphrase, PassphraseError};
pub use sealed_key::KeyCost;

pub(crate) use files::{create_private_dir, sync_dir, write_private, write_public};
pub(crate) use officers::write_list;
pub(crate) use sealed_key::{open_signing_key, seal_signing_key};

/// Where each file lies below the data directory.
pub(crate) mod place {
    pub(crate) const IDENTITY: &str = "identity";
    pub(crate) const OFFLINE: &str = "offline";
    pub(crate) const SIGNING_KEY: &str = "identity/signing.key";
    pub(crate) const COSIGNER_KEY: &str = "identity/cosigner.key";
    pub(crate) const CARD: &str = "identity/card.pem";
    pub(crate) const NODE: &str = "identity/node";
    pub(crate) const OFFICERS: &str = "identity/officers.pem";
    pub(crate) const OPERATORS: &str = "identity/operators";
    pub(crate) const NEXT_SIGNING_KEY: &str = "offline/next-signing.key";
}

/// Everything that a running node signs and shows itself with.
pub struct Identity {
    /// Signs statements, checkpoints, receipts and cards; the one that the card names.
    pub signing_key: SigningKey,
    /// Signs cosignatures; the one that the card names.
    pub cosigner_key: SigningKey,
    /// The card in force.
    pub card: SignedCard,
    /// What peers see, and what this node dials them with.
    pub node: TlsIdentity,
    /// What operators' programs see.
    pub operators: TlsIdentity,
    /// Under which operators' certificates are accepted.
    pub operator_anchor: CertificateDer<'static>,
}

impl Identity {
    /// Reads the identity below the data directory `dir`. Slow on purpose: two keys are decrypted.
    ///
    /// # Errors
    /// [`IdentityError`], which names the file; `PASSPHRASE_WRONG` if the passphrase does not open a key.
    pub fn load(dir: &Path, passphrase: &Passphrase) -> Result<Self, IdentityError> {
        let card = read_card(dir)?;
        let signing_key = open_signing_key(&dir.join(place::SIGNING_KEY), passphrase)?;
        let cosigner_key = open_signing_key(&dir.join(place::COSIGNER_KEY), passphrase)?;
        let named = [
            (place::SIGNING_KEY, signing_key.verifying_key() == card.card().signing_key),
            (place::COSIGNER_KEY, cosigner_key.verifying_key() == card.card().cosigner_key),
        ];
        if let Some((file, _)) = named.into_iter().find(|(_, matches)| !matches) {
            return Err(IdentityError::NotOnCard { path: dir.join(file) });
        }
        let operator_anchor = CertificateDer::from(card.card().operator_anchor.as_der().to_vec());
        let TlsIdentities { node, operators } = TlsIdentities::load(dir)?;
        Ok(Self { signing_key, cosigner_key, card, node, operators, operator_anchor })
    }
}

/// The card in force below the data directory `dir`; it is public, so no passphrase is needed.
///
/// # Errors
/// [`IdentityError`], which names the file.
pub fn read_card(dir: &Path) -> Result<SignedCard, IdentityError> {
    read_card_at(&dir.join(place::CARD))
}

pub(crate) fn read_card_at(path: &Path) -> Result<SignedCard, IdentityError> {
    let path = path.to_owned();
    SignedCard::from_armor(&files::read_text(&path)?).map_err(|source| IdentityError::Card { path, source })
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("member", &self.card.card().member).finish_non_exhaustive()
    }
}

/// The two certificates that a running node can replace; reading them needs no passphrase.
#[derive(Debug)]
pub struct TlsIdentities {
    /// What peers see.
    pub node: TlsIdentity,
    /// What operators' programs see.
    pub operators: TlsIdentity,
}

impl TlsIdentities {
    /// Reads both from below the data directory `dir`.
    ///
    /// # Errors
    /// [`IdentityError`], which names the file.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        Ok(Self { node: tls_identity(dir, place::NODE)?, operators: tls_identity(dir, place::OPERATORS)? })
    }
}

fn tls_identity(dir: &Path, stem: &str) -> Result<TlsIdentity, IdentityError> {
    let certificate_path = dir.join(format!("{stem}.crt"));
    let certificate = files::read_text(&certificate_path)?;
    let key = files::read_private(&dir.join(format!("{stem}.key")))?;
    TlsIdentity::from_pem(certificate.as_bytes(), key.as_bytes())
        .map_err(|source| IdentityError::Tls { path: certificate_path, source })
}

/// Replaces the certificate and key that peers see; a running node takes them at its next reload.
///
/// # Errors
/// [`IdentityError::Io`].
pub fn replace_node_certificate(dir: &Path, issued: &Issued) -> Result<(), IdentityError> {
    replace(dir, place::NODE, issued)
}

/// Replaces the certificate and key that operators' programs see; a running node takes them at its next reload.
///
/// # Errors
/// [`IdentityError::Io`].
pub fn replace_operators_certificate(dir: &Path, issued: &Issued) -> Result<(), IdentityError> {
    replace(dir, place::OPERATORS, issued)
}

/// A reload between the two renames finds a pair that does not match, refuses it and keeps the old one.
fn replace(dir: &Path, stem: &str, issued: &Issued) -> Result<(), IdentityError> {
    files::replace_private(&dir.join(format!("{stem}.key")), issued.key_pem.as_bytes())?;
    files::replace_public(&dir.join(format!("{stem}.crt")), issued.certificate_pem.as_bytes())
}

/// The names in the certificate that peers see: one without any would be refused by other programs than nodes.
pub(crate) fn node_hosts(member: MemberId, endpoints: &[Endpoint]) -> Vec<String> {
    let hosts: Vec<_> = endpoints.iter().map(|endpoint| endpoint.host().to_owned()).collect();
    if hosts.is_empty() { vec![format!("{}.eads", member.to_lowercase())] } else { hosts }
}

/// The names in the operator listener's certificate.
pub(crate) fn operator_hosts(listen: SocketAddr, endpoints: &[Endpoint]) -> Vec<String> {
    let address = listen.ip();
    let listened = (!address.is_unspecified()).then(|| address.to_string());
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let endpoints = endpoints.iter().map(|endpoint| endpoint.host().to_owned());
    local.into_iter().chain(listened).chain(endpoints).collect()
}

/// `<stem>.crt` and `<stem>.key` below `dir`, new.
pub(crate) fn write_issued(dir: &Path, stem: &str, issued: &Issued) -> Result<(), IdentityError> {
    let with = |suffix: &str| -> PathBuf { dir.join(format!("{stem}.{suffix}")) };
    write_private(&with("key"), issued.key_pem.as_bytes())?;
    write_public(&with("crt"), issued.certificate_pem.as_bytes())
}
