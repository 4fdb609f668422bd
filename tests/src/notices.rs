//! What officers of a member do with notices, in one call each.

use eads_proto::v1;
use futures::TryStreamExt as _;
use tonic::Status;

use crate::content::{self, content, values};
use crate::member::Member;
use crate::wait::until;

/// A year in seconds, the validity of the notices of tests.
pub const YEAR: i64 = 31_536_000;

impl Member {
    /// A draft of an issue by the issuer, valid for a year.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn draft(&self, draft: &str, audience: &[&Self]) -> Result<v1::CreateDraftResponse, Status> {
        self.draft_until(draft, audience, self.now().plus_seconds(YEAR).as_unix()).await
    }

    /// A draft of an issue with its end of validity.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn draft_until(
        &self,
        draft: &str,
        audience: &[&Self],
        not_after: i64,
    ) -> Result<v1::CreateDraftResponse, Status> {
        self.create_draft("issue", "", values(&content(draft)), audience, not_after).await
    }

    /// A draft of an issue to members by their names.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn draft_to(&self, draft: &str, audience: &[&str]) -> Result<v1::CreateDraftResponse, Status> {
        let request = v1::CreateDraftRequest {
            action: "issue".to_owned(),
            values: values(&content(draft)),
            audience: audience.iter().map(|member| (*member).to_owned()).collect(),
            not_after: self.now().plus_seconds(YEAR).as_unix(),
            ..v1::CreateDraftRequest::default()
        };
        Ok(self.operator("issuer").notices().create_draft(request).await?.into_inner())
    }

    /// Drafts, approves and issues a content to members by their names. Returns its reference.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn issue_to(&self, draft: &str, audience: &[&str]) -> String {
        let drafted = self.draft_to(draft, audience).await.expect("a draft");
        self.publish(&drafted.draft_id).await.expect("an issue").reference
    }

    async fn create_draft(
        &self,
        action: &str,
        reference: &str,
        values: Vec<v1::SlotValue>,
        audience: &[&Self],
        not_after: i64,
    ) -> Result<v1::CreateDraftResponse, Status> {
        let request = v1::CreateDraftRequest {
            action: action.to_owned(),
            reference: reference.to_owned(),
            values,
            audience: audience.iter().map(|member| member.id.to_string()).collect(),
            not_after,
            ..v1::CreateDraftRequest::default()
        };
        Ok(self.operator("issuer").notices().create_draft(request).await?.into_inner())
    }

    /// Approves a draft by the approver, and publishes it by the issuer.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn publish(&self, draft_id: &str) -> Result<v1::IssueDraftResponse, Status> {
        self.operator("approver").approve(draft_id).await?;
        self.issue_draft(draft_id).await
    }

    /// Publishes a draft as it stands.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn issue_draft(&self, draft_id: &str) -> Result<v1::IssueDraftResponse, Status> {
        let request = v1::IssueDraftRequest { draft_id: draft_id.to_owned() };
        Ok(self.operator("issuer").notices().issue_draft(request).await?.into_inner())
    }

    /// Drafts, approves and issues a content. Returns its reference.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn issue(&self, draft: &str, audience: &[&Self]) -> String {
        self.issue_until(draft, audience, self.now().plus_seconds(YEAR).as_unix()).await
    }

    /// The same with its end of validity.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn issue_until(&self, draft: &str, audience: &[&Self], not_after: i64) -> String {
        let drafted = self.draft_until(draft, audience, not_after).await.expect("a draft");
        self.publish(&drafted.draft_id).await.expect("an issue").reference
    }

    /// Amends a notice by a whole new content.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn amend(&self, reference: &str, draft: &str, audience: &[&Self]) -> v1::IssueDraftResponse {
        let not_after = self.now().plus_seconds(YEAR).as_unix();
        let drafted = self.create_draft("amend", reference, values(&content(draft)), audience, not_after).await;
        self.publish(&drafted.expect("a draft").draft_id).await.expect("an amendment")
    }

    /// A draft of a withdrawal.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn draft_withdrawal(&self, reference: &str) -> Result<v1::CreateDraftResponse, Status> {
        self.create_draft("withdraw", reference, content::reasons(&["charges-dropped"]), &[], 0).await
    }

    /// Withdraws a notice with two officers.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn withdraw(&self, reference: &str) -> v1::IssueDraftResponse {
        let drafted = self.draft_withdrawal(reference).await.expect("a draft");
        self.publish(&drafted.draft_id).await.expect("a withdrawal")
    }

    /// Resumes a suspended notice with two officers.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn resume(&self, reference: &str) -> v1::IssueDraftResponse {
        let drafted = self.create_draft("resume", reference, content::reasons(&["review-completed"]), &[], 0).await;
        self.publish(&drafted.expect("a draft").draft_id).await.expect("a resumption")
    }

    /// Suspends a notice.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn suspend(&self, reference: &str) {
        let request = v1::SuspendNoticeRequest { reference: reference.to_owned(), reason: "under-review".to_owned() };
        self.operator("issuer").notices().suspend_notice(request).await.expect("a suspension");
    }

    /// A notice as an officer of this member sees it.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn notice(&self, reference: &str) -> Result<v1::GetNoticeResponse, Status> {
        let request = v1::GetNoticeRequest { reference: reference.to_owned() };
        Ok(self.operator("officer").notices().get_notice(request).await?.into_inner())
    }

    /// The state of a notice as an officer of this member sees it, or the code of the refusal.
    pub async fn state_of(&self, reference: &str) -> String {
        match self.notice(reference).await {
            Ok(found) => found.notice.unwrap_or_default().state,
            Err(status) => crate::operator::code(&status).to_owned(),
        }
    }

    /// The version of a notice as an officer of this member sees it; 0 if it sees none.
    pub async fn version_of(&self, reference: &str) -> u32 {
        self.notice(reference).await.ok().and_then(|found| found.notice).map_or(0, |notice| notice.version)
    }

    /// Waits until a notice is in a state here.
    pub async fn sees(&self, reference: &str, state: &str) {
        until(&format!("{} sees {reference} as {state}", self.id), || async {
            self.state_of(reference).await == state
        })
        .await;
    }

    /// Waits until a version of a notice is in force here.
    pub async fn sees_version(&self, reference: &str, version: u32) {
        until(&format!("{} sees version {version} of {reference}", self.id), || async {
            self.version_of(reference).await == version
        })
        .await;
    }

    /// Per peer and statement: what was sent and receipted.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn holders(&self, reference: &str) -> Vec<v1::HolderStatus> {
        let request = v1::GetNoticeStatusRequest { reference: reference.to_owned() };
        let answer = self.operator("issuer").notices().get_notice_status(request).await;
        answer.expect("a status").into_inner().holders
    }

    /// What `peer` says of each statement of a notice, in order of the register: `issue accepted`.
    pub async fn receipts(&self, reference: &str, peer: &Self) -> Vec<String> {
        let name = peer.id.to_string();
        let mut holders = self.holders(reference).await;
        holders.sort_by_key(|holder| holder.index);
        let of_peer = holders.into_iter().filter(|holder| holder.member == name);
        of_peer.map(|holder| format!("{} {}", holder.action, holder.state)).collect()
    }

    /// Waits until `peer` has said of a notice's statements what is expected.
    pub async fn receipted(&self, reference: &str, peer: &Self, expected: &[&str]) {
        let deadline = tokio::time::Instant::now() + crate::wait::PATIENCE;
        loop {
            let said = self.receipts(reference, peer).await;
            if said == expected {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{} was to have said {expected:?} of {reference}, and has said {said:?}",
                peer.id
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Notices that officers are shown, in whatever state.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn listed(&self, holding: &str) -> Vec<v1::NoticeSummary> {
        let states = ["valid", "suspended", "expired", "not-yet-valid", "withdrawn", "frozen", "quarantined"];
        let request = v1::ListNoticesRequest {
            holding: holding.to_owned(),
            states: states.map(str::to_owned).to_vec(),
            limit: 10_000,
            ..v1::ListNoticesRequest::default()
        };
        let stream = self.operator("officer").notices().list_notices(request).await.expect("a list").into_inner();
        let all: Vec<v1::ListNoticesResponse> = stream.try_collect().await.expect("a list");
        all.into_iter().filter_map(|item| item.notice).collect()
    }
}
