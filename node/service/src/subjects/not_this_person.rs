//! Marks of persons who are taken for others, with their consent: a hit on the other is shown as what it is.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use eads_domain::clock::Timestamp;
use eads_domain::query::{Caution, Hit, HitReason, IdentifierKey, Query, QueryKey, Score};
use eads_domain::value::PartialDate;
use eads_search::same_name;
use serde::{Deserialize, Serialize};

use super::request::document_key;
use crate::area;
use crate::context::Call;
use crate::court::{CaseId, OnFile};
use crate::error::ServiceError;
use crate::node::Node;
use crate::records::RecordHandle;

const MOST: usize = 10_000;
/// The longest that a mark lasts, seconds; the person consents anew.
const LONGEST: i64 = 5 * 366 * 86_400;
/// What a marked hit's score is cut to: below everything that is reported otherwise.
const DEMOTED: u16 = 100;
const REASON: &str = "NOT-THIS-PERSON";

/// A mark to be made.
#[derive(Clone, Debug)]
pub struct NewMark {
    /// The notice, own or held, or the record's handle on which the person is not meant.
    pub reference: String,
    /// The person who is not meant.
    pub name: String,
    /// The person's date of birth, to the day.
    pub birth_date: Option<PartialDate>,
    /// Number of the person's document.
    pub document: Option<IdentifierKey>,
    /// Where the consent is on file.
    pub consent: String,
    /// When the mark ends by itself.
    pub until: Timestamp,
}

/// A mark as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MarkRow {
    pub(super) reference: String,
    pub(super) name: String,
    pub(super) birth_date: String,
    pub(super) document: String,
    consent: String,
    until: Timestamp,
    added_by: String,
    added_at: Timestamp,
}

/// A mark as it is listed.
#[derive(Clone, Debug)]
pub struct NotThisPerson {
    /// Its name.
    pub id: CaseId,
    /// On what.
    pub reference: String,
    /// The person who is not meant.
    pub name: String,
    /// Date of birth; empty where not given.
    pub birth_date: String,
    /// Document; empty where not given.
    pub document: String,
    /// Where the consent is on file.
    pub consent: String,
    /// When it ends by itself.
    pub until: Timestamp,
    /// Who made it.
    pub added_by: String,
    /// When.
    pub added_at: Timestamp,
}

/// The marks in memory.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    all: RwLock<BTreeMap<CaseId, OnFile<MarkRow>>>,
    changing: tokio::sync::Mutex<()>,
}

