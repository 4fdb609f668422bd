//! Comparing both sides of the exchanges with a peer. Each side tells digests of what its own log holds; whoever does
//! not hold an exchange's random request id learns nothing from them.

use std::collections::{BTreeMap, BTreeSet};

use eads_domain::audit::{Exchange, ExchangeDigest, ExchangeResult};
use eads_domain::clock::Timestamp;
use eads_domain::code::Coded as _;
use eads_domain::id::{Hash, MemberId, RequestId};

use super::{Actor, AuditLog, Entry, EntryKind};
use crate::context::Call;
use crate::error::ServiceError;
use crate::node::Node;

const OPERATION: &str = "MatchAudit";
/// Exchanges of one page.
const PAGE: usize = 8_192;
/// The most pages that are asked for.
const MOST_PAGES: usize = 64;
/// The most exchanges that are listed.
const LISTED: usize = 1_000;
/// How often a peer may ask for a page, an hour.
const PAGES_AN_HOUR: u32 = 128;
const DAY: i64 = 86_400;
/// The longest span that is answered at once.
const LONGEST: i64 = 31 * DAY;
/// How far two clocks, and the two entries of one exchange, may lie apart; seconds.
const APART: i64 = 600;

/// What a peer asks to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchAsked {
    /// Not before, by the clock of who answers.
    pub from: Timestamp,
    /// Before.
    pub to: Timestamp,
    /// The last exchange of the page before.
    pub after: Option<Hash>,
}

/// A page of exchanges, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchPage {
    /// What is told of each.
    pub digests: Vec<ExchangeDigest>,
    /// More follow.
    pub more: bool,
}

/// An exchange as this node wrote it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Who asked whom, and what came of it.
    pub exchange: Exchange,
    /// When, by this node's clock.
    pub at: Timestamp,
}

/// What the comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Not before, as compared.
    pub from: Timestamp,
    /// Before, as compared.
    pub to: Timestamp,
    /// Written down alike on both sides.
    pub both: u64,
    /// Written down on both sides, with different results.
    pub differing: Vec<Exchanged>,
    /// Answered as this node has it, and not written down there.
    pub only_here: Vec<Exchanged>,
    /// Refused or not answered as this node has it, and not written down there, or only there.
    pub unanswered: u64,
    /// Written down there, not here.
    pub only_there: Vec<Hash>,
    /// More than are listed.
    pub truncated: bool,
}

/// What the own log holds of exchanges with a peer.
#[derive(Debug, Default)]
struct Own {
    /// By what is told of them.
    exchanges: BTreeMap<Hash, Exchanged>,
    /// Asked, and no answer came.
    unanswered: BTreeSet<Hash>,
}

impl AuditLog {
    /// The exchanges with `peer` from `from` on and before `to`. Blocking.
    fn exchanges(&self, me: MemberId, peer: MemberId, from: Timestamp, to: Timestamp) -> Result<Own, ServiceError> {
        let mut own = Own::default();
        for record in self.records(self.begin_of(from)?, u64::MAX)? {
            let (_, entry, _) = record?;
            if entry.at < from || entry.at >= to {
                continue;
            }
            match exchange(me, peer, &entry) {
                Some(Ok(exchange)) => {
                    own.exchanges.insert(exchange.digest().exchange, Exchanged { exchange, at: entry.at });
                }
                Some(Err(asked)) => {
                    own.unanswered.insert(asked.digest().exchange);
                }
                None => {}
            }
        }
        Ok(own)
    }

    /// A first entry to read for what is of `from` or later, so far as clocks go forward.
    fn begin_of(&self, from: Timestamp) -> Result<u64, ServiceError> {
        let (mut low, mut files) = (0, self.journal.files()?);
        files.retain(|first| *first >= self.first());
        let mut high = files.len();
        // The last file that begins before it: files are large, so that each look is worth leaving many out.
        while low + 1 < high {
            let middle = usize::midpoint(low, high);
            let Some(first) = files.get(middle) else { break };
            let begins = self.records(*first, *first)?.next().transpose()?;
            match begins {
                Some((_, entry, _)) if entry.at.plus_seconds(APART) < from => low = middle,
                _ => high = middle,
            }
        }
        Ok(files.get(low).copied().unwrap_or_default())
    }
}

