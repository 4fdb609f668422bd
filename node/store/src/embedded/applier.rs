//! The one thread that changes the view, in the journal's order; also the one that puts another view in its place.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::rebuild::{Flaw, Source, follow, load};
use super::rows::{Outcome, Tally, Watermark};
use super::view::{View, Views};
use crate::ballast::Ballast;
use crate::error::StoreError;
use crate::journal::Head;
use crate::port::Sequence;

/// Durable commits that may wait for the view before the journal waits.
const QUEUE: usize = 256;

/// How often, and how far apart, a view that the disk refused is opened again while a durable commit waits for it.
const MENDING: u32 = 20;
const MENDING_PAUSE: Duration = Duration::from_millis(250);

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Work for the applier.
pub(super) enum Task {
    /// A commit that is durable.
    Apply { outcome: Outcome, head: Head, reply: Reply<Sequence> },
    /// Read every row and compare with the watermark.
    Check { reply: Reply<Tally> },
    /// Use this view from now on, once it is level; the answer is the one that was used.
    Swap { view: View, mark: Watermark, reply: SyncSender<Result<Arc<View>, StoreError>> },
    /// Open the view again if the disk refused it.
    Mend,
}

pub(super) struct Applier {
    pub(super) views: Arc<Views>,
    pub(super) mark: Watermark,
    pub(super) source: Source,
    pub(super) ballast: Arc<Ballast>,
}

impl Applier {
    /// Runs until all senders are gone; ends with where the view then is.
    pub(super) fn start(self) -> std::io::Result<(SyncSender<Task>, JoinHandle<Watermark>)> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("view-apply".to_owned());
        let thread = thread.spawn(move || self.run(&receiver))?;
        Ok((sender, thread))
    }

    fn run(mut self, tasks: &Receiver<Task>) -> Watermark {
        for task in tasks {
            match task {
                Task::Apply { outcome, head, reply } => {
                    let applied = self.apply(&outcome, head);
                    let _ = reply.send(applied.map(|()| Sequence::new(head.sequence)));
                }
                Task::Check { reply } => {
                    let _ = reply.send(self.check());
                }
                Task::Swap { view, mark, reply } => {
                    let _ = reply.send(self.swap(view, mark));
                }
                Task::Mend => {
                    let head = self.source.journal.latest();
                    self.mend(head);
                }
            }
        }
        self.mark
    }

    /// After damage the view refuses everything by itself, so that no commit is applied over a gap. After a refusal of
    /// the disk the commit waits: it is durable, so that it must not be answered with an error while there is hope.
    fn apply(&mut self, outcome: &Outcome, head: Head) -> Result<(), StoreError> {
        // Mending may have brought it here already.
        if head.sequence <= self.mark.head.sequence {
            return Ok(());
        }
        self.ballast.ease_if_short();
        let view = self.views.get();
        let mut applied = view.apply(outcome, head, &mut self.mark);
        drop(view);
        for attempt in 0..MENDING {
            if !matches!(applied, Err(StoreError::ViewUnwritable { .. })) {
                break;
            }
            if attempt > 0 {
                std::thread::sleep(MENDING_PAUSE);
            }
            self.ballast.ease();
            if self.mend(head) {
                applied = Ok(());
            }
        }
        applied
    }

    /// Closes a view that the disk refused, opens it again and brings it up to `head`; whether it is there now.
    fn mend(&mut self, head: Head) -> bool {
        let refused = self.views.get();
        if !refused.is_unwritable() {
            return refused.healthy().is_ok();
        }
        refused.close();
        let source = Source { journal: self.source.journal.clone().until(head), ..self.source.clone() };
        match load(&source, None) {
            Ok(loaded) => {
                tracing::warn!(replayed = loaded.replayed, "the view was opened again");
                self.mark = loaded.mark;
                self.views.replace(loaded.view);
                true
            }
            Err(flaw) => {
                tracing::error!(%flaw, "the view cannot be opened again yet");
                false
            }
        }
    }

    fn swap(&mut self, next: View, mut mark: Watermark) -> Result<Arc<View>, StoreError> {
        self.views.get().healthy()?;
        let journal = self.source.journal.clone().until(self.mark.head);
        follow(&next, &mut mark, &journal, &mut || Ok(())).map_err(|flaw| match flaw {
            Flaw::Fatal(error) => error,
            Flaw::View(_) => self.differs(),
        })?;
        if mark != self.mark { Err(self.differs()) } else { Ok(self.views.replace(next)) }
    }

    fn differs(&self) -> StoreError {
        StoreError::CompactionDiffers { dir: self.source.places.view.clone() }
    }

    fn check(&self) -> Result<Tally, StoreError> {
        let view = self.views.get();
        let stored = view.watermark()?;
        let tally = view.tally(|| {})?;
        if tally != self.mark.tally || !stored.map_or(self.mark.head.sequence == 0, |stored| stored == self.mark) {
            return Err(view.fail("rows are missing or too many".to_owned()));
        }
        Ok(tally)
    }
}
