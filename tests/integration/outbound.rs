//! A member that nobody can dial: its card names no endpoint, and where it listens is told to nobody. It is a member
//! like every other all the same.

use eads_tests::content::{passport, red};
use eads_tests::house::{House, connected, peer, peers, sound};
use eads_tests::member::Member;
use eads_tests::ports;
use eads_tests::proxy::{Proxy, Shape};
use eads_tests::questions;
use eads_tests::wait::until;

/// Brunei, which only dials, and two others behind a line that can be cut.
async fn three(house: &House) -> (Member, Member, Member, Proxy) {
    let [(door_my, at_my), (door_th, at_th)] = [(); 2].map(|()| (ports::free(), ports::free()));
    let proxy = Proxy::between([(door_my, at_my), (door_th, at_th)], Shape::FREE);
    let mut bn = Member::create_at(house.path(), "BN", ports::free(), Some(Vec::new()));
    let mut my = Member::create_at(house.path(), "MY", at_my, Some(vec![door_my]));
    let mut th = Member::create_at(house.path(), "TH", at_th, Some(vec![door_th]));
    for member in [&mut bn, &mut my, &mut th] {
        member.start().await;
    }
    peer(&bn, &my).await;
    peer(&bn, &th).await;
    peer(&my, &th).await;
    for member in [&bn, &my, &th] {
        connected(member, 2).await;
    }
    (bn, my, th, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_member_that_only_dials_is_synced_and_asked_like_every_other() {
    let house = House::new();
    let (bn, my, th, proxy) = three(&house).await;

    let (own, other) = (bn.issue(&red("inland"), &[&my, &th]).await, my.issue(&red("coast"), &[&bn, &th]).await);
    for member in [&my, &th] {
        bn.receipted(&own, member, &["issue accepted"]).await;
    }
    my.receipted(&other, &bn, &["issue accepted"]).await;

    for (asker, tag, owner) in [(&my, "inland", "BN"), (&th, "inland", "BN"), (&bn, "coast", "MY")] {
        let outcomes = asker.outcomes(questions::passport(&passport(tag))).await;
        assert_eq!(outcomes[owner], "hit", "{tag} at {}: {outcomes:?}", asker.id);
    }

    // The connection breaks; what happens meanwhile arrives once it can be opened again.
    proxy.cut();
    until("the cut is noticed", || async { peers(&bn).await.iter().all(|peer| !peer.connected) }).await;
    bn.withdraw(&own).await;
    my.withdraw(&other).await;
    let outcomes = my.outcomes(questions::passport(&passport("inland"))).await;
    assert_eq!(outcomes["BN"], "unreachable", "a missing answer is no answer");
    proxy.heal();
    for member in [&my, &th] {
        member.sees(&own, "NOTICE_WITHDRAWN").await;
    }
    bn.sees(&other, "NOTICE_WITHDRAWN").await;
    for member in [&bn, &my, &th] {
        connected(member, 2).await;
        sound(member).await;
    }
    let outcomes = my.outcomes(questions::passport(&passport("inland"))).await;
    assert_eq!(outcomes["BN"], "no-hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_removed_member_that_only_dials_loses_its_connection_and_still_hands_over_withdrawals() {
    use eads_proto::v1;
    let house = House::new();
    let (bn, my, _th, _proxy) = three(&house).await;
    let (own, other) = (bn.issue(&red("leaving"), &[&my]).await, my.issue(&red("left"), &[&bn]).await);
    my.sees(&own, "valid").await;
    bn.sees(&other, "valid").await;

    let request = v1::RemovePeerRequest { member: "MY".to_owned(), reason: "the agreement has ended".to_owned() };
    bn.operator("admin-1").peering().remove_peer(request).await.expect("a removal");
    let late = bn.issue(&red("afterwards"), &[]).await;
    bn.withdraw(&own).await;
    my.sees(&own, "NOTICE_WITHDRAWN").await;
    assert_eq!(my.state_of(&late).await, "NOTICE_UNKNOWN");
    let outcomes = my.outcomes(questions::passport(&passport("left"))).await;
    assert_eq!(outcomes["BN"], "refused");
}
