//! The parts of a pack: openings, receipts, cards, agreements.

use std::collections::BTreeSet;

use eads_domain::court_pack::{
    PackAgreement, PackAudience, PackCard, PackCommitment, PackContent, PackEarlier, PackHolder, PackOpening,
    PackReceipts, RECEIPT, RECEIPTS,
};
use eads_domain::encode::sha256;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::receipt::{RECEIPT_BYTES, Receipt, ReceiptReason, ReceiptStatus};
use eads_domain::slot::{Fields as _, SlotNumber, SlotSet, SlotTable};

use super::known::Known;
use super::owed_since;
use crate::area;
use crate::error::ServiceError;
use crate::node::Node;
use crate::pages::Pages;
use crate::stored::StoredStatement;

/// What every pack opens, because it is about the notice and not about its subject.
const ABOUT_THE_NOTICE: [SlotNumber; 5] =
    [SlotNumber::SUBJECT, SlotNumber::KIND, SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];

/// What was signed, with all that is opened here, or only with what is about the notice.
pub(super) fn content(stored: &StoredStatement, notice: NoticeId, opened: bool) -> Result<PackContent, ServiceError> {
    let disclosure = if opened {
        stored.disclosure.clone()
    } else {
        stored.disclosure.narrowed(&notice, SlotSet::from_iter(ABOUT_THE_NOTICE))
    };
    let mut openings = Vec::with_capacity(disclosure.openings.len());
    if !disclosure.openings.is_empty() {
        let shown = stored.content()?;
        let texts = shown.to_fields();
        for opening in &disclosure.openings {
            let name = SlotTable::get().slot(shown.subject(), opening.slot).map(|spec| spec.name.clone());
            let name = name.unwrap_or_default();
            // Approvals are signatures and certificates: bytes, not reading matter.
            let text = texts.get(&name).filter(|_| opening.slot != SlotNumber::APPROVALS);
            openings.push(PackOpening {
                slot: opening.slot.get(),
                text: text.map(ToString::to_string).unwrap_or_default(),
                name,
                salt: hex::encode(opening.salt),
                value: hex::encode(&opening.value),
            });
        }
    }
    let commitment =
        |(slot, commitment): &(SlotNumber, Hash)| PackCommitment { slot: slot.get(), commitment: *commitment };
    Ok(PackContent {
        payload: hex::encode(&stored.payload),
        signature: hex::encode(&stored.signature),
        detail: hex::encode(&stored.detail),
        openings,
        commitments: disclosure.commitments.iter().map(commitment).collect(),
        audience: stored
            .audience
            .iter()
            .map(|(member, opening)| PackAudience { member: *member, opening: hex::encode(opening.encode()) })
            .collect(),
    })
}

impl Node {
    /// What every peer was sent of an own notice, and all receipts about it as they were signed.
    pub(super) async fn own_receipts(
        &self,
        notice: NoticeId,
        known: &[Known],
    ) -> Result<(Vec<PackHolder>, Vec<PackReceipts>), ServiceError> {
        let head = self.own_notice(notice).await?;
        let head = head.ok_or_else(|| ServiceError::not_found("NOTICE_UNKNOWN", "the notice is not known here"))?;
        let mut holders = Vec::new();
        for member in &head.ever_sent {
            let holdings = self.holdings_of(notice, *member).await?;
            for (at, (index, holding)) in holdings.iter().enumerate() {
                let status = holding.receipt.and_then(|receipt| ReceiptStatus::from_byte(receipt.status));
                holders.push(PackHolder {
                    member: *member,
                    index: *index,
                    slots: holding.slots.iter().map(SlotNumber::get).collect(),
                    sent_at: holding.sent_at.as_unix(),
                    state: match status {
                        Some(status) => status.as_str(),
                        None if holding.undelivered => "undelivered",
                        None => "sent",
                    }
                    .to_owned(),
                    receipt_at: holding.receipt.map_or(0, |receipt| receipt.at.as_unix()),
                    purge_owed_since: owed_since(&head, &holdings, at).map_or(0, |at| at.as_unix()),
                    written_off_at: holding.written_off.map_or(0, |at| at.as_unix()),
                });
            }
        }
        let digests: BTreeSet<Hash> = known.iter().map(|one| one.digest).collect();
        let mut receipts = Vec::new();
        for member in &head.ever_sent {
            let mut pages = Pages::of(&*self.store, area::RECEIPT).prefix(member.as_bytes());
            while let Some(page) = pages.next().await? {
                for (_, bytes) in &page {
                    let Some((signature, parts)) = bytes.split_first_chunk::<64>() else { continue };
                    let about = |part: &[u8]| Receipt::parse(part).is_ok_and(|one| digests.contains(&one.digest));
                    if parts.chunks(RECEIPT_BYTES).any(about) {
                        receipts.push(PackReceipts {
                            member: *member,
                            label: RECEIPTS.to_owned(),
                            parts: parts.chunks(RECEIPT_BYTES).map(hex::encode).collect(),
                            signature: hex::encode(signature),
                        });
                    }
                }
            }
        }
        Ok((holders, receipts))
    }

