//! Own statements that peers give back: verified against the own leaves, merged from what each was shown, and put
//! where they stood. What nobody holds stays an opaque leaf.

use eads_domain::disclosure::Disclosure;
use eads_domain::id::{MemberId, NoticeId};
use eads_domain::slot::{Fields as _, SlotNumber};
use eads_domain::statement::{Payload, Statement, leaf};
use eads_domain::value::Value;
use eads_store::port::{Batch, Scan};
use eads_store::vault::{MAX_VALUE_BYTES, Sealed};
use serde::{Deserialize, Serialize};

use super::returned::RegisterMark;
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::Referred;
use crate::register::STORED_SCHEMA;
use crate::rows::{self, Emergency, Holding, Life, OwnNotice, OwnVersion, PurgeJob};
use crate::search::Searchable;
use crate::stored::{ShownFields, StoredStatement};
use crate::sync::{Delivery, Disclosed};

/// The most lost entries, and recalled notices, that are listed.
const LISTED: usize = 1000;

/// An own notice that a peer says was withdrawn or suspended by an entry that was lost: its word, not a proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recalled {
    /// Who says so.
    pub member: MemberId,
    /// Index of the entry.
    pub index: u64,
    /// Withdrawn; else suspended.
    pub withdrawn: bool,
    /// What people cite; empty where the notice itself was lost.
    pub reference: String,
}

/// A statement that was given back and is this member's own.
struct Regained {
    index: u64,
    statement: Statement,
    stored: StoredStatement,
    content: ShownFields,
    version: u16,
}

impl Node {
    /// Takes back one statement, as far as `peer` was shown it.
    pub(super) async fn regain_statement(&self, peer: MemberId, delivery: Delivery) -> Result<(), ServiceError> {
        let (index, Some(disclosed)) = (delivery.index, delivery.disclosed) else { return Ok(()) };
        let statement = self
            .identity()
            .keys
            .statement(&disclosed.payload, &disclosed.signature)
            .map_err(ServiceError::from_peer)?;
        if self.register.leaf(index) != Some(statement.leaf()) {
            return Err(ServiceError::peer(
                "STATEMENT_NOT_IN_REGISTER",
                "the statement is not the one in the register",
            ));
        }
        if !statement.payload().action.describes_subject() {
            return Ok(());
        }
        let shown = disclosed.disclosure.as_ref().ok_or_else(|| {
            ServiceError::peer("DISCLOSURE_MISSING", "the statement carries content but none of its slots is shown")
        })?;
        let version = shown.verify(&statement).map_err(ServiceError::from_peer)?.version().unwrap_or_default();
        let addressed = disclosed.audience.as_ref().ok_or_else(|| {
            ServiceError::peer("AUDIENCE_MISSING", "the statement does not prove that it was addressed to this member")
        })?;
        addressed.verify(peer, &statement.payload().audience).map_err(ServiceError::from_peer)?;
        let _notices = self.notices.lock().await;
        let slots = shown.shown();
        let Some(stored) = self.merged(peer, index, disclosed).await? else { return Ok(()) };
        let content = stored.content()?;
        let regained = Regained { index, statement, stored, content, version };
        self.put_regained(peer, slots, regained).await
    }

    /// What is held of a statement already, and what `peer` was shown; none if it was destroyed here.
    async fn merged(
        &self,
        peer: MemberId,
        index: u64,
        disclosed: Disclosed,
    ) -> Result<Option<StoredStatement>, ServiceError> {
        let Disclosed { payload, signature, audience, disclosure, detail } = disclosed;
        let Disclosure { mut openings, mut commitments } =
            disclosure.unwrap_or_else(|| Disclosure { openings: Vec::new(), commitments: Vec::new() });
        let mut audience: Vec<_> = audience.map(|opening| (peer, opening)).into_iter().collect();
        match self.vault.get(area::OWN_CONTENT, &area::index(index)).await? {
            Some(Sealed::Destroyed) => return Ok(None),
            Some(Sealed::Plain { bytes, .. }) => {
                let held = StoredStatement::parse(&bytes)?;
                for opening in held.disclosure.openings {
                    if !openings.iter().any(|known| known.slot == opening.slot) {
                        commitments.retain(|(slot, _)| *slot != opening.slot);
                        openings.push(opening);
                    }
                }
                audience.extend(held.audience.into_iter().filter(|(member, _)| *member != peer));
            }
            None => {}
        }
        openings.sort_by_key(|opening| opening.slot.get());
        let disclosure = Disclosure { openings, commitments };
        let stored = StoredStatement { payload, signature, disclosure, audience, detail };
        Ok(Some(stored).filter(|stored| stored.to_bytes().len() <= MAX_VALUE_BYTES))
    }

