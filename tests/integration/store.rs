//! Directories that were damaged, copied back, opened twice, or written by a newer program.

use std::path::{Path, PathBuf};

use eads_domain::code::Coded as _;
use eads_store::embedded::SCHEMA_VERSION;
use eads_store::journal::{Journal, JournalOptions};
use eads_tests::content::{passport, red};
use eads_tests::house::{House, alarmed, sound};
use eads_tests::questions;
use eads_tests::traces::files;

const RECORDS: &str = "key,family-name,given-names,birth-date,sex,documents\n\
    R-1,Recorded,Person,1980-01-02,F,passport|XRECORDED|MY\n";

/// What becomes of the view between two runs of a node, and must not matter.
async fn survives(harm: impl Fn(&Path)) {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("viewed"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    my.import_csv("test", RECORDS).await.unwrap();
    my.stop().await;
    harm(&my.dir().join("view"));
    my.start().await;
    assert_eq!(my.version_of(&reference).await, 1);
    for number in [passport("viewed"), "XRECORDED".to_owned()] {
        let answers = my.search_for(questions::passport(&number)).await.unwrap();
        let own = answers.iter().find(|answer| answer.member == "MY").unwrap();
        assert_eq!((own.outcome.as_str(), own.hits.len()), ("hit", 1), "{number}");
    }
    sound(&my).await;
    // And it goes on working.
    id.withdraw(&reference).await;
    my.sees(&reference, "NOTICE_WITHDRAWN").await;
    my.restart().await;
    assert_eq!(my.state_of(&reference).await, "NOTICE_WITHDRAWN");
}

fn databases(view: &Path) -> Vec<PathBuf> {
    let all = files(view).into_iter().filter(|file| std::fs::metadata(file).is_ok_and(|meta| meta.len() > 0));
    let all: Vec<_> = all.collect();
    assert!(!all.is_empty());
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_view_loses_nothing() {
    survives(|view| std::fs::remove_dir_all(view).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_view_loses_nothing() {
    survives(|view| {
        for file in databases(view) {
            let length = std::fs::metadata(&file).unwrap().len();
            std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(length / 3).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_with_flipped_bits_loses_nothing() {
    survives(|view| {
        for file in databases(view) {
            let mut bytes = std::fs::read(&file).unwrap();
            let step = (bytes.len() / 97).max(1);
            bytes.iter_mut().step_by(step).for_each(|byte| *byte ^= 0x55);
            std::fs::write(file, bytes).unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_do_not_run_on_one_directory() {
    let house = House::new();
    let id = house.member("ID").await;
    let second = id.open(eads_tests::member::PASSPHRASE).await.err().expect("a second node must not start");
    assert_eq!(second.code().as_str(), "STORE_LOCKED");
    id.issue(&red("first"), &[]).await;
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_passphrase_opens_nothing_and_harms_nothing() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let reference = id.issue(&red("locked"), &[]).await;
    id.stop().await;
    let error = id.try_start_with("six other words for the tests").await.unwrap_err();
    assert_eq!(error.code().as_str(), "PASSPHRASE_WRONG");
    id.start().await;
    assert_eq!(id.state_of(&reference).await, "valid");
}

fn segment(dir: &Path) -> PathBuf {
    let mut segments = files(dir);
    segments.sort();
    segments.remove(0)
}

/// Flips one byte of a log at `offset`.
fn flip(file: &Path, offset: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[offset] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_an_error_that_names_file_and_offset() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.issue(&red("written"), &[]).await;
    id.issue(&red("writtentoo"), &[]).await;
    id.stop().await;
    let file = segment(&id.dir().join("journal"));
    let whole = std::fs::read(&file).unwrap();
    flip(&file, 400);
    let error = id.try_start().await.unwrap_err();
    assert_eq!(error.code().as_str(), "JOURNAL_DAMAGED");
    let text = error.to_string();
    assert!(text.contains(file.file_name().unwrap().to_str().unwrap()) && text.contains("offset"), "{text}");
    // Nothing was guessed over or cut: put back, it is whole.
    std::fs::write(&file, whole).unwrap();
    id.start().await;
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_tail_is_cut_and_the_node_starts() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let reference = id.issue(&red("kept"), &[]).await;
    id.stop().await;
    let file = segment(&id.dir().join("journal"));
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // A record that was begun and never acknowledged.
    bytes[end..end + 8].copy_from_slice(b"EADR\0\0\x01\0");
    std::fs::write(&file, bytes).unwrap();
    id.start().await;
    assert_eq!(id.state_of(&reference).await, "valid");
    id.issue(&red("next"), &[]).await;
    id.restart().await;
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_audit_log_is_found() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.issue(&red("audited"), &[]).await;
    id.stop().await;
    let file = segment(&id.dir().join("audit"));
    flip(&file, 500);
    let error = id.try_start().await.unwrap_err();
    assert!(error.code().as_str().contains("DAMAGED"), "{}", error.code());
    assert!(error.to_string().contains("audit"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_a_newer_program_is_refused() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.stop().await;
    let journal = id.dir().join("journal");
    std::fs::remove_dir_all(&journal).unwrap();
    std::fs::remove_dir_all(id.dir().join("view")).unwrap();
    let newer = JournalOptions::new("eads/store").schema(SCHEMA_VERSION + 1);
    let (newer, _) = Journal::open(&journal, newer).unwrap();
    newer.append(b"what a later program writes".to_vec()).await.unwrap();
    drop(newer);
    let error = id.try_start().await.unwrap_err();
    assert!(error.code().as_str().ends_with("SCHEMA_NEWER"), "{}", error.code());
    assert!(error.to_string().contains("upgrade"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_an_old_copy_learns_so_from_its_peers_and_takes_up_its_own_history() {
    let house = House::new();
    let [mut id, my] = house.federation(["ID", "MY"]).await;
    let first = id.issue(&red("firstlife"), &[&my]).await;
    id.receipted(&first, &my, &["issue accepted"]).await;
    id.stop().await;
    let backup = house.path().join("backup");
    copy(id.dir(), &backup);
    id.start().await;
    let second = id.issue(&red("secondlife"), &[&my]).await;
    id.receipted(&second, &my, &["issue accepted"]).await;
    id.stop().await;
    std::fs::remove_dir_all(id.dir()).unwrap();
    copy(&backup, id.dir());
    id.start().await;
    alarmed(&id, "this node ran on an old copy").await;
    // It has its own second life back, and what the peer holds stays as it is.
    id.sees(&second, "valid").await;
    assert_eq!(my.version_of(&second).await, 1);
    sound(&my).await;
}
