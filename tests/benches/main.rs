//! One table of figures, each beside its raw limit: what the machine does with the same bytes, in the same run, with
//! both ends on it and nothing of the product in between.
//!
//! `cargo run --release -p eads-tests --bin bench [-- --quick] [--only NAME] [--plots DIR]`
//!
//! Nodes run inside this process over real directories, mutual TLS and loopback, but where memory, processor time or
//! a start is measured: there each node is a process. Nothing is carried over from an earlier run.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is a table")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a measurement that fails must end")]

mod desk;
mod fill;
mod held;
mod idle;
mod import;
mod machine;
mod people;
mod plot;
mod query;
mod raw;
mod replication;
mod table;
mod wire;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use table::Figure;

const USAGE: &str = "usage: bench [--quick] [--only NAME] [--plots DIR]
  --quick       small numbers, about a minute
  --only NAME   replication, propagation, query, queries, purge, held, import or idle
  --plots DIR   where the plots go [default: target/bench]";

/// What is asked for.
struct Options {
    quick: bool,
    only: Option<String>,
    plots: PathBuf,
}

impl Options {
    fn parse(arguments: &[OsString]) -> Option<Self> {
        let mut options = Self { quick: false, only: None, plots: PathBuf::from("target/bench") };
        let mut rest = arguments.iter().skip(1);
        while let Some(argument) = rest.next() {
            match argument.to_str()? {
                "--quick" => options.quick = true,
                "--only" => options.only = Some(rest.next()?.to_str()?.to_owned()),
                "--plots" => options.plots = PathBuf::from(rest.next()?),
                _ => return None,
            }
        }
        let names = ["replication", "propagation", "query", "queries", "purge", "held", "import", "idle"];
        options.only.as_deref().is_none_or(|only| names.contains(&only)).then_some(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

/// How much is measured.
struct Size {
    replicated: usize,
    propagated: usize,
    questions: usize,
    flood_seconds: u64,
    held: usize,
    records: usize,
    idle_peers: usize,
    idle_seconds: u64,
}

const FULL: Size = Size {
    replicated: 20_000,
    propagated: 500,
    questions: 3000,
    flood_seconds: 5,
    held: 1_000_000,
    records: 200_000,
    idle_peers: 10,
    idle_seconds: 20,
};

const QUICK: Size = Size {
    replicated: 2000,
    propagated: 100,
    questions: 500,
    flood_seconds: 2,
    held: 20_000,
    records: 20_000,
    idle_peers: 10,
    idle_seconds: 5,
};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    // Under the names of the two programs it is them: measured processes are this very build.
    match arguments.first().and_then(|program| Path::new(program).file_name()).and_then(|name| name.to_str()) {
        Some("eads") => return eads_cli::run(arguments),
        Some("eads-node") => return eads_node::command::main(),
        _ => {}
    }
    let Some(options) = Options::parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let figures = runtime.block_on(measure(&options));
    runtime.shutdown_background();
    print!("\n{}", table::render(&figures));
    match plot::write_all(&figures, &options.plots) {
        Ok(count) => println!("\n{count} plots in {}", options.plots.display()),
        Err(error) => eprintln!("the plots cannot be written to {}: {error}", options.plots.display()),
    }
    ExitCode::SUCCESS
}

async fn measure(options: &Options) -> Vec<Figure> {
    let size = if options.quick { &QUICK } else { &FULL };
    println!("{}", machine::describe());
    let mut figures = Vec::new();
    let mut done = |more: Vec<Figure>| {
        for figure in more {
            eprintln!("  {}: {} (raw {})", figure.name, figure.ours, figure.raw);
            figures.push(figure);
        }
    };
    if options.wants("replication") || options.wants("propagation") {
        done(Box::pin(replication::measure(size, options.wants("replication"), options.wants("propagation"))).await);
    }
    if options.wants("query") || options.wants("queries") {
        done(Box::pin(query::measure(size, options.wants("query"), options.wants("queries"))).await);
    }
    if options.wants("import") {
        done(Box::pin(import::measure(size)).await);
    }
    if options.wants("idle") {
        done(Box::pin(idle::measure(size)).await);
    }
    if options.wants("held") || options.wants("purge") {
        done(Box::pin(held::measure(size, options.wants("held"), options.wants("purge"))).await);
    }
    figures
}
