//! Photographs as officers see them.

use eads_domain::id::{DraftId, Hash};
use eads_domain::operator::Role;
use eads_domain::query::Caution;
use eads_domain::slot::{Fields as _, SlotNumber, SlotSet};
use eads_domain::value::{BlobRef, Media, Value};
use eads_store::blobs::BlobName;

use super::picture;
use crate::area;
use crate::audit::Shown;
use crate::context::Call;
use crate::desk::is_desk;
use crate::error::ServiceError;
use crate::node::Node;
use crate::notices::{Draft, NoticeView};
use crate::rows::{self, BlobKey, HeldBlobs, OwnVersion};

/// A photograph of a notice in its page.
#[derive(Clone, Debug)]
pub struct PhotoView {
    /// As the signed value names it.
    pub blob: BlobRef,
    /// Bytes of it that are here.
    pub held: u32,
}

/// A photograph with its picture.
#[derive(Clone, Debug)]
pub struct PhotoShown {
    /// What `bytes` are.
    pub media: Media,
    /// The file.
    pub bytes: Vec<u8>,
    /// What must be done before acting on the notice.
    pub cautions: Vec<Caution>,
    /// It belongs to an exercise.
    pub exercise: bool,
}

/// Where a photograph lies.
struct Found {
    blob: BlobRef,
    /// None where the owner has not announced it yet.
    name: Option<BlobName>,
    /// D of the statement; none for a draft's.
    digest: Option<Hash>,
    cautions: Vec<Caution>,
    exercise: bool,
}

impl Node {
    /// One photograph of a notice, or of a draft by its id or its new reference; `number` counts from 1. A
    /// thumbnail is a JPEG of at most 256 by 256 pixels, made here.
    ///
    /// # Errors
    /// `PHOTO_NONE` if there is no such photograph, `PHOTO_INCOMPLETE` while it is being fetched, `NOTICE_*`,
    /// `DRAFT_UNKNOWN`, `ROLE_REQUIRED` for drafts.
    pub async fn get_photo(
        &self,
        call: &Call,
        reference: &str,
        number: u32,
        thumbnail: bool,
    ) -> Result<PhotoShown, ServiceError> {
        let mut entry = self.entry(call, "GetPhoto");
        entry.subject = Some(reference.chars().take(32).collect());
        let intent = self.audit.intent(entry).await?;
        let outcome = self.photo(call, reference, number, thumbnail).await;
        match &outcome {
            Ok((_, Some(digest))) => {
                let slots = SlotSet::from_iter([SlotNumber::IMAGES]);
                self.audit.outcome(&intent, "OK", vec![Shown { digest: *digest, slots }]).await?;
            }
            _ => self.audit.close(intent, &outcome).await?,
        }
        outcome.map(|(shown, _)| shown)
    }

    async fn photo(
        &self,
        call: &Call,
        reference: &str,
        number: u32,
        thumbnail: bool,
    ) -> Result<(PhotoShown, Option<Hash>), ServiceError> {
        let found = self.find_photo(call, reference, number).await?;
        let (blob, digest) = (found.blob, found.digest);
        let (cautions, exercise) = (found.cautions, found.exercise);
        let bytes = match found.name {
            Some(name) => self.blobs.with(move |store| store.read(&name, blob.len, 0..blob.len)).await?,
            None => None,
        };
        let Some(bytes) = bytes else {
            let held = self.held_of(found.name, blob.len).await?;
            let percent = u64::from(held) * 100 / u64::from(blob.len.max(1));
            return Err(ServiceError::unavailable(
                "PHOTO_INCOMPLETE",
                format!("{percent} % of the photograph is here"),
            )
            .with_hint("it is fetched from its owner as soon as the connection allows"));
        };
        if !thumbnail {
            return Ok((PhotoShown { media: blob.media, bytes: bytes.to_vec(), cautions, exercise }, digest));
        }
        let bytes = self.blobs.decoding(move || picture::thumbnail(&bytes, blob.media)).await?;
        Ok((PhotoShown { media: Media::Jpeg, bytes, cautions, exercise }, digest))
    }

