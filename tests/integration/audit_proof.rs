//! What the audit log shows to somebody who does not trust the node: an exported file, the register's anchors, an
//! auditor's own signature, and the other side of each exchange.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use eads_domain::entropy::SystemEntropy;
use eads_domain::id::RequestId;
use eads_proto::v1;
use eads_service::audit::{Actor, Entry, EntryKind};
use eads_tests::content::red;
use eads_tests::house::{House, connected, sound};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::questions;
use eads_tests::traces::files;
use eads_tests::wait::until;
use serde_json::Value;

use crate::programs::EADS;

const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exported_file_proves_itself_to_us_and_to_others_and_a_touched_one_names_the_entry() {
    let house = House::new();
    let id = house.member("ID").await;
    id.issue(&red("exported"), &[]).await;
    // What a spreadsheet would take for a formula.
    let formula = v1::SearchRequest {
        query: Some(questions::name("Somebody Exported")),
        case_reference: "=HYPERLINK(\"http://x\")".to_owned(),
        ..Default::default()
    };
    id.search_as(formula).await.unwrap();
    let auditor = Auditor::of(&id, house.path());
    auditor.json(&["audit", "countersign"]);
    let key = auditor.key.clone();
    for format in ["jsonl", "csv"] {
        let file = auditor.home.join(format!("audit.{format}"));
        let name = file.to_str().unwrap();
        let exported = auditor.json(&["audit", "export", "--format", format, "-o", name]);
        assert_eq!(exported["first"], 1);
        let verify = |card: bool| {
            let given: &[&str] = if card { &["--card", card_of(&auditor)] } else { &[] };
            auditor.said(&[&["audit", "verify", "--file", name], given].concat())
        };
        let (status, found) = verify(true);
        assert_eq!((status, &found["sound"], &found["entries"]), (0, &true.into(), &exported["last"]), "{found}");
        assert_eq!(found["countersigned"][0]["auditor"], "auditor");
        assert_eq!(found["unfinished"], 1, "the export itself, which was under way: {found}");
        assert_eq!(verify(false).0, 0);
        independent(&file, &key, true);
        let whole = std::fs::read_to_string(&file).unwrap();
        if format == "csv" {
            assert!(whole.contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "no formula in a spreadsheet");
        }
        assert!(!whole.contains("Somebody"), "what was asked is sealed");
        // Line 5 of the entries, whatever stands before them.
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let at = if format == "csv" { 5 } else { 4 };
        let touched = [
            ("a changed byte", 5, lines[at].replace("kind", "kinD")),
            ("a lost line", 5, String::new()),
            ("two lines in another order", 5, format!("{}{}", lines[at + 1], lines[at])),
        ];
        for (what, first_bad, line) in touched {
            let skipped = if what.starts_with("two") { at + 2 } else { at + 1 };
            std::fs::write(
                &file,
                [&lines[..at].concat(), &line, &lines[skipped..].concat()].map(String::as_str).concat(),
            )
            .unwrap();
            let (status, found) = verify(true);
            assert_eq!((status, &found["sound"], &found["first_bad"]), (8, &false.into(), &first_bad.into()), "{what}");
            independent(&file, &key, false);
        }
        std::fs::write(&file, lines[..lines.len() - 1].concat()).unwrap();
        let (status, found) = verify(true);
        assert_eq!((status, &found["first_bad"]), (8, &exported["last"]), "a cut file: {found}");
        independent(&file, &key, false);
        std::fs::write(&file, &whole).unwrap();
        // A proof that was touched, or one of another member.
        let proof = PathBuf::from(format!("{name}.proof.json"));
        let text = std::fs::read_to_string(&proof).unwrap();
        std::fs::write(&proof, text.replacen("\"index\": ", "\"index\": 1", 1)).unwrap();
        assert_eq!((verify(true).0, &verify(true).1["first_bad"]), (8, &0.into()));
        std::fs::write(&proof, text).unwrap();
        assert_eq!(verify(true).0, 0);
    }
    let nothing = auditor.run(&["audit", "export", "--to", "2001-01-01", "-o", "none"]);
    assert_eq!(nothing.status.code(), Some(4), "{}", String::from_utf8_lossy(&nothing.stderr));
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_cut_or_written_anew_is_not_what_the_register_anchors() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.issue(&red("anchored"), &[]).await;
    id.node().anchor_audit().await.unwrap();
    let anchored = sound_audit(&id).await;
    assert!(anchored.anchors == 1 && anchored.anchored_through > 4, "{anchored:?}");
    id.stop().await;
    // Everything from the fourth entry on is overwritten with zeros, as if it had never been.
    let log = files(&id.dir().join("audit")).into_iter().filter(|file| file.extension().is_some()).min().unwrap();
    let whole = std::fs::read(&log).unwrap();
    let kept = frame(&whole, 4);
    let mut cut = whole.clone();
    cut[kept..].fill(0);
    std::fs::write(&log, &cut).unwrap();
    id.start().await;
    let found = verified(&id).await;
    assert_eq!((found.sound, found.code.as_str(), found.first_bad), (false, "AUDIT_CUT", found.last + 1), "{found:?}");
    // With as many new entries as there were, it is another log.
    while verified(&id).await.last <= anchored.anchored_through {}
    let found = verified(&id).await;
    assert_eq!((found.sound, found.code.as_str(), found.first_bad), (false, "ANCHOR_DIFFERS", 1), "{found:?}");
    id.stop().await;
    // A file that was dropped, and two entries that changed places.
    let away = log.with_extension("away");
    std::fs::rename(&log, &away).unwrap();
    assert!(id.try_start().await.is_err() || verified(&id).await.code == "AUDIT_CUT");
    id.stop().await;
    for file in
        files(&id.dir().join("audit")).into_iter().filter(|file| file.extension().is_some_and(|e| e == "journal"))
    {
        std::fs::remove_file(file).unwrap();
    }
    let (third, fourth, fifth) = (frame(&whole, 3), frame(&whole, 4), frame(&whole, 5));
    let swapped = [&whole[..third], &whole[fourth..fifth], &whole[third..fourth], &whole[fifth..]].concat();
    std::fs::write(&log, &swapped).unwrap();
    let refused = id.try_start().await.unwrap_err().to_string();
    assert!(refused.contains("out of order"), "{refused}");
    std::fs::write(&log, &whole).unwrap();
    id.start().await;
    sound_audit(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_signs_for_the_log_and_nobody_else_can() {
    let house = House::new();
    let id = house.member("ID").await;
    let auditor = Auditor::of(&id, house.path());
    let signed = auditor.json(&["audit", "countersign"]);
    let found = sound_audit(&id).await;
    assert_eq!(signed["sequence"], found.countersigned_through);
    let kept = auditor.json(&["audit", "countersign", "--list"]);
    assert_eq!((&kept[0]["sequence"], &kept[0]["auditor"]), (&signed["sequence"], &"auditor".into()));
    let request = v1::CountersignAuditRequest {
        sequence: found.last,
        chain: vec![7; 32],
        at: id.now().as_unix(),
        signature: vec![1; 64],
    };
    let sign = |who: &str| {
        let operator = id.operator(who);
        let request = request.clone();
        async move { operator.audit().countersign_audit(request).await }
    };
    assert_eq!(refused(sign("auditor").await), "COUNTERSIGNATURE_INVALID");
    assert_eq!(refused(sign("admin-1").await), "ROLE_REQUIRED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_compare_what_they_wrote_of_their_exchanges() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("matched"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    connected(&my, 1).await;
    my.search_for(questions::name("matchedgiven matchedfamily")).await.unwrap();
    my.search_for(questions::name("Somebody Else")).await.unwrap();
    id.search_for(questions::name("Somebody Else")).await.unwrap();
    for (here, there) in [(&id, "MY"), (&my, "ID")] {
        let auditor = Auditor::of(here, house.path());
        let found = auditor.json(&["audit", "match", "--peer", there]);
        assert_eq!((&found["agreed"], &found["both"]), (&true.into(), &3.into()), "{found}");
        assert_eq!(auditor.run(&["audit", "match", "--peer", "TH"]).status.code(), Some(4));
    }
    // MY writes of an answer that ID never gave, and ID of a question that MY never asked.
    let request = RequestId::random(&SystemEntropy);
    invented(&my, request, Actor::Node, "Search", id.id, "ID:hit").await;
    invented(&id, RequestId::random(&SystemEntropy), Actor::Peer(my.id), "AnswerQuery", my.id, "NO-HIT").await;
    let auditor = Auditor::of(&my, house.path());
    let (status, found) = auditor.said(&["audit", "match", "--peer", "ID"]);
    assert_eq!((status, &found["agreed"], &found["both"]), (8, &false.into(), &3.into()), "{found}");
    assert_eq!(found["only_here"][0]["request_id"], request.to_string());
    assert_eq!(found["only_there"].as_array().unwrap().len(), 1);
    // Both sides wrote down that they compared.
    let entries = id.audit_entries().await;
    assert!(entries.iter().any(|entry| entry.operation == "MatchAudit" && entry.actor == "peer:MY"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_entries_go_in_whole_files_and_what_is_left_says_where_it_begins() {
    let house = House::new();
    let mut id = Member::create(house.path(), "ID");
    (id.limits.audit_query_days, id.limits.audit_keep_days) = (1, Some(30));
    id.start().await;
    id.finds("Somebody Old").await;
    // More than a file of the log holds.
    for _ in 0..12 {
        let request = RequestId::random(&SystemEntropy);
        let mut entry = Entry::new(EntryKind::Event, id.now(), request, Actor::Node, "Filled");
        entry.subject = Some("x".repeat(900 * 1024));
        id.node().audit().event(entry, "OK").await.unwrap();
    }
    let before = sound_audit(&id).await;
    id.clock.advance(40 * DAY);
    assert_eq!(id.node().prune_audit().await.unwrap(), None, "nothing before it is anchored");
    id.node().anchor_audit().await.unwrap();
    let pruned = id.node().prune_audit().await.unwrap().unwrap();
    let after = sound_audit(&id).await;
    assert_eq!(after.pruned_through, pruned);
    assert!(pruned > 2 && pruned < before.last && after.last > before.last, "{after:?}");
    assert_eq!(id.node().prune_audit().await.unwrap(), None, "and no more");
    id.restart().await;
    let again = sound_audit(&id).await;
    assert_eq!(again.pruned_through, pruned);
    // An export begins where the log does.
    let auditor = Auditor::of(&id, house.path());
    let file = house.path().join("left.jsonl");
    let exported = auditor.json(&["audit", "export", "-o", file.to_str().unwrap()]);
    assert_eq!(exported["first"], pruned + 1);
    assert_eq!(auditor.said(&["audit", "verify", "--file", file.to_str().unwrap()]).0, 0);
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_found_by_what_they_say() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("sought"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    connected(&my, 1).await;
    let search = v1::SearchRequest {
        query: Some(questions::name("soughtgiven soughtfamily")),
        case_reference: "CASE-7".to_owned(),
        ..Default::default()
    };
    let answers = my.search_as(search).await.unwrap();
    let digest = answers.iter().find(|a| a.member == "ID").unwrap().hits[0].statement.clone().unwrap().digest;
    let (here, there) = (Auditor::of(&my, house.path()), Auditor::of(&id, house.path()));
    let count = |auditor: &Auditor, arguments: &[&str]| {
        let found = auditor.json(&[&["audit", "search"], arguments].concat());
        found.as_array().unwrap().len()
    };
    assert_eq!(count(&here, &["--case", "CASE-7"]), 3, "the intent, and an outcome for each side");
    assert_eq!(count(&there, &["--case", "CASE-7"]), 0, "the case stays here");
    assert_eq!(count(&here, &["--case", "CASE-7", "--peer", "ID", "--result", "hit"]), 1);
    assert_eq!(count(&there, &["--actor", "MY", "--operation", "AnswerQuery"]), 2);
    assert_eq!(count(&there, &["--operation", "AnswerQuery", "--purpose", "criminal-investigation"]), 2);
    assert_eq!(count(&there, &["--operation", "AnswerQuery", "--purpose", "border-check"]), 0);
    assert_eq!(count(&there, &["--peer", "MY", "--digest", &hex::encode(&digest[..8])]), 1);
    assert_eq!(count(&here, &["--role", "officer", "--operation", "Search", "--limit", "2"]), 2);
    assert_eq!(count(&here, &["--from", "2001-01-01", "--to", "2001-01-02"]), 0);
    let found = here.json(&["audit", "search", "--case", "CASE-7", "--after", "0"]);
    let intent = found[0]["sequence"].as_u64().unwrap();
    let shown = here.json(&["audit", "show", &intent.to_string()]);
    assert!(shown["entry"]["query_text"].as_str().unwrap().contains("soughtgiven"));
    assert_eq!(shown["related"].as_array().unwrap().len(), 2);
    let of_outcome = here.json(&["audit", "show", &shown["related"][0]["sequence"].to_string()]);
    assert_eq!(of_outcome["related"][0]["sequence"], intent);
    assert!(shown["payload"].as_str().unwrap().contains("\"query_key\":"), "the day key is committed to");
    assert_eq!(here.run(&["audit", "show", "999999"]).status.code(), Some(4));
    // What ID sent is counted there, and what came is counted here.
    until("both sides have written down the deliveries", || async {
        let sent = id.audit_entries().await.iter().any(|entry| entry.operation == "ServeSync" && entry.peer == "MY");
        let came = my.audit_entries().await.iter().any(|entry| entry.operation == "ApplySync" && entry.peer == "ID");
        if !(sent && came) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            id.node().audit_tally().await.unwrap();
            my.node().audit_tally().await.unwrap();
        }
        sent && came
    })
    .await;
}

/// Writes an exchange into a log that was none.
async fn invented(
    member: &Member,
    request: RequestId,
    actor: Actor,
    operation: &str,
    peer: eads_domain::id::MemberId,
    result: &str,
) {
    let entry = Entry::new(EntryKind::Intent, member.now(), request, actor, operation);
    let log = member.node().audit();
    let intent = log.intent(entry).await.unwrap();
    log.outcome_with(&intent, Some(peer), result, Vec::new()).await.unwrap();
}

async fn verified(member: &Member) -> v1::VerifyAuditResponse {
    let answer = member.operator("auditor").audit().verify_audit(v1::VerifyAuditRequest {}).await;
    answer.unwrap().into_inner()
}

async fn sound_audit(member: &Member) -> v1::VerifyAuditResponse {
    let found = verified(member).await;
    assert!(found.sound, "{}: {}", found.code, found.finding);
    found
}

/// Where the entry `sequence` begins in the first file of a log.
fn frame(file: &[u8], sequence: u64) -> usize {
    let mut offset = 256;
    for _ in 1..sequence {
        let length: [u8; 4] = file[offset + 4..offset + 8].try_into().unwrap();
        offset += 60 + usize::try_from(u32::from_be_bytes(length)).unwrap();
    }
    offset
}

/// A program that is none of ours.
#[allow(clippy::print_stderr, reason = "says that it was not verified")]
fn independent(file: &Path, key: &str, sound: bool) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/verify_audit.py");
    let Ok(verified) = Command::new("python3").arg("-B").arg(script).arg(file).arg(key).output() else {
        eprintln!("the file was not verified by others: there is no python3");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    let refused = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert_eq!(verified.status.success(), sound, "{said}{refused}");
    assert!(said.starts_with("SOUND: ") == sound && refused.starts_with("NOT PROVEN: ") != sound, "{said}{refused}");
}

fn card_of(auditor: &Auditor) -> &str {
    auditor.card_file.to_str().unwrap()
}

/// The auditor of a member at the command line.
struct Auditor {
    home: PathBuf,
    profile: PathBuf,
    card_file: PathBuf,
    key: String,
}

impl Auditor {
    fn of(member: &Member, home: &Path) -> Self {
        let profile = member.dir().join("profiles").join("auditor").join("profile.toml");
        let card_file = home.join(format!("{}.card", member.id));
        let card = member.identity().card;
        std::fs::write(&card_file, card.to_armor()).unwrap();
        let key = hex::encode(card.card().signing_key.as_bytes());
        Self { home: home.to_owned(), profile, card_file, key }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(EADS);
        command.current_dir(&self.home).arg("--profile").arg(&self.profile).args(["--output", "json"]);
        command.args(arguments).output().unwrap()
    }

    /// Exit status and JSON.
    fn said(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {error}"));
        (output.status.code().unwrap(), said)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (status, said) = self.said(arguments);
        assert_eq!(status, 0, "{arguments:?}: {said}");
        said
    }
}
