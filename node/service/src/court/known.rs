//! Which statements of a notice are known here, and what is left of each.

use std::collections::BTreeSet;

use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_store::vault::Sealed;

use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::rows::{self, Answered, HeldNotice};
use crate::stored::StoredStatement;

/// A statement of a notice, as far as it is known here.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) index: u64,
    /// Absent for a peer's whose content is gone.
    pub(crate) action: Option<&'static str>,
    pub(crate) version: u16,
    pub(crate) digest: Hash,
    pub(crate) content: Option<StoredStatement>,
    /// What was answered to a peer's.
    pub(crate) answered: Option<Answered>,
}

impl Node {
    /// Every statement of a notice that is known, in order of its register.
    pub(crate) async fn known_statements(&self, owner: MemberId, notice: NoticeId) -> Result<Vec<Known>, ServiceError> {
        if owner == self.member { self.known_own(notice).await } else { self.known_held(owner, notice).await }
    }

    async fn known_own(&self, notice: NoticeId) -> Result<Vec<Known>, ServiceError> {
        let mut known = Vec::new();
        for (index, version) in self.own_versions(notice).await? {
            let content = match self.vault.get(area::OWN_CONTENT, &area::index(index)).await? {
                Some(Sealed::Plain { bytes, .. }) => Some(StoredStatement::parse(&bytes)?),
                Some(Sealed::Destroyed) | None => None,
            };
            known.push(Known {
                index,
                action: Some(version.action.as_str()),
                version: version.version,
                digest: version.digest,
                content,
                answered: None,
            });
        }
        Ok(known)
    }

    async fn known_held(&self, owner: MemberId, notice: NoticeId) -> Result<Vec<Known>, ServiceError> {
        let mut known = Vec::new();
        for (index, answered) in self.answered_of(owner, notice).await? {
            let row = area::member_number(owner, index);
            let content = match self.vault.get(area::HELD_CONTENT, &row).await? {
                Some(Sealed::Plain { bytes, .. }) => Some(StoredStatement::parse(&bytes)?),
                Some(Sealed::Destroyed) | None => None,
            };
            let payload =
                content.as_ref().and_then(|stored| eads_domain::statement::Payload::parse(&stored.payload).ok());
            known.push(Known {
                index,
                action: payload.map(|payload| payload.action.as_str()),
                version: 0,
                digest: answered.digest,
                content,
                answered: Some(answered),
            });
        }
        Ok(known)
    }

    /// What was answered to the statements of a peer's notice.
    pub(crate) async fn answered_of(
        &self,
        owner: MemberId,
        notice: NoticeId,
    ) -> Result<Vec<(u64, Answered)>, ServiceError> {
        let mut found = Vec::new();
        let mut pages = Pages::of(&*self.store, area::ANSWERED).prefix(owner.as_bytes());
        while let Some(page) = pages.next().await? {
            for (key, value) in &page {
                let answered: Answered = rows::parse(value)?;
                if let Some(index) = area::trailing_number(key).filter(|_| answered.notice == notice) {
                    found.push((index, answered));
                }
            }
        }
        Ok(found)
    }

    /// How much of a notice would be destroyed by now, and whether anything of it is left at all.
    pub(crate) async fn left_of(&self, owner: MemberId, notice: NoticeId) -> Result<(u64, bool), ServiceError> {
        if owner == self.member {
            let due = self.ended_versions(notice).await?.len() as u64;
            let left = self.own_versions(notice).await?.iter().any(|(_, version)| !version.destroyed);
            return Ok((due, left));
        }
        let head: Option<HeldNotice> =
            rows::get(&*self.store, area::HELD_NOTICE, &area::member_notice(owner, notice)).await?;
        let in_use: BTreeSet<u64> = head.iter().map(|head| head.content_index).collect();
        let mut due = 0;
        for (index, _) in self.answered_of(owner, notice).await? {
            let row = self.store.get(area::HELD_CONTENT, &area::member_number(owner, index)).await?;
            due += u64::from(row.is_some() && !in_use.contains(&index));
        }
        Ok((due, due > 0 || head.is_some()))
    }
}
