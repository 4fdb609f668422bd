//! From what use cases return to operator messages, and from fields of requests to words of the domain.

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded;
use eads_domain::id::{Hash, MemberId, RequestId};
use eads_domain::query::Caution;
use eads_domain::slot::{Fields as _, SlotNumber, SlotSet};
use eads_domain::value::{BlobRef, Value};
use eads_domain::wire::{slot_value, slot_value_message};
use eads_proto::v1;
use eads_service::ServiceError;
use eads_service::audit::{Compared, Exchanged, Listed, Shown};
use eads_service::court::CaseId;
use eads_service::import::Rejection;
use eads_service::notices::{Contest, Draft, HolderView, Issued, NoticeDetail, NoticeView};
use eads_service::peers::PeerView;
use tonic::Status;

use crate::error::{refused, status};

/// The most members that a request may name.
const MAX_MEMBERS: usize = 256;
/// The longest text that only the own audit keeps, in characters.
const MAX_TEXT_CHARS: usize = 200;

pub(super) fn member(code: &str) -> Result<MemberId, Status> {
    code.parse().map_err(refused)
}

pub(super) fn members(codes: &[String]) -> Result<Vec<MemberId>, Status> {
    if codes.len() > MAX_MEMBERS {
        return Err(invalid("MEMBERS_TOO_MANY", "at most 256 members can be named"));
    }
    codes.iter().map(|code| member(code)).collect()
}

/// Words of a table, such as kinds.
pub(super) fn words<T>(words: &[String]) -> Result<Vec<T>, Status>
where
    T: std::str::FromStr,
    T::Err: Coded + Send + Sync + 'static,
{
    words.iter().map(|word| word.parse().map_err(refused)).collect()
}

/// A text for the own audit log; empty is none.
pub(super) fn text(field: &'static str, text: &str) -> Result<Option<String>, Status> {
    let text = text.trim();
    if text.chars().count() > MAX_TEXT_CHARS || text.chars().any(char::is_control) {
        return Err(invalid("TEXT_UNFIT", format!("{field} is at most 200 characters on one line")));
    }
    Ok(Some(text).filter(|text| !text.is_empty()).map(str::to_owned))
}

/// Why something is done, which must be said.
pub(super) fn reason(given: &str) -> Result<String, Status> {
    text("the reason", given)?.ok_or_else(|| invalid("REASON_REQUIRED", "say why, for the audit log"))
}

/// The name of a hold, an access request or a mark.
pub(super) fn case_id(text: &str) -> Result<CaseId, Status> {
    text.parse().map_err(|error| status(&error))
}

/// 16 bytes, or none.
pub(super) fn request_id(bytes: &[u8]) -> Result<Option<RequestId>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    RequestId::try_from(bytes).map(Some).map_err(|_| invalid("REQUEST_ID_INVALID", "a request id is 16 bytes"))
}

/// 32 bytes, or none.
pub(super) fn digest(bytes: &[u8]) -> Result<Option<Hash>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Hash::try_from(bytes).map(Some).map_err(|_| invalid("DIGEST_INVALID", "a SHA-256 digest is 32 bytes"))
}

/// Values of a content, each slot at most once.
pub(super) fn slot_values(messages: &[v1::SlotValue]) -> Result<Vec<(SlotNumber, Value)>, Status> {
    let mut seen = SlotSet::EMPTY;
    let mut values = Vec::new();
    for message in messages {
        let (slot, value) = slot_value(message).map_err(refused)?;
        if !seen.insert(slot) {
            return Err(invalid("FIELD_TWICE", format!("slot {slot} is given twice")));
        }
        values.push((slot, value));
    }
    Ok(values)
}

/// A limit of a list: 0 means `usual`, and `most` is never exceeded.
pub(super) fn limit(asked: u32, usual: usize, most: usize) -> usize {
    match usize::try_from(asked).unwrap_or(most) {
        0 => usual,
        asked => asked.min(most),
    }
}

pub(super) fn invalid(code: &'static str, text: impl Into<std::borrow::Cow<'static, str>>) -> Status {
    status(&ServiceError::invalid(code, text))
}

