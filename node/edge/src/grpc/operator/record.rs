//! `RecordService`: national records in, and one record to an officer of this member.

use std::time::Duration;

use eads_domain::operator::Purpose;
use eads_domain::query::LegalBasis;
use eads_proto::v1;
use eads_proto::v1::import_records_request::Part as RecordsPart;
use eads_proto::v1::record_service_server::RecordService;
use eads_service::import::Rejection;
use eads_service::records::{Progress, RecordFormat, RecordImport, RecordImportOptions};
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::upload::{Part, Upload};
use super::{OperatorApi, convert};
use crate::error::{refused, status};
use crate::grpc::{Answers, finish};

/// Rejections of one message, so that none grows above the limit.
const REJECTIONS: usize = 500;
/// Reports that may wait for the caller.
const WAITING_REPORTS: usize = 4;

type Reports = mpsc::Sender<Result<v1::ImportRecordsResponse, Status>>;
type RecordsUpload = Upload<v1::ImportRecordsRequest, v1::ImportRecordsOptions>;

#[tonic::async_trait]
impl RecordService for OperatorApi {
    type ImportRecordsStream = Answers<v1::ImportRecordsResponse>;

    async fn import_records(
        &self,
        request: Request<Streaming<v1::ImportRecordsRequest>>,
    ) -> Result<Response<Self::ImportRecordsStream>, Status> {
        let (call, messages) = self.admit("ImportRecords", request).await?;
        let mut upload: RecordsUpload = Upload::new(messages, |message| match message.part? {
            RecordsPart::Options(options) => Some(Part::Options(options)),
            RecordsPart::Chunk(chunk) => Some(Part::Chunk(chunk)),
        });
        let options = import_options(upload.options().await?)?;
        let node = self.node.clone();
        let import = finish(async move { node.import_records(&call, options).await }).await?;
        let (reports, receiver) = mpsc::channel(WAITING_REPORTS);
        let stall = self.node.limits().stall;
        // A task of its own: a caller that goes away ends the import between two transactions, never within one.
        tokio::spawn(async move {
            let reporting = Reporting { reports, stall };
            if let Err(failed) = run(import, upload, &reporting).await {
                reporting.tell(Err(failed)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver).boxed()))
    }

    async fn get_record(
        &self,
        request: Request<v1::GetRecordRequest>,
    ) -> Result<Response<v1::GetRecordResponse>, Status> {
        let (call, message) = self.admit("GetRecord", request).await?;
        let purpose: Purpose = message.purpose.parse().map_err(refused)?;
        let legal_basis = match convert::text("the legal basis", &message.legal_basis)? {
            Some(basis) => Some(basis.parse::<LegalBasis>().map_err(refused)?.as_str().to_owned()),
            None => None,
        };
        let case = convert::text("the case reference", &message.case_reference)?;
        let node = self.node.clone();
        let view = finish(async move { node.get_record(&call, &message.handle, purpose, legal_basis, case).await });
        let view = view.await?;
        let fields = view.fields.into_iter().map(|field| v1::HitField { name: field.name, value: field.value });
        Ok(Response::new(v1::GetRecordResponse {
            source: view.source,
            key: view.key,
            subject: view.subject,
            fields: fields.collect(),
        }))
    }
}

fn import_options(options: v1::ImportRecordsOptions) -> Result<RecordImportOptions, Status> {
    let format = match options.format.as_str() {
        "csv" => RecordFormat::Csv,
        "jsonl" => RecordFormat::JsonLines,
        "xlsx" => RecordFormat::Workbook,
        _ => return Err(convert::invalid("IMPORT_FORMAT_UNKNOWN", "records are imported from csv, jsonl or xlsx")),
    };
    let file_digest = convert::digest(&options.file_digest)?;
    Ok(RecordImportOptions {
        format,
        mapping: options.mapping,
        source: options.source,
        file_digest,
        encoding: options.encoding,
        sheet: options.sheet,
        snapshot: options.snapshot,
        override_guard: options.override_guard,
        dry_run: options.dry_run,
    })
}

struct Reporting {
    reports: Reports,
    stall: Duration,
}

impl Reporting {
    /// False once the caller is gone, or takes nothing.
    async fn tell(&self, report: Result<v1::ImportRecordsResponse, Status>) -> bool {
        matches!(timeout(self.stall, self.reports.send(report)).await, Ok(Ok(())))
    }

