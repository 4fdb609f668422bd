//! `PeeringService`: cards, the ceremony, and the list of peers.

use eads_proto::v1;
use eads_proto::v1::peering_service_server::PeeringService;
use eads_service::peers::Acceptance;
use tonic::{Request, Response, Status, Streaming};

use super::{OperatorApi, convert};
use crate::grpc::{Answers, finish};

#[tonic::async_trait]
impl PeeringService for OperatorApi {
    type ExportSyncStream = Answers<v1::ExportSyncResponse>;

    async fn export_card(
        &self,
        request: Request<v1::ExportCardRequest>,
    ) -> Result<Response<v1::ExportCardResponse>, Status> {
        let (call, _) = self.admit("ExportCard", request).await?;
        let node = self.node.clone();
        let own =
            finish(async move { node.audited(&call, "ExportCard", None, async { Ok(node.card()) }).await }).await?;
        Ok(Response::new(v1::ExportCardResponse {
            card: own.card.bytes().to_vec(),
            verification_code: own.code.to_string(),
        }))
    }

    async fn import_card(
        &self,
        request: Request<v1::ImportCardRequest>,
    ) -> Result<Response<v1::ImportCardResponse>, Status> {
        let (call, message) = self.admit("ImportCard", request).await?;
        let node = self.node.clone();
        let candidate = finish(async move { node.import_card(&call, &message.card).await }).await?;
        let card = candidate.card.card();
        Ok(Response::new(v1::ImportCardResponse {
            member: card.member.to_string(),
            display_name: card.display_name.to_string(),
            standing: card.standing.to_string(),
            sequence: card.sequence,
            verification_code: candidate.code.to_string(),
        }))
    }

    async fn accept_peer(
        &self,
        request: Request<v1::AcceptPeerRequest>,
    ) -> Result<Response<v1::AcceptPeerResponse>, Status> {
        let (call, message) = self.admit("AcceptPeer", request).await?;
        let member = convert::member(&message.member)?;
        let node = self.node.clone();
        let acceptance =
            finish(
                async move { node.accept_peer(&call, member, &message.verification_code, &message.agreement).await },
            )
            .await?;
        Ok(Response::new(v1::AcceptPeerResponse { accepted: acceptance == Acceptance::Accepted }))
    }

    async fn list_peers(
        &self,
        request: Request<v1::ListPeersRequest>,
    ) -> Result<Response<v1::ListPeersResponse>, Status> {
        let (call, _) = self.admit("ListPeers", request).await?;
        let node = self.node.clone();
        let views = finish(async move { node.audited(&call, "ListPeers", None, node.peer_views()).await }).await?;
        Ok(Response::new(v1::ListPeersResponse { peers: views.iter().map(convert::peer).collect() }))
    }

    async fn remove_peer(
        &self,
        request: Request<v1::RemovePeerRequest>,
    ) -> Result<Response<v1::RemovePeerResponse>, Status> {
        let (call, message) = self.admit("RemovePeer", request).await?;
        let member = convert::member(&message.member)?;
        let reason = convert::text("the reason", &message.reason)?.unwrap_or_default();
        let node = self.node.clone();
        let unsettled = finish(async move { node.remove_peer(&call, member, &reason).await }).await?;
        Ok(Response::new(v1::RemovePeerResponse { unsettled }))
    }

    async fn unfreeze_peer(
        &self,
        request: Request<v1::UnfreezePeerRequest>,
    ) -> Result<Response<v1::UnfreezePeerResponse>, Status> {
        let (call, message) = self.admit("UnfreezePeer", request).await?;
        let member = convert::member(&message.member)?;
        let reason = convert::reason(&message.reason)?;
        let node = self.node.clone();
        let unfrozen = finish(async move { node.unfreeze_peer(&call, member, &reason).await }).await?;
        Ok(Response::new(v1::UnfreezePeerResponse { unfrozen }))
    }

    async fn rebaseline_peer(
        &self,
        request: Request<v1::RebaselinePeerRequest>,
    ) -> Result<Response<v1::RebaselinePeerResponse>, Status> {
        let (call, message) = self.admit("RebaselinePeer", request).await?;
        let reason = convert::reason(&message.reason)?;
        let (node, v1::RebaselinePeerRequest { card, verification_code, .. }) = (self.node.clone(), message);
        let rebased = async move { node.rebaseline_peer(&call, &card, &verification_code, &reason).await };
        Ok(Response::new(v1::RebaselinePeerResponse { effective: finish(rebased).await? }))
    }

    async fn export_proof(
        &self,
        request: Request<v1::ExportProofRequest>,
    ) -> Result<Response<v1::ExportProofResponse>, Status> {
        let (call, message) = self.admit("ExportProof", request).await?;
        let member = convert::member(&message.member)?;
        let node = self.node.clone();
        let proof = finish(async move { node.export_proof(&call, member).await }).await?;
        Ok(Response::new(v1::ExportProofResponse { file: proof.file }))
    }

    async fn export_sync(
        &self,
        request: Request<v1::ExportSyncRequest>,
    ) -> Result<Response<Self::ExportSyncStream>, Status> {
        self.export_sync_file(request).await
    }

    async fn import_sync(
        &self,
        request: Request<Streaming<v1::ImportSyncRequest>>,
    ) -> Result<Response<v1::ImportSyncResponse>, Status> {
        self.import_sync_file(request).await
    }
}
