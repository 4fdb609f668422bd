//! Own notices with all that refers to them, and what their peers were sent.

use std::collections::BTreeSet;

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::receipt::RECEIPT_BYTES;
use eads_domain::statement::Action;

use super::Walk;
use super::finding::Section;
use super::own::EntryRow;
use crate::area;
use crate::error::ServiceError;
use crate::notices::Referred;
use crate::pages::Pages;
use crate::peers::Peers;
use crate::rows::{DeliveryKind, DeliveryRow, Holding, Life, OwnNotice, OwnVersion, PurgeJob};

impl Walk<'_> {
    pub(super) async fn own_notices(&self, section: &mut Section) -> Result<(), ServiceError> {
        let mut pages = Pages::of(self.store(), area::OWN_NOTICE);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let Ok(notice) = NoticeId::try_from(key.as_slice()) else {
                    section.find("ROW_UNREADABLE", "own-notice");
                    continue;
                };
                section.count("notices", 1);
                let place = format!("notice {notice}");
                if let Some(head) = self.parse::<OwnNotice>(section, area::OWN_NOTICE, &place, &row) {
                    self.own_notice(section, notice, &head, &place).await?;
                }
            }
        }
        let mut pages = Pages::of(self.store(), area::OWN_VERSION);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("versions", 1);
                let index = area::trailing_number(&key).unwrap_or(u64::MAX);
                let place = format!("index {index}");
                let _: Option<OwnVersion> = self.parse(section, area::OWN_VERSION, &place, &row);
                let entry = self.entry(index).await?;
                let about = entry.and_then(|entry| entry.about).map(|(_, notice)| notice);
                if about.as_ref().map(|notice| notice.as_bytes().as_slice()) != key.get(..16) {
                    section.find("VERSION_ORPHAN", place);
                }
            }
        }
        let mut pages = Pages::of(self.store(), area::OWN_CONTENT);
        while let Some(page) = pages.next().await? {
            for (key, _) in page {
                let index = area::trailing_number(&key).unwrap_or(u64::MAX);
                if self.entry(index).await?.is_none_or(|entry| entry.about.is_none()) {
                    section.find("CONTENT_ORPHAN", format!("own-content {index}"));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn entry(&self, index: u64) -> Result<Option<EntryRow>, ServiceError> {
        Ok(self.store().get(area::OWN_ENTRY, &area::index(index)).await?.and_then(|row| EntryRow::parse(&row)))
    }

    async fn own_notice(
        &self,
        section: &mut Section,
        notice: NoticeId,
        head: &OwnNotice,
        place: &str,
    ) -> Result<(), ServiceError> {
        let version = |index| area::notice_index(notice, index);
        let content: Option<OwnVersion> =
            self.row(section, area::OWN_VERSION, &version(head.content_index), place).await?;
        let latest: Option<OwnVersion> =
            self.row(section, area::OWN_VERSION, &version(head.latest_index), place).await?;
        // What ended or suspended a notice may be an entry that was lost: then a peer's word says so.
        let lost = |entry: Option<EntryRow>| entry.is_some_and(|entry| entry.about.is_none());
        if content.is_none() || (latest.is_none() && !lost(self.entry(head.latest_index).await?)) {
            section.find("VERSION_MISSING", place);
        }
        let follows = content.as_ref().is_none_or(|content| {
            content.digest == head.content_digest && matches!(content.action, Action::Issue | Action::Amend)
        });
        if !follows || head.latest_index < head.content_index {
            section.find("HEAD_DIFFERS", place);
        }
        let referred: Option<Referred> = self
            .row(section, area::REFERENCE, &self.on.keys.mac("reference", head.reference.as_bytes()), place)
            .await?;
        if referred.is_none_or(|referred| (referred.owner, referred.notice) != (self.on.member, notice)) {
            section.find("REFERENCE_MISSING", place);
        }
        match head.life {
            Life::Issued | Life::Suspended => {
                section.count("in force or suspended", 1);
                let ends = area::expiry(head.not_after.as_unix(), self.on.member, notice);
                if self.store().get(area::EXPIRY, &ends).await?.is_none() {
                    section.find("EXPIRY_MISSING", place);
                }
                let alone = head.emergency.as_ref().filter(|_| head.life == Life::Issued);
                if let Some(emergency) = alone {
                    let lapses = area::time_notice(emergency.until.as_unix(), notice);
                    if self.store().get(area::EMERGENCY, &lapses).await?.is_none() {
                        section.find("EMERGENCY_MISSING", place);
                    }
                }
                if content.is_some_and(|content| content.destroyed) {
                    section.find("HEAD_DIFFERS", place);
                }
            }
            Life::Withdrawn | Life::Expired => {
                section.count("ended", 1);
                let gone = content.is_none_or(|content| content.destroyed);
                let job = PurgeJob::Own { notice }.row_key();
                if !gone && self.store().get(area::PURGE, &job).await?.is_none() {
                    section.find("PURGE_MISSING", place);
                }
            }
        }
        Ok(())
    }

    pub(super) async fn deliveries(&self, section: &mut Section) -> Result<(), ServiceError> {
        let mut at: Option<(MemberId, u64, u64)> = None;
        let mut pages = Pages::of(self.store(), area::DELIVERY);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("deliveries", 1);
                let (Some(peer), Some(sequence)) = (leading_member(&key), area::trailing_number(&key)) else {
                    section.find("ROW_UNREADABLE", "delivery");
                    continue;
                };
                let place = format!("{peer} {sequence}");
                let (_, next, urgent) = at.filter(|(member, ..)| *member == peer).unwrap_or((peer, 0, 0));
                if sequence != next {
                    section.find("DELIVERY_GAP", place.clone());
                }
                let Some(row) = self.parse::<DeliveryRow>(section, area::DELIVERY, &place, &row) else {
                    at = Some((peer, sequence + 1, urgent));
                    continue;
                };
                if row.urgent_before != urgent {
                    section.find("DELIVERY_URGENT", place.clone());
                }
                at = Some((peer, sequence + 1, if row.urgent { sequence + 1 } else { row.urgent_before }));
                if row.kind == DeliveryKind::Empty {
                    continue;
                }
                if self.entry(row.index).await?.is_none() {
                    section.find("DELIVERY_ORPHAN", place.clone());
                }
                if self.store().get(area::HOLDING, &area::index_member(row.index, peer)).await?.is_none() {
                    section.find("HOLDING_MISSING", place);
                }
            }
        }
        self.holdings(section).await?;
        self.receipts(section).await
    }

    async fn holdings(&self, section: &mut Section) -> Result<(), ServiceError> {
        let mut pages = Pages::of(self.store(), area::HOLDING);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("holdings", 1);
                let index = key.first_chunk::<8>().map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes));
                let place = format!("index {index}");
                let Some(holding) = self.parse::<Holding>(section, area::HOLDING, &place, &row) else { continue };
                let version: Option<OwnVersion> =
                    self.row(section, area::OWN_VERSION, &area::notice_index(holding.notice, index), &place).await?;
                let same =
                    version.is_some_and(|version| (version.digest, version.action) == (holding.digest, holding.action));
                if !same {
                    section.find("HOLDING_DIFFERS", place);
                }
            }
        }
        Ok(())
    }

    async fn receipts(&self, section: &mut Section) -> Result<(), ServiceError> {
        let Ok(peers) = Peers::open(&self.vault).await else { return Ok(()) };
        let mut unknown = BTreeSet::new();
        let mut pages = Pages::of(self.store(), area::RECEIPT);
        while let Some(page) = pages.next().await? {
            for (key, bytes) in page {
                let Some(member) = leading_member(&key) else {
                    section.find("ROW_UNREADABLE", "receipt");
                    continue;
                };
                let Some(peer) = peers.get(member) else {
                    unknown.insert(member);
                    continue;
                };
                section.count("signed receipts", 1);
                let verified = bytes.split_first_chunk::<64>().map(|(signature, parts)| {
                    let parts: Vec<Vec<u8>> = parts.chunks(RECEIPT_BYTES).map(<[u8]>::to_vec).collect();
                    peer.keys.receipts(&parts, signature, member).is_ok()
                });
                if verified != Some(true) {
                    section.find(
                        "RECEIPT_INVALID",
                        format!("{member} {}", hex::encode(key.get(2..6).unwrap_or_default())),
                    );
                }
            }
        }
        for member in unknown {
            section.find("RECEIPT_INVALID", format!("{member} is no peer"));
        }
        Ok(())
    }
}

pub(super) fn leading_member(key: &[u8]) -> Option<MemberId> {
    key.first_chunk::<2>().and_then(|bytes| MemberId::from_bytes(*bytes).ok())
}
