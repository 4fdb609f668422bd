//! The key escrow: one file a generation, each sealed under the escrow's passphrase, none older than 35 days.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use eads_domain::clock::Timestamp;
use eads_domain::id::MemberId;
use eads_store::archive::{ArchiveReader, SealedKey};
use serde::{Deserialize, Serialize};

use super::files::{self, io};
use crate::control::Refusal;

/// How a key file ends.
pub(super) const KEY_SUFFIX: &str = ".backup-key";
/// How a data file ends.
pub(super) const DATA_SUFFIX: &str = ".backup";
/// How long a generation can be read.
const DAYS: i64 = 35;
/// Larger than any key file.
const MAX_KEY_BYTES: u64 = 64 * 1024;
/// Old backups that are named at most.
const NAMED: usize = 100;

/// What a key file and a backup say of themselves in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    pub(super) version: u16,
    pub(super) member: MemberId,
    pub(super) generation: String,
    pub(super) created: Timestamp,
    /// The data file's name.
    pub(super) backup: String,
}

/// Reads a key file.
pub(super) fn read_key(path: &Path) -> Result<SealedKey, Refusal> {
    let size = fs::metadata(path).map_err(|error| io("read", path, &error))?.len();
    if size > MAX_KEY_BYTES {
        return Err(Refusal::new("BACKUP_UNKNOWN", format!("{} is not the key of a backup", path.display()), None));
    }
    let bytes = fs::read(path).map_err(|error| io("read", path, &error))?;
    SealedKey::parse(&bytes).map_err(|error| Refusal::of(&error, path))
}

/// Destroys every key of `member` that is older than 35 days. Returns the generations that nobody reads any more.
pub(super) fn expire(escrow: &Path, member: MemberId, now: Timestamp) -> Result<Vec<About>, Refusal> {
    let mut destroyed = Vec::new();
    for path in keys(escrow)? {
        let Ok(about) = read_key(&path).and_then(|key| about(key.about(), &path)) else { continue };
        if about.member == member && now.seconds_since(about.created) > DAYS * 86_400 {
            destroy(&path)?;
            destroyed.push(about);
        }
    }
    files::sync(escrow)?;
    Ok(destroyed)
}

/// Backups of `member` below `to` whose key is not in the escrow: they can be removed.
pub(super) fn unreadable(to: &Path, escrow: &Path, member: MemberId) -> Result<Vec<String>, Refusal> {
    let mut known = BTreeSet::new();
    for path in keys(escrow)? {
        if let Ok(about) = read_key(&path).and_then(|key| about(key.about(), &path)) {
            known.insert(about.generation);
        }
    }
    let mut named = Vec::new();
    for path in files::with_suffix(to, DATA_SUFFIX)? {
        let Ok(file) = fs::File::open(&path) else { continue };
        let Ok(reader) = ArchiveReader::open(file) else { continue };
        let Ok(about) = about(reader.header(), &path) else { continue };
        if about.member == member && !known.contains(&about.generation) && named.len() < NAMED {
            named.push(path.display().to_string());
        }
    }
    Ok(named)
}

/// What a key file or backup says of itself.
pub(super) fn about(bytes: &[u8], path: &Path) -> Result<About, Refusal> {
    serde_json::from_slice(bytes).map_err(|_| {
        Refusal::new("BACKUP_UNKNOWN", format!("{} does not say which backup it is", path.display()), None)
    })
}

fn keys(escrow: &Path) -> Result<Vec<PathBuf>, Refusal> {
    files::with_suffix(escrow, KEY_SUFFIX)
}

/// Overwrites a key file and removes it.
fn destroy(path: &Path) -> Result<(), Refusal> {
    let overwritten = OpenOptions::new().write(true).open(path).and_then(|mut file| {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or_default();
        file.write_all(&vec![0; length])?;
        file.sync_all()
    });
    overwritten.map_err(|error| io("overwrite", path, &error))?;
    fs::remove_file(path).map_err(|error| io("remove", path, &error))
}
