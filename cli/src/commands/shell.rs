//! `eads completions` and `eads man`: what packages install beside the command.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files::{self, FileError};

/// `eads completions`
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsOptions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// `eads man`
#[derive(Debug, clap::Args)]
pub(crate) struct ManOptions {
    /// The directory to write to; it is made if it is not there.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl CompletionsOptions {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::command(), "eads", &mut script);
        context.out.raw(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}

impl ManOptions {
    pub(crate) fn run(self, context: &Context) -> Result<Exit, CliError> {
        let directory = self.directory.as_path();
        std::fs::create_dir_all(directory).map_err(|cause| unwritable(directory, cause))?;
        let mut command = crate::command().disable_help_subcommand(true);
        command.build();
        let written = write_pages(&command, directory)?;
        context.out.note(&format!("{written} man pages written to {}", directory.display()));
        Ok(Exit::Done)
    }
}

/// One page for `command` and each command under it, `eads-notice-show.1` for `eads notice show`.
fn write_pages(command: &clap::Command, directory: &Path) -> Result<u32, CliError> {
    let man = clap_mangen::Man::new(command.clone());
    let path = directory.join(man.get_filename());
    let mut page = Vec::new();
    man.render(&mut page).map_err(|cause| unwritable(&path, cause))?;
    files::write(&path, &page)?;
    let mut written = 1;
    for below in command.get_subcommands() {
        written += write_pages(below, directory)?;
    }
    Ok(written)
}

fn unwritable(path: &Path, cause: std::io::Error) -> FileError {
    FileError::Unwritable { path: path.to_owned(), cause }
}
