//! `AuditService`: who asked and saw what, and the proof that nothing was changed since.

use eads_domain::clock::Timestamp;
use eads_domain::id::Hash;
use eads_proto::v1;
use eads_proto::v1::audit_service_server::AuditService;
use eads_service::ServiceError;
use eads_service::audit::{Countersignature, ExportAsked, ExportPart, FileFormat, Filter, Find};
use futures::StreamExt as _;
use futures::stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::error::{refused, status};
use crate::grpc::{Answers, finish};

/// Entries where no limit is given, and the most of one answer.
const USUAL_ENTRIES: usize = 100;
const MAX_ENTRIES: usize = 1_000_000;
/// The longest prefix of a digest.
const DIGEST_BYTES: usize = 32;

#[tonic::async_trait]
impl AuditService for OperatorApi {
    type ListAuditEntriesStream = Answers<v1::ListAuditEntriesResponse>;
    type ExportAuditStream = Answers<v1::ExportAuditResponse>;

    async fn list_audit_entries(
        &self,
        request: Request<v1::ListAuditEntriesRequest>,
    ) -> Result<Response<Self::ListAuditEntriesStream>, Status> {
        let (call, message) = self.admit("ListAuditEntries", request).await?;
        let find = Find {
            filter: filter(&message)?,
            after: message.after,
            limit: convert::limit(message.limit, USUAL_ENTRIES, MAX_ENTRIES),
            newest: message.reverse,
        };
        let batches = self.node.clone().find_audit(&call, find).await.map_err(|error| status(&error))?;
        let entries = ReceiverStream::new(batches).flat_map(|batch| {
            stream::iter(match batch {
                Ok(batch) => batch.into_iter().map(listed).collect(),
                Err(error) => vec![Err(status(&error))],
            })
        });
        Ok(Response::new(entries.boxed()))
    }

    async fn get_audit_entry(
        &self,
        request: Request<v1::GetAuditEntryRequest>,
    ) -> Result<Response<v1::GetAuditEntryResponse>, Status> {
        let (call, message) = self.admit("GetAuditEntry", request).await?;
        let node = self.node.clone();
        let found = finish(async move { node.audit_entry(&call, message.sequence).await }).await?;
        Ok(Response::new(v1::GetAuditEntryResponse {
            entry: Some(convert::audit_entry(found.listed)),
            related: found.related.into_iter().map(convert::audit_entry).collect(),
            payload: found.payload,
        }))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let (call, _) = self.admit("VerifyAudit", request).await?;
        let node = self.node.clone();
        let found = finish(async move { node.verify_audit(&call).await }).await?;
        let (first_bad, code, finding) =
            found.flaw.map(|flaw| (flaw.sequence, flaw.code, flaw.text)).unwrap_or_default();
        Ok(Response::new(v1::VerifyAuditResponse {
            entries: found.entries,
            sound: code.is_empty(),
            first_bad,
            finding,
            head: found.head.as_bytes().to_vec(),
            unfinished: found.unfinished,
            pruned_through: found.pruned_through,
            last: found.last,
            anchors: found.anchors,
            anchored_through: found.anchored_through,
            countersigned_through: found.countersigned_through,
            code: code.to_owned(),
        }))
    }

    async fn export_audit(
        &self,
        request: Request<v1::ExportAuditRequest>,
    ) -> Result<Response<Self::ExportAuditStream>, Status> {
        let (call, message) = self.admit("ExportAudit", request).await?;
        let format = match message.format() {
            v1::AuditFormat::JsonLines => FileFormat::JsonLines,
            v1::AuditFormat::Csv => FileFormat::Csv,
            v1::AuditFormat::Unspecified => {
                return Err(status(&ServiceError::invalid("AUDIT_FORMAT_UNKNOWN", "the format is JSON Lines or CSV")));
            }
        };
        let asked = ExportAsked { format, from: moment(message.from), to: moment(message.to) };
        let parts = self.node.clone().export_audit(&call, asked).await.map_err(|error| status(&error))?;
        let parts = ReceiverStream::new(parts).map(|part| {
            let part = part.map_err(|error| status(&error))?;
            let part = match part {
                ExportPart::Chunk(bytes) => v1::export_audit_response::Part::Chunk(bytes),
                ExportPart::Proof(bytes) => v1::export_audit_response::Part::Proof(bytes),
            };
            Ok(v1::ExportAuditResponse { part: Some(part) })
        });
        Ok(Response::new(parts.boxed()))
    }

