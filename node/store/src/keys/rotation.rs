//! The one way in which a tree changes: a new generation, committed by one write to the root.
//!
//! The order is the whole safety (PROTOCOL §6):
//!
//! 1. changed buckets and the table under new names, each synced; the directory synced;
//! 2. {generation, new root key} over the older record of the root, synced: **the commit**;
//! 3. the same over the other record, synced: the old root key is gone, and with it everything it opened;
//! 4. files of older generations removed; the directory synced.
//!
//! Before 2 nothing that counts has changed. After 2 whoever opens the tree finishes 3 and 4 first. A write that
//! fails in 2 to 4 leaves open what reached the medium, so the tree takes no further change until it is opened
//! again: reporting a purge as done would be a lie, and trying again cannot tell a lost write from a kept one.

use std::collections::{BTreeMap, BTreeSet};

use super::aead::fresh_key;
use super::bucket::Bucket;
use super::disk::Disk;
use super::root::{PassphraseKey, Root, TreeId};
use super::table::{Entry, Table};
use super::{KeyError, bucket, root, slots, table};

/// What only the one who changes the tree needs.
pub(super) struct Writer {
    /// Seals root keys.
    pub(super) kek: PassphraseKey,
    /// Never used before, not even by an attempt that failed.
    pub(super) next_generation: u64,
    /// A change stopped where its effect is unknown.
    pub(super) halted: bool,
}

/// A change that is on the medium and not yet committed.
pub(super) struct Prepared {
    /// The table as it will be.
    pub(super) table: Table,
    record: Vec<u8>,
    obsolete: Vec<String>,
}

/// Step 1: `changed` buckets, existing ones or new ones that follow without a gap, beside the files that count.
pub(super) fn prepare(
    disk: &dyn Disk,
    entropy: &dyn eads_domain::entropy::Entropy,
    tree: &TreeId,
    writer: &mut Writer,
    current: &Table,
    changed: &BTreeMap<u32, Bucket>,
) -> Result<Prepared, KeyError> {
    if writer.halted {
        return Err(KeyError::Halted);
    }
    let generation = writer.next_generation;
    writer.next_generation = generation.checked_add(1).ok_or(KeyError::TooLarge)?;
    let mut next = Table { generation, ..current.clone() };
    let mut obsolete = vec![table::file_name(current.generation)];
    let mut written = vec![table::file_name(generation)];
    let result = (|| {
        for (&number, bucket) in changed {
            let entry = Entry { generation, key: fresh_key(entropy) };
            written.push(bucket::file_name(number, generation));
            bucket.write(disk, tree, number, &entry, entropy)?;
            let index = usize::try_from(number).map_err(|_| KeyError::TooLarge)?;
            match next.buckets.get_mut(index) {
                Some(old) => {
                    obsolete.push(bucket::file_name(number, old.generation));
                    *old = entry;
                }
                None => next.buckets.push(entry),
            }
        }
        let root = fresh_key(entropy);
        next.write(disk, tree, &root, entropy)?;
        disk.sync_names()?;
        writer.kek.record(tree, generation, &root, entropy)
    })();
    match result {
        Ok(record) => Ok(Prepared { table: next, record, obsolete }),
        Err(error) => {
            // Nothing names these files. A full disk gets its room back; what stays is swept at the next start.
            for name in written {
                let _ = disk.remove(&name);
            }
            Err(error)
        }
    }
}

/// Step 2. On an error it is unknown whether the change holds.
pub(super) fn commit(disk: &dyn Disk, writer: &mut Writer, prepared: &Prepared) -> Result<(), KeyError> {
    writer.halted = true;
    let committed = disk.overwrite(root::FILE, slots::offset(1), &prepared.record);
    if matches!(committed, Err(KeyError::Io { action: "open", .. })) {
        // Nothing was written: no file handle was to be had.
        writer.halted = false;
    }
    committed
}

/// Steps 3 and 4. On an error the change holds and what it destroyed may still be on the medium.
pub(super) fn finish(disk: &dyn Disk, writer: &mut Writer, prepared: &Prepared) -> Result<(), KeyError> {
    disk.overwrite(root::FILE, slots::offset(0), &prepared.record)?;
    for name in &prepared.obsolete {
        disk.remove(name)?;
    }
    disk.sync_names()?;
    writer.halted = false;
    Ok(())
}

/// Finishes whatever change was going on when the tree was last used: after this both records of the root are the
/// one that counts, every file of its generation is there, and no other one is.
pub(super) fn recover(disk: &dyn Disk, root: &Root, current: &Table) -> Result<(), KeyError> {
    let with_file = (0u32..).zip(&current.buckets).filter(|(_, entry)| !entry.is_spent());
    let mut expected: BTreeSet<String> =
        with_file.map(|(number, entry)| bucket::file_name(number, entry.generation)).collect();
    expected.insert(table::file_name(current.generation));
    let present: BTreeSet<String> = disk.names()?.into_iter().collect();
    if let Some(missing) = expected.difference(&present).next() {
        return Err(KeyError::Damaged { file: disk.path(missing), what: "missing" });
    }
    if !root.settled {
        tracing::warn!(generation = root.generation, "finishing a change of the key tree that was interrupted");
        // The record that counts may have been read from memory and never have reached the medium: make it
        // durable before its companion goes.
        for index in [root.index, 1 - root.index] {
            disk.overwrite(root::FILE, slots::offset(index), &root.record)?;
        }
    }
    let mut swept = false;
    for name in present.difference(&expected).filter(|name| is_generational(name)) {
        disk.remove(name)?;
        swept = true;
    }
    if swept { disk.sync_names() } else { Ok(()) }
}

/// Whether a file is one of a generation, and not a lock, a mark or something that a person put there.
fn is_generational(name: &str) -> bool {
    let hexadecimal = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    name.strip_prefix("table-").or_else(|| name.strip_prefix("bucket-")).is_some_and(hexadecimal)
}