    async fn put_regained(
        &self,
        peer: MemberId,
        slots: eads_domain::slot::SlotSet,
        regained: Regained,
    ) -> Result<(), ServiceError> {
        let Regained { index, statement, stored, content, version } = regained;
        let payload = statement.payload();
        let (notice, action) = (payload.notice, payload.action);
        let mut batch = Batch::new();
        let entry = [statement.leaf().as_bytes().as_slice(), &[action.byte()], notice.as_bytes()].concat();
        batch.put(area::OWN_ENTRY, area::index(index), entry);
        batch.delete(area::OPAQUE, area::index(index));
        let row = area::notice_index(notice, index);
        let before: Option<OwnVersion> = rows::get(&*self.store, area::OWN_VERSION, &row).await?;
        // Photographs do not come back: what was lost of them needs an amendment.
        let blobs = before.as_ref().map(|before| before.blobs.clone()).unwrap_or_default();
        if let Some(before) = before {
            self.queue_purge(&mut batch, &PurgeJob::Key { key: before.key })?;
        }
        let key = self.keys.allocate()?;
        self.vault
            .replace(&mut batch, area::OWN_CONTENT, &area::index(index), key, STORED_SCHEMA, &stored.to_bytes())
            .await?;
        let digest = statement.digest();
        let own = OwnVersion { action, version, key: key.into(), digest, destroyed: false, blobs };
        rows::put(&mut batch, area::OWN_VERSION, &row, &own)?;
        let holding_row = area::index_member(index, peer);
        if rows::get::<Holding>(&*self.store, area::HOLDING, &holding_row).await?.is_none() {
            let sent_at = payload.issued;
            let holding = Holding {
                notice,
                action,
                version,
                digest,
                slots,
                sent_at,
                receipt: None,
                undelivered: false,
                written_off: None,
            };
            rows::put(&mut batch, area::HOLDING, &holding_row, &holding)?;
        }
        let searchable = self.put_head(&mut batch, peer, index, &statement, &content, version).await?;
        if searchable == Some(true) {
            self.screen_own(&mut batch, notice, &content)?;
        }
        self.store.commit(batch).await?;
        match searchable {
            Some(true) => {
                self.indexes.own_notice(notice, &Searchable::of(&content));
                self.screen_due.notify_one();
            }
            Some(false) => self.own_is_over(notice),
            None => {}
        }
        self.purge_due.notify_one();
        Ok(())
    }

    /// The notice's head, as far as it can be told. Returns whether the notice is to be found, if that changes.
    async fn put_head(
        &self,
        batch: &mut Batch,
        peer: MemberId,
        index: u64,
        statement: &Statement,
        content: &ShownFields,
        version: u16,
    ) -> Result<Option<bool>, ServiceError> {
        let payload: &Payload = statement.payload();
        let notice = payload.notice;
        let head = self.own_notice(notice).await?;
        if let Some(head) = head.as_ref().filter(|head| head.content_index > index) {
            let mut head = head.clone();
            add(&mut head.ever_sent, peer);
            rows::put(batch, area::OWN_NOTICE, notice.as_bytes(), &head)?;
            return Ok(None);
        }
        let recalled: Option<Recalled> = rows::get(&*self.store, area::RECALLED, notice.as_bytes()).await?;
        let life = match (&head, &recalled) {
            (Some(head), _) if matches!(head.life, Life::Withdrawn | Life::Expired) => head.life,
            (_, Some(recalled)) if recalled.withdrawn => Life::Withdrawn,
            (_, Some(recalled)) if recalled.index > index => Life::Suspended,
            (Some(head), _) => head.life,
            (None, _) => Life::Issued,
        };
        let text = |slot| content.shown(slot).and_then(Value::as_text).unwrap_or_default().to_owned();
        let reference = head.as_ref().map_or_else(|| text(SlotNumber::REFERENCE), |head| head.reference.clone());
        let same = head.as_ref().filter(|head| head.content_index == index);
        let mut audience = same.map(|head| head.audience.clone()).unwrap_or_default();
        let mut ever_sent = head.as_ref().map(|head| head.ever_sent.clone()).unwrap_or_default();
        add(&mut audience, peer);
        add(&mut ever_sent, peer);
        let next = OwnNotice {
            kind: content.kind(),
            subject: content.subject(),
            life,
            version: head.as_ref().map_or(version, |head| head.version.max(version)),
            content_index: index,
            content_digest: statement.digest(),
            latest_index: head.as_ref().map_or(index, |head| head.latest_index.max(index)),
            issued: head.as_ref().map_or(payload.issued, |head| head.issued),
            not_after: payload.not_after,
            longest_not_after: head
                .as_ref()
                .map_or(payload.not_after, |head| head.longest_not_after.max(payload.not_after)),
            audience,
            ever_sent,
            exercise: content.is_exercise(),
            settled: false,
            emergency: content.is_emergency().then(|| Emergency {
                until: payload.issued.plus_seconds(self.limits.emergency_seconds),
                officer: String::new(),
            }),
            reference: reference.clone(),
        };
        self.put_emergency(batch, notice, head.as_ref(), Some(&next).filter(|next| next.life == Life::Issued));
        if let Some(head) = &head {
            batch.delete(area::EXPIRY, area::expiry(head.not_after.as_unix(), self.member, notice));
        }
        let in_force = matches!(life, Life::Issued | Life::Suspended);
        if in_force {
            batch.put(area::EXPIRY, area::expiry(payload.not_after.as_unix(), self.member, notice), []);
        } else {
            self.queue_purge(batch, &PurgeJob::Own { notice })?;
        }
        let referred = Referred { owner: self.member, notice };
        rows::put(batch, area::REFERENCE, &self.reference_key(&reference), &referred)?;
        rows::put(batch, area::OWN_NOTICE, notice.as_bytes(), &next)?;
        Ok(Some(in_force))
    }

