//! How fast a peer takes what an origin has issued, and how soon it has a single notice.

use std::time::Duration;

use eads_domain::encode::pae;
use eads_proto::v1;
use eads_service::limits::Limits;
use eads_tests::house::{self, House};
use eads_tests::member::Member;
use ed25519_dalek::Signature;
use prost::Message as _;
use tokio::time::{Instant, sleep};

use crate::desk::Desk;
use crate::plot::Plot;
use crate::raw::{Signed, Synced, verify_and_append};
use crate::table::{Figure, Samples, ms, rate};
use crate::{Size, wire};

/// Nothing moved for so long: it never will.
const STALLED: Duration = Duration::from_secs(120);

pub(crate) async fn measure(size: &Size, replication: bool, propagation: bool) -> Vec<Figure> {
    let house = House::new();
    let [mut id, mut my] = pair(&house).await;
    let mut figures = Vec::new();
    if replication {
        figures.push(replicate(size, &house, &mut id, &mut my).await);
    }
    if propagation {
        figures.push(propagate(size, &house, &id, &mut my).await);
    }
    id.stop().await;
    my.stop().await;
    figures
}

/// Two members under plain terms, with the bounds of a national node.
pub(crate) async fn pair(house: &House) -> [Member; 2] {
    let mut members = ["ID", "MY"].map(|id| Member::create(house.path(), id));
    for member in &mut members {
        member.limits = Limits::default();
        member.start().await;
    }
    house::peer(&members[0], &members[1]).await;
    for member in &members {
        house::connected(member, 1).await;
    }
    members
}

/// Everything that `to` is sent by `from`, as it stands on the wire.
async fn deliveries(from: &Member, to: &Member, count: usize) -> (Vec<v1::Delivery>, f64) {
    let mut client = wire::dial(to, from).await;
    let request = v1::SyncRequest {
        protocol: 1,
        register: from.identity().card.card().register.as_bytes().to_vec(),
        ..v1::SyncRequest::default()
    };
    let start = Instant::now();
    let mut stream = client.sync(request).await.expect("a stream").into_inner();
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        all.extend(stream.message().await.expect("a batch").expect("more").deliveries);
    }
    let took = start.elapsed().as_secs_f64();
    (all, took)
}

fn signed(delivery: &v1::Delivery) -> Signed {
    let statement = delivery.disclosure.as_ref().and_then(|shown| shown.statement.as_ref()).expect("a statement");
    Signed {
        message: pae(&[b"eads/v1/statement", &statement.payload]),
        signature: Signature::from_slice(&statement.signature).expect("a signature"),
        bytes: delivery.encode_to_vec(),
    }
}

