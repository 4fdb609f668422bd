//! What a node costs that follows ten peers and has nothing to do.

use std::os::unix::fs::symlink;
use std::time::Duration;

use eads_cli::demo::federation::{Federation, Participant, Programs, Terms};
use eads_domain::id::MemberId;
use tokio::time::sleep;

use crate::table::{Figure, mib};
use crate::{Size, machine};

const MEMBERS: [&str; 11] = ["ID", "MY", "TH", "SG", "PH", "VN", "LA", "KH", "MM", "BN", "TL"];
/// After the last acceptance, until nothing of it is going on.
const SETTLE: Duration = Duration::from_secs(5);

/// The running program under the names of the two that it contains.
pub(crate) fn programs(dir: &std::path::Path) -> Programs {
    let this = std::env::current_exe().expect("the running program");
    let [cli, node] = ["eads", "eads-node"].map(|name| {
        let link = dir.join(name);
        symlink(&this, &link).expect("a link");
        link
    });
    Programs::new(cli, node)
}

pub(crate) async fn measure(size: &Size) -> Vec<Figure> {
    let house = tempfile::tempdir().expect("a directory");
    let participants: Vec<Participant> = MEMBERS
        .iter()
        .take(size.idle_peers + 1)
        .map(|id| Participant { member: id.parse::<MemberId>().expect("a member"), name: (*id).to_owned() })
        .collect();
    let programs = programs(house.path());
    let mut federation =
        Federation::create(&programs, &house.path().join("federation"), &participants).await.expect("a federation");
    federation.start().await.expect("nodes that run");
    federation.peer_all(|_, _| Terms::default()).await.expect("a ceremony");
    federation.connected().await.expect("everybody follows everybody");
    sleep(SETTLE).await;
    let pids: Vec<u32> =
        federation.nodes().iter().map(|node| machine::process_of(node.dir()).expect("a process")).collect();
    let before: Vec<f64> = pids.iter().map(|pid| machine::processor_seconds(*pid)).collect();
    sleep(Duration::from_secs(size.idle_seconds)).await;
    let seconds = size.idle_seconds as f64;
    let used =
        pids.iter().zip(&before).map(|(pid, before)| (machine::processor_seconds(*pid) - before) / seconds * 100.0);
    let used: Vec<f64> = used.collect();
    let resident: Vec<u64> = pids.iter().map(|pid| machine::resident(*pid)).collect();
    let most = resident.iter().copied().max().unwrap_or_default();
    let busiest = used.iter().copied().fold(0.0, f64::max);
    federation.stop().await.expect("an end");
    vec![Figure {
        name: format!("idle with {} peers", size.idle_peers),
        ours: format!("{}, {busiest:.2} % of a core", mib(most)),
        raw: "–".to_owned(),
        ratio: None,
        target: "≤ 60 MiB, ≤ 1 %".to_owned(),
        met: Some(most <= 60 * 1024 * 1024 && busiest <= 1.0),
        notes: vec![format!(
            "{} processes that all follow each other; the largest and the busiest of them over {} s, on average {:.2} %.",
            pids.len(),
            size.idle_seconds,
            used.iter().sum::<f64>() / used.len().max(1) as f64,
        )],
        plot: None,
    }]
}