    /// A peer says that an entry that was lost has withdrawn or suspended a notice: the safe direction needs no
    /// proof, but only for what was sent to it, and by an entry that it provably knows.
    pub(super) async fn regain_mark(&self, peer: MemberId, from: u64, mark: RegisterMark) -> Result<(), ServiceError> {
        if mark.index < from || self.register.leaf(mark.index) != Some(leaf(&mark.digest)) {
            return Ok(());
        }
        let _notices = self.notices.lock().await;
        let known: Option<Recalled> = rows::get(&*self.store, area::RECALLED, mark.notice.as_bytes()).await?;
        if known.is_some_and(|known| known.withdrawn || !mark.withdrawn) {
            return Ok(());
        }
        let head = self.own_notice(mark.notice).await?;
        if head.as_ref().is_some_and(|head| !head.ever_sent.contains(&peer)) {
            return Ok(());
        }
        let recalled = Recalled {
            member: peer,
            index: mark.index,
            withdrawn: mark.withdrawn,
            reference: head.as_ref().map(|head| head.reference.clone()).unwrap_or_default(),
        };
        let mut batch = Batch::new();
        batch.protective();
        rows::put(&mut batch, area::RECALLED, mark.notice.as_bytes(), &recalled)?;
        let mut withdrawn = false;
        if let Some(head) = head.filter(|head| matches!(head.life, Life::Issued | Life::Suspended)) {
            let latest_index = head.latest_index.max(mark.index);
            if mark.withdrawn {
                let next = OwnNotice { life: Life::Withdrawn, latest_index, ..head };
                batch.delete(area::EXPIRY, area::expiry(next.not_after.as_unix(), self.member, mark.notice));
                rows::put(&mut batch, area::OWN_NOTICE, mark.notice.as_bytes(), &next)?;
                self.queue_purge(&mut batch, &PurgeJob::Own { notice: mark.notice })?;
                self.forget_notice(&mut batch, self.member, mark.notice).await?;
                withdrawn = true;
            } else if mark.index > head.content_index {
                let next = OwnNotice { life: Life::Suspended, latest_index, ..head };
                rows::put(&mut batch, area::OWN_NOTICE, mark.notice.as_bytes(), &next)?;
            }
        }
        self.store.commit(batch).await?;
        if withdrawn {
            self.own_is_over(mark.notice);
            self.purge_due.notify_one();
            self.discard_all_of(mark.notice).await?;
        }
        let what = if mark.withdrawn { "withdrawn" } else { "suspended" };
        self.note_recovery("RecallNotice", peer, format!("{} {what} by entry {}", recalled.reference, mark.index)).await
    }

    /// Own entries whose content is lost: how many, and the first of them.
    pub(crate) async fn unrecovered(&self) -> Result<(u64, Vec<u64>), ServiceError> {
        let mut count = 0;
        let mut first = Vec::new();
        let mut pages = crate::pages::Pages::of(&*self.store, area::OPAQUE);
        while let Some(page) = pages.next().await? {
            count += page.len() as u64;
            let room = LISTED.saturating_sub(first.len());
            first.extend(page.iter().take(room).filter_map(|(key, _)| area::trailing_number(key)));
        }
        Ok((count, first))
    }

    /// Own notices that peers say were withdrawn or suspended by entries that were lost.
    pub(crate) async fn recalled(&self) -> Result<Vec<(NoticeId, Recalled)>, ServiceError> {
        let rows = self.store.scan(Scan::new(area::RECALLED, LISTED)).await?;
        rows.iter().map(|(key, value)| Ok((NoticeId::try_from(key.as_slice())?, rows::parse(value)?))).collect()
    }
}

fn add(members: &mut Vec<MemberId>, member: MemberId) {
    if !members.contains(&member) {
        members.push(member);
    }
}
