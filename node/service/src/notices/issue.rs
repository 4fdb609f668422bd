//! Signing and publishing what was drafted and approved.

use eads_domain::audience::{Audience, AudienceOpening};
use eads_domain::disclosure::{CommittedContent, Disclosure};
use eads_domain::id::{DraftId, Hash, MemberId, NoticeId};
use eads_domain::life::{DraftAct, DraftState};
use eads_domain::slot::{Fields as _, SCHEMA, SlotSet, SlotTable};
use eads_domain::statement::{Action, Payload, RetractDetail};
use eads_store::port::{Batch, Scan};

use super::draft::content_errors;
use super::{Draft, Referred, not_possible};
use crate::area;
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::register::{Appended, Publication};
use crate::rows::{self, Emergency, Holding, Life, OwnNotice, OwnVersion, PurgeJob};
use crate::search::Searchable;

/// The most statements that one notice can have: each costs a row in the transaction that ends it.
const MAX_VERSIONS: u16 = 1000;

/// What was published.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What people cite.
    pub reference: String,
    /// Version that the statement carries.
    pub version: u16,
    /// Where it stands.
    pub at: Appended,
    /// Members to whom it was put into the delivery log.
    pub delivered_to: Vec<MemberId>,
}

impl Node {
    /// Publishes an approved draft: once this returns it is durable here and on its way.
    ///
    /// # Errors
    /// `APPROVAL_MISSING`, `DRAFT_STALE` when the notice changed after it was drafted, `NOTICE_STATE`,
    /// `AUDIENCE_*`, `VALIDITY_OVER`.
    pub async fn issue_draft(&self, call: &Call, id: DraftId) -> Result<Issued, ServiceError> {
        let mut entry = self.entry(call, "IssueDraft");
        entry.subject = Some(id.to_string());
        let intent = self.audit.intent(entry).await?;
        // Before the lock: what peers give back of own notices is written under it.
        let outcome = match self.may_sequence().await {
            Ok(()) => {
                let _notices = self.notices.lock().await;
                self.issue(id).await
            }
            Err(error) => Err(error),
        };
        self.audit.close(intent, &outcome).await?;
        outcome
    }

    async fn issue(&self, id: DraftId) -> Result<Issued, ServiceError> {
        let draft = self.draft_by_id(id).await?;
        let missing = || {
            ServiceError::conflict("APPROVAL_MISSING", "a second officer has not approved this draft")
                .with_hint(format!("an approver runs `eads notice approve {id}`"))
        };
        match draft.state {
            DraftState::Submitted => return Err(missing()),
            state => state.after(DraftAct::Issue).map_err(not_possible)?,
        };
        let (_, approval) = draft.approval.as_ref().ok_or_else(missing)?;
        self.verify_approval(&draft, approval)?;
        let head = self.ready(&draft).await?;
        let committed = draft.committed().with_approvals(std::slice::from_ref(approval))?;
        committed.content().check(draft.action).map_err(content_errors)?;
        match draft.action {
            Action::Issue | Action::Amend => self.publish_content(&draft, &committed, head).await,
            _ => self.publish_state(&draft, &committed, head).await,
        }
    }

    /// The notice as it is before `draft` becomes its next version, if that is still possible.
    pub(super) async fn ready(&self, draft: &Draft) -> Result<Option<OwnNotice>, ServiceError> {
        let head = self.own_notice(draft.notice).await?;
        let expected = head.as_ref().map_or(1, |head| head.version.saturating_add(1));
        if draft.version != expected || draft.version > MAX_VERSIONS {
            return Err(ServiceError::conflict("DRAFT_STALE", "the notice has changed since this was drafted")
                .with_hint("discard the draft and prepare it again"));
        }
        if draft.action.describes_subject() && draft.not_after <= self.clock.now() {
            return Err(ServiceError::conflict("VALIDITY_OVER", "the end of validity has passed"));
        }
        Ok(head)
    }

