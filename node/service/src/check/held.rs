//! What is followed and held of peers: leaves under the peer's signed root, held statements under their leaves.

use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::receipt::Receipt;
use eads_domain::register::Frontier;
use eads_store::keys::KeySlot;
use eads_store::port::Scan;

use super::finding::Section;
use super::notices::leading_member;
use super::{Value, Walk, statement};
use crate::area;
use crate::error::ServiceError;
use crate::notices::split;
use crate::pages::Pages;
use crate::peers::{Peer, Peers};
use crate::rows::{Answered, Followed, HeldNotice, Mark, OwnNotice, OwnersState, PurgeJob};
use crate::stored::StoredStatement;

impl Walk<'_> {
    pub(super) async fn held(&self, section: &mut Section) -> Result<(), ServiceError> {
        let peers = match Peers::open(&self.vault).await {
            Ok(peers) => peers,
            Err(error) => {
                section.find("PEER_UNREADABLE", error.code().as_str());
                return Ok(());
            }
        };
        for peer in peers.all() {
            section.count("peers", 1);
            self.followed(section, &peer).await?;
            self.held_of(section, &peer).await?;
        }
        self.held_contents(section).await?;
        let mut pages = Pages::of(self.store(), area::MARK);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("withdrawal marks", 1);
                let _: Option<Mark> = self.parse(section, area::MARK, &origin_of(&key), &row);
            }
        }
        let mut pages = Pages::of(self.store(), area::OWNERS_STATE);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let _: Option<OwnersState> = self.parse(section, area::OWNERS_STATE, &origin_of(&key), &row);
            }
        }
        Ok(())
    }

    async fn followed(&self, section: &mut Section, peer: &Peer) -> Result<(), ServiceError> {
        let card = peer.card.card();
        let origin = card.member;
        let place = origin.to_string();
        let followed: Option<Followed> = self.row(section, area::FOLLOWED, origin.as_bytes(), &place).await?;
        let followed = followed.unwrap_or_default();
        let mut frontier = Frontier::new();
        let mut pages = Pages::of(self.store(), area::LEAVES).prefix(origin.as_bytes());
        'leaves: while let Some(page) = pages.next().await? {
            for (key, run) in page {
                let first = area::trailing_number(&key).unwrap_or(u64::MAX);
                // Leaves that arrived since the cursor was read.
                if first >= followed.register_cursor && self.on.running {
                    break 'leaves;
                }
                if first != frontier.size() || run.len() % 32 != 0 {
                    section.find("LEAF_MISSING", format!("{origin} from index {}", frontier.size()));
                    return Ok(());
                }
                frontier.extend(run.chunks_exact(32).filter_map(|leaf| Hash::try_from(leaf).ok()));
            }
        }
        section.count("leaves", frontier.size());
        let kept = if followed.frontier.is_empty() { None } else { Some(hex::encode(frontier.to_bytes())) };
        if frontier.size() != followed.register_cursor || kept.is_some_and(|kept| kept != followed.frontier) {
            section.find(
                "CURSOR_DIFFERS",
                format!("{origin}: {} leaves, cursor {}", frontier.size(), followed.register_cursor),
            );
        }
        if followed.checkpoint.is_empty() {
            return Ok(());
        }
        let signed =
            peer.keys.checkpoint(followed.checkpoint.as_bytes(), origin, card.register).map(|(signed, _)| signed);
        match signed {
            Err(_) => section.find("CHECKPOINT_INVALID", place),
            Ok(signed) => {
                let (size, root) = (signed.checkpoint().size, signed.checkpoint().root);
                // A restored node remembers a checkpoint whose leaves it still has to fetch.
                if frontier.size() == size && frontier.root() != root {
                    section.find("ROOT_DIFFERS", format!("{origin} at size {size}"));
                }
                if frontier.size() > size {
                    section.find("CURSOR_DIFFERS", format!("{origin}: cursor behind checkpoint {size}"));
                }
            }
        }
        Ok(())
    }

    async fn held_of(&self, section: &mut Section, peer: &Peer) -> Result<(), ServiceError> {
        let origin = peer.member();
        let mut pages = Pages::of(self.store(), area::HELD_NOTICE).prefix(origin.as_bytes());
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let Ok((_, notice)) = split(&key) else {
                    section.find("ROW_UNREADABLE", format!("held-notice {origin}"));
                    continue;
                };
                section.count("notices", 1);
                let place = format!("{origin} notice {notice}");
                if let Some(head) = self.parse::<HeldNotice>(section, area::HELD_NOTICE, &place, &row) {
                    self.held_notice(section, peer, notice, &head, &place).await?;
                }
            }
        }
        Ok(())
    }

    async fn held_notice(
        &self,
        section: &mut Section,
        peer: &Peer,
        notice: NoticeId,
        head: &HeldNotice,
        place: &str,
    ) -> Result<(), ServiceError> {
        let origin = peer.member();
        let ends = area::expiry(head.not_after.as_unix(), origin, notice);
        if self.store().get(area::EXPIRY, &ends).await?.is_none() {
            section.find("EXPIRY_MISSING", place);
        }
        let row = area::member_number(origin, head.content_index);
        let bytes = match self.open(section, area::HELD_CONTENT, &row, place).await? {
            Value::Plain(bytes) => bytes,
            Value::Destroyed => {
                section.find("VALUE_LOST", place);
                return Ok(());
            }
            Value::Absent => {
                section.find("CONTENT_MISSING", place);
                return Ok(());
            }
            Value::Unopened => return Ok(()),
        };
        let Some(leaf) = self.held_leaf(origin, head.content_index).await? else {
            section.find("LEAF_MISSING", format!("{origin} index {}", head.content_index));
            return Ok(());
        };
        match statement(&bytes, &peer.keys, leaf) {
            Ok((statement, stored)) => {
                section.count("statements verified", 1);
                let said = (statement.payload().notice, statement.digest(), stored.shown());
                if said != (notice, head.content_digest, head.slots) {
                    section.find("HEAD_DIFFERS", place);
                }
            }
            Err(error) => section.find("STATEMENT_INVALID", format!("{place}: {}", error.code())),
        }
        Ok(())
    }

    async fn held_leaf(&self, origin: MemberId, index: u64) -> Result<Option<Hash>, ServiceError> {
        let mut scan = Scan::new(area::LEAVES, 1).prefix(*origin.as_bytes()).reverse();
        scan.after = index.checked_add(1).map(|next| area::member_number(origin, next));
        let Some((key, run)) = self.store().scan(scan).await?.pop() else { return Ok(None) };
        let first = area::trailing_number(&key).unwrap_or_default();
        let offset = usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX).saturating_mul(32);
        Ok(run.get(offset..offset.saturating_add(32)).and_then(|leaf| Hash::try_from(leaf).ok()))
    }

    /// Every content belongs to a notice that is held, or to a job that will destroy it.
    async fn held_contents(&self, section: &mut Section) -> Result<(), ServiceError> {
        let mut pages = Pages::of(self.store(), area::HELD_CONTENT);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                let (Some(origin), Some(index)) = (leading_member(&key), area::trailing_number(&key)) else {
                    section.find("ROW_UNREADABLE", "held-content");
                    continue;
                };
                let place = format!("{origin} index {index}");
                let Ok(slot) = self.vault.slot_of(area::HELD_CONTENT, &row) else {
                    section.find("VALUE_DAMAGED", format!("held-content {place}"));
                    continue;
                };
                let job = [b"k".as_slice(), &slot.to_bytes()].concat();
                if self.store().get(area::PURGE, &job).await?.is_some() {
                    continue;
                }
                let Value::Plain(bytes) = self.open(section, area::HELD_CONTENT, &key, &place).await? else {
                    continue;
                };
                let notice = StoredStatement::parse(&bytes)
                    .ok()
                    .and_then(|stored| eads_domain::statement::Payload::parse(&stored.payload).ok())
                    .map(|payload| payload.notice);
                let head: Option<HeldNotice> = match notice {
                    Some(notice) => {
                        self.row(section, area::HELD_NOTICE, &area::member_notice(origin, notice), &place).await?
                    }
                    None => None,
                };
                if head.is_none_or(|head| head.content_index != index) {
                    section.find("CONTENT_ORPHAN", format!("held-content {place}"));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn jobs(&self, section: &mut Section) -> Result<(), ServiceError> {
        let mut pages = Pages::of(self.store(), area::EXPIRY);
        while let Some(page) = pages.next().await? {
            for (key, _) in page {
                section.count("ends of validity", 1);
                self.expiry(section, &key).await?;
            }
        }
        let mut pages = Pages::of(self.store(), area::PURGE);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("keys to be destroyed", 1);
                let place = hex::encode(&key);
                let Some(job) = self.parse::<PurgeJob>(section, area::PURGE, &place, &row) else { continue };
                let slot: Option<KeySlot> = match job {
                    PurgeJob::Held { key, .. } | PurgeJob::Key { key } => Some(key.into()),
                    PurgeJob::Blob { blob } => Some(blob.key.into()),
                    PurgeJob::Own { .. } => None,
                };
                if let Some(slot) = slot
                    && self.is_destroyed(slot).await?.is_none()
                {
                    section.find("KEY_UNKNOWN", format!("purge {place}"));
                }
            }
        }
        let mut pages = Pages::of(self.store(), area::OWED);
        while let Some(page) = pages.next().await? {
            for (key, part) in page {
                section.count("receipts owed", 1);
                if Receipt::parse(&part).is_err() {
                    section.find("ROW_UNREADABLE", format!("owed {}", origin_of(&key)));
                }
            }
        }
        let mut pages = Pages::of(self.store(), area::ANSWERED);
        while let Some(page) = pages.next().await? {
            for (key, row) in page {
                section.count("answers", 1);
                let _: Option<Answered> = self.parse(section, area::ANSWERED, &origin_of(&key), &row);
            }
        }
        Ok(())
    }

    async fn expiry(&self, section: &mut Section, key: &[u8]) -> Result<(), ServiceError> {
        let parsed =
            key.get(8..10).and_then(leading_member).zip(key.get(10..).and_then(|id| NoticeId::try_from(id).ok()));
        let Some((owner, notice)) = parsed else {
            section.find("ROW_UNREADABLE", "expiry");
            return Ok(());
        };
        let place = format!("{owner} notice {notice}");
        let not_after = if owner == self.on.member {
            let head: Option<OwnNotice> = self.row(section, area::OWN_NOTICE, notice.as_bytes(), &place).await?;
            head.map(|head| head.not_after)
        } else {
            let at = area::member_notice(owner, notice);
            let head: Option<HeldNotice> = self.row(section, area::HELD_NOTICE, &at, &place).await?;
            head.map(|head| head.not_after)
        };
        if not_after.is_none_or(|at| area::expiry(at.as_unix(), owner, notice) != key) {
            section.find("EXPIRY_ORPHAN", place);
        }
        Ok(())
    }
}

/// The member at the start of a key, for places.
fn origin_of(key: &[u8]) -> String {
    leading_member(key).map_or_else(|| "of nobody".to_owned(), |member| member.to_string())
}
