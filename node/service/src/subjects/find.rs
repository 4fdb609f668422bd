//! Everything held about a person, and every look-up of the person.

use eads_domain::clock::Timestamp;
use eads_domain::id::{MemberId, RequestId};
use eads_domain::operator::Purpose;
use eads_domain::query::{HitSource, NameKey, Query, QueryKey};
use eads_domain::slot::{SearchKeys, SlotSet};
use eads_domain::subject::SubjectType;
use eads_search::{Entry, EntryId, Index, Limits};

use super::parse_described;
use super::request::document_key;
use crate::audit::{Listed, Shown};
use crate::context::Call;
use crate::court::CaseId;
use crate::error::ServiceError;
use crate::node::Node;

/// The most holdings and look-ups of one answer, each.
const MOST: usize = 1000;

/// Something that is held about the person.
#[derive(Clone, Debug)]
pub struct FoundHolding {
    /// `own-notice`, `held-notice`, `record`, `draft`, `evidence-hold`, `not-this-person`.
    pub source: &'static str,
    /// Whose data it is.
    pub owner: MemberId,
    /// Reference, handle or identifier.
    pub reference: String,
    /// Kind of the notice; empty for others.
    pub kind: String,
    /// Where it stands.
    pub state: String,
    /// Thousandths.
    pub score: u16,
    /// Why it is thought to be about the person.
    pub reasons: Vec<String>,
    /// What it is about, in one line.
    pub title: String,
}

/// A look-up of the person.
#[derive(Clone, Debug)]
pub struct FoundLookup {
    /// Its entry in the audit log.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// Who, as the audit log names it.
    pub actor: String,
    /// `Search`, or `AnswerQuery` for a peer's.
    pub operation: String,
    /// Stated purpose.
    pub purpose: String,
    /// Stated case.
    pub case_reference: String,
    /// Its request.
    pub request: RequestId,
    /// What was asked.
    pub asked: String,
}

/// What was found for a request.
#[derive(Clone, Debug, Default)]
pub struct SubjectFinding {
    /// Best first.
    pub holdings: Vec<FoundHolding>,
    /// In order of the log.
    pub lookups: Vec<FoundLookup>,
    /// Not everything is listed.
    pub truncated: bool,
    /// Look-ups whose question cannot be read any more.
    pub unreadable: u64,
}

impl Node {
    /// Everything for one access request.
    ///
    /// # Errors
    /// `SUBJECT_REQUEST_UNKNOWN`, or when something cannot be read: half an answer is none.
    pub async fn find_subject(
        &self,
        call: &Call,
        id: CaseId,
        purpose: Purpose,
        legal_basis: Option<String>,
        case_reference: Option<String>,
    ) -> Result<SubjectFinding, ServiceError> {
        let mut entry = self.entry(call, "FindSubject");
        entry.purpose = Some(purpose.as_str().to_owned());
        entry.legal_basis = legal_basis;
        entry.case_reference = case_reference;
        entry.subject = Some(format!("request {id}"));
        let intent = self.audit.intent(entry).await?;
        let outcome = self.subject_finding(id, purpose).await;
        match &outcome {
            Ok((_, shown)) => self.audit.outcome(&intent, "OK", shown.clone()).await?,
            Err(_) => self.audit.close(intent, &outcome).await?,
        }
        outcome.map(|(finding, _)| finding)
    }

