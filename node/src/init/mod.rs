//! The birth of a node: keys, authorities, certificates, the first card, the key tree, profiles, configuration.
//!
//! All or nothing: everything is made beside the target as `<dir>.partial`, made durable, and put in place by one
//! rename. What failed is removed again.

mod error;
mod profiles;

#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::card::{
    Anchor, Card, DisplayName, DutyContact, Endpoint, GENESIS_SEQUENCE, ProtocolRange, SignedCard, Standing,
    VerificationCode, key_digest,
};
use eads_domain::clock::{Clock, Timestamp};
use eads_domain::entropy::{Entropy, random};
use eads_domain::id::{MemberId, RegisterId};
use eads_store::keys::{KdfCost, KeyTree};
use ed25519_dalek::SigningKey;

pub use error::InitError;
pub use profiles::PROFILES;

use crate::config::{FILE_NAME, Template};
use crate::identity::{
    Authority, AuthorityKind, IdentityError, KeyCost, Passphrase, create_private_dir, node_hosts, operator_hosts,
    place, seal_signing_key, sync_dir, write_issued, write_private, write_public,
};

/// The protocol version that this program speaks.
const PROTOCOL: u16 = 1;

/// What a new node is to be.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Whose node.
    pub member: MemberId,
    /// The data directory to make; absent or empty.
    pub dir: PathBuf,
    /// What people call the member.
    pub display_name: DisplayName,
    /// What the member is in the federation.
    pub standing: Standing,
    /// Where the node listens for peers.
    pub peer_listen: SocketAddr,
    /// Where the node listens for its own operators.
    pub operator_listen: SocketAddr,
    /// How peers reach it; none for a node that only dials.
    pub endpoints: Vec<Endpoint>,
    /// How the duty officers are reached.
    pub duty_contacts: Vec<DutyContact>,
    /// Opens the keys from now on.
    pub passphrase: Passphrase,
    /// What deriving keys from it costs.
    pub cost: KeyCost,
}

/// What was made, for the administrator.
#[derive(Clone, Debug)]
pub struct InitSummary {
    /// Whose node.
    pub member: MemberId,
    /// The data directory.
    pub dir: PathBuf,
    /// The configuration.
    pub config: PathBuf,
    /// The card to hand to neighbours.
    pub card: PathBuf,
    /// What both sides read to each other.
    pub verification_code: VerificationCode,
    /// The register's random id.
    pub register: RegisterId,
    /// The next signing key: to be moved to offline media.
    pub offline_key: PathBuf,
    /// `profile.toml` of each operator.
    pub profiles: Vec<PathBuf>,
}

/// Makes a new node in `options.dir`. Slow on purpose: several keys are encrypted under the passphrase.
///
/// # Errors
/// [`InitError`]; nothing is left behind then.
pub fn init(options: &InitOptions, clock: &dyn Clock, entropy: &Arc<dyn Entropy>) -> Result<InitSummary, InitError> {
    options.passphrase.check_new()?;
    refuse_occupied(&options.dir)?;
    let partial = partial_of(&options.dir)?;
    create_private_dir(&partial).map_err(|error| match error {
        IdentityError::Io { source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            InitError::Unfinished { path: partial.clone() }
        }
        IdentityError::Missing { .. } => InitError::NoParent { dir: options.dir.clone() },
        other => other.into(),
    })?;
    let made = Birth { options, root: &partial, now: clock.now(), entropy }.run().and_then(|card| {
        put_in_place(&partial, &options.dir)?;
        Ok(card)
    });
    match made {
        Ok(card) => Ok(summary(options, &card)),
        Err(error) => {
            // Best effort: the first error is the one to tell; a leftover is reported by the next attempt.
            let _ = std::fs::remove_dir_all(&partial);
            Err(error)
        }
    }
}

pub(crate) fn refuse_occupied(dir: &Path) -> Result<(), InitError> {
    match std::fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(InitError::NotEmpty { dir: dir.to_owned() }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(InitError::NotEmpty { dir: dir.to_owned() })
        }
        Err(error) => Err(IdentityError::io("read", dir, error).into()),
    }
}

pub(crate) fn partial_of(dir: &Path) -> Result<PathBuf, InitError> {
    let mut name = dir.file_name().ok_or_else(|| InitError::NoName { dir: dir.to_owned() })?.to_owned();
    name.push(".partial");
    Ok(dir.with_file_name(name))
}

