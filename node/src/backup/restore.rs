//! Restoring a backup into a new directory.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::clock::Clock;
use eads_domain::entropy::Entropy;
use eads_service::audit::AuditLog;
use eads_service::backup::{Applied, Inspection, Restorer, inspect};
use eads_store::archive::ArchiveReader;
use eads_store::embedded::EmbeddedOptions;
use eads_store::keys::{KdfCost, KeyTree};
use eads_store::{BlobStore, EmbeddedStore};
use serde_json::json;

use super::escrow::{self, About};
use super::files::{self, io};
use crate::check;
use crate::config::{Config, FILE_NAME};
use crate::control::{Outcome, Refusal};
use crate::identity::{Identity, Passphrase, create_private_dir};
use crate::init::{partial_of, put_in_place, refuse_occupied};

const BUFFER: usize = 1024 * 1024;

/// What is restored, and where.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The backup.
    pub from: PathBuf,
    /// Its key, from the escrow.
    pub key: PathBuf,
    /// The directory to make; absent or empty.
    pub dir: PathBuf,
    /// Opens the key.
    pub escrow_passphrase: Passphrase,
    /// The node's own, as it was: it opens the identity, and will open the new key tree.
    pub passphrase: Passphrase,
    /// What deriving keys from it costs.
    pub cost: KdfCost,
}

/// Makes the directory of a node from its backup. Nothing is left behind if it fails.
///
/// # Errors
/// `INIT_NOT_EMPTY` and its like for the directory; `BACKUP_*` for the file; `ESCROW_PASSPHRASE_WRONG`,
/// `PASSPHRASE_WRONG`; those of store and keys.
pub async fn restore(
    options: RestoreOptions,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    mut told: impl FnMut(&str),
) -> Result<Outcome, Refusal> {
    refuse_occupied(&options.dir)?;
    let partial = partial_of(&options.dir)?;
    told("reading the backup to its end");
    let opened = options.clone();
    let inspected = tokio::task::spawn_blocking(move || {
        let (mut reader, about) = unlocked(&opened)?;
        Ok::<_, Refusal>((inspect(&mut reader)?, about, reader.totals().sha256))
    });
    let (inspection, about, digest) =
        inspected.await.map_err(|error| Refusal::new("COMMAND_INTERRUPTED", error, None))??;
    if about.member != inspection.summary.member {
        return Err(Refusal::new("BACKUP_INCONSISTENT", "the backup and its key name different members", None));
    }
    create_private_dir(&partial).map_err(|error| Refusal::of(&error, &partial))?;
    told("writing the new directory");
    let (work, at) = (options.clone(), partial.clone());
    let (summary, generation) = (inspection.summary.clone(), about.generation.clone());
    let runtime = tokio::runtime::Handle::current();
    let building = (clock.clone(), entropy.clone());
    let built = tokio::task::spawn_blocking(move || {
        let (clock, entropy) = building;
        let (reader, _) = unlocked(&work)?;
        runtime.block_on(build(&work, &at, reader, &inspection, &about, digest, clock, entropy))
    });
    let built = built.await.map_err(|error| Refusal::new("COMMAND_INTERRUPTED", error, None)).and_then(|built| built);
    let checked = match built {
        Ok(()) => {
            told("checking the new directory");
            checked(&options, &partial, clock, entropy).await
        }
        Err(refusal) => Err(refusal),
    };
    let placed = checked.and_then(|checked| {
        put_in_place(&partial, &options.dir)?;
        Ok(checked)
    });
    if placed.is_err() {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_dir_all(&partial);
    }
    let checked = placed?;
    let counts: Vec<String> = summary.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let mut lines = vec![
        format!("The node of {} is restored in {}.", summary.member, options.dir.display()),
        format!("  of          {}, register of {} entries", summary.created, summary.register_size),
        format!("  in it       {}", counts.join(", ")),
        "  not in it   what peers sent: it is fetched again, from the start".to_owned(),
        "Before it signs, shows or serves anything it asks its peers what was added since.".to_owned(),
        format!(
            "Next: eads-node run --dir {}, then `eads status` says what could not be recovered",
            options.dir.display()
        ),
    ];
    if !checked.sound {
        lines.push("The check of the new directory found flaws that the backup had already:".to_owned());
        lines.extend(checked.lines);
    }
    let report = json!({
        "dir": options.dir, "member": summary.member, "backup_at": summary.created.as_unix(),
        "generation": generation, "register_size": summary.register_size, "counts": summary.counts,
        "check": checked.report,
    });
    Ok(Outcome { lines, report, sound: checked.sound })
}

