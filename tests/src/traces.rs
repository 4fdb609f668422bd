//! Looking for what should be gone, in every byte of a directory.

use std::path::{Path, PathBuf};

/// The files below `dir` in which `needle` occurs, as it is or as hexadecimal digits of either case.
pub fn files_with(dir: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let digits = hex::encode(needle);
    let forms = [needle.to_vec(), digits.to_uppercase().into_bytes(), digits.into_bytes()];
    files(dir).into_iter().filter(|file| forms.iter().any(|form| contains(&read(file), form))).collect()
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

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}