    /// Issue and amend: everyone addressed gets what the agreement allows; who is no longer addressed gets a
    /// retraction in the same transaction.
    pub(super) async fn publish_content(
        &self,
        draft: &Draft,
        committed: &CommittedContent,
        head: Option<OwnNotice>,
    ) -> Result<Issued, ServiceError> {
        let content = committed.content();
        self.check_audience(content, &draft.audience)?;
        let mut deliveries = Vec::new();
        for member in &draft.audience {
            let peer = self.peers.get(*member);
            let agreement = peer.as_ref().and_then(|peer| peer.agreement.as_ref());
            if let Some(slots) = agreement.and_then(|a| a.allowed_slots(content.subject(), content.kind())) {
                deliveries.push((*member, slots));
            }
        }
        let audience = Audience::build(&draft.audience, &*self.entropy)?;
        let mut publications = vec![self.publication(draft, committed, &audience, deliveries.clone())];
        let mut narrowed = Vec::new();
        let dropped: Vec<MemberId> = head.iter().flat_map(|head| &head.ever_sent).copied().collect();
        let dropped: Vec<MemberId> = dropped.into_iter().filter(|member| !draft.audience.contains(member)).collect();
        if let Some((retraction, holdings)) = self.retraction(draft.notice, draft.not_after, &dropped).await? {
            publications.push(retraction);
            narrowed = holdings;
        }
        let mut removal = Batch::new();
        self.vault.delete(&mut removal, area::DRAFT, draft.id.as_bytes()).await?;
        let first = head.is_none();
        let old_expiry = head.as_ref().map(|head| head.not_after);
        let appended = self
            .append(publications, false, |appended, batch| {
                let at = first_of(appended)?;
                let latest = appended.last().map_or(at.index, |last| last.index);
                let before = head.clone();
                let head = self.next_head(draft, committed, head, at, latest);
                self.put_emergency(batch, draft.notice, before.as_ref(), Some(&head));
                rows::put(batch, area::OWN_NOTICE, draft.notice.as_bytes(), &head)?;
                if first {
                    let referred = Referred { owner: self.member, notice: draft.notice };
                    rows::put(batch, area::REFERENCE, &self.reference_key(&draft.reference.to_string()), &referred)?;
                }
                if let Some(old) = old_expiry {
                    batch.delete(area::EXPIRY, area::expiry(old.as_unix(), self.member, draft.notice));
                }
                batch.put(area::EXPIRY, area::expiry(draft.not_after.as_unix(), self.member, draft.notice), []);
                self.put_listed(batch, draft)?;
                self.screen_own(batch, draft.notice, content)?;
                for (key, holding) in narrowed {
                    rows::put(batch, area::HOLDING, &key, &holding)?;
                }
                batch.append(removal);
                Ok(())
            })
            .await?;
        let at = first_of(&appended)?;
        self.indexes.own_notice(draft.notice, &Searchable::of(content));
        self.screen_due.notify_one();
        Ok(Issued {
            reference: draft.reference.to_string(),
            version: draft.version,
            at,
            delivered_to: deliveries.into_iter().map(|(member, _)| member).collect(),
        })
    }

    fn next_head(
        &self,
        draft: &Draft,
        committed: &CommittedContent,
        head: Option<OwnNotice>,
        at: Appended,
        latest: u64,
    ) -> OwnNotice {
        let content = committed.content();
        let mut ever_sent = head.as_ref().map(|head| head.ever_sent.clone()).unwrap_or_default();
        for member in &draft.audience {
            if !ever_sent.contains(member) {
                ever_sent.push(*member);
            }
        }
        let longest = head.as_ref().map_or(draft.not_after, |head| head.longest_not_after.max(draft.not_after));
        OwnNotice {
            reference: draft.reference.to_string(),
            kind: content.kind(),
            subject: content.subject(),
            life: Life::Issued,
            version: draft.version,
            content_index: at.index,
            content_digest: at.digest,
            latest_index: latest,
            issued: head.as_ref().map_or_else(|| self.clock.now(), |head| head.issued),
            not_after: draft.not_after,
            longest_not_after: longest,
            audience: draft.audience.clone(),
            ever_sent,
            exercise: content.is_exercise(),
            settled: false,
            emergency: content.is_emergency().then(|| Emergency {
                until: self.clock.now().plus_seconds(self.limits.emergency_seconds),
                officer: draft.drafter.clone(),
            }),
        }
    }

