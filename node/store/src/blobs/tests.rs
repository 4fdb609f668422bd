//! Sealed files in a real directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use eads_domain::code::Coded as _;
use eads_domain::encode::sha256;
use eads_domain::entropy::SystemEntropy;
use tempfile::TempDir;

use super::*;
use crate::keys::{KdfCost, Passphrase};

struct Room {
    dir: TempDir,
    keys: Arc<KeyTree>,
    blobs: BlobStore,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::new("a passphrase for tests").unwrap();
        let keys = KeyTree::create_with_cost(dir.path(), &passphrase, KdfCost::TESTS, Arc::new(SystemEntropy)).unwrap();
        let keys = Arc::new(keys);
        let blobs = BlobStore::open_with(dir.path(), keys.clone(), 0, Arc::new(FileSystem)).unwrap();
        Self { dir, keys, blobs }
    }

    fn name(&self, id: u8) -> BlobName {
        BlobName { key: self.keys.allocate().unwrap(), id: [id; 16] }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.dir.path().join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn whole(&self, name: &BlobName, len: u32) -> Option<Vec<u8>> {
        self.blobs.read(name, len, 0..u32::MAX).unwrap().map(|bytes| bytes.to_vec())
    }
}

/// Bytes that repeat nowhere.
fn bytes(len: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).take(len).collect()
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