pub(super) fn codes(members: &[MemberId]) -> Vec<String> {
    members.iter().map(ToString::to_string).collect()
}

pub(super) fn peer(view: &PeerView) -> v1::PeerStatus {
    let card = view.peer.card.card();
    let heard = view.status.last_heard.max(Some(view.followed.heard_at));
    let last_error = view.status.last_error.as_ref();
    v1::PeerStatus {
        member: card.member.to_string(),
        display_name: card.display_name.to_string(),
        standing: card.standing.to_string(),
        state: view.peer.state.as_str().to_owned(),
        connected: view.status.connected,
        register_cursor: view.followed.register_cursor,
        delivery_cursor: view.followed.delivery_cursor,
        checkpoint: view.followed.checkpoint.as_bytes().to_vec(),
        last_heard: heard.map_or(0, |at| at.as_unix()),
        clock_skew: view.status.clock_skew,
        last_error: last_error.map(|error| format!("{}: {}", error.code, error.text)).unwrap_or_default(),
        endpoints: card.endpoints.iter().map(ToString::to_string).collect(),
        card_sequence: card.sequence,
        awaiting_receipt: view.awaiting_receipt,
        owed_receipts: view.owed_receipts,
        cosigned_size: view.cosigned.as_ref().map_or(0, |cosigned| cosigned.size),
        cosigned_at: view.cosigned.as_ref().map_or(0, |cosigned| cosigned.at.as_unix()),
    }
}

pub(super) fn draft(draft: &Draft) -> v1::DraftSummary {
    v1::DraftSummary {
        draft_id: draft.id.to_string(),
        reference: draft.reference.to_string(),
        action: draft.action.to_string(),
        kind: draft.content.kind().to_string(),
        subject: draft.content.subject().to_string(),
        drafter: draft.drafter.clone(),
        approver: draft.approval.as_ref().map(|(name, _)| name.clone()).unwrap_or_default(),
        audience: codes(&draft.audience),
        not_after: draft.not_after.as_unix(),
        batch: draft.origin.batch.clone(),
        created_at: draft.created.as_unix(),
        state: draft.state.to_string(),
        returned: draft.returned.as_ref().map(|returned| v1::ReturnedDraft {
            by: returned.by.clone(),
            reason: returned.reason.to_string(),
            text: returned.text.clone(),
            at: returned.at.as_unix(),
        }),
        legal_review: draft.content.is_for_legal_review(),
        emergency_reason: draft.confirms.clone().unwrap_or_default(),
    }
}

pub(super) fn issued(issued: Issued) -> v1::IssueDraftResponse {
    v1::IssueDraftResponse {
        reference: issued.reference,
        version: issued.version.into(),
        index: issued.at.index,
        digest: issued.at.digest.as_bytes().to_vec(),
        delivered_to: codes(&issued.delivered_to),
    }
}

pub(super) fn notice(view: &NoticeView) -> v1::NoticeSummary {
    v1::NoticeSummary {
        reference: view.reference.clone(),
        owner: view.owner.to_string(),
        kind: view.kind.to_string(),
        subject: view.subject.to_string(),
        state: view.state.as_str().to_owned(),
        version: view.version.into(),
        index: view.index,
        issued_at: view.issued.as_unix(),
        not_after: view.not_after.as_unix(),
        exercise: view.exercise,
        title: view.title.clone(),
        audience: codes(&view.audience),
        marks: view.marks.iter().map(|mark| (*mark).to_owned()).collect(),
        cautions: cautions(&view.cautions),
        decision: view.decision.to_owned(),
    }
}

/// Codes of what must be done first.
pub(super) fn cautions(cautions: &[Caution]) -> Vec<String> {
    cautions.iter().map(|caution| caution.as_str().to_owned()).collect()
}