    async fn countersign_audit(
        &self,
        request: Request<v1::CountersignAuditRequest>,
    ) -> Result<Response<v1::CountersignAuditResponse>, Status> {
        let (call, message) = self.admit("CountersignAudit", request).await?;
        let chain = Hash::try_from(message.chain.as_slice()).map_err(refused)?;
        let at = Timestamp::from_unix(message.at);
        let node = self.node.clone();
        let head = (message.sequence, chain);
        finish(async move { node.countersign_audit(&call, head, at, &message.signature).await }).await?;
        Ok(Response::new(v1::CountersignAuditResponse {}))
    }

    async fn list_audit_countersignatures(
        &self,
        request: Request<v1::ListAuditCountersignaturesRequest>,
    ) -> Result<Response<v1::ListAuditCountersignaturesResponse>, Status> {
        let (call, _) = self.admit("ListAuditCountersignatures", request).await?;
        let node = self.node.clone();
        let signed = finish(async move { node.list_countersignatures(&call).await }).await?;
        let countersignatures = signed.into_iter().map(|(auditor, signed)| countersignature(&auditor, &signed));
        Ok(Response::new(v1::ListAuditCountersignaturesResponse { countersignatures: countersignatures.collect() }))
    }

    async fn compare_audit(
        &self,
        request: Request<v1::CompareAuditRequest>,
    ) -> Result<Response<v1::CompareAuditResponse>, Status> {
        let (call, message) = self.admit("CompareAudit", request).await?;
        let peer = convert::member(&message.peer)?;
        let (from, to) = (moment(message.from), moment(message.to));
        let node = self.node.clone();
        let compared = finish(async move { node.compare_audit(&call, peer, from, to).await }).await?;
        Ok(Response::new(convert::compared(&compared)))
    }
}

fn listed(listed: eads_service::audit::Listed) -> Result<v1::ListAuditEntriesResponse, Status> {
    Ok(v1::ListAuditEntriesResponse { entry: Some(convert::audit_entry(listed)) })
}

fn countersignature(
    auditor: &eads_domain::operator::OperatorName,
    signed: &Countersignature,
) -> v1::AuditCountersignature {
    v1::AuditCountersignature {
        sequence: signed.sequence,
        chain: signed.chain.as_bytes().to_vec(),
        at: signed.at.as_unix(),
        auditor: auditor.to_string(),
        signature: signed.signature(),
        certificate: signed.certificate(),
    }
}

fn moment(unix: i64) -> Option<Timestamp> {
    (unix != 0).then(|| Timestamp::from_unix(unix))
}

fn filter(message: &v1::ListAuditEntriesRequest) -> Result<Filter, Status> {
    if message.digest.len() > DIGEST_BYTES {
        return Err(status(&ServiceError::invalid("DIGEST_UNFIT", "a digest has at most 32 bytes")));
    }
    let digest = Some(message.digest.clone()).filter(|digest| !digest.is_empty());
    let peer = Some(message.peer.as_str()).filter(|peer| !peer.is_empty());
    Ok(Filter {
        request: convert::request_id(&message.request_id)?,
        from: moment(message.from),
        to: moment(message.to),
        actor: convert::text("the actor", &message.actor)?,
        role: convert::text("the role", &message.role)?,
        operation: convert::text("the operation", &message.operation)?,
        purpose: convert::text("the purpose", &message.purpose)?,
        case_reference: convert::text("the case reference", &message.case_reference)?,
        peer: peer.map(convert::member).transpose()?,
        result: convert::text("the result", &message.result)?,
        subject: convert::text("the subject", &message.subject)?,
        digest,
    })
}
