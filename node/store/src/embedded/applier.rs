//! The one thread that changes the view, in the journal's order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::rows::{Outcome, Tally, Watermark};
use super::view::View;
use crate::error::StoreError;
use crate::journal::Head;
use crate::port::Sequence;

/// Durable commits that may wait for the view before the journal waits.
const QUEUE: usize = 256;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Work for the applier.
pub(super) enum Task {
    /// A commit that is durable.
    Apply { outcome: Outcome, head: Head, reply: Reply<Sequence> },
    /// Read every row and compare with the watermark.
    Check { reply: Reply<Tally> },
}

pub(super) fn start(view: Arc<View>, mark: Watermark) -> std::io::Result<(SyncSender<Task>, JoinHandle<()>)> {
    let (sender, receiver) = sync_channel(QUEUE);
    let thread = std::thread::Builder::new().name("view-apply".to_owned());
    let thread = thread.spawn(move || run(&view, mark, &receiver))?;
    Ok((sender, thread))
}

fn run(view: &View, mut mark: Watermark, tasks: &Receiver<Task>) {
    for task in tasks {
        match task {
            // After a failure the view refuses everything by itself, so that no commit is applied over a gap.
            Task::Apply { outcome, head, reply } => {
                let applied = view.apply(&outcome, head, &mut mark);
                let _ = reply.send(applied.map(|()| Sequence::new(head.sequence)));
            }
            Task::Check { reply } => {
                let _ = reply.send(check(view, &mark));
            }
        }
    }
}

fn check(view: &View, mark: &Watermark) -> Result<Tally, StoreError> {
    let stored = view.watermark()?;
    let tally = view.tally(|| {})?;
    if tally != mark.tally || !stored.map_or(mark.head.sequence == 0, |stored| stored == *mark) {
        return Err(view.fail("rows are missing or too many".to_owned()));
    }
    Ok(tally)
}
