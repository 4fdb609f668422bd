//! `eads-node store check`: a node after a busy life is sound, and whatever is then taken away or changed is found
//! and named, on the stopped node; a running one is checked without a false alarm.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::clock::SystemClock;
use eads_domain::entropy::SystemEntropy;
use eads_node::check;
use eads_node::config::{Config, FILE_NAME};
use eads_node::control::{Asked, Outcome, Refusal, Request, ask};
use eads_service::area;
use eads_store::port::{Area, Batch, Scan};
use eads_tests::content::{passport, red, secrets};
use eads_tests::house::House;
use eads_tests::member::{Member, PASSPHRASE, passphrase};
use eads_tests::photos::{draft_with, jpeg, picture};
use eads_tests::questions;
use eads_tests::traces::files;
use eads_tests::wait::until;

const RECORDS: &str = "key,family-name,given-names,birth-date,sex,documents\n\
    R-1,Recorded,Person,1980-01-02,F,passport|XRECORDED|MY\n\
    R-2,Recorded,Other,1981-01-02,M,passport|XRECORDEDTOO|MY\n";

/// Everything that a node does leaves something behind: Indonesia issues, changes and ends; Malaysia holds.
async fn busy(house: &House) -> [Member; 2] {
    let [id, my] = house.federation(["ID", "MY"]).await;
    let kept = id.issue(&red("kept"), &[&my]).await;
    let amended = id.issue(&red("amended"), &[&my]).await;
    id.amend(&amended, &red("amendedanew"), &[&my]).await;
    let suspended = id.issue(&red("suspended"), &[&my]).await;
    id.suspend(&suspended).await;
    let withdrawn = id.issue(&red("withdrawn"), &[&my]).await;
    id.receipted(&withdrawn, &my, &["issue accepted"]).await;
    id.withdraw(&withdrawn).await;
    id.draft(&red("drafted"), &[&my]).await.unwrap();
    let blob = id.operator("issuer").upload(&jpeg(&picture(700, 500, 7))).await.unwrap();
    let request = draft_with(&red("pictured"), &[blob], &["MY"], id.now().as_unix());
    let drafted = id.operator("issuer").notices().create_draft(request).await.unwrap().into_inner();
    let pictured = id.publish(&drafted.draft_id).await.unwrap().reference;
    my.has_photos(&pictured, 1).await;
    id.import_csv("test", RECORDS).await.unwrap();
    id.search_for(questions::passport(&passport("kept"))).await.unwrap();
    id.node().anchor_audit().await.unwrap();
    my.issue(&red("theirs"), &[&id]).await;
    id.receipted(&withdrawn, &my, &["issue purged", "withdraw accepted"]).await;
    id.receipted(&kept, &my, &["issue accepted"]).await;
    id.receipted(&suspended, &my, &["issue accepted", "suspend accepted"]).await;
    [id, my]
}

async fn checked(dir: &Path) -> Result<Outcome, Refusal> {
    let config = Config::load(&dir.join(FILE_NAME)).unwrap();
    check::offline(&config, passphrase(PASSPHRASE), Arc::new(SystemClock), Arc::new(SystemEntropy), |_| {}).await
}

