//! Backup and restore: what is in a backup comes back, what peers sent does not, nothing wrong is taken for right,
//! and a key that is too old is gone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eads_domain::clock::SystemClock;
use eads_domain::entropy::SystemEntropy;
use eads_domain::id::RequestId;
use eads_node::backup::{RestoreOptions, restore};
use eads_node::check;
use eads_node::config::{Config, FILE_NAME};
use eads_node::control::{Asked, Outcome, Refusal, Request, ask};
use eads_proto::v1;
use eads_service::area;
use eads_service::audit::{Actor, Entry, EntryKind};
use eads_store::keys::KdfCost;
use eads_store::port::{Area, Scan};
use eads_tests::content::{red, secrets};
use eads_tests::house::House;
use eads_tests::member::{Member, PASSPHRASE, passphrase};
use eads_tests::photos::{draft_with, jpeg, picture};
use eads_tests::traces::Needles;
use eads_tests::wait::until;

const ESCROW: &str = "five random words of the escrow";
const RECORDS: &str = "key,family-name,given-names,birth-date,sex,documents\n\
    R-1,Recorded,Person,1980-01-02,F,passport|XRECORDED|MY\n";

/// A backup with its key.
struct Backup {
    file: PathBuf,
    key: PathBuf,
    outcome: Outcome,
}

fn request(to: &Path, escrow: &Path) -> Request {
    let secret: String = ESCROW.bytes().map(|byte| format!("{byte:02x}")).collect();
    let request = serde_json::json!({
        "command": "backup", "to": to, "escrow": escrow, "passphrase": secret, "cheap_keys": true,
    });
    serde_json::from_value(request).unwrap()
}

/// Has the running node take a backup.
async fn backup(member: &Member, to: &Path, escrow: &Path) -> Result<Backup, Refusal> {
    let dir = member.dir().to_owned();
    until("the control socket listens", || async { dir.join("control.sock").exists() }).await;
    let request = request(to, escrow);
    let asked = tokio::task::spawn_blocking(move || ask(&dir, &request, |_| {})).await.unwrap();
    let Asked::Done(outcome) = asked? else { panic!("the node runs") };
    let path = |name: &str| PathBuf::from(outcome.report[name].as_str().unwrap());
    Ok(Backup { file: path("backup"), key: path("key"), outcome })
}

/// Statements of the own register whose content is destroyed, as the running node's check counts them.
async fn destroyed(member: &Member) -> u64 {
    let dir = member.dir().to_owned();
    let asked = tokio::task::spawn_blocking(move || ask(&dir, &Request::Check {}, |_| {})).await.unwrap();
    let Ok(Asked::Done(outcome)) = asked else { return 0 };
    let sections = outcome.report["sections"].as_array().unwrap();
    let register = sections.iter().find(|section| section["name"] == "own register").unwrap();
    register["counts"]["statements destroyed"].as_u64().unwrap_or_default()
}

fn options(backup: &Backup, dir: &Path) -> RestoreOptions {
    RestoreOptions {
        from: backup.file.clone(),
        key: backup.key.clone(),
        dir: dir.to_owned(),
        escrow_passphrase: passphrase(ESCROW),
        passphrase: passphrase(PASSPHRASE),
        cost: KdfCost::TESTS,
    }
}

async fn restored(options: RestoreOptions) -> Result<Outcome, Refusal> {
    restore(options, Arc::new(SystemClock), Arc::new(SystemEntropy), |_| {}).await
}

/// The code of a restore that is refused, after which nothing is left behind.
async fn refused(options: RestoreOptions) -> String {
    let dir = options.dir.clone();
    let refusal = restored(options).await.unwrap_err();
    assert!(!dir.exists() && !dir.with_extension("partial").exists(), "something is left behind: {refusal:?}");
    refusal.code
}

