//! What it costs to hold a million notices of others: memory, start, disk, and the purge of one among them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use eads_proto::v1;
use eads_service::limits::Limits;
use eads_tests::content::Terms;
use eads_tests::house::{self, House};
use eads_tests::member::{Member, PASSPHRASE};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::fill::Origin;
use crate::plot::Plot;
use crate::table::{Figure, mib, ms};
use crate::{Size, machine, wire};

/// Nothing moved for so long: it never will.
const STALLED: Duration = Duration::from_secs(120);
/// A node writes nothing more by itself once it was still for so long.
const STILL: Duration = Duration::from_secs(3);

pub(crate) async fn measure(size: &Size, held: bool, purge: bool) -> Vec<Figure> {
    let house = House::new();
    let mut my = Member::create(house.path(), "MY");
    my.limits = Limits::default();
    my.start().await;
    let home = Member::create(house.path(), "ID");
    let (receipts, purged) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let echo = wire::Echo { receipts: receipts.clone(), purged: purged.clone(), ..wire::Echo::default() };
    let _origin = wire::serve(&home, &my, echo).await;
    let identity = home.identity();
    let code = identity.card.verification_code().to_string();
    let terms = Terms::default().with(home.id);
    house::accept_card(&my, "ID", identity.card.bytes().to_vec(), code, &terms).await;

    let mut origin = Origin::new(&home, &my);
    let node = my.node().clone();
    let filled = origin.fill(&node, size.held).await;
    assert_eq!(node.counts().1, size.held, "every notice is held");
    let mut moved = (receipts.load(Ordering::SeqCst), Instant::now());
    while moved.0 < size.held as u64 {
        assert!(moved.1.elapsed() < STALLED, "receipts stand still at {} of {}", moved.0, size.held);
        sleep(Duration::from_millis(50)).await;
        let now = receipts.load(Ordering::SeqCst);
        if now > moved.0 {
            moved = (now, Instant::now());
        }
    }
    let mut figures = Vec::new();
    if purge {
        figures.push(purge_one(size, &node, &mut origin, &purged).await);
    }
    drop(node);
    my.stop().await;
    if held {
        figures.push(restart(size, house.path(), &my, filled, usize::from(purge)).await);
    }
    figures
}

async fn purge_one(size: &Size, node: &eads_service::Node, origin: &mut Origin, purged: &AtomicU64) -> Figure {
    until_still().await;
    let batch = origin.withdrawal();
    let written = machine::written();
    let start = Instant::now();
    node.apply("ID".parse().expect("a member"), batch).await.expect("an honest withdrawal");
    while purged.load(Ordering::SeqCst) == 0 {
        assert!(start.elapsed() < STALLED, "the purge is not receipted");
        sleep(Duration::from_millis(1)).await;
    }
    let took = start.elapsed().as_secs_f64();
    // Whatever a thread of the view still writes because of it is part of it.
    until_still().await;
    let bytes = machine::written() - written;
    Figure {
        name: format!("purge of one notice among {}", size.held),
        ours: format!("{}, {}", ms(took * 1000.0), mib(bytes)),
        raw: "–".to_owned(),
        ratio: None,
        target: "< 1 s, < 1 MiB".to_owned(),
        met: Some(took < 1.0 && bytes < 1024 * 1024),
        notes: vec![
            "from the arrival of the withdrawal until its purge receipt is taken by the origin; of this the node gathers \
             purges for 100 ms on purpose. Bytes are those that the system counts as written for the whole process until \
             it is still again, in whole pages."
                .to_owned(),
        ],
        plot: None,
    }
}

/// Waits until this process writes nothing any more.
async fn until_still() {
    let mut last = (machine::written(), Instant::now());
    let start = Instant::now();
    while last.1.elapsed() < STILL && start.elapsed() < STALLED {
        sleep(Duration::from_millis(100)).await;
        let now = machine::written();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
}

async fn restart(size: &Size, home: &Path, my: &Member, filled: Vec<(f64, f64)>, purged: usize) -> Figure {
    crate::idle::programs(home);
    let secret = home.join("passphrase");
    std::fs::write(&secret, PASSPHRASE).expect("a file");
    let disk = |part: &str| machine::on_disk(&my.dir().join(part)) / size.held as u64;
    let parts = ["journal", "view", "keys", "audit"].map(|part| format!("{part} {}", disk(part)));
    let total = machine::on_disk(my.dir()) / size.held as u64;

    let start = Instant::now();
    let mut child = Command::new(home.join("eads-node"))
        .arg("run")
        .arg("--dir")
        .arg(my.dir())
        .arg("--passphrase-file")
        .arg(&secret)
        .arg("--until-stdin-closes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = lines.next_line().await.expect("a line").expect("a node that starts");
    assert!(line.starts_with("eads-node ready"), "it said {line:?}");
    let started = start.elapsed().as_secs_f64();
    let status =
        my.operator("admin-1").node().get_status(v1::GetStatusRequest {}).await.expect("a status").into_inner();
    assert_eq!(status.held_notices, (size.held - purged) as u64, "every notice is held after the start");
    sleep(Duration::from_secs(3)).await;
    let resident = machine::resident(child.id().expect("it runs"));
    drop(child.stdin.take());
    let _ = child.wait().await;
    let fill = filled.last().copied().unwrap_or_default();
    Figure {
        name: format!("{} held notices", size.held),
        ours: format!("{}, start {started:.1} s", mib(resident)),
        raw: "–".to_owned(),
        ratio: None,
        target: "≤ 600 MiB, ≤ 5 s".to_owned(),
        met: Some(resident <= 600 * 1024 * 1024 && started <= 5.0),
        notes: vec![
            format!(
                "{total} B on disk a notice ({}). A process of its own, from its start until it serves (key derivation at \
                 the cost of tests); memory three seconds later.",
                parts.join(", ")
            ),
            format!(
                "filled through the sync stream's own path from statements that were made on the same processors at the \
                 same time: {:.0} notices/s.",
                fill.1 / fill.0.max(f64::MIN_POSITIVE)
            ),
        ],
        plot: Some(("held".to_owned(), Plot::series("Filling a node", "notices", vec![("held", filled)]))),
    }
}