/// The exchange with `peer` that an entry ends: the other way round where the answer never came.
fn exchange(me: MemberId, peer: MemberId, entry: &Entry) -> Option<Result<Exchange, Exchange>> {
    if entry.kind != EntryKind::Outcome || entry.peer != Some(peer) {
        return None;
    }
    let result = entry.result.as_deref()?;
    let request: RequestId = entry.request;
    match (&entry.actor, entry.operation.as_str()) {
        (Actor::Peer(by), "AnswerQuery") if *by == peer => {
            let result = match result {
                "HIT" => ExchangeResult::Hit,
                "NO-HIT" => ExchangeResult::NoHit,
                _ => ExchangeResult::Refused,
            };
            Some(Ok(Exchange { request, asker: peer, answerer: me, result }))
        }
        (Actor::Operator { .. } | Actor::Node, "Search") => {
            let (asker, answerer) = (me, peer);
            let all = [ExchangeResult::Hit, ExchangeResult::NoHit, ExchangeResult::Refused];
            let told = all.into_iter().find(|each| result.split_once(':').is_some_and(|(_, of)| of == each.as_str()));
            Some(match told {
                Some(result) => Ok(Exchange { request, asker, answerer, result }),
                None => Err(Exchange { request, asker, answerer, result: ExchangeResult::Refused }),
            })
        }
        _ => None,
    }
}

impl Node {
    /// Tells `peer` what the own log holds of exchanges with it.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `AUDIT_SPAN_UNFIT`, `RATE_LIMITED`, `AUDIT_UNAVAILABLE`.
    pub async fn match_audit(&self, peer: MemberId, asked: MatchAsked) -> Result<MatchPage, ServiceError> {
        if let Err(error) = self.admit_match(peer, asked) {
            self.tally.note(peer, OPERATION, error.code().as_str(), &[("pages", 1)]);
            return Err(error);
        }
        let request = RequestId::random(&*self.entropy);
        let mut entry = Entry::new(EntryKind::Intent, self.clock.now(), request, Actor::Peer(peer), OPERATION);
        entry.peer = Some(peer);
        entry.subject = Some(format!("from {} to {}", asked.from, asked.to));
        let intent = self.audit.intent(entry).await?;
        let (log, me) = (self.audit.clone(), self.member);
        let page = super::blocking(move || {
            let own = log.exchanges(me, peer, asked.from, asked.to)?;
            let behind = own.exchanges.iter().filter(|(digest, _)| asked.after.is_none_or(|after| **digest > after));
            let mut digests: Vec<ExchangeDigest> =
                behind.map(|(_, one)| one.exchange.digest()).take(PAGE + 1).collect();
            let more = digests.len() > PAGE;
            digests.truncate(PAGE);
            Ok(MatchPage { digests, more })
        })
        .await;
        self.audit.close(intent, &page).await?;
        page
    }

    fn admit_match(&self, peer: MemberId, asked: MatchAsked) -> Result<(), ServiceError> {
        if self.peers.get(peer).is_none_or(|peer| !peer.is_accepted()) {
            return Err(ServiceError::denied("PEER_UNKNOWN", "this member is not an accepted peer"));
        }
        fit(asked.from, asked.to, LONGEST + 2 * APART)?;
        if !self.match_rates.take(peer, PAGES_AN_HOUR, self.clock.now()) {
            let text = format!("at most {PAGES_AN_HOUR} pages of an audit log are compared an hour");
            return Err(ServiceError::exhausted("RATE_LIMITED", text));
        }
        Ok(())
    }

