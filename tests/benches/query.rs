//! How soon and how many questions for an identifier a node answers to a peer, both sides of the audit durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eads_proto::v1;
use eads_proto::v1::peer_service_client::PeerServiceClient;
use eads_service::limits::Limits;
use eads_tests::content::Terms;
use eads_tests::hostile::noise;
use eads_tests::house::{self, House};
use eads_tests::member::Member;
use eads_tests::questions;
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

use crate::desk::Desk;
use crate::plot::Plot;
use crate::raw::{GroupLog, Synced};
use crate::table::{Figure, Samples, ms, rate};
use crate::{Size, people, wire};

/// Notices of the owner among which is what is asked for.
const NOTICES: usize = 100;
const IN_FLIGHT: usize = 64;
/// About what one entry of the audit log has, in bytes.
const ENTRY_BYTES: usize = 448;
/// What an agreement can allow at most.
const AN_HOUR: u32 = 1_000_000;

type Client = PeerServiceClient<Channel>;

pub(crate) async fn measure(size: &Size, one: bool, many: bool) -> Vec<Figure> {
    let house = House::new();
    let mut members = ["ID", "MY"].map(|id| Member::create(house.path(), id));
    for member in &mut members {
        member.limits = Limits::default();
        member.start().await;
    }
    let [mut id, mut my] = members;
    let terms = Terms { queries_per_hour: AN_HOUR, ..Terms::default() };
    house::accept(&id, &my, &terms).await;
    house::accept(&my, &id, &terms).await;
    Desk::of(&id).issue_all(NOTICES, my.id).await;
    my.stop().await;

    let mut client = wire::dial(&my, &id).await;
    let answer = client.query(question(0)).await.expect("an answer").into_inner();
    assert_eq!(answer.hits.len(), 1, "what is asked for is found");
    let mut figures = Vec::new();
    let alone = if one { ask_alone(&mut client, size.questions).await } else { Samples::new(Vec::new()) };
    let flood = if many { ask_many(&client, size).await } else { 0.0 };
    // The owner's questions of a later hour.
    id.clock.advance(3600);

    // The same bytes both ways, from somebody who looks nothing up and writes nothing down.
    id.stop().await;
    let echo = wire::Echo { answer: answer.clone(), ..wire::Echo::default() };
    let served = wire::serve(&id, &my, echo).await;
    let mut client = wire::dial(&my, &id).await;
    let mut file = Synced::new(house.path());
    if one {
        let echo = ask_alone(&mut client, size.questions).await;
        let entry = vec![b'x'; ENTRY_BYTES];
        let commits: Vec<f64> = (0..size.questions).map(|_| file.append(&entry)).collect();
        let commit = Samples::new(commits);
        figures.push(figure_alone(size, &answer, &alone, &echo, &commit));
    }
    if many {
        let plain = ask_many(&client, size).await;
        drop((client, served));
        until_free(&id).await;
        let log = GroupLog::start(house.path());
        let echo = wire::Echo { answer, log: Some((log, vec![b'x'; 2 * ENTRY_BYTES])), ..wire::Echo::default() };
        let _served = wire::serve(&id, &my, echo).await;
        let raw = ask_many(&wire::dial(&my, &id).await, size).await;
        figures.push(Figure {
            name: format!("identifier queries, {IN_FLIGHT} in flight"),
            ours: rate(flood, "answers"),
            raw: rate(raw, "answers"),
            ratio: Some(flood / raw),
            target: "≥ 0.60".to_owned(),
            met: Some(flood / raw >= 0.6),
            notes: vec![format!(
                "{} s of hits, intent and outcome durable before each answer leaves. The raw limit is an echo of the same \
                 bytes with one synced append a group before it; without the append it is {}.",
                size.flood_seconds,
                rate(plain, "answers"),
            )],
            plot: None,
        });
    }
    figures
}

fn figure_alone(size: &Size, answer: &v1::QueryResponse, alone: &Samples, echo: &Samples, commit: &Samples) -> Figure {
    let raw = echo.p50() + 2.0 * commit.p50();
    Figure {
        name: "identifier query, p50".to_owned(),
        ours: ms(alone.p50()),
        raw: ms(raw),
        ratio: Some(alone.p50() / raw),
        target: "≤ raw + 0.30 ms".to_owned(),
        met: Some(alone.p50() <= raw + 0.3),
        notes: vec![format!(
            "{} hits on one of {NOTICES} notices, answered with {} B; p99 {}. The raw limit is an echo of the same bytes \
             over mutual TLS (p50 {}) and two synced appends of {ENTRY_BYTES} B (p50 {}).",
            size.questions,
            answer.encoded_len(),
            ms(alone.p99()),
            ms(echo.p50()),
            ms(commit.p50()),
        )],
        plot: Some((
            "query".to_owned(),
            Plot::distribution(
                "An identifier asked of a peer",
                &[("node", alone.as_slice()), ("echo alone", echo.as_slice())],
            ),
        )),
    }
}

fn question(number: usize) -> v1::QueryRequest {
    let query = questions::passport(&people::passport(number % NOTICES));
    v1::QueryRequest { protocol: 1, request_id: noise::<16>().to_vec(), query: Some(query) }
}

/// Milliseconds of each question, one after the other.
async fn ask_alone(client: &mut Client, count: usize) -> Samples {
    let mut samples = Vec::with_capacity(count);
    for number in 0..count {
        let question = question(number);
        let start = Instant::now();
        client.query(question).await.expect("an answer");
        samples.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    Samples::new(samples)
}

/// Answers a second while so many are always under way.
async fn ask_many(client: &Client, size: &Size) -> f64 {
    let over = Arc::new(AtomicBool::new(false));
    let mut asking = JoinSet::new();
    let start = Instant::now();
    for first in 0..IN_FLIGHT {
        let (mut client, over) = (client.clone(), over.clone());
        asking.spawn(async move {
            let mut answered = 0_u64;
            while !over.load(Ordering::Relaxed) {
                client.query(question(first)).await.expect("an answer");
                answered += 1;
            }
            answered
        });
    }
    sleep(Duration::from_secs(size.flood_seconds)).await;
    over.store(true, Ordering::Relaxed);
    let answered: u64 = asking.join_all().await.into_iter().sum();
    answered as f64 / start.elapsed().as_secs_f64()
}

/// Waits until nobody listens at a member's address any more.
async fn until_free(member: &Member) {
    eads_tests::wait::until("the address is free", || async { std::net::TcpListener::bind(member.peers).is_ok() })
        .await;
}
