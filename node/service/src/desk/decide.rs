//! Approving, refusing, and taking it back.

use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::receipt::{ReceiptReason, ReceiptStatus};
use eads_domain::slot::{Fields as _, SlotNumber};
use eads_domain::value::Value;
use eads_store::port::Batch;

use super::{DeskNotice, DeskRow, MAX_NOTE_CHARS, Verdict};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::peers::PeerState;
use crate::rows::{self, Answered, HeldDecision, HeldNotice};
use crate::search::Searchable;
use crate::stored::ShownFields;

/// A decision as an approver asks for it.
#[derive(Clone, Debug)]
struct Asked {
    digest: Option<Hash>,
    for_all_versions: bool,
    note: String,
}

/// A held notice under the lock of its owner.
struct Case {
    owner: MemberId,
    notice: NoticeId,
    head: HeldNotice,
    content: ShownFields,
    decided: Option<DeskRow>,
}

impl Node {
    /// From now on officers may act on a held notice. Its owner gets a receipt; an officer's look gives the next one.
    ///
    /// # Errors
    /// `DESK_*` for what cannot be approved, `NOTICE_*` for what is not held.
    pub async fn approve_held(
        &self,
        call: &Call,
        reference: &str,
        digest: Option<Hash>,
        for_all_versions: bool,
        note: &str,
    ) -> Result<DeskNotice, ServiceError> {
        let work = async {
            let asked = Asked { digest, for_all_versions, note: noted(note)? };
            let (owner, notice) = self.held_referred(reference).await?;
            let _applying = self.applying.lock(owner).await;
            let case = self.case(owner, notice, &asked).await?;
            self.approve_case(call, case, asked).await?;
            self.desk_notice_now(owner, notice).await
        };
        self.audited(call, "ApproveHeldNotice", Some(named(reference)), work).await
    }

    async fn approve_case(&self, call: &Call, case: Case, asked: Asked) -> Result<(), ServiceError> {
        let Case { owner, notice, head, content, decided } = case;
        if self.peers.get(owner).is_some_and(|peer| peer.state == PeerState::Frozen) {
            return Err(ServiceError::conflict(
                "DESK_ORIGIN_FROZEN",
                format!("the register of {owner} has forked: nothing of it is approved before that is cleared"),
            ));
        }
        if head.not_after < self.clock.now() {
            return Err(ServiceError::conflict("DESK_NOTICE_OVER", "the notice's validity is over"));
        }
        let widens = asked.for_all_versions && decided.is_none_or(|row| !row.for_all_versions);
        if head.decision == HeldDecision::Actionable && !widens {
            return Err(ServiceError::conflict("DESK_NOT_WAITING", "officers may act on this notice already"));
        }
        let mut batch = Batch::new();
        let row = self.desk_row(call, &head, &content, Verdict::Approved, ReceiptReason::NONE, asked);
        rows::put(&mut batch, area::DESK, &area::member_notice(owner, notice), &row)?;
        let waited = head.decision == HeldDecision::Quarantined;
        let head = HeldNotice { decision: HeldDecision::Actionable, by_desk: true, ..head };
        rows::put(&mut batch, area::HELD_NOTICE, &area::member_notice(owner, notice), &head)?;
        if waited {
            self.answer_anew(&mut batch, owner, notice, &head, ReceiptStatus::Accepted).await?;
        }
        self.store.commit(batch).await?;
        self.put_at(owner, notice, &content, false);
        Ok(())
    }

