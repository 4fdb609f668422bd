//! National records, which never leave their node.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::time::Instant;

use super::{Story, expect};
use crate::demo::Trouble;
use crate::demo::federation::{FederationError, MemberNode};
use crate::demo::people::{self, SOURCE};

/// Records of each member.
const RECORDS: usize = 300;
/// How many members load at a time.
const AT_A_TIME: usize = 2;

pub(super) async fn play(story: &mut Story<'_, '_>) -> Result<(), Trouble> {
    story.narrator.begin("Every member loads its national records")?;
    let started = Instant::now();
    let mut files = Vec::new();
    for node in story.federation.nodes() {
        let records = people::records(node.member(), RECORDS);
        let example = example(&records);
        files.push((story.file(&format!("{}-records.csv", node.member()), &records)?, example));
    }
    let loading = story.federation.nodes().iter().zip(&files).map(|(node, (file, _))| load(node, file));
    let loaded: Vec<u64> = stream::iter(loading).buffered(AT_A_TIME).try_collect().await?;
    for ((node, (_, example)), count) in story.federation.nodes().iter().zip(&files).zip(&loaded) {
        story.narrator.fact(format!("{}  {count} persons, such as {example}", node.member()))?;
    }
    let total: u64 = loaded.iter().sum();
    let line = format!("{total} records loaded, sealed, indexed and durable");
    story.narrator.measured("loaded", &line, started.elapsed())?;
    Ok(story.narrator.end()?)
}

/// Loads a file and compares with what the node then says that it has.
async fn load(node: &MemberNode, file: &str) -> Result<u64, FederationError> {
    let issuer = node.operator("issuer");
    let import = ["record", "import", file, "--source", SOURCE];
    let first = issuer.get(&import).await?;
    let inserted = first["inserted"].as_u64().unwrap_or_default();
    let whole = inserted >= RECORDS as u64 && first["rejected"] == json!(0);
    expect(whole, node.member(), "every record inserted and none rejected", &first)?;
    let status = node.operator("officer").get(&["status"]).await?;
    expect(
        status["records"] == json!(inserted),
        node.member(),
        "as many records as were inserted",
        &status["records"],
    )?;
    Ok(inserted)
}

/// The name of the first person of a file, in both scripts.
fn example(file: &str) -> String {
    let line = file.lines().nth(1).unwrap_or_default();
    let mut cells = line.split(',').skip(1);
    let mut next = || cells.next().unwrap_or_default();
    let (family, given, original) = (next(), next(), next());
    let latin = format!("{given} {family}");
    if original.is_empty() { latin.trim().to_owned() } else { format!("{} ({original})", latin.trim()) }
}
