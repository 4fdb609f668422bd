//! The connection to the own node: mutual TLS, a deadline on every call, a stall limit on every stream.

use std::future::Future;
use std::time::Duration;

use eads_proto::v1::audit_service_client::AuditServiceClient;
use eads_proto::v1::challenge_service_client::ChallengeServiceClient;
use eads_proto::v1::court_service_client::CourtServiceClient;
use eads_proto::v1::desk_service_client::DeskServiceClient;
use eads_proto::v1::life_service_client::LifeServiceClient;
use eads_proto::v1::node_service_client::NodeServiceClient;
use eads_proto::v1::notice_service_client::NoticeServiceClient;
use eads_proto::v1::officer_service_client::OfficerServiceClient;
use eads_proto::v1::peering_service_client::PeeringServiceClient;
use eads_proto::v1::record_service_client::RecordServiceClient;
use eads_proto::v1::search_service_client::SearchServiceClient;
use eads_proto::v1::subject_service_client::SubjectServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::error::{CliError, tls_failure};
use crate::exit::Exit;
use crate::profile::Profile;
use crate::transport;

/// How long connecting may take, at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest message taken from the node: 16 MiB.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// One open connection, used for all calls of a run.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    channel: Channel,
    timeout: Duration,
    long_timeout: Duration,
}

impl Node {
    /// Connects, so that a wrong address or certificate shows before anything else is done.
    pub(crate) async fn connect(
        profile: &Profile,
        timeout: Duration,
        long_timeout: Duration,
    ) -> Result<Self, CliError> {
        let unusable = |cause: tonic::transport::Error| CliError::new("PROFILE_INVALID", Exit::BadInput, chain(&cause));
        // The scheme is the one of what HTTP/2 sees: TLS is below it.
        let endpoint = Endpoint::from_shared(format!("http://{}", profile.endpoint)).map_err(unusable)?;
        let connected = tokio::time::timeout(CONNECT_TIMEOUT.min(timeout), transport::connect(profile, endpoint)).await;
        let channel = match connected {
            Ok(Ok(channel)) => channel,
            Ok(Err(cause)) => return Err(connect_error(&profile.endpoint, &*cause)),
            Err(_) => {
                let text = format!("{} did not answer in time", profile.endpoint);
                return Err(CliError::new("NODE_UNREACHABLE", Exit::Unreachable, text));
            }
        };
        Ok(Self { channel, timeout, long_timeout })
    }

    /// How long an ordinary call, and each item of a stream, may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A request with the ordinary deadline.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        with_deadline(message, self.timeout)
    }

    /// A request that walks everything.
    pub(crate) fn long_request<M>(&self, message: M) -> Request<M> {
        with_deadline(message, self.long_timeout)
    }

    /// The node itself.
    pub(crate) fn status(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Peers and agreements.
    pub(crate) fn peering(&self) -> PeeringServiceClient<Channel> {
        PeeringServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Notices and drafts.
    pub(crate) fn notices(&self) -> NoticeServiceClient<Channel> {
        NoticeServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The life of drafts and notices between two officers.
    pub(crate) fn life(&self) -> LifeServiceClient<Channel> {
        LifeServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// National records.
    pub(crate) fn records(&self) -> RecordServiceClient<Channel> {
        RecordServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Searches.
    pub(crate) fn search(&self) -> SearchServiceClient<Channel> {
        SearchServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// What waits for this member's decision.
    pub(crate) fn desk(&self) -> DeskServiceClient<Channel> {
        DeskServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Challenges against notices.
    pub(crate) fn challenges(&self) -> ChallengeServiceClient<Channel> {
        ChallengeServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Officers and their certificates.
    pub(crate) fn officers(&self) -> OfficerServiceClient<Channel> {
        OfficerServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Proofs about one notice, evidence holds.
    pub(crate) fn court(&self) -> CourtServiceClient<Channel> {
        CourtServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Access requests, marks of namesakes.
    pub(crate) fn subjects(&self) -> SubjectServiceClient<Channel> {
        SubjectServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The audit log.
    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }
}

/// The answer to a call.
pub(crate) async fn answer<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, CliError> {
    call.await.map(Response::into_inner).map_err(|status| CliError::from_status(&status))
}

/// The next item of a stream; none at its end.
pub(crate) async fn next<T>(stream: &mut Streaming<T>, stall: Duration) -> Result<Option<T>, CliError> {
    match tokio::time::timeout(stall, stream.message()).await {
        Ok(item) => item.map_err(|status| CliError::from_status(&status)),
        Err(_) => {
            Err(CliError::new("NODE_TIMED_OUT", Exit::Unreachable, "the node stopped in the middle of its answer"))
        }
    }
}

/// All items of a stream.
pub(crate) async fn collect<T>(mut stream: Streaming<T>, stall: Duration) -> Result<Vec<T>, CliError> {
    let mut items = Vec::new();
    while let Some(item) = next(&mut stream, stall).await? {
        items.push(item);
    }
    Ok(items)
}

fn with_deadline<M>(message: M, deadline: Duration) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

fn connect_error(endpoint: &str, cause: &(dyn std::error::Error + Send + Sync + 'static)) -> CliError {
    match tls_failure(cause) {
        Some(failure) => CliError::from_tls(&failure),
        None => {
            let text = format!("no node answers at {endpoint} ({})", chain(cause));
            CliError::new("NODE_UNREACHABLE", Exit::Unreachable, text)
        }
    }
}

/// The innermost words of an error: the outer ones only say that transport failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