    /// Not taken: the content is destroyed, and its owner gets a signed receipt with the reason.
    ///
    /// # Errors
    /// `DESK_REASON` for a reason that is no decision, `DESK_*` and `NOTICE_*` as for an approval.
    pub async fn refuse_held(
        &self,
        call: &Call,
        reference: &str,
        digest: Option<Hash>,
        reason: &str,
        for_all_versions: bool,
        note: &str,
    ) -> Result<DeskNotice, ServiceError> {
        let work = async {
            let reason = reason.parse::<ReceiptReason>().ok().filter(|reason| reason.is_decision());
            let reason = reason.ok_or_else(|| {
                let all: Vec<String> = ReceiptReason::decisions().map(|reason| reason.to_string()).collect();
                ServiceError::invalid("DESK_REASON", format!("a refusal gives one of: {}", all.join(", ")))
            })?;
            let asked = Asked { digest, for_all_versions, note: noted(note)? };
            let (owner, notice) = self.held_referred(reference).await?;
            let _applying = self.applying.lock(owner).await;
            let Case { head, content, .. } = self.case(owner, notice, &asked).await?;
            let mut batch = Batch::new();
            batch.protective();
            let row = self.desk_row(call, &head, &content, Verdict::Refused, reason, asked);
            rows::put(&mut batch, area::DESK, &area::member_notice(owner, notice), &row)?;
            // The receipt of a refusal follows the destruction: who refuses holds nothing.
            self.destroy_held(&mut batch, owner, notice, &head, reason).await?;
            self.store.commit(batch).await?;
            self.held_is_gone(owner, notice);
            self.desk_notice_now(owner, notice).await
        };
        self.audited(call, "RefuseHeldNotice", Some(named(reference)), work).await
    }