async fn replicate(size: &Size, house: &House, id: &mut Member, my: &mut Member) -> Figure {
    let count = size.replicated;
    my.stop().await;
    let issuing = Instant::now();
    let last = Desk::of(id).issue_all(count, my.id).await;
    let issued = count as f64 / issuing.elapsed().as_secs_f64();
    let (wire, serving) = deliveries(id, my, count).await;
    let records: Vec<Signed> = wire.iter().map(signed).collect();
    let bytes = records.iter().map(|record| record.bytes.len()).sum::<usize>() / count;
    let key = id.identity().card.card().signing_key;
    let dir = house.path().to_owned();
    let raw = tokio::task::spawn_blocking(move || verify_and_append(&dir, &key, &records)).await.expect("no panic");

    my.start().await;
    let start = Instant::now();
    let (mut held, mut moved) = (Vec::new(), Instant::now());
    let mut before = 0;
    while before < count {
        let now = my.node().counts().1;
        if now > before {
            (before, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < STALLED, "replication stands still at {before} of {count}");
        held.push((start.elapsed().as_secs_f64(), now as f64));
        sleep(Duration::from_millis(20)).await;
    }
    let durable = start.elapsed().as_secs_f64();
    receipted(id, my, &last).await;
    let took = start.elapsed().as_secs_f64();
    let view = house::peer_status(id, my).await;
    assert_eq!(view.awaiting_receipt, 0, "every receipt is recorded");
    let ours = count as f64 / took;
    Figure {
        name: "replication, durable and acknowledged".to_owned(),
        ours: rate(ours, "notices"),
        raw: rate(raw, "notices"),
        ratio: Some(ours / raw),
        target: "≥ 0.40 and ≥ 8 k/s".to_owned(),
        met: Some(ours / raw >= 0.4 && ours >= 8000.0),
        notes: vec![format!(
            "{count} notices of {bytes} B on the wire, issued before the peer connects (at {issued:.0}/s by {} officers), \
             until the last receipt is recorded at the origin; both nodes in this process, over mutual TLS. Durable at \
             the peer after {durable:.2} s, receipted after {took:.2} s. The origin alone streams them to a reader that \
             does nothing at {:.0}/s. The raw limit is one thread that checks the same signatures strictly and appends the \
             same bytes with one sync for 64.",
            8,
            count as f64 / serving,
        )],
        plot: Some((
            "replication".to_owned(),
            Plot::series("Notices durable at the peer", "notices", vec![("held", held)]),
        )),
    }
}

/// Waits until the receipt of the last notice is recorded at its origin.
async fn receipted(id: &Member, my: &Member, reference: &str) {
    let deadline = Instant::now() + STALLED;
    while id.receipts(reference, my).await != ["issue accepted"] {
        assert!(Instant::now() < deadline, "the last receipt did not come");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn propagate(size: &Size, house: &House, id: &Member, my: &mut Member) -> Figure {
    let count = size.propagated;
    let desk = Desk::of(id);
    let mut drafts = Vec::with_capacity(count);
    for number in 0..count {
        drafts.push(desk.approved(1_000_000 + number, my.id).await);
    }
    let mut ours = Vec::with_capacity(count);
    for draft in drafts {
        let node = my.node().clone();
        let before = node.counts().1;
        let watching = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + STALLED;
            while node.counts().1 == before {
                assert!(Instant::now() < deadline, "a notice did not arrive");
                std::thread::sleep(Duration::from_micros(20));
            }
            Instant::now()
        });
        // The watcher is running before the clock is.
        sleep(Duration::from_millis(5)).await;
        let start = Instant::now();
        let reference = desk.issue(draft).await;
        let arrived = watching.await.expect("no panic");
        ours.push(arrived.duration_since(start).as_secs_f64() * 1000.0);
        receipted(id, my, &reference).await;
    }
    let ours = Samples::new(ours);

    let (wire, _) = deliveries(id, my, 1).await;
    let bytes = wire.first().expect("a delivery").encode_to_vec();
    my.stop().await;
    let answer = v1::QueryResponse { checkpoint: bytes.clone(), ..v1::QueryResponse::default() };
    let _echo = wire::serve(my, id, wire::Echo { answer, ..wire::Echo::default() }).await;
    let mut client = wire::dial(id, my).await;
    let mut file = Synced::new(house.path());
    let mut raw = Vec::with_capacity(count);
    for _ in 0..count {
        let two = tokio::task::block_in_place(|| file.append(&bytes) + file.append(&bytes));
        let start = Instant::now();
        client.query(v1::QueryRequest::default()).await.expect("an echo");
        raw.push(two + start.elapsed().as_secs_f64() * 1000.0);
    }
    let raw = Samples::new(raw);
    let (middle, end) = (ours.p50() / raw.p50(), ours.p99() / raw.p99());
    Figure {
        name: "propagation, p50 (p99)".to_owned(),
        ours: format!("{} ({})", ms(ours.p50()), ms(ours.p99())),
        raw: format!("{} ({})", ms(raw.p50()), ms(raw.p99())),
        ratio: Some(middle),
        target: "p50 ≤ 2×, p99 ≤ 3×".to_owned(),
        met: Some(middle <= 2.0 && end <= 3.0),
        notes: vec![format!(
            "{count} single issues of approved drafts, from the call of the use case (its audit entry is synced inside) \
             until the peer holds it durably and finds it; p99 is {end:.1}× its raw one. The raw limit is two synced \
             appends of the same bytes and one echo of them over mutual TLS."
        )],
        plot: Some((
            "propagation".to_owned(),
            Plot::distribution(
                "From the origin's call to durable at the peer",
                &[("node", ours.as_slice()), ("raw", raw.as_slice())],
            ),
        )),
    }
}
