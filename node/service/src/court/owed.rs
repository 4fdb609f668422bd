//! Purge receipts that are owed to this member, since when, and the alarm when one does not come.

use eads_domain::clock::Timestamp;
use eads_domain::id::{MemberId, NoticeId};
use eads_domain::statement::Action;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::{self, Holding, Life, OwnNotice};

/// Alarms of this kind begin so.
const ALARM: &str = "PURGE_OWED";

/// Since when a peer owes the purge of a content that it was sent, by what it was sent later; none if it owes
/// nothing. `holdings` is everything of one notice and one peer, in order of the register.
pub(crate) fn owed_since(head: &OwnNotice, holdings: &[(u64, Holding)], at: usize) -> Option<Timestamp> {
    let (_, holding) = holdings.get(at)?;
    if !holding.action.describes_subject() || holding.is_settled() {
        return None;
    }
    let later = holdings.get(at + 1..).unwrap_or_default();
    let ending = later.iter().find(|(_, later)| match later.action {
        Action::Amend | Action::Withdraw => true,
        Action::Retract => holding.slots.is_empty(),
        _ => false,
    });
    let expired = (head.life == Life::Expired).then_some(head.not_after);
    ending.map(|(_, later)| later.sent_at).or(expired)
}

impl Node {
    /// What `member` was sent of an own notice, in order of the register.
    pub(crate) async fn holdings_of(
        &self,
        notice: NoticeId,
        member: MemberId,
    ) -> Result<Vec<(u64, Holding)>, ServiceError> {
        let mut holdings = Vec::new();
        for (index, _) in self.own_versions(notice).await? {
            let key = area::index_member(index, member);
            if let Some(holding) = rows::get::<Holding>(&*self.store, area::HOLDING, &key).await? {
                holdings.push((index, holding));
            }
        }
        Ok(holdings)
    }

    /// Raises an alarm for each peer that has owed a purge receipt for too long, and takes back those that are over.
    pub(crate) async fn look_for_owed(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let late = now.plus_seconds(-self.limits.purge_owed_seconds);
        let mut owing: std::collections::BTreeMap<MemberId, (u64, Timestamp, String)> = Default::default();
        let mut pages = Pages::of(&*self.store, area::OWN_NOTICE);
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let head: OwnNotice = rows::parse(value)?;
                // One version in force has nothing that is to be purged; one that is settled, nothing left.
                if head.settled || (head.latest_index == head.content_index && head.version == 1) {
                    let ended = matches!(head.life, Life::Withdrawn | Life::Expired);
                    if head.settled || !ended {
                        continue;
                    }
                }
                let notice = NoticeId::try_from(key.as_slice())?;
                for member in &head.ever_sent {
                    let holdings = self.holdings_of(notice, *member).await?;
                    for at in 0..holdings.len() {
                        let Some(since) = owed_since(&head, &holdings, at).filter(|since| *since <= late) else {
                            continue;
                        };
                        let one = owing.entry(*member).or_insert((0, since, head.reference.clone()));
                        one.0 += 1;
                        if since < one.1 {
                            (one.1, one.2) = (since, head.reference.clone());
                        }
                    }
                }
            }
        }
        for peer in self.peers.all() {
            let member = peer.member();
            match owing.get(&member) {
                Some((count, since, reference)) => self.alarms.raise(
                    &format!("{ALARM}:{member}"),
                    now,
                    format!(
                        "{member} has not receipted the destruction of {count} contents, the oldest since {since}: \
                         `eads notice status {reference}`"
                    ),
                ),
                None => self.alarms.clear(&format!("{ALARM}:{member}")),
            }
        }
        Ok(())
    }
}