async fn rows(member: &Member, area: Area) -> Vec<(Vec<u8>, Vec<u8>)> {
    member.vault().await.store().scan(Scan::new(area, 10_000)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_the_members_own_comes_back_and_what_peers_sent_does_not() {
    let house = House::new();
    let [mut id, my] = house.federation(["ID", "MY"]).await;
    let kept = id.issue(&red("kept"), &[&my]).await;
    let gone = id.issue(&red("gonebefore"), &[&my]).await;
    id.receipted(&gone, &my, &["issue accepted"]).await;
    id.withdraw(&gone).await;
    id.receipted(&gone, &my, &["issue purged", "withdraw accepted"]).await;
    let photo = id.operator("issuer").upload(&jpeg(&picture(700, 500, 7))).await.unwrap();
    let request = draft_with(&red("pictured"), &[photo], &["MY"], id.now().as_unix());
    let drafted = id.operator("issuer").notices().create_draft(request).await.unwrap().into_inner();
    let pictured = id.publish(&drafted.draft_id).await.unwrap().reference;
    my.has_photos(&pictured, 1).await;
    let shown = id.operator("officer").photo(&pictured, 1, false).await.unwrap();
    id.import_csv("test", RECORDS).await.unwrap();
    id.draft(&red("drafted"), &[&my]).await.unwrap();
    let theirs = my.issue(&red("theirs"), &[&id]).await;
    id.sees(&theirs, "valid").await;
    id.receipted(&kept, &my, &["issue accepted"]).await;
    id.receipted(&pictured, &my, &["issue delivered"]).await;
    // Until nothing more is to be destroyed, so that what is compared below is at rest.
    until("the withdrawn notice and its withdrawal are destroyed", || async { destroyed(&id).await == 2 }).await;
    let (to, escrow) = (house.path().join("backups"), house.path().join("escrow"));
    // While the node works: the backup is of one moment all the same.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let working = async {
        let mut done = 0;
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            id.draft(&red(&format!("during{done}")), &[&my]).await.unwrap();
            done += 1;
        }
        done
    };
    let taking = async {
        let taken = backup(&id, &to, &escrow).await.unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        taken
    };
    let (_, taken) = tokio::join!(working, taking);
    id.stop().await;

    for file in [&taken.file, &taken.key] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let said = taken.outcome.lines.join("\n");
    assert!(said.contains("verified") && said.contains("not in it"), "{said}");
    let hidden: Vec<Vec<u8>> =
        ["kept", "drafted", "theirs"].iter().flat_map(|tag| secrets(tag)).map(String::into_bytes).collect();
    let needles = Needles::new(&hidden);
    assert_eq!(needles.found_in(&to), Vec::<String>::new(), "the backup is sealed");

    // The directory is lost.
    let before = [area::OWN_ENTRY, area::OWN_VERSION, area::OWN_NOTICE, area::DELIVERY, area::HOLDING];
    let mut expected = Vec::new();
    for area in before {
        expected.push(rows(&id, area).await);
    }
    std::fs::remove_dir_all(id.dir()).unwrap();
    let outcome = restored(options(&taken, id.dir())).await.unwrap();
    assert!(outcome.sound, "{}", outcome.lines.join("\n"));
    for (area, expected) in before.into_iter().zip(expected) {
        assert_eq!(rows(&id, area).await, expected, "{area:?}");
    }
    for area in [area::HELD_NOTICE, area::HELD_CONTENT, area::LEAVES, area::MARK, area::OWED, area::ANSWERED] {
        assert!(rows(&id, area).await.is_empty(), "{area:?} is what peers sent");
    }
    assert!(rows(&id, area::FOLLOWED).await.is_empty(), "every peer is followed from the start");
    let witnessed = rows(&id, area::WITNESSED).await;
    let remembered = witnessed.iter().find(|(key, _)| key == b"MYID").map(|(_, row)| String::from_utf8_lossy(row));
    assert!(remembered.unwrap().contains("my.eads/register/"), "which a peer must not fork");
    let pending = id.vault().await.store().get(area::META, area::meta::RESTORED).await.unwrap().unwrap();
    let pending: serde_json::Value = serde_json::from_slice(&pending).unwrap();
    assert_eq!(pending["register_size"], taken.outcome.report["register_size"]);
    // Nothing of what was purged came back with the keys.
    let purged: Vec<Vec<u8>> = secrets("gonebefore").into_iter().map(String::into_bytes).collect();
    assert_eq!(Needles::new(&purged).found_in(id.dir()), Vec::<String>::new());

    // It serves as before, and hears anew what its peers have.
    id.start().await;
    id.sees(&kept, "valid").await;
    id.sees(&theirs, "valid").await;
    assert_eq!(id.notice(&kept).await.unwrap().notice.unwrap().reference, kept);
    assert_eq!(id.operator("officer").photo(&pictured, 1, false).await.unwrap(), shown, "with its photograph");
    let next = id.issue(&red("afterwards"), &[&my]).await;
    id.receipted(&next, &my, &["issue accepted"]).await;
    eads_tests::house::sound(&id).await;
    eads_tests::house::sound(&my).await;
    let found = id.search_for(eads_tests::questions::passport("XRECORDED")).await.unwrap();
    assert_eq!(found.iter().find(|answer| answer.member == "ID").unwrap().outcome, "hit", "records are searched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_not_whole_or_not_its_keys_is_refused_and_leaves_nothing_behind() {
    let house = House::new();
    let id = house.member("ID").await;
    id.issue(&red("kept"), &[]).await;
    let (to, escrow) = (house.path().join("backups"), house.path().join("escrow"));
    let first = backup(&id, &to, &escrow).await.unwrap();
    let second = backup(&id, &to, &escrow).await.unwrap();
    let new = house.path().join("restored");
    let with = |change: &dyn Fn(&mut RestoreOptions)| {
        let mut options = options(&first, &new);
        change(&mut options);
        options
    };
    assert_eq!(refused(with(&|o| o.key = second.key.clone())).await, "BACKUP_KEY_WRONG");
    assert_eq!(refused(with(&|o| o.key = first.file.clone())).await, "BACKUP_UNKNOWN");
    assert_eq!(refused(with(&|o| o.from = first.key.clone())).await, "BACKUP_UNKNOWN");
    assert_eq!(
        refused(with(&|o| o.escrow_passphrase = passphrase("six words of nobody"))).await,
        "ESCROW_PASSPHRASE_WRONG"
    );
    assert_eq!(refused(with(&|o| o.passphrase = passphrase("six words of nobody"))).await, "PASSPHRASE_WRONG");
    let whole = std::fs::read(&first.file).unwrap();
    let copy = house.path().join("copy.backup");
    let changed = |bytes: Vec<u8>| {
        std::fs::write(&copy, bytes).unwrap();
        with(&|o| o.from = copy.clone())
    };
    assert_eq!(refused(changed(whole[..whole.len() / 2].to_vec())).await, "BACKUP_TRUNCATED");
    assert_eq!(refused(changed(whole[..whole.len() - 1].to_vec())).await, "BACKUP_TRUNCATED");
    assert_eq!(refused(changed([whole.as_slice(), b"x"].concat())).await, "BACKUP_DAMAGED");
    let flipped = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    };
    assert_eq!(refused(changed(flipped(whole.len() / 2))).await, "BACKUP_DAMAGED");
    assert_eq!(refused(changed(flipped(9))).await, "BACKUP_NEWER");
    // Never over a node.
    let taken = restored(with(&|o| o.dir = id.dir().to_owned())).await.unwrap_err();
    assert_eq!(taken.code, "INIT_NOT_EMPTY");
    assert!(restored(with(&|_| {})).await.unwrap().sound, "and the whole one is taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_lie_apart_from_the_data_and_are_destroyed_after_35_days() {
    let house = House::new();
    let id = house.member("ID").await;
    id.issue(&red("kept"), &[]).await;
    let (to, escrow) = (house.path().join("backups"), house.path().join("escrow"));
    for (to, escrow, expected) in [
        (to.clone(), to.clone(), "ESCROW_WITH_DATA"),
        (to.clone(), to.join("keys"), "ESCROW_WITH_DATA"),
        (to.clone(), id.dir().join("escrow"), "ESCROW_WITH_DATA"),
        (to.clone(), house.path().to_owned(), "ESCROW_WITH_DATA"),
        (id.dir().join("backups"), escrow.clone(), "BACKUP_INSIDE_DATA"),
    ] {
        let refusal = backup(&id, &to, &escrow).await.err().expect("refused");
        assert_eq!(refusal.code, expected);
    }
    let first = backup(&id, &to, &escrow).await.unwrap();
    id.clock.advance(34 * 86_400);
    let second = backup(&id, &to, &escrow).await.unwrap();
    assert!(first.key.exists(), "34 days");
    id.clock.advance(2 * 86_400);
    let third = backup(&id, &to, &escrow).await.unwrap();
    assert!(!first.key.exists() && second.key.exists(), "36 days and 2");
    let said = third.outcome.lines.join("\n");
    let name = first.file.file_name().unwrap().to_str().unwrap();
    assert!(said.contains("destroyed") && said.contains("unreadable") && said.contains(name), "{said}");
    assert!(restored(options(&third, &house.path().join("third"))).await.unwrap().sound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_audit_log_has_the_chain_and_the_questions_that_it_had() {
    let house = House::new();
    let mut id = house.member("ID").await;
    id.search_for(eads_tests::questions::passport("XQUESTION")).await.unwrap();
    id.node().anchor_audit().await.unwrap();
    let (to, escrow) = (house.path().join("backups"), house.path().join("escrow"));
    let taken = backup(&id, &to, &escrow).await.unwrap();
    id.stop().await;
    std::fs::remove_dir_all(id.dir()).unwrap();
    restored(options(&taken, id.dir())).await.unwrap();
    let config = Config::load(&id.dir().join(FILE_NAME)).unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let checked = check::offline(&config, passphrase(PASSPHRASE), clock, entropy, |_| {}).await.unwrap();
    assert!(checked.sound, "{}", checked.lines.join("\n"));
    id.start().await;
    let asked = format!("{:?}", id.audit_entries().await);
    assert!(asked.contains("XQUESTION"), "the auditor still reads what was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_log_whose_old_entries_were_removed_comes_back_from_where_it_begins() {
    let house = House::new();
    let mut id = Member::create(house.path(), "ID");
    (id.limits.audit_query_days, id.limits.audit_keep_days) = (1, Some(30));
    id.start().await;
    // More than a file of the log holds.
    for _ in 0..12 {
        let request = RequestId::random(&SystemEntropy);
        let mut entry = Entry::new(EntryKind::Event, id.now(), request, Actor::Node, "Filled");
        entry.subject = Some("x".repeat(900 * 1024));
        id.node().audit().event(entry, "OK").await.unwrap();
    }
    id.clock.advance(40 * 86_400);
    id.node().anchor_audit().await.unwrap();
    let pruned = id.node().prune_audit().await.unwrap().expect("a file of old entries");
    let taken = backup(&id, &house.path().join("backups"), &house.path().join("escrow")).await.unwrap();
    let before = audit_of(&id).await;
    id.stop().await;
    std::fs::remove_dir_all(id.dir()).unwrap();
    let outcome = restored(options(&taken, id.dir())).await.unwrap();
    assert!(outcome.sound, "{}", outcome.lines.join("\n"));
    id.start().await;
    let after = audit_of(&id).await;
    assert!(before.sound && after.sound, "{after:?}");
    assert_eq!((after.pruned_through, before.pruned_through), (pruned, pruned));
    assert!(after.last > pruned, "{after:?}");
}

async fn audit_of(member: &Member) -> v1::VerifyAuditResponse {
    member.operator("auditor").audit().verify_audit(v1::VerifyAuditRequest {}).await.unwrap().into_inner()
}
