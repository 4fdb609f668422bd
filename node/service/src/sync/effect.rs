//! What one verified statement changes here: a table of actions, each a set of rows in the caller's transaction.

use std::sync::Arc;

use eads_domain::agreement::Decision;
use eads_domain::disclosure::DisclosedContent;
use eads_domain::id::{MemberId, NoticeId};
use eads_domain::receipt::{ReceiptReason, ReceiptStatus};
use eads_domain::slot::{Fields as _, SlotNumber, needs_legal_review};
use eads_domain::statement::{Action, Payload, RetractDetail};
use eads_domain::value::Value;
use eads_store::port::Batch;
use eads_store::vault::MAX_VALUE_BYTES;

use super::known::Known;
use super::verify::{Says, Verified, Word};
use crate::area;
use crate::desk::{self, DeskRow};
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::Referred;
use crate::peers::{Peer, PeerState};
use crate::rows::{self, Answered, HeldDecision, HeldNotice, Key, Mark, OwnersState, PurgeJob};
use crate::search::Searchable;

const HELD_SCHEMA: u16 = 1;

/// What is to be done once the transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) index: Option<(MemberId, NoticeId, Option<Searchable>)>,
    pub(super) purge: bool,
    /// Notices are to be compared.
    pub(super) screen: bool,
    pub(super) receipts: bool,
    /// Photographs are wanted.
    pub(super) blobs: bool,
}

impl Verified {
    /// Notices whose rows the effect reads and writes.
    pub(super) fn notices(&self) -> Vec<NoticeId> {
        self.word.iter().map(|word| word.statement.payload().notice).collect()
    }
}

impl Node {
    /// Puts what a delivery changes into `batch`. The caller holds the origin's lock and commits.
    pub(super) async fn effect(
        &self,
        peer: &Arc<Peer>,
        delivery: Verified,
        known: &Known,
        batch: &mut Batch,
    ) -> Result<Effect, ServiceError> {
        let origin = peer.member();
        let Verified { sequence, index, word, blob } = delivery;
        if let Some(slot) = blob {
            return self.blobs_announced(batch, origin, index, slot).await;
        }
        let Some(word) = word else { return Ok(Effect::default()) };
        let key = area::member_number(origin, index);
        let answered: Option<Answered> = known.get(&*self.store, area::ANSWERED, &key).await?;
        // What protects people is never taken for a repetition of something else: a register that has forked has
        // two entries at one index.
        let digest = word.statement.digest();
        let protects = peer.state == PeerState::Frozen && word.statement.payload().action.is_protective();
        let repeats = |answered: &Answered| answered.sequence >= sequence && (!protects || answered.digest == digest);
        if let Some(answered) = answered.filter(repeats) {
            self.owe_again(batch, origin, index, &answered)?;
            return Ok(Effect { receipts: true, ..Effect::default() });
        }
        let applying = Applied { origin, sequence, index, payload: word.statement.payload().clone() };
        let mut effect = match &word.says {
            Says::Register => self.answer(batch, &applying, &word, ReceiptStatus::Accepted, ReceiptReason::NONE)?,
            Says::Refused(reason, text) => {
                self.alarms.raise(
                    &format!("STATEMENT_REFUSED:{origin}"),
                    self.clock.now(),
                    format!("{origin} sent a statement at index {index} that breaks a rule: {text}"),
                );
                self.answer(batch, &applying, &word, ReceiptStatus::Rejected, *reason)?
            }
            Says::Retract(detail) => self.retracted(batch, &applying, &word, detail).await?,
            Says::Content(content) => self.content_arrived(batch, peer, &applying, &word, content, known).await?,
            Says::State if applying.payload.action == Action::Withdraw => {
                self.withdrawn(batch, &applying, &word).await?
            }
            // A frozen or removed origin can still protect people, but not take that back.
            Says::State if applying.payload.action == Action::Resume && !peer.is_accepted() => {
                self.answer(batch, &applying, &word, ReceiptStatus::Rejected, ReceiptReason::ORIGIN_FROZEN)?
            }
            Says::State => self.state_changed(batch, &applying, &word).await?,
        };
        effect.receipts = true;
        Ok(effect)
    }

