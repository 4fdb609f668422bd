//! What somebody with stolen keys, old cards and patience can try, and what the nodes make of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use eads_domain::card::{Card, CardError, SignedCard};
use eads_domain::clock::{Clock as _, SystemClock};
use eads_domain::id::MemberId;
use eads_node::identity::Identity;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::receipts::{holds, receipted};
use super::thief::{Attack, Thief, eavesdrop};
use super::{CHIEF, Story, expect, items, text};
use crate::demo::Trouble;
use crate::demo::federation::{FederationError, Waiting, until};
use crate::demo::people::stolen_passport;

/// How long the others may take to come by and be served an attack: a node that failed pauses for up to a minute.
const SERVED_WITHIN: Duration = Duration::from_secs(90);
/// The numbers of Thailand's notices.
const PASSPORTS: [&str; 2] = ["AA9000001", "AA9000002"];

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("A thief answers in Thailand's place, and old and forged cards are handed in")?;
    let thailand = story.thailand;
    let victims: Vec<MemberId> = story.federation.others(thailand).map(|node| node.member()).collect();
    something_to_steal(story, &victims).await?;

    let mut loot = Vec::new();
    let robbed = story.federation.node(thailand)?;
    for victim in story.federation.others(thailand) {
        loot.push(eavesdrop(victim, robbed).await?);
    }
    let cards = Cards::of(thailand, &robbed.identity()?, robbed.dir())?;
    story.federation.node_mut(thailand)?.stop().await?;
    let thief = Thief::listen(story.federation.node(thailand)?, loot).await?;
    story.narrator.fact("TH is stopped; a thief listens in its place, with its TLS key but not its signing key")?;
    for attack in Attack::ALL {
        thief.turn_to(attack);
        let started = Instant::now();
        for victim in &victims {
            refuses(story, *victim, attack).await?;
        }
        let line = format!("{}: refused by every peer, {}", attack.in_words(), attack.code());
        story.narrator.measured(attack.code(), &line, started.elapsed())?;
    }
    for victim in &victims {
        unharmed(story, *victim).await?;
    }
    story.narrator.fact("what the peers hold of Thailand is what Thailand had signed; each raised an alarm")?;
    thief.leave().await;
    come_back(story, &cards).await?;
    hand_in_cards(story, &cards, &victims).await?;
    Ok(story.narrator.end()?)
}

/// Two notices of Thailand, held by everybody.
async fn something_to_steal(story: &mut Story<'_, '_>, others: &[MemberId]) -> Result<(), Trouble> {
    let thailand = story.thailand;
    let started = Instant::now();
    for number in PASSPORTS {
        let file = story.file(&format!("{number}.toml"), &stolen_passport(number))?;
        let draft = ["notice", "draft", &file, "--to", "all", "--valid-days", "90"];
        let drafted = story.operator(thailand, CHIEF)?.get(&draft).await?;
        let approve = ["notice", "approve", text(&drafted, "draft_id"), "--issue"];
        story.operator(thailand, "approver")?.get(&approve).await?;
        let expected = "receipts for a stolen passport from every peer";
        let accepted = |rows: &[&Value]| holds(rows, 1);
        receipted(story, thailand, text(&drafted, "reference"), others, expected, started, accepted).await?;
    }
    Ok(story.narrator.fact("Thailand issues two stolen passports; every peer has receipted them")?)
}

/// Waits until `victim` has been served the attack and said why it refuses it.
async fn refuses(story: &Story<'_, '_>, victim: MemberId, attack: Attack) -> Result<(), FederationError> {
    let administrator = story.operator(victim, "admin-1")?;
    let expected = format!("{} refused with {}", attack.in_words(), attack.code());
    until(victim, &expected, SERVED_WITHIN, || async {
        let peers = administrator.get(&["peer", "list"]).await?;
        let last = last_error(&peers, story.thailand).to_owned();
        let is_refused = last.split(':').next() == Some(attack.code());
        Ok(if is_refused { Waiting::Over(()) } else { Waiting::NotYet(last) })
    })
    .await
}

/// The victim holds the two genuine notices and nothing else, and says that something was wrong.
async fn unharmed(story: &Story<'_, '_>, victim: MemberId) -> Result<(), FederationError> {
    let officer = story.operator(victim, "officer")?;
    let held = officer.get(&["notice", "list", "--holding", "held", "--owner", "TH"]).await?;
    let genuine = items(&held).count() == PASSPORTS.len()
        && items(&held).all(|notice| text(notice, "kind") == "document" && text(notice, "state") == "valid");
    expect(genuine, victim, "Thailand's two stolen passports and nothing else", &held)?;
    let status = officer.get(&["status"]).await?;
    let peer = items(&status["peers"]).find(|peer| text(peer, "member") == "TH").unwrap_or(&Value::Null);
    let stands = peer["register_cursor"] == json!(PASSPORTS.len()) && peer["delivery_cursor"] == json!(PASSPORTS.len());
    expect(stands, victim, "both cursors where they stood", peer)?;
    let is_raised = items(&status["alarms"]).any(|alarm| alarm.as_str().is_some_and(is_about_thailand));
    expect(is_raised, victim, "an alarm about Thailand", &status["alarms"])
}