/// An empty directory is replaced by the rename; one that was filled meanwhile makes it fail.
pub(crate) fn put_in_place(partial: &Path, dir: &Path) -> Result<(), InitError> {
    std::fs::rename(partial, dir).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty | std::io::ErrorKind::AlreadyExists => {
            InitError::NotEmpty { dir: dir.to_owned() }
        }
        _ => IdentityError::io("rename", partial, error).into(),
    })?;
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(sync_dir(Path::new("."))?),
        Some(parent) => Ok(sync_dir(parent)?),
        None => Ok(()),
    }
}

fn summary(options: &InitOptions, card: &SignedCard) -> InitSummary {
    let dir = options.dir.clone();
    InitSummary {
        member: options.member,
        config: dir.join(FILE_NAME),
        card: dir.join(place::CARD),
        verification_code: card.verification_code(),
        register: card.card().register,
        offline_key: dir.join(place::NEXT_SIGNING_KEY),
        profiles: profiles::paths(&dir),
        dir,
    }
}

/// One node in the making.
struct Birth<'a> {
    options: &'a InitOptions,
    /// Where it is made.
    root: &'a Path,
    now: Timestamp,
    entropy: &'a Arc<dyn Entropy>,
}

impl Birth<'_> {
    fn run(&self) -> Result<SignedCard, InitError> {
        for dir in [place::IDENTITY, place::OFFLINE] {
            create_private_dir(&self.root.join(dir))?;
        }
        let signing_key = self.signing_key(place::SIGNING_KEY)?;
        let cosigner_key = self.signing_key(place::COSIGNER_KEY)?;
        let next_signing_key = self.signing_key(place::NEXT_SIGNING_KEY)?;
        let node_ca = self.authority(AuthorityKind::Node)?;
        let operator_ca = self.authority(AuthorityKind::Operators)?;

        write_issued(
            self.root,
            place::NODE,
            &node_ca.issue_node(&node_hosts(self.options.member, &self.options.endpoints), self.now)?,
        )?;
        let listener = operator_ca
            .issue_listener(&operator_hosts(self.options.operator_listen, &self.options.endpoints), self.now)?;
        write_issued(self.root, place::OPERATORS, &listener)?;
        profiles::write(self.root, &operator_ca, self.options.operator_listen, self.now)?;

        let card = Card {
            member: self.options.member,
            standing: self.options.standing,
            display_name: self.options.display_name.clone(),
            endpoints: self.options.endpoints.clone(),
            tls_anchors: vec![Anchor::from_der(node_ca.anchor().to_vec())?],
            operator_anchor: Anchor::from_der(operator_ca.anchor().to_vec())?,
            signing_key: signing_key.verifying_key(),
            keyseq: 0,
            cosigner_key: cosigner_key.verifying_key(),
            register: RegisterId::random(&**self.entropy),
            protocol: ProtocolRange::new(PROTOCOL, PROTOCOL)?,
            duty_contacts: self.options.duty_contacts.clone(),
            sequence: GENESIS_SEQUENCE,
            previous: None,
            issued: self.now,
            next_signing_key: key_digest(&next_signing_key.verifying_key()),
            compromised_from: None,
        };
        let card = SignedCard::sign(card, &signing_key)?;
        write_public(&self.root.join(place::CARD), card.to_armor().as_bytes())?;
        self.key_tree()?;
        write_public(&self.root.join(FILE_NAME), self.config().as_bytes())?;
        for dir in [place::IDENTITY, place::OFFLINE, ""] {
            sync_dir(&self.root.join(dir))?;
        }
        Ok(card)
    }

    /// A new Ed25519 key, encrypted at `place`.
    fn signing_key(&self, place: &str) -> Result<SigningKey, InitError> {
        let key = SigningKey::from_bytes(&random(&**self.entropy));
        let sealed = seal_signing_key(&key, &self.options.passphrase, self.options.cost, &**self.entropy)?;
        write_private(&self.root.join(place), sealed.as_bytes())?;
        Ok(key)
    }

    fn authority(&self, kind: AuthorityKind) -> Result<Authority, InitError> {
        let authority = Authority::create(kind, self.options.member, self.now)?;
        authority.store(self.root, &self.options.passphrase, self.options.cost, &**self.entropy)?;
        Ok(authority)
    }

    fn key_tree(&self) -> Result<(), InitError> {
        let cost = match self.options.cost {
            KeyCost::Production => KdfCost::PRODUCTION,
            KeyCost::Tests => KdfCost::TESTS,
        };
        let passphrase = self.options.passphrase.for_key_tree()?;
        KeyTree::create_with_cost(self.root, &passphrase, cost, Arc::clone(self.entropy))?;
        Ok(())
    }

    fn config(&self) -> String {
        Template {
            member: self.options.member,
            peer_listen: self.options.peer_listen,
            operator_listen: self.options.operator_listen,
            endpoints: &self.options.endpoints,
        }
        .render()
    }
}
