//! The raw limits of this machine: synced writes, signature checks, and nothing else.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ed25519_dalek::{Signature, VerifyingKey};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A preallocated file that is overwritten from front to back, each write synced: the least that durable is.
pub(crate) struct Synced {
    file: File,
    at: u64,
}

impl Synced {
    /// A file of zeros in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join(format!("raw-{:016x}", u64::from_be_bytes(eads_tests::hostile::noise())));
        let file = File::options().create_new(true).write(true).open(path).expect("a file");
        let zeros = vec![0; 1024 * 1024];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at).expect("room");
        }
        file.sync_all().expect("a sync");
        Self { file, at: 0 }
    }

    /// Writes and syncs. Returns the milliseconds that it took.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> f64 {
        let start = Instant::now();
        if self.at + bytes.len() as u64 > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at).expect("room");
        self.file.sync_data().expect("a sync");
        self.at += bytes.len() as u64;
        start.elapsed().as_secs_f64() * 1000.0
    }
}

/// One record: what was signed, its signature, and all bytes that travel with it.
pub(crate) struct Signed {
    pub(crate) message: Vec<u8>,
    pub(crate) signature: Signature,
    pub(crate) bytes: Vec<u8>,
}

/// Checks every signature strictly and appends every 64 records with one sync, on one thread. Records a second.
pub(crate) fn verify_and_append(dir: &Path, key: &VerifyingKey, records: &[Signed]) -> f64 {
    let mut file = Synced::new(dir);
    let start = Instant::now();
    for group in records.chunks(64) {
        let mut bytes = Vec::new();
        for record in group {
            key.verify_strict(&record.message, &record.signature).expect("a good signature");
            bytes.extend_from_slice(&record.bytes);
        }
        file.append(&bytes);
    }
    records.len() as f64 / start.elapsed().as_secs_f64()
}

/// Appends every group of records with one sync. Records a second.
pub(crate) fn append_groups(dir: &Path, record: &[u8], count: usize) -> f64 {
    let mut file = Synced::new(dir);
    let group = record.repeat(64);
    let start = Instant::now();
    for _ in 0..count.div_ceil(64) {
        file.append(&group);
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// A thread that syncs whatever waits for it as one group, as simply as it can be done.
#[derive(Clone)]
pub(crate) struct GroupLog(mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)>);

impl GroupLog {
    pub(crate) fn start(dir: &Path) -> Self {
        let (sender, mut receiver) = mpsc::channel::<(Vec<u8>, oneshot::Sender<()>)>(256);
        let mut file = Synced::new(dir);
        std::thread::spawn(move || {
            while let Some((mut bytes, reply)) = receiver.blocking_recv() {
                let mut replies = vec![reply];
                while let Ok((more, reply)) = receiver.try_recv() {
                    bytes.extend_from_slice(&more);
                    replies.push(reply);
                }
                file.append(&bytes);
                for reply in replies {
                    let _ = reply.send(());
                }
            }
        });
        Self(sender)
    }

    pub(crate) async fn append(&self, bytes: Vec<u8>) {
        let (reply, done) = oneshot::channel();
        self.0.send((bytes, reply)).await.expect("the thread runs");
        done.await.expect("the thread runs");
    }
}
