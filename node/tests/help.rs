//! One golden file for each help page of the node's program.

use clap::CommandFactory as _;
use eads_node::command::Command;

#[test]
fn every_help_page_says_what_it_said() {
    let mut command = Command::command();
    command.build();
    let root = command.clone();
    let below = command.get_subcommands().cloned();
    for page in std::iter::once(root).chain(below) {
        let text = page.clone().term_width(100).render_long_help().to_string();
        let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
        insta::assert_snapshot!(page.get_name().to_owned(), trimmed.join("\n"));
    }
}