impl Marks {
    pub(super) fn read<T>(&self, look: impl FnOnce(&BTreeMap<CaseId, OnFile<MarkRow>>) -> T) -> T {
        look(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<CaseId, OnFile<MarkRow>>) -> T) -> T {
        change(&mut self.all.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `query` asks for somebody of whom it is known that a hit on `reference` means another.
    fn is_marked(&self, query: &Query, reference: &str, now: Timestamp) -> bool {
        self.read(|all| {
            let marks = all.values().map(|mark| &mark.row);
            marks.filter(|mark| mark.reference == reference && mark.until >= now).any(|mark| mark.is_asked_by(query))
        })
    }
}

impl MarkRow {
    /// The same person: the same name with the same day of birth, or the same document.
    fn is_asked_by(&self, query: &Query) -> bool {
        match &query.key {
            QueryKey::Name(asked) => {
                let born = asked.birth_date.map(|date| date.to_string());
                born.is_some_and(|born| !self.birth_date.is_empty() && born == self.birth_date)
                    && same_name(asked.name(), &self.name)
            }
            QueryKey::Identifier(asked) => document_key(&self.document).is_some_and(|document| document == *asked),
        }
    }
}

impl Node {
    pub(super) async fn load_marks(&self) -> Result<(), ServiceError> {
        for (id, mark) in self.all_on_file(area::NOT_THIS_PERSON).await? {
            self.subjects.marks.change(|all| all.insert(id, mark));
        }
        Ok(())
    }

    /// Makes a mark.
    ///
    /// # Errors
    /// `MARK_*` for what is missing or out of bounds, `NOTICE_UNKNOWN`, `RECORD_*`.
    pub async fn add_not_this_person(&self, call: &Call, new: NewMark) -> Result<CaseId, ServiceError> {
        let subject: String = new.reference.chars().take(40).collect();
        let work = async {
            let _changing = self.subjects.marks.changing.lock().await;
            let now = self.clock.now();
            if new.until <= now || new.until.seconds_since(now) > LONGEST {
                return Err(ServiceError::invalid(
                    "MARK_UNTIL_INVALID",
                    "a mark ends in the future, within five years",
                ));
            }
            let born = new.birth_date.map(|date| date.to_string()).unwrap_or_default();
            if (born.is_empty() && new.document.is_none()) || (!born.is_empty() && born.len() < 10) {
                return Err(ServiceError::invalid(
                    "MARK_TOO_VAGUE",
                    "a name alone marks too many: give the day of birth or a document",
                ));
            }
            if self.subjects.marks.read(BTreeMap::len) >= MOST {
                return Err(ServiceError::exhausted("MARKS_TOO_MANY", "no more marks can be kept"));
            }
            let reference = match new.reference.parse::<RecordHandle>() {
                Ok(handle) => {
                    if self.store.get(area::RECORD, handle.as_bytes()).await?.is_none() {
                        return Err(ServiceError::not_found("RECORD_UNKNOWN", "there is no such record"));
                    }
                    handle.to_string()
                }
                Err(_) => self.detail(&new.reference, false).await?.view.reference,
            };
            let row = MarkRow {
                reference,
                name: new.name,
                birth_date: born,
                document: new.document.map(|document| document.value().to_owned()).unwrap_or_default(),
                consent: new.consent,
                until: new.until,
                added_by: call.operator.name.to_string(),
                added_at: now,
            };
            let id = CaseId::random(&*self.entropy);
            let mark = OnFile { key: self.keys.allocate()?, row };
            self.put_on_file(area::NOT_THIS_PERSON, id, &mark, false).await?;
            self.subjects.marks.change(|all| all.insert(id, mark));
            Ok(id)
        };
        self.audited(call, "AddNotThisPerson", Some(subject), work).await
    }

    /// All marks.
    ///
    /// # Errors
    /// When the audit log cannot be written.
    pub async fn list_not_this_person(&self, call: &Call) -> Result<Vec<NotThisPerson>, ServiceError> {
        let work = async {
            let mut listed: Vec<NotThisPerson> = self.subjects.marks.read(|all| {
                let view = |(id, mark): (&CaseId, &OnFile<MarkRow>)| {
                    let row = mark.row.clone();
                    NotThisPerson {
                        id: *id,
                        reference: row.reference,
                        name: row.name,
                        birth_date: row.birth_date,
                        document: row.document,
                        consent: row.consent,
                        until: row.until,
                        added_by: row.added_by,
                        added_at: row.added_at,
                    }
                };
                all.iter().map(view).collect()
            });
            listed.sort_by_key(|mark| (mark.until, mark.id));
            Ok(listed)
        };
        self.audited(call, "ListNotThisPerson", None, work).await
    }

    /// Takes a mark away; what it said of the person is destroyed.
    ///
    /// # Errors
    /// `MARK_UNKNOWN`.
    pub async fn remove_not_this_person(&self, call: &Call, id: CaseId, reason: &str) -> Result<(), ServiceError> {
        let work = async {
            let _changing = self.subjects.marks.changing.lock().await;
            let mark = self.subjects.marks.read(|all| all.get(&id).map(|mark| mark.key));
            let key = mark.ok_or_else(|| ServiceError::not_found("MARK_UNKNOWN", "there is no such mark"))?;
            self.take_off_file(area::NOT_THIS_PERSON, id, key).await?;
            self.subjects.marks.change(|all| all.remove(&id));
            Ok(())
        };
        self.audited(call, "RemoveNotThisPerson", Some(format!("mark {id}: {reason}")), work).await
    }

    /// Destroys the marks whose end has come.
    pub(crate) async fn end_marks(&self) -> Result<(), ServiceError> {
        let now = self.clock.now();
        let due = |mark: &OnFile<MarkRow>| mark.row.until < now;
        if !self.subjects.marks.read(|all| all.values().any(due)) {
            return Ok(());
        }
        let _changing = self.subjects.marks.changing.lock().await;
        let ended: Vec<_> = self
            .subjects
            .marks
            .read(|all| all.iter().filter(|(_, mark)| due(mark)).map(|(id, mark)| (*id, mark.key)).collect());
        for (id, key) in ended {
            self.take_off_file(area::NOT_THIS_PERSON, id, key).await?;
            self.subjects.marks.change(|all| all.remove(&id));
        }
        Ok(())
    }

    /// Says on each hit that means another than who is asked for that it does, and puts it last.
    pub(crate) fn mark_hits(&self, query: &Query, hits: &mut [Hit]) {
        let now = self.clock.now();
        for hit in hits {
            let Some(reference) = &hit.reference else { continue };
            if self.subjects.marks.is_marked(query, reference.as_str(), now) {
                demote(hit);
            }
        }
    }
}

fn demote(hit: &mut Hit) {
    let score = hit.score.thousandths();
    let left = score.min(DEMOTED);
    hit.score = Score::saturating(left);
    hit.reasons.push(HitReason {
        code: REASON.to_owned(),
        text: "the person asked for is marked as not the one that is meant".to_owned(),
        weight: i32::from(left) - i32::from(score),
    });
    hit.cautions.push(Caution::NotThisPerson);
}
