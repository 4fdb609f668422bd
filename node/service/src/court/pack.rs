//! Making the pack: what is asked, who may have what opened, and the file.

use std::collections::BTreeSet;

use eads_domain::court_pack::{
    CourtPack, Exported, FORMAT, LABEL, PackAudit, PackEntry, PackHold, PackNotice, PackStatement, SIGNATURE_FIELD,
};
use eads_domain::encode::pae;
use eads_domain::id::{Hash, MemberId, NoticeId};
use eads_domain::operator::{Purpose, Role};
use eads_domain::register::{SignedCheckpoint, Tree};
use eads_domain::slot::{SlotNumber, SlotSet};
use ed25519_dalek::Signer as _;

use super::known::Known;
use crate::audit::{Concerning, Shown};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::rows::Life;

/// The most audit entries of one pack.
const MOST_ENTRIES: usize = 20_000;

const STEPS: &[&str] = &[
    "Make sure by a channel that you trust that the cards are those of the members named: their administrators read \
     out verification_code. Everything below stands on them.",
    "pack_signature: Ed25519 by signing_key of the newest card of exported.member over PAE(\"eads/v1/court-pack\", \
     the bytes of this file before the last \"pack_signature\").",
    "checkpoint: a C2SP signed note by the origin; its first line is <origin in lower case>.eads/register/<register>.",
    "Each statement: leaf = SHA-256(0x00 || digest), and inclusion leads from it to the checkpoint's root (RFC 9162 \
     2.1.3.2).",
    "Where content stands: signature is Ed25519 by the origin's key of the payload's keyseq over \
     PAE(\"eads/v1/statement\", payload), digest is SHA-256 of that, and openings and commitments are the 48 slots \
     that the payload commits to. Where it is destroyed, only place and digest are shown.",
    "Approvals stand in slot 9: P-256 by the officer's certificate, issued by the operator anchor on the origin's \
     card.",
    "receipts: Ed25519 by the holder over PAE(label, parts); a purge receipt is the holder's word, not a proof.",
    "audit: chain = SHA-256(PAE(\"eads/v1/journal\", before, u64 sequence, entry)).",
    "`eads proof verify FILE`, or tests/vectors/verify_pack.py of the source, does all of this.",
];

/// What is asked of a pack.
#[derive(Clone, Debug)]
pub struct PackRequest {
    /// The notice, own or held.
    pub reference: String,
    /// Why.
    pub purpose: Purpose,
    /// On which legal basis, if stated.
    pub legal_basis: Option<String>,
    /// For which case.
    pub case_reference: String,
}