fn codes(outcome: &Outcome) -> Vec<String> {
    let sections = outcome.report["sections"].as_array().unwrap();
    let findings = sections.iter().flat_map(|section| section["findings"].as_array().unwrap());
    findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn assert_sound(outcome: &Outcome) {
    assert!(outcome.sound && codes(outcome).is_empty(), "{}", outcome.lines.join("\n"));
}

/// What was walked of a section.
fn count(outcome: &Outcome, section: &str, what: &str) -> u64 {
    let sections = outcome.report["sections"].as_array().unwrap();
    let section = sections.iter().find(|one| one["name"] == section).unwrap();
    section["counts"][what].as_u64().unwrap_or_default()
}

/// Which rows of an area, by key and value.
type Which<'a> = &'a dyn Fn(&[u8], &[u8]) -> bool;

/// What becomes of one row.
enum Harm {
    /// It is not there any more.
    Gone,
    /// A bit of its value is another.
    Flipped,
    /// Another value stands there.
    Replaced(Vec<u8>),
}

/// Harms the rows of `area` that `pick` chooses, looks what the check says, and puts them back.
async fn harmed(member: &Member, area: Area, pick: impl Fn(&[u8], &[u8]) -> bool, harm: Harm) -> Outcome {
    let mut undo = Batch::new();
    {
        let vault = member.vault().await;
        let mut batch = Batch::new();
        for (key, value) in vault.store().scan(Scan::new(area, 1000)).await.unwrap() {
            if !pick(&key, &value) || !batch.is_empty() {
                continue;
            }
            undo.put(area, key.clone(), value.clone());
            match &harm {
                Harm::Gone => batch.delete(area, key),
                Harm::Flipped => {
                    let mut value = value;
                    let last = value.len() - 1;
                    value[last] ^= 1;
                    batch.put(area, key, value)
                }
                Harm::Replaced(with) => batch.put(area, key, with.clone()),
            };
        }
        assert!(!batch.is_empty(), "there is no such row in {area:?}");
        vault.store().commit(batch).await.unwrap();
    }
    member.let_go().await;
    let outcome = checked(member.dir()).await.unwrap();
    member.vault().await.store().commit(undo).await.unwrap();
    member.let_go().await;
    outcome
}

fn any(_: &[u8], _: &[u8]) -> bool {
    true
}

fn contains(word: &'static str) -> impl Fn(&[u8], &[u8]) -> bool {
    move |_, value| String::from_utf8_lossy(value).contains(word)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_that_is_missing_or_changed_is_found_and_named() {
    let house = House::new();
    let [mut id, mut my] = busy(&house).await;
    id.stop().await;
    my.stop().await;
    for member in [&id, &my] {
        let outcome = checked(member.dir()).await.unwrap();
        assert_sound(&outcome);
        for tag in ["kept", "amended", "withdrawn", "theirs", "drafted"] {
            let said = format!("{}{}", outcome.report, outcome.lines.join("\n"));
            assert!(secrets(tag).iter().all(|secret| !said.contains(secret)), "{said}");
        }
    }
    let whole = checked(id.dir()).await.unwrap();
    assert!(count(&whole, "own register", "statements destroyed") >= 1, "the withdrawn notice");
    assert!(count(&whole, "own register", "statements verified") >= 6);
    assert_eq!(count(&whole, "sealed values", "records"), 2);
    assert_eq!(count(&whole, "sealed values", "drafts"), 1);
    assert_eq!(count(&whole, "photographs", "own photographs"), 1);
    assert_eq!(count(&checked(my.dir()).await.unwrap(), "photographs", "photographs held and whole"), 1);
    assert_eq!(count(&whole, "held notices", "notices"), 1);
    assert!(count(&whole, "audit", "anchors") >= 1);

    let issued = contains("\"life\":\"issued\"");
    let disclosed = contains("disclose");
    let first = |key: &[u8], _: &[u8]| key.ends_with(&[0; 8]);
    let own = |key: &[u8], _: &[u8]| key.get(8..10) == Some(&b"ID"[..]);
    let anchor = contains("\"anchor\"");
    let owned = contains("\"ID\"");
    let cases: Vec<(&Member, Area, Which<'_>, Harm, &str)> = vec![
        (&id, area::OWN_ENTRY, &any, Harm::Gone, "ENTRY_MISSING"),
        (&id, area::OWN_ENTRY, &any, Harm::Replaced(vec![7; 49]), "ROOT_DIFFERS"),
        (&id, area::OWN_VERSION, &any, Harm::Gone, "VERSION_MISSING"),
        (&id, area::OWN_VERSION, &any, Harm::Replaced(b"{}".to_vec()), "ROW_UNREADABLE"),
        (&id, area::OWN_CONTENT, &any, Harm::Gone, "CONTENT_MISSING"),
        (&id, area::OWN_CONTENT, &any, Harm::Flipped, "VALUE_DAMAGED"),
        (&id, area::OWN_NOTICE, &issued, Harm::Replaced(b"{".to_vec()), "ROW_UNREADABLE"),
        (&id, area::OWN_NOTICE, &issued, Harm::Gone, "EXPIRY_ORPHAN"),
        (&id, area::META, &|key, _| key == b"checkpoint", Harm::Gone, "CHECKPOINT_MISSING"),
        (&id, area::META, &|key, _| key == b"checkpoint", Harm::Flipped, "CHECKPOINT_INVALID"),
        (&id, area::REFERENCE, &owned, Harm::Gone, "REFERENCE_MISSING"),
        (&id, area::EXPIRY, &own, Harm::Gone, "EXPIRY_MISSING"),
        (&id, area::DELIVERY, &first, Harm::Gone, "DELIVERY_GAP"),
        (&id, area::HOLDING, &any, Harm::Gone, "HOLDING_MISSING"),
        (&id, area::HOLDING, &any, Harm::Replaced(b"{}".to_vec()), "ROW_UNREADABLE"),
        (&id, area::RECEIPT, &any, Harm::Flipped, "RECEIPT_INVALID"),
        (&id, area::RECORD, &any, Harm::Flipped, "VALUE_DAMAGED"),
        (&id, area::DRAFT, &any, Harm::Flipped, "VALUE_DAMAGED"),
        (&id, area::PEER, &any, Harm::Flipped, "VALUE_DAMAGED"),
        (&my, area::LEAVES, &any, Harm::Gone, "LEAF_MISSING"),
        (&my, area::LEAVES, &any, Harm::Flipped, "ROOT_DIFFERS"),
        (&my, area::HELD_NOTICE, &any, Harm::Gone, "CONTENT_ORPHAN"),
        (&my, area::HELD_CONTENT, &any, Harm::Gone, "CONTENT_MISSING"),
        (&my, area::HELD_CONTENT, &any, Harm::Flipped, "VALUE_DAMAGED"),
        (&my, area::FOLLOWED, &any, Harm::Replaced(b"[]".to_vec()), "ROW_UNREADABLE"),
        (&my, area::MARK, &any, Harm::Replaced(b"[]".to_vec()), "ROW_UNREADABLE"),
    ];
    for (member, area, pick, harm, expected) in cases {
        let outcome = harmed(member, area, pick, harm).await;
        let found = codes(&outcome);
        assert!(
            !outcome.sound && found.iter().any(|code| code == expected),
            "{area:?}: {expected} is not in {found:?}"
        );
        let said = outcome.lines.join("\n");
        assert!(said.contains("what to do:") && said.contains("NOT sound"), "{said}");
    }
    // A delivery and an anchor that say something else than the register.
    let outcome = harmed(
        &id,
        area::DELIVERY,
        &disclosed,
        Harm::Replaced(br#"{"kind":"disclose","index":9999,"slots":0,"urgent":false,"urgent_before":0}"#.to_vec()),
    )
    .await;
    assert!(
        codes(&outcome).iter().any(|code| code == "DELIVERY_ORPHAN" || code == "ROW_UNREADABLE"),
        "{:?}",
        codes(&outcome)
    );
    assert!(!harmed(&id, area::OWN_VERSION, anchor, Harm::Gone).await.sound);
    // Everything was put back.
    assert_sound(&checked(id.dir()).await.unwrap());
    assert_sound(&checked(my.dir()).await.unwrap());
}

/// A file with one byte changed, or gone, while `looked` runs.
async fn with_file(file: PathBuf, offset: Option<usize>, dir: &Path) -> Result<Outcome, Refusal> {
    let whole = std::fs::read(&file).unwrap();
    match offset {
        Some(offset) => {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1;
            std::fs::write(&file, bytes).unwrap();
        }
        None => std::fs::remove_file(&file).unwrap(),
    }
    let outcome = checked(dir).await;
    std::fs::write(&file, whole).unwrap();
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_that_is_missing_or_changed_is_found_and_named() {
    let house = House::new();
    let [mut id, mut my] = busy(&house).await;
    id.stop().await;
    my.stop().await;
    let photograph = |member: &Member| files(&member.dir().join("blobs")).remove(0);
    for (member, offset, expected) in [
        (&id, None, "BLOB_MISSING"),
        (&id, Some(99), "BLOB_DIFFERS"),
        (&my, None, "BLOB_LOST"),
        (&my, Some(99), "BLOB_DIFFERS"),
    ] {
        let outcome = with_file(photograph(member), offset, member.dir()).await.unwrap();
        assert_eq!(codes(&outcome), [expected], "{}", member.id);
    }
    let dir = id.dir().to_owned();
    let segment = |part: &str| {
        let mut all = files(&dir.join(part));
        all.sort();
        all.into_iter().find(|file| file.extension().is_some_and(|end| end == "journal")).unwrap()
    };
    let key_file = |start: &str| {
        let named = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(start);
        files(&dir.join("keys")).into_iter().find(named).unwrap()
    };
    let cases = [
        (segment("journal"), Some(400), "JOURNAL_DAMAGED"),
        (segment("audit"), Some(400), "JOURNAL_DAMAGED"),
        (key_file("bucket-"), Some(100), "KEYS_DAMAGED"),
        (key_file("bucket-"), None, "KEYS_DAMAGED"),
        (key_file("table-"), Some(20), "KEYS_DAMAGED"),
        (dir.join("identity/card.pem"), None, "IDENTITY_MISSING"),
    ];
    for (file, offset, expected) in cases {
        let outcome = with_file(file.clone(), offset, &dir).await.unwrap();
        let found = codes(&outcome);
        let named = found.iter().any(|code| code == expected);
        assert!(!outcome.sound && named, "{}: {expected} is not in {found:?}", file.display());
    }
    // The view is mended by opening it: told, and no flaw.
    for file in files(&dir.join("view")).into_iter().filter(|file| file.ends_with("db")) {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(100).unwrap();
    }
    let outcome = checked(&dir).await.unwrap();
    assert_sound(&outcome);
    assert!(outcome.lines.join("\n").contains("built anew"), "{}", outcome.lines.join("\n"));
    // A wrong passphrase says nothing about the directory.
    let config = Config::load(&dir.join(FILE_NAME)).unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let wrong = check::offline(&config, passphrase("six other words for the tests"), clock, entropy, |_| {}).await;
    assert_eq!(wrong.unwrap_err().code, "PASSPHRASE_WRONG");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_node_is_checked_while_it_works_and_raises_no_false_alarm() {
    let house = House::new();
    let [id, my] = busy(&house).await;
    until("the control socket listens", || async { id.dir().join("control.sock").exists() }).await;
    let dir = id.dir().to_owned();
    let checking =
        tokio::task::spawn_blocking(move || (0..5).map(|_| ask(&dir, &Request::Check {}, |_| {})).collect::<Vec<_>>());
    let mut round = 0;
    while !checking.is_finished() {
        round += 1;
        let reference = id.issue(&red(&format!("during{round}")), &[&my]).await;
        if round % 2 == 0 {
            id.withdraw(&reference).await;
        }
    }
    assert!(round > 1, "the node works while it is checked");
    for asked in checking.await.unwrap() {
        let Asked::Done(outcome) = asked.unwrap() else { panic!("the node runs") };
        assert_sound(&outcome);
    }
}
