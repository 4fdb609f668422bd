//! `NoticeService`: own notices through their life, others' as they are held, and published lists.

use std::sync::Arc;

use eads_domain::clock::Timestamp;
use eads_domain::id::DraftId;
use eads_domain::slot::{SCHEMA, SlotNumber};
use eads_proto::v1;
use eads_proto::v1::import_notices_request::Part as NoticesPart;
use eads_proto::v1::notice_service_server::NoticeService;
use eads_service::notices::{Draft, ListImport, ListImportOptions, NewDraft, NoticeFilter};
use eads_service::{Node, ServiceError};
use futures::StreamExt as _;
use futures::stream::{self, TryStreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::upload::{Part, Upload};
use super::{OperatorApi, convert, photo};
use crate::error::{refused, status};
use crate::grpc::{Answers, finish};

/// Notices where no limit is given, and the most of one answer.
const USUAL_NOTICES: usize = 1000;
const MAX_NOTICES: usize = 10_000;
/// The largest list that is imported whole, in bytes.
const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;
/// Rejections that one answer lists; the log says how many more there are.
const MAX_REJECTIONS: usize = 5000;
/// The only list that can be imported so far.
const UN_CONSOLIDATED: &str = "un-consolidated";

#[tonic::async_trait]
impl NoticeService for OperatorApi {
    type GetPhotoStream = Answers<v1::GetPhotoResponse>;
    type ListDraftsStream = Answers<v1::ListDraftsResponse>;
    type ListNoticesStream = Answers<v1::ListNoticesResponse>;

    async fn create_draft(
        &self,
        request: Request<v1::CreateDraftRequest>,
    ) -> Result<Response<v1::CreateDraftResponse>, Status> {
        let (call, message) = self.admit("CreateDraft", request).await?;
        let new = NewDraft {
            action: message.action.parse().map_err(refused)?,
            reference: Some(message.reference).filter(|reference| !reference.is_empty()),
            values: convert::slot_values(&message.values)?,
            audience: convert::members(&message.audience)?,
            not_after: Timestamp::from_unix(message.not_after),
            hold: message.hold,
            replace: match message.replace.as_str() {
                "" => None,
                id => Some(draft_id(id)?),
            },
        };
        let node = self.node.clone();
        let draft = finish(async move { node.create_draft(&call, new).await }).await?;
        Ok(Response::new(v1::CreateDraftResponse {
            draft_id: draft.id.to_string(),
            reference: draft.reference.to_string(),
            not_after: draft.not_after.as_unix(),
            state: draft.state.to_string(),
        }))
    }

    async fn list_drafts(
        &self,
        request: Request<v1::ListDraftsRequest>,
    ) -> Result<Response<Self::ListDraftsStream>, Status> {
        let (call, message) = self.admit("ListDrafts", request).await?;
        let batch = Some(message.batch).filter(|batch| !batch.is_empty());
        let (node, of_batch) = (self.node.clone(), batch.clone());
        // The first page is read between intent and outcome; the others follow under the same entry.
        let first = finish(async move {
            let subject =
                of_batch.as_ref().map(|batch| format!("batch {}", batch.chars().take(32).collect::<String>()));
            node.audited(&call, "ListDrafts", subject, node.drafts(of_batch.as_deref(), None)).await
        })
        .await?;
        let drafts = drafts(self.node.clone(), batch, first);
        let limit = if message.limit == 0 { usize::MAX } else { usize::try_from(message.limit).unwrap_or(usize::MAX) };
        let drafts = drafts.take(limit).map_ok(|draft| v1::ListDraftsResponse { draft: Some(convert::draft(&draft)) });
        Ok(Response::new(drafts.map_err(|error| status(&error)).boxed()))
    }

    async fn get_draft(&self, request: Request<v1::GetDraftRequest>) -> Result<Response<v1::GetDraftResponse>, Status> {
        let (call, message) = self.admit("GetDraft", request).await?;
        let id = draft_id(&message.draft_id)?;
        let node = self.node.clone();
        let draft =
            finish(async move { node.audited(&call, "GetDraft", Some(id.to_string()), node.draft_by_id(id)).await })
                .await?;
        let committed = draft.committed();
        let slots = SlotNumber::all().filter(|slot| *slot != SlotNumber::APPROVALS);
        Ok(Response::new(v1::GetDraftResponse {
            draft: Some(convert::draft(&draft)),
            notice: draft.notice.as_bytes().to_vec(),
            schema: SCHEMA.into(),
            openings: slots.map(|slot| (&committed.opening(slot)).into()).collect(),
        }))
    }

    async fn approve_draft(
        &self,
        request: Request<v1::ApproveDraftRequest>,
    ) -> Result<Response<v1::ApproveDraftResponse>, Status> {
        let (call, message) = self.admit("ApproveDraft", request).await?;
        let id = draft_id(&message.draft_id)?;
        let node = self.node.clone();
        finish(async move {
            let v1::ApproveDraftRequest { signature, certificate, legal_review, .. } = &message;
            node.approve_draft(&call, id, signature, certificate, legal_review).await
        })
        .await?;
        Ok(Response::new(v1::ApproveDraftResponse {}))
    }

    async fn discard_draft(
        &self,
        request: Request<v1::DiscardDraftRequest>,
    ) -> Result<Response<v1::DiscardDraftResponse>, Status> {
        let (call, message) = self.admit("DiscardDraft", request).await?;
        let id = draft_id(&message.draft_id)?;
        let node = self.node.clone();
        finish(async move { node.discard_draft(&call, id).await }).await?;
        Ok(Response::new(v1::DiscardDraftResponse {}))
    }

    async fn issue_draft(
        &self,
        request: Request<v1::IssueDraftRequest>,
    ) -> Result<Response<v1::IssueDraftResponse>, Status> {
        let (call, message) = self.admit("IssueDraft", request).await?;
        let id = draft_id(&message.draft_id)?;
        let node = self.node.clone();
        let issued = finish(async move { node.issue_draft(&call, id).await }).await?;
        Ok(Response::new(convert::issued(issued)))
    }

    async fn suspend_notice(
        &self,
        request: Request<v1::SuspendNoticeRequest>,
    ) -> Result<Response<v1::SuspendNoticeResponse>, Status> {
        let (call, message) = self.admit("SuspendNotice", request).await?;
        let node = self.node.clone();
        let at = finish(async move { node.suspend_notice(&call, &message.reference, &message.reason).await }).await?;
        Ok(Response::new(v1::SuspendNoticeResponse { index: at.index }))
    }

    async fn list_notices(
        &self,
        request: Request<v1::ListNoticesRequest>,
    ) -> Result<Response<Self::ListNoticesStream>, Status> {
        let (call, message) = self.admit("ListNotices", request).await?;
        let filter = filter(&message)?;
        let node = self.node.clone();
        let views = finish(async move { node.list_notices(&call, &filter).await }).await?;
        let notices =
            views.into_iter().map(|view| Ok(v1::ListNoticesResponse { notice: Some(convert::notice(&view)) }));
        Ok(Response::new(stream::iter(notices).boxed()))
    }

    async fn get_notice(
        &self,
        request: Request<v1::GetNoticeRequest>,
    ) -> Result<Response<v1::GetNoticeResponse>, Status> {
        let (call, message) = self.admit("GetNotice", request).await?;
        let node = self.node.clone();
        let detail = finish(async move { node.get_notice(&call, &message.reference).await }).await?;
        Ok(Response::new(convert::notice_detail(&detail, self.node.clock().now())))
    }

    async fn get_notice_status(
        &self,
        request: Request<v1::GetNoticeStatusRequest>,
    ) -> Result<Response<v1::GetNoticeStatusResponse>, Status> {
        let (call, message) = self.admit("GetNoticeStatus", request).await?;
        let node = self.node.clone();
        let found = finish(async move { node.notice_status(&call, &message.reference).await }).await?;
        Ok(Response::new(v1::GetNoticeStatusResponse {
            notice: Some(convert::notice(&found.view)),
            holders: found.holders.iter().map(convert::holder).collect(),
        }))
    }

    async fn import_notices(
        &self,
        request: Request<Streaming<v1::ImportNoticesRequest>>,
    ) -> Result<Response<v1::ImportNoticesResponse>, Status> {
        let (call, messages) = self.admit("ImportNotices", request).await?;
        let mut upload = Upload::new(messages, |message: v1::ImportNoticesRequest| match message.part? {
            NoticesPart::Options(options) => Some(Part::Options(options)),
            NoticesPart::Chunk(chunk) => Some(Part::Chunk(chunk)),
        });
        let options = list_options(&upload.options().await?)?;
        let place = self.list_imports.clone().try_acquire_owned().map_err(|_| {
            status(&ServiceError::exhausted("IMPORT_BUSY", "other lists are being imported; try again when they are"))
        })?;
        let file = upload.whole(MAX_LIST_BYTES).await?;
        let node = self.node.clone();
        let imported = finish(async move {
            let _place = place;
            node.import_un_list(&call, file, options).await
        })
        .await?;
        Ok(Response::new(list_import(imported)))
    }

    async fn upload_photo(
        &self,
        request: Request<Streaming<v1::UploadPhotoRequest>>,
    ) -> Result<Response<v1::UploadPhotoResponse>, Status> {
        let (call, messages) = self.admit("UploadPhoto", request).await?;
        let file = photo::received(messages).await?;
        let node = self.node.clone();
        let blob = finish(async move { node.upload_photo(&call, file).await }).await?;
        Ok(Response::new(v1::UploadPhotoResponse { photo: Some(convert::photo(&blob, blob.len)) }))
    }

    async fn get_photo(&self, request: Request<v1::GetPhotoRequest>) -> Result<Response<Self::GetPhotoStream>, Status> {
        let (call, asked) = self.admit("GetPhoto", request).await?;
        let node = self.node.clone();
        let shown = finish(async move { node.get_photo(&call, &asked.reference, asked.number, asked.thumbnail).await });
        Ok(Response::new(stream::iter(photo::messages(&shown.await?)).boxed()))
    }
}

pub(super) fn draft_id(text: &str) -> Result<DraftId, Status> {
    text.parse().map_err(|_| convert::invalid("DRAFT_ID_INVALID", "a draft is named by 32 hexadecimal digits"))
}

type Page = (Vec<Draft>, Option<DraftId>);

/// Every draft from the first page on, read page by page as the caller takes them.
fn drafts(
    node: Arc<Node>,
    batch: Option<String>,
    first: Page,
) -> impl futures::Stream<Item = Result<Draft, ServiceError>> + Send {
    let (drafts, after) = first;
    let later = stream::try_unfold((node, batch, after), |(node, batch, after)| async move {
        let Some(after) = after else { return Ok::<_, ServiceError>(None) };
        let (drafts, next) = node.drafts(batch.as_deref(), Some(after)).await?;
        Ok(Some((stream::iter(drafts.into_iter().map(Ok)), (node, batch, next))))
    });
    stream::iter(drafts.into_iter().map(Ok)).chain(later.try_flatten())
}

fn filter(message: &v1::ListNoticesRequest) -> Result<NoticeFilter, Status> {
    let (own, held) = match message.holding.as_str() {
        "" => (true, true),
        "own" => (true, false),
        "held" => (false, true),
        _ => return Err(convert::invalid("HOLDING_UNKNOWN", "holding is own, held, or empty for both")),
    };
    let owner = match message.owner.as_str() {
        "" => None,
        code => Some(convert::member(code)?),
    };
    const STATES: [&str; 8] =
        ["valid", "suspended", "expired", "not-yet-valid", "withdrawn", "frozen", "quarantined", "blocked"];
    if !message.states.iter().all(|state| STATES.contains(&state.as_str())) {
        return Err(convert::invalid("NOTICE_STATE_UNKNOWN", format!("states are {}", STATES.join(", "))));
    }
    Ok(NoticeFilter {
        own,
        held,
        kinds: convert::words(&message.kinds)?,
        owner,
        states: message.states.clone(),
        limit: convert::limit(message.limit, USUAL_NOTICES, MAX_NOTICES),
    })
}

fn list_options(options: &v1::ImportNoticesOptions) -> Result<ListImportOptions, Status> {
    if options.format != UN_CONSOLIDATED {
        return Err(convert::invalid("IMPORT_FORMAT_UNKNOWN", format!("lists are imported from {UN_CONSOLIDATED}")));
    }
    Ok(ListImportOptions {
        audience: convert::members(&options.audience)?,
        withdraw_missing: options.withdraw_missing,
        override_guard: options.override_guard,
        dry_run: options.dry_run,
    })
}

fn list_import(found: ListImport) -> v1::ImportNoticesResponse {
    if let Some(unlisted) = found.rejected.len().checked_sub(MAX_REJECTIONS).filter(|unlisted| *unlisted > 0) {
        tracing::warn!(unlisted, "more entries of a list were rejected than one answer lists");
    }
    v1::ImportNoticesResponse {
        batch: found.batch,
        persons: found.persons,
        entities: found.entities,
        aliases: found.aliases,
        documents: found.documents,
        issues: found.issues,
        amendments: found.amendments,
        withdrawals: found.withdrawals,
        unchanged: found.unchanged,
        rejected: found.rejected.iter().take(MAX_REJECTIONS).map(convert::rejection).collect(),
        missing: found.missing,
    }
}