impl Node {
    /// Everything that is known of one notice, as a file. Values are opened to auditors only; an administrator's pack
    /// has commitments in their place.
    ///
    /// # Errors
    /// `NOTICE_UNKNOWN`, `PACK_*` when what is kept cannot be shown to be what was signed.
    pub async fn export_court_pack(&self, call: &Call, asked: &PackRequest) -> Result<Vec<u8>, ServiceError> {
        let mut entry = self.entry(call, "ExportCourtPack");
        entry.purpose = Some(asked.purpose.as_str().to_owned());
        entry.legal_basis.clone_from(&asked.legal_basis);
        entry.case_reference = Some(asked.case_reference.clone());
        entry.subject = Some(asked.reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.pack(call, asked).await;
        match &outcome {
            Ok((_, shown)) => self.audit.outcome(&intent, "OK", shown.clone()).await?,
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome.map(|(file, _)| file)
    }

    async fn pack(&self, call: &Call, asked: &PackRequest) -> Result<(Vec<u8>, Vec<Shown>), ServiceError> {
        let referred = self.referred(&asked.reference).await?;
        let (origin, notice) = (referred.owner, referred.notice);
        let parsed: eads_domain::reference::Reference = asked.reference.parse().map_err(ServiceError::from_coded)?;
        let reference = parsed.to_string();
        let opened = call.operator.roles.contains(Role::Auditor);
        let known = self.known_statements(origin, notice).await?;
        let (checkpoint, places) = self.places(origin).await?;
        let mut statements = Vec::with_capacity(known.len());
        let mut shown = Vec::new();
        for one in &known {
            let statement = places.statement(one, notice, opened)?;
            let slots: SlotSet = statement
                .content
                .iter()
                .flat_map(|content| &content.openings)
                .filter_map(|opening| SlotNumber::new(opening.slot).ok())
                .collect();
            shown.push(Shown { digest: one.digest, slots });
            statements.push(statement);
        }
        let (holders, receipts) = if origin == self.member {
            self.own_receipts(notice, &known).await?
        } else {
            (Vec::new(), self.given_receipts(origin, &known)?)
        };
        let members: BTreeSet<MemberId> = receipts
            .iter()
            .map(|receipts| receipts.member)
            .chain(holders.iter().map(|holder| holder.member))
            .chain([origin, self.member])
            .collect();
        let orders = self.court.orders(origin, notice).into_iter();
        let mut pack = CourtPack {
            format: FORMAT.to_owned(),
            steps: STEPS.iter().map(|step| (*step).to_owned()).collect(),
            exported: Exported {
                at: self.clock.now().as_unix(),
                member: self.member,
                by: call.operator.name.to_string(),
                purpose: asked.purpose.as_str().to_owned(),
                legal_basis: asked.legal_basis.clone().unwrap_or_default(),
                case_reference: asked.case_reference.clone(),
                opened,
            },
            notice: PackNotice {
                reference: reference.clone(),
                notice,
                origin,
                register: places.register,
                state: self.state_of(origin, notice).await?,
            },
            cards: self.cards_of(&members).await?,
            earlier: self.earlier_of(&members),
            checkpoint: String::from_utf8_lossy(checkpoint.bytes()).into_owned(),
            agreements: self.agreements_with(&members),
            holds: orders
                .map(|(order, until, administrators)| PackHold { order, until: until.as_unix(), administrators })
                .collect(),
            audit: self.audit_of(reference, &known).await?,
            statements,
            holders,
            receipts,
            pack_signature: String::new(),
        };
        let unsigned = file(&pack)?;
        let end = unsigned.rfind(SIGNATURE_FIELD).unwrap_or(unsigned.len());
        let message = pae(&[LABEL, unsigned.get(..end).unwrap_or_default().as_bytes()]);
        pack.pack_signature = hex::encode(self.identity().signing.sign(&message).to_bytes());
        Ok((file(&pack)?.into_bytes(), shown))
    }

    /// Where a notice stands, whether or not anything of it is left.
    async fn state_of(&self, origin: MemberId, notice: NoticeId) -> Result<String, ServiceError> {
        if origin == self.member {
            let head = self.own_notice(notice).await?;
            return Ok(match head.map(|head| head.life) {
                Some(Life::Issued) => "issued",
                Some(Life::Suspended) => "suspended",
                Some(Life::Withdrawn) => "withdrawn",
                Some(Life::Expired) => "expired",
                None => "unknown",
            }
            .to_owned());
        }
        let key = crate::area::member_notice(origin, notice);
        if let Some(head) =
            crate::rows::get::<crate::rows::HeldNotice>(&*self.store, crate::area::HELD_NOTICE, &key).await?
            && let Some((view, _)) = self.held_view(origin, notice, &head).await?
        {
            return Ok(view.state.as_str().to_owned());
        }
        let withdrawn = self.store.get(crate::area::MARK, &key).await?.is_some();
        Ok(if withdrawn { "withdrawn" } else { "ended" }.to_owned())
    }

    /// The origin's register as it is known here.
    async fn places(&self, origin: MemberId) -> Result<(SignedCheckpoint, Places), ServiceError> {
        let none = || ServiceError::conflict("PACK_NO_CHECKPOINT", "there is no signed checkpoint of the register");
        if origin == self.member {
            let signed = self.register.checkpoint().ok_or_else(none)?;
            let mut tree = Tree::new();
            for index in 0..signed.checkpoint().size {
                if let Some(leaf) = self.register.leaf(index) {
                    tree.append(leaf);
                }
            }
            return Ok((signed, Places { tree, register: self.register_id }));
        }
        let peer = self.peers.get(origin);
        let peer =
            peer.ok_or_else(|| ServiceError::not_found("PEER_UNKNOWN", format!("{origin} is not a peer any more")))?;
        let _applying = self.applying.lock(origin).await;
        let signed = self.held_checkpoint(&peer).await?.ok_or_else(none)?;
        let tree = self.held_tree(origin, signed.checkpoint().size).await?;
        Ok((signed, Places { tree, register: peer.card.card().register }))
    }

    async fn audit_of(&self, reference: String, known: &[Known]) -> Result<PackAudit, ServiceError> {
        let digests: BTreeSet<Hash> = known.iter().map(|one| one.digest).collect();
        let audit = self.audit.clone();
        let reading = tokio::task::spawn_blocking(move || {
            audit.concerning(MOST_ENTRIES, |entry| {
                entry.subject.as_ref().is_some_and(|subject| subject.contains(&reference))
                    || entry.shown.iter().any(|shown| digests.contains(&shown.digest))
            })
        });
        let Concerning { entries, truncated, head } = reading.await.map_err(|error| {
            ServiceError::internal("AUDIT_READ_STOPPED", "reading the audit log was interrupted").caused_by(error)
        })??;
        let entry = |(sequence, before, bytes, chain): (u64, Hash, Vec<u8>, Hash)| {
            let entry = String::from_utf8(bytes).map_err(|error| {
                ServiceError::internal("AUDIT_ENTRY_UNREADABLE", "an audit entry is not text").caused_by(error)
            })?;
            Ok(PackEntry { sequence, before, entry, chain })
        };
        let entries = entries.into_iter().map(entry).collect::<Result<_, ServiceError>>()?;
        Ok(PackAudit { head_sequence: head.0, head: head.1, truncated, entries })
    }
}

/// Where statements stand in their register.
pub(super) struct Places {
    pub(super) tree: Tree,
    pub(super) register: eads_domain::id::RegisterId,
}

impl Places {
    fn statement(&self, known: &Known, notice: NoticeId, opened: bool) -> Result<PackStatement, ServiceError> {
        let unproven = || {
            ServiceError::conflict(
                "PACK_UNPROVEN",
                format!("entry {} is not in the register as it is held", known.index),
            )
            .with_hint("run `eads register verify`")
        };
        let leaf = self.tree.leaf(known.index).ok_or_else(unproven)?;
        let inclusion = self.tree.inclusion_proof(known.index, self.tree.size()).map_err(|_| unproven())?;
        let content = known.content.as_ref().map(|stored| super::pack_parts::content(stored, notice, opened));
        Ok(PackStatement {
            index: known.index,
            action: known.action.unwrap_or_default().to_owned(),
            version: known.version,
            digest: known.digest,
            leaf,
            inclusion,
            destroyed: known.content.is_none(),
            content: content.transpose()?,
        })
    }
}

fn file(pack: &CourtPack) -> Result<String, ServiceError> {
    let mut text = serde_json::to_string_pretty(pack)
        .map_err(|error| ServiceError::internal("PACK_UNWRITABLE", "the pack cannot be written").caused_by(error))?;
    text.push('\n');
    Ok(text)
}