    /// What this member has answered to a peer's statements, signed once more, each by itself.
    pub(super) fn given_receipts(&self, origin: MemberId, known: &[Known]) -> Result<Vec<PackReceipts>, ServiceError> {
        let Some(peer) = self.peers.get(origin) else { return Ok(Vec::new()) };
        let identity = self.identity();
        let mut receipts = Vec::new();
        for one in known {
            let Some(answered) = &one.answered else { continue };
            let status = ReceiptStatus::from_byte(answered.status)
                .ok_or_else(|| ServiceError::internal("ROW_UNREADABLE", "an answer has no known status"))?;
            let receipt = Receipt {
                status,
                receiver: self.member,
                origin,
                register: peer.card.card().register,
                index: one.index,
                digest: answered.digest,
                shown: answered.slots.bits(),
                reason: ReceiptReason::from_number(answered.reason),
                at: answered.at,
                backups_until: None,
                keyseq: identity.card.card().keyseq,
            };
            receipts.push(PackReceipts {
                member: self.member,
                label: RECEIPT.to_owned(),
                parts: vec![hex::encode(receipt.to_bytes())],
                signature: hex::encode(receipt.sign(&identity.signing)),
            });
        }
        Ok(receipts)
    }

    /// The cards of those who signed something: all own ones, and those in force of peers.
    pub(super) async fn cards_of(&self, members: &BTreeSet<MemberId>) -> Result<Vec<PackCard>, ServiceError> {
        let of_peers = members.iter().filter_map(|member| self.peers.get(*member)).map(|peer| peer.card.clone());
        let mut own = self.own_cards().await?;
        own.reverse();
        let cards = own.into_iter().chain(of_peers).map(|card| PackCard {
            member: card.card().member,
            keyseq: card.card().keyseq,
            digest: card.digest(),
            verification_code: card.verification_code().to_string(),
            card: card.to_armor(),
        });
        Ok(cards.collect())
    }

    /// What peers had before the cards in force.
    pub(super) fn earlier_of(&self, members: &BTreeSet<MemberId>) -> Vec<PackEarlier> {
        let peers = members.iter().filter_map(|member| self.peers.get(*member));
        let earlier = peers.map(|peer| PackEarlier {
            member: peer.member(),
            keys: peer
                .keys
                .spans()
                .filter(|span| span.keyseq != peer.card.card().keyseq)
                .map(|span| (span.keyseq, hex::encode(span.key.as_bytes())))
                .collect(),
            operator_anchors: peer.earlier_anchors.iter().map(|one| hex::encode(one.anchor.as_der())).collect(),
        });
        earlier.filter(|one| !one.keys.is_empty() || !one.operator_anchors.is_empty()).collect()
    }

    /// The agreements with those who hold the notice, or with its owner.
    pub(super) fn agreements_with(&self, members: &BTreeSet<MemberId>) -> Vec<PackAgreement> {
        let peers = members.iter().filter_map(|member| self.peers.get(*member));
        peers
            .filter(|peer| peer.agreement.is_some())
            .map(|peer| PackAgreement {
                member: peer.member(),
                digest: sha256(peer.agreement_text().as_bytes()),
                since: peer.since.as_unix(),
            })
            .collect()
    }
}
