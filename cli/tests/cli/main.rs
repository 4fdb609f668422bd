//! What officers see: every help page, every error that the command makes itself, and its talk with a node.

#![allow(clippy::expect_used, reason = "a test that cannot be set up must fail")]

mod administration;
mod errors;
mod fake;
mod help;
mod talk;

use std::path::Path;
use std::process::{Command, Output};

/// Runs the command in an environment that knows nothing but `home`, which every output calls `[HOME]`.
fn eads(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_eads"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .expect("the command runs")
}

/// Exit status, standard output and standard error as one text.
fn transcript(home: &Path, output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home.display().to_string(), "[HOME]");
    let status = output.status.code().map_or_else(|| "killed".to_owned(), |code| code.to_string());
    format!("exit {status}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}