    /// Takes the latest decision back. Returns whether the notice waits for the desk again: of a refused one nothing
    /// is left, and its owner's next version is decided anew.
    ///
    /// # Errors
    /// `DESK_NOT_DECIDED`, `NOTICE_*`.
    pub async fn undo_desk(&self, call: &Call, reference: &str) -> Result<bool, ServiceError> {
        let work = async {
            let (owner, notice) = self.held_referred(reference).await?;
            let _applying = self.applying.lock(owner).await;
            let key = area::member_notice(owner, notice);
            if rows::get::<DeskRow>(&*self.store, area::DESK, &key).await?.is_none() {
                return Err(ServiceError::conflict(
                    "DESK_NOT_DECIDED",
                    "the desk has decided nothing about this notice",
                ));
            }
            let mut batch = Batch::new();
            batch.delete(area::DESK, key.clone());
            let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &key).await?;
            let Some(head) = head else {
                self.store.commit(batch).await?;
                return Ok(false);
            };
            let Some((_, Some(content))) = self.held_view(owner, notice, &head).await? else {
                return Err(gone());
            };
            let approved = head.decision == HeldDecision::Actionable;
            let head = HeldNotice { decision: HeldDecision::Quarantined, by_desk: false, ..head };
            rows::put(&mut batch, area::HELD_NOTICE, &key, &head)?;
            if approved {
                self.answer_anew(&mut batch, owner, notice, &head, ReceiptStatus::Quarantined).await?;
            }
            self.store.commit(batch).await?;
            self.put_at(owner, notice, &content, true);
            Ok(true)
        };
        self.audited(call, "UndoDeskDecision", Some(named(reference)), work).await
    }

    /// Owner and notice of a reference to another member's notice.
    pub(super) async fn held_referred(&self, reference: &str) -> Result<(MemberId, NoticeId), ServiceError> {
        let referred = self.referred(reference).await?;
        if referred.owner == self.member {
            return Err(ServiceError::conflict("DESK_OWN_NOTICE", "the desk decides about other members' notices"));
        }
        Ok((referred.owner, referred.notice))
    }

    async fn case(&self, owner: MemberId, notice: NoticeId, asked: &Asked) -> Result<Case, ServiceError> {
        let key = area::member_notice(owner, notice);
        let decided: Option<DeskRow> = rows::get(&*self.store, area::DESK, &key).await?;
        let head: Option<HeldNotice> = rows::get(&*self.store, area::HELD_NOTICE, &key).await?;
        let Some(head) = head else { return Err(self.why_gone(owner, notice).await?) };
        let Some((_, Some(content))) = self.held_view(owner, notice, &head).await? else { return Err(gone()) };
        if asked.digest.is_some_and(|digest| digest != head.content_digest) {
            return Err(ServiceError::conflict(
                "DESK_VERSION_CHANGED",
                format!("version {} has arrived since you looked at the notice", head.version),
            )
            .with_hint("look at it again with `eads desk show`"));
        }
        Ok(Case { owner, notice, head, content, decided })
    }

    fn desk_row(
        &self,
        call: &Call,
        head: &HeldNotice,
        content: &ShownFields,
        verdict: Verdict,
        reason: ReceiptReason,
        asked: Asked,
    ) -> DeskRow {
        let reference = content.shown(SlotNumber::REFERENCE).and_then(Value::as_text).unwrap_or_default();
        DeskRow {
            verdict,
            reason: reason.number(),
            officer: call.operator.name.to_string(),
            at: self.clock.now(),
            for_all_versions: asked.for_all_versions,
            note: asked.note,
            digest: head.content_digest,
            version: head.version,
            index: head.content_index,
            reference: reference.to_owned(),
            kind: head.kind,
            subject: head.subject,
            exercise: head.exercise,
            keep_until: head.longest_not_after,
        }
    }

    /// Answers the version held once more, by the desk's word.
    async fn answer_anew(
        &self,
        batch: &mut Batch,
        owner: MemberId,
        notice: NoticeId,
        head: &HeldNotice,
        status: ReceiptStatus,
    ) -> Result<(), ServiceError> {
        let key = area::member_number(owner, head.content_index);
        let before: Option<Answered> = rows::get(&*self.store, area::ANSWERED, &key).await?;
        let answered = Answered {
            notice,
            sequence: before.map_or(0, |before| before.sequence),
            status: status.as_byte(),
            reason: ReceiptReason::NONE.number(),
            digest: head.content_digest,
            slots: head.slots,
            at: self.clock.now(),
        };
        // What was decided earlier and is still owed must not overtake what is decided now.
        for earlier in [ReceiptStatus::Accepted, ReceiptStatus::Quarantined, ReceiptStatus::Delivered] {
            if earlier != status {
                batch.delete(area::OWED, [key.clone(), vec![earlier.as_byte()]].concat());
            }
        }
        self.owe_receipt(batch, owner, head.content_index, &answered)
    }

    /// Puts a held notice where the desk has decided that it belongs, now that this is durable.
    fn put_at(&self, owner: MemberId, notice: NoticeId, content: &ShownFields, desk: bool) {
        self.indexes.held_notice(owner, notice, &Searchable::of(content).for_desk(desk));
        self.marks.waits(owner, notice, desk);
        self.receipts_due.send_modify(|due| *due += 1);
    }

    /// Forgets decisions about notices that would be over by now.
    pub(crate) async fn expire_decisions(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let mut pages = Pages::of(&*self.store, area::DESK);
        while let Some(page) = pages.next().await? {
            let mut batch = Batch::new();
            batch.protective();
            for (key, row) in &page {
                if rows::parse::<DeskRow>(row)?.keep_until < now {
                    batch.delete(area::DESK, key.clone());
                }
            }
            if !batch.is_empty() {
                self.store.commit(batch).await?;
            }
        }
        Ok(())
    }

    /// Nothing is held of a notice any more, durably.
    pub(crate) fn held_is_gone(&self, owner: MemberId, notice: NoticeId) {
        self.indexes.remove_held_notice(owner, notice);
        self.marks.waits(owner, notice, false);
        self.marks.uncontest(owner, notice);
        self.purge_due.notify_one();
        self.screen_due.notify_one();
    }
}

fn gone() -> ServiceError {
    ServiceError::not_found("NOTICE_WITHDRAWN", "the notice's content was destroyed a moment ago")
}

fn named(reference: &str) -> String {
    reference.chars().take(32).collect()
}

fn noted(note: &str) -> Result<String, ServiceError> {
    let note = note.trim();
    if note.chars().count() > MAX_NOTE_CHARS || note.chars().any(char::is_control) {
        return Err(ServiceError::invalid(
            "DESK_NOTE",
            format!("a note is at most {MAX_NOTE_CHARS} characters on one line"),
        ));
    }
    Ok(note.to_owned())
}