pub(super) fn notice_detail(detail: &NoticeDetail, now: Timestamp) -> v1::GetNoticeResponse {
    let challenge = |contest: &Contest| v1::NoticeChallenge {
        by: contest.by.to_string(),
        reason: contest.reason.clone(),
        recorded_at: contest.recorded.as_unix(),
        answer_by: contest.answer_by.as_unix(),
        state: contest.state(now).as_str().to_owned(),
    };
    v1::GetNoticeResponse {
        notice: Some(notice(&detail.view)),
        values: detail.values.iter().map(|(slot, value)| slot_value_message(*slot, value)).collect(),
        withheld: detail.withheld.iter().map(u32::from).collect(),
        approver: detail.approver.clone(),
        digest: detail.view.digest.as_bytes().to_vec(),
        photos: detail.photos.iter().map(|view| photo(&view.blob, view.held)).collect(),
        challenges: detail.challenges.iter().map(challenge).collect(),
    }
}

/// A photograph of which `held` bytes are here.
pub(super) fn photo(blob: &BlobRef, held: u32) -> v1::Photo {
    v1::Photo {
        id: blob.id.to_vec(),
        sha256: blob.sha256.as_bytes().to_vec(),
        len: blob.len,
        media: blob.media.to_string(),
        held,
    }
}

pub(super) fn holder(holder: &HolderView) -> v1::HolderStatus {
    v1::HolderStatus {
        member: holder.member.to_string(),
        index: holder.index,
        version: holder.version.into(),
        action: holder.action.to_string(),
        state: holder.state.to_owned(),
        since: holder.since.as_unix(),
        reason: holder.reason.into(),
        backups_until: holder.backups_until.map_or(0, |at| at.as_unix()),
        purge_owed_since: holder.purge_owed_since.map_or(0, |at| at.as_unix()),
        written_off_at: holder.written_off.map_or(0, |at| at.as_unix()),
    }
}

pub(super) fn rejection(rejection: &Rejection) -> v1::ImportRejection {
    v1::ImportRejection {
        line: rejection.line,
        key: rejection.key.clone().unwrap_or_default(),
        code: rejection.code.as_str().to_owned(),
        reason: rejection.reason.clone(),
    }
}

pub(super) fn audit_entry(listed: Listed) -> v1::AuditEntry {
    let entry = listed.entry;
    let shown =
        |shown: &Shown| v1::ShownStatement { digest: shown.digest.as_bytes().to_vec(), slots: shown.slots.bits() };
    v1::AuditEntry {
        sequence: listed.sequence,
        kind: entry.kind.as_str().to_owned(),
        at: entry.at.as_unix(),
        request_id: entry.request.as_bytes().to_vec(),
        actor: entry.actor.label(),
        roles: entry.actor.roles().to_vec(),
        operation: entry.operation,
        purpose: entry.purpose.unwrap_or_default(),
        legal_basis: entry.legal_basis.unwrap_or_default(),
        case_reference: entry.case_reference.unwrap_or_default(),
        result: entry.result.unwrap_or_default(),
        peer: entry.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        shown: entry.shown.iter().map(shown).collect(),
        query_text: listed.query_text.unwrap_or_default(),
        unfinished: listed.unfinished,
        chain: listed.chain.as_bytes().to_vec(),
        subject: entry.subject.unwrap_or_default(),
        intent: entry.intent.unwrap_or_default(),
    }
}

pub(super) fn compared(compared: &Compared) -> v1::CompareAuditResponse {
    let exchange = |one: &Exchanged| v1::AuditExchange {
        request_id: one.exchange.request.as_bytes().to_vec(),
        asker: one.exchange.asker.to_string(),
        answerer: one.exchange.answerer.to_string(),
        result: one.exchange.result.as_str().to_owned(),
        at: one.at.as_unix(),
    };
    v1::CompareAuditResponse {
        from: compared.from.as_unix(),
        to: compared.to.as_unix(),
        both: compared.both,
        differing: compared.differing.iter().map(exchange).collect(),
        only_here: compared.only_here.iter().map(exchange).collect(),
        unanswered: compared.unanswered,
        only_there: compared.only_there.iter().map(|digest| digest.as_bytes().to_vec()).collect(),
        truncated: compared.truncated,
    }
}

#[cfg(test)]
mod tests;
