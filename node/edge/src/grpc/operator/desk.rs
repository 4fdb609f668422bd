//! `DeskService`: what waits for this member's decision, what it decided, and who may be a victim among suspects.

use eads_domain::id::MemberId;
use eads_proto::v1;
use eads_proto::v1::desk_service_server::DeskService;
use eads_service::collisions::{Collision, CollisionSide};
use eads_service::desk::{DeskFilter, DeskNotice, DeskRow, Verdict};
use futures::StreamExt as _;
use futures::stream;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::grpc::{Answers, finish};

/// Lines where no limit is given, and the most of one answer.
const USUAL: usize = 1000;
const MOST: usize = 10_000;

#[tonic::async_trait]
impl DeskService for OperatorApi {
    type ListDeskStream = Answers<v1::ListDeskResponse>;
    type ListCollisionsStream = Answers<v1::ListCollisionsResponse>;

    async fn list_desk(&self, request: Request<v1::ListDeskRequest>) -> Result<Response<Self::ListDeskStream>, Status> {
        let (call, message) = self.admit("ListDesk", request).await?;
        let v1::ListDeskRequest { exercise, decided, limit } = message;
        let filter = DeskFilter { exercise, decided, limit: convert::limit(limit, USUAL, MOST) };
        let (node, member) = (self.node.clone(), self.node.member());
        let notices = finish(async move { node.desk_list(&call, filter).await }).await?;
        let answers = notices
            .into_iter()
            .map(move |notice| Ok(v1::ListDeskResponse { notice: Some(desk_notice(member, &notice)) }));
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn get_desk_notice(
        &self,
        request: Request<v1::GetDeskNoticeRequest>,
    ) -> Result<Response<v1::GetDeskNoticeResponse>, Status> {
        let (call, message) = self.admit("GetDeskNotice", request).await?;
        let (node, member) = (self.node.clone(), self.node.member());
        let found = finish(async move { node.desk_show(&call, &message.reference).await }).await?;
        let now = self.node.clock().now();
        Ok(Response::new(v1::GetDeskNoticeResponse {
            notice: Some(desk_notice(member, &found.notice)),
            detail: found.detail.map(|detail| convert::notice_detail(&detail, now)),
        }))
    }

    async fn approve_held_notice(
        &self,
        request: Request<v1::ApproveHeldNoticeRequest>,
    ) -> Result<Response<v1::ApproveHeldNoticeResponse>, Status> {
        let (call, message) = self.admit("ApproveHeldNotice", request).await?;
        let digest = convert::digest(&message.digest)?;
        let (node, member) = (self.node.clone(), self.node.member());
        let v1::ApproveHeldNoticeRequest { reference, for_all_versions, note, .. } = message;
        let decided =
            finish(async move { node.approve_held(&call, &reference, digest, for_all_versions, &note).await }).await?;
        Ok(Response::new(v1::ApproveHeldNoticeResponse { notice: Some(desk_notice(member, &decided)) }))
    }

    async fn refuse_held_notice(
        &self,
        request: Request<v1::RefuseHeldNoticeRequest>,
    ) -> Result<Response<v1::RefuseHeldNoticeResponse>, Status> {
        let (call, message) = self.admit("RefuseHeldNotice", request).await?;
        let digest = convert::digest(&message.digest)?;
        let (node, member) = (self.node.clone(), self.node.member());
        let v1::RefuseHeldNoticeRequest { reference, reason, for_all_versions, note, .. } = message;
        let work = async move { node.refuse_held(&call, &reference, digest, &reason, for_all_versions, &note).await };
        let decided = finish(work).await?;
        Ok(Response::new(v1::RefuseHeldNoticeResponse { notice: Some(desk_notice(member, &decided)) }))
    }

    async fn undo_desk_decision(
        &self,
        request: Request<v1::UndoDeskDecisionRequest>,
    ) -> Result<Response<v1::UndoDeskDecisionResponse>, Status> {
        let (call, message) = self.admit("UndoDeskDecision", request).await?;
        let node = self.node.clone();
        let waits = finish(async move { node.undo_desk(&call, &message.reference).await }).await?;
        Ok(Response::new(v1::UndoDeskDecisionResponse { waits }))
    }

    async fn list_collisions(
        &self,
        request: Request<v1::ListCollisionsRequest>,
    ) -> Result<Response<Self::ListCollisionsStream>, Status> {
        let (call, message) = self.admit("ListCollisions", request).await?;
        let limit = convert::limit(message.limit, USUAL, MOST);
        let node = self.node.clone();
        let found = finish(async move { node.collisions(&call, limit).await }).await?;
        let answers = found.into_iter().map(|one| Ok(v1::ListCollisionsResponse { collision: Some(collision(&one)) }));
        Ok(Response::new(stream::iter(answers).boxed()))
    }
}

fn desk_notice(member: MemberId, notice: &DeskNotice) -> v1::DeskNotice {
    v1::DeskNotice {
        notice: Some(convert::notice(&notice.view)),
        waits_for: notice.waits_for.to_owned(),
        decision: notice.decision.as_ref().map(decision),
        digest: notice.digest().as_bytes().to_vec(),
        desk: member.to_string(),
    }
}

fn decision(row: &DeskRow) -> v1::DeskDecision {
    v1::DeskDecision {
        verdict: row.verdict.as_str().to_owned(),
        reason: if row.verdict == Verdict::Refused { row.reason().to_string() } else { String::new() },
        officer: row.officer.clone(),
        decided_at: row.at.as_unix(),
        version: row.version.into(),
        for_all_versions: row.for_all_versions,
        note: row.note.clone(),
    }
}

fn collision(found: &Collision) -> v1::Collision {
    let side = |side: &CollisionSide| v1::CollisionSide {
        source: if side.kind.is_some() { "notice" } else { "record" }.to_owned(),
        reference: side.reference.clone(),
        owner: side.owner.to_string(),
        kind: side.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        title: side.title.clone(),
        state: side.state.to_owned(),
    };
    v1::Collision {
        accuses: Some(side(&found.accuses)),
        protects: Some(side(&found.protects)),
        by: found.by.as_str().to_owned(),
        found_at: found.at.as_unix(),
    }
}
