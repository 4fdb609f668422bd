//! `compact`: the store gives back the space of what was overwritten and deleted.

use eads_store::embedded::{CompactStep, Compacted, Sizes};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Outcome, Progress, Refusal, Target, blocking};

/// Rows between two lines of progress.
const TELL_EVERY: u64 = 100 * 1024;

pub(super) async fn compact(target: &Target, progress: &Progress) -> Result<Outcome, Refusal> {
    let begun = Instant::now();
    let (store, progress) = (target.store.clone(), progress.clone());
    let done = blocking(move || {
        let compacted = store.compact(&mut |step| {
            if let Some(line) = words(step) {
                progress.tell(line);
            }
            !progress.is_stopped()
        });
        Ok(compacted?)
    });
    Ok(outcome(&done.await?, begun.elapsed().as_secs_f64()))
}

fn words(step: CompactStep) -> Option<String> {
    match step {
        CompactStep::Read(rows) => rows.is_multiple_of(TELL_EVERY).then(|| format!("read {rows} rows")),
        CompactStep::Filled(_) => None,
        CompactStep::SnapshotWritten => Some("the snapshot is written; building the fresh view".to_owned()),
        CompactStep::ViewBuilt => Some("the fresh view is built".to_owned()),
        CompactStep::Swapped => Some("the fresh view is in use".to_owned()),
        CompactStep::SnapshotNamed => Some("the snapshot stands for the journal's beginning".to_owned()),
        CompactStep::JournalShortened => Some("the journal is shortened".to_owned()),
        CompactStep::Done => Some("the old view is removed".to_owned()),
    }
}

fn outcome(done: &Compacted, seconds: f64) -> Outcome {
    let Compacted { rows, sequence, before, after } = done;
    let reclaimed = before.total().saturating_sub(after.total());
    let line = |name: &str, before: u64, after: u64| format!("{name:<9} {} -> {}", mib(before), mib(after));
    let lines = vec![
        line("journal", before.journal, after.journal),
        line("snapshot", before.snapshot, after.snapshot),
        line("view", before.view, after.view),
        format!("reclaimed {} in {seconds:.1} s; kept {rows} rows as of commit {sequence}", mib(reclaimed)),
    ];
    let report = json!({
        "rows": rows, "sequence": sequence, "seconds": seconds, "reclaimed_bytes": reclaimed,
        "before": sizes(before), "after": sizes(after),
    });
    Outcome { lines, report, sound: true }
}

fn sizes(sizes: &Sizes) -> Value {
    json!({
        "journal_bytes": sizes.journal, "snapshot_bytes": sizes.snapshot,
        "view_bytes": sizes.view, "live_bytes": sizes.live,
    })
}

fn mib(bytes: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    #[allow(clippy::cast_precision_loss, reason = "shown to one place")]
    let mib = bytes as f64 / MIB;
    format!("{mib:.1} MiB")
}
