//! One golden file for each help page.

use clap::Command;

fn pages(command: &Command, path: &str, seen: &mut Vec<(String, String)>) {
    let name = if path.is_empty() { command.get_name().to_owned() } else { format!("{path} {}", command.get_name()) };
    let page = command.clone().term_width(100).render_long_help().to_string();
    let trimmed: Vec<&str> = page.lines().map(str::trim_end).collect();
    seen.push((name.clone(), trimmed.join("\n")));
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        pages(below, &name, seen);
    }
}

#[test]
fn every_help_page_says_what_it_said() {
    let mut command = eads_cli::command();
    command.build();
    let mut seen = Vec::new();
    pages(&command, "", &mut seen);
    assert!(seen.len() > 50);
    for (name, page) in seen {
        // The demonstration is in the list of commands only where it is compiled in.
        let name = if name == "eads" && !cfg!(feature = "demo") { "eads without demo".to_owned() } else { name };
        insta::assert_snapshot!(name.replace(' ', "-"), page);
    }
}

#[test]
fn the_command_tree_is_sound() {
    eads_cli::command().debug_assert();
}

#[test]
fn no_page_hides_an_option_without_words() {
    fn check(command: &Command) {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&eads_cli::command());
}
