//! Access requests: on file with a deadline, answered on record.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use eads_domain::clock::Timestamp;
use eads_domain::query::{IdentifierKey, IdentifierType, NameKey};
use serde::{Deserialize, Serialize};

use crate::area;
use crate::context::Call;
use crate::court::{CaseId, OnFile};
use crate::error::ServiceError;
use crate::node::Node;

/// The most requests on file.
const MOST: usize = 10_000;
/// Until when a request is to be answered where nothing else is said.
const USUAL_SECONDS: i64 = 30 * 86_400;
const DUE: &str = "SUBJECT_REQUEST_DUE";
const OVERDUE: &str = "SUBJECT_REQUEST_OVERDUE";

/// What a person asks.
#[derive(Clone, Debug)]
pub struct NewAccessRequest {
    /// The person, as far as known.
    pub person: NameKey,
    /// Number of a travel or identity document.
    pub document: Option<IdentifierKey>,
    /// When the request came.
    pub received: Timestamp,
    /// When it is to be answered; 30 days after it came where nothing is said.
    pub deadline: Option<Timestamp>,
}

/// What a person was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// All of it.
    Granted,
    /// A part of it.
    Partly,
    /// Nothing.
    Refused,
}

impl Decision {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Partly => "partly",
            Self::Refused => "refused",
        }
    }
}

impl std::str::FromStr for Decision {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, ServiceError> {
        [Self::Granted, Self::Partly, Self::Refused].into_iter().find(|one| one.as_str() == text).ok_or_else(|| {
            ServiceError::invalid("DECISION_UNKNOWN", "an access request is granted, partly granted or refused")
                .with_hint("give granted, partly or refused")
        })
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// To be answered.
    Open,
    /// To be answered soon.
    Due,
    /// The deadline is past.
    Overdue,
    /// Answered.
    Answered,
}

impl RequestState {
    /// The code in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Answered => "answered",
        }
    }
}

/// A request as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestRow {
    pub(super) name: String,
    pub(super) birth_date: String,
    pub(super) document: String,
    received: Timestamp,
    deadline: Timestamp,
    opened_by: String,
    answer: Option<Answer>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    decision: Decision,
    reason: String,
    by: String,
    at: Timestamp,
}

impl RequestRow {
    pub(super) fn person(&self) -> Result<NameKey, ServiceError> {
        NameKey::parse(&self.name, &self.birth_date, "", "").map_err(ServiceError::from_coded)
    }
}

/// A request as it is listed.
#[derive(Clone, Debug)]
pub struct AccessRequest {
    /// Its name.
    pub id: CaseId,
    /// The person's name.
    pub name: String,
    /// Date of birth; empty where not known.
    pub birth_date: String,
    /// Number of a document; empty where not known.
    pub document: String,
    /// When it came.
    pub received: Timestamp,
    /// When it is to be answered.
    pub deadline: Timestamp,
    /// Where it stands.
    pub state: RequestState,
    /// What was answered: decision, reason, by whom, when.
    pub answer: Option<(Decision, String, String, Timestamp)>,
}

/// The requests in memory: their deadlines are watched.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    all: RwLock<BTreeMap<CaseId, OnFile<RequestRow>>>,
    changing: tokio::sync::Mutex<()>,
}

impl Requests {
    fn read<T>(&self, look: impl FnOnce(&BTreeMap<CaseId, OnFile<RequestRow>>) -> T) -> T {
        look(&self.all.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn insert(&self, id: CaseId, request: OnFile<RequestRow>) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(id, request);
    }

    pub(super) fn get(&self, id: CaseId) -> Result<OnFile<RequestRow>, ServiceError> {
        let found = self.read(|all| all.get(&id).cloned());
        found.ok_or_else(|| ServiceError::not_found("SUBJECT_REQUEST_UNKNOWN", "there is no such access request"))
    }
}

impl Node {
    pub(super) async fn load_requests(&self) -> Result<(), ServiceError> {
        for (id, request) in self.all_on_file(area::SUBJECT_REQUEST).await? {
            self.subjects.requests.insert(id, request);
        }
        Ok(())
    }

    /// Puts a request on file. Returns its name and its deadline.
    ///
    /// # Errors
    /// `SUBJECT_REQUEST_DATES`, `SUBJECT_REQUESTS_TOO_MANY`.
    pub async fn open_subject_request(
        &self,
        call: &Call,
        new: NewAccessRequest,
    ) -> Result<(CaseId, Timestamp), ServiceError> {
        let id = CaseId::random(&*self.entropy);
        let work = async {
            let _changing = self.subjects.requests.changing.lock().await;
            let deadline = new.deadline.unwrap_or_else(|| new.received.plus_seconds(USUAL_SECONDS));
            if new.received > self.clock.now() || deadline <= new.received {
                return Err(ServiceError::invalid(
                    "SUBJECT_REQUEST_DATES",
                    "a request came in the past, and is answered after it came",
                ));
            }
            if self.subjects.requests.read(BTreeMap::len) >= MOST {
                return Err(ServiceError::exhausted("SUBJECT_REQUESTS_TOO_MANY", "no more requests can be on file"));
            }
            let row = RequestRow {
                name: new.person.name().to_owned(),
                birth_date: new.person.birth_date.map(|date| date.to_string()).unwrap_or_default(),
                document: new.document.map(|key| key.value().to_owned()).unwrap_or_default(),
                received: new.received,
                deadline,
                opened_by: call.operator.name.to_string(),
                answer: None,
            };
            let request = OnFile { key: self.keys.allocate()?, row };
            self.put_on_file(area::SUBJECT_REQUEST, id, &request, false).await?;
            self.subjects.requests.insert(id, request);
            Ok((id, deadline))
        };
        let outcome = self.audited(call, "OpenSubjectRequest", Some(format!("request {id}")), work).await;
        self.alarm_requests();
        outcome
    }