/// The backup, opened with its key.
fn unlocked(options: &RestoreOptions) -> Result<(ArchiveReader<BufReader<File>>, About), Refusal> {
    let file = File::open(&options.from).map_err(|error| io("read", &options.from, &error))?;
    let reader = ArchiveReader::open(BufReader::with_capacity(BUFFER, file));
    let mut reader = reader.map_err(|error| Refusal::of(&error, &options.from))?;
    let sealed = escrow::read_key(&options.key)?;
    let key = sealed.open(&options.escrow_passphrase.for_key_tree()?);
    let key = key.map_err(|error| Refusal::of(&error, &options.key))?;
    reader.unlock(key).map_err(|error| Refusal::of(&error, &options.key))?;
    let about = escrow::about(reader.header(), &options.from)?;
    Ok((reader, about))
}

#[allow(clippy::too_many_arguments, reason = "one caller, right above")]
async fn build(
    options: &RestoreOptions,
    partial: &Path,
    mut reader: ArchiveReader<BufReader<File>>,
    inspection: &Inspection,
    about: &About,
    digest: eads_domain::id::Hash,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<(), Refusal> {
    let secret = options.passphrase.for_key_tree()?;
    let store = Arc::new(EmbeddedStore::open(partial, EmbeddedOptions::default())?);
    let keys = KeyTree::create_carried(partial, &secret, options.cost, entropy, &inspection.carried)?;
    let keys = Arc::new(keys);
    let audit = AuditLog::begin(&partial.join("audit"), inspection.summary.audit_begins_behind(), keys.clone(), clock)?;
    let blobs = BlobStore::open(partial, keys.clone())?;
    let mut restorer = Restorer::new(store, keys, blobs, audit);
    while let Some(record) = reader.next_record()? {
        if let Applied::File(path, mode, content) = restorer.apply(&record).await? {
            place(partial, &path, mode, &content)?;
        }
    }
    if reader.totals().sha256 != digest {
        return Err(Refusal::new("BACKUP_CHANGED", "the backup changed while it was read", None));
    }
    // Wrong passphrases show here, before anything has its name.
    Identity::load(partial, &options.passphrase)?;
    restorer.finish(&inspection.summary, inspection.carried.slots(), &about.generation).await?;
    for below in ["identity", "profiles", ""] {
        let dir = partial.join(below);
        if dir.is_dir() {
            files::sync(&dir)?;
        }
    }
    Ok(())
}

fn place(partial: &Path, path: &str, mode: u32, content: &[u8]) -> Result<(), Refusal> {
    let unknown = || Refusal::new("BACKUP_INCONSISTENT", "the backup has a file that belongs to no node", None);
    let at = files::placed(partial, path).ok_or_else(unknown)?;
    let above = at.parent().ok_or_else(unknown)?;
    // One level after the other, each for its owner alone.
    for dir in above.ancestors().collect::<Vec<_>>().into_iter().rev() {
        if dir.starts_with(partial) && !dir.exists() {
            create_private_dir(dir)?;
        }
    }
    files::write(&at, mode, content)?;
    files::sync(above)
}

/// The new directory, verified as any other; its configuration must be of the member whose backup it is.
async fn checked(
    options: &RestoreOptions,
    partial: &Path,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Outcome, Refusal> {
    let mut config = Config::load(&partial.join(FILE_NAME)).map_err(|error| Refusal::of(&error, partial))?;
    config.dir = partial.to_owned();
    let checked = check::offline(&config, options.passphrase.clone(), clock, entropy, |_| {}).await?;
    Ok(checked)
}

impl Refusal {
    /// An error about a file.
    pub(super) fn of(error: &(impl eads_domain::code::Coded + ?Sized), path: &Path) -> Self {
        Self::new(error.code().as_str(), format!("{}: {error}", path.display()), None)
    }
}