    /// Compares the exchanges with `peer` as both sides wrote them down; without a span those of the last day.
    ///
    /// # Errors
    /// `PEER_UNKNOWN`, `AUDIT_SPAN_UNFIT`, `AUDIT_UNAVAILABLE`; `PEER_*` or the peer's own code when it does not
    /// answer.
    pub async fn compare_audit(
        &self,
        call: &Call,
        peer: MemberId,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Compared, ServiceError> {
        let to = to.unwrap_or_else(|| self.clock.now().plus_seconds(1));
        let from = from.unwrap_or_else(|| to.plus_seconds(-DAY));
        let mut entry = self.entry(call, "CompareAudit");
        entry.peer = Some(peer);
        entry.subject = Some(format!("from {from} to {to}"));
        let intent = self.audit.intent(entry).await?;
        let compared = self.compare_with(peer, from, to).await;
        self.audit.close(intent, &compared).await?;
        compared
    }

    async fn compare_with(&self, peer: MemberId, from: Timestamp, to: Timestamp) -> Result<Compared, ServiceError> {
        fit(from, to, LONGEST)?;
        if self.peers.get(peer).is_none_or(|peer| !peer.is_accepted()) {
            return Err(ServiceError::not_found("PEER_UNKNOWN", format!("{peer} is not an accepted peer")));
        }
        let (log, me) = (self.audit.clone(), self.member);
        // Wider than what the peer is asked, which is wider than what is compared.
        let (wide_from, wide_to) = (from.plus_seconds(-2 * APART), to.plus_seconds(2 * APART));
        let own = super::blocking(move || log.exchanges(me, peer, wide_from, wide_to)).await?;
        let theirs = self.matches_of(peer, from.plus_seconds(-APART), to.plus_seconds(APART)).await?;
        Ok(compared(&own, &theirs, from, to))
    }

    /// Every page of the peer.
    async fn matches_of(
        &self,
        peer: MemberId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeMap<Hash, Hash>, ServiceError> {
        let mut theirs = BTreeMap::new();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let page = self.link.match_audit(peer, MatchAsked { from, to, after }).await.map_err(|error| {
                let text = format!("{peer} does not compare its audit log: {} {}", error.code, error.text);
                ServiceError::unavailable("PEER_NOT_COMPARED", text)
            })?;
            let last = page.digests.last().map(|digest| digest.exchange);
            if page.digests.len() > PAGE || !page.digests.is_sorted() || last.is_some_and(|last| Some(last) <= after) {
                return Err(ServiceError::peer("AUDIT_DIGESTS_MALFORMED", format!("{peer} answers out of order")));
            }
            theirs.extend(page.digests.iter().map(|digest| (digest.exchange, digest.result)));
            if !page.more || last.is_none() {
                return Ok(theirs);
            }
            after = last;
        }
        Err(ServiceError::exhausted(
            "AUDIT_SPAN_UNFIT",
            "there are too many exchanges in that span; take a shorter one",
        ))
    }
}

fn fit(from: Timestamp, to: Timestamp, longest: i64) -> Result<(), ServiceError> {
    if (1..=longest).contains(&to.seconds_since(from)) {
        return Ok(());
    }
    Err(ServiceError::invalid("AUDIT_SPAN_UNFIT", "the span ends after it begins, and has at most 31 days"))
}

fn compared(own: &Own, theirs: &BTreeMap<Hash, Hash>, from: Timestamp, to: Timestamp) -> Compared {
    let mut out = Compared {
        from,
        to,
        both: 0,
        differing: Vec::new(),
        only_here: Vec::new(),
        unanswered: 0,
        only_there: Vec::new(),
        truncated: false,
    };
    for (digest, one) in own.exchanges.iter().filter(|(_, one)| one.at >= from && one.at < to) {
        match theirs.get(digest) {
            Some(result) if *result == one.exchange.digest().result => out.both += 1,
            Some(_) => out.differing.push(*one),
            // A refusal may have been counted there with others.
            None if one.exchange.result == ExchangeResult::Refused => out.unanswered += 1,
            None => out.only_here.push(*one),
        }
    }
    for digest in theirs.keys().filter(|digest| !own.exchanges.contains_key(digest)) {
        // Answered there, and the answer did not arrive in time.
        if own.unanswered.contains(digest) { out.unanswered += 1 } else { out.only_there.push(*digest) }
    }
    let before = [out.differing.len(), out.only_here.len(), out.only_there.len()];
    out.differing.truncate(LISTED);
    out.only_here.truncate(LISTED);
    out.only_there.truncate(LISTED);
    out.truncated = before.iter().any(|length| *length > LISTED);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(code: &str) -> MemberId {
        code.parse().unwrap()
    }

    fn one(number: u8, result: ExchangeResult) -> Exchanged {
        let request = RequestId::from_bytes([number; 16]);
        let exchange = Exchange { request, asker: member("ID"), answerer: member("MY"), result };
        Exchanged { exchange, at: Timestamp::from_unix(1_000) }
    }

    #[test]
    fn each_exchange_is_in_one_of_the_columns() {
        use ExchangeResult::{Hit, NoHit, Refused};
        let here = [one(1, Hit), one(2, Hit), one(3, NoHit), one(4, Refused)];
        let mut own = Own::default();
        own.exchanges.extend(here.map(|one| (one.exchange.digest().exchange, one)));
        own.unanswered.insert(one(5, Refused).exchange.digest().exchange);
        let there = [one(1, Hit), one(2, NoHit), one(5, Hit), one(6, Hit)];
        let theirs = there.iter().map(|one| one.exchange.digest()).map(|told| (told.exchange, told.result)).collect();
        let found = compared(&own, &theirs, Timestamp::from_unix(1_000), Timestamp::from_unix(1_001));
        assert_eq!(found.both, 1);
        assert_eq!(found.differing, [here[1]]);
        assert_eq!(found.only_here, [here[2]]);
        assert_eq!(found.unanswered, 2, "a refusal that is counted there, and an answer that came too late");
        assert_eq!(found.only_there, [there[3].exchange.digest().exchange]);
        // What lies beyond the span is not missed there.
        let found = compared(&own, &BTreeMap::new(), Timestamp::from_unix(2_000), Timestamp::from_unix(3_000));
        assert_eq!((found.both, found.only_here.len(), found.unanswered), (0, 0, 0));
    }
}
