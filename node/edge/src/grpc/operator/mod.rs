//! What officers and administrators ask of their own node, a file a service.
//!
//! Every call first proves an operator of this member with a role that may make it; a refusal is written to the
//! audit log. What is read here without a use case of its own (drafts, peers, the audit log itself) is written
//! there too, before it leaves.

mod audit;
mod challenge;
mod convert;
mod court;
mod desk;
mod life;
mod node;
mod notice;
mod officer;
mod peering;
mod photo;
mod record;
mod recorded;
mod search;
mod subject;
mod sync;
mod upload;

use std::sync::Arc;

use eads_domain::entropy::Entropy;
use eads_domain::id::RequestId;
use eads_proto::v1::audit_service_server::AuditServiceServer;
use eads_proto::v1::challenge_service_server::ChallengeServiceServer;
use eads_proto::v1::court_service_server::CourtServiceServer;
use eads_proto::v1::desk_service_server::DeskServiceServer;
use eads_proto::v1::life_service_server::LifeServiceServer;
use eads_proto::v1::node_service_server::NodeServiceServer;
use eads_proto::v1::notice_service_server::NoticeServiceServer;
use eads_proto::v1::officer_service_server::OfficerServiceServer;
use eads_proto::v1::peering_service_server::PeeringServiceServer;
use eads_proto::v1::record_service_server::RecordServiceServer;
use eads_proto::v1::search_service_server::SearchServiceServer;
use eads_proto::v1::subject_service_server::SubjectServiceServer;
use eads_service::{Call, Node, ServiceError};
use tokio::sync::Semaphore;
use tonic::metadata::MetadataMap;
use tonic::service::RoutesBuilder;
use tonic::{Request, Status};

use self::recorded::{Admitted, Recorded};
use super::MAX_ANSWER_BYTES;
use crate::error::status;
use crate::tls::OperatorIdentity;

/// Metadata by which a caller names its request: 32 hexadecimal digits.
const REQUEST_ID: &str = "eads-request-id";
/// The largest request, in bytes: a notice whose 48 slots are all as large as they can be.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Lists that may be held in memory at one time while they are imported.
const MAX_LIST_IMPORTS: usize = 2;

/// All services of the operator listener over a node.
#[derive(Clone)]
pub struct OperatorApi {
    node: Arc<Node>,
    entropy: Arc<dyn Entropy>,
    list_imports: Arc<Semaphore>,
}

impl OperatorApi {
    /// Names of the services, for the health service.
    pub const SERVICES: &[&str] = &[
        "eads.v1.NodeService",
        "eads.v1.PeeringService",
        "eads.v1.NoticeService",
        "eads.v1.LifeService",
        "eads.v1.RecordService",
        "eads.v1.SearchService",
        "eads.v1.AuditService",
        "eads.v1.DeskService",
        "eads.v1.ChallengeService",
        "eads.v1.OfficerService",
        "eads.v1.CourtService",
        "eads.v1.SubjectService",
    ];

    /// Answers for `node`; ids of requests that bring none come from `entropy`.
    pub fn new(node: Arc<Node>, entropy: Arc<dyn Entropy>) -> Self {
        Self { node, entropy, list_imports: Arc::new(Semaphore::new(MAX_LIST_IMPORTS)) }
    }

    /// Adds every service with its bounds.
    pub fn add_to(self, routes: &mut RoutesBuilder) {
        macro_rules! bounded {
            ($($server:ident),+) => {$(
                routes.add_service(
                    Recorded::new(
                        $server::new(self.clone())
                            .max_decoding_message_size(MAX_REQUEST_BYTES)
                            .max_encoding_message_size(MAX_ANSWER_BYTES),
                        self.node.clone(),
                    ),
                );
            )+};
        }
        bounded!(
            NodeServiceServer,
            PeeringServiceServer,
            NoticeServiceServer,
            LifeServiceServer,
            RecordServiceServer,
            SearchServiceServer,
            AuditServiceServer,
            DeskServiceServer,
            ChallengeServiceServer,
            OfficerServiceServer,
            CourtServiceServer,
            SubjectServiceServer
        );
    }

    /// The caller and the message, if the caller may call `method`.
    async fn admit<T>(&self, method: &'static str, request: Request<T>) -> Result<(Call, T), Status> {
        let (metadata, extensions, message) = request.into_parts();
        let identity = extensions.get::<OperatorIdentity>().ok_or_else(|| {
            status(&ServiceError::internal("IDENTITY_MISSING", "a request came without the identity of its connection"))
        })?;
        let request = self.request_id(&metadata)?;
        let admitted = self.node.admit(&identity.certificate, request, method).await;
        if let (Ok(call), Some(recorded)) = (&admitted, extensions.get::<Admitted>()) {
            recorded.set(call, method);
        }
        admitted.map(|call| (call, message)).map_err(|error| status(&error))
    }

    /// The id that the caller gave in the metadata, or a fresh one.
    fn request_id(&self, metadata: &MetadataMap) -> Result<RequestId, Status> {
        match metadata.get(REQUEST_ID) {
            None => Ok(RequestId::random(&*self.entropy)),
            Some(text) => text.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
                status(&ServiceError::invalid(
                    "REQUEST_ID_INVALID",
                    format!("{REQUEST_ID} is 32 hexadecimal digits, different for each request"),
                ))
            }),
        }
    }
}
