//! Looking for what should be gone, in every byte of a directory.

use std::path::{Path, PathBuf};

/// What is looked for, in every form in which it could have been written: as it is, and as hexadecimal digits of
/// either case.
pub struct Needles {
    names: Vec<String>,
    forms: Vec<(usize, Vec<u8>)>,
    /// Forms by their first two bytes, so that each byte of a file is looked at once.
    beginnings: Vec<Vec<usize>>,
}

impl Needles {
    /// For these byte strings, of two bytes at least.
    ///
    /// # Panics
    /// When one is shorter.
    pub fn new(needles: &[Vec<u8>]) -> Self {
        let mut forms = Vec::new();
        for (name, needle) in needles.iter().enumerate() {
            let digits = hex::encode(needle);
            forms.extend(
                [needle.clone(), digits.to_uppercase().into_bytes(), digits.into_bytes()].map(|form| (name, form)),
            );
        }
        let mut beginnings = vec![Vec::new(); 1 << 16];
        for (place, (_, form)) in forms.iter().enumerate() {
            assert!(form.len() >= 2, "too short to be looked for");
            beginnings[beginning(form[0], form[1])].push(place);
        }
        let names = needles.iter().map(|needle| String::from_utf8_lossy(needle).into_owned()).collect();
        Self { names, forms, beginnings }
    }

    /// Each needle that is found below `dir`, with the file.
    pub fn found_in(&self, dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for file in files(dir) {
            let bytes = read(&file);
            for (at, pair) in bytes.windows(2).enumerate() {
                // Preallocated room is most of a log.
                if pair == [0, 0] {
                    continue;
                }
                for place in &self.beginnings[beginning(pair[0], pair[1])] {
                    let (name, form) = &self.forms[*place];
                    if bytes[at..].starts_with(form) {
                        found.push(format!("{:?} in {}", self.names[*name], file.display()));
                    }
                }
            }
        }
        found
    }
}

fn beginning(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Where below `dir` one of these bytes is found, in whatever form.
pub fn found(dir: &Path, needle: &[u8]) -> Vec<String> {
    Needles::new(&[needle.to_vec()]).found_in(dir)
}

/// Every file below `dir`.
///
/// # Panics
/// When a directory cannot be read.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A file that a node may just have removed has nothing in it.
fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_default()
}
