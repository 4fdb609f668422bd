//! Clocks that jump a day, forth and back: what has ended stays ended, the order stays that of the register, and
//! both sides are told.

use eads_tests::content::red;
use eads_tests::wait::until;

use crate::load::{now, patient};
use crate::pair::Pair;

const DAY: i64 = 86_400;
const AHEAD: [&str; 2] = ["--clock-offset-seconds", "86400"];
const BEHIND: [&str; 2] = ["--clock-offset-seconds", "-86400"];
const SHORT: i64 = DAY / 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_whose_clock_jumps_shows_nothing_that_has_ended() {
    let mut pair = Pair::new(0xc1).await;
    let short = pair.id.issue_until(&red("short"), &["MY"], now() + SHORT).await.unwrap();
    let long = pair.id.issue(&red("long"), &["MY"], now()).await.unwrap();
    pair.caught_up().await;
    assert_eq!(pair.my.state_of(&short).await, "valid");

    pair.stop("MY").await;
    pair.start_with("MY", &AHEAD).await;
    assert_ne!(pair.my.state_of(&short).await, "valid", "a copy that has ended by the own clock");
    assert_eq!(pair.my.state_of(&long).await, "valid");
    skewed(&pair).await;
    until("the ended one is purged", || async { pair.id.receipts(&short, "MY").await == ["issue purged"] }).await;

    // Back again: its key is gone, and nothing brings it back.
    pair.stop("MY").await;
    pair.start("MY").await;
    pair.caught_up().await;
    assert_ne!(pair.my.state_of(&short).await, "valid");
    assert_eq!(pair.my.state_of(&long).await, "valid");
    agreed(&pair).await;

    // A day behind: what was issued since lies in its future, and is not acted on before its time.
    pair.stop("MY").await;
    pair.start_with("MY", &BEHIND).await;
    let new = pair.id.issue(&red("new"), &["MY"], now()).await.unwrap();
    until("it is held", || async { pair.my.state_of(&new).await == "not-yet-valid" }).await;
    skewed(&pair).await;
    // A withdrawal counts at once, whatever the clock says.
    pair.id.withdraw(&long).await.unwrap();
    until("it is purged", || async { pair.id.receipts(&long, "MY").await == ["issue purged", "withdraw accepted"] })
        .await;
    pair.stop("MY").await;
    pair.start("MY").await;
    pair.caught_up().await;
    assert_eq!(pair.my.state_of(&new).await, "valid");
    assert_ne!(pair.my.state_of(&short).await, "valid");
    agreed(&pair).await;
    for officers in [&pair.id, &pair.my] {
        assert_eq!(officers.unsound().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_whose_clock_jumps_keeps_its_order_and_ends_nothing_twice() {
    let mut pair = Pair::new(0xc2).await;
    let short = pair.id.issue_until(&red("short"), &["MY"], now() + SHORT).await.unwrap();
    let mut issued = vec![pair.id.issue(&red("long"), &["MY"], now()).await.unwrap()];
    pair.caught_up().await;
    for (number, jump) in [AHEAD.as_slice(), &[], &BEHIND, &[]].into_iter().enumerate() {
        pair.stop("ID").await;
        pair.start_with("ID", jump).await;
        let ended = if number == 0 { "it ends" } else { "it stays ended" };
        until(ended, || async { pair.id.state_of(&short).await == "expired" }).await;
        if !jump.is_empty() {
            skewed(&pair).await;
        }
        // The order is that of the register, whatever the clock showed.
        let tag = format!("jump{}", ["a", "b", "c", "d"][number]);
        let content = red(&tag);
        issued.push(patient(|| pair.id.issue(&content, &["MY"], now() + DAY)).await.unwrap());
        pair.caught_up().await;
    }
    agreed(&pair).await;
    for reference in issued {
        // What was issued while the clock led by a day waits for its time, here as there.
        let states = [pair.id.state_of(&reference).await, pair.my.state_of(&reference).await];
        assert!(
            states == ["valid", "valid"] || states == ["not-yet-valid", "not-yet-valid"],
            "{reference}: {states:?}"
        );
    }
    for officers in [&pair.id, &pair.my] {
        assert_eq!(officers.unsound().await, [""; 0]);
    }
}

/// Both say that the other's clock differs.
async fn skewed(pair: &Pair) {
    until("both see that their clocks differ", || async {
        let (id, my) = (pair.id.status().await.alarms, pair.my.status().await.alarms);
        id.iter().any(|alarm| alarm.starts_with("CLOCK_SKEW:MY"))
            && my.iter().any(|alarm| alarm.starts_with("CLOCK_SKEW:ID"))
    })
    .await;
}

/// Neither says it any more.
async fn agreed(pair: &Pair) {
    until("nobody complains of a clock", || async {
        let alarms = [pair.id.status().await.alarms, pair.my.status().await.alarms].concat();
        !alarms.iter().any(|alarm| alarm.starts_with("CLOCK_SKEW"))
    })
    .await;
}
