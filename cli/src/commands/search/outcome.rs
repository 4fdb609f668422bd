//! Whether an answer is complete. An answer that is missing is never a "no hit".

use std::collections::BTreeMap;

use eads_domain::id::{MemberId, RequestId};

use super::view::SourceView;
use crate::error::CliError;
use crate::exit::Exit;

/// What has arrived so far; the own node is the first source.
#[derive(Debug)]
pub(super) struct Answers {
    id: RequestId,
    wanted: Vec<MemberId>,
    sources: Vec<SourceView>,
    broken: Option<String>,
}

/// What the answers together are worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    /// Peers that were asked, this node not counted.
    pub(super) asked: usize,
    /// Peers that answered hit or no-hit.
    pub(super) answered: usize,
    /// Hits of all sources.
    pub(super) hits: usize,
    /// Everything that is missing, in words; empty where the answer is complete.
    pub(super) missing: Vec<String>,
    /// Members that were shown different statements for one entry, in words.
    pub(super) conflicts: Vec<String>,
}

impl Answers {
    /// Nothing yet; `wanted` are the peers that the officer named.
    pub(super) const fn new(id: RequestId, wanted: Vec<MemberId>) -> Self {
        Self { id, wanted, sources: Vec::new(), broken: None }
    }

    /// One more source.
    pub(super) fn add(&mut self, source: SourceView) {
        self.sources.push(source);
    }

    /// The stream of answers ended in an error.
    pub(super) fn break_off(&mut self, error: &CliError) {
        self.broken = Some(format!("this node broke off ({}: {})", error.code(), error.text()));
    }

    /// The request's id.
    pub(super) const fn id(&self) -> RequestId {
        self.id
    }

    /// The sources in the order in which they answered.
    pub(super) fn sources(&self) -> &[SourceView] {
        &self.sources
    }

    /// Whether nobody at all has answered.
    pub(super) const fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// How many sources have answered or been given up.
    pub(super) const fn len(&self) -> usize {
        self.sources.len()
    }

    /// Weighs what arrived.
    pub(super) fn summary(&self) -> Summary {
        let mut missing = Vec::new();
        if self.sources.is_empty() {
            missing.push("no source answered".to_owned());
        }
        for source in &self.sources {
            if !source.answered() {
                missing.push(format!("{} {}", source.member, source.outcome));
            } else if source.truncated && source.hits.is_empty() {
                missing.push(format!("{} gave up before it had looked at everything", source.member));
            }
        }
        let unnamed = self.wanted.iter().map(ToString::to_string);
        let unnamed: Vec<_> =
            unnamed.filter(|member| !self.sources.iter().any(|source| source.member == *member)).collect();
        missing.extend(unnamed.iter().map(|member| format!("{member} not asked")));
        missing.extend(self.broken.clone());
        let peers = self.sources.get(1..).unwrap_or_default();
        Summary {
            asked: peers.len() + unnamed.len(),
            answered: peers.iter().filter(|source| source.answered()).count(),
            hits: self.sources.iter().map(|source| source.hits.len()).sum(),
            missing,
            conflicts: self.conflicts(),
        }
    }

    /// Entries of one register behind which sources name different statements.
    fn conflicts(&self) -> Vec<String> {
        let mut seen: BTreeMap<(&str, u64), (&str, &str)> = BTreeMap::new();
        let mut found = Vec::new();
        for source in &self.sources {
            for hit in &source.hits {
                let Some(statement) = &hit.statement else { continue };
                let (first, digest) =
                    *seen.entry((&hit.owner, statement.index)).or_insert((&source.member, &statement.digest));
                if digest != statement.digest {
                    found.push(format!(
                        "{first} and {} hold different statements as entry {} of {}",
                        source.member, statement.index, hit.owner
                    ));
                }
            }
        }
        found
    }
}