/// The real Thailand runs again, with a newer card, and everybody follows it as before.
async fn come_back(story: &mut Story<'_, '_>, cards: &Cards) -> Result<(), Trouble> {
    let thailand = story.thailand;
    let started = Instant::now();
    let node = story.federation.node_mut(thailand)?;
    let place = node.dir().join("identity/card.pem");
    fs::write(&place, cards.successor.to_armor())
        .map_err(|cause| FederationError::machine(format!("cannot write {}", place.display()), cause))?;
    node.start().await?;
    story.federation.connected().await?;
    for node in story.federation.others(thailand) {
        let status = node.operator("officer").get(&["status"]).await?;
        let is_over = !items(&status["alarms"]).any(|alarm| alarm.as_str().is_some_and(is_about_thailand));
        expect(is_over, node.member(), "no alarm about Thailand any more", &status["alarms"])?;
    }
    story.narrator.measured(
        "reconnected",
        "the real TH runs again, everybody follows it, and the alarms are over",
        started.elapsed(),
    )?;
    Ok(())
}

/// The newer card is taken as the successor that it is; older, other and edited ones are refused.
async fn hand_in_cards(story: &mut Story<'_, '_>, cards: &Cards, others: &[MemberId]) -> Result<(), Trouble> {
    let thailand = story.thailand;
    let file = story.file("TH-2.card", "")?;
    let exported = story.operator(thailand, "admin-1")?.get(&["peer", "card", "--out", &file]).await?;
    expect(exported["sequence"] == json!(2), thailand, "its second card", &exported["sequence"])?;
    let genesis = story.federation.card_file(thailand).to_string_lossy().into_owned();
    let attempts = [
        (genesis, "CARD_REPLAYED", "Thailand's first card again"),
        (story.file("TH-fork.card", &cards.fork.to_armor())?, "CARD_FORKED", "another second card, by the same key"),
        (story.file("TH-edited.card", &cards.edited)?, "CARD_SIGNATURE", "the second card with one letter changed"),
    ];
    for member in others {
        let administrator = story.operator(*member, "admin-1")?;
        administrator.get(&["peer", "import", &file]).await?;
        for (attempt, code, _) in &attempts {
            administrator.refused(&["peer", "import", attempt], code).await?;
        }
        let peers = administrator.get(&["peer", "list"]).await?;
        let peer = items(&peers).find(|peer| text(peer, "member") == "TH").unwrap_or(&Value::Null);
        let stands = peer["card_sequence"] == json!(2) && text(peer, "state") == "accepted";
        expect(stands, *member, "Thailand accepted under its second card", peer)?;
    }
    story.narrator.fact("Thailand's second card, signed by its own key, is taken by every peer")?;
    for (_, code, what) in &attempts {
        story.narrator.fact(format!("{what}: refused by every peer, {code}"))?;
    }
    story.federation.connected().await?;
    Ok(())
}

/// The alarm that a node raises when what it follows cannot be applied.
fn is_about_thailand(alarm: &str) -> bool {
    alarm.starts_with("SYNC:TH ")
}

fn last_error(peers: &Value, member: MemberId) -> &str {
    let name = member.to_string();
    items(peers).find(|peer| text(peer, "member") == name).map_or("", |peer| text(peer, "last_error"))
}

/// Cards that Thailand's signing key makes, and what can be made of them without it.
struct Cards {
    /// The second card.
    successor: SignedCard,
    /// Another second card.
    fork: SignedCard,
    /// The second card with one letter changed, as text.
    edited: String,
}

impl Cards {
    fn of(member: MemberId, identity: &Identity, dir: &Path) -> Result<Self, FederationError> {
        let not_made = |error: CardError| FederationError::not_made(member, "a card", &error);
        let next = |contact: &str| {
            let card = Card {
                duty_contacts: vec![contact.parse()?],
                sequence: identity.card.card().sequence + 1,
                previous: Some(identity.card.digest()),
                issued: SystemClock.now(),
                ..identity.card.card().clone()
            };
            SignedCard::sign(card, &identity.signing_key)
        };
        let successor = next("new duty room, by nobody's telephone").map_err(not_made)?;
        let fork = next("elsewhere").map_err(not_made)?;
        let armor = successor.to_armor();
        let unreadable = |error| {
            FederationError::machine(format!("cannot read a card of {}", dir.display()), std::io::Error::other(error))
        };
        let block = pem::parse(&armor).map_err(unreadable)?;
        let mut bytes = block.contents().to_vec();
        let letter = bytes.windows(6).position(|window| window == b"nobody");
        if let Some(byte) = letter.and_then(|at| bytes.get_mut(at)) {
            *byte = b'N';
        }
        let edited = pem::encode(&pem::Pem::new(block.tag(), bytes));
        Ok(Self { successor, fork, edited })
    }
}