    async fn subject_finding(
        &self,
        id: CaseId,
        purpose: Purpose,
    ) -> Result<(SubjectFinding, Vec<Shown>), ServiceError> {
        let request = self.subjects.requests.get(id)?.row;
        let person = request.person()?;
        let document = document_key(&request.document);
        let mut keys = vec![QueryKey::Name(person.clone())];
        keys.extend(document.clone().map(QueryKey::Identifier));
        let mut finding = SubjectFinding::default();
        let mut shown = Vec::new();
        for key in &keys {
            for exercise in [false, true] {
                let query = Query {
                    purpose,
                    legal_basis: None,
                    subject: SubjectType::Person,
                    key: key.clone(),
                    kinds: Vec::new(),
                    exercise,
                };
                self.find_held(&query, &mut finding, &mut shown).await?;
            }
        }
        let extra = self.outside_the_indexes().await?;
        for key in &keys {
            let matches = look_up(&extra.index, key)?;
            finding.truncated |= matches.truncated;
            for matched in matches.matches {
                if let Some(holding) = extra.at(matched.id) {
                    let reasons = matched.reasons.iter().map(|reason| reason.text.clone()).collect();
                    finding.add(FoundHolding { score: matched.score, reasons, ..holding });
                }
            }
        }
        finding.holdings.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.reference.cmp(&b.reference)));
        self.find_lookups(&person, &request.document, &mut finding).await?;
        Ok((finding, shown))
    }

    async fn find_held(
        &self,
        query: &Query,
        finding: &mut SubjectFinding,
        shown: &mut Vec<Shown>,
    ) -> Result<(), ServiceError> {
        let found = self.find_everything(query, true, MOST).await?;
        finding.truncated |= found.truncated;
        for (hit, of_hit) in found.hits.into_iter().zip(found.shown) {
            let is_own = hit.owner == self.member;
            let title: Vec<&str> = ["family-name", "given-names", "name", "birth-date"]
                .iter()
                .filter_map(|name| hit.fields.iter().find(|field| field.name == *name))
                .map(|field| field.value.as_str())
                .collect();
            let added = finding.add(FoundHolding {
                source: match hit.source {
                    HitSource::Record => "record",
                    HitSource::Notice if is_own => "own-notice",
                    HitSource::Notice => "held-notice",
                },
                owner: hit.owner,
                reference: hit.reference.as_ref().map(ToString::to_string).unwrap_or_default(),
                kind: hit.kind.map(|kind| kind.to_string()).unwrap_or_default(),
                state: hit.state.as_str().to_owned(),
                score: hit.score.thousandths(),
                reasons: hit.reasons.iter().map(|reason| reason.text.clone()).collect(),
                title: title.join(" "),
            });
            if added {
                shown.push(Shown { slots: SlotSet::EMPTY, ..of_hit });
            }
        }
        Ok(())
    }

    /// Compares every question in the audit log with the person, as a search would.
    async fn find_lookups(
        &self,
        person: &NameKey,
        document: &str,
        finding: &mut SubjectFinding,
    ) -> Result<(), ServiceError> {
        let index = Index::new();
        let keys = SearchKeys {
            names: vec![person.name().to_owned()],
            birth_dates: person.birth_date.into_iter().collect(),
            identifiers: Some(document)
                .filter(|number| !number.is_empty())
                .map(|number| ("document".to_owned(), number.to_owned()))
                .into_iter()
                .collect(),
            ..SearchKeys::default()
        };
        index.upsert(&Entry::from_keys(EntryId::from_bytes([0; 16]), SubjectType::Person, 0, &keys));
        let audit = self.audit.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut lookups = Vec::new();
            let (mut truncated, mut unreadable) = (false, 0);
            audit.questions(|Listed { sequence, entry, query_text, .. }| {
                let Some((asked, (_, key))) = query_text.and_then(|text| Some((text.clone(), parse_described(&text)?)))
                else {
                    unreadable += 1;
                    return;
                };
                // A question that cannot be looked up has no words in common with anybody.
                let hits = look_up(&index, &key).map(|matches| !matches.matches.is_empty()).unwrap_or_default();
                if !hits {
                    return;
                }
                if lookups.len() >= MOST {
                    truncated = true;
                    return;
                }
                lookups.push(FoundLookup {
                    sequence,
                    at: entry.at,
                    actor: entry.actor.label(),
                    operation: entry.operation,
                    purpose: entry.purpose.unwrap_or_default(),
                    case_reference: entry.case_reference.unwrap_or_default(),
                    request: entry.request,
                    asked,
                });
            })?;
            Ok::<_, ServiceError>((lookups, truncated, unreadable))
        });
        let (lookups, truncated, unreadable) = reading.await.map_err(|error| {
            ServiceError::internal("AUDIT_READ_STOPPED", "reading the audit log was interrupted").caused_by(error)
        })??;
        finding.lookups = lookups;
        finding.truncated |= truncated;
        finding.unreadable = unreadable;
        Ok(())
    }
}

impl SubjectFinding {
    /// Adds what is not listed yet; a name and a document may both find it.
    fn add(&mut self, holding: FoundHolding) -> bool {
        let same = |known: &&mut FoundHolding| (known.source, &known.reference) == (holding.source, &holding.reference);
        if let Some(known) = self.holdings.iter_mut().find(same) {
            known.score = known.score.max(holding.score);
            return false;
        }
        if self.holdings.len() >= MOST {
            self.truncated = true;
            return false;
        }
        self.holdings.push(holding);
        true
    }
}

fn look_up(index: &Index, key: &QueryKey) -> Result<eads_search::Matches, ServiceError> {
    let limits = Limits { matches: MOST, work: usize::MAX };
    match key {
        QueryKey::Name(name) => index.find_by_name(name, limits).map_err(ServiceError::from_coded),
        QueryKey::Identifier(key) => Ok(index.find_by_identifier(key, limits)),
    }
}
