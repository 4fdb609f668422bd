//! An officer or administrator with a profile, as the command line would call the node.

use std::path::Path;

use eads_domain::approval::{self, Approval};
use eads_domain::clock::Timestamp;
use eads_domain::disclosure::Opening;
use eads_domain::id::{Hash, NoticeId};
use eads_domain::slot::{SLOTS, SlotNumber};
use eads_proto::v1;
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
use p256::ecdsa::SigningKey;
use p256::pkcs8::DecodePrivateKey as _;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The largest answer taken.
const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// One operator; the connection is opened when it is first needed, and again after the node was away.
#[derive(Clone)]
pub struct Operator {
    /// For clients that the tests make themselves.
    pub channel: Channel,
    /// The key of the certificate.
    pub key: SigningKey,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

impl Operator {
    /// The operator whose profile lies in `dir`.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn from_profile(dir: &Path) -> Self {
        Self::from_profile_at(dir, dir)
    }

    /// The same who turns to the node of another profile, and trusts it.
    ///
    /// # Panics
    /// When one of the two cannot be read.
    pub fn from_profile_at(dir: &Path, there: &Path) -> Self {
        let file = |dir: &Path, name: &str| std::fs::read_to_string(dir.join(name)).expect("a file of the profile");
        let read = |name: &str| file(dir, name);
        let profile: toml::Table = file(there, "profile.toml").parse().expect("a profile");
        let address = profile.get("endpoint").and_then(toml::Value::as_str).expect("an endpoint");
        let (certificate, key) = (read("operator.crt"), read("operator.key"));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(file(there, "ca.crt")))
            .identity(Identity::from_pem(&certificate, &key))
            .domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address");
        Self {
            channel: endpoint.tls_config(tls).expect("a TLS configuration").connect_lazy(),
            key: SigningKey::from_pkcs8_pem(&key).expect("a P-256 key"),
            certificate: pem::parse(certificate).expect("a certificate").into_contents(),
        }
    }

    /// The node itself.
    pub fn node(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Peers and agreements.
    pub fn peering(&self) -> PeeringServiceClient<Channel> {
        PeeringServiceClient::new(self.channel.clone())
    }

    /// Notices and drafts.
    pub fn notices(&self) -> NoticeServiceClient<Channel> {
        NoticeServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The life of drafts and notices between two officers.
    pub fn life(&self) -> LifeServiceClient<Channel> {
        LifeServiceClient::new(self.channel.clone())
    }

    /// National records.
    pub fn records(&self) -> RecordServiceClient<Channel> {
        RecordServiceClient::new(self.channel.clone())
    }

    /// Searches.
    pub fn search(&self) -> SearchServiceClient<Channel> {
        SearchServiceClient::new(self.channel.clone())
    }

    /// The desk.
    pub fn desk(&self) -> DeskServiceClient<Channel> {
        DeskServiceClient::new(self.channel.clone())
    }

    /// Challenges.
    pub fn challenges(&self) -> ChallengeServiceClient<Channel> {
        ChallengeServiceClient::new(self.channel.clone())
    }

    /// Officers and their certificates.
    pub fn officers(&self) -> OfficerServiceClient<Channel> {
        OfficerServiceClient::new(self.channel.clone())
    }

    /// Calls a method with an empty message, whatever it takes and gives: `/eads.v1.NodeService/GetStatus`.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn call_empty(&self, path: &str) -> Result<(), Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = path.parse().expect("a path");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        client.server_streaming(tonic::Request::new(()), path, codec).await.map(drop)
    }

    /// Proofs about one notice, evidence holds.
    pub fn court(&self) -> CourtServiceClient<Channel> {
        CourtServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// Access requests, marks of namesakes.
    pub fn subjects(&self) -> SubjectServiceClient<Channel> {
        SubjectServiceClient::new(self.channel.clone()).max_decoding_message_size(MESSAGE_LIMIT)
    }

    /// The audit log.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone())
    }

    /// The message that an approval of a draft signs, computed from the openings that the node shows.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn approval_message(&self, draft_id: &str) -> Result<Vec<u8>, Status> {
        let found = self.notices().get_draft(v1::GetDraftRequest { draft_id: draft_id.to_owned() }).await?.into_inner();
        let notice = NoticeId::try_from(found.notice.as_slice()).expect("a notice");
        let mut commitments = [Hash::from_bytes([0; 32]); SLOTS];
        for shown in &found.openings {
            let slot = SlotNumber::new(u8::try_from(shown.slot).expect("a slot")).expect("a slot");
            let salt = shown.salt.as_slice().try_into().expect("a salt");
            commitments[slot.index()] = Opening { slot, salt, value: shown.value.clone() }.commitment(&notice);
        }
        let schema = u16::try_from(found.schema).expect("a schema");
        let not_after = Timestamp::from_unix(found.draft.expect("a draft").not_after);
        Ok(approval::message(&notice, schema, not_after, &commitments))
    }

    /// Approves a draft as its content stands.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn approve(&self, draft_id: &str) -> Result<(), Status> {
        let message = self.approval_message(draft_id).await?;
        self.approve_with(draft_id, Approval::sign(&message, &self.key, self.certificate.clone())).await
    }

    /// Approves a draft that is marked for legal review, with the outcome.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn approve_reviewed(&self, draft_id: &str, outcome: &str) -> Result<(), Status> {
        let message = self.approval_message(draft_id).await?;
        let approval = Approval::sign(&message, &self.key, self.certificate.clone());
        self.hand_in(draft_id, approval, outcome).await
    }

    /// Hands in an approval, whatever it signs.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn approve_with(&self, draft_id: &str, approval: Approval) -> Result<(), Status> {
        self.hand_in(draft_id, approval, "").await
    }

    async fn hand_in(&self, draft_id: &str, approval: Approval, legal_review: &str) -> Result<(), Status> {
        let Approval { signature, certificate } = approval;
        let request = v1::ApproveDraftRequest {
            draft_id: draft_id.to_owned(),
            signature: signature.to_vec(),
            certificate,
            legal_review: legal_review.to_owned(),
        };
        self.notices().approve_draft(request).await.map(drop)
    }
}

/// The stable code of a refusal; empty where the node gave none.
pub fn code(status: &Status) -> &str {
    status.metadata().get("eads-code").and_then(|code| code.to_str().ok()).unwrap_or_default()
}

/// The code of a call that must be refused.
///
/// # Panics
/// When it was not.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("the call had to be refused");
    match code(&status) {
        "" => panic!("a refusal without a code: {status:?}"),
        code => code.to_owned(),
    }
}
