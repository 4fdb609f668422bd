//! Answering a peer's question: by the agreement, within its rate, and written down on this side too.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use eads_domain::code::Coded as _;
use eads_domain::encode::sha256;
use eads_domain::id::{Hash, MemberId, RequestId};
use eads_domain::query::{Answer, Query, QueryKey};

use super::local::Found;
use crate::audit::{Actor, Entry, EntryKind};
use crate::error::ServiceError;
use crate::node::Node;

/// As it stands in the audit log.
const OPERATION: &str = "AnswerQuery";
/// Outcomes that are kept for repeats.
const KEPT: usize = 4096;

/// The latest answers by peer and request, so that a repeat gets the same one and costs no second look.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    answers: BTreeMap<(MemberId, RequestId), (Hash, Answer)>,
    order: VecDeque<(MemberId, RequestId)>,
}

impl Outcomes {
    fn get(&self, peer: MemberId, request: RequestId) -> Option<(Hash, Answer)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers.get(&(peer, request)).cloned()
    }

    fn keep(&self, peer: MemberId, asked: Hash, answer: &Answer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer, answer.request);
        if kept.answers.insert(key, (asked, answer.clone())).is_none() {
            kept.order.push_back(key);
        }
        if kept.order.len() > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.answers.remove(&oldest);
        }
    }
}

impl Node {
    /// Answers a question of `peer` from what this member holds of its own.
    ///
    /// # Errors
    /// what the agreement refuses, `RATE_LIMITED`, `REQUEST_ID_REUSED`, `PEER_UNKNOWN`.
    pub async fn answer_query(
        &self,
        peer: MemberId,
        request: RequestId,
        query: &Query,
    ) -> Result<Answer, ServiceError> {
        let mut begun = false;
        let answered = self.answer_question(peer, request, query, &mut begun).await;
        if !begun {
            // Limits come before the audit, so that a flood cannot fill the log: such questions are counted.
            let result = answered.as_ref().map_or_else(|error| error.code().as_str(), |_| "REPEATED");
            self.tally.note(peer, OPERATION, result, &[("questions", 1)]);
        }
        answered
    }

    /// `begun` is set once the question has an entry of its own.
    async fn answer_question(
        &self,
        peer: MemberId,
        request: RequestId,
        query: &Query,
        begun: &mut bool,
    ) -> Result<Answer, ServiceError> {
        self.answers_now()?;
        let known = self
            .peers
            .get(peer)
            .filter(|peer| peer.is_accepted())
            .ok_or_else(|| ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"))?;
        let agreement = known
            .agreement
            .as_ref()
            .ok_or_else(|| ServiceError::denied("AGREEMENT_MISSING", "there is no agreement with this member"))?;
        let asked = sha256(describe(query).as_bytes());
        if let Some((kept, answer)) = self.outcomes.get(peer, request) {
            return if kept == asked {
                Ok(answer)
            } else {
                Err(ServiceError::invalid("REQUEST_ID_REUSED", "this request id belongs to another question"))
            };
        }
        if !self.rates.take(peer, agreement.answers().queries_per_hour, self.clock.now()) {
            return Err(ServiceError::exhausted("RATE_LIMITED", "more questions than the agreement allows an hour"));
        }
        let mut entry = Entry::new(EntryKind::Intent, self.clock.now(), request, Actor::Peer(peer), OPERATION);
        entry.peer = Some(peer);
        entry.purpose = Some(query.purpose.as_str().to_owned());
        entry.legal_basis = query.legal_basis.as_ref().map(|basis| basis.as_str().to_owned());
        self.audit.seal_query(&mut entry, &describe(query))?;
        *begun = true;
        let intent = self.audit.intent(entry).await?;
        let outcome = match agreement.admit(query) {
            Ok(()) => self.find_own(query, Some((peer, agreement))).await,
            Err(refusal) => Err(ServiceError::denied_by(refusal)),
        };
        let Found { hits, shown, truncated } = match outcome {
            Ok(found) => found,
            Err(error) => {
                self.audit.outcome(&intent, error.code().as_str(), Vec::new()).await?;
                return Err(error);
            }
        };
        let answer = Answer {
            request,
            hits,
            truncated,
            checkpoint: self.register.checkpoint().map(|c| c.bytes().to_vec()).unwrap_or_default(),
            answered_at: self.clock.now(),
        };
        self.audit.outcome(&intent, if answer.hits.is_empty() { "NO-HIT" } else { "HIT" }, shown).await?;
        self.outcomes.keep(peer, asked, &answer);
        Ok(answer)
    }
}

/// A question in words, for the sealed part of the audit.
pub(crate) fn describe(query: &Query) -> String {
    match &query.key {
        QueryKey::Name(name) => format!(
            "{} name={:?} birth-date={} nationality={} sex={}",
            query.subject,
            name.name(),
            name.birth_date.map(|date| date.to_string()).unwrap_or_default(),
            name.nationality.map(|code| code.to_string()).unwrap_or_default(),
            name.sex.map(|sex| sex.to_string()).unwrap_or_default(),
        ),
        QueryKey::Identifier(key) => format!("{} {}={:?}", query.subject, key.kind(), key.value()),
    }
}
