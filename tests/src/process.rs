//! Officers of a node that is a process of its own: it may die at any moment, so that every call may fail.

use eads_cli::demo::federation::MemberNode;
use eads_proto::v1;
use futures::TryStreamExt as _;
use tonic::Status;

use crate::content::{content, reasons, values};
use crate::notices::YEAR;
use crate::operator::Operator;

/// Those who act for one member.
#[derive(Clone)]
pub struct Officers {
    /// Drafts and issues.
    pub issuer: Operator,
    /// The second of four eyes.
    pub approver: Operator,
    /// Reads the audit log.
    pub auditor: Operator,
    /// Sees the peers.
    pub administrator: Operator,
}

impl Officers {
    /// The officers of `node`, which need not run.
    pub fn of(node: &MemberNode) -> Self {
        let profiles = node.dir().join("profiles");
        let operator = |name: &str| Operator::from_profile(&profiles.join(name));
        Self {
            issuer: operator("issuer"),
            approver: operator("approver"),
            auditor: operator("auditor"),
            administrator: operator("admin-1"),
        }
    }

    /// Drafts, approves and issues a content that is valid for a year from `now`. Returns its reference: then it is
    /// acknowledged.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn issue(&self, draft: &str, audience: &[&str], now: i64) -> Result<String, Status> {
        let request = v1::CreateDraftRequest {
            action: "issue".to_owned(),
            reference: String::new(),
            values: values(&content(draft)),
            audience: audience.iter().map(|member| (*member).to_owned()).collect(),
            not_after: now + YEAR,
        };
        self.publish(request).await.map(|issued| issued.reference)
    }

    /// Withdraws a notice with two officers.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn withdraw(&self, reference: &str) -> Result<(), Status> {
        let request = v1::CreateDraftRequest {
            action: "withdraw".to_owned(),
            reference: reference.to_owned(),
            values: reasons(&["charges-dropped"]),
            ..v1::CreateDraftRequest::default()
        };
        self.publish(request).await.map(drop)
    }

    async fn publish(&self, draft: v1::CreateDraftRequest) -> Result<v1::IssueDraftResponse, Status> {
        let draft_id = self.issuer.notices().create_draft(draft).await?.into_inner().draft_id;
        self.approver.approve(&draft_id).await?;
        let issued = self.issuer.notices().issue_draft(v1::IssueDraftRequest { draft_id }).await?;
        Ok(issued.into_inner())
    }

    /// The state of a notice, or the code of the refusal.
    pub async fn state_of(&self, reference: &str) -> String {
        let request = v1::GetNoticeRequest { reference: reference.to_owned() };
        match self.issuer.notices().get_notice(request).await {
            Ok(found) => found.into_inner().notice.unwrap_or_default().state,
            Err(status) => crate::operator::code(&status).to_owned(),
        }
    }

    /// What `peer` has said of each statement of an own notice, in order of the register: `issue accepted`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn receipts(&self, reference: &str, peer: &str) -> Vec<String> {
        let request = v1::GetNoticeStatusRequest { reference: reference.to_owned() };
        let answer = self.issuer.notices().get_notice_status(request).await;
        let mut holders = answer.expect("a status").into_inner().holders;
        holders.sort_by_key(|holder| holder.index);
        let of_peer = holders.into_iter().filter(|holder| holder.member == peer);
        of_peer.map(|holder| format!("{} {}", holder.action, holder.state)).collect()
    }

    /// References of the notices in force, `own` or `held`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn in_force(&self, holding: &str) -> Vec<String> {
        let request = v1::ListNoticesRequest {
            holding: holding.to_owned(),
            states: vec!["valid".to_owned()],
            limit: 10_000,
            ..v1::ListNoticesRequest::default()
        };
        let listed = self.issuer.notices().list_notices(request).await.expect("a list").into_inner();
        let listed: Vec<v1::ListNoticesResponse> = listed.try_collect().await.expect("a list");
        listed.into_iter().filter_map(|item| item.notice).map(|notice| notice.reference).collect()
    }

    /// The node's state.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn status(&self) -> v1::GetStatusResponse {
        let answer = self.administrator.node().get_status(v1::GetStatusRequest {}).await;
        answer.expect("a status").into_inner()
    }

    /// What the node knows of a peer.
    ///
    /// # Panics
    /// When it is no peer.
    pub async fn peer(&self, member: &str) -> v1::PeerStatus {
        self.status().await.peers.into_iter().find(|peer| peer.member == member).expect("a peer")
    }

    /// What is wrong with a register or the audit chain of the node, if anything.
    ///
    /// # Panics
    /// When it cannot be verified.
    pub async fn unsound(&self) -> Vec<String> {
        let verified = self.auditor.node().verify_registers(v1::VerifyRegistersRequest {}).await;
        let registers = verified.expect("a verification").into_inner().registers;
        let audit = self.auditor.audit().verify_audit(v1::VerifyAuditRequest {}).await;
        let audit = audit.expect("a verification").into_inner();
        let bad = registers.into_iter().filter(|register| !register.sound);
        let bad = bad.map(|register| format!("register of {}: {}", register.member, register.finding));
        bad.chain((!audit.sound).then(|| format!("audit: entry {}: {}", audit.first_bad, audit.finding))).collect()
    }
}
