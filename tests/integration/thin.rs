//! Thin links: what protects people applies within seconds of a reconnection, before a backlog and while one streams,
//! and nothing is given up that still moves.

use std::time::Duration;

use eads_service::limits::Limits;
use eads_tests::content::red;
use eads_tests::house::{House, connected, peer, peer_status, sound, status};
use eads_tests::member::Member;
use eads_tests::ports;
use eads_tests::proxy::{Proxy, Shape};
use eads_tests::wait::{PATIENCE, PAUSE};
use tokio::time::{Instant, sleep};

/// Within this of a reconnection, or of its issue while the line is busy, a withdrawal applies.
const PROMISE: Duration = Duration::from_secs(30);
/// Six hours, by which clocks are moved while a line is cut.
const SIX_HOURS: i64 = 6 * 3600;
/// How many notices wait while the line is cut; `EADS_THIN_BACKLOG` says another number.
const BACKLOG: usize = 120;
/// The longest backlog that is waited for on a thin line: more would take the better part of an hour.
const LONGEST_THIN: usize = 1000;

/// Indonesia and Malaysia over a line, with a node's own bounds for waiting.
async fn two_over(house: &House, shape: Shape) -> (Member, Member, Proxy) {
    let [(door_id, at_id), (door_my, at_my)] = [(); 2].map(|()| (ports::free(), ports::free()));
    let proxy = Proxy::between([(door_id, at_id), (door_my, at_my)], shape);
    let mut id = Member::create_at(house.path(), "ID", at_id, Some(vec![door_id]));
    let mut my = Member::create_at(house.path(), "MY", at_my, Some(vec![door_my]));
    for member in [&mut id, &mut my] {
        let Limits { stall, heartbeat, .. } = Limits::default();
        // Pauses a hundred times shorter than a node's own would hide what a reconnection costs.
        member.limits =
            Limits { stall, heartbeat, backoff: (PAUSE * 5, Duration::from_secs(5)), ..member.limits.clone() };
        member.start().await;
    }
    peer(&id, &my).await;
    for member in [&id, &my] {
        connected(member, 1).await;
    }
    (id, my, proxy)
}

fn backlog() -> usize {
    std::env::var("EADS_THIN_BACKLOG").ok().and_then(|number| number.parse().ok()).unwrap_or(BACKLOG)
}

/// Issues `count` notices to `my`, several at a time.
async fn issue_many(id: &Member, my: &Member, tag: &str, count: usize) {
    use futures::StreamExt as _;
    let drafts = (0..count).map(|number| red(&format!("{tag}{number}")));
    let issued = futures::stream::iter(drafts).map(|draft| async move { id.issue(&draft, &[my]).await });
    assert_eq!(issued.buffer_unordered(8).count().await, count);
}

/// How many deliveries of `origin` have arrived at `member`, in order.
async fn arrived(member: &Member, origin: &Member) -> usize {
    usize::try_from(peer_status(member, origin).await.delivery_cursor).expect("a number")
}

/// Waits until `member` sees the state, and says how long it took since `since`.
async fn sees_within(member: &Member, reference: &str, states: &[&str], since: Instant, limit: Duration) -> Duration {
    loop {
        let state = member.state_of(reference).await;
        if states.contains(&state.as_str()) {
            return since.elapsed();
        }
        assert!(since.elapsed() < limit, "{reference} is still {state} at {} after {limit:?}", member.id);
        sleep(PAUSE).await;
    }
}

/// Waits with no other patience than that the number grows.
async fn has_all(member: &Member, origin: &Member, count: usize) {
    let (mut last, mut grew) = (0, Instant::now());
    loop {
        let now = arrived(member, origin).await;
        if now >= count {
            return;
        }
        if now > last {
            (last, grew) = (now, Instant::now());
        }
        assert!(grew.elapsed() < PATIENCE * 2, "{now} of {count} arrived at {}, and no more come", member.id);
        sleep(PAUSE).await;
    }
}

const ENDED: [&str; 1] = ["NOTICE_WITHDRAWN"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_withdrawal_goes_before_the_backlog_and_overtakes_it_on_a_line_of_64_kbit() {
    let house = House::new();
    let (id, my, proxy) = two_over(&house, Shape::FREE).await;
    let (withdrawn, suspended, later) = (
        id.issue(&red("alpha"), &[&my]).await,
        id.issue(&red("beta"), &[&my]).await,
        id.issue(&red("gamma"), &[&my]).await,
    );
    for reference in [&withdrawn, &suspended, &later] {
        my.sees(reference, "valid").await;
    }

    proxy.cut();
    let count = backlog();
    issue_many(&id, &my, "wave", count).await;
    id.withdraw(&withdrawn).await;
    id.suspend(&suspended).await;
    for member in [&id, &my] {
        member.clock.advance(SIX_HOURS);
    }

    proxy.shape(Shape::THIN);
    let before = proxy.bytes();
    proxy.heal();
    let healed = Instant::now();
    let gone = sees_within(&my, &withdrawn, &ENDED, healed, PROMISE).await;
    let stopped = sees_within(&my, &suspended, &["suspended"], healed, PROMISE).await;
    let by_then = arrived(&my, &id).await;
    assert!(by_then < 3 + count / 2, "{by_then} of the backlog came first");

    // The backlog fills the line by now: every buffer on the way is as full as it gets.
    has_all(&my, &id, 3 + 15).await;
    id.withdraw(&later).await;
    let issued = Instant::now();
    let overtook = sees_within(&my, &later, &ENDED, issued, PROMISE).await;
    let came = arrived(&my, &id).await - 3;
    assert!(came < count, "the backlog was over: nothing was overtaken");

    if count > LONGEST_THIN {
        proxy.shape(Shape::FREE);
    }
    // Three notices before the cut, the backlog, two withdrawals and a suspension.
    has_all(&my, &id, 3 + count + 3).await;
    assert_eq!(status(&my).await.held_notices, count as u64 + 1);
    let per_notice = (proxy.bytes()[1] - before[1]) / count as u64;
    eprintln!(
        "thin line: withdrawal {gone:.1?} and suspension {stopped:.1?} after healing; withdrawal beside a backlog \
         {overtook:.1?}, {} of {count} still to come; {per_notice} bytes a notice on the wire, all included",
        count - came
    );
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lossy_line_that_breaks_again_and_again_delivers_everything_once() {
    let house = House::new();
    let (id, my, proxy) = two_over(&house, Shape::FREE).await;
    proxy.shape(Shape { bits_per_second: Some(512_000), delay: Duration::from_millis(50), lost_one_in: 60 });
    let count = 40;
    issue_many(&id, &my, "drip", count).await;
    for share in [8, 4, 2] {
        has_all(&my, &id, count / share).await;
        proxy.reset();
    }
    has_all(&my, &id, count).await;
    assert_eq!(status(&my).await.held_notices, count as u64);
    let one = id.issue(&red("last"), &[&my]).await;
    id.receipted(&one, &my, &["issue accepted"]).await;
    sound(&my).await;
}
