//! What officers and auditors of a member ask, in one call each.

use std::collections::BTreeMap;

use eads_proto::v1;
use futures::TryStreamExt as _;
use tonic::Status;

use crate::member::Member;

impl Member {
    /// A search of the own node and every peer. Sources as they answered.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn search_for(&self, query: v1::Query) -> Result<Vec<v1::SearchResponse>, Status> {
        self.search_as(v1::SearchRequest { query: Some(query), ..v1::SearchRequest::default() }).await
    }

    /// A search in full.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn search_as(&self, request: v1::SearchRequest) -> Result<Vec<v1::SearchResponse>, Status> {
        self.operator("officer").search().search(request).await?.into_inner().try_collect().await
    }

    /// The outcome of a search at each source.
    ///
    /// # Panics
    /// When it is refused, or a source is named twice.
    pub async fn outcomes(&self, query: v1::Query) -> BTreeMap<String, String> {
        let answers = self.search_for(query).await.expect("a search");
        let mut outcomes = BTreeMap::new();
        for answer in answers {
            let before = outcomes.insert(answer.member.clone(), answer.outcome);
            assert!(before.is_none(), "{} is named twice", answer.member);
        }
        outcomes
    }

    /// The audit log from its first entry on.
    ///
    /// # Panics
    /// When the auditor is refused.
    pub async fn audit_entries(&self) -> Vec<v1::AuditEntry> {
        let request = v1::ListAuditEntriesRequest { limit: 10_000, ..v1::ListAuditEntriesRequest::default() };
        self.audit_list(request).await
    }

    /// The audit log of one request.
    ///
    /// # Panics
    /// When the auditor is refused.
    pub async fn audit_of(&self, request_id: &[u8]) -> Vec<v1::AuditEntry> {
        let request_id = request_id.to_vec();
        self.audit_list(v1::ListAuditEntriesRequest { limit: 10_000, request_id, ..Default::default() }).await
    }

    async fn audit_list(&self, request: v1::ListAuditEntriesRequest) -> Vec<v1::AuditEntry> {
        let listed = self.operator("auditor").audit().list_audit_entries(request).await.expect("a list");
        let all: Vec<v1::ListAuditEntriesResponse> = listed.into_inner().try_collect().await.expect("a list");
        all.into_iter().filter_map(|item| item.entry).collect()
    }

    /// Imports a file of records. The last report, with all rejections.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn import_csv(&self, source: &str, file: &str) -> Result<v1::ImportRecordsResponse, Status> {
        let options = v1::ImportRecordsOptions {
            format: "csv".to_owned(),
            source: source.to_owned(),
            ..v1::ImportRecordsOptions::default()
        };
        self.import_file("issuer", options, file.as_bytes()).await
    }

    /// Imports a file of records as an officer with this role. The last report, with all rejections and differences.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn import_file(
        &self,
        role: &str,
        options: v1::ImportRecordsOptions,
        file: &[u8],
    ) -> Result<v1::ImportRecordsResponse, Status> {
        let options = v1::ImportRecordsOptions {
            total_bytes: file.len() as u64,
            file_digest: eads_domain::encode::sha256(file).as_bytes().to_vec(),
            ..options
        };
        let mut parts = vec![v1::import_records_request::Part::Options(options)];
        parts.extend(file.chunks(16 * 1024).map(|chunk| v1::import_records_request::Part::Chunk(chunk.to_vec())));
        let messages = parts.into_iter().map(|part| v1::ImportRecordsRequest { part: Some(part) });
        let operator = self.operator(role);
        let mut reports = operator.records().import_records(futures::stream::iter(messages)).await?.into_inner();
        let (mut last, mut resumed) = (None, 0);
        let (mut rejected, mut differences) = (Vec::new(), Vec::new());
        while let Some(mut report) = reports.message().await? {
            rejected.append(&mut report.rejected);
            differences.append(&mut report.differences);
            resumed = resumed.max(report.resume_at);
            last = Some(report);
        }
        let last = last.ok_or_else(|| Status::internal("no report"))?;
        Ok(v1::ImportRecordsResponse { rejected, differences, resume_at: resumed, ..last })
    }
}
