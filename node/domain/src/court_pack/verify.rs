//! Verifying a pack with nothing but what it holds. Bounded by the size of the file: each part is looked at once.

use ed25519_dalek::{Signature, VerifyingKey};

use super::finding::{CourtPackError, PackFinding, ReceiptFinding, StatementFinding};
use super::{CourtPack, FORMAT, LABEL, PackContent, PackReceipts, PackStatement, RECEIPT, RECEIPTS, SIGNATURE_FIELD};
use crate::audience::AudienceOpening;
use crate::card::SignedCard;
use crate::disclosure::{Disclosure, Opening};
use crate::encode::{pae, sha256_pae};
use crate::id::{Hash, MemberId};
use crate::receipt::{Receipt, SignedReceipts};
use crate::register::{Checkpoint, SignedCheckpoint, verify_inclusion};
use crate::slot::SlotNumber;
use crate::statement::{Action, RetractDetail, Statement, anchor_digest, leaf};

/// Verifies a pack. `text` is the file that `pack` was read from: its bytes are what the exporting node signed.
///
/// # Errors
/// [`CourtPackError`] for the first part that does not hold: `PACK_FORMAT`, `PACK_CARD`, `PACK_SIGNATURE`,
/// `PACK_CHECKPOINT`, `PACK_STATEMENT`, `PACK_INCLUSION`, `PACK_APPROVAL`, `PACK_RECEIPT`, `PACK_AUDIT`.
pub fn verify(pack: &CourtPack, text: &str) -> Result<PackFinding, CourtPackError> {
    if pack.format != FORMAT {
        return Err(CourtPackError::new("PACK_FORMAT", "format", "this is not a court pack of this version"));
    }
    let cards = Cards::read(pack)?;
    let exporter = cards.newest(pack.exported.member)?;
    check_signature(pack, text, exporter)?;
    let (checkpoint, key) = cards.checkpoint(pack)?;
    let origin = pack.notice.origin;
    let mut finding = PackFinding {
        origin,
        key: *key.as_bytes(),
        origin_code: cards.newest(origin)?.verification_code().to_string(),
        exporter: pack.exported.member,
        exporter_code: exporter.verification_code().to_string(),
        earlier: pack.earlier.iter().map(|one| one.member).collect(),
        size: checkpoint.size,
        root: checkpoint.root,
        statements: Vec::with_capacity(pack.statements.len()),
        receipts: Vec::new(),
        audit_entries: 0,
    };
    for statement in &pack.statements {
        finding.statements.push(check_statement(pack, &cards, statement, &checkpoint)?);
    }
    for (at, receipts) in pack.receipts.iter().enumerate() {
        check_receipts(pack, &cards, receipts, &format!("receipts {at}"), &mut finding.receipts)?;
    }
    finding.audit_entries = check_audit(pack)?;
    Ok(finding)
}

/// The cards of a pack, each verified under its own key, and what is said of earlier ones.
struct Cards {
    cards: Vec<SignedCard>,
    earlier: Vec<(MemberId, u32, VerifyingKey)>,
    anchors: Vec<(MemberId, Vec<u8>)>,
}

impl Cards {
    fn read(pack: &CourtPack) -> Result<Self, CourtPackError> {
        let mut cards = Vec::with_capacity(pack.cards.len());
        for (at, named) in pack.cards.iter().enumerate() {
            let wrong = |what: String| CourtPackError::new("PACK_CARD", format!("card {at}"), what);
            let card = SignedCard::from_armor(&named.card).map_err(|error| wrong(error.to_string()))?;
            let said = (named.member, named.keyseq, named.digest, named.verification_code.as_str());
            let code = card.verification_code().to_string();
            if said != (card.card().member, card.card().keyseq, card.digest(), code.as_str()) {
                return Err(wrong("the card is not the one that is described".to_owned()));
            }
            cards.push(card);
        }
        let (mut earlier, mut anchors) = (Vec::new(), Vec::new());
        for one in &pack.earlier {
            let wrong = |what: &str| CourtPackError::new("PACK_CARD", format!("earlier keys of {}", one.member), what);
            for (keyseq, digits) in &one.keys {
                let key = unhex::<32>(digits).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
                let key = key.filter(|key| !key.is_weak()).ok_or_else(|| wrong("one is no key"))?;
                earlier.push((one.member, *keyseq, key));
            }
            for digits in &one.operator_anchors {
                anchors
                    .push((one.member, hex::decode(digits).map_err(|_| wrong("a CA is not in hexadecimal digits"))?));
            }
        }
        Ok(Self { cards, earlier, anchors })
    }

