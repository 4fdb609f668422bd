//! `NodeService`: the state of the node, and the re-verification of every register.

use eads_proto::v1;
use eads_proto::v1::node_service_server::NodeService;
use eads_service::status::RegisterFinding;
use eads_service::trust::Recalled;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::grpc::finish;

#[tonic::async_trait]
impl NodeService for OperatorApi {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let (call, _) = self.admit("GetStatus", request).await?;
        let node = self.node.clone();
        let status = finish(async move { node.status(&call).await }).await?;
        let card = self.node.card().card;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Ok(Response::new(v1::GetStatusResponse {
            member: self.node.member().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            register: card.card().register.as_bytes().to_vec(),
            register_size: status.register_size,
            checkpoint: status.checkpoint,
            notices_in_force: count(status.notices_in_force),
            held_notices: count(status.held_notices),
            records: count(status.records),
            peers: status.peers.iter().map(convert::peer).collect(),
            clock: status.clock.as_unix(),
            alarms: status.alarms,
            sequencing: status.sequencing.as_str().to_owned(),
            unrecovered: status.unrecovered.0,
            unrecovered_entries: status.unrecovered.1,
            recalled: status.recalled.into_iter().map(recalled).collect(),
        }))
    }

    async fn verify_registers(
        &self,
        request: Request<v1::VerifyRegistersRequest>,
    ) -> Result<Response<v1::VerifyRegistersResponse>, Status> {
        let (call, _) = self.admit("VerifyRegisters", request).await?;
        let node = self.node.clone();
        let findings = finish(async move { node.verify_registers(&call).await }).await?;
        let registers = findings.into_iter().map(finding).collect();
        Ok(Response::new(v1::VerifyRegistersResponse { registers }))
    }

    async fn skip_start_wait(
        &self,
        request: Request<v1::SkipStartWaitRequest>,
    ) -> Result<Response<v1::SkipStartWaitResponse>, Status> {
        let (call, message) = self.admit("SkipStartWait", request).await?;
        let reason = convert::reason(&message.reason)?;
        let node = self.node.clone();
        finish(async move { node.skip_start_wait(&call, &reason).await }).await?;
        Ok(Response::new(v1::SkipStartWaitResponse {}))
    }
}

fn recalled(notice: Recalled) -> v1::RecalledNotice {
    v1::RecalledNotice {
        reference: notice.reference,
        index: notice.index,
        action: if notice.withdrawn { "withdraw" } else { "suspend" }.to_owned(),
        member: notice.member.to_string(),
    }
}

fn finding(found: RegisterFinding) -> v1::RegisterVerification {
    v1::RegisterVerification {
        member: found.member.to_string(),
        size: found.size,
        statements: found.statements,
        sound: found.finding.is_none(),
        finding: found.finding.unwrap_or_default(),
    }
}
