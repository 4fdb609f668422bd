//! `SearchService`: one question to the own node and every permitted peer, answers as they come.

use std::time::Duration;

use eads_domain::query::Query;
use eads_domain::wire::InvalidMessage;
use eads_proto::v1;
use eads_proto::v1::search_service_server::SearchService;
use eads_service::ServiceError;
use eads_service::search::{FederatedSearch, SourceAnswer};
use futures::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{OperatorApi, convert};
use crate::error::status;
use crate::grpc::Answers;

/// The longest that an officer can wait.
const MAX_DEADLINE: Duration = Duration::from_secs(60);

#[tonic::async_trait]
impl SearchService for OperatorApi {
    type SearchStream = Answers<v1::SearchResponse>;

    async fn search(&self, request: Request<v1::SearchRequest>) -> Result<Response<Self::SearchStream>, Status> {
        let (mut call, message) = self.admit("Search", request).await?;
        if let Some(request) = convert::request_id(&message.request_id)? {
            call.request = request;
        }
        let search = match asked(message) {
            Ok(search) => search,
            // Written down too: an auditor sees what an officer tried.
            Err(Unasked::Query(error)) => {
                let error = ServiceError::from_coded(error);
                let written = self.node.refused(&call, "Search", &error).await;
                return Err(status(&written.err().unwrap_or(error)));
            }
            Err(Unasked::Other(status)) => return Err(*status),
        };
        // Nothing is changed by it: an officer who goes away ends it, at every peer asked.
        let answers = self.node.clone().search(&call, search).await.map_err(|error| status(&error))?;
        let answers = ReceiverStream::new(answers)
            .map(|answer| answer.map(|answer| source_answer(&answer)).map_err(|error| status(&error)));
        Ok(Response::new(answers.boxed()))
    }
}

/// Why a search is not begun.
enum Unasked {
    Query(InvalidMessage),
    Other(Box<Status>),
}

impl From<Status> for Unasked {
    fn from(status: Status) -> Self {
        Self::Other(Box::new(status))
    }
}

fn asked(message: v1::SearchRequest) -> Result<FederatedSearch, Unasked> {
    let missing = || Unasked::Query(InvalidMessage::Missing { field: "query" });
    let query = Query::try_from(message.query.ok_or_else(missing)?).map_err(Unasked::Query)?;
    let deadline = Duration::from_millis(message.deadline_ms.into());
    Ok(FederatedSearch {
        query,
        case_reference: convert::text("the case reference", &message.case_reference)?,
        peers: convert::members(&message.peers)?,
        local_only: message.local_only,
        desk: message.desk,
        deadline: (!deadline.is_zero()).then(|| deadline.min(MAX_DEADLINE)),
    })
}

fn source_answer(answer: &SourceAnswer) -> v1::SearchResponse {
    let (code, text) = answer.why.clone().unwrap_or_default();
    v1::SearchResponse {
        request_id: answer.request.as_bytes().to_vec(),
        member: answer.member.to_string(),
        outcome: answer.outcome.as_str().to_owned(),
        code,
        text,
        hits: answer.hits.iter().map(Into::into).collect(),
        truncated: answer.truncated,
        checkpoint: answer.checkpoint.clone(),
        as_of: answer.as_of.map_or(0, |at| at.as_unix()),
        took_ms: u32::try_from(answer.took.as_millis()).unwrap_or(u32::MAX),
    }
}
