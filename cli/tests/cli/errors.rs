//! One golden file for each error that the command makes itself.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{eads, transcript};

fn home() -> TempDir {
    tempfile::tempdir().expect("a home")
}

/// A profile whose files are all there; nothing listens at its endpoint.
fn profile(home: &Path, text: &str) {
    fs::write(home.join("profile.toml"), text).expect("profile");
}

/// Runs the command, compares everything that it says with the golden file, and returns how it ended.
macro_rules! golden {
    ($status:literal, $name:literal, $home:expr, $($argument:expr),+ $(,)?) => {{
        let output = eads($home.path(), &[$($argument),+]);
        insta::assert_snapshot!($name, transcript($home.path(), &output));
        assert_eq!(output.status.code(), Some($status), $name);
    }};
}

#[test]
fn profiles_that_cannot_be_used() {
    let home = home();
    golden!(5, "profile-missing", home, "status");
    golden!(5, "profile-missing-json", home, "status", "--output", "json");

    profile(home.path(), "endpoint = \"127.0.0.1:7443\"\nport = 1\n");
    golden!(5, "profile-unknown-key", home, "--profile", "profile.toml", "status");

    let named = "ca = \"ca.pem\"\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    profile(home.path(), &format!("endpoint = \"node\"\n{named}"));
    golden!(5, "profile-bad-endpoint", home, "--profile", "profile.toml", "status");

    profile(home.path(), &format!("endpoint = \"127.0.0.1:7443\"\n{named}"));
    golden!(5, "profile-key-missing", home, "--profile", "profile.toml", "status");

    fs::write(home.path().join("key.pem"), "no key").expect("key");
    set_mode(&home.path().join("key.pem"), 0o644);
    golden!(3, "profile-key-exposed", home, "--profile", "profile.toml", "status");

    set_mode(&home.path().join("key.pem"), 0o600);
    golden!(5, "profile-key-invalid", home, "--profile", "profile.toml", "status");
}

#[cfg(unix)]
fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("mode");
}

#[test]
fn command_lines_that_make_no_sense() {
    let home = home();
    golden!(2, "member-id-bad", home, "agreement", "example", "my");
    golden!(2, "reference-bad", home, "notice", "show", "ID-2026-7K3QX9-9");
    golden!(2, "purpose-missing", home, "search", "plate", "B1234XYZ");
    golden!(2, "purpose-unknown", home, "search", "plate", "B1234XYZ", "--purpose", "curiosity");
    golden!(2, "audience-bad", home, "notice", "draft", "x.toml", "--valid-days", "9", "--to", "my");
    golden!(2, "reason-unknown", home, "notice", "withdraw", "ID-2026-7K3QX9-5", "--reason", "because");
    golden!(2, "code-bad", home, "peer", "accept", "MY", "--agreement", "a.toml", "--code", "12345");
    golden!(2, "selection-missing", home, "notice", "approve");
    golden!(2, "kind-unknown", home, "notice", "template", "pink", "person");
}

#[test]
fn inputs_that_are_refused_before_any_node_is_asked() {
    let home = home();
    golden!(5, "kind-not-for-subject", home, "notice", "template", "red", "vehicle");
    golden!(5, "file-unreadable", home, "agreement", "check", "nowhere.toml");
    fs::write(home.path().join("agreement.toml"), "member = \"MY\"\nsurprise = 1\n").expect("file");
    golden!(5, "agreement-bad", home, "agreement", "check", "agreement.toml");
    fs::write(home.path().join("card.txt"), "-----BEGIN EADS CARD-----\nAAAA\n-----END EADS CARD-----\n")
        .expect("file");
    golden!(5, "card-bad", home, "peer", "show", "card.txt");
    fs::write(home.path().join("draft.toml"), "kind = \"red\"\nsubject = ").expect("file");
    golden!(5, "draft-unreadable", home, "notice", "draft", "draft.toml", "--valid-days", "9");
    fs::write(home.path().join("draft.toml"), "kind = \"red\"\nsubject = \"person\"\nheight = 1\nsex = 3\n")
        .expect("file");
    golden!(5, "draft-fields", home, "notice", "draft", "draft.toml", "--valid-days", "9");
    fs::write(
        home.path().join("draft.toml"),
        "kind = \"red\"\nsubject = \"person\"\nfamily-name = \"Example\"\nhandling = [\"H0\"]\n",
    )
    .expect("file");
    golden!(5, "draft-incomplete", home, "notice", "draft", "draft.toml", "--valid-days", "9");
    golden!(5, "name-empty", home, "search", "person", "--name", " ", "--purpose", "border-check");
    golden!(5, "imo-check", home, "search", "imo", "9074728", "--purpose", "border-check");
    let long = "x".repeat(201);
    golden!(5, "legal-basis-long", home, "search", "plate", "B1", "--purpose", "border-check", "--legal-basis", &long);
    golden!(5, "record-format", home, "record", "import", "persons.xlsx", "--source", "x");
}

#[test]
fn a_template_is_a_draft_once_it_is_filled_in() {
    let home = home();
    let output = eads(home.path(), &["notice", "template", "yellow", "person"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    insta::assert_snapshot!("template-yellow-person", text);
    let filled = text
        .replace("# grading = ", "grading = ")
        .replace("# legal-basis = ", "legal-basis = ")
        .replace("# handling = ", "handling = ");
    fs::write(home.path().join("draft.toml"), filled).expect("file");
    let output = eads(home.path(), &["notice", "draft", "draft.toml", "--valid-days", "9"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("PROFILE_MISSING"), "the content was refused: {error}");
}

#[test]
fn an_agreement_s_example_is_an_agreement() {
    let home = home();
    let output = eads(home.path(), &["agreement", "example", "MY"]);
    fs::write(home.path().join("my.toml"), &output.stdout).expect("file");
    assert_eq!(eads(home.path(), &["agreement", "check", "my.toml"]).status.code(), Some(0));
}

#[test]
fn completions_and_man_pages_are_written() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let output = eads(home.path(), &["completions", shell]);
        assert!(output.status.success() && output.stdout.len() > 1_000, "{shell}");
    }
    assert_eq!(eads(home.path(), &["man", "pages"]).status.code(), Some(0));
    let page = fs::read_to_string(home.path().join("pages/eads-notice-show.1")).expect("page");
    assert!(page.contains("eads\\-notice\\-show") || page.contains("eads-notice-show"));
}
