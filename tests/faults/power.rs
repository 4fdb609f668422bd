//! Power cuts at random moments: the file system of one member loses whatever had not reached its device.

use crate::pair::Pair;

const ROUNDS: u64 = 16;
/// The power goes so long after the first acknowledgement, in milliseconds, at the latest.
const LATEST: u64 = 400;
/// Room for more than the reserve; the file is sparse.
const MIB: u64 = 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a file system and cuts its power"]
async fn what_an_owner_acknowledged_survives_power_cuts() {
    cut("ID", 0xc07).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root: mounts a file system and cuts its power"]
async fn what_a_holder_receipted_survives_power_cuts() {
    cut("MY", 0xc08).await;
}

async fn cut(id: &str, seed: u64) {
    let mut pair = Pair::on_disk(seed, id, MIB).await;
    for round in 0..ROUNDS {
        let place = pair.place(round);
        pair.caught_up().await;
        let load = pair.work(round).await;
        let cutter = pair.disk().cutter();
        let compacting = (round % 5 == 2).then(|| pair.compacting(id));
        pair.moment(LATEST).await;
        cutter.cut();
        pair.kill(id).await;
        drop(compacting);
        let (issued, _) = load.end(&mut pair.ledger).await;
        let before = match id {
            "MY" => Some(pair.said(&issued).await),
            _ => None,
        };
        pair.disk().unmount();
        pair.disk().mount();
        pair.start(id).await;
        let said = match before {
            Some(said) => said,
            None => pair.said(&issued).await,
        };
        pair.holds(&said, &place).await;
    }
    pair.settled().await;
    pair.erased().await;
}
