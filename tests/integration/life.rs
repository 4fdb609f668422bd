//! A notice from its issue to its end, as its owner and its holders see it.

use eads_tests::content::{Terms, content, passport, red, stolen_passport, text_of};
use eads_tests::house::{House, accept, alarmed, connected, peer_status, sound};

const DAY: i64 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issued_notice_is_held_by_its_addressees_and_by_nobody_else() {
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let reference = id.issue(&red("solo"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    assert_eq!(my.state_of(&reference).await, "valid");
    assert!(id.receipts(&reference, &th).await.is_empty());
    // The third member knows that an entry exists, and nothing of it.
    eads_tests::wait::until("TH holds the leaf", || async { peer_status(&th, &id).await.register_cursor == 1 }).await;
    assert_eq!(th.state_of(&reference).await, "NOTICE_UNKNOWN");
    assert!(th.listed("held").await.is_empty());
    for member in [&id, &my, &th] {
        sound(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_notice_outlives_a_restart_of_its_holder_and_of_its_owner() {
    let house = House::new();
    let [mut id, mut my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("durable"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    my.restart().await;
    id.restart().await;
    assert_eq!(id.receipts(&reference, &my).await, ["issue accepted"]);
    assert_eq!(my.state_of(&reference).await, "valid");
    sound(&my).await;
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withheld_field_never_reaches_the_peer() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms { withhold: vec!["phones", "aliases"], ..Terms::default() }).await;
    accept(&my, &id, &Terms::default()).await;
    let reference = id.issue(&red("hidden"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let held = my.notice(&reference).await.unwrap();
    let sample = content(&red("hidden"));
    assert_eq!(text_of(&held.values, &sample, "family-name").as_deref(), Some("hiddenfamily"));
    let table = eads_domain::slot::SlotTable::get();
    for name in ["phones", "aliases"] {
        let slot = u32::from(table.by_name(sample.subject(), name).unwrap().number.get());
        assert!(held.values.iter().all(|value| value.slot != slot), "{name} is shown");
        assert!(held.withheld.contains(&slot), "{name} is not named as withheld");
    }
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_supersedes_and_the_old_version_is_purged_with_a_receipt() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("before"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let amended = id.amend(&reference, &red("afterw"), &[&my]).await;
    assert_eq!(amended.version, 2);
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;
    let held = my.notice(&reference).await.unwrap();
    assert_eq!(held.notice.unwrap().version, 2);
    assert_eq!(text_of(&held.values, &content(&red("afterw")), "family-name").as_deref(), Some("afterwfamily"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_without_a_member_retracts_from_it_everything_it_held() {
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let reference = id.issue(&red("narrow"), &[&my, &th]).await;
    id.receipted(&reference, &th, &["issue accepted"]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    id.amend(&reference, &red("narrower"), &[&my]).await;
    id.receipted(&reference, &th, &["issue purged", "retract accepted"]).await;
    id.receipted(&reference, &my, &["issue purged", "amend accepted"]).await;
    assert!(th.listed("held").await.is_empty());
    assert_eq!(my.version_of(&reference).await, 2);
    assert_eq!(th.state_of(&reference).await, "NOTICE_WITHDRAWN", "that it has ended for this member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retraction_reaches_a_member_that_was_away_since_before_the_issue() {
    let house = House::new();
    let [id, my, mut th] = house.federation(["ID", "MY", "TH"]).await;
    th.stop().await;
    let reference = id.issue(&red("missed"), &[&my, &th]).await;
    id.amend(&reference, &red("missedtoo"), &[&my]).await;
    th.start().await;
    eads_tests::wait::until("TH is through", || async { peer_status(&th, &id).await.delivery_cursor == 2 }).await;
    assert!(th.listed("held").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_notice_is_not_in_force_until_it_is_resumed() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let reference = id.issue(&red("pause"), &[&my]).await;
    my.sees(&reference, "valid").await;
    id.suspend(&reference).await;
    my.sees(&reference, "suspended").await;
    assert_eq!(id.state_of(&reference).await, "suspended");
    id.resume(&reference).await;
    my.sees(&reference, "valid").await;
    id.receipted(&reference, &my, &["issue delivered", "suspend accepted", "resume accepted"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_that_overtakes_its_issue_still_holds() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    my.stop().await;
    let reference = id.issue(&red("overtaken"), &[&my]).await;
    id.suspend(&reference).await;
    my.start().await;
    // The suspension goes first on the connection: the issue finds it there.
    my.sees(&reference, "suspended").await;
    id.receipted(&reference, &my, &["issue delivered", "suspend accepted"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumption_after_a_suspension_counts_although_the_suspension_goes_first() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    my.stop().await;
    let reference = id.issue(&red("resumed"), &[&my]).await;
    id.suspend(&reference).await;
    id.resume(&reference).await;
    my.start().await;
    my.sees(&reference, "valid").await;
    id.receipted(&reference, &my, &["issue delivered", "suspend accepted", "resume accepted"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_purges_every_holder_and_each_says_so() {
    let house = House::new();
    let [id, my, th] = house.federation(["ID", "MY", "TH"]).await;
    let reference = id.issue(&red("ended"), &[&my, &th]).await;
    for holder in [&my, &th] {
        id.receipted(&reference, holder, &["issue accepted"]).await;
    }
    id.withdraw(&reference).await;
    for holder in [&my, &th] {
        id.receipted(&reference, holder, &["issue purged", "withdraw accepted"]).await;
        assert!(holder.listed("held").await.is_empty());
        assert_ne!(holder.state_of(&reference).await, "valid");
    }
    assert_eq!(id.state_of(&reference).await, "withdrawn");
    for member in [&id, &my, &th] {
        sound(member).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_issued_and_withdrawn_while_a_peer_was_away_is_never_shown_there() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    my.stop().await;
    let reference = id.issue(&red("ghost"), &[&my]).await;
    id.withdraw(&reference).await;
    my.start().await;
    eads_tests::wait::until("MY is through", || async { peer_status(&my, &id).await.delivery_cursor == 2 }).await;
    assert!(my.listed("held").await.is_empty());
    assert_ne!(my.state_of(&reference).await, "valid");
    sound(&my).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_was_away_for_a_whole_life_owes_nothing_in_the_end() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    my.stop().await;
    let reference = id.issue(&red("owing"), &[&my]).await;
    id.withdraw(&reference).await;
    // The content is gone at its owner before the peer can ask for it.
    my.start().await;
    eads_tests::wait::until("MY answered the withdrawal", || async {
        id.receipts(&reference, &my).await.contains(&"withdraw accepted".to_owned())
    })
    .await;
    eads_tests::wait::until("nothing is awaited from MY", || async {
        peer_status(&id, &my).await.awaiting_receipt == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_end_of_validity_owner_and_holder_purge() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let end = id.now().plus_seconds(DAY).as_unix();
    let reference = id.issue_until(&red("expiring"), &[&my], end).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    id.clock.advance(DAY);
    my.clock.advance(DAY);
    assert_eq!(my.state_of(&reference).await, "valid", "the last second belongs to the validity");
    id.clock.advance(1);
    my.clock.advance(1);
    id.sees(&reference, "expired").await;
    id.receipted(&reference, &my, &["issue purged"]).await;
    assert!(my.listed("held").await.is_empty());
    sound(&my).await;
    sound(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_notice_is_not_taken_by_a_peer_that_was_away() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    my.stop().await;
    let end = id.now().plus_seconds(DAY).as_unix();
    let reference = id.issue_until(&red("stale"), &[&my], end).await;
    // The holder's clock alone has passed the end: the owner still serves it.
    my.clock.advance(DAY + 2);
    my.start().await;
    id.receipted(&reference, &my, &["issue rejected"]).await;
    assert!(my.listed("held").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_a_day_ahead_is_an_alarm_and_its_notices_are_not_yet_valid() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    id.clock.advance(DAY);
    let reference = id.issue(&red("early"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    assert_eq!(my.state_of(&reference).await, "not-yet-valid");
    alarmed(&my, "clock of ID").await;
    alarmed(&id, "clock of MY").await;
    my.clock.advance(DAY);
    my.sees(&reference, "valid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_a_day_behind_still_synchronises_and_is_an_alarm() {
    let house = House::new();
    let [id, mut my] = house.federation(["ID", "MY"]).await;
    my.stop().await;
    my.clock.advance(-DAY);
    my.start().await;
    connected(&my, 1).await;
    connected(&id, 1).await;
    let reference = id.issue(&red("late"), &[&my]).await;
    id.receipted(&reference, &my, &["issue accepted"]).await;
    let back = my.issue(&red("lateback"), &[&id]).await;
    my.receipted(&back, &id, &["issue accepted"]).await;
    assert_eq!(id.state_of(&back).await, "valid");
    alarmed(&my, "clock of ID").await;
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "withdraw accepted"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_the_agreement_refuses_is_answered_with_its_reason() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms::default()).await;
    accept(&my, &id, &Terms { decision: "refuse:political", ..Terms::default() }).await;
    let reference = id.issue(&red("unwanted"), &[&my]).await;
    id.receipted(&reference, &my, &["issue rejected"]).await;
    assert_ne!(id.holders(&reference).await[0].reason, 0);
    assert!(my.listed("held").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_waits_for_the_desk_ends_when_its_owner_withdraws_it() {
    let house = House::new();
    let (id, my) = (house.member("ID").await, house.member("MY").await);
    accept(&id, &my, &Terms::default()).await;
    accept(&my, &id, &Terms { decision: "quarantine", ..Terms::default() }).await;
    let reference = id.issue(&stolen_passport(&passport("quarantined")), &[&my]).await;
    id.receipted(&reference, &my, &["issue quarantined"]).await;
    assert_eq!(my.state_of(&reference).await, "NOTICE_AT_DESK");
    id.withdraw(&reference).await;
    id.receipted(&reference, &my, &["issue purged", "withdraw accepted"]).await;
}