impl Summary {
    /// Whether everybody asked has answered.
    pub(super) const fn complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// How the search ends.
    pub(super) const fn exit(&self) -> Exit {
        if !self.conflicts.is_empty() {
            Exit::Integrity
        } else if self.complete() {
            Exit::Done
        } else {
            Exit::Incomplete
        }
    }

    /// The last line of the answer.
    pub(super) fn sentence(&self) -> String {
        let peers = match self.asked {
            0 => "this node alone was asked".to_owned(),
            asked => {
                format!("{} of {asked} {} answered", self.answered, if asked == 1 { "peer" } else { "peers" })
            }
        };
        if self.complete() {
            let found = if self.hits == 0 { "no hit" } else { "see the hits above" };
            format!("{peers}: the answer is complete, {found}")
        } else {
            format!("{peers}; {}: this is NOT a complete answer", self.missing.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::{HitView, StatementView};
    use super::*;

    fn source(member: &str, outcome: &str) -> SourceView {
        SourceView { member: member.to_owned(), outcome: outcome.to_owned(), ..SourceView::default() }
    }

    fn answers(sources: &[(&str, &str)], wanted: &[&str]) -> Answers {
        let wanted = wanted.iter().map(|member| member.parse().expect("member")).collect();
        let mut answers = Answers::new(RequestId::from_bytes([7; 16]), wanted);
        for (member, outcome) in sources {
            answers.add(source(member, outcome));
        }
        answers
    }

    #[test]
    fn a_missing_answer_is_never_a_no_hit() {
        for outcome in ["refused", "timed-out", "unreachable", "incompatible", "", "something-new"] {
            let summary = answers(&[("ID", "no-hit"), ("TH", "no-hit"), ("MY", outcome)], &[]).summary();
            assert_eq!(summary.exit(), Exit::Incomplete, "{outcome}");
            assert!(summary.sentence().ends_with("this is NOT a complete answer"));
        }
        let summary =
            answers(&[("ID", "no-hit"), ("TH", "hit"), ("SG", "no-hit"), ("MY", "unreachable")], &[]).summary();
        assert_eq!(summary.sentence(), "2 of 3 peers answered; MY unreachable: this is NOT a complete answer");
    }

    #[test]
    fn everybody_s_answer_is_complete_hit_or_not() {
        let summary = answers(&[("ID", "no-hit"), ("TH", "no-hit")], &["TH"]).summary();
        assert_eq!(summary.exit(), Exit::Done);
        assert_eq!(summary.sentence(), "1 of 1 peer answered: the answer is complete, no hit");
    }

    #[test]
    fn a_peer_that_was_named_and_never_mentioned_is_missing() {
        let summary = answers(&[("ID", "no-hit")], &["TH"]).summary();
        assert_eq!(summary.sentence(), "0 of 1 peer answered; TH not asked: this is NOT a complete answer");
        assert_eq!(answers(&[], &[]).summary().exit(), Exit::Incomplete);
    }

    #[test]
    fn a_search_that_gave_up_without_a_hit_has_not_answered() {
        let mut answers = answers(&[("ID", "no-hit")], &[]);
        answers.add(SourceView { truncated: true, ..source("TH", "no-hit") });
        assert_eq!(answers.summary().exit(), Exit::Incomplete);
    }

    #[test]
    fn different_statements_behind_one_entry_are_pointed_out() {
        let mut answers = answers(&[], &[]);
        for (member, digest) in [("ID", "aa"), ("TH", "bb")] {
            let statement = Some(StatementView { index: 12, digest: digest.to_owned() });
            let hit = HitView { owner: "MY".to_owned(), statement, ..HitView::default() };
            answers.add(SourceView { hits: vec![hit], ..source(member, "hit") });
        }
        let summary = answers.summary();
        assert_eq!(summary.conflicts, ["ID and TH hold different statements as entry 12 of MY"]);
        assert_eq!(summary.exit(), Exit::Integrity);
    }
}