    fn of(&self, member: MemberId) -> impl Iterator<Item = &SignedCard> {
        self.cards.iter().filter(move |card| card.card().member == member)
    }

    fn newest(&self, member: MemberId) -> Result<&SignedCard, CourtPackError> {
        let newest = self.of(member).max_by_key(|card| card.card().sequence);
        newest.ok_or_else(|| CourtPackError::new("PACK_CARD", "cards", format!("there is no card of {member}")))
    }

    /// All keys of a member with their numbers, the newest card's first.
    fn keys(&self, member: MemberId) -> impl Iterator<Item = (u32, VerifyingKey)> {
        let of_cards = self.of(member).map(|card| (card.card().keyseq, card.card().signing_key));
        of_cards.chain(self.earlier.iter().filter(move |one| one.0 == member).map(|one| (one.1, one.2)))
    }

    fn key(&self, member: MemberId, keyseq: u32) -> Option<VerifyingKey> {
        self.keys(member).find(|(number, _)| *number == keyseq).map(|(_, key)| key)
    }

    /// All operator CAs of a member.
    fn operator_anchors(&self, member: MemberId) -> impl Iterator<Item = &[u8]> {
        let of_cards = self.of(member).map(|card| card.card().operator_anchor.as_der());
        of_cards.chain(self.anchors.iter().filter(move |one| one.0 == member).map(|one| one.1.as_slice()))
    }

    /// The checkpoint, under any key of the origin: it may be older than the newest.
    fn checkpoint(&self, pack: &CourtPack) -> Result<(Checkpoint, VerifyingKey), CourtPackError> {
        let (origin, register) = (pack.notice.origin, pack.notice.register);
        let mut why = "there is no card of the origin".to_owned();
        for (_, key) in self.keys(origin) {
            match SignedCheckpoint::verify(pack.checkpoint.as_bytes(), origin, register, &key) {
                Ok(signed) => return Ok((*signed.checkpoint(), key)),
                Err(error) => why = error.to_string(),
            }
        }
        Err(CourtPackError::new("PACK_CHECKPOINT", "checkpoint", why))
    }
}

fn check_signature(pack: &CourtPack, text: &str, exporter: &SignedCard) -> Result<(), CourtPackError> {
    let wrong = |what: &str| CourtPackError::new("PACK_SIGNATURE", "pack_signature", what);
    let end = text.rfind(SIGNATURE_FIELD).ok_or_else(|| wrong("the file is not signed"))?;
    let signed = text.get(..end).unwrap_or_default();
    let signature = unhex::<64>(&pack.pack_signature).ok_or_else(|| wrong("a signature is 64 bytes"))?;
    let message = pae(&[LABEL, signed.as_bytes()]);
    let verified = exporter.card().signing_key.verify_strict(&message, &Signature::from_bytes(&signature));
    verified.map_err(|_| wrong("the file is not as the exporting node signed it"))
}

