//! A node without file handles: who is connected is served, who is new waits, and what could not be done is done
//! when there are handles again.

use std::fs;
use std::process::Command;
use std::time::Duration;

use eads_tests::process::Officers;
use eads_tests::wait::until;

use crate::load::Fate;
use crate::pair::{Pair, Said};

/// How long somebody new waits in vain.
const IN_VAIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_file_handles_serves_whom_it_has_and_takes_others_when_it_can() {
    let mut pair = Pair::new(0xf0).await;
    let reference = pair.issue("before").await.unwrap();
    pair.caught_up().await;
    // Whoever is used below has a connection.
    assert_eq!(pair.id.unsound().await, [""; 0]);
    pair.id.status().await;
    let process = pair.node("ID").process_id().unwrap();
    limit(process, &format!("{}:", first_free(process)));
    let newcomer = Officers::of(pair.node("ID"));
    assert!(tokio::time::timeout(IN_VAIN, newcomer.reaches()).await.is_err(), "somebody new was served");
    assert!(pair.node("ID").log_tail(100).iter().any(|line| line.contains("TLS_ACCEPT_FAILED")));
    assert_eq!(pair.id.status().await.member, "ID");
    pair.id.ask_for("XBEFORE").await.unwrap();
    // A withdrawal is taken and told at once; destroying the keys takes a file, and is tried until it is done.
    pair.id.withdraw(&reference).await.unwrap();
    pair.ledger.notices.insert(reference.clone(), Fate::Withdrawn);
    until("the holder has purged it", || async {
        pair.id.receipts(&reference, "MY").await == ["issue purged", "withdraw accepted"]
    })
    .await;
    until("the owner says that it cannot", || async {
        pair.id.status().await.alarms.iter().any(|alarm| alarm.starts_with("PURGE"))
    })
    .await;
    limit(process, "4096:");
    until("somebody new is served", || async {
        tokio::time::timeout(IN_VAIN, newcomer.reaches()).await.is_ok_and(|reached| reached)
    })
    .await;
    until("the keys are destroyed", || async { pair.id.status().await.alarms.is_empty() }).await;
    pair.issue("after").await.unwrap();
    pair.caught_up().await;
    pair.holds(&Said::default(), "with handles again").await;
    pair.settled().await;
}

/// The lowest number that no file or connection of a process has: as the limit it leaves none to be had.
fn first_free(process: u32) -> usize {
    let is_taken = |number: &usize| fs::symlink_metadata(format!("/proc/{process}/fd/{number}")).is_ok();
    (0..).find(|number| !is_taken(number)).unwrap()
}

fn limit(process: u32, handles: &str) {
    let arguments = [format!("--pid={process}"), format!("--nofile={handles}")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}
