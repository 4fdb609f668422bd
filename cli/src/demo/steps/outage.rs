//! Malaysia loses its power; the answers say so, life goes on, and what it missed is there when it comes back.

use std::time::Duration;

use eads_domain::id::MemberId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::receipts::{holds, purged, receipted};
use super::search::{answered, ask, source};
use super::{CHIEF, Story, expect, text};
use crate::demo::Trouble;
use crate::demo::federation::{Waiting, until};
use crate::demo::people::Wanted;

/// The exit status of a search to which somebody did not answer.
const INCOMPLETE: i32 = 7;
/// How long a node may take to catch up.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("Malaysia is killed, misses an amendment, and catches up")?;
    let (indonesia, malaysia, thailand) = (story.indonesia, story.malaysia, story.thailand);
    story.federation.node_mut(malaysia)?.kill().await?;
    story.narrator.fact("the process of MY is killed with SIGKILL")?;

    let ran = ask(story, &[]).await?;
    let silent = source(&ran.output, malaysia);
    let is_told =
        ran.status == INCOMPLETE && ran.output["complete"] == false && text(silent, "outcome") == "unreachable";
    expect(is_told, thailand, "status 7, and MY named as unreachable", &ran)?;
    story.narrator.fact(format!("Thailand asks again: {} (exit status {INCOMPLETE})", text(&ran.output, "summary")))?;

    let chief = story.operator(indonesia, CHIEF)?;
    let file = story.file("red-amended.toml", &Wanted::draft(true))?;
    let drafted = chief.get(&["notice", "amend", &story.reference, &file]).await?;
    let started = Instant::now();
    let approve = ["notice", "approve", text(&drafted, "draft_id"), "--issue"];
    story.operator(indonesia, "approver")?.get(&approve).await?;
    let reachable: Vec<MemberId> =
        story.federation.others(indonesia).map(|node| node.member()).filter(|member| *member != malaysia).collect();
    let expected = "receipts for version 2 from every peer that runs";
    let amended = |rows: &[&Value]| holds(rows, 2);
    let seen = receipted(story, indonesia, &story.reference, &reachable, expected, started, amended).await?;
    let status = story.operator(indonesia, "officer")?.get(&["notice", "status", &story.reference]).await?;
    let waits = super::items(&status["holders"])
        .any(|row| text(row, "member") == "MY" && row["version"] == json!(2) && text(row, "state") == "sent");
    expect(waits, indonesia, "version 2 sent to MY and not receipted", &status["holders"])?;
    let line = format!("Indonesia amends the notice (armed); receipts: {}; MY: none yet", seen.in_words());
    story.narrator.fact(line)?;

    let restarted = Instant::now();
    story.federation.node_mut(malaysia)?.start().await?;
    story.narrator.measured("restarted", "MY is started again and serves", restarted.elapsed())?;
    let officer = story.operator(malaysia, "officer")?;
    until(malaysia, "version 2 of the notice", CATCHES_UP_WITHIN, || async {
        let held = officer.get(&["notice", "show", &story.reference]).await?;
        let caught_up = held["version"] == json!(2) && held.to_string().contains("armed");
        Ok(if caught_up { Waiting::Over(()) } else { Waiting::NotYet(format!("version {}", held["version"])) })
    })
    .await?;
    story.narrator.measured("caught_up", "MY holds version 2, counted from its start", restarted.elapsed())?;
    let expected = "MY's receipts: version 2 held, version 1 purged";
    let settled = |rows: &[&Value]| holds(rows, 2) && purged(rows, 1);
    receipted(story, indonesia, &story.reference, &[malaysia], expected, restarted, settled).await?;
    story.narrator.fact("MY's signed receipts say: version 2 held, version 1 purged")?;
    answers_again(story).await?;
    Ok(story.narrator.end()?)
}

/// Nothing that Malaysia had acknowledged was lost, its own record least of all.
async fn answers_again(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    let (malaysia, thailand) = (story.malaysia, story.thailand);
    story.federation.connected().await?;
    let ran = ask(story, &[]).await?;
    expect(ran.status == 0 && ran.output["complete"] == true, thailand, "a complete answer again", &ran)?;
    let answer = source(&ran.output, malaysia);
    expect(text(answer, "outcome") == "hit", malaysia, "its own record to be found again", answer)?;
    story.narrator.fact(format!("Thailand asks once more: {}", answered(&ran.output)))?;
    Ok(())
}