#[test]
fn what_was_written_is_read_back_whole_and_by_ranges() {
    let room = Room::new();
    for size in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 17] {
        let (plain, name) = (bytes(size), room.name(1));
        room.blobs.write(&name, &plain).unwrap();
        assert_eq!(room.whole(&name, len(&plain)).unwrap(), plain);
        let (from, to) = (size / 3, size - size / 5);
        let range = u32::try_from(from).unwrap()..u32::try_from(to).unwrap();
        assert_eq!(room.blobs.read(&name, len(&plain), range).unwrap().unwrap().as_slice(), &plain[from..to]);
        assert!(room.blobs.is_whole(name.key));
        assert_eq!(room.blobs.held(&name, len(&plain)), len(&plain));
    }
    for file in room.files() {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn nothing_readable_stands_in_the_file() {
    let room = Room::new();
    let name = room.name(1);
    let plain = b"a face that everybody knows".repeat(9000);
    room.blobs.write(&name, &plain).unwrap();
    let sealed = fs::read(&room.files()[0]).unwrap();
    assert!(!sealed.windows(16).any(|window| window == &plain[..16]));
}

#[test]
fn chunks_cannot_be_changed_swapped_cut_off_or_moved_to_another_file() {
    let room = Room::new();
    let (plain, name) = (bytes(3 * CHUNK_BYTES), room.name(1));
    room.blobs.write(&name, &plain).unwrap();
    let file = room.files().remove(0);
    let good = fs::read(&file).unwrap();
    let sealed = CHUNK_BYTES + KeyTree::OVERHEAD_BYTES;
    let refused = |changed: &[u8], len: u32| {
        fs::write(&file, changed).unwrap();
        room.blobs.read(&name, len, 0..u32::MAX).unwrap_err().code().as_str()
    };
    let mut flipped = good.clone();
    flipped[sealed + 100] ^= 1;
    assert_eq!(refused(&flipped, len(&plain)), "BLOB_DAMAGED");
    let swapped = [&good[sealed..2 * sealed], &good[..sealed], &good[2 * sealed..]].concat();
    assert_eq!(refused(&swapped, len(&plain)), "BLOB_DAMAGED");
    // Without its last chunk the file claims another length; the chunk that is the last one then says that it is not.
    assert_eq!(refused(&good[..2 * sealed], len(&plain)), "BLOB_DAMAGED");
    assert_eq!(refused(&good[..2 * sealed], 2 * file::CHUNK), "BLOB_DAMAGED");
    fs::write(&file, &good).unwrap();
    let other = BlobName { id: [2; 16], ..name };
    assert_eq!(room.blobs.read(&other, len(&plain), 0..9).unwrap_err().code().as_str(), "BLOB_DAMAGED");
    assert_eq!(room.whole(&name, len(&plain)).unwrap(), plain);
}

#[test]
fn a_destroyed_key_leaves_nothing_to_read() {
    let room = Room::new();
    let (plain, name) = (bytes(CHUNK_BYTES + 9), room.name(1));
    room.blobs.write(&name, &plain).unwrap();
    room.keys.destroy(&[name.key]).unwrap();
    assert_eq!(room.whole(&name, len(&plain)), None);
    assert_eq!(room.blobs.write(&name, &plain).unwrap_err().code().as_str(), "KEY_DESTROYED");
    room.blobs.remove(&[name.key]).unwrap();
    assert!(room.files().is_empty());
}

#[test]
fn a_download_goes_on_where_a_crash_left_it() {
    let room = Room::new();
    let (plain, name) = (bytes(5 * CHUNK_BYTES + 100), room.name(1));
    let mut download = room.blobs.download(name, len(&plain)).unwrap();
    for piece in plain[..2 * CHUNK_BYTES + 777].chunks(1000) {
        room.blobs.append(&mut download, piece).unwrap();
    }
    assert_eq!(download.held() as usize, 2 * CHUNK_BYTES + 777);
    assert_eq!(room.whole(&name, len(&plain)), None, "a part is not visible");
    drop(download);
    // Torn by the crash: half a chunk more, which nobody wrote whole.
    let part = room.files().remove(0);
    let torn = [fs::read(&part).unwrap(), bytes(4000)].concat();
    fs::write(&part, torn).unwrap();
    assert_eq!(room.blobs.held(&name, len(&plain)) as usize, 2 * CHUNK_BYTES);

    let mut download = room.blobs.download(name, len(&plain)).unwrap();
    assert_eq!(download.held() as usize, 2 * CHUNK_BYTES);
    room.blobs.append(&mut download, &plain[2 * CHUNK_BYTES..]).unwrap();
    assert!(download.is_complete());
    assert!(room.blobs.finish(download, &sha256(&plain)).unwrap());
    assert_eq!(room.whole(&name, len(&plain)).unwrap(), plain);
    assert_eq!(room.files().len(), 1);
}

#[test]
fn what_does_not_authenticate_is_fetched_again() {
    let room = Room::new();
    let (plain, name) = (bytes(4 * CHUNK_BYTES), room.name(1));
    let mut download = room.blobs.download(name, len(&plain)).unwrap();
    room.blobs.append(&mut download, &plain[..3 * CHUNK_BYTES]).unwrap();
    drop(download);
    let part = room.files().remove(0);
    let mut zeroed = fs::read(&part).unwrap();
    let second = CHUNK_BYTES + KeyTree::OVERHEAD_BYTES;
    zeroed[second..second + 4096].fill(0);
    fs::write(&part, zeroed).unwrap();
    let mut download = room.blobs.download(name, len(&plain)).unwrap();
    assert_eq!(download.held() as usize, CHUNK_BYTES);
    room.blobs.append(&mut download, &plain[CHUNK_BYTES..]).unwrap();
    assert!(room.blobs.finish(download, &sha256(&plain)).unwrap());
    assert_eq!(room.whole(&name, len(&plain)).unwrap(), plain);
}

#[test]
fn other_bytes_than_were_promised_never_become_visible() {
    let room = Room::new();
    let (plain, name) = (bytes(CHUNK_BYTES + 1), room.name(1));
    let mut download = room.blobs.download(name, len(&plain)).unwrap();
    assert_eq!(
        room.blobs.append(&mut download, &bytes(CHUNK_BYTES + 2)).unwrap_err().code().as_str(),
        "BLOB_TOO_LARGE"
    );
    room.blobs.append(&mut download, &plain).unwrap();
    assert!(!room.blobs.finish(download, &sha256(b"something else")).unwrap());
    assert!(room.files().is_empty());
    // A purge in the middle: nothing more is written, and nothing appears.
    let mut download = room.blobs.download(name, len(&plain)).unwrap();
    room.keys.destroy(&[name.key]).unwrap();
    assert_eq!(room.blobs.append(&mut download, &plain).unwrap_err().code().as_str(), "KEY_DESTROYED");
    assert!(room.files().is_empty());
}

#[test]
fn a_start_removes_what_no_row_names_and_what_was_being_written() {
    let room = Room::new();
    let (kept, fetched, stray) = (room.name(1), room.name(2), room.name(3));
    let plain = bytes(2 * CHUNK_BYTES);
    room.blobs.write(&kept, &plain).unwrap();
    room.blobs.write(&stray, &plain).unwrap();
    let mut download = room.blobs.download(fetched, len(&plain)).unwrap();
    room.blobs.append(&mut download, &plain[..CHUNK_BYTES]).unwrap();
    fs::write(room.blobs.path(kept.key, Some(NEW)), b"half").unwrap();
    fs::write(room.dir.path().join("blobs").join("something"), b"else").unwrap();
    assert_eq!(room.blobs.sweep(|key| [kept.key, fetched.key].contains(&key)).unwrap(), 3);
    assert_eq!(room.files(), [room.blobs.path(kept.key, None), room.blobs.path(fetched.key, Some(PART))]);
    assert_eq!(room.blobs.list().unwrap().len(), 1);
}

#[derive(Debug, Default)]
struct Disk(AtomicU64);

impl FreeSpace for Disk {
    fn free(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_short_disk_takes_no_files_and_leaves_nothing_behind() {
    let room = Room::new();
    let disk = Arc::new(Disk::default());
    let blobs = BlobStore::open_with(room.dir.path(), room.keys.clone(), 1000, disk.clone()).unwrap();
    let (plain, name) = (bytes(CHUNK_BYTES), room.name(1));
    assert_eq!(blobs.write(&name, &plain).unwrap_err().code().as_str(), "DISK_RESERVE");
    let mut download = blobs.download(name, len(&plain)).unwrap();
    assert_eq!(blobs.append(&mut download, &plain).unwrap_err().code().as_str(), "DISK_RESERVE");
    assert!(room.files().is_empty());
    disk.0.store(1000, Ordering::SeqCst);
    blobs.append(&mut download, &plain).unwrap();
    assert!(blobs.finish(download, &sha256(&plain)).unwrap());
}

#[test]
fn a_file_that_cannot_be_written_is_a_coded_error_and_leaves_nothing() {
    let room = Room::new();
    let (plain, name) = (bytes(CHUNK_BYTES), room.name(1));
    // A directory stands where the file would: the rename fails, and the neighbour goes.
    fs::create_dir(room.blobs.path(name.key, None)).unwrap();
    assert_eq!(room.blobs.write(&name, &plain).unwrap_err().code().as_str(), "STORE_IO");
    assert_eq!(room.files().len(), 1);
}
