//! A disk that fills: ordinary writes stop at the reserve, what protects people goes through to the last byte, and
//! everything goes on by itself when there is room again.

use std::time::Duration;

use eads_tests::operator::refused;
use eads_tests::wait::{PATIENCE, PAUSE, until};
use tokio::time::Instant;

use crate::load::{Fate, records};
use crate::pair::{Pair, Said};

/// Room for the node, and some more than the reserve.
const MIB: u64 = 700;
/// Bytes that are left: less than the reserve, and nothing at all, when people are protected still.
const LEAVE: [u64; 2] = [100 * 1024 * 1024, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a file system and fills it"]
async fn an_owner_on_a_full_disk_still_withdraws_and_purges_and_goes_on_when_there_is_room() {
    let mut pair = Pair::on_disk(0xf11, "ID", MIB).await;
    let mut notices = issued(&mut pair, 7).await;
    for leave in LEAVE {
        pair.disk().fill(leave);
        stops(&mut pair).await;
        protects(&mut pair, &mut notices).await;
        answers(&pair, &notices).await;
    }
    pair.disk().empty();
    goes_on(&mut pair).await;
    pair.stop("ID").await;
    pair.start("ID").await;
    pair.holds(&Said::default(), "after a restart").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a file system and fills it"]
async fn a_holder_on_a_full_disk_still_applies_withdrawals_and_catches_up_when_there_is_room() {
    let mut pair = Pair::on_disk(0xf12, "MY", MIB).await;
    let mut notices = issued(&mut pair, 7).await;
    for leave in LEAVE {
        pair.disk().fill(leave);
        // What is new does not get in, and that is said. How much is free is asked once a second.
        let deadline = Instant::now() + PATIENCE;
        let new = loop {
            let new = pair.issue("new").await.unwrap();
            let looks = Instant::now() + Duration::from_secs(3);
            while Instant::now() < looks && !is_short(&pair).await {
                tokio::time::sleep(PAUSE).await;
            }
            if is_short(&pair).await {
                break new;
            }
            assert!(Instant::now() < deadline, "the holder says nothing: {:?}", pair.my.status().await);
        };
        assert_ne!(pair.my.state_of(&new).await, "valid");
        protects(&mut pair, &mut notices).await;
        answers(&pair, &notices).await;
    }
    pair.disk().empty();
    goes_on(&mut pair).await;
    pair.settled().await;
    pair.stop("MY").await;
    pair.start("MY").await;
    pair.settled().await;
}

/// Whether Malaysia says that its disk is short.
async fn is_short(pair: &Pair) -> bool {
    pair.my.status().await.alarms.iter().any(|alarm| alarm.contains("DISK_RESERVE"))
}

/// Notices that Malaysia holds.
async fn issued(pair: &mut Pair, count: u8) -> Vec<String> {
    let mut notices = Vec::new();
    for number in 0..count {
        let tag = format!("room{}", char::from(b'a' + number));
        let reference = pair.issue(&tag).await.unwrap();
        notices.push(reference);
    }
    pair.caught_up().await;
    notices
}

/// Ordinary writes of Indonesia are refused by their code. How much is free is asked once a second.
async fn stops(pair: &mut Pair) {
    let code = pair.issue_until_refused("short").await;
    assert_eq!(code, "DISK_RESERVE");
    assert_eq!(refused(pair.id.import("register", &records(0)).await), "DISK_RESERVE");
}

/// One notice is withdrawn, one suspended; Malaysia hears of both, purges, and says so.
async fn protects(pair: &mut Pair, notices: &mut Vec<String>) {
    let (withdrawn, suspended) = (notices.pop().unwrap(), notices.pop().unwrap());
    pair.id.withdraw(&withdrawn).await.unwrap();
    pair.ledger.notices.insert(withdrawn.clone(), Fate::Withdrawn);
    pair.id.suspend(&suspended).await.unwrap();
    pair.ledger.notices.insert(suspended.clone(), Fate::Suspended);
    until("Malaysia has purged what was withdrawn", || async {
        pair.id.receipts(&withdrawn, "MY").await == ["issue purged", "withdraw accepted"]
    })
    .await;
    until("Malaysia knows what is suspended", || async { pair.my.state_of(&suspended).await == "suspended" }).await;
    assert_eq!(pair.id.state_of(&withdrawn).await, "withdrawn");
    assert_ne!(pair.my.state_of(&withdrawn).await, "valid");
}

/// Both still answer questions and show what they have; what they did is written down.
async fn answers(pair: &Pair, notices: &[String]) {
    for officers in [&pair.id, &pair.my] {
        // The own node finds what it issued or holds; the other answers from what it owns.
        let answers = officers.ask_for("XROOMA").await.unwrap();
        let outcomes: Vec<_> = answers.iter().map(|answer| (answer.member.as_str(), answer.outcome.as_str())).collect();
        assert_eq!(answers.len(), 2, "{outcomes:?}");
        assert!(answers.iter().all(|answer| matches!(answer.outcome.as_str(), "hit" | "no-hit")), "{outcomes:?}");
        assert_eq!(answers[0].outcome, "hit", "{outcomes:?}");
        assert_eq!(officers.state_of(&notices[0]).await, "valid");
        assert_eq!(officers.unsound().await, [""; 0]);
    }
}

/// With room again, and without a restart, notices come through.
async fn goes_on(pair: &mut Pair) {
    pair.issue_until_taken("again", "DISK_RESERVE").await;
    pair.caught_up().await;
    until("nobody says any more that the disk is short", || async {
        let alarms = [pair.id.status().await.alarms, pair.my.status().await.alarms].concat();
        !alarms.iter().any(|alarm| alarm.contains("DISK_RESERVE"))
    })
    .await;
    pair.holds(&Said::default(), "with room again").await;
}
