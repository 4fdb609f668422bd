//! `eads-node store compact` on a node that runs and on one that does not.

use std::process::Output;

use eads_domain::code::Coded as _;
use eads_tests::content::red;
use eads_tests::house::{House, sound};
use eads_tests::member::{Member, PASSPHRASE};
use serde_json::Value;

use crate::programs::EADS_NODE;

async fn compact(member: &Member) -> Output {
    let mut command = tokio::process::Command::new(EADS_NODE);
    command.args(["store", "compact", "--output", "json", "--dir"]).arg(member.dir());
    command.env("EADS_PASSPHRASE", PASSPHRASE).output().await.unwrap()
}

fn report(output: &Output) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_str(&text(&output.stdout)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_compacted_while_it_runs_and_while_it_does_not_and_loses_nothing() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    let before = id.issue(&red("before"), &[&my]).await;
    id.receipted(&before, &my, &["issue accepted"]).await;
    let done = report(&compact(&my).await);
    assert!(done["rows"].as_u64().unwrap() > 0, "{done}");
    // It goes on as if nothing had happened, and so does the other.
    let after = id.issue(&red("after"), &[&my]).await;
    id.receipted(&after, &my, &["issue accepted"]).await;
    id.withdraw(&before).await;
    my.sees(&before, "NOTICE_WITHDRAWN").await;
    sound(&my).await;
    my.stop().await;
    let alone = report(&compact(&my).await);
    assert!(alone["sequence"].as_u64().unwrap() > done["sequence"].as_u64().unwrap(), "{alone}");
    std::fs::remove_dir_all(my.dir().join("view")).unwrap();
    my.start().await;
    assert_eq!(my.version_of(&after).await, 1);
    assert_eq!(my.state_of(&before).await, "NOTICE_WITHDRAWN");
    id.withdraw(&after).await;
    my.sees(&after, "NOTICE_WITHDRAWN").await;
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_know_the_passphrase_compacts_nothing_that_is_stopped() {
    let house = House::new();
    let mut id = house.member("ID").await;
    let mut command = tokio::process::Command::new(EADS_NODE);
    command.args(["store", "compact", "--dir"]).arg(id.dir()).env("EADS_PASSPHRASE", "not this one, nor that");
    let refused = id.open(PASSPHRASE).await.err().expect("it runs");
    assert_eq!(refused.code().as_str(), "STORE_LOCKED");
    // While it runs the passphrase is not asked for.
    assert!(command.output().await.unwrap().status.success());
    id.stop().await;
    let output = command.output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("PASSPHRASE_WRONG"));
}
