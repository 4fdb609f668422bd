//! The gate: what a peer sent becomes something that may be applied, or an error. Pure.
//!
//! What is not provably the origin's own word is an error, and nothing of it is kept. What is the origin's word
//! but breaks a rule is *refused*: the origin is told why by a receipt, and the stream goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use eads_domain::approval::{ApprovalError, OfficerCertificate};
use eads_domain::disclosure::{DisclosedContent, Disclosure, DisclosureError};
use eads_domain::encode::sha256;
use eads_domain::id::{Hash, MemberId};
use eads_domain::receipt::ReceiptReason;
use eads_domain::register::verify_inclusion;
use eads_domain::slot::{ContentError, Fields as _, SlotNumber};
use eads_domain::statement::{Action, RetractDetail, Statement, anchor_digest, key_change_digest};

use super::{Delivery, Disclosed};
use crate::error::ServiceError;
use crate::peers::Peer;
use crate::rows::DeliveryKind;
use crate::stored::StoredStatement;

/// A delivery that passed the gate.
#[derive(Debug)]
pub(super) struct Verified {
    pub sequence: u64,
    pub index: u64,
    /// Absent where the origin has the content no more.
    pub word: Option<Word>,
    /// The slot whose photographs can be fetched.
    pub blob: Option<SlotNumber>,
}

/// A statement that is provably the origin's word, addressed to this member.
#[derive(Debug)]
pub(super) struct Word {
    pub statement: Statement,
    pub stored: StoredStatement,
    pub says: Says,
}

/// What it says.
#[derive(Debug)]
pub(super) enum Says {
    /// A content to be held.
    Content(Box<DisclosedContent>),
    /// That the notice is suspended, resumed or withdrawn.
    State,
    /// What is no longer for this member.
    Retract(RetractDetail),
    /// Something about the register itself.
    Register,
    /// The origin's word, but against the rules.
    Refused(ReceiptReason, String),
}

/// Verifies one delivery of `origin` for `me`, apart from its place in the register.
pub(super) fn delivery(
    me: MemberId,
    peer: &Peer,
    certificates: &Certificates,
    delivery: Delivery,
) -> Result<Verified, ServiceError> {
    let Delivery { sequence, index, kind, disclosed, slot, .. } = delivery;
    if kind == DeliveryKind::Blob && disclosed.is_some() {
        return Err(ServiceError::peer("DELIVERY_KIND_WRONG", "a delivery of photographs carries no statement"));
    }
    let word = match disclosed {
        Some(disclosed) => Some(word(me, peer, certificates, index, kind, disclosed)?),
        None => None,
    };
    Ok(Verified { sequence, index, word, blob: slot.filter(|_| kind == DeliveryKind::Blob) })
}

/// Whether the statement stands at its index under a checkpoint's root.
pub(super) fn included(word: &Word, index: u64, size: u64, path: &[Hash], root: Hash) -> Result<(), ServiceError> {
    verify_inclusion(word.statement.leaf(), index, size, path, root).map_err(ServiceError::from_peer)
}

fn word(
    me: MemberId,
    peer: &Peer,
    certificates: &Certificates,
    index: u64,
    kind: DeliveryKind,
    disclosed: Disclosed,
) -> Result<Word, ServiceError> {
    let card = peer.card.card();
    let (statement, vouched) =
        peer.keys.statement_at(&disclosed.payload, &disclosed.signature, index).map_err(ServiceError::from_peer)?;
    let payload = statement.payload();
    if payload.origin != card.member {
        return Err(ServiceError::peer("STATEMENT_OTHER_ORIGIN", "the statement is not the sender's own"));
    }
    if payload.register != card.register {
        return Err(ServiceError::peer("STATEMENT_OTHER_REGISTER", "the statement belongs to another register"));
    }
    if (payload.action == Action::Retract) != (kind == DeliveryKind::Retract) {
        return Err(ServiceError::peer("DELIVERY_KIND_WRONG", "the delivery is not of the statement's kind"));
    }
    if payload.action == Action::Anchor && anchor_digest(&disclosed.detail) != payload.detail {
        return Err(ServiceError::peer("ANCHOR_DETAIL_WRONG", "the anchored head is not what was signed"));
    }
    if payload.action == Action::KeyChange && key_change_digest(&disclosed.detail) != payload.detail {
        return Err(ServiceError::peer("KEY_CHANGE_DETAIL_WRONG", "the card of the key-change is not what was signed"));
    }
    if matches!(payload.action, Action::KeyChange | Action::Anchor) {
        return Ok(Word { statement, stored: stored(me, disclosed), says: Says::Register });
    }
    let addressed = disclosed.audience.as_ref().ok_or_else(|| {
        ServiceError::peer("AUDIENCE_MISSING", "the statement does not prove that it is addressed to this member")
    })?;
    addressed.verify(me, &payload.audience).map_err(ServiceError::from_peer)?;
    let says = if !vouched && !payload.action.is_protective() {
        let text = "the key that signed it was stolen by then";
        Says::Refused(ReceiptReason::KEY_STOLEN, text.to_owned())
    } else if payload.action == Action::Retract {
        let detail = RetractDetail::parse(&disclosed.detail).map_err(ServiceError::from_peer)?;
        if detail.digest() != payload.detail {
            return Err(ServiceError::peer("RETRACT_DETAIL_WRONG", "the retraction's detail is not what was signed"));
        }
        Says::Retract(detail)
    } else {
        content(peer, certificates, &statement, &disclosed)?
    };
    Ok(Word { stored: stored(me, disclosed), statement, says })
}

