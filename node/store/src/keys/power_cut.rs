//! A model of a directory whose machine loses power: what was not promised is lost, kept or torn by chance.
//!
//! A name that was created or removed since the last directory sync persists or not, each on its own. A file cut
//! while it is written is a prefix of itself. A part cut while it is written over is old or new sector by sector.
//! Every content that was ever written as a file stays readable to a thief, as removed files do on real media;
//! what was written over in place does not.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::KeyError;
use super::disk::Disk;

const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The machine dies within the writing operation of this number; everything later fails.
    PowerCut(u64),
    /// The writing operation of this number fails half-way; the machine lives on.
    Error(u64),
}

#[derive(Clone, Debug)]
pub(super) struct PowerCutDisk(Arc<Mutex<Model>>);

#[derive(Debug)]
struct Model {
    files: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// Creations (with the file) and removals since the last directory sync.
    pending: Vec<(String, Option<usize>)>,
    attic: Vec<(String, Vec<u8>)>,
    fault: Fault,
    operations: u64,
    bytes_written: u64,
    dead: bool,
    chance: u64,
}

impl PowerCutDisk {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Model {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            attic: Vec::new(),
            fault: Fault::None,
            operations: 0,
            bytes_written: 0,
            dead: false,
            chance: 1,
        })))
    }

    /// An independent copy of the whole medium.
    pub(super) fn fork(&self) -> Self {
        let model = self.model();
        Self(Arc::new(Mutex::new(Model {
            files: model.files.clone(),
            names: model.names.clone(),
            durable: model.durable.clone(),
            pending: model.pending.clone(),
            attic: model.attic.clone(),
            ..*model
        })))
    }

    /// Arms a fault, counted from here on.
    pub(super) fn arm(&self, fault: Fault, seed: u64) {
        let mut model = self.model();
        model.fault = fault;
        model.operations = 0;
        model.bytes_written = 0;
        model.chance = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }

    /// Power comes back: what the next start finds.
    pub(super) fn reboot(&self) {
        let mut model = self.model();
        for (name, file) in std::mem::take(&mut model.pending) {
            if model.coin() {
                match file {
                    Some(file) => model.durable.insert(name, file),
                    None => model.durable.remove(&name),
                };
            }
        }
        model.names = model.durable.clone();
        model.dead = false;
        model.fault = Fault::None;
    }

    pub(super) fn operations(&self) -> u64 {
        self.model().operations
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.model().bytes_written
    }

    /// Whether the armed fault has struck.
    pub(super) fn has_struck(&self) -> bool {
        let model = self.model();
        match model.fault {
            Fault::None => true,
            Fault::PowerCut(at) | Fault::Error(at) => model.operations >= at,
        }
    }

    /// Everything that a thief of the medium may read: present files, and removed ones.
    pub(super) fn remnants(&self) -> Vec<(String, Vec<u8>)> {
        let model = self.model();
        let present = model.names.iter().map(|(name, file)| (name.clone(), model.files[*file].clone()));
        present.chain(model.attic.iter().cloned()).collect()
    }

    /// Changes a file behind the tree's back.
    pub(super) fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut model = self.model();
        let file = model.names[name];
        change(&mut model.files[file]);
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap()
    }
}

impl Model {
    fn coin(&mut self) -> bool {
        self.dice(2) == 1
    }

    fn dice(&mut self, sides: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as usize % sides
    }

    /// Counts a writing operation; `true` if it is the one that the fault strikes.
    fn step(&mut self) -> Result<bool, KeyError> {
        if self.dead {
            return Err(broken());
        }
        self.operations += 1;
        Ok(match self.fault {
            Fault::None => false,
            Fault::PowerCut(at) => {
                self.dead = self.operations == at;
                self.dead
            }
            Fault::Error(at) => self.operations == at,
        })
    }
}

impl Disk for PowerCutDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(name)
    }

    fn names(&self) -> Result<Vec<String>, KeyError> {
        let model = self.model();
        if model.dead { Err(broken()) } else { Ok(model.names.keys().cloned().collect()) }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, KeyError> {
        let model = self.model();
        if model.dead { Err(broken()) } else { Ok(model.names.get(name).map(|file| model.files[*file].clone())) }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), KeyError> {
        let mut model = self.model();
        let struck = model.step()?;
        let length = if struck { model.dice(bytes.len() + 1) } else { bytes.len() };
        let content = bytes[..length].to_vec();
        model.bytes_written += length as u64;
        if name != super::root::FILE {
            model.attic.push((name.to_owned(), content.clone()));
        }
        match model.names.get(name).copied() {
            Some(file) => model.files[file] = content,
            None => {
                let file = model.files.len();
                model.files.push(content);
                model.names.insert(name.to_owned(), file);
                model.pending.push((name.to_owned(), Some(file)));
            }
        }
        if struck { Err(broken()) } else { Ok(()) }
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), KeyError> {
        let mut model = self.model();
        let struck = model.step()?;
        model.bytes_written += bytes.len() as u64;
        let file = model.names[name];
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            if !struck || model.coin() {
                let start = offset as usize + number * SECTOR;
                model.files[file][start..start + sector.len()].copy_from_slice(sector);
            }
        }
        if struck { Err(broken()) } else { Ok(()) }
    }

    fn remove(&self, name: &str) -> Result<(), KeyError> {
        let mut model = self.model();
        let struck = model.step()?;
        if (!struck || model.coin()) && model.names.remove(name).is_some() {
            model.pending.push((name.to_owned(), None));
        }
        if struck { Err(broken()) } else { Ok(()) }
    }

    fn sync_names(&self) -> Result<(), KeyError> {
        let mut model = self.model();
        if model.step()? {
            return Err(broken());
        }
        model.pending.clear();
        model.durable = model.names.clone();
        Ok(())
    }
}

fn broken() -> KeyError {
    KeyError::Io { action: "reach", file: PathBuf::from("the medium"), source: io::Error::other("simulated") }
}
