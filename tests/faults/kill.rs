//! SIGKILL at random moments of everything at once: issue, sync, purge, import, questions, compaction.
//!
//! It keeps the page cache, so that it shows what the order of steps is worth, and not whether they reach the disk:
//! that is what a power cut shows.

use crate::pair::Pair;

const ROUNDS: u64 = 26;
/// A node is killed so long after the first acknowledgement, in milliseconds, at the latest.
const LATEST: u64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_acknowledged_survives_its_death() {
    let mut pair = Pair::new(0x1551).await;
    for round in 0..ROUNDS {
        let place = pair.place(round);
        pair.caught_up().await;
        let load = pair.work(round).await;
        assert!(round > 0 || pair.compacting("ID").succeeds(), "it is compacted under load");
        let compacting = (round % 5 == 2).then(|| pair.compacting("ID"));
        pair.moment(LATEST).await;
        pair.kill("ID").await;
        drop(compacting);
        let (issued, _) = load.end(&mut pair.ledger).await;
        pair.start("ID").await;
        let said = pair.said(&issued).await;
        pair.holds(&said, &place).await;
    }
    pair.settled().await;
    pair.erased().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_holder_receipted_survives_its_death() {
    let mut pair = Pair::new(0x5157).await;
    for round in 0..ROUNDS {
        let place = pair.place(round);
        pair.caught_up().await;
        let load = pair.work(round).await;
        assert!(round > 0 || pair.compacting("MY").succeeds(), "it is compacted under load");
        let compacting = (round % 5 == 2).then(|| pair.compacting("MY"));
        pair.moment(LATEST).await;
        pair.kill("MY").await;
        drop(compacting);
        // In every other round it is killed once more while it catches up with what it missed.
        if round % 2 == 1 {
            pair.start("MY").await;
            pair.moment(LATEST).await;
            pair.kill("MY").await;
        }
        let (issued, _) = load.end(&mut pair.ledger).await;
        // While it is dead: what it has receipted so far must be there as soon as it answers.
        let said = pair.said(&issued).await;
        pair.start("MY").await;
        pair.holds(&said, &place).await;
    }
    pair.settled().await;
    pair.erased().await;
}
