//! `LifeService`: what happens to a draft between its two officers, emergencies, and what comes up for review.

use eads_domain::clock::Timestamp;
use eads_proto::v1;
use eads_proto::v1::life_service_server::LifeService;
use futures::StreamExt as _;
use futures::stream;
use tonic::{Request, Response, Status};

use super::notice::draft_id;
use super::{OperatorApi, convert};
use crate::error::refused;
use crate::grpc::{Answers, finish};

#[tonic::async_trait]
impl LifeService for OperatorApi {
    type ListDueStream = Answers<v1::ListDueResponse>;

    async fn submit_draft(
        &self,
        request: Request<v1::SubmitDraftRequest>,
    ) -> Result<Response<v1::SubmitDraftResponse>, Status> {
        let (call, message) = self.admit("SubmitDraft", request).await?;
        let id = draft_id(&message.draft_id)?;
        let node = self.node.clone();
        let draft = finish(async move { node.submit_draft(&call, id).await }).await?;
        Ok(Response::new(v1::SubmitDraftResponse { draft: Some(convert::draft(&draft)) }))
    }

    async fn return_draft(
        &self,
        request: Request<v1::ReturnDraftRequest>,
    ) -> Result<Response<v1::ReturnDraftResponse>, Status> {
        let (call, message) = self.admit("ReturnDraft", request).await?;
        let id = draft_id(&message.draft_id)?;
        let reason = message.reason.parse().map_err(refused)?;
        let node = self.node.clone();
        let draft = finish(async move { node.return_draft(&call, id, reason, &message.text).await }).await?;
        Ok(Response::new(v1::ReturnDraftResponse { draft: Some(convert::draft(&draft)) }))
    }

    async fn issue_in_emergency(
        &self,
        request: Request<v1::IssueInEmergencyRequest>,
    ) -> Result<Response<v1::IssueInEmergencyResponse>, Status> {
        let (call, message) = self.admit("IssueInEmergency", request).await?;
        let id = draft_id(&message.draft_id)?;
        let node = self.node.clone();
        let done = finish(async move { node.issue_in_emergency(&call, id, &message.reason).await }).await?;
        Ok(Response::new(v1::IssueInEmergencyResponse {
            issued: Some(convert::issued(done.issued)),
            until: done.until.as_unix(),
            confirmation_draft_id: done.confirmation.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }

    async fn confirm_emergency(
        &self,
        request: Request<v1::ConfirmEmergencyRequest>,
    ) -> Result<Response<v1::ConfirmEmergencyResponse>, Status> {
        let (call, message) = self.admit("ConfirmEmergency", request).await?;
        let node = self.node.clone();
        let draft = finish(async move { node.confirm_emergency(&call, &message.reference).await }).await?;
        Ok(Response::new(v1::ConfirmEmergencyResponse { draft: Some(convert::draft(&draft)) }))
    }

    async fn extend_notice(
        &self,
        request: Request<v1::ExtendNoticeRequest>,
    ) -> Result<Response<v1::ExtendNoticeResponse>, Status> {
        let (call, message) = self.admit("ExtendNotice", request).await?;
        let not_after = Timestamp::from_unix(message.not_after);
        let node = self.node.clone();
        let draft = finish(async move { node.extend_notice(&call, &message.reference, not_after).await }).await?;
        Ok(Response::new(v1::ExtendNoticeResponse { draft: Some(convert::draft(&draft)) }))
    }

    async fn list_due(&self, request: Request<v1::ListDueRequest>) -> Result<Response<Self::ListDueStream>, Status> {
        let (call, message) = self.admit("ListDue", request).await?;
        let node = self.node.clone();
        let due = finish(async move { node.due_notices(&call, message.within_days).await }).await?;
        let due = due.into_iter().map(|view| Ok(v1::ListDueResponse { notice: Some(convert::notice(&view)) }));
        Ok(Response::new(stream::iter(due).boxed()))
    }
}
