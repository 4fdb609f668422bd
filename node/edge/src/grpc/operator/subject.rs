//! `SubjectService`: access requests, and marks against mistaking one person for another.

use eads_domain::clock::Timestamp;
use eads_domain::query::{IdentifierKey, NameKey};
use eads_proto::v1;
use eads_proto::v1::subject_service_server::SubjectService;
use eads_service::subjects::{AccessRequest, FoundHolding, FoundLookup, NewAccessRequest, NewMark, NotThisPerson};
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::error::{refused, status};
use crate::grpc::finish;

#[tonic::async_trait]
impl SubjectService for OperatorApi {
    async fn open_subject_request(
        &self,
        request: Request<v1::OpenSubjectRequestRequest>,
    ) -> Result<Response<v1::OpenSubjectRequestResponse>, Status> {
        let (call, message) = self.admit("OpenSubjectRequest", request).await?;
        let new = NewAccessRequest {
            person: NameKey::parse(&message.name, &message.birth_date, "", "").map_err(refused)?,
            document: document(&message.document)?,
            received: Timestamp::from_unix(message.received),
            deadline: Some(message.deadline).filter(|at| *at != 0).map(Timestamp::from_unix),
        };
        let node = self.node.clone();
        let (id, deadline) = finish(async move { node.open_subject_request(&call, new).await }).await?;
        Ok(Response::new(v1::OpenSubjectRequestResponse { request_id: id.to_string(), deadline: deadline.as_unix() }))
    }

    async fn list_subject_requests(
        &self,
        request: Request<v1::ListSubjectRequestsRequest>,
    ) -> Result<Response<v1::ListSubjectRequestsResponse>, Status> {
        let (call, message) = self.admit("ListSubjectRequests", request).await?;
        let node = self.node.clone();
        let listed = finish(async move { node.list_subject_requests(&call, message.all).await }).await?;
        Ok(Response::new(v1::ListSubjectRequestsResponse {
            requests: listed.into_iter().map(access_request).collect(),
        }))
    }

    async fn find_subject(
        &self,
        request: Request<v1::FindSubjectRequest>,
    ) -> Result<Response<v1::FindSubjectResponse>, Status> {
        let (call, message) = self.admit("FindSubject", request).await?;
        let id = convert::case_id(&message.request_id)?;
        let purpose = message.purpose.parse().map_err(refused)?;
        let legal_basis = convert::text("the legal basis", &message.legal_basis)?;
        let case_reference = convert::text("the case", &message.case_reference)?;
        let node = self.node.clone();
        let found =
            finish(async move { node.find_subject(&call, id, purpose, legal_basis, case_reference).await }).await?;
        Ok(Response::new(v1::FindSubjectResponse {
            holdings: found.holdings.into_iter().map(holding).collect(),
            lookups: found.lookups.into_iter().map(lookup).collect(),
            truncated: found.truncated,
            unreadable: found.unreadable,
        }))
    }

    async fn answer_subject_request(
        &self,
        request: Request<v1::AnswerSubjectRequestRequest>,
    ) -> Result<Response<v1::AnswerSubjectRequestResponse>, Status> {
        let (call, message) = self.admit("AnswerSubjectRequest", request).await?;
        let id = convert::case_id(&message.request_id)?;
        let decision = message.decision.parse().map_err(|error| status(&error))?;
        let reason = convert::reason(&message.reason)?;
        let node = self.node.clone();
        finish(async move { node.answer_subject_request(&call, id, decision, &reason).await }).await?;
        Ok(Response::new(v1::AnswerSubjectRequestResponse {}))
    }

    async fn add_not_this_person(
        &self,
        request: Request<v1::AddNotThisPersonRequest>,
    ) -> Result<Response<v1::AddNotThisPersonResponse>, Status> {
        let (call, message) = self.admit("AddNotThisPerson", request).await?;
        let person = NameKey::parse(&message.name, &message.birth_date, "", "").map_err(refused)?;
        let consent = convert::text("the consent", &message.consent)?
            .ok_or_else(|| convert::invalid("CONSENT_REQUIRED", "say where the person's consent is on file"))?;
        let new = NewMark {
            reference: message.reference,
            name: person.name().to_owned(),
            birth_date: person.birth_date,
            document: document(&message.document)?,
            consent,
            until: Timestamp::from_unix(message.until),
        };
        let node = self.node.clone();
        let id = finish(async move { node.add_not_this_person(&call, new).await }).await?;
        Ok(Response::new(v1::AddNotThisPersonResponse { mark_id: id.to_string() }))
    }

    async fn list_not_this_person(
        &self,
        request: Request<v1::ListNotThisPersonRequest>,
    ) -> Result<Response<v1::ListNotThisPersonResponse>, Status> {
        let (call, _) = self.admit("ListNotThisPerson", request).await?;
        let node = self.node.clone();
        let listed = finish(async move { node.list_not_this_person(&call).await }).await?;
        Ok(Response::new(v1::ListNotThisPersonResponse { marks: listed.into_iter().map(mark).collect() }))
    }

    async fn remove_not_this_person(
        &self,
        request: Request<v1::RemoveNotThisPersonRequest>,
    ) -> Result<Response<v1::RemoveNotThisPersonResponse>, Status> {
        let (call, message) = self.admit("RemoveNotThisPerson", request).await?;
        let id = convert::case_id(&message.mark_id)?;
        let reason = convert::reason(&message.reason)?;
        let node = self.node.clone();
        finish(async move { node.remove_not_this_person(&call, id, &reason).await }).await?;
        Ok(Response::new(v1::RemoveNotThisPersonResponse {}))
    }
}

fn document(number: &str) -> Result<Option<IdentifierKey>, Status> {
    if number.trim().is_empty() {
        return Ok(None);
    }
    let kind = "document".parse().map_err(refused)?;
    IdentifierKey::new(kind, number).map(Some).map_err(refused)
}

fn access_request(request: AccessRequest) -> v1::AccessRequest {
    let (decision, reason, answered_by, answered_at) = match request.answer {
        Some((decision, reason, by, at)) => (decision.as_str().to_owned(), reason, by, at.as_unix()),
        None => (String::new(), String::new(), String::new(), 0),
    };
    v1::AccessRequest {
        request_id: request.id.to_string(),
        name: request.name,
        birth_date: request.birth_date,
        document: request.document,
        received: request.received.as_unix(),
        deadline: request.deadline.as_unix(),
        state: request.state.as_str().to_owned(),
        decision,
        reason,
        answered_by,
        answered_at,
    }
}

fn holding(found: FoundHolding) -> v1::SubjectHolding {
    v1::SubjectHolding {
        source: found.source.to_owned(),
        owner: found.owner.to_string(),
        reference: found.reference,
        kind: found.kind,
        state: found.state,
        score: found.score.into(),
        reasons: found.reasons,
        title: found.title,
    }
}

fn lookup(found: FoundLookup) -> v1::SubjectLookup {
    v1::SubjectLookup {
        sequence: found.sequence,
        at: found.at.as_unix(),
        actor: found.actor,
        operation: found.operation,
        purpose: found.purpose,
        case_reference: found.case_reference,
        request_id: found.request.as_bytes().to_vec(),
        asked: found.asked,
    }
}

fn mark(mark: NotThisPerson) -> v1::NotThisPerson {
    v1::NotThisPerson {
        mark_id: mark.id.to_string(),
        reference: mark.reference,
        name: mark.name,
        birth_date: mark.birth_date,
        document: mark.document,
        consent: mark.consent,
        until: mark.until.as_unix(),
        added_by: mark.added_by,
        added_at: mark.added_at.as_unix(),
    }
}
