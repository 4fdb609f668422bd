//! The node's program: everything is in the library, so that other programs can start a node too.

use std::process::ExitCode;

fn main() -> ExitCode {
    eads_node::command::main()
}
