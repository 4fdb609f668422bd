//! The signing key changes while the nodes run: peers follow by themselves, whatever was signed before stays
//! verifiable, what was signed with a stolen key is not taken any more, and a node that is killed in the middle
//! of it has changed its key or has not.

use std::process::{Command, Output, Stdio};

use eads_domain::card::{Card, SignedCard, key_digest};
use eads_domain::clock::Timestamp;
use eads_proto::v1;
use eads_service::succession::{CardStep, KeyChange};
use eads_service::sync::SyncBatch;
use eads_tests::content::{passport, red};
use eads_tests::house::House;
use eads_tests::member::{Member, PASSPHRASE};
use eads_tests::questions;
use eads_tests::wait::until;
use ed25519_dalek::SigningKey;

use crate::programs::EADS_NODE;

/// `eads-node` on a member's directory.
pub(crate) async fn command(member: &Member, words: &[&str]) -> Output {
    let mut command = Command::new(EADS_NODE);
    command.args(words).arg("--dir").arg(member.dir()).env("EADS_PASSPHRASE", PASSPHRASE);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub(crate) async fn done(member: &Member, words: &[&str]) -> String {
    let output = command(member, words).await;
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) async fn refused(member: &Member, words: &[&str]) -> String {
    let output = command(member, words).await;
    assert!(!output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

async fn rotate(member: &Member) -> String {
    done(member, &["key", "rotate", "--cheap-keys"]).await
}

/// The key of `of` that `at` knows, and the sequence of the card.
pub(crate) fn known(at: &Member, of: &Member) -> (u32, u64) {
    let peer = at.node().peers().get(of.id).unwrap();
    (peer.card.card().keyseq, peer.card.card().sequence)
}

async fn knows_key(at: &Member, of: &Member, keyseq: u32) {
    until("the peer knows the new key", || async { known(at, of).0 == keyseq }).await;
}

async fn sound(member: &Member) {
    let verified = member.operator("auditor").node().verify_registers(v1::VerifyRegistersRequest {}).await.unwrap();
    for register in verified.into_inner().registers {
        assert!(register.sound, "{}: {}", register.member, register.finding);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_follow_a_change_of_key_and_all_that_was_signed_before_still_counts() {
    let house = House::new();
    let [mut id, mut my, mut th] = house.federation(["ID", "MY", "TH"]).await;
    let before = id.issue(&red("before"), &[&my, &th]).await;
    id.receipted(&before, &my, &["issue accepted"]).await;
    id.receipted(&before, &th, &["issue accepted"]).await;
    // One peer is away over two changes.
    th.stop().await;
    let told = rotate(&id).await;
    assert!(told.contains("number 1") && told.contains("verification code"), "{told}");
    knows_key(&my, &id, 1).await;
    let between = id.issue(&red("between"), &[&my, &th]).await;
    id.receipted(&between, &my, &["issue accepted"]).await;
    rotate(&id).await;
    knows_key(&my, &id, 2).await;
    let after = id.issue(&red("after"), &[&my, &th]).await;
    id.receipted(&after, &my, &["issue accepted"]).await;
    assert!(my.node().alarms().list().is_empty(), "{:?}", my.node().alarms().list());
    th.start().await;
    knows_key(&th, &id, 2).await;
    for reference in [&between, &after] {
        id.receipted(reference, &th, &["issue accepted"]).await;
    }
    // The receiver's own key changes too: its receipts count, those from before as well.
    rotate(&my).await;
    knows_key(&id, &my, 1).await;
    id.withdraw(&before).await;
    for holder in [&my, &th] {
        id.receipted(&before, holder, &["issue purged", "withdraw accepted"]).await;
    }
    for member in [&id, &my, &th] {
        sound(member).await;
        let checked = done(member, &["store", "check"]).await;
        assert!(!checked.contains("CHECKPOINT_INVALID"), "{checked}");
    }
    // Across a restart on both sides.
    id.restart().await;
    my.restart().await;
    let last = id.issue(&red("last"), &[&my, &th]).await;
    id.receipted(&last, &my, &["issue accepted"]).await;
    sound(&my).await;
    let found = my.search_for(questions::passport(&passport("last"))).await.unwrap();
    assert!(!found.is_empty());
    // The key that was in force is not the next one any more.
    let wrong = refused(
        &id,
        &["key", "rotate", "--cheap-keys", "--next-key", &format!("{}/identity/signing.key", id.dir().display())],
    )
    .await;
    assert!(wrong.contains("NEXT_KEY_WRONG"), "{wrong}");
}

fn batch(cards: Vec<CardStep>) -> SyncBatch {
    SyncBatch {
        cards,
        urgent: Vec::new(),
        urgent_checkpoint: Vec::new(),
        first_index: 0,
        leaves: Vec::new(),
        checkpoint: Vec::new(),
        consistency: Vec::new(),
        deliveries: Vec::new(),
        clock: Timestamp::from_unix(0),
        more: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_does_not_follow_the_one_held_is_refused_and_told() {
    let house = House::new();
    let [id, my] = house.federation(["ID", "MY"]).await;
    let (genesis, key) = (id.identity().card, id.identity().signing_key);
    let next =
        |of: &SignedCard| Card { sequence: of.card().sequence + 1, previous: Some(of.digest()), ..of.card().clone() };
    let sign = |card: Card, key: &SigningKey| SignedCard::sign(card, key).unwrap();
    let renamed = Card { display_name: "Indonesia".parse().unwrap(), ..next(&genesis) };
    let second = sign(renamed, &key);
    let take = |card: SignedCard, change: Option<KeyChange>| {
        my.node().apply(id.id, batch(vec![CardStep { card: card.bytes().to_vec(), change }]))
    };
    take(second.clone(), None).await.unwrap();
    assert_eq!(known(&my, &id), (0, 2));
    let thief = SigningKey::from_bytes(&[9; 32]);
    let stolen = Card {
        signing_key: thief.verifying_key(),
        keyseq: 1,
        next_signing_key: key_digest(&SigningKey::from_bytes(&[8; 32]).verifying_key()),
        ..next(&second)
    };
    let skipped = Card { sequence: 4, ..next(&second) };
    let other_end = Card { next_signing_key: key_digest(&thief.verifying_key()), ..next(&second) };
    let forked = Card { display_name: "Other".parse().unwrap(), ..next(&genesis) };
    let confessed = Card { compromised_from: Some(0), keyseq: 1, ..stolen.clone() };
    let mut flipped = sign(next(&second), &key).bytes().to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for (card, code) in [
        (genesis.clone(), "CARD_REPLAYED"),
        (sign(forked, &key), "CARD_FORKED"),
        (sign(skipped, &key), "CARD_GAP"),
        (sign(stolen, &thief), "CARD_KEY_NOT_ANNOUNCED"),
        (sign(confessed, &thief), "CARD_KEY_NOT_ANNOUNCED"),
        (sign(other_end, &key), "CARD_ANNOUNCEMENT_CHANGED"),
    ] {
        let error = take(card, None).await.unwrap_err();
        assert_eq!(eads_domain::code::Coded::code(&error).as_str(), code);
    }
    let forged = my.node().apply(id.id, batch(vec![CardStep { card: flipped, change: None }])).await.unwrap_err();
    assert_eq!(eads_domain::code::Coded::code(&forged).as_str(), "CARD_SIGNATURE");
    assert_eq!(known(&my, &id), (0, 2), "nothing of it was taken");
    let alarms = my.node().alarms().list();
    assert!(alarms.iter().any(|alarm| alarm.starts_with("CARD_REFUSED:ID")), "{alarms:?}");
    let entries = my.audit_entries().await;
    let told = entries.iter().filter(|entry| entry.operation == "SucceedCard" && entry.result == "CARD_FORKED");
    assert_eq!(told.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_theft_what_was_verified_before_stays_and_nothing_else_of_the_stolen_key_is_taken() {
    let house = House::new();
    let [id, my, mut th] = house.federation(["ID", "MY", "TH"]).await;
    let early = id.issue(&red("early"), &[&my, &th]).await;
    id.receipted(&early, &th, &["issue accepted"]).await;
    th.stop().await;
    let status = id.operator("admin-1").node().get_status(v1::GetStatusRequest {}).await.unwrap();
    let size = status.into_inner().register_size;
    let late = id.issue(&red("late"), &[&my, &th]).await;
    id.receipted(&late, &my, &["issue accepted"]).await;
    let told = done(&id, &["key", "compromised", "--cheap-keys", "--since", &size.to_string()]).await;
    assert!(told.contains("vouched for no more"), "{told}");
    // Malaysia had verified it before; Thailand hears of it and of the theft together.
    knows_key(&my, &id, 1).await;
    assert!(my.node().alarms().list().iter().any(|alarm| alarm.starts_with("KEY_STOLEN:ID")));
    th.start().await;
    id.receipted(&late, &th, &["issue rejected"]).await;
    id.receipted(&early, &th, &["issue accepted"]).await;
    // Withdrawing is the safe direction, and what is signed with the new key counts as ever.
    id.withdraw(&late).await;
    id.receipted(&late, &my, &["issue purged", "withdraw accepted"]).await;
    let again = id.issue(&red("again"), &[&my, &th]).await;
    id.receipted(&again, &th, &["issue accepted"]).await;
    sound(&th).await;
    sound(&id).await;
}

/// A node as a process of its own, killed at a step of a change of key.
#[test]
#[cfg_attr(not(debug_assertions), ignore = "only debug builds can be ended at a step")]
fn a_node_killed_at_any_step_has_changed_its_key_or_has_not() {
    let home = tempfile::tempdir().unwrap();
    let run = |words: &[&str], end_at: Option<&str>| -> Command {
        let mut command = Command::new(EADS_NODE);
        command.args(words).env("EADS_PASSPHRASE", PASSPHRASE).stderr(Stdio::null()).stdout(Stdio::piped());
        command.stdin(Stdio::piped());
        if let Some(step) = end_at {
            command.env("EADS_TEST_END_AT", step);
        }
        command
    };
    let dir = home.path().join("ID");
    let at = dir.to_str().unwrap();
    let listen = |port| format!("127.0.0.1:{port}");
    let (peers, operators) = (listen(eads_tests::ports::free().port()), listen(eads_tests::ports::free().port()));
    let made = run(
        &[
            "init",
            "--member",
            "ID",
            "--dir",
            at,
            "--cheap-keys",
            "--peer-listen",
            &peers,
            "--operator-listen",
            &operators,
        ],
        None,
    );
    assert!({ made }.output().unwrap().status.success());
    let mut keyseq = 0;
    let steps = ["staged", "prepared", "committed", "next-signing.key", "signing.key", "card.pem"];
    for (step, counts) in steps.into_iter().zip([false, false, true, true, true, true]) {
        let mut node = run(&["run", "--dir", at, "--until-stdin-closes"], Some(step)).spawn().unwrap();
        ready(&mut node);
        let rotated = run(&["key", "rotate", "--dir", at, "--cheap-keys"], None).output().unwrap();
        assert!(!rotated.status.success(), "{step}: the node was killed");
        assert!(!node.wait().unwrap().success());
        keyseq += u32::from(counts);
        let mut node = run(&["run", "--dir", at, "--until-stdin-closes"], None).spawn().unwrap();
        ready(&mut node);
        let card = eads_node::identity::read_card(&dir).unwrap();
        assert_eq!(card.card().keyseq, keyseq, "{step}");
        assert!(!dir.join("identity/change").exists() && !dir.join("identity/change.partial").exists(), "{step}");
        let checked = run(&["store", "check", "--dir", at], None).output().unwrap();
        assert!(checked.status.success(), "{step}: {}", String::from_utf8_lossy(&checked.stdout));
        drop(node.stdin.take());
        assert!(node.wait().unwrap().success(), "{step}");
    }
    // And it goes on: the key that the last change left offline is the announced one.
    let mut node = run(&["run", "--dir", at, "--until-stdin-closes"], None).spawn().unwrap();
    ready(&mut node);
    let rotated = run(&["key", "rotate", "--dir", at, "--cheap-keys"], None).output().unwrap();
    assert!(rotated.status.success());
    drop(node.stdin.take());
    assert!(node.wait().unwrap().success());
}

fn ready(node: &mut std::process::Child) {
    use std::io::BufRead as _;
    let mut line = String::new();
    let output = node.stdout.take().unwrap();
    std::io::BufReader::new(output).read_line(&mut line).unwrap();
    assert!(line.contains("ready"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_lost_its_keys_begins_anew_and_its_peers_follow_the_new_register() {
    let house = House::new();
    let [mut lost, my] = house.federation(["ID", "MY"]).await;
    let old = lost.issue(&red("old"), &[&my]).await;
    lost.receipted(&old, &my, &["issue accepted"]).await;
    lost.stop().await;
    let home = tempfile::tempdir().unwrap();
    let mut id = Member::create_at(home.path(), "ID", lost.peers, None);
    id.start().await;
    let card = id.operator("admin-1").peering().export_card(v1::ExportCardRequest {}).await.unwrap().into_inner();
    // Nobody gets there by importing it.
    let request = v1::ImportCardRequest { card: card.card.clone() };
    assert!(my.operator("admin-1").peering().import_card(request).await.is_err());
    let say = |who: &'static str, code: &str| {
        let request = v1::RebaselinePeerRequest {
            card: card.card.clone(),
            verification_code: code.to_owned(),
            reason: "the keys were lost".to_owned(),
        };
        let operator = my.operator(who);
        async move { operator.peering().rebaseline_peer(request).await }
    };
    let wrong = my.node().card().code.to_string();
    assert_eq!(eads_tests::operator::code(&say("admin-1", &wrong).await.unwrap_err()), "VERIFICATION_CODE_WRONG");
    assert!(!say("admin-1", &card.verification_code).await.unwrap().into_inner().effective);
    let again = say("admin-1", &card.verification_code).await.unwrap_err();
    assert_eq!(eads_tests::operator::code(&again), "SECOND_ADMINISTRATOR_REQUIRED");
    assert!(say("admin-2", &card.verification_code).await.unwrap().into_inner().effective);
    // What nobody could withdraw any more is not shown any more.
    let found = my.operator("issuer").notices().get_notice(v1::GetNoticeRequest { reference: old }).await;
    assert!(found.is_err());
    eads_tests::house::accept(&id, &my, &eads_tests::content::Terms::default()).await;
    let fresh = id.issue(&red("fresh"), &[&my]).await;
    id.receipted(&fresh, &my, &["issue accepted"]).await;
    sound(&my).await;
    let checked = done(&my, &["store", "check"]).await;
    assert!(!checked.is_empty());
}
