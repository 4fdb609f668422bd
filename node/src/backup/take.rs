//! Taking a backup, of a running node or of a stopped one.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_service::backup::{Exporter, Source, Summary, Touched, inspect};
use eads_store::archive::{ArchiveKey, ArchiveReader, ArchiveWriter, Written};
use eads_store::keys::{KdfCost, Passphrase};
use eads_store::port::Sequence;
use eads_store::vault::Vault;
use eads_store::{BlobStore, EmbeddedStore};
use serde_json::json;

use super::Secret;
use super::escrow::{self, About, DATA_SUFFIX, KEY_SUFFIX};
use super::files::{self, io};
use crate::control::{Outcome, Progress, Refusal, Target};

const VERSION: u16 = 1;
/// Commits that may be left for the pause.
const FEW: u64 = 500;
/// How often what changed is read again before the pause.
const ROUNDS: usize = 20;
const BUFFER: usize = 1024 * 1024;

/// What is in no backup, for the administrator.
const NOT_IN_IT: &str = "not in it: what peers sent (fetched again after a restore), data keys, the next signing key";

/// Where a backup and its key go.
struct Places {
    data: PathBuf,
    partial: PathBuf,
    key: PathBuf,
}

/// Writes a backup into `to` and its key into `escrow`, verifies both, and destroys keys that are too old.
pub(crate) async fn backup(
    target: &Target,
    progress: &Progress,
    to: &Path,
    escrow: &Path,
    secret: &Secret,
    cost: KdfCost,
) -> Result<Outcome, Refusal> {
    let (to, escrow) = apart(&target.dir, to, escrow)?;
    let invalid = || Refusal::new("CONTROL_REQUEST", "the escrow's passphrase cannot be read", None);
    let passphrase = Arc::new(Passphrase::new(secret.bytes().ok_or_else(invalid)?)?);
    let card = crate::identity::read_card(&target.dir)?;
    let vault = Vault::new(target.store.clone(), target.keys.clone());
    let signing = eads_service::succession::own_keys(&vault, &card).await?;
    let card = card.card();
    let source = Source {
        member: card.member,
        register: card.register,
        signing,
        store: target.store.clone(),
        keys: target.keys.clone(),
        blobs: Arc::new(BlobStore::open(&target.dir, target.keys.clone())?),
        audit: target.audit.clone(),
    };
    let now = target.clock.now();
    let key = ArchiveKey::generate(&*target.entropy);
    let generation: String = key.id().iter().map(|byte| format!("{byte:02x}")).collect();
    let moment: String = now.to_string().chars().filter(|sign| sign.is_ascii_alphanumeric()).collect();
    let name = format!("{}-{moment}-{}", card.member, generation.get(..8).unwrap_or_default());
    let data = to.join(format!("{name}{DATA_SUFFIX}"));
    let places = Places {
        partial: to.join(format!("{name}{DATA_SUFFIX}.partial")),
        key: escrow.join(format!("{name}{KEY_SUFFIX}")),
        data,
    };
    let about = About {
        version: VERSION,
        member: card.member,
        generation: generation.clone(),
        created: now,
        backup: format!("{name}{DATA_SUFFIX}"),
    };
    let header = serde_json::to_vec(&about).map_err(|error| Refusal::new("BACKUP_IO", error, None))?;
    // The key first: a backup that has its name always has its key.
    let sealed = seal(key, passphrase.clone(), cost, header.clone(), target).await?;
    let work =
        Work { target: target.clone(), progress: progress.clone(), source, header, passphrase, escrow: escrow.clone() };
    let made = work.run(&places, sealed).await;
    if made.is_err() {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_file(&places.partial);
        let _ = fs::remove_file(&places.key);
    }
    let (written, summary) = made?;
    let expired = escrow::expire(&escrow, card.member, now)?;
    let unreadable = escrow::unreadable(&to, &escrow, card.member)?;
    Ok(outcome(&places, &generation, &written, &summary, &expired, &unreadable))
}

/// The key and its file's bytes.
type SealedPair = (ArchiveKey, Vec<u8>);

async fn seal(
    key: ArchiveKey,
    passphrase: Arc<Passphrase>,
    cost: KdfCost,
    about: Vec<u8>,
    target: &Target,
) -> Result<SealedPair, Refusal> {
    let entropy = target.entropy.clone();
    let sealed = tokio::task::spawn_blocking(move || {
        let file = key.seal(&passphrase, cost, &about, &*entropy)?;
        Ok::<_, Refusal>((key, file))
    });
    sealed.await.map_err(|error| Refusal::new("COMMAND_INTERRUPTED", error, None))?
}

/// The key must not lie where the data lie, nor the backup inside what it is of.
fn apart(dir: &Path, to: &Path, escrow: &Path) -> Result<(PathBuf, PathBuf), Refusal> {
    let dir = fs::canonicalize(dir).map_err(|error| io("find", dir, &error))?;
    let (to, escrow) = (files::directory(to)?, files::directory(escrow)?);
    if to.starts_with(&dir) {
        return Err(Refusal::new(
            "BACKUP_INSIDE_DATA",
            format!("{} lies inside the node's directory {}", to.display(), dir.display()),
            Some("write the backup to another disk or machine"),
        ));
    }
    let together = |one: &Path, other: &Path| one.starts_with(other) || other.starts_with(one);
    if together(&escrow, &to) || together(&escrow, &dir) {
        return Err(Refusal::new(
            "ESCROW_WITH_DATA",
            format!("the escrow {} lies with the data: whoever has one would have both", escrow.display()),
            Some("give the keys a place of their own: another disk, another machine, other people"),
        ));
    }
    Ok((to, escrow))
}

