//! `AuditService`: who asked and saw what, and the proof that nothing was changed since.

use eads_domain::operator::Role;
use eads_proto::v1;
use eads_proto::v1::audit_service_server::AuditService;
use eads_service::ServiceError;
use futures::StreamExt as _;
use futures::stream;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::grpc::{Answers, finish};

/// Entries where no limit is given, and the most of one answer.
const USUAL_ENTRIES: usize = 100;
const MAX_ENTRIES: usize = 10_000;

#[tonic::async_trait]
impl AuditService for OperatorApi {
    type ListAuditEntriesStream = Answers<v1::ListAuditEntriesResponse>;

    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Result<Response<Self::ListAuditEntriesStream>, Status> {
        let (call, message) = self.admit("ListAuditEntries", request).await?;
        let of_request = convert::request_id(&message.request_id)?;
        let limit = convert::limit(message.limit, USUAL_ENTRIES, MAX_ENTRIES);
        let open_queries = call.operator.roles.contains(Role::Auditor);
        let (node, reader) = (self.node.clone(), self.node.clone());
        let list = move || reader.audit().list(Some(message.after), limit, message.reverse, of_request, open_queries);
        let listed = finish(async move {
            let subject = of_request.map(|request| format!("request {request}"));
            node.audited(&call, "ListAuditEntries", subject, blocking(list)).await
        })
        .await?;
        let entries =
            listed.into_iter().map(|listed| v1::ListAuditEntriesResponse { entry: Some(convert::audit_entry(listed)) });
        Ok(Response::new(stream::iter(entries.map(Ok)).boxed()))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let (call, _) = self.admit("VerifyAudit", request).await?;
        let (node, reader) = (self.node.clone(), self.node.clone());
        let verify = move || Ok(reader.audit().verify());
        let found = finish(async move { node.audited(&call, "VerifyAudit", None, blocking(verify)).await }).await?;
        let (first_bad, finding) = found.finding.clone().unwrap_or_default();
        Ok(Response::new(v1::VerifyAuditResponse {
            entries: found.entries,
            sound: found.finding.is_none(),
            first_bad,
            finding,
            head: found.head.as_bytes().to_vec(),
            unfinished: found.unfinished,
        }))
    }
}

/// Reads the whole log, away from the runtime's threads.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(read).await.map_err(|stopped| {
        ServiceError::internal("AUDIT_READ_STOPPED", "reading the audit log was interrupted").caused_by(stopped)
    })?
}