fn check_statement(
    pack: &CourtPack,
    cards: &Cards,
    said: &PackStatement,
    checkpoint: &Checkpoint,
) -> Result<StatementFinding, CourtPackError> {
    let place = format!("entry {}", said.index);
    let wrong = |code, what: String| CourtPackError::new(code, place.clone(), what);
    if said.leaf != leaf(&said.digest) {
        return Err(wrong("PACK_STATEMENT", "the leaf is not that of the digest".to_owned()));
    }
    verify_inclusion(said.leaf, said.index, checkpoint.size, &said.inclusion, checkpoint.root)
        .map_err(|error| wrong("PACK_INCLUSION", error.to_string()))?;
    let Some(content) = &said.content else {
        return Ok(StatementFinding {
            index: said.index,
            action: said.action.clone(),
            issued: 0,
            keyseq: None,
            opened: 0,
            approvers: Vec::new(),
            destroyed: true,
        });
    };
    let bad = |what: String| wrong("PACK_STATEMENT", what);
    let payload = hex::decode(&content.payload).map_err(|error| bad(error.to_string()))?;
    let signature = hex::decode(&content.signature).map_err(|error| bad(error.to_string()))?;
    let keyseq = crate::statement::Payload::parse(&payload).map_err(|error| bad(error.to_string()))?.keyseq;
    let key = cards.key(pack.notice.origin, keyseq);
    let key = key.ok_or_else(|| bad(format!("there is no key {keyseq} of the origin")))?;
    let statement = Statement::verify(&payload, &signature, &key);
    let statement = statement.map_err(|error| bad(error.to_string()))?;
    let signed = statement.payload();
    if (signed.origin, signed.register, signed.notice) != (pack.notice.origin, pack.notice.register, pack.notice.notice)
    {
        return Err(bad("it is a statement of another notice".to_owned()));
    }
    if statement.digest() != said.digest || signed.action.to_string() != said.action {
        return Err(bad("it is not the statement that is described".to_owned()));
    }
    check_audience(content, &statement).map_err(bad)?;
    check_detail(content, &statement).map_err(bad)?;
    let (opened, approvers) = match signed.action.carries_content() {
        true => {
            check_content(cards, pack.notice.origin, content, &statement).map_err(|(code, what)| wrong(code, what))?
        }
        false => (0, Vec::new()),
    };
    Ok(StatementFinding {
        index: said.index,
        action: signed.action.to_string(),
        issued: signed.issued.as_unix(),
        keyseq: Some(keyseq),
        opened,
        approvers,
        destroyed: said.destroyed,
    })
}

