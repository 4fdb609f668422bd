//! The published test vectors, and checks by code that was not written here.
//!
//! * `*.json` beside this file hold every hash and signature of the protocol with all that goes into it, so that an
//!   implementation in another language can check itself. They are made by the generator in this binary from
//!   named, repeatable streams; the test makes them again and compares byte for byte. `EADS_BLESS=1` writes them.
//! * `check.py` recomputes them with nothing of this house: Python's standard library, and its `cryptography`
//!   for signatures where that is installed.
//! * [`independent`] holds our trees, proofs, notes and signature checks against crates of others and against
//!   Wycheproof.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

mod encodings;
mod independent;
mod json;
mod notices;
mod registers;
mod statements;
mod story;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

use json::Json;
use story::Story;

const BLESS: &str = "EADS_BLESS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Every file with what it must hold.
fn files() -> Vec<(&'static str, Json)> {
    let story = Story::tell();
    vec![
        ("keys.json", words::keys()),
        ("pae.json", encodings::pae()),
        ("values.json", encodings::values()),
        ("slots.json", notices::slots(&story)),
        ("audiences.json", notices::audiences(&story)),
        ("approvals.json", notices::approvals(&story)),
        ("statements.json", statements::statements(&story)),
        ("details.json", statements::details()),
        ("merkle.json", registers::merkle()),
        ("checkpoints.json", registers::checkpoints(&story)),
        ("delivery.json", notices::delivery(&story)),
        ("receipts.json", words::receipts(&story)),
        ("cards.json", words::cards()),
    ]
}

#[test]
fn the_published_vectors_are_what_this_code_makes() {
    let bless = std::env::var_os(BLESS).is_some();
    for (name, made) in files() {
        let (path, made) = (folder().join(name), made.to_file());
        serde_json::from_str::<serde_json::Value>(&made).expect("what is made is JSON");
        if bless {
            std::fs::write(&path, &made).expect("the vectors can be written");
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = published.lines().zip(made.lines()).position(|(old, new)| old != new);
        assert!(
            published == made,
            "{name} differs from line {}; if the protocol was meant to change: {BLESS}=1",
            differs.unwrap_or_else(|| published.lines().count().min(made.lines().count())) + 1
        );
    }
}

#[test]
fn every_published_file_is_made_here() {
    let made: Vec<_> = files().into_iter().map(|(name, _)| name.to_owned()).collect();
    for entry in std::fs::read_dir(folder()).expect("the folder of the vectors") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(!name.ends_with(".json") || made.contains(&name), "{name} is left over");
    }
}

#[test]
fn another_language_computes_the_same() {
    let checked = Command::new("python3").arg(folder().join("check.py")).output();
    match checked {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "check.py: {}", String::from_utf8_lossy(&said));
            eprintln!("{}", String::from_utf8_lossy(&said).trim_end());
        }
        Err(error) => eprintln!("check.py was not run: python3: {error}"),
    }
}
