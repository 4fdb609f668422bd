//! One question to the own node and to every permitted peer, in parallel, within one deadline.
//!
//! Every source is named in the result exactly once. A source that did not answer says why; it is never a
//! "no hit". Nothing reaches the officer before its audit entry is durable.

use std::sync::Arc;
use std::time::Duration;

use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::id::{MemberId, RequestId};
use eads_domain::query::{Answer, Hit, HitSource, Query};
use eads_domain::slot::SlotTable;
use tokio::sync::{mpsc, watch};

use super::answer::describe;
use super::local::Found;
use crate::area;
use crate::audit::{Intent, Shown};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;
use crate::peers::{LinkError, LinkFailure, Peer, PeerState};
use crate::records::RecordHandle;
use crate::rows::{self, Followed};

/// What is searched, and where.
#[derive(Clone, Debug)]
pub struct FederatedSearch {
    /// The question.
    pub query: Query,
    /// Kept in the own audit only.
    pub case_reference: Option<String>,
    /// Peers to ask; empty means all that are accepted.
    pub peers: Vec<MemberId>,
    /// Ask nobody else.
    pub local_only: bool,
    /// Look also at held notices that only the desk is shown; for approvers.
    pub desk: bool,
    /// For all answers together.
    pub deadline: Option<Duration>,
}

/// How a source answered, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one hit.
    Hit,
    /// Looked, and found nothing.
    NoHit,
    /// Did not look, and said why.
    Refused,
    /// No answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// Speaks another version, or nonsense.
    Incompatible,
}

impl Outcome {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::NoHit => "no-hit",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::Unreachable => "unreachable",
            Self::Incompatible => "incompatible",
        }
    }
}

/// What one source answered.
#[derive(Clone, Debug)]
pub struct SourceAnswer {
    /// The request, the same for all sources.
    pub request: RequestId,
    /// Who.
    pub member: MemberId,
    /// How.
    pub outcome: Outcome,
    /// Why, for all but hit and no-hit: code and words.
    pub why: Option<(String, String)>,
    /// Best first.
    pub hits: Vec<Hit>,
    /// More matched than are listed.
    pub truncated: bool,
    /// The member's latest checkpoint known here, verbatim.
    pub checkpoint: Vec<u8>,
    /// When that arrived here.
    pub as_of: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
}

impl Node {
    /// Starts a search. Answers come as they arrive; dropping the receiver cancels what is still asked.
    ///
    /// # Errors
    /// `PEER_UNKNOWN` for a named peer that is none, or when nothing can be written to the audit log.
    pub async fn search(
        self: Arc<Self>,
        call: &Call,
        search: FederatedSearch,
    ) -> Result<mpsc::Receiver<Result<SourceAnswer, ServiceError>>, ServiceError> {
        let mut entry = self.entry(call, "Search");
        entry.purpose = Some(search.query.purpose.as_str().to_owned());
        entry.legal_basis = search.query.legal_basis.as_ref().map(|basis| basis.as_str().to_owned());
        entry.case_reference.clone_from(&search.case_reference);
        self.audit.seal_query(&mut entry, &describe(&search.query))?;
        let intent = Arc::new(self.audit.intent(entry).await?);
        let may = if search.desk { crate::desk::require_desk(call) } else { Ok(()) };
        let peers = match may.and_then(|()| self.answers_now()).and_then(|()| self.sources(&search)) {
            Ok(peers) => peers,
            Err(error) => {
                self.audit.outcome(&intent, error.code().as_str(), Vec::new()).await?;
                return Err(error);
            }
        };
        let deadline = search.deadline.unwrap_or(self.limits.search_deadline);
        let for_peers = deadline.saturating_sub(self.limits.search_margin).max(deadline / 2);
        let query = Arc::new(search.query);
        let (answers, receiver) = mpsc::channel(peers.len() + 1);
        let request = call.request;
        let own_first = watch::Sender::new(false);
        let desk = search.desk;
        let asking = Asking { node: self, intent, query, request, desk, answers, own_given: own_first.subscribe() };
        tokio::spawn(asking.clone().own(own_first));
        for peer in peers {
            tokio::spawn(asking.clone().peer(peer.member(), for_peers));
        }
        Ok(receiver)
    }

    fn sources(&self, search: &FederatedSearch) -> Result<Vec<Arc<Peer>>, ServiceError> {
        if search.local_only {
            return Ok(Vec::new());
        }
        if search.peers.is_empty() {
            // Also those that cannot be asked now are named in the answer.
            return Ok(self.peers.all().into_iter().filter(|peer| peer.state != PeerState::Candidate).collect());
        }
        let named = search.peers.iter().filter(|member| **member != self.member).map(|member| {
            self.peers.get(*member).filter(|peer| peer.is_followed()).ok_or_else(|| {
                ServiceError::invalid("PEER_UNKNOWN", format!("{member} is not a peer of this member"))
                    .with_hint("see `eads peer list`")
            })
        });
        named.collect()
    }
}

#[derive(Clone)]
struct Asking {
    node: Arc<Node>,
    intent: Arc<Intent>,
    query: Arc<Query>,
    request: RequestId,
    desk: bool,
    answers: mpsc::Sender<Result<SourceAnswer, ServiceError>>,
    /// The own answer comes first, so that a reader knows whose node it talks to.
    own_given: watch::Receiver<bool>,
}