    async fn find_photo(&self, call: &Call, reference: &str, number: u32) -> Result<Found, ServiceError> {
        use eads_domain::code::Coded as _;
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let place = place.ok_or_else(|| ServiceError::invalid("PHOTO_NUMBER", "photographs are counted from 1"))?;
        let none = |count: usize| {
            ServiceError::not_found("PHOTO_NONE", format!("there is no photograph {number}; there are {count}"))
        };
        if let Ok(id) = reference.parse::<DraftId>() {
            return of_draft(call, &self.draft_by_id(id).await?, place).and_then(|found| found.map_err(none));
        }
        let detail = match self.detail(reference, is_desk(call)).await {
            // Not issued yet: whoever may read drafts can look at it by the reference that it will have.
            Err(error) if error.code().as_str() == "NOTICE_UNKNOWN" && may_read_drafts(call) => {
                let Some(draft) = self.draft_of(reference).await? else { return Err(error) };
                return of_draft(call, &draft, place).and_then(|found| found.map_err(none));
            }
            other => other?,
        };
        let blobs: Vec<BlobRef> = images(&detail.values);
        let blob = *blobs.get(place).ok_or_else(|| none(blobs.len()))?;
        let keys = self.blob_keys(&detail.view).await?;
        let name = name_of(&keys, &blob);
        let NoticeView { digest, cautions, exercise, .. } = detail.view;
        Ok(Found { blob, name, digest: Some(digest), cautions, exercise })
    }

    async fn draft_of(&self, reference: &str) -> Result<Option<Draft>, ServiceError> {
        let mut after = None;
        loop {
            let (drafts, next) = self.drafts(None, after).await?;
            let found = drafts.into_iter().find(|draft| draft.reference.to_string().eq_ignore_ascii_case(reference));
            if found.is_some() || next.is_none() {
                return Ok(found);
            }
            after = next;
        }
    }

    /// The photographs that a notice's values name, and how much of each is here.
    pub(crate) async fn photo_views(
        &self,
        view: &NoticeView,
        values: &[(SlotNumber, Value)],
    ) -> Result<Vec<PhotoView>, ServiceError> {
        let blobs = images(values);
        if blobs.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.blob_keys(view).await?;
        let mut photos = Vec::with_capacity(blobs.len());
        for blob in blobs {
            photos.push(PhotoView { held: self.held_of(name_of(&keys, &blob), blob.len).await?, blob });
        }
        Ok(photos)
    }

    async fn held_of(&self, name: Option<BlobName>, len: u32) -> Result<u32, ServiceError> {
        match name {
            Some(name) => self.blobs.with(move |store| Ok(store.held(&name, len))).await,
            None => Ok(0),
        }
    }

    async fn blob_keys(&self, view: &NoticeView) -> Result<Vec<BlobKey>, ServiceError> {
        if view.owner == self.member {
            let key = area::notice_index(view.notice, view.index);
            let version: Option<OwnVersion> = rows::get(&*self.store, area::OWN_VERSION, &key).await?;
            return Ok(version.map(|version| version.blobs).unwrap_or_default());
        }
        let key = area::member_number(view.owner, view.index);
        let held: Option<HeldBlobs> = rows::get(&*self.store, area::HELD_BLOBS, &key).await?;
        Ok(held.map(|held| held.blobs).unwrap_or_default())
    }
}

fn images(values: &[(SlotNumber, Value)]) -> Vec<BlobRef> {
    let images = values.iter().find(|(slot, _)| *slot == SlotNumber::IMAGES);
    images.iter().flat_map(|(_, value)| value.items()).filter_map(Value::as_blob).copied().collect()
}

fn name_of(keys: &[BlobKey], blob: &BlobRef) -> Option<BlobName> {
    keys.iter().find(|key| key.id == blob.blob_id()).map(BlobKey::name)
}

/// The photograph of a draft, or how many it has.
fn of_draft(call: &Call, draft: &Draft, place: usize) -> Result<Result<Found, usize>, ServiceError> {
    if !may_read_drafts(call) {
        return Err(ServiceError::denied("ROLE_REQUIRED", "drafts are read by issuers and approvers"));
    }
    let blobs: Vec<BlobRef> = draft.content.blobs().copied().collect();
    Ok(match blobs.get(place) {
        Some(blob) => Ok(Found {
            blob: *blob,
            name: name_of(&draft.blobs, blob),
            digest: None,
            cautions: Vec::new(),
            exercise: draft.content.is_exercise(),
        }),
        None => Err(blobs.len()),
    })
}

fn may_read_drafts(call: &Call) -> bool {
    [Role::Issuer, Role::Approver].into_iter().any(|role| call.operator.roles.contains(role))
}
