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
    /// A record that is durable: what each of its batches left, in order.
    Apply { outcomes: Vec<Outcome>, head: Head, reply: Reply<Sequence> },
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
                Task::Apply { outcomes, head, reply } => {
                    let applied = self.apply(&outcomes, head);
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

    /// Applies the batches of one record one by one. Only the last moves the mark: after a crash in between, the
    /// record is applied anew, and rows that already are as it left them count as they are.
    fn apply(&mut self, outcomes: &[Outcome], head: Head) -> Result<(), StoreError> {
        let last = outcomes.len().saturating_sub(1);
        for (number, outcome) in outcomes.iter().enumerate() {
            // Mending may have brought it here already.
            if head.sequence <= self.mark.head.sequence {
                return Ok(());
            }
            let reached = if number == last { head } else { self.mark.head };
            self.apply_batch(outcome, reached, head)?;
        }
        Ok(())
    }

    /// One batch of the record `head`, after which the mark stands at `reached`.
    ///
    /// After damage the view refuses everything by itself, so that no commit is applied over a gap. After a refusal of
    /// the disk the commit waits: it is durable, so that it must not be answered with an error while there is hope.
    fn apply_batch(&mut self, outcome: &Outcome, reached: Head, head: Head) -> Result<(), StoreError> {
        self.ballast.ease_if_short();
        let view = self.views.get();
        let mut applied = view.apply(outcome, reached, &mut self.mark);
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

#[cfg(test)]
mod tests {
    use eads_domain::id::Hash;

    use super::*;
    use crate::port::{Area, Batch};

    const AREA: Area = Area::new(9, 1, "test");

    #[test]
    fn a_record_that_was_applied_half_is_applied_anew_and_leaves_what_a_whole_one_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let view = View::open(&dir.path().join("view"), &dir.path().join("marker"), 1024 * 1024).unwrap();
        let genesis = Head { sequence: 0, chain: Hash::from_bytes([0; 32]) };
        let head = Head { sequence: 1, chain: Hash::from_bytes([1; 32]) };
        let (mut first, mut second, mut third) = (Batch::new(), Batch::new(), Batch::new());
        first.put(AREA, b"a", b"1").put(AREA, b"b", b"1");
        second.put(AREA, b"b", b"2").put(AREA, b"c", b"1");
        third.delete(AREA, b"a").put(AREA, b"d", b"1");

        let mut mark = Watermark { head: genesis, tally: Tally::default() };
        for batch in [&first, &second] {
            view.apply(&Outcome::from(batch), genesis, &mut mark).unwrap();
        }
        // Here it was interrupted. The mark still stands before the record, with the number and sum of the rows.
        let mut mark = view.watermark().unwrap().unwrap();
        assert_eq!(mark.head, genesis);
        assert_eq!(view.tally(|| {}).unwrap(), mark.tally);

        // A start applies the whole record as one.
        let mut whole = Batch::new();
        for batch in [first, second, third] {
            whole.append(batch);
        }
        view.apply(&Outcome::from(&whole), head, &mut mark).unwrap();
        assert_eq!((mark.head, view.tally(|| {}).unwrap()), (head, mark.tally));
        let values: Vec<_> = [b"a", b"b", b"c", b"d"].map(|key| view.get(AREA, key).unwrap()).into();
        let [one, two] = [b"1".to_vec(), b"2".to_vec()];
        assert_eq!(values, [None, Some(two), Some(one.clone()), Some(one)]);
    }
}
