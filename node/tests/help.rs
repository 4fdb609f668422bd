//! One golden file for each help page of the node's program.

use clap::CommandFactory as _;
use eads_node::command::Command;

#[test]
fn every_help_page_says_what_it_said() {
    let mut command = Command::command();
    command.build();
    snapshot("eads-node", &command);
    command.get_subcommands().for_each(|below| page(below.get_name(), below));
}

fn page(name: &str, command: &clap::Command) {
    snapshot(name, command);
    command.get_subcommands().for_each(|below| page(&format!("{name}-{}", below.get_name()), below));
}

fn snapshot(name: &str, command: &clap::Command) {
    let text = command.clone().term_width(100).render_long_help().to_string();
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(name.to_owned(), trimmed.join("\n"));
}