    /// What the transaction asked for, now that it is durable.
    pub(super) fn after(&self, effect: Effect) {
        match effect.index {
            Some((origin, notice, Some(searchable))) => {
                self.indexes.held_notice(origin, notice, &searchable);
                self.marks.waits(origin, notice, searchable.is_for_desk());
            }
            Some((origin, notice, None)) => self.held_is_gone(origin, notice),
            None => {}
        }
        if effect.screen {
            self.screen_due.notify_one();
        }
        if effect.purge {
            self.purge_due.notify_one();
        }
        if effect.receipts {
            self.receipts_due.send_modify(|due| *due += 1);
        }
        if effect.blobs {
            self.blobs_due.send_modify(|due| *due += 1);
        }
    }

    fn answer(
        &self,
        batch: &mut Batch,
        applying: &Applied,
        word: &Word,
        status: ReceiptStatus,
        reason: ReceiptReason,
    ) -> Result<Effect, ServiceError> {
        let answered = Answered {
            notice: applying.payload.notice,
            sequence: applying.sequence,
            status: status.as_byte(),
            reason: reason.number(),
            digest: word.statement.digest(),
            slots: word.stored.shown(),
            at: self.clock.now(),
        };
        self.owe_receipt(batch, applying.origin, applying.index, &answered)?;
        Ok(Effect::default())
    }

    async fn content_arrived(
        &self,
        batch: &mut Batch,
        peer: &Peer,
        applying: &Applied,
        word: &Word,
        content: &DisclosedContent,
        known: &Known,
    ) -> Result<Effect, ServiceError> {
        let Applied { origin, index, payload, .. } = applying;
        let (origin, index) = (*origin, *index);
        let notice_key = area::member_notice(origin, payload.notice);
        let held: Option<HeldNotice> = known.get(&*self.store, area::HELD_NOTICE, &notice_key).await?;
        let withdrawn = known.row(&*self.store, area::MARK, &notice_key).await?.is_some();
        let bytes = word.stored.to_bytes();
        let agreed = peer.agreement.as_ref().map(|agreement| agreement.decision(content.kind()));
        let decided: Option<DeskRow> = known.get(&*self.store, area::DESK, &notice_key).await?;
        let digest = word.statement.digest();
        let (decision, by_desk) = desk::on_arrival(agreed, decided.as_ref(), digest, needs_legal_review(content));
        let refusal = if !peer.is_accepted() {
            Some(ReceiptReason::ORIGIN_FROZEN)
        } else if withdrawn {
            Some(ReceiptReason::WITHDRAWN_BEFORE)
        } else if held.as_ref().is_some_and(|held| held.content_index > index) {
            Some(ReceiptReason::SUPERSEDED_BEFORE)
        } else if payload.not_after < self.clock.now() {
            Some(ReceiptReason::EXPIRED_BEFORE)
        } else if bytes.len() > MAX_VALUE_BYTES {
            Some(ReceiptReason::CONTENT_INVALID)
        } else {
            match decision {
                Decision::Refuse(reason) => Some(reason),
                Decision::Actionable | Decision::Quarantine => None,
            }
        };
        if let Some(reason) = refusal {
            return self.answer(batch, applying, word, ReceiptStatus::Rejected, reason);
        }
        let quarantined = decision == Decision::Quarantine;
        let mut effect = Effect::default();
        if let Some(held) = &held {
            batch.delete(area::EXPIRY, area::expiry(held.not_after.as_unix(), origin, payload.notice));
            if held.content_index == index {
                // The same statement with more slots: the narrower copy is replaced, and nothing was purged.
                self.queue_purge(batch, &PurgeJob::Key { key: held.key })?;
            } else {
                let blobs = self.take_held_blobs(batch, origin, held.content_index).await?;
                self.queue_purge(batch, &crate::notices::held_purge(origin, held, ReceiptReason::SUPERSEDED, blobs))?;
            }
            effect.purge = true;
        }
        let state: Option<OwnersState> = known.get(&*self.store, area::OWNERS_STATE, &notice_key).await?;
        let key = self.keys.allocate()?;
        let longest = held.as_ref().map_or(payload.not_after, |held| held.longest_not_after.max(payload.not_after));
        let head = HeldNotice {
            decision: if quarantined { HeldDecision::Quarantined } else { HeldDecision::Actionable },
            by_desk,
            suspended: state.is_some_and(|state| state.suspended && state.index > index),
            content_index: index,
            content_digest: digest,
            version: content.version().unwrap_or_default(),
            latest_index: index,
            key: Key::from(key),
            slots: word.stored.shown(),
            kind: content.kind(),
            subject: content.subject(),
            issued: payload.issued,
            not_after: payload.not_after,
            longest_not_after: longest,
            exercise: content.is_exercise(),
        };
        let row = area::member_number(origin, index);
        let old = known.row(&*self.store, area::HELD_CONTENT, &row).await?;
        self.vault.put_over_row(batch, area::HELD_CONTENT, &row, key, HELD_SCHEMA, &bytes, old.as_deref())?;
        rows::put(batch, area::HELD_NOTICE, &notice_key, &head)?;
        batch.put(area::EXPIRY, area::expiry(payload.not_after.as_unix(), origin, payload.notice), []);
        let reference = content.shown(SlotNumber::REFERENCE).and_then(Value::as_text).unwrap_or_default();
        let referred = Referred { owner: origin, notice: payload.notice };
        rows::put(batch, area::REFERENCE, &self.reference_key(reference), &referred)?;
        let status = if quarantined { ReceiptStatus::Quarantined } else { ReceiptStatus::Accepted };
        self.answer(batch, applying, word, status, ReceiptReason::NONE)?;
        effect.index = Some((origin, payload.notice, Some(Searchable::of(content).for_desk(quarantined))));
        effect.screen = self.screen_held(batch, origin, payload.notice, content)?;
        Ok(effect)
    }

