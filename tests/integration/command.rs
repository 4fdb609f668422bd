//! The two programs as an administrator and an officer type them, and what they say when something is wrong.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use eads_tests::content::red;
use eads_tests::ports;
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{EADS, EADS_NODE};

const PASSPHRASE: &str = "five random words for tests";
/// How often a page is asked for until it says what it should.
const LOOKS: usize = 200;

#[test]
fn from_nothing_to_a_notice_that_is_published_and_withdrawn() {
    let home = Home::new();
    let said = text(&home.init("ID").stdout);
    for word in ["card", "verification code", "next signing key", "operator profile", "eads-node run --dir"] {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
    let node = home.run("ID");
    let officer = |name: &str, arguments: &[&str]| home.eads("ID", name, arguments);
    assert_eq!(json(&officer("admin-1", &["status"]))["register_size"], 0);

    let file = home.write("red.toml", &red("typed"));
    let drafted = json(&officer("issuer", &["notice", "draft", &file, "--valid-days", "30"]));
    let (draft, reference) = (drafted["draft_id"].as_str().unwrap(), drafted["reference"].as_str().unwrap());
    assert_eq!(code(&officer("issuer", &["notice", "issue", draft])), (3, "APPROVAL_MISSING".to_owned()));
    json(&officer("approver", &["notice", "approve", draft]));
    json(&officer("issuer", &["notice", "issue", draft]));
    assert_eq!(json(&officer("officer", &["notice", "show", reference]))["state"], "valid");
    let found =
        officer("officer", &["search", "person", "--name", "typedgiven typedfamily", "--purpose", "border-check"]);
    assert_eq!(json(&found)["complete"], true);
    assert!(text(&found.stdout).contains(reference));

    let withdrawing = json(&officer("issuer", &["notice", "withdraw", reference, "--reason", "arrested"]));
    json(&officer("approver", &["notice", "approve", withdrawing["draft_id"].as_str().unwrap()]));
    json(&officer("issuer", &["notice", "issue", withdrawing["draft_id"].as_str().unwrap()]));
    // Its page tells that it was, and once the content is destroyed that nothing of it is kept.
    let page = || json(&officer("officer", &["notice", "show", reference]));
    let mut looks = 0;
    while page()["fields"] != serde_json::json!([]) {
        looks += 1;
        assert!(looks < LOOKS, "the content of a withdrawn notice is still shown");
    }
    assert_eq!(page()["state"], "withdrawn");
    assert!(!page().to_string().contains("typedfamily"));
    let again = ["notice", "withdraw", reference, "--reason", "arrested"];
    assert_eq!(code(&officer("issuer", &again)), (3, "NOTICE_STATE".to_owned()));
    json(&officer("auditor", &["audit", "verify"]));
    json(&officer("auditor", &["register", "verify"]));
    let ended = node.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
}

#[test]
fn the_life_of_a_notice_is_typed_from_its_first_words_to_its_review() {
    let home = Home::new();
    home.init("ID");
    let _node = home.run("ID");
    let officer = |name: &str, arguments: &[&str]| home.eads("ID", name, arguments);
    let unfit = home.write("unfit.toml", &red("typing").replace("maximum-months = 72", "maximum-months = 7"));
    let file = home.write("red.toml", &red("typing"));
    let held = json(&officer("issuer", &["notice", "draft", &unfit, "--hold"]));
    assert_eq!(held["state"], "draft");
    let draft = held["draft_id"].as_str().unwrap();
    assert_eq!(code(&officer("issuer", &["notice", "submit", draft])), (5, "RED_BELOW_THRESHOLD".to_owned()));
    json(&officer("issuer", &["notice", "draft", &file, "--replace", draft]));
    let give_back = ["notice", "return", draft, "--reason", "incomplete", "--text", "Which court?"];
    assert_eq!(json(&officer("approver", &give_back))["state"], "returned");
    let shown = json(&officer("issuer", &["notice", "draft-show", draft]));
    assert_eq!(shown["returned"]["text"], "Which court?");
    assert_eq!(json(&officer("issuer", &["notice", "submit", draft]))["state"], "submitted");
    let alone = json(&officer("issuer", &["notice", "issue", draft, "--emergency", "Boards a flight now."]));
    let confirmation = alone[0]["done"]["confirmation_draft_id"].as_str().unwrap();
    let reference = held["reference"].as_str().unwrap();
    let page = json(&officer("officer", &["notice", "show", reference]));
    assert_eq!((&page["cautions"][0], &page["marks"][0]), (&"emergency-unapproved".into(), &"emergency".into()));
    assert_eq!(json(&officer("issuer", &["notice", "confirm", reference]))["draft_id"], confirmation);
    json(&officer("approver", &["notice", "approve", confirmation]));
    json(&officer("issuer", &["notice", "issue", confirmation]));
    assert_eq!(json(&officer("officer", &["notice", "show", reference]))["marks"], serde_json::json!([]));
    assert_eq!(json(&officer("officer", &["notice", "due", "--within", "30d"])), serde_json::json!([]));
    assert_eq!(json(&officer("officer", &["notice", "due", "--within", "1830"]))[0]["reference"], reference);
    let extend = json(&officer("issuer", &["notice", "extend", reference, "--valid-days", "3000"]));
    assert_eq!(extend["action"], "amend");
}

#[test]
fn what_an_officer_may_not_do_or_cannot_find_is_told_apart_by_the_exit_status() {
    let home = Home::new();
    home.init("ID");
    let _node = home.run("ID");
    let officer = |name: &str, arguments: &[&str]| code(&home.eads("ID", name, arguments));
    let file = home.write("red.toml", &red("forbidden"));
    let draft = ["notice", "draft", &file, "--valid-days", "30"];
    assert_eq!(officer("officer", &draft), (3, "ROLE_REQUIRED".to_owned()));
    assert_eq!(officer("issuer", &["audit", "search"]), (3, "ROLE_REQUIRED".to_owned()));
    assert_eq!(officer("officer", &["notice", "show", &unknown()]), (4, "NOTICE_UNKNOWN".to_owned()));
    assert_eq!(officer("issuer", &["notice", "issue", &"0".repeat(32)]).0, 4);
    let broken = home.write("broken.toml", "kind = \"red\"\nsubject = \"person\"\n");
    assert_eq!(officer("issuer", &["notice", "draft", &broken, "--valid-days", "30"]).0, 5);
    let missing = ["notice", "draft", "/nowhere/draft.toml", "--valid-days", "30"];
    assert_eq!(officer("issuer", &missing).0, 5);
    assert_eq!(home.eads("ID", "officer", &["notice", "show", "no-reference"]).status.code(), Some(2));
    let to_a_stranger = ["notice", "draft", &file, "--valid-days", "30", "--to", "MY"];
    assert_eq!(officer("issuer", &to_a_stranger).1, "AUDIENCE_UNKNOWN");
}

#[test]
fn an_officer_of_another_member_is_refused_and_a_strange_node_is_not_trusted() {
    let home = Home::new();
    home.init("ID");
    home.init("MY");
    let _node = home.run("ID");
    let (here, there) = (home.profile("ID", "officer"), home.profile("MY", "officer"));
    let endpoint = |profile: &Path| {
        let text = std::fs::read_to_string(profile.join("profile.toml")).unwrap();
        text.lines().find(|line| line.starts_with("endpoint")).unwrap().to_owned()
    };
    // Malaysia's officer is led to Indonesia's node.
    let profile = std::fs::read_to_string(there.join("profile.toml")).unwrap();
    let led = profile.replace(&endpoint(&there), &endpoint(&here));
    std::fs::write(there.join("profile.toml"), led).unwrap();
    assert_eq!(code(&home.eads("MY", "officer", &["status"])), (3, "NODE_TLS_UNTRUSTED".to_owned()));
    // And means to be there: now the node refuses.
    std::fs::copy(here.join("ca.crt"), there.join("ca.crt")).unwrap();
    assert_eq!(code(&home.eads("MY", "officer", &["status"])), (3, "NODE_TLS_REFUSED".to_owned()));
}

#[test]
fn a_node_that_does_not_run_is_unreachable_and_no_answer() {
    let home = Home::new();
    home.init("ID");
    assert_eq!(code(&home.eads("ID", "officer", &["status"])), (6, "NODE_UNREACHABLE".to_owned()));
    let question = ["search", "person", "--name", "Somebody", "--purpose", "border-check"];
    let asked = home.eads("ID", "officer", &question);
    assert_eq!(code(&asked).0, 6);
    assert!(!text(&asked.stdout).contains("no hit") && !text(&asked.stdout).contains("no-hit"));
}

#[test]
fn a_node_is_made_in_an_empty_place_and_with_a_passphrase_only() {
    let home = Home::new();
    let occupied = home.dir("ID");
    std::fs::create_dir(&occupied).unwrap();
    std::fs::write(occupied.join("letter.txt"), "mine").unwrap();
    failed(&home.try_init("ID", PASSPHRASE), "INIT_NOT_EMPTY", &["ID", "not an empty directory"]);
    assert_eq!(std::fs::read_to_string(occupied.join("letter.txt")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(&occupied).unwrap().count(), 1, "and nothing was added");

    failed(&home.try_init("MY", "short"), "PASSPHRASE_TOO_SHORT", &["12 bytes"]);
    assert!(!home.dir("MY").exists(), "nothing is left behind");
    let mut without = home.node("MY", "init", &["--member", "MY"]);
    failed(&without.env_remove("EADS_PASSPHRASE").output().unwrap(), "PASSPHRASE_MISSING", &["--passphrase-file"]);

    // A node is never made over a node.
    home.init("TH");
    failed(&home.try_init("TH", PASSPHRASE), "INIT_NOT_EMPTY", &["TH"]);
    let usage = home.node("SG", "init", &["--member", "Singapore"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_wrong_passphrase_starts_nothing() {
    let home = Home::new();
    home.init("ID");
    let wrong = home.node("ID", "run", &[]).env("EADS_PASSPHRASE", "five other words for tests").output().unwrap();
    failed(&wrong, "PASSPHRASE_WRONG", &[]);
    assert!(!text(&wrong.stderr).contains("other words"), "a passphrase is never shown, not even a wrong one");
    // From a file as well, with the line end that editors leave.
    let file = home.write("passphrase", &format!("{PASSPHRASE}\n"));
    let mut command = home.node("ID", "run", &["--passphrase-file", &file]);
    Running::start(command.env_remove("EADS_PASSPHRASE")).terminate();
}

#[test]
fn two_nodes_do_not_share_a_directory() {
    let home = Home::new();
    home.init("ID");
    let node = home.run("ID");
    failed(&home.node("ID", "run", &[]).output().unwrap(), "STORE_LOCKED", &["two nodes cannot use one directory"]);
    json(&home.eads("ID", "officer", &["status"]));
    // A node that was killed has left no lock behind.
    node.kill();
    home.run("ID").terminate();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let home = Home::new();
    home.init("ID");
    let config = std::fs::read_to_string(home.dir("ID").join("node.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("listen")).unwrap();
    let address = line.split('"').nth(1).unwrap();
    let _taken = TcpListener::bind(address).unwrap();
    failed(&home.node("ID", "run", &[]).output().unwrap(), "LISTEN_FAILED", &[address]);
}

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let home = Home::new();
    home.init("ID");
    let file = home.dir("ID").join("node.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let check = || Command::new(EADS_NODE).args(["check-config", "--dir"]).arg(home.dir("ID")).output().unwrap();
    let checked = check();
    assert_eq!(checked.status.code(), Some(0));
    assert!(text(&checked.stdout).contains("is sound: the node of ID"));
    for (change, words) in [
        (sound.replace("[limits]", "[limits]\nconections = 5"), ["node.toml", "conections"]),
        (sound.replace("[log]", "[logs]"), ["node.toml", "logs"]),
        (sound.replace("[limits]", "[limits]\nconnections = 0"), ["node.toml", "limits.connections"]),
        (sound.replace("member = \"ID\"", "member = \"Indonesia\""), ["node.toml", "member"]),
        (sound.replace("listen = \"127.0.0.1", "listen = \"somewhere"), ["node.toml", "listen"]),
        ("not toml".to_owned(), ["node.toml", "line 1"]),
    ] {
        std::fs::write(&file, change).unwrap();
        failed(&check(), "CONFIG_INVALID", &words);
        failed(&home.node("ID", "run", &[]).output().unwrap(), "CONFIG_INVALID", &words);
    }
    // Another member's configuration beside these keys.
    std::fs::write(&file, sound.replace("member = \"ID\"", "member = \"MY\"")).unwrap();
    failed(&home.node("ID", "run", &[]).output().unwrap(), "CONFIG_OTHER_MEMBER", &["ID", "MY"]);
    std::fs::remove_file(&file).unwrap();
    failed(&check(), "CONFIG_UNREADABLE", &["node.toml"]);
}

/// Where the nodes of a test are made.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn dir(&self, member: &str) -> PathBuf {
        self.0.path().join(member)
    }

    fn profile(&self, member: &str, officer: &str) -> PathBuf {
        self.dir(member).join("profiles").join(officer)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// `eads-node ACTION --dir DIR` with the right passphrase in its environment.
    fn node(&self, member: &str, action: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(EADS_NODE);
        command.arg(action).arg("--dir").arg(self.dir(member)).args(arguments);
        command.env("EADS_PASSPHRASE", PASSPHRASE).stdin(Stdio::null());
        command
    }

    fn try_init(&self, member: &str, passphrase: &str) -> Output {
        let (peers, operators) = (ports::free().to_string(), ports::free().to_string());
        let listen = ["--member", member, "--cheap-keys", "--peer-listen", &peers, "--operator-listen", &operators];
        self.node(member, "init", &listen).env("EADS_PASSPHRASE", passphrase).output().unwrap()
    }

    fn init(&self, member: &str) -> Output {
        let made = self.try_init(member, PASSPHRASE);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
        made
    }

    fn run(&self, member: &str) -> Running {
        Running::start(&mut self.node(member, "run", &[]))
    }

    fn eads(&self, member: &str, officer: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(EADS);
        command.arg("--profile").arg(self.profile(member, officer).join("profile.toml"));
        command.args(["--output", "json"]).args(arguments);
        command.env_remove("EADS_PROFILE").env_remove("EADS_LEGAL_BASIS").stdin(Stdio::null()).output().unwrap()
    }
}

/// A node that runs; killed when it is dropped.
struct Running(Option<Child>);

impl Running {
    /// Starts it and waits until it serves.
    fn start(command: &mut Command) -> Self {
        use std::io::BufRead as _;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let running = Self(Some(child));
        if !line.starts_with("eads-node ready") {
            panic!("the node said {line:?} and {}", text(&running.kill().stderr));
        }
        running
    }

    /// SIGTERM, as a service manager sends it.
    fn terminate(mut self) -> Output {
        let child = self.0.take().unwrap();
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        ends(child)
    }

    fn kill(mut self) -> Output {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a process that was told to end.
fn ends(mut child: Child) -> Output {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    let mut left = eads_tests::wait::PATIENCE;
    while child.try_wait().unwrap().is_none() {
        left = left.checked_sub(LOOK_EVERY).unwrap_or_else(|| {
            let _ = child.kill();
            panic!("the process does not end");
        });
        std::thread::sleep(LOOK_EVERY);
    }
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The document of a command that succeeded.
fn json(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{} {}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Exit status and code of a command that failed: of the whole, or of the first draft.
fn code(output: &Output) -> (i32, String) {
    let status = output.status.code().unwrap();
    assert_ne!(status, 0, "{}", text(&output.stdout));
    let listed = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
    let said = text(&output.stderr);
    let document = said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok()).unwrap_or_default();
    let code = [&document["error"]["code"], &listed[0]["error"]["code"]].into_iter().find_map(Value::as_str);
    (status, code.unwrap_or_else(|| panic!("no code in {said}")).to_owned())
}

/// `eads-node` failed with a code, and says these words.
fn failed(output: &Output, code: &str, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("error[{code}]: ")), "{code} is not in {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

/// A reference that is well formed, and nobody's.
fn unknown() -> String {
    let member = "ID".parse().unwrap();
    let entropy = eads_domain::entropy::SystemEntropy;
    eads_domain::reference::Reference::generate(member, 2026, &entropy).to_string()
}