    /// Resume and withdraw: everyone who was ever sent any version is told, with mandatory slots only.
    async fn publish_state(
        &self,
        draft: &Draft,
        committed: &CommittedContent,
        head: Option<OwnNotice>,
    ) -> Result<Issued, ServiceError> {
        let head = head.ok_or_else(|| ServiceError::not_found("NOTICE_UNKNOWN", "the notice is not known here"))?;
        let told = head.ever_sent.clone();
        let audience = Audience::build(&told, &*self.entropy)?;
        let slots = SlotTable::get().mandatory();
        let deliveries = told.iter().map(|member| (*member, slots)).collect();
        let publication = self.publication(draft, committed, &audience, deliveries);
        let mut removal = Batch::new();
        self.vault.delete(&mut removal, area::DRAFT, draft.id.as_bytes()).await?;
        let withdraws = draft.action == Action::Withdraw;
        let mut forgotten = Batch::new();
        if withdraws {
            self.forget_notice(&mut forgotten, self.member, draft.notice).await?;
        }
        let appended = self
            .append(vec![publication], withdraws, |appended, batch| {
                let at = first_of(appended)?;
                let life = if withdraws { Life::Withdrawn } else { Life::Issued };
                let next = OwnNotice { life, version: draft.version, latest_index: at.index, ..head.clone() };
                rows::put(batch, area::OWN_NOTICE, draft.notice.as_bytes(), &next)?;
                if withdraws {
                    self.put_emergency(batch, draft.notice, Some(&head), None);
                    self.queue_purge(batch, &PurgeJob::Own { notice: draft.notice })?;
                    batch.delete(area::EXPIRY, area::expiry(head.not_after.as_unix(), self.member, draft.notice));
                    self.put_listed(batch, draft)?;
                    batch.append(forgotten);
                }
                batch.append(removal);
                Ok(())
            })
            .await?;
        if withdraws {
            self.own_is_over(draft.notice);
            self.purge_due.notify_one();
            self.discard_all_of(draft.notice).await?;
        }
        let at = first_of(&appended)?;
        Ok(Issued { reference: draft.reference.to_string(), version: draft.version, at, delivered_to: told })
    }

    pub(crate) fn publication(
        &self,
        draft: &Draft,
        committed: &CommittedContent,
        audience: &Audience,
        deliveries: Vec<(MemberId, SlotSet)>,
    ) -> Publication {
        Publication {
            action: draft.action,
            notice: draft.notice,
            version: draft.version,
            schema: SCHEMA,
            not_after: draft.not_after,
            slots: committed.slots_root(),
            audience: audience.root(),
            detail: Payload::NO_DETAIL,
            audience_openings: owned(audience),
            disclosure: committed.disclose(SlotSet::ALL),
            detail_bytes: Vec::new(),
            key: draft.key,
            blobs: draft.blobs.clone(),
            deliveries,
        }
    }

    /// A retraction of every content version of a notice from `members`, with their holdings as they are after
    /// it; none if they hold nothing. Nothing of them is shown any more, not even to a peer that is far behind.
    pub(crate) async fn retraction(
        &self,
        notice: NoticeId,
        not_after: eads_domain::clock::Timestamp,
        members: &[MemberId],
    ) -> Result<Option<(Publication, Vec<(Vec<u8>, Holding)>)>, ServiceError> {
        let mut entries = Vec::new();
        let mut holdings = Vec::new();
        for (index, version) in self.own_versions(notice).await? {
            if !version.action.describes_subject() {
                continue;
            }
            let before = holdings.len();
            for member in members {
                let key = area::index_member(index, *member);
                let holding: Option<Holding> = rows::get(&*self.store, area::HOLDING, &key).await?;
                if let Some(holding) = holding.filter(|holding| !holding.slots.is_empty()) {
                    holdings.push((key, Holding { slots: SlotSet::EMPTY, ..holding }));
                }
            }
            if holdings.len() > before {
                entries.push((index, SlotSet::EMPTY));
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let detail = RetractDetail::new(entries)?;
        let audience = Audience::build(members, &*self.entropy)?;
        let retraction = Publication {
            action: Action::Retract,
            notice,
            version: 0,
            schema: SCHEMA,
            not_after,
            slots: Hash::random(&*self.entropy),
            audience: audience.root(),
            detail: detail.digest(),
            audience_openings: owned(&audience),
            disclosure: Disclosure { openings: Vec::new(), commitments: Vec::new() },
            detail_bytes: detail.encode(),
            key: self.keys.allocate()?,
            blobs: Vec::new(),
            deliveries: members.iter().map(|member| (*member, SlotSet::EMPTY)).collect(),
        };
        Ok(Some((retraction, holdings)))
    }

    /// Every version of an own notice in order of its index.
    pub(crate) async fn own_versions(&self, notice: NoticeId) -> Result<Vec<(u64, OwnVersion)>, ServiceError> {
        let rows = self.store.scan(Scan::new(area::OWN_VERSION, 4096).prefix(*notice.as_bytes())).await?;
        let mut versions = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            if let Some(index) = area::trailing_number(&key) {
                versions.push((index, rows::parse(&value)?));
            }
        }
        Ok(versions)
    }
}

/// The openings of an audience, for the store.
pub(crate) fn owned(audience: &Audience) -> Vec<(MemberId, AudienceOpening)> {
    audience.openings().map(|(member, opening)| (member, opening.clone())).collect()
}

pub(crate) fn first_of(appended: &[Appended]) -> Result<Appended, ServiceError> {
    appended.first().copied().ok_or_else(|| ServiceError::internal("REGISTER_EMPTY_APPEND", "nothing was appended"))
}