fn check_audience(content: &PackContent, statement: &Statement) -> Result<(), String> {
    for one in &content.audience {
        let bytes = hex::decode(&one.opening).map_err(|error| error.to_string())?;
        let opening = AudienceOpening::parse(&bytes).map_err(|error| error.to_string())?;
        opening.verify(one.member, &statement.payload().audience).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn check_detail(content: &PackContent, statement: &Statement) -> Result<(), String> {
    let detail = hex::decode(&content.detail).map_err(|error| error.to_string())?;
    let signed = statement.payload();
    let agrees = match signed.action {
        Action::Retract => RetractDetail::parse(&detail).is_ok_and(|parsed| parsed.digest() == signed.detail),
        Action::Anchor => anchor_digest(&detail) == signed.detail,
        _ => true,
    };
    if agrees { Ok(()) } else { Err("the detail is not what was signed".to_owned()) }
}

/// How many slots are opened, and who approved.
fn check_content(
    cards: &Cards,
    origin: MemberId,
    content: &PackContent,
    statement: &Statement,
) -> Result<(usize, Vec<String>), (&'static str, String)> {
    let bad = |what: String| ("PACK_STATEMENT", what);
    let slot = |number: u8| SlotNumber::new(number).map_err(|error| bad(error.to_string()));
    let mut disclosure = Disclosure { openings: Vec::new(), commitments: Vec::new() };
    for one in &content.openings {
        let salt = unhex::<32>(&one.salt).ok_or_else(|| bad("a salt is 32 bytes".to_owned()))?;
        let value = hex::decode(&one.value).map_err(|error| bad(error.to_string()))?;
        disclosure.openings.push(Opening { slot: slot(one.slot)?, salt, value });
    }
    for one in &content.commitments {
        disclosure.commitments.push((slot(one.slot)?, one.commitment));
    }
    let opened = disclosure.openings.len();
    let commitments =
        disclosure.all_commitments(&statement.payload().notice).map_err(|error| bad(error.to_string()))?;
    if crate::disclosure::slots_root(&commitments) != statement.payload().slots {
        return Err(bad("the slots are not those that were signed".to_owned()));
    }
    let Some(shown) = disclosure.openings.iter().find(|opening| opening.slot == SlotNumber::APPROVALS) else {
        return Ok((opened, Vec::new()));
    };
    let unfit = |what: String| ("PACK_APPROVAL", what);
    let value = crate::value::Value::parse(&shown.value).map_err(|error| unfit(error.to_string()))?;
    // Not every statement carries one: a suspension is one officer's act.
    if value.is_absent() {
        return Ok((opened, Vec::new()));
    }
    let approvals = crate::approval::from_value(&value).map_err(|error| unfit(error.to_string()))?;
    let signed = statement.payload();
    let message = crate::approval::message(&signed.notice, signed.schema, signed.not_after, &commitments);
    let mut approvers = Vec::new();
    for approval in approvals {
        let mut why = String::new();
        let mut found = None;
        for anchor in cards.operator_anchors(origin) {
            match approval.verify(&message, anchor, origin, signed.issued) {
                Ok(approver) => found = Some(approver.name.to_string()),
                Err(error) => why = error.to_string(),
            }
        }
        approvers.push(found.ok_or_else(|| unfit(why))?);
    }
    Ok((opened, approvers))
}

fn check_receipts(
    pack: &CourtPack,
    cards: &Cards,
    said: &PackReceipts,
    place: &str,
    found: &mut Vec<ReceiptFinding>,
) -> Result<(), CourtPackError> {
    let wrong = |what: String| CourtPackError::new("PACK_RECEIPT", place, what);
    let parts: Result<Vec<Vec<u8>>, _> = said.parts.iter().map(hex::decode).collect();
    let parts = parts.map_err(|error| wrong(error.to_string()))?;
    let first = parts.first().ok_or_else(|| wrong("there is no receipt".to_owned()))?;
    let keyseq = Receipt::parse(first).map_err(|error| wrong(error.to_string()))?.keyseq;
    let key = cards.key(said.member, keyseq);
    let key = &key.ok_or_else(|| wrong(format!("there is no key {keyseq} of {}", said.member)))?;
    let receipts = match said.label.as_str() {
        RECEIPTS => {
            let signature = hex::decode(&said.signature).map_err(|error| wrong(error.to_string()))?;
            let signed = SignedReceipts::verify(parts, &signature, said.member, key);
            signed.map_err(|error| wrong(error.to_string()))?.receipts().to_vec()
        }
        RECEIPT if parts.len() == 1 => {
            let signature = unhex::<64>(&said.signature).ok_or_else(|| wrong("a signature is 64 bytes".to_owned()))?;
            let receipt = Receipt::parse(first).map_err(|error| wrong(error.to_string()))?;
            receipt.verify(&signature, key).map_err(|error| wrong(error.to_string()))?;
            vec![receipt]
        }
        _ => return Err(wrong("the label is not one of receipts".to_owned())),
    };
    if receipts.iter().any(|receipt| receipt.receiver != said.member) {
        return Err(wrong("a receipt is another member's".to_owned()));
    }
    for receipt in receipts {
        let about = pack.statements.iter().find(|statement| statement.index == receipt.index);
        let same = about.is_some_and(|statement| statement.digest == receipt.digest);
        if same && (receipt.origin, receipt.register) == (pack.notice.origin, pack.notice.register) {
            found.push(ReceiptFinding {
                member: receipt.receiver,
                index: receipt.index,
                status: receipt.status,
                reason: receipt.reason,
                at: receipt.at.as_unix(),
            });
        }
    }
    Ok(())
}

fn check_audit(pack: &CourtPack) -> Result<u64, CourtPackError> {
    let mut last: Option<(u64, Hash)> = None;
    for one in &pack.audit.entries {
        let wrong = |what: &str| CourtPackError::new("PACK_AUDIT", format!("audit entry {}", one.sequence), what);
        let chain =
            sha256_pae(&[b"eads/v1/journal", one.before.as_bytes(), &one.sequence.to_be_bytes(), one.entry.as_bytes()]);
        if chain != one.chain {
            return Err(wrong("the entry does not lead to the chain after it"));
        }
        if let Some((sequence, chain)) = last {
            if one.sequence <= sequence {
                return Err(wrong("the entries are not in order"));
            }
            if one.sequence == sequence + 1 && one.before != chain {
                return Err(wrong("the entry does not continue the one before"));
            }
        }
        last = Some((one.sequence, one.chain));
    }
    if let Some((sequence, chain)) = last {
        let head = (pack.audit.head_sequence, pack.audit.head);
        if sequence > head.0 || (sequence == head.0 && chain != head.1) {
            return Err(CourtPackError::new("PACK_AUDIT", "audit head", "the entries go beyond it"));
        }
    }
    Ok(pack.audit.entries.len() as u64)
}

fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    hex::decode(digits).ok()?.try_into().ok()
}
