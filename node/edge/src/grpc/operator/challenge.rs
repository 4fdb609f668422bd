//! `ChallengeService`: challenges against notices as this member records them.

use eads_domain::challenge::Ending;
use eads_domain::clock::Timestamp;
use eads_domain::id::ChallengeId;
use eads_proto::v1;
use eads_proto::v1::challenge_service_server::ChallengeService;
use eads_service::challenges::{Challenge, NewChallenge};
use futures::StreamExt as _;
use futures::stream;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::error::refused;
use crate::grpc::{Answers, finish};

/// Challenges where no limit is given, and the most of one answer.
const USUAL: usize = 1000;
const MOST: usize = 10_000;

#[tonic::async_trait]
impl ChallengeService for OperatorApi {
    type ListChallengesStream = Answers<v1::ListChallengesResponse>;

    async fn record_challenge(
        &self,
        request: Request<v1::RecordChallengeRequest>,
    ) -> Result<Response<v1::RecordChallengeResponse>, Status> {
        let (call, message) = self.admit("RecordChallenge", request).await?;
        let new = NewChallenge {
            by: message.by.parse().map_err(refused)?,
            grounds: message.reason.parse().map_err(refused)?,
            reference: message.reference,
            answer_by: Timestamp::from_unix(message.answer_by),
            contact: message.contact,
        };
        let node = self.node.clone();
        let recorded = finish(async move { node.record_challenge(&call, new).await }).await?;
        Ok(Response::new(v1::RecordChallengeResponse { challenge: Some(self.challenge(recorded)) }))
    }

    async fn list_challenges(
        &self,
        request: Request<v1::ListChallengesRequest>,
    ) -> Result<Response<Self::ListChallengesStream>, Status> {
        let (call, message) = self.admit("ListChallenges", request).await?;
        let limit = convert::limit(message.limit, USUAL, MOST);
        let node = self.node.clone();
        let found = finish(async move {
            let reference = Some(message.reference.as_str()).filter(|reference| !reference.is_empty());
            node.challenges(&call, reference, message.closed, limit).await
        })
        .await?;
        let answers: Vec<_> = found
            .into_iter()
            .map(|one| Ok(v1::ListChallengesResponse { challenge: Some(self.challenge(one)) }))
            .collect();
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn answer_challenge(
        &self,
        request: Request<v1::AnswerChallengeRequest>,
    ) -> Result<Response<v1::AnswerChallengeResponse>, Status> {
        let (call, message) = self.admit("AnswerChallenge", request).await?;
        let id = challenge_id(&message.challenge_id)?;
        let node = self.node.clone();
        let answered = finish(async move { node.answer_challenge(&call, id, &message.answer).await }).await?;
        Ok(Response::new(v1::AnswerChallengeResponse { challenge: Some(self.challenge(answered)) }))
    }

    async fn close_challenge(
        &self,
        request: Request<v1::CloseChallengeRequest>,
    ) -> Result<Response<v1::CloseChallengeResponse>, Status> {
        let (call, message) = self.admit("CloseChallenge", request).await?;
        let id = challenge_id(&message.challenge_id)?;
        let ending: Ending = message.ending.parse().map_err(refused)?;
        let node = self.node.clone();
        let closed = finish(async move { node.close_challenge(&call, id, ending).await }).await?;
        Ok(Response::new(v1::CloseChallengeResponse { challenge: Some(self.challenge(closed)) }))
    }
}

impl OperatorApi {
    fn challenge(&self, challenge: Challenge) -> v1::Challenge {
        let state = challenge.state(self.node.clock().now()).as_str().to_owned();
        let (answered_at, answer) = challenge.answer.unwrap_or_default();
        v1::Challenge {
            challenge_id: challenge.id.to_string(),
            reference: challenge.reference,
            owner: challenge.owner.to_string(),
            by: challenge.by.to_string(),
            reason: challenge.grounds.code,
            text: challenge.grounds.text,
            contact: challenge.contact,
            recorded_at: challenge.recorded.as_unix(),
            answer_by: challenge.answer_by.as_unix(),
            state,
            answer,
            answered_at: answered_at.as_unix(),
            closed_at: challenge.ending.map_or(0, |(at, _)| at.as_unix()),
            officer: challenge.officer,
            exercise: challenge.exercise,
        }
    }
}

fn challenge_id(text: &str) -> Result<ChallengeId, Status> {
    text.parse().map_err(|_| convert::invalid("CHALLENGE_ID_INVALID", "a challenge is named by 32 hexadecimal digits"))
}
