//! What is held of persons outside the indexes: drafts, what an order keeps, marks.

use eads_domain::id::{MemberId, NoticeId};
use eads_domain::slot::{Fields, SearchKeys};
use eads_domain::subject::SubjectType;
use eads_search::{Entry, EntryId, Index};

use super::FoundHolding;
use crate::error::ServiceError;
use crate::node::Node;

/// An index of such holdings, with what each is.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) index: Index,
    pub(super) holdings: Vec<FoundHolding>,
}

impl Extra {
    fn add(&mut self, subject: SubjectType, keys: &SearchKeys, holding: FoundHolding) {
        let number = self.holdings.len() as u128;
        self.index.upsert(&Entry::from_keys(EntryId::from_bytes(number.to_be_bytes()), subject, 0, keys));
        self.holdings.push(holding);
    }

    fn add_content(&mut self, content: &impl Fields, owner: MemberId, source: &'static str, name: String, state: &str) {
        self.add(
            content.subject(),
            &content.search_keys(),
            FoundHolding {
                source,
                owner,
                reference: name,
                kind: content.kind().to_string(),
                state: state.to_owned(),
                score: 0,
                reasons: Vec::new(),
                title: content.title(),
            },
        );
    }

    /// What was found at this place of the index.
    pub(super) fn at(&self, id: EntryId) -> Option<FoundHolding> {
        usize::try_from(u128::from_be_bytes(*id.as_bytes())).ok().and_then(|at| self.holdings.get(at)).cloned()
    }
}

impl Node {
    /// Gathers them.
    pub(super) async fn outside_the_indexes(&self) -> Result<Extra, ServiceError> {
        let mut extra = Extra::default();
        let mut after = None;
        loop {
            let (drafts, more) = self.drafts(None, after).await?;
            for draft in drafts {
                extra.add_content(&draft.content, self.member, "draft", draft.reference.to_string(), "draft");
            }
            match more {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        for (owner, notice, reference) in self.court.kept_notices() {
            self.add_kept(&mut extra, owner, notice, &reference).await?;
        }
        self.subjects.marks.read(|all| {
            for (id, mark) in all {
                let row = &mark.row;
                let keys = SearchKeys {
                    names: vec![row.name.clone()],
                    birth_dates: row.birth_date.parse().into_iter().collect(),
                    identifiers: Some(&row.document)
                        .filter(|document| !document.is_empty())
                        .map(|document| ("document".to_owned(), document.clone()))
                        .into_iter()
                        .collect(),
                    ..SearchKeys::default()
                };
                extra.add(
                    SubjectType::Person,
                    &keys,
                    FoundHolding {
                        source: "not-this-person",
                        owner: self.member,
                        reference: id.to_string(),
                        kind: String::new(),
                        state: format!("marked on {}", row.reference),
                        score: 0,
                        reasons: Vec::new(),
                        title: row.name.clone(),
                    },
                );
            }
        });
        Ok(extra)
    }

    async fn add_kept(
        &self,
        extra: &mut Extra,
        owner: MemberId,
        notice: NoticeId,
        reference: &str,
    ) -> Result<(), ServiceError> {
        for known in self.known_statements(owner, notice).await? {
            let describes = known.action.is_some_and(|action| matches!(action, "issue" | "amend"));
            let Some(content) = known.content.filter(|_| describes) else { continue };
            let name = format!("{reference} entry {}", known.index);
            extra.add_content(&content.content()?, owner, "evidence-hold", name, "kept");
        }
        Ok(())
    }
}
