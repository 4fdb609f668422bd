//! What comes up for review: the end of validity is the review date of a notice.

use eads_domain::clock::Timestamp;
use eads_domain::id::NoticeId;
use eads_domain::slot::SlotSet;
use eads_store::port::Scan;

use super::NoticeView;
use crate::area;
use crate::audit::Shown;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::Life;

const PAGE: usize = 1000;
/// The most that one answer lists.
const MOST: usize = 10_000;
const DAY: i64 = 86_400;
/// Days before the review date at which an administrator is reminded.
const REMINDERS: (i64, i64) = (30, 7);

/// How many own notices come up for review.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueCount {
    /// Within thirty days.
    pub soon: usize,
    /// Of these within seven.
    pub at_once: usize,
}

impl Node {
    /// Own notices whose validity ends within so many days, the first to end first.
    ///
    /// # Errors
    /// When store or audit fail.
    pub async fn due_notices(&self, call: &Call, within_days: u32) -> Result<Vec<NoticeView>, ServiceError> {
        let intent = self.audit.intent(self.entry(call, "ListDue")).await?;
        let outcome = self.due_views(self.clock.now().plus_seconds(i64::from(within_days) * DAY)).await;
        match &outcome {
            Ok(views) => {
                let shown = views.iter().map(|v| Shown { digest: v.digest, slots: SlotSet::EMPTY }).collect();
                self.audit.outcome(&intent, "OK", shown).await?;
            }
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome
    }

    async fn due_views(&self, until: Timestamp) -> Result<Vec<NoticeView>, ServiceError> {
        let mut views = Vec::new();
        for (_, notice) in self.due(until).await? {
            let Some(head) = self.own_notice(notice).await? else { continue };
            if matches!(head.life, Life::Issued | Life::Suspended) {
                views.push(self.own_view(notice, &head).await?.0);
            }
        }
        Ok(views)
    }

    /// How many own notices come up for review, for the reminders.
    pub(crate) async fn due_count(&self) -> Result<DueCount, ServiceError> {
        let now = self.clock.now();
        let (soon, at_once) = REMINDERS;
        let due = self.due(now.plus_seconds(soon * DAY)).await?;
        let near = now.plus_seconds(at_once * DAY).as_unix();
        Ok(DueCount { soon: due.len(), at_once: due.iter().filter(|(at, _)| *at <= near).count() })
    }

    /// Own notices whose validity ends by `until`, in that order; bounded.
    async fn due(&self, until: Timestamp) -> Result<Vec<(i64, NoticeId)>, ServiceError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let mut scan = Scan::new(area::EXPIRY, PAGE);
            scan.after = after.take();
            let page = self.store.scan(scan).await?;
            for (key, _) in &page {
                let at = key.first_chunk::<8>().map_or(i64::MAX, |bytes| i64::from_be_bytes(*bytes));
                if at > until.as_unix() || found.len() >= MOST {
                    return Ok(found);
                }
                let is_own = key.get(8..10) == Some(self.member.as_bytes().as_slice());
                if let (true, Some(notice)) = (is_own, key.get(10..).and_then(|id| NoticeId::try_from(id).ok())) {
                    found.push((at, notice));
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
                _ => return Ok(found),
            }
        }
    }
}
