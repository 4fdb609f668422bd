//! A change of several files of the identity that is made as one.
//!
//! The new files lie in `identity/change/`, put there by one rename. Whether they count is decided by the store if a
//! card is among them, since the store holds every card that was ever in force, and else by their being there. What
//! counts is moved into place, the card last; what does not is removed.

use std::fs;
use std::path::{Path, PathBuf};

use eads_domain::card::SignedCard;
use eads_service::Node;
use eads_store::vault::Vault;

use crate::identity::{IdentityError, create_private_dir, place, read_card_at, sync_dir, write_private, write_public};

const CHANGE: &str = "identity/change";
const PARTIAL: &str = "identity/change.partial";
const CARD: &str = "card.pem";
const NEXT_SIGNING_KEY: &str = "next-signing.key";
/// Ends the process at the step of this name, as if it were killed there. In debug builds only: what is installed has
/// no such switch.
const END_AT: &str = "EADS_TEST_END_AT";

/// A change that is being prepared; nothing of it counts.
#[derive(Debug)]
pub(super) struct Change {
    dir: PathBuf,
}

impl Change {
    /// Begins one, over whatever an earlier one left.
    pub(super) fn begin(dir: &Path) -> Result<Self, IdentityError> {
        remove(&dir.join(PARTIAL))?;
        if dir.join(CHANGE).exists() {
            return Err(IdentityError::ChangeUnfinished { path: dir.join(CHANGE) });
        }
        create_private_dir(&dir.join(PARTIAL))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// A key file.
    pub(super) fn private(&self, name: &str, bytes: &[u8]) -> Result<(), IdentityError> {
        write_private(&self.dir.join(PARTIAL).join(name), bytes)
    }

    /// A certificate.
    pub(super) fn public(&self, name: &str, bytes: &[u8]) -> Result<(), IdentityError> {
        write_public(&self.dir.join(PARTIAL).join(name), bytes)
    }

    /// The card, by which the store decides.
    pub(super) fn card(&self, card: &SignedCard) -> Result<(), IdentityError> {
        self.public(CARD, card.to_armor().as_bytes())
    }

    /// Everything is there. Without a card among it, it counts from here on.
    pub(super) fn prepared(self) -> Result<Prepared, IdentityError> {
        sync_dir(&self.dir.join(PARTIAL))?;
        step("staged");
        let (from, to) = (self.dir.join(PARTIAL), self.dir.join(CHANGE));
        fs::rename(&from, &to).map_err(|error| IdentityError::io("rename", &from, error))?;
        sync_dir(&self.dir.join(place::IDENTITY))?;
        step("prepared");
        Ok(Prepared { dir: self.dir })
    }
}

/// A change whose files are all there.
#[derive(Debug)]
pub(super) struct Prepared {
    dir: PathBuf,
}

impl Prepared {
    /// It counts: puts the files in place.
    pub(super) fn finish(self) -> Result<(), IdentityError> {
        step("committed");
        finish(&self.dir)
    }

    /// It does not count.
    pub(super) fn abandon(self) -> Result<(), IdentityError> {
        remove(&self.dir.join(CHANGE))
    }
}

/// Ends a change that a killed node left: finishes it if it counts, removes it if not.
///
/// # Errors
/// [`IdentityError`]; when the store cannot be read.
pub(crate) async fn settle(dir: &Path, vault: &Vault) -> Result<(), crate::lifecycle::LifecycleError> {
    let wrong = |error: IdentityError| crate::lifecycle::LifecycleError::new(&error);
    remove(&dir.join(PARTIAL)).map_err(wrong)?;
    let change = dir.join(CHANGE);
    if !change.exists() {
        return Ok(());
    }
    let staged = change.join(CARD);
    let counts = match staged.exists() {
        // The card goes last, so that it was decided before.
        false => true,
        true => {
            let card = read_card_at(&staged).map_err(wrong)?;
            let known = Node::knows_own_card(vault, &card).await;
            known.map_err(|error| crate::lifecycle::LifecycleError::new(&error))?
        }
    };
    if counts {
        tracing::warn!("a change of keys or certificates that was interrupted is finished");
        finish(dir).map_err(wrong)
    } else {
        tracing::warn!("a change of keys or certificates that was interrupted before it counted is taken back");
        remove(&change).map_err(wrong)
    }
}

fn finish(dir: &Path) -> Result<(), IdentityError> {
    let change = dir.join(CHANGE);
    let listed = fs::read_dir(&change).map_err(|error| IdentityError::io("list", &change, error))?;
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|error| IdentityError::io("list", &change, error))?;
        names.extend(entry.file_name().to_str().map(str::to_owned));
    }
    names.sort_by_key(|name| (name == CARD, name.clone()));
    for name in names {
        let to = if name == NEXT_SIGNING_KEY {
            let offline = dir.join(place::OFFLINE);
            if !offline.exists() {
                create_private_dir(&offline)?;
            }
            offline.join(&name)
        } else {
            dir.join(place::IDENTITY).join(&name)
        };
        let from = change.join(&name);
        fs::rename(&from, &to).map_err(|error| IdentityError::io("rename", &from, error))?;
        if let Some(above) = to.parent() {
            sync_dir(above)?;
        }
        step(&name);
    }
    remove(&change)?;
    sync_dir(&dir.join(place::IDENTITY))
}

fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(IdentityError::io("remove", path, error)),
        _ => Ok(()),
    }
}

fn step(name: &str) {
    if cfg!(debug_assertions) && std::env::var_os(END_AT).is_some_and(|at| at == name) {
        tracing::error!(step = name, "ended as the test asked");
        std::process::abort();
    }
}