    /// Suspended or resumed: the later statement counts, whichever arrives first.
    async fn state_changed(&self, batch: &mut Batch, applying: &Applied, word: &Word) -> Result<Effect, ServiceError> {
        let Applied { origin, index, payload, .. } = applying;
        let notice_key = area::member_notice(*origin, payload.notice);
        let state: Option<OwnersState> = rows::get(&*self.store, area::OWNERS_STATE, &notice_key).await?;
        if state.is_none_or(|state| state.index < *index) {
            let suspended = payload.action == Action::Suspend;
            rows::put(batch, area::OWNERS_STATE, &notice_key, &OwnersState { index: *index, suspended })?;
            let held: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &notice_key).await?;
            if let Some(held) = held.filter(|held| held.content_index < *index) {
                let held = HeldNotice { suspended, latest_index: *index, ..held };
                rows::put(batch, area::HELD_NOTICE, &notice_key, &held)?;
            }
        }
        self.answer(batch, applying, word, ReceiptStatus::Accepted, ReceiptReason::NONE)
    }

    /// Withdrawn: outranks everything, and what remains blocks resurrection.
    async fn withdrawn(&self, batch: &mut Batch, applying: &Applied, word: &Word) -> Result<Effect, ServiceError> {
        let Applied { origin, index, payload, .. } = applying;
        let notice_key = area::member_notice(*origin, payload.notice);
        let held: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &notice_key).await?;
        let longest = held.as_ref().map_or(payload.not_after, |held| held.longest_not_after.max(payload.not_after));
        let mark = Mark {
            index: *index,
            purged_at: self.clock.now(),
            keep_until: longest.plus_seconds(self.limits.mark_margin_seconds),
        };
        rows::put(batch, area::MARK, &notice_key, &mark)?;
        batch.delete(area::OWNERS_STATE, notice_key.clone());
        batch.delete(area::DESK, notice_key.clone());
        let mut effect = self.answer(batch, applying, word, ReceiptStatus::Accepted, ReceiptReason::NONE)?;
        if let Some(held) = held {
            self.destroy_held(batch, *origin, payload.notice, &held, ReceiptReason::WITHDRAWN).await?;
            effect.index = Some((*origin, payload.notice, None));
            effect.purge = true;
        }
        Ok(effect)
    }

    /// No longer for this member, wholly or in part.
    async fn retracted(
        &self,
        batch: &mut Batch,
        applying: &Applied,
        word: &Word,
        detail: &RetractDetail,
    ) -> Result<Effect, ServiceError> {
        let Applied { origin, sequence, payload, .. } = applying;
        let notice_key = area::member_notice(*origin, payload.notice);
        let held: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &notice_key).await?;
        let mut effect = self.answer(batch, applying, word, ReceiptStatus::Accepted, ReceiptReason::NONE)?;
        for (index, _) in detail.entries() {
            let is_held = held.as_ref().is_some_and(|held| held.content_index == *index);
            let key = area::member_number(*origin, *index);
            let answered: Option<Answered> = rows::get(&*self.store, area::ANSWERED, &key).await?;
            if answered.is_none() && !is_held {
                // It may still be on its way: answered as purged, so that an earlier delivery is a duplicate.
                let answered = Answered {
                    notice: payload.notice,
                    sequence: *sequence,
                    status: ReceiptStatus::Purged.as_byte(),
                    reason: ReceiptReason::RETRACTED.number(),
                    digest: word.statement.digest(),
                    slots: word.stored.shown(),
                    at: self.clock.now(),
                };
                rows::put(batch, area::ANSWERED, &key, &answered)?;
            }
        }
        let hit = held.filter(|held| detail.allowed(held.content_index).is_some());
        if let Some(held) = hit {
            let allowed = detail.allowed(held.content_index).unwrap_or_default();
            if allowed.is_empty() {
                self.destroy_held(batch, *origin, payload.notice, &held, ReceiptReason::RETRACTED).await?;
                effect.index = Some((*origin, payload.notice, None));
            } else {
                effect.index = self.narrow_held(batch, *origin, payload.notice, held, allowed).await?;
            }
            effect.purge = true;
        }
        Ok(effect)
    }

    /// Keeps what is still allowed under a new key; the old key goes, and with it what is not.
    async fn narrow_held(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        notice: NoticeId,
        held: HeldNotice,
        allowed: eads_domain::slot::SlotSet,
    ) -> Result<Option<(MemberId, NoticeId, Option<Searchable>)>, ServiceError> {
        let row = area::member_number(origin, held.content_index);
        let Some(eads_store::vault::Sealed::Plain { bytes, .. }) = self.vault.get(area::HELD_CONTENT, &row).await?
        else {
            return Ok(None);
        };
        let mut narrowed = crate::stored::StoredStatement::parse(&bytes)?;
        narrowed.disclosure = narrowed.disclosure.narrowed(&notice, allowed);
        let content = narrowed.content()?;
        let key = self.keys.allocate()?;
        self.vault.replace(batch, area::HELD_CONTENT, &row, key, HELD_SCHEMA, &narrowed.to_bytes()).await?;
        self.queue_purge(batch, &PurgeJob::Key { key: held.key })?;
        self.narrow_held_blobs(batch, origin, held.content_index, narrowed.shown()).await?;
        let held = HeldNotice { key: key.into(), slots: narrowed.shown(), ..held };
        rows::put(batch, area::HELD_NOTICE, &area::member_notice(origin, notice), &held)?;
        let waits = held.decision == HeldDecision::Quarantined;
        Ok(Some((origin, notice, Some(Searchable::of(&content).for_desk(waits)))))
    }

    /// Destroys what is held of a notice, and with it what was recorded about it here. A refusal's reason makes the
    /// receipt that follows one of refusal.
    pub(crate) async fn destroy_held(
        &self,
        batch: &mut Batch,
        origin: MemberId,
        notice: NoticeId,
        held: &HeldNotice,
        reason: ReceiptReason,
    ) -> Result<(), ServiceError> {
        batch.delete(area::HELD_NOTICE, area::member_notice(origin, notice));
        batch.delete(area::EXPIRY, area::expiry(held.not_after.as_unix(), origin, notice));
        let blobs = self.take_held_blobs(batch, origin, held.content_index).await?;
        self.forget_notice(batch, origin, notice).await?;
        self.queue_purge(batch, &crate::notices::held_purge(origin, held, reason, blobs))
    }
}

/// The statement being applied.
struct Applied {
    origin: MemberId,
    sequence: u64,
    index: u64,
    payload: Payload,
}
