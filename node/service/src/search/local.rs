//! Searching what this member itself holds.

use eads_domain::agreement::{Agreement, Shows};
use eads_domain::card::Standing;
use eads_domain::id::{MemberId, NoticeId};
use eads_domain::query::{
    Caution, Hit, HitField, HitReason, HitSource, HitState, Query, QueryKey, Score, StatementPointer,
};
use eads_domain::record::Record;
use eads_domain::slot::{Fields as _, SlotSet, SlotTable};
use eads_domain::subject::SubjectType;
use eads_search::{Index, Limits, Match, Matches};
use eads_store::vault::Sealed;

use super::index::tag_is_asked;
use crate::area;
use crate::audit::Shown;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::{NoticeState, NoticeView};
use crate::records::RecordHandle;
use crate::rows::{self, HeldNotice};

/// Hits with what the audit log keeps of them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) hits: Vec<Hit>,
    pub(crate) shown: Vec<Shown>,
    pub(crate) truncated: bool,
}

impl Found {
    fn push(&mut self, hit: Hit, shown: Shown) {
        self.hits.push(hit);
        self.shown.push(shown);
    }

    /// The whole of a hit for the own officers, or what its agreement shows to a peer.
    fn push_for(&mut self, asker: Option<(MemberId, &Agreement)>, subject: SubjectType, whole: (Hit, Shown)) {
        let (hit, shown) = match asker {
            None => whole,
            Some((_, agreement)) => narrow(&agreement.answers().shows, subject, whole.0, whole.1),
        };
        self.push(hit, shown);
    }

    /// The best `most`, best first.
    fn best(mut self, most: usize) -> Self {
        let mut both: Vec<(Hit, Shown)> = self.hits.into_iter().zip(self.shown).collect();
        both.sort_by_key(|(hit, _)| std::cmp::Reverse(hit.score));
        self.truncated |= both.len() > most;
        both.truncate(most);
        (self.hits, self.shown) = both.into_iter().unzip();
        self
    }
}

impl Node {
    /// What an officer of this member may see: own notices, held ones, own records, with all their fields. The desk
    /// also sees held ones that wait for it.
    /// A hit on somebody who is known not to be the one asked for comes last.
    pub(super) async fn find_for_officer(&self, query: &Query, desk: bool) -> Result<Found, ServiceError> {
        let mut found = self.find_everything(query, desk, self.limits.hits).await?;
        self.mark_hits(query, &mut found.hits);
        Ok(found.best(self.limits.hits))
    }

    /// At most `most` hits of each index, without regard to marks.
    pub(crate) async fn find_everything(&self, query: &Query, desk: bool, most: usize) -> Result<Found, ServiceError> {
        let mut found = self.find_among_own(query, None, most).await?;
        for (origin, index) in self.indexes.held(query.exercise, desk) {
            let matches = self.look_up(&index, query, most)?;
            found.truncated |= matches.truncated;
            for matched in matches.matches {
                let notice = NoticeId::from_bytes(*matched.id.as_bytes());
                if let Some((hit, shown)) = self.held_hit(origin, notice, &matched, desk).await? {
                    found.push(hit, shown);
                }
            }
        }
        Ok(found)
    }

    /// What this member holds of its own: its notices in force and its records. A peer that asks finds only the
    /// notices that are addressed to it, of the kinds that its agreement sends, and sees of each hit what that shows.
    pub(super) async fn find_own(
        &self,
        query: &Query,
        asker: Option<(MemberId, &Agreement)>,
    ) -> Result<Found, ServiceError> {
        Ok(self.find_among_own(query, asker, self.limits.hits).await?.best(self.limits.hits))
    }

    async fn find_among_own(
        &self,
        query: &Query,
        asker: Option<(MemberId, &Agreement)>,
        most: usize,
    ) -> Result<Found, ServiceError> {
        let mut found = Found::default();
        let matches = self.look_up(self.indexes.own(query.exercise), query, most)?;
        found.truncated |= matches.truncated;
        for matched in matches.matches {
            let notice = NoticeId::from_bytes(*matched.id.as_bytes());
            let Some(head) = self.own_notice(notice).await? else { continue };
            if asker.is_some_and(|(asker, _)| !head.audience.contains(&asker)) {
                continue;
            }
            let (view, content) = self.own_view(notice, &head).await?;
            let (Some(content), NoticeState::Of(state)) = (content, view.state) else { continue };
            if state == HitState::Expired {
                continue;
            }
            if asker.is_some_and(|(_, agreement)| !agreement.sends().kinds.contains(&view.kind)) {
                continue;
            }
            let fields = fields(&content.to_fields());
            // What this member knows from others is not a peer's to hear.
            let own_word = [Caution::EmergencyUnapproved, Caution::Contested];
            let is_told = |caution: &Caution| asker.is_none() || own_word.contains(caution);
            let cautions = view.cautions.iter().copied().filter(is_told).collect();
            let whole = (hit(&view, state, cautions, fields, &matched), shown(&view, SlotSet::ALL));
            found.push_for(asker, content.subject(), whole);
        }
        // Real records never meet an exercise, and a query for kinds of notices asks for no records.
        if !query.exercise && query.kinds.is_empty() {
            let matches = self.look_up(&self.indexes.records, query, most)?;
            found.truncated |= matches.truncated;
            for matched in matches.matches {
                if let Some((subject, whole)) = self.record_hit(&matched).await?
                    && asker.is_none_or(|(asker, _)| self.may_hear_of(asker, subject))
                {
                    found.push_for(asker, subject, whole);
                }
            }
        }
        Ok(found)
    }

