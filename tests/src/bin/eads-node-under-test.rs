//! `eads-node` as the tests run it: the whole program, and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    eads_node::command::main()
}