impl Asking {
    async fn own(self, given: watch::Sender<bool>) {
        let started = tokio::time::Instant::now();
        let outcome = self.node.find_for_officer(&self.query, self.desk).await;
        let mut answer = self.blank(self.node.member, started.elapsed());
        answer.as_of = Some(self.node.clock.now());
        answer.checkpoint = self.node.register.checkpoint().map(|c| c.bytes().to_vec()).unwrap_or_default();
        let shown = match outcome {
            Ok(Found { hits, shown, truncated }) => {
                answer.outcome = if hits.is_empty() { Outcome::NoHit } else { Outcome::Hit };
                answer.hits = hits;
                answer.truncated = truncated;
                shown
            }
            Err(error) => {
                answer.why = Some((error.code().as_str().to_owned(), error.to_string()));
                Vec::new()
            }
        };
        self.deliver(answer, shown).await;
        given.send_replace(true);
    }

    async fn peer(mut self, member: MemberId, deadline: Duration) {
        let started = tokio::time::Instant::now();
        let asked = async {
            match self.node.peers.get(member) {
                Some(peer) if peer.is_accepted() => {
                    self.node.link.query(member, self.request, &self.query, deadline).await
                }
                _ => Err(LinkError::new(LinkFailure::Refused, "PEER_NOT_ASKED", "this peer is not asked any more")),
            }
        };
        let outcome = tokio::select! {
            // The officer is gone: dropping the call cancels it at the peer too.
            () = self.answers.closed() => return,
            outcome = tokio::time::timeout(deadline, asked) => outcome,
        };
        let outcome = outcome.unwrap_or_else(|_| {
            Err(LinkError::new(LinkFailure::TimedOut, "DEADLINE", "no answer within the deadline"))
        });
        let mut answer = self.blank(member, started.elapsed());
        let shown = match outcome.and_then(|answer| self.check(member, answer)) {
            Ok(Answer { mut hits, truncated, checkpoint, .. }) => {
                self.node.mark_hits(&self.query, &mut hits);
                hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
                answer.outcome = if hits.is_empty() { Outcome::NoHit } else { Outcome::Hit };
                let shown = hits.iter().filter_map(|hit| self.shown(hit)).collect();
                answer.hits = hits;
                answer.truncated = truncated;
                answer.checkpoint = checkpoint;
                answer.as_of = Some(self.node.clock.now());
                shown
            }
            Err(error) => {
                answer.outcome = match error.failure {
                    LinkFailure::Refused => Outcome::Refused,
                    LinkFailure::Unreachable => Outcome::Unreachable,
                    LinkFailure::TimedOut => Outcome::TimedOut,
                    LinkFailure::Incompatible => Outcome::Incompatible,
                };
                answer.why = Some((error.code, error.text));
                self.last_known(member, &mut answer).await;
                Vec::new()
            }
        };
        // An own search that broke has ended the wait too.
        let _ = self.own_given.wait_for(|given| *given).await;
        self.deliver(answer, shown).await;
    }

    /// An answer counts only if it is to this question, about the peer's own data, and signed as of a checkpoint.
    fn check(&self, member: MemberId, mut answer: Answer) -> Result<Answer, LinkError> {
        let wrong = |text: &str| LinkError::new(LinkFailure::Incompatible, "ANSWER_INVALID", text);
        if answer.request != self.request {
            return Err(wrong("the answer belongs to another request"));
        }
        if answer.hits.iter().any(|hit| hit.owner != member) {
            return Err(wrong("a hit is not the answering member's own"));
        }
        if answer.hits.iter().any(|hit| hit.exercise != (self.query.exercise && hit.source == HitSource::Notice)) {
            return Err(wrong("exercise and real data are mixed"));
        }
        if answer.hits.iter().any(|hit| hit.state.is_for_desk()) {
            return Err(wrong("a hit is in a state that no owner's notice is in"));
        }
        if let Some(peer) = self.node.peers.get(member)
            && !answer.checkpoint.is_empty()
        {
            let card = peer.card.card();
            peer.keys
                .checkpoint(&answer.checkpoint, member, card.register)
                .map_err(|_| wrong("the checkpoint is not the answering member's"))?;
        }
        answer.truncated |= answer.hits.len() > self.node.limits.hits;
        answer.hits.truncate(self.node.limits.hits);
        Ok(answer)
    }

    /// What of a peer's hit is shown here: its statement or record, and the slots of its fields.
    fn shown(&self, hit: &Hit) -> Option<Shown> {
        let record = || hit.reference.as_ref()?.as_str().parse::<RecordHandle>().ok();
        let digest = match hit.statement {
            Some(statement) => statement.digest,
            None => record()?.digest(),
        };
        let table = SlotTable::get();
        let slots = hit.fields.iter().filter_map(|field| table.by_name(self.query.subject, &field.name));
        Some(Shown { digest, slots: slots.map(|spec| spec.number).collect() })
    }

    async fn last_known(&self, member: MemberId, answer: &mut SourceAnswer) {
        let followed = rows::get::<Followed>(&*self.node.store, area::FOLLOWED, member.as_bytes()).await;
        if let Ok(Some(followed)) = followed {
            answer.checkpoint = followed.checkpoint.into_bytes();
            answer.as_of = self.node.peers.status(member).last_heard.max(Some(followed.heard_at));
        }
    }

    fn blank(&self, member: MemberId, took: Duration) -> SourceAnswer {
        SourceAnswer {
            request: self.request,
            member,
            outcome: Outcome::Refused,
            why: None,
            hits: Vec::new(),
            truncated: false,
            checkpoint: Vec::new(),
            as_of: None,
            took,
        }
    }

    /// Hands an answer over once it is written down.
    async fn deliver(self, answer: SourceAnswer, shown: Vec<Shown>) {
        let result = format!("{}:{}", answer.member, answer.outcome.as_str());
        let concerned = Some(answer.member).filter(|member| *member != self.node.member);
        let written = self.node.audit.outcome_with(&self.intent, concerned, &result, shown).await;
        let answer = written.map(|()| answer);
        // A receiver that is gone wants no answer.
        let _ = self.answers.send(answer).await;
    }
}