    /// Whether a peer may be told of records about such a subject: an observer gets no personal data, whatever it asked
    /// by.
    fn may_hear_of(&self, peer: MemberId, subject: SubjectType) -> bool {
        let standing = self.peers.get(peer).map(|peer| peer.card.card().standing);
        let is_personal = matches!(subject, SubjectType::Person | SubjectType::Body | SubjectType::Document);
        !is_personal || standing.is_some_and(|standing| standing != Standing::Observer)
    }

    fn look_up(&self, index: &Index, query: &Query, most: usize) -> Result<Matches, ServiceError> {
        let limits = Limits { matches: most, work: self.limits.search_budget };
        let is_records = std::ptr::eq(index, &self.indexes.records);
        let accepts = |subject: SubjectType, tag: u32| {
            let about = match &query.key {
                QueryKey::Name(_) => subject == query.subject,
                // A document number is also found on the notice about its holder, and the other way round.
                QueryKey::Identifier(_) => true,
            };
            about && (is_records || tag_is_asked(tag, &query.kinds))
        };
        match &query.key {
            QueryKey::Name(name) => index.find_by_name_where(name, limits, &accepts).map_err(ServiceError::from_coded),
            QueryKey::Identifier(key) => Ok(index.find_by_identifier_where(key, limits, &accepts)),
        }
    }

    async fn held_hit(
        &self,
        origin: MemberId,
        notice: NoticeId,
        matched: &Match,
        desk: bool,
    ) -> Result<Option<(Hit, Shown)>, ServiceError> {
        let key = area::member_notice(origin, notice);
        let Some(head) = rows::get::<HeldNotice>(&*self.store, area::HELD_NOTICE, &key).await? else {
            return Ok(None);
        };
        let Some((view, Some(content))) = self.held_view(origin, notice, &head).await? else { return Ok(None) };
        let NoticeState::Of(state) = view.state else { return Ok(None) };
        // What is over by its own word is no hit, even before it is destroyed.
        if state == HitState::Expired || (state.is_for_desk() && !desk) {
            return Ok(None);
        }
        let shown = shown(&view, head.slots);
        let cautions = view.cautions.clone();
        Ok(Some((hit(&view, state, cautions, fields(&content.to_fields()), matched), shown)))
    }

    async fn record_hit(&self, matched: &Match) -> Result<Option<(SubjectType, (Hit, Shown))>, ServiceError> {
        let row = self.vault.get(area::RECORD, matched.id.as_bytes()).await?;
        let Some(Sealed::Plain { bytes, .. }) = row else { return Ok(None) };
        let record = Record::parse(&bytes)?;
        let handle = RecordHandle::from_bytes(*matched.id.as_bytes());
        let shown = Shown { digest: handle.digest(), slots: record.fields().keys().copied().collect() };
        let hit = Hit {
            score: Score::saturating(matched.score),
            reasons: reasons(matched),
            source: HitSource::Record,
            owner: self.member,
            reference: handle.to_string().parse().ok(),
            kind: None,
            fields: fields(&record.to_fields()),
            statement: None,
            state: HitState::Current,
            cautions: self.marks.record_cautions(*matched.id.as_bytes()),
            exercise: false,
        };
        Ok(Some((record.subject(), (hit, shown))))
    }
}

/// Cuts a hit down to what is shown to a peer; the audit log keeps which slots those are.
fn narrow(shows: &Shows, subject: SubjectType, mut hit: Hit, shown: Shown) -> (Hit, Shown) {
    if !shows.shows_reference() {
        hit.reference = None;
        hit.statement = None;
        hit.kind = None;
    }
    hit.fields.retain(|field| shows.shows_field(&field.name));
    let table = SlotTable::get();
    let slots = hit.fields.iter().filter_map(|field| table.by_name(subject, &field.name)).map(|spec| spec.number);
    let slots = slots.collect();
    (hit, Shown { slots, ..shown })
}

fn shown(view: &NoticeView, slots: SlotSet) -> Shown {
    Shown { digest: view.digest, slots }
}

fn hit(view: &NoticeView, state: HitState, cautions: Vec<Caution>, fields: Vec<HitField>, matched: &Match) -> Hit {
    Hit {
        score: Score::saturating(matched.score),
        reasons: reasons(matched),
        source: HitSource::Notice,
        owner: view.owner,
        reference: view.reference.parse().ok(),
        kind: Some(view.kind),
        fields,
        statement: Some(StatementPointer { index: view.index, digest: view.digest }),
        state,
        cautions,
        exercise: view.exercise,
    }
}

fn reasons(matched: &Match) -> Vec<HitReason> {
    let reason = |reason: &eads_search::Reason| HitReason {
        code: reason.code.as_str().to_owned(),
        text: reason.text.clone(),
        weight: reason.weight,
    };
    matched.reasons.iter().map(reason).collect()
}

/// Fields as they are displayed; the signed approvals are no reading matter.
pub(crate) fn fields(named: &std::collections::BTreeMap<String, eads_domain::slot::FieldInput>) -> Vec<HitField> {
    let field = |(name, value): (&String, &eads_domain::slot::FieldInput)| HitField {
        name: name.clone(),
        value: value.to_string(),
    };
    named.iter().filter(|(name, _)| name.as_str() != "approvals").map(field).collect()
}