    /// Requests to be answered, the most urgent first, or all on file.
    ///
    /// # Errors
    /// When the audit log cannot be written.
    pub async fn list_subject_requests(&self, call: &Call, all: bool) -> Result<Vec<AccessRequest>, ServiceError> {
        let work = async {
            let mut listed: Vec<AccessRequest> = self.subjects.requests.read(|requests| {
                let wanted = requests.iter().filter(|(_, request)| all || request.row.answer.is_none());
                wanted.map(|(id, request)| self.listed_request(*id, &request.row)).collect()
            });
            listed.sort_by_key(|request| (request.answer.is_some(), request.deadline, request.id));
            Ok(listed)
        };
        self.audited(call, "ListSubjectRequests", None, work).await
    }

    fn listed_request(&self, id: CaseId, row: &RequestRow) -> AccessRequest {
        AccessRequest {
            id,
            name: row.name.clone(),
            birth_date: row.birth_date.clone(),
            document: row.document.clone(),
            received: row.received,
            deadline: row.deadline,
            state: self.state_of_request(row),
            answer: row.answer.as_ref().map(|a| (a.decision, a.reason.clone(), a.by.clone(), a.at)),
        }
    }

    fn state_of_request(&self, row: &RequestRow) -> RequestState {
        let left = row.deadline.seconds_since(self.clock.now());
        if row.answer.is_some() {
            RequestState::Answered
        } else if left < 0 {
            RequestState::Overdue
        } else if left <= self.limits.subject_request_warning_seconds {
            RequestState::Due
        } else {
            RequestState::Open
        }
    }

    /// Records what the person was answered.
    ///
    /// # Errors
    /// `SUBJECT_REQUEST_UNKNOWN`, `SUBJECT_REQUEST_ANSWERED`.
    pub async fn answer_subject_request(
        &self,
        call: &Call,
        id: CaseId,
        decision: Decision,
        reason: &str,
    ) -> Result<(), ServiceError> {
        let work = async {
            let _changing = self.subjects.requests.changing.lock().await;
            let request = self.subjects.requests.get(id)?;
            if request.row.answer.is_some() {
                return Err(ServiceError::conflict("SUBJECT_REQUEST_ANSWERED", "this request is answered already"));
            }
            let answer = Answer {
                decision,
                reason: reason.to_owned(),
                by: call.operator.name.to_string(),
                at: self.clock.now(),
            };
            let request = OnFile { row: RequestRow { answer: Some(answer), ..request.row }, ..request };
            self.put_on_file(area::SUBJECT_REQUEST, id, &request, false).await?;
            self.subjects.requests.insert(id, request);
            Ok(())
        };
        let subject = format!("request {id}: {}", decision.as_str());
        let outcome = self.audited(call, "AnswerSubjectRequest", Some(subject), work).await;
        self.alarm_requests();
        outcome
    }

    /// Raises and takes back the alarms about deadlines, and now and then those about purges that are owed.
    pub(crate) async fn watch_deadlines(&self) -> Result<(), ServiceError> {
        self.alarm_requests();
        if self.court.is_time_to_look(self.clock.now(), self.limits.purge_owed_look_seconds) {
            self.look_for_owed().await?;
        }
        Ok(())
    }

    fn alarm_requests(&self) {
        let states: Vec<RequestState> = self
            .subjects
            .requests
            .read(|all| all.values().map(|request| self.state_of_request(&request.row)).collect());
        for (state, code, words) in [
            (RequestState::Due, DUE, "are to be answered soon"),
            (RequestState::Overdue, OVERDUE, "should have been answered by now"),
        ] {
            let count = states.iter().filter(|one| **one == state).count();
            let text = format!("{count} access requests {words}: `eads subject-request list`");
            match count {
                0 => self.alarms.clear(code),
                _ if self.alarms.says(code, &text) => {}
                _ => self.alarms.raise(code, self.clock.now(), text),
            }
        }
    }
}

/// A document's number as it can be looked up.
pub(super) fn document_key(number: &str) -> Option<IdentifierKey> {
    IdentifierKey::new("document".parse::<IdentifierType>().ok()?, number).ok()
}
