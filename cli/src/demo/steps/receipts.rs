//! Waiting for signed receipts, and when each peer's was there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use eads_domain::id::MemberId;
use serde_json::Value;
use tokio::time::Instant;

use super::{Story, items, text};
use crate::demo::federation::{FederationError, Waiting, until};
use crate::demo::narrate::in_words;

/// How long receipts may take.
const WITHIN: Duration = Duration::from_secs(60);

/// When the receipts of each peer were seen, after the moment from which was counted.
pub(super) struct Seen(BTreeMap<String, Duration>);

impl Seen {
    /// `MY 84 ms, TH 126 ms`
    pub(super) fn in_words(&self) -> String {
        self.0.iter().map(|(member, took)| format!("{member} {}", in_words(*took))).collect::<Vec<_>>().join(", ")
    }

    /// The slowest of them.
    pub(super) fn slowest(&self) -> Duration {
        self.0.values().copied().max().unwrap_or_default()
    }
}

/// Waits until the receipts of each of `peers` for the notice are what is wanted. `wanted` gets what
/// `eads notice status` says of one peer, a row for each statement that it was ever sent.
pub(super) async fn receipted(
    story: &Story<'_, '_>,
    origin: MemberId,
    reference: &str,
    peers: &[MemberId],
    expected: &str,
    since: Instant,
    wanted: impl Fn(&[&Value]) -> bool,
) -> Result<Seen, FederationError> {
    let officer = story.operator(origin, "officer")?;
    let seen = RefCell::new(BTreeMap::new());
    until(origin, expected, WITHIN, || async {
        let status = officer.get(&["notice", "status", reference]).await?;
        let now = since.elapsed();
        let mut missing = Vec::new();
        for peer in peers {
            let name = peer.to_string();
            let rows: Vec<&Value> = items(&status["holders"]).filter(|row| text(row, "member") == name).collect();
            if wanted(&rows) {
                seen.borrow_mut().entry(name).or_insert(now);
            } else {
                missing.push(format!("{name}: {rows:?}"));
            }
        }
        Ok(if missing.is_empty() { Waiting::Over(()) } else { Waiting::NotYet(missing.join("; ")) })
    })
    .await?;
    Ok(Seen(seen.into_inner()))
}

/// Whether the peer has receipted that it holds this version: accepted, or seen by an officer since.
pub(super) fn holds(rows: &[&Value], version: u64) -> bool {
    states(rows, version).any(|state| matches!(state, "accepted" | "delivered"))
}

/// Whether the peer has receipted that it has destroyed this version.
pub(super) fn purged(rows: &[&Value], version: u64) -> bool {
    states(rows, version).any(|state| state == "purged")
}

fn states<'v>(rows: &[&'v Value], version: u64) -> impl Iterator<Item = &'v str> {
    rows.iter().filter(move |row| row["version"] == version).map(|row| text(row, "state"))
}
