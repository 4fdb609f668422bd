//! A node that runs on an old copy of its directory takes up its own register from its peers before it signs
//! anything, and is no forger; two copies that both sign are caught.

use std::path::{Path, PathBuf};
use std::time::Duration;

use eads_proto::v1;
use eads_tests::content::red;
use eads_tests::house::{House, connected, peers, sound, status};
use eads_tests::member::Member;
use eads_tests::operator::refused;
use eads_tests::wait::until;
use tempfile::TempDir;

/// A copy of a stopped node's directory.
struct Copy(TempDir);

impl Copy {
    async fn of(member: &mut Member) -> Self {
        member.stop().await;
        let copy = tempfile::tempdir().unwrap();
        copy_dir(member.dir(), copy.path());
        member.start().await;
        Self(copy)
    }

    /// Puts the copy where the stopped node is.
    fn restore(&self, member: &Member) {
        std::fs::remove_dir_all(member.dir()).unwrap();
        copy_dir(self.0.path(), member.dir());
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let from: PathBuf = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy_dir(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

async fn recovered(member: &Member) -> v1::GetStatusResponse {
    until(&format!("{} signs again", member.id), || async { status(member).await.sequencing == "open" }).await;
    status(member).await
}

async fn nobody_is_frozen(members: &[&Member]) {
    for member in members {
        assert!(peers(member).await.iter().all(|peer| peer.state == "accepted"), "{} has frozen a peer", member.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolled_back_node_takes_its_tail_back_issues_again_and_nobody_is_frozen() {
    let house = House::new();
    let [mut my, th, ph] = house.federation(["MY", "TH", "PH"]).await;
    let before = my.issue(&red("before"), &[&th]).await;
    th.sees(&before, "valid").await;
    let copy = Copy::of(&mut my).await;
    connected(&my, 2).await;
    // What the copy does not know: an issue to both, an amendment, and a suspension.
    let after = my.issue(&red("after"), &[&th, &ph]).await;
    my.amend(&before, &red("amended"), &[&th]).await;
    let doubted = my.issue(&red("doubted"), &[&ph]).await;
    my.suspend(&doubted).await;
    th.sees_version(&before, 2).await;
    ph.sees(&after, "valid").await;
    ph.sees(&doubted, "suspended").await;
    until("both hold the whole register", || async {
        peers(&th).await[0].register_cursor == 5 && peers(&ph).await[0].register_cursor == 5
    })
    .await;
    my.stop().await;
    copy.restore(&my);
    my.start().await;

    let at_my = recovered(&my).await;
    assert_eq!(at_my.register_size, 5);
    until("both have given back what they hold", || async { status(&my).await.unrecovered == 1 }).await;
    assert_eq!(status(&my).await.unrecovered_entries, [4], "the suspension itself is an opaque leaf");
    for (reference, state) in [(&before, "valid"), (&after, "valid"), (&doubted, "suspended")] {
        my.sees(reference, state).await;
    }
    assert_eq!(my.version_of(&before).await, 2);
    let recalled = status(&my).await.recalled;
    assert_eq!(recalled.len(), 1);
    assert_eq!((recalled[0].reference.as_str(), recalled[0].member.as_str()), (doubted.as_str(), "PH"));
    // Receipts came again; it issues, and peers follow on.
    my.receipted(&after, &th, &["issue accepted"]).await;
    my.receipted(&after, &ph, &["issue delivered"]).await;
    let again = my.issue(&red("again"), &[&th, &ph]).await;
    th.sees(&again, "valid").await;
    ph.sees(&again, "valid").await;
    // A notice that only came back from holders is withdrawn at each of them.
    my.withdraw(&after).await;
    th.sees(&after, "NOTICE_WITHDRAWN").await;
    ph.sees(&after, "NOTICE_WITHDRAWN").await;
    until("the purge is receipted", || async {
        my.receipts(&after, &th).await.first().is_some_and(|said| said == "issue purged")
    })
    .await;
    nobody_is_frozen(&[&my, &th, &ph]).await;
    for member in [&my, &th, &ph] {
        sound(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_withdrawn_since_the_copy_stays_withdrawn() {
    let house = House::new();
    let [mut my, th] = house.federation(["MY", "TH"]).await;
    let withdrawn = my.issue(&red("withdrawn"), &[&th]).await;
    let kept = my.issue(&red("kept"), &[&th]).await;
    th.sees(&kept, "valid").await;
    let copy = Copy::of(&mut my).await;
    connected(&my, 1).await;
    my.withdraw(&withdrawn).await;
    my.receipted(&withdrawn, &th, &["issue purged", "withdraw accepted"]).await;
    until("TH holds the whole register", || async { peers(&th).await[0].register_cursor == 3 }).await;
    my.stop().await;
    copy.restore(&my);
    my.start().await;

    recovered(&my).await;
    my.sees(&withdrawn, "withdrawn").await;
    assert_eq!(my.state_of(&kept).await, "valid");
    let recalled = status(&my).await.recalled;
    assert_eq!((recalled[0].action.as_str(), recalled[0].member.as_str()), ("withdraw", "TH"));
    my.receipted(&withdrawn, &th, &["issue purged"]).await;
    until("its content is gone here too", || async { my.notice(&withdrawn).await.unwrap().values.is_empty() }).await;
    assert_eq!(th.state_of(&withdrawn).await, "NOTICE_WITHDRAWN");
    nobody_is_frozen(&[&my, &th]).await;
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_signed_before_a_peer_was_heard_unless_an_administrator_says_so() {
    let house = House::new();
    let [mut my, mut th] = house.federation(["MY", "TH"]).await;
    th.stop().await;
    my.limits.start_wait = Duration::from_millis(100);
    my.limits.sequencing_patience = Duration::from_millis(100);
    my.restart().await;
    let drafted = my.draft(&red("waiting"), &[&th]).await.unwrap();
    assert_eq!(refused(my.publish(&drafted.draft_id).await), "SEQUENCING_WAITS");
    assert_eq!(status(&my).await.sequencing, "waiting");
    let order = |reason: &str| v1::SkipStartWaitRequest { reason: reason.to_owned() };
    assert_eq!(refused(my.operator("issuer").node().skip_start_wait(order("now")).await), "ROLE_REQUIRED");
    assert_eq!(refused(my.operator("admin-1").node().skip_start_wait(order(" ")).await), "REASON_REQUIRED");
    my.operator("admin-1").node().skip_start_wait(order("TH is closed for a week")).await.unwrap();
    assert_eq!(refused(my.operator("admin-1").node().skip_start_wait(order("again")).await), "SEQUENCING_OPEN");
    my.issue_draft(&drafted.draft_id).await.unwrap();
    let on_record = my.audit_entries().await;
    assert!(on_record.iter().any(|entry| entry.subject == "TH is closed for a week"));
    th.start().await;
    until("TH holds it", || async { th.listed("held").await.len() == 1 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_copies_that_both_sign_are_caught() {
    let house = House::new();
    let [mut my, th] = house.federation(["MY", "TH"]).await;
    let first = my.issue(&red("first"), &[&th]).await;
    th.sees(&first, "valid").await;
    let copy = Copy::of(&mut my).await;
    connected(&my, 1).await;
    // The original goes on.
    let original = my.issue(&red("original"), &[&th]).await;
    th.sees(&original, "valid").await;
    my.stop().await;
    // The copy is told not to ask anybody, and signs too: the same index, another entry.
    copy.restore(&my);
    let mut th = th;
    th.stop().await;
    my.start().await;
    my.operator("admin-1")
        .node()
        .skip_start_wait(v1::SkipStartWaitRequest { reason: "mistaken".to_owned() })
        .await
        .unwrap();
    my.issue(&red("copied"), &[&th]).await;
    my.issue(&red("copied again"), &[&th]).await;
    th.start().await;
    until("TH has frozen MY", || async { peers(&th).await[0].state == "frozen" }).await;
    until("MY knows it", || async {
        status(&my).await.alarms.iter().any(|alarm| alarm.starts_with("REGISTER_CLONED"))
    })
    .await;
    assert_eq!(th.state_of(&original).await, "frozen");
    // After a start it finds out by itself, and signs nothing.
    my.limits.sequencing_patience = Duration::from_secs(5);
    my.restart().await;
    until("MY is stopped", || async { status(&my).await.sequencing == "cloned" }).await;
    let drafted = my.draft(&red("refused"), &[&th]).await.unwrap();
    assert_eq!(refused(my.publish(&drafted.draft_id).await), "REGISTER_CLONED");
    sound(&th).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_node_answers_nobody_before_a_peer_was_heard() {
    let house = House::new();
    let [mut my, mut th] = house.federation(["MY", "TH"]).await;
    let reference = my.issue(&red("restored"), &[&th]).await;
    th.sees(&reference, "valid").await;
    my.stop().await;
    {
        let vault = my.vault().await;
        let mut batch = eads_store::port::Batch::new();
        batch.put(eads_service::area::META, eads_service::area::meta::RESTORED, b"{}".as_slice());
        vault.store().commit(batch).await.unwrap();
    }
    th.stop().await;
    my.start().await;
    let search = v1::SearchRequest {
        query: Some(eads_tests::questions::name("restoredgiven restoredfamily")),
        local_only: true,
        ..v1::SearchRequest::default()
    };
    async fn asked(my: &Member, search: &v1::SearchRequest) -> Result<(), tonic::Status> {
        my.operator("officer").search().search(search.clone()).await.map(drop)
    }
    assert_eq!(refused(asked(&my, &search).await), "RECOVERY_PENDING");
    th.start().await;
    until("MY answers again", || async { asked(&my, &search).await.is_ok() }).await;
    my.restart().await;
    until("it stays so", || async { asked(&my, &search).await.is_ok() }).await;
}
