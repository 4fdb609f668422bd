//! Every node runs and answers its own officers.

use eads_domain::operator::Role;
use tokio::time::Instant;

use super::{CHIEF, Story, expect, text};
use crate::demo::Trouble;

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    let started = Instant::now();
    story.federation.start().await?;
    story.narrator.measured("started", "every process serves its peers and its operators", started.elapsed())?;
    for node in story.federation.nodes() {
        let status = node.operator("officer").get(&["status"]).await?;
        let is_own = text(&status, "member") == node.member().to_string() && status["register_size"] == 0;
        expect(is_own, node.member(), "an empty register of this member", &status)?;
        expect(status["alarms"].as_array().is_some_and(Vec::is_empty), node.member(), "no alarms", &status["alarms"])?;
        let register = text(&status, "register").get(..8).unwrap_or_default();
        let line =
            format!("{}  {:<18} peers at {}, register {register}…", node.member(), node.name(), node.peer_address());
        story.narrator.fact(line)?;
    }
    for member in [story.indonesia, story.thailand] {
        story.federation.node(member)?.hire(CHIEF, &[Role::Officer, Role::Issuer, Role::Approver]).await?;
    }
    story
        .narrator
        .fact(format!("two administrators of {} and of {} each enrol an officer", story.indonesia, story.thailand))?;
    Ok(story.narrator.end()?)
}