struct Work {
    target: Target,
    progress: Progress,
    source: Source,
    header: Vec<u8>,
    passphrase: Arc<Passphrase>,
    escrow: PathBuf,
}

impl Work {
    /// On a thread that may block: files are written as rows are read.
    async fn run(self, places: &Places, sealed: SealedPair) -> Result<(Written, Summary), Refusal> {
        let runtime = tokio::runtime::Handle::current();
        let (data, partial, key) = (places.data.clone(), places.partial.clone(), places.key.clone());
        let work = tokio::task::spawn_blocking(move || {
            let (secret, file) = sealed;
            files::write(&key, 0o600, &file)?;
            files::sync(&self.escrow)?;
            let (written, summary) = runtime.block_on(self.write(&partial, secret))?;
            self.verify(&partial, &key, &written, &summary)?;
            if data.exists() {
                return Err(Refusal::new("BACKUP_EXISTS", format!("{} exists", data.display()), None));
            }
            fs::rename(&partial, &data).map_err(|error| io("rename", &partial, &error))?;
            if let Some(dir) = data.parent() {
                files::sync(dir)?;
            }
            Ok((written, summary))
        });
        work.await.map_err(|error| Refusal::new("COMMAND_INTERRUPTED", error, None))?
    }

    async fn write(&self, partial: &Path, key: ArchiveKey) -> Result<(Written, Summary), Refusal> {
        let store = &self.target.store;
        let file = BufWriter::with_capacity(BUFFER, files::create(partial)?);
        let writer = ArchiveWriter::new(file, key, &self.header, self.target.entropy.clone())?;
        let mut seen = store.head()?.sequence;
        let mut exporter = Exporter::begin(self.source.clone(), writer, self.created()?)?;
        self.tell("reading everything")?;
        exporter.everything().await?;
        for _ in 0..ROUNDS {
            let head = store.head()?.sequence;
            if head.saturating_sub(seen) <= FEW {
                break;
            }
            self.tell("reading what changed meanwhile")?;
            exporter.changed(touched(store, seen, head)?).await?;
            seen = head;
        }
        {
            let _pause = store.pause().await?;
            let head = store.head()?.sequence;
            exporter.changed(touched(store, seen, head)?).await?;
            exporter.moment(head).await?;
        }
        self.tell("reading the audit log")?;
        exporter.audit()?;
        for kept in files::kept(&self.target.dir)? {
            exporter.file(&kept.path, kept.mode, &kept.content)?;
        }
        let (file, written, summary) = exporter.finish()?;
        let file = file.into_inner().map_err(|error| io("write", partial, error.error()))?;
        file.sync_all().map_err(|error| io("sync", partial, &error))?;
        Ok((written, summary))
    }

    /// Reads all of it back, with the key as it lies in the escrow.
    fn verify(&self, partial: &Path, key: &Path, written: &Written, summary: &Summary) -> Result<(), Refusal> {
        self.tell("reading the backup back")?;
        let file = File::open(partial).map_err(|error| io("read", partial, &error))?;
        let mut reader = ArchiveReader::open(BufReader::with_capacity(BUFFER, file))?;
        reader.unlock(escrow::read_key(key)?.open(&self.passphrase)?)?;
        let inspection = inspect(&mut reader)?;
        if reader.totals() != *written || inspection.summary != *summary {
            let text = format!("{} is not what was written", partial.display());
            return Err(Refusal::new("BACKUP_NOT_VERIFIED", text, Some("check the medium, then take it again")));
        }
        Ok(())
    }

    fn created(&self) -> Result<eads_domain::clock::Timestamp, Refusal> {
        Ok(escrow::about(&self.header, Path::new("the header"))?.created)
    }

    fn tell(&self, what: &str) -> Result<(), Refusal> {
        self.progress.tell(what);
        if self.progress.is_stopped() {
            return Err(Refusal::new("COMMAND_STOPPED", "the backup was stopped; nothing of it is left", None));
        }
        Ok(())
    }
}

/// The rows that the commits behind `seen` up to `head` changed.
fn touched(store: &EmbeddedStore, seen: u64, head: u64) -> Result<Touched, Refusal> {
    let mut touched = Touched::new();
    if head > seen {
        for commit in store.changes(Sequence::new(seen + 1))? {
            let commit = commit?;
            touched.extend(commit.changes.into_iter().map(|change| ([change.area, change.version], change.key)));
        }
    }
    Ok(touched)
}

fn outcome(
    places: &Places,
    generation: &str,
    written: &Written,
    summary: &Summary,
    expired: &[About],
    unreadable: &[String],
) -> Outcome {
    let counts: Vec<String> = summary.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let mut lines = vec![
        format!("backup      {} ({} bytes, verified)", places.data.display(), written.bytes),
        format!("key         {}", places.key.display()),
        format!("generation  {generation}"),
        format!("of          commit {}, register of {} entries", summary.sequence, summary.register_size),
        format!("in it       {}", counts.join(", ")),
        NOT_IN_IT.to_owned(),
    ];
    for about in expired {
        lines.push(format!("destroyed   the key of {} of {}: nobody reads it any more", about.backup, about.created));
    }
    for path in unreadable {
        lines.push(format!("unreadable  {path}: its key is not in the escrow; it can be removed"));
    }
    let report = json!({
        "backup": places.data, "key": places.key, "generation": generation, "bytes": written.bytes,
        "records": written.records, "sha256": written.sha256, "sequence": summary.sequence,
        "register_size": summary.register_size, "counts": summary.counts,
        "destroyed": expired.iter().map(|about| &about.backup).collect::<Vec<_>>(), "unreadable": unreadable,
    });
    Outcome { lines, report, sound: true }
}
