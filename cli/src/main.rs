//! The `eads` command; everything it does is in the library of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    eads_cli::run(std::env::args_os())
}