    async fn tell_all(&self, progress: Progress, done: bool) -> bool {
        for report in reports(&progress, done) {
            if !self.tell(Ok(report)).await {
                return false;
            }
        }
        true
    }
}

/// Pushes the file through the import. The caller sends it from its start, so that the header is known: what an
/// earlier run did is passed over here.
async fn run(mut import: RecordImport, mut upload: RecordsUpload, reporting: &Reporting) -> Result<(), Status> {
    let resume_at = import.progress().bytes_done;
    let begun = v1::ImportRecordsResponse { resume_at, bytes_done: resume_at, ..Default::default() };
    let mut told = reporting.tell(Ok(begun)).await;
    while told {
        // What is under way may become durable while the caller takes its time.
        let chunk = tokio::select! {
            biased;
            chunk = upload.chunk() => chunk,
            landed = import.landed(), if import.is_under_way() => {
                let progress = landed.map_err(|error| status(&error))?;
                told = reporting.tell_all(progress, false).await;
                continue;
            }
        };
        let chunk = match chunk {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(broken) => {
                import.interrupt().await.map_err(|error| status(&error))?;
                return Err(broken);
            }
        };
        let progress = import.push(&chunk).await.map_err(|error| status(&error))?;
        told = reporting.tell_all(progress, false).await;
    }
    while told && let Some(progress) = import.advance().await.map_err(|error| status(&error))? {
        told = reporting.tell_all(progress, false).await;
    }
    if !told {
        return import.interrupt().await.map_err(|error| status(&error));
    }
    let progress = import.finish().await.map_err(|error| status(&error))?;
    reporting.tell_all(progress, true).await;
    Ok(())
}

/// One report, or several where there are many rejections; only the last one says that the import is done.
fn reports(progress: &Progress, done: bool) -> Vec<v1::ImportRecordsResponse> {
    let report = |rejected: &[Rejection]| v1::ImportRecordsResponse {
        bytes_done: progress.bytes_done,
        inserted: progress.inserted,
        changed: progress.changed,
        unchanged: progress.unchanged,
        rejected: rejected.iter().map(convert::rejection).collect(),
        retired: progress.retired,
        encoding: progress.encoding.map(|encoding| encoding.as_str().to_owned()).unwrap_or_default(),
        ..Default::default()
    };
    let mut all: Vec<_> = progress.rejected.chunks(REJECTIONS).map(report).collect();
    if all.is_empty() {
        all.push(report(&[]));
    }
    if let Some(last) = all.last_mut() {
        last.done = done;
        last.differences.clone_from(&progress.differences);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use eads_domain::code::Code;

    #[test]
    fn many_rejections_come_in_several_reports_and_the_last_one_ends() {
        let rejected = |line| Rejection { line, key: None, code: Code::new("A_CODE"), reason: "why".to_owned() };
        let progress =
            |count| Progress { inserted: 3, rejected: (1..=count).map(rejected).collect(), ..Progress::default() };
        let shape = |count, done| {
            let reports = reports(&progress(count), done);
            assert!(reports.iter().all(|report| report.inserted == 3));
            reports.iter().map(|report| (report.rejected.len(), report.done)).collect::<Vec<_>>()
        };
        assert_eq!(shape(0, false), [(0, false)]);
        assert_eq!(shape(500, true), [(500, true)]);
        assert_eq!(shape(1001, true), [(500, false), (500, false), (1, true)]);
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let options = |format: &str, file_digest: Vec<u8>| {
            import_options(v1::ImportRecordsOptions { format: format.to_owned(), file_digest, ..Default::default() })
        };
        assert!(options("csv", Vec::new()).is_ok_and(|options| options.file_digest.is_none()));
        assert!(options("xlsx", Vec::new()).is_ok());
        assert!(options("jsonl", vec![1; 32]).is_ok_and(|options| options.file_digest.is_some()));
        assert_eq!(
            options("xls", Vec::new()).unwrap_err().metadata().get("eads-code").unwrap(),
            "IMPORT_FORMAT_UNKNOWN"
        );
        assert_eq!(options("csv", vec![1; 31]).unwrap_err().metadata().get("eads-code").unwrap(), "DIGEST_INVALID");
    }
}
