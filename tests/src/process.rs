//! Officers of a node that is a process of its own: it may die at any moment, so that every call may fail.

use std::collections::BTreeMap;

use eads_cli::demo::federation::MemberNode;
use eads_proto::v1;
use eads_proto::v1::import_records_request::Part;
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
        self.issue_until(draft, audience, now + YEAR).await
    }

    /// The same with another end of validity.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn issue_until(&self, draft: &str, audience: &[&str], not_after: i64) -> Result<String, Status> {
        let request = v1::CreateDraftRequest {
            action: "issue".to_owned(),
            reference: String::new(),
            values: values(&content(draft)),
            audience: audience.iter().map(|member| (*member).to_owned()).collect(),
            not_after,
            ..v1::CreateDraftRequest::default()
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

    /// Suspends a notice.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn suspend(&self, reference: &str) -> Result<(), Status> {
        let request = v1::SuspendNoticeRequest { reference: reference.to_owned(), reason: "under-review".to_owned() };
        self.issuer.notices().suspend_notice(request).await.map(drop)
    }

    /// Asks for a passport at the own node and every peer. Sources as they answered.
    ///
    /// # Errors
    /// What the node answers, or that it is gone.
    pub async fn ask_for(&self, passport: &str) -> Result<Vec<v1::SearchResponse>, Status> {
        let query = Some(crate::questions::passport(passport));
        let request = v1::SearchRequest { query, deadline_ms: 2_000, ..v1::SearchRequest::default() };
        self.issuer.search().search(request).await?.into_inner().try_collect().await
    }

    /// Imports a file of records whole. The last report.
    ///
    /// # Errors
    /// What the node answers, or that it is gone before it has said that all is done.
    pub async fn import(&self, source: &str, file: &str) -> Result<v1::ImportRecordsResponse, Status> {
        let options = v1::ImportRecordsOptions {
            format: "csv".to_owned(),
            source: source.to_owned(),
            total_bytes: file.len() as u64,
            file_digest: eads_domain::encode::sha256(file.as_bytes()).as_bytes().to_vec(),
            ..v1::ImportRecordsOptions::default()
        };
        let parts = [Part::Options(options), Part::Chunk(file.as_bytes().to_vec())];
        let messages = parts.map(|part| v1::ImportRecordsRequest { part: Some(part) });
        let mut reports = self.issuer.records().import_records(futures::stream::iter(messages)).await?.into_inner();
        let mut last = None;
        while let Some(report) = reports.message().await? {
            last = Some(report);
        }
        last.filter(|report| report.done).ok_or_else(|| Status::unavailable("the import did not come to its end"))
    }

    /// The audit log after an entry, to its end.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn audit_after(&self, mut after: u64) -> Vec<v1::AuditEntry> {
        const PAGE: u32 = 1_000;
        let mut all = Vec::new();
        loop {
            let request = v1::ListAuditEntriesRequest { after, limit: PAGE, ..Default::default() };
            let listed = self.auditor.audit().list_audit_entries(request).await.expect("a list").into_inner();
            let page: Vec<v1::ListAuditEntriesResponse> = listed.try_collect().await.expect("a list");
            let full = page.len() >= PAGE as usize;
            all.extend(page.into_iter().filter_map(|item| item.entry));
            match all.last() {
                Some(last) if full => after = last.sequence,
                _ => return all,
            }
        }
    }

    /// Every notice with its state, `own` or `held`.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn notices(&self, holding: &str) -> BTreeMap<String, String> {
        let states = ["valid", "suspended", "expired", "not-yet-valid", "withdrawn", "frozen", "quarantined"];
        let request = v1::ListNoticesRequest {
            holding: holding.to_owned(),
            states: states.map(str::to_owned).to_vec(),
            limit: 10_000,
            ..v1::ListNoticesRequest::default()
        };
        let listed = self.issuer.notices().list_notices(request).await.expect("a list").into_inner();
        let listed: Vec<v1::ListNoticesResponse> = listed.try_collect().await.expect("a list");
        listed.into_iter().filter_map(|item| item.notice).map(|notice| (notice.reference, notice.state)).collect()
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

    /// Whether the node answers.
    pub async fn reaches(&self) -> bool {
        self.administrator.node().get_status(v1::GetStatusRequest {}).await.is_ok()
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
