//! `eads-node key`, `cert` and `ca`: how keys and certificates of a node change while it runs.
//!
//! **Promises.** A change of several files is prepared beside them, decided by one durable step, and then put in place
//! file by file: a node that is killed anywhere in between finishes the change at its next start, or has never begun
//! it. For whatever peers learn of, that one step is the commit of the store, which holds card and register entry.
//!
//! **Not promised.** The medium with the next signing key is the administrator's: after a rotation the file on it is
//! the key in force, and has to be replaced by the new one.

mod certificates;
mod expiry;
mod journal;
mod rotate;
mod shares;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use eads_edge::tls::IdentityHandle;
use eads_service::Node;

pub(crate) use certificates::{CaStep, renew, rotate_ca};
pub(crate) use expiry::Expiry;
pub(crate) use journal::settle;
pub(crate) use rotate::{RotateOptions, rotate_key};
pub(crate) use shares::{Splitting, join, split};

use crate::control::{Refusal, Target};
use crate::identity::{Passphrase, TlsIdentities};

/// Where a running node takes replaced certificates.
#[derive(Debug)]
pub struct Reload {
    peers: IdentityHandle,
    operators: IdentityHandle,
}

impl Reload {
    pub(crate) const fn new(peers: IdentityHandle, operators: IdentityHandle) -> Self {
        Self { peers, operators }
    }

    /// Reads both certificates below `dir` and uses them from the next handshake on. A pair that does not match is
    /// refused, and the old one kept. Blocking.
    ///
    /// # Errors
    /// [`crate::identity::IdentityError`].
    pub(crate) fn reload(&self, dir: &Path) -> Result<(), crate::identity::IdentityError> {
        let TlsIdentities { node, operators } = TlsIdentities::load(dir)?;
        self.peers.replace(node);
        self.operators.replace(operators);
        tracing::info!("certificates reloaded");
        Ok(())
    }
}

/// The node that runs, which alone can tell its peers.
fn running(target: &Target) -> Result<Arc<Node>, Refusal> {
    target.node.clone().ok_or_else(|| {
        let hint = "start the node, then say it again: peers learn of the change from it";
        Refusal::new("NODE_NOT_RUNNING", "this change is one that the running node makes", Some(hint))
    })
}

/// The passphrase that came with a request.
fn passphrase(secret: &crate::backup::Secret) -> Result<Passphrase, Refusal> {
    let unreadable = || Refusal::new("CONTROL_REQUEST", "the passphrase cannot be read", None);
    Ok(Passphrase::new(secret.bytes().ok_or_else(unreadable)?)?)
}
