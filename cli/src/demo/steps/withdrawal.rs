//! The notice is withdrawn, and gone everywhere: signed purge receipts from every holder.

use std::collections::BTreeSet;

use eads_domain::id::MemberId;
use serde_json::Value;
use tokio::time::Instant;

use super::receipts::{purged, receipted};
use super::search::{answered, ask};
use super::{CHIEF, Story, expect, items, text};
use crate::demo::Trouble;

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("The person was arrested: the notice is withdrawn and destroyed everywhere")?;
    let (indonesia, thailand) = (story.indonesia, story.thailand);
    let chief = story.operator(indonesia, CHIEF)?;
    let drafted = chief.get(&["notice", "withdraw", &story.reference, "--reason", "arrested"]).await?;
    let draft = text(&drafted, "draft_id").to_owned();
    let started = Instant::now();
    story.operator(indonesia, "approver")?.get(&["notice", "approve", &draft, "--issue"]).await?;
    story.narrator.measured("withdrawn", "approved by the second officer and in the register", started.elapsed())?;

    let others: Vec<MemberId> = story.federation.others(indonesia).map(|node| node.member()).collect();
    let expected = "a signed purge receipt from every peer for every version";
    let gone = |rows: &[&Value]| purged(rows, 1) && purged(rows, 2);
    let seen = receipted(story, indonesia, &story.reference, &others, expected, started, gone).await?;
    let line = format!("purged at every peer, by its signed receipt (seen after: {})", seen.in_words());
    story.narrator.measured("purged_at_all", &line, seen.slowest())?;

    let mut codes = BTreeSet::new();
    for member in &others {
        let officer = story.operator(*member, "officer")?;
        let ran = officer.run(&["notice", "show", &story.reference]).await?;
        let gone = matches!(ran.code.as_deref(), Some("NOTICE_WITHDRAWN" | "NOTICE_UNKNOWN"));
        expect(gone, *member, "nothing to show of a withdrawn notice", &ran)?;
        codes.extend(ran.code);
        let list = officer.get(&["notice", "list", "--holding", "held"]).await?;
        expect(items(&list).count() == 0, *member, "no notice held", &list)?;
    }
    let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
    story.narrator.fact(format!("no peer has anything left to show ({codes}) or to list"))?;
    let ran = ask(story, &["--kinds", "red"]).await?;
    let hits: usize = items(&ran.output["sources"]).map(|source| items(&source["hits"]).count()).sum();
    let nothing = ran.status == 0 && ran.output["complete"] == true && hits == 0;
    expect(nothing, thailand, "a complete answer without a hit", &ran)?;
    story.narrator.fact(format!("Thailand asks for red notices: {}", answered(&ran.output)))?;
    Ok(story.narrator.end()?)
}
