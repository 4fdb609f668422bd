//! One question from Thailand to everybody, and what both sides write down about it.

use eads_domain::id::MemberId;
use serde_json::{Value, json};

use super::{Story, expect, items, text};
use crate::demo::Trouble;
use crate::demo::federation::{FederationError, Ran};
use crate::demo::people::Wanted;

const PURPOSE: &str = "criminal-investigation";
const CASE: &str = "TH-DEMO-2026-044";

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("An officer in Thailand asks everybody")?;
    let (indonesia, malaysia, thailand) = (story.indonesia, story.malaysia, story.thailand);
    let ran = ask(story, &[]).await?;
    let found = &ran.output;
    let everybody = found["complete"] == true && ran.status == 0;
    expect(everybody, thailand, "a complete answer with status 0", &ran)?;
    let line = format!("{:?}, purpose {PURPOSE}: {}", Wanted::ASKED, answered(found));
    story.narrator.measured("search", &line, ran.took)?;

    let notice = |hit: &Value| text(hit, "source") == "notice" && text(hit, "reference") == story.reference;
    let record = |hit: &Value| text(hit, "source") == "record" && text(hit, "owner") == "MY";
    for (member, expected, wanted) in [
        (thailand, "its own copy of the notice", &notice as &dyn Fn(&Value) -> bool),
        (indonesia, "the notice at its owner", &notice),
        (malaysia, "Malaysia's own record of the same person", &record),
    ] {
        let source = source(found, member);
        let hit = items(&source["hits"]).find(|hit| wanted(hit));
        let Some(hit) = hit else { return Err(FederationError::unexpected(member, expected, source).into()) };
        let reasons: Vec<&str> = items(&hit["reasons"]).map(|reason| text(reason, "code")).collect();
        let line = format!(
            "{member} answered in {} ms: {expected}: {} of {}, score {}, because {}",
            source["took_ms"],
            text(hit, "reference"),
            text(hit, "owner"),
            hit["score"],
            reasons.join(", ")
        );
        story.narrator.fact(line)?;
    }
    written_down(story, text(found, "request_id")).await?;
    Ok(story.narrator.end()?)
}

/// The search of this demonstration, from Thailand.
pub(super) async fn ask(story: &Story<'_, '_>, more: &[&str]) -> Result<Ran, FederationError> {
    let mut arguments = vec!["search", "person", "--name", Wanted::ASKED, "--birth-date", "1984"];
    arguments.extend(["--purpose", PURPOSE, "--legal-basis", "criminal-investigation", "--case", CASE]);
    arguments.extend(more);
    story.operator(story.thailand, "officer")?.run(&arguments).await
}

/// How many answered and what they found, in words.
pub(super) fn answered(found: &Value) -> String {
    let hits: usize = items(&found["sources"]).map(|source| items(&source["hits"]).count()).sum();
    format!("{} of {} peers answered, {hits} hits, complete", found["peers_answered"], found["peers_asked"])
}

/// What one member answered; null if it was not named at all.
pub(super) fn source(found: &Value, member: MemberId) -> &Value {
    let name = member.to_string();
    items(&found["sources"]).find(|source| text(source, "member") == name).unwrap_or(&Value::Null)
}

/// Both audit logs hold the question under one id, with purpose; the case stays in Thailand.
async fn written_down(story: &mut Story<'_, '_>, request: &str) -> Result<(), Trouble> {
    let (malaysia, thailand) = (story.malaysia, story.thailand);
    for (member, asked_by, case) in [(thailand, "officer", CASE), (malaysia, "TH", "")] {
        let entries = story.operator(member, "auditor")?.get(&["audit", "search", "--request", request]).await?;
        let intent = items(&entries).find(|entry| text(entry, "kind") == "intent").unwrap_or(&Value::Null);
        let right = text(intent, "purpose") == PURPOSE
            && text(intent, "actor").contains(asked_by)
            && text(intent, "case_reference") == case
            && intent["unfinished"] == json!(false);
        expect(right, member, "the question in the audit log, with its purpose and an outcome", &entries)?;
    }
    let short = request.get(..8).unwrap_or_default();
    let line =
        format!("request {short}… stands in both audit logs with its purpose; the case number only in Thailand's");
    Ok(story.narrator.fact(line)?)
}
