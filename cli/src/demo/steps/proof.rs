//! Everything is verified once more, from the first leaf and the first entry on.

use std::collections::BTreeMap;

use eads_domain::id::MemberId;
use serde_json::Value;
use tokio::time::Instant;

use super::{Story, expect, items, text};
use crate::demo::Trouble;
use crate::demo::federation::FederationError;

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("The auditors verify every register and every audit chain")?;
    let started = Instant::now();
    let members = story.federation.nodes().len();
    let (mut registers, mut entries) = (0, 0);
    let own = own_sizes(story).await?;
    for node in story.federation.nodes() {
        let auditor = node.operator("auditor");
        let found = auditor.get(&["register", "verify"]).await?;
        let all = items(&found).count() == members && items(&found).all(|register| register["sound"] == true);
        expect(all, node.member(), "its own register and that of every peer to be sound", &found)?;
        let chain = auditor.get(&["audit", "verify"]).await?;
        expect(chain["sound"] == true, node.member(), "a sound audit chain", &chain)?;
        same_everywhere(&found, &own, node.member())?;
        let (mut leaves, mut statements) = (0, 0);
        for register in items(&found) {
            leaves += register["size"].as_u64().unwrap_or_default();
            statements += register["statements"].as_u64().unwrap_or_default();
        }
        story.narrator.fact(format!(
            "{}  {members} registers: {leaves} entries, {statements} statements still held; {} audit entries",
            node.member(),
            chain["entries"]
        ))?;
        registers += items(&found).count();
        entries += chain["entries"].as_u64().unwrap_or_default();
    }
    let line = format!("{registers} registers and {entries} audit entries verified and sound");
    story.narrator.measured("verified", &line, started.elapsed())?;
    Ok(story.narrator.end()?)
}

/// How many entries each member says that its own register has.
async fn own_sizes(story: &Story<'_, '_>) -> Result<BTreeMap<String, Value>, FederationError> {
    let mut sizes = BTreeMap::new();
    for node in story.federation.nodes() {
        let status = node.operator("auditor").get(&["status"]).await?;
        sizes.insert(node.member().to_string(), status["register_size"].clone());
    }
    Ok(sizes)
}

/// Every register that a member holds is as long as its owner says.
fn same_everywhere(found: &Value, own: &BTreeMap<String, Value>, at: MemberId) -> Result<(), FederationError> {
    let differs = items(found).find(|register| own.get(text(register, "member")) != Some(&register["size"]));
    expect(differs.is_none(), at, "every register as long as its owner's", differs.unwrap_or(&Value::Null))
}
