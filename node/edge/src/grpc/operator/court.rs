//! `CourtService`: proofs about one notice, evidence holds, purges that never came.

use eads_domain::clock::Timestamp;
use eads_proto::v1;
use eads_proto::v1::court_service_server::CourtService;
use eads_service::court::{Hold, HoldRequest, HoldTarget, PackRequest};
use futures::StreamExt as _;
use futures::stream;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::error::refused;
use crate::grpc::{Answers, finish};

/// How much of a pack one message carries.
const CHUNK: usize = 512 * 1024;

#[tonic::async_trait]
impl CourtService for OperatorApi {
    type ExportCourtPackStream = Answers<v1::ExportCourtPackResponse>;

    async fn export_court_pack(
        &self,
        request: Request<v1::ExportCourtPackRequest>,
    ) -> Result<Response<Self::ExportCourtPackStream>, Status> {
        let (call, message) = self.admit("ExportCourtPack", request).await?;
        let case_reference = convert::text("the case", &message.case_reference)?
            .ok_or_else(|| convert::invalid("CASE_REQUIRED", "say for which case the pack is made"))?;
        let asked = PackRequest {
            reference: message.reference,
            purpose: message.purpose.parse().map_err(refused)?,
            legal_basis: convert::text("the legal basis", &message.legal_basis)?,
            case_reference,
        };
        let node = self.node.clone();
        let file = finish(async move { node.export_court_pack(&call, &asked).await }).await?;
        let chunks: Vec<_> =
            file.chunks(CHUNK).map(|chunk| Ok(v1::ExportCourtPackResponse { chunk: chunk.to_vec() })).collect();
        Ok(Response::new(stream::iter(chunks).boxed()))
    }

    async fn place_hold(
        &self,
        request: Request<v1::PlaceHoldRequest>,
    ) -> Result<Response<v1::PlaceHoldResponse>, Status> {
        let (call, message) = self.admit("PlaceHold", request).await?;
        let reason = convert::reason(&message.reason)?;
        let order = convert::text("the order", &message.order)?
            .ok_or_else(|| convert::invalid("ORDER_REQUIRED", "say what the order is cited by"))?;
        let asked = if message.reference.is_empty() {
            HoldRequest::Audit(Timestamp::from_unix(message.audit_from), Timestamp::from_unix(message.audit_to))
        } else {
            HoldRequest::Notice(message.reference)
        };
        let until = Timestamp::from_unix(message.until);
        let node = self.node.clone();
        let (id, in_force) = finish(async move { node.place_hold(&call, asked, &order, until, &reason).await }).await?;
        Ok(Response::new(v1::PlaceHoldResponse { hold_id: id.to_string(), in_force }))
    }

    async fn release_hold(
        &self,
        request: Request<v1::ReleaseHoldRequest>,
    ) -> Result<Response<v1::ReleaseHoldResponse>, Status> {
        let (call, message) = self.admit("ReleaseHold", request).await?;
        let reason = convert::reason(&message.reason)?;
        let id = convert::case_id(&message.hold_id)?;
        let node = self.node.clone();
        let released = finish(async move { node.release_hold(&call, id, &reason).await }).await?;
        Ok(Response::new(v1::ReleaseHoldResponse { released }))
    }

    async fn list_holds(
        &self,
        request: Request<v1::ListHoldsRequest>,
    ) -> Result<Response<v1::ListHoldsResponse>, Status> {
        let (call, message) = self.admit("ListHolds", request).await?;
        let node = self.node.clone();
        let holds = finish(async move { node.list_holds(&call, message.all).await }).await?;
        Ok(Response::new(v1::ListHoldsResponse { holds: holds.into_iter().map(hold).collect() }))
    }

    async fn write_off_receipt(
        &self,
        request: Request<v1::WriteOffReceiptRequest>,
    ) -> Result<Response<v1::WriteOffReceiptResponse>, Status> {
        let (call, message) = self.admit("WriteOffReceipt", request).await?;
        let reason = convert::reason(&message.reason)?;
        let member = convert::member(&message.member)?;
        let node = self.node.clone();
        let (written_off, statements) =
            finish(async move { node.write_off(&call, &message.reference, member, &reason).await }).await?;
        Ok(Response::new(v1::WriteOffReceiptResponse { written_off, statements }))
    }
}

fn hold(hold: Hold) -> v1::EvidenceHold {
    let (reference, owner, from, to) = match hold.target {
        HoldTarget::Notice { owner, reference, .. } => (reference, owner.to_string(), 0, 0),
        HoldTarget::Audit { from, to } => (String::new(), String::new(), from.as_unix(), to.as_unix()),
    };
    v1::EvidenceHold {
        hold_id: hold.id.to_string(),
        reference,
        owner,
        audit_from: from,
        audit_to: to,
        order: hold.order,
        reason: hold.reason,
        until: hold.until.as_unix(),
        state: hold.state.as_str().to_owned(),
        administrators: hold.administrators,
        since: hold.since.as_unix(),
        kept: hold.kept,
    }
}
