//! A red notice from Indonesia: four eyes, one signature for all, different openings for each, receipts from all.

use eads_domain::id::MemberId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::receipts::{holds, receipted};
use super::{CHIEF, Story, expect, items, text};
use crate::demo::Trouble;
use crate::demo::federation::FederationError;
use crate::demo::people::Wanted;

/// What is withheld from Malaysia.
const WITHHELD: &str = "phones";

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("Indonesia issues a red notice")?;
    let origin = story.indonesia;
    let chief = story.operator(origin, CHIEF)?;
    let file = story.file("red.toml", &Wanted::draft(false))?;
    let drafted = chief.get(&["notice", "draft", &file, "--to", "all", "--valid-days", "365"]).await?;
    let draft = text(&drafted, "draft_id").to_owned();
    story.reference = text(&drafted, "reference").to_owned();
    story.narrator.fact(format!("drafted as {}", story.reference))?;

    for (act, code) in [("approve", "APPROVAL_BY_DRAFTER"), ("issue", "APPROVAL_MISSING")] {
        let refused = chief.refused(&["notice", act, &draft], code).await?;
        story.narrator.fact(format!("the drafter tries to {act} it: refused, {code}: {}", refused.text))?;
    }
    story.operator(origin, "issuer")?.refused(&["notice", "approve", &draft], "ROLE_REQUIRED").await?;
    story.narrator.fact("an officer without the role approver tries: refused, ROLE_REQUIRED")?;
    story.operator(origin, "approver")?.get(&["notice", "approve", &draft]).await?;
    story.narrator.fact("the second officer recomputed all commitments and signed the approval")?;

    let started = Instant::now();
    let issued = chief.get(&["notice", "issue", &draft]).await?;
    let took = started.elapsed();
    let done = items(&issued).map(|outcome| &outcome["done"]).next().cloned().unwrap_or_default();
    let others: Vec<MemberId> = story.federation.others(origin).map(|node| node.member()).collect();
    let sent = items(&done["delivered_to"]).count() == others.len();
    expect(sent && done["index"] == json!(0), origin, "entry 0, on its way to every peer", &issued)?;
    story.narrator.measured("issued", "signed, in the register and durable in Indonesia as entry 0", took)?;

    let expected = "a signed receipt \"accepted\" from every peer";
    let accepted = |rows: &[&Value]| holds(rows, 1);
    let seen = receipted(story, origin, &story.reference, &others, expected, started, accepted).await?;
    let line = format!("durable at every peer, by its signed receipt (seen after: {})", seen.in_words());
    story.narrator.measured("durable_at_all", &line, seen.slowest())?;
    shown_differently(story, text(&done, "digest")).await?;
    Ok(story.narrator.end()?)
}

/// One statement, the same for all, of which Malaysia is not shown the telephone numbers.
async fn shown_differently(story: &mut Story<'_, '_>, digest: &str) -> Result<(), Trouble> {
    let (malaysia, thailand) = (story.malaysia, story.thailand);
    let there = shown(story, thailand).await?;
    let names = |page: &Value| items(&page["fields"]).map(|field| text(field, "name").to_owned()).collect::<Vec<_>>();
    let is_there = names(&there).iter().any(|name| name == WITHHELD);
    expect(is_there, thailand, "telephone numbers that the agreement shows", &there["fields"])?;
    let here = shown(story, malaysia).await?;
    let is_hidden = !names(&here).iter().any(|name| name == WITHHELD)
        && items(&here["withheld"]).any(|name| name == WITHHELD)
        && !here.to_string().contains(Wanted::PHONE);
    expect(is_hidden, malaysia, "no telephone numbers, and that they are withheld", &here)?;
    let same = text(&there, "digest") == digest && text(&here, "digest") == digest;
    expect(same, malaysia, "the statement that was issued", &here["digest"])?;
    let short = digest.get(..16).unwrap_or_default();
    let line = format!("TH is shown the telephone numbers, MY is not; both verified the same statement {short}…");
    Ok(story.narrator.fact(line)?)
}

async fn shown(story: &Story<'_, '_>, member: MemberId) -> Result<Value, FederationError> {
    story.operator(member, "officer")?.get(&["notice", "show", &story.reference]).await
}