fn content(
    peer: &Peer,
    certificates: &Certificates,
    statement: &Statement,
    disclosed: &Disclosed,
) -> Result<Says, ServiceError> {
    let disclosure = disclosed.disclosure.as_ref().ok_or_else(|| {
        ServiceError::peer("DISCLOSURE_MISSING", "the statement carries content but none of its slots is shown")
    })?;
    let checked = disclosure.verify(statement).map_err(|error| (reason_of(&error), error.to_string()));
    let checked = checked.and_then(|content| match approved(peer, certificates, statement, &content) {
        Ok(()) => Ok(content),
        Err(error) => Err((ReceiptReason::APPROVAL_INVALID, error.to_string())),
    });
    Ok(match (statement.payload().action, checked) {
        // What protects people counts by the origin's signature alone: the safe direction needs no reasons.
        (Action::Suspend | Action::Withdraw, _) | (Action::Resume, Ok(_)) => Says::State,
        (_, Ok(content)) => Says::Content(Box::new(content)),
        (_, Err((reason, text))) => Says::Refused(reason, text),
    })
}

/// What the receipt says of a content that is refused.
fn reason_of(error: &DisclosureError) -> ReceiptReason {
    match error {
        DisclosureError::Content(errors) if errors.iter().any(|error| matches!(error, ContentError::Check(_))) => {
            ReceiptReason::CHECK_FAILED
        }
        _ => ReceiptReason::CONTENT_INVALID,
    }
}

/// A second officer of the origin signed this very content, with a certificate of the origin's operator CA.
fn approved(
    peer: &Peer,
    certificates: &Certificates,
    statement: &Statement,
    content: &DisclosedContent,
) -> Result<(), ServiceError> {
    let approvals = content.approvals()?;
    // The one deferral of four eyes: it says so itself, in a slot that everybody is shown, and only ever once.
    if statement.payload().action == Action::Issue && content.is_emergency() && approvals.is_empty() {
        return Ok(());
    }
    let approval =
        approvals.first().ok_or_else(|| ServiceError::peer("APPROVAL_MISSING", "no second officer has approved it"))?;
    let message = content.approval_message(statement);
    let issued = statement.payload().issued;
    let mut outcome = Ok(());
    for anchor in peer.operator_anchors(issued) {
        let certificate = certificates.get(&approval.certificate, anchor.as_der());
        outcome = certificate
            .and_then(|certificate| approval.verify_under(&certificate, &message, peer.member(), issued).map(drop))
            .map_err(ServiceError::from_peer);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// Officers' certificates that were found to be issued by an anchor: most statements of an origin are approved by a few
/// officers. What depends on time, member or role is checked each time.
#[derive(Debug, Default)]
pub(crate) struct Certificates(Mutex<BTreeMap<Hash, Arc<OfficerCertificate>>>);

impl Certificates {
    /// The most that are remembered. A peer that sends ever new ones makes the others be verified anew, no more.
    const MOST: usize = 1024;

    fn get(&self, certificate: &[u8], anchor: &[u8]) -> Result<Arc<OfficerCertificate>, ApprovalError> {
        let both = sha256(&[sha256(certificate).as_bytes().as_slice(), sha256(anchor).as_bytes()].concat());
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&both) {
            return Ok(known.clone());
        }
        let verified = Arc::new(OfficerCertificate::verify(certificate, anchor)?);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= Self::MOST {
            all.clear();
        }
        all.insert(both, verified.clone());
        Ok(verified)
    }
}

fn stored(me: MemberId, disclosed: Disclosed) -> StoredStatement {
    let Disclosed { payload, signature, audience, disclosure, detail } = disclosed;
    let nothing = || Disclosure { openings: Vec::new(), commitments: Vec::new() };
    StoredStatement {
        payload,
        signature,
        disclosure: disclosure.unwrap_or_else(nothing),
        audience: audience.map(|opening| (me, opening)).into_iter().collect(),
        detail,
    }
}
