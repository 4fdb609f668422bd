//! Invented pictures, and what officers do with photographs.

use std::io::Cursor;

use eads_domain::slot::SlotNumber;
use eads_domain::value::{BlobRef, Media, Value};
use eads_proto::v1;
use futures::TryStreamExt as _;
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb};
use tonic::Status;

use crate::member::Member;
use crate::operator::Operator;

/// What stands beside the picture in [`tagged`], and must be nowhere else.
pub const BESIDE: [&str; 2] = ["taken by informant seven", "GPS 3.1390 N 101.6869 E"];

/// A picture that nobody took: `seed` makes it differ from others, noise makes it long.
pub fn picture(width: u32, height: u32, seed: u32) -> DynamicImage {
    let mut state = seed | 1;
    ImageBuffer::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [noise, ..] = state.to_be_bytes();
        let [.., across] = (x ^ seed).to_be_bytes();
        let [.., down] = y.to_be_bytes();
        Rgb([across, down, noise])
    })
    .into()
}

/// A picture as a JPEG file.
///
/// # Panics
/// When it cannot be written.
pub fn jpeg(picture: &DynamicImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Jpeg)
}

/// A picture as a PNG file.
///
/// # Panics
/// When it cannot be written.
pub fn png(picture: &DynamicImage) -> Vec<u8> {
    encoded(picture, ImageFormat::Png)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).expect("a picture");
    file.into_inner()
}

/// A JPEG file with [`BESIDE`] in its EXIF segment and its comment, as telephones write them.
///
/// # Panics
/// When a segment is too long.
pub fn tagged(file: &[u8]) -> Vec<u8> {
    let [comment, place] = BESIDE.map(str::as_bytes);
    let exif = [b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0\0\0\0\0".as_slice(), place].concat();
    let segment = |marker: u8, body: &[u8]| {
        let length = u16::try_from(body.len() + 2).expect("a short segment").to_be_bytes();
        [&[0xFF, marker], length.as_slice(), body].concat()
    };
    [&file[..2], &segment(0xE1, &exif), &segment(0xFE, comment), &file[2..]].concat()
}

impl Operator {
    /// Hands in a file, in chunks.
    ///
    /// # Errors
    /// What the node answers.
    ///
    /// # Panics
    /// When the node's answer is not a photograph.
    pub async fn upload(&self, file: &[u8]) -> Result<BlobRef, Status> {
        let chunks: Vec<_> =
            file.chunks(100_000).map(|chunk| v1::UploadPhotoRequest { chunk: chunk.to_vec() }).collect();
        let answer = self.notices().upload_photo(futures::stream::iter(chunks)).await?;
        Ok(blob(&answer.into_inner().photo.expect("a photograph")))
    }

    /// A photograph of a notice or draft as this operator is shown it, with its media type.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn photo(&self, reference: &str, number: u32, thumbnail: bool) -> Result<(String, Vec<u8>), Status> {
        let request = v1::GetPhotoRequest { reference: reference.to_owned(), number, thumbnail };
        let messages: Vec<_> = self.notices().get_photo(request).await?.into_inner().try_collect().await?;
        let media = messages.first().map(|message: &v1::GetPhotoResponse| message.media.clone());
        Ok((media.unwrap_or_default(), messages.into_iter().flat_map(|message| message.chunk).collect()))
    }
}

impl Member {
    /// How much of each photograph of a notice this member's node holds: bytes held, and bytes in all.
    pub async fn photos_of(&self, reference: &str) -> Vec<(u32, u32)> {
        let request = v1::GetNoticeRequest { reference: reference.to_owned() };
        match self.operator("officer").notices().get_notice(request).await {
            Ok(found) => found.into_inner().photos.iter().map(|photo| (photo.held, photo.len)).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Waits until every photograph of a notice is here.
    pub async fn has_photos(&self, reference: &str, count: usize) {
        crate::wait::until(&format!("{} has {count} photographs of {reference}", self.id), || async {
            let photos = self.photos_of(reference).await;
            photos.len() == count && photos.iter().all(|(held, len)| held == len)
        })
        .await;
    }
}

/// A photograph as slots name it.
///
/// # Panics
/// When it is none.
pub fn blob(photo: &v1::Photo) -> BlobRef {
    BlobRef {
        id: photo.id.as_slice().try_into().expect("an id"),
        sha256: photo.sha256.as_slice().try_into().expect("a digest"),
        len: photo.len,
        media: photo.media.parse::<Media>().expect("a media type"),
    }
}

/// The slot of photographs, as `CreateDraft` takes it.
pub fn images(blobs: &[BlobRef]) -> v1::SlotValue {
    let value = Value::List(blobs.iter().copied().map(Value::Blob).collect());
    v1::SlotValue { slot: SlotNumber::IMAGES.get().into(), value: value.encode() }
}

/// A draft of an issue with photographs, valid for a year from `now`.
pub fn draft_with(draft: &str, blobs: &[BlobRef], audience: &[&str], now: i64) -> v1::CreateDraftRequest {
    let mut values = crate::content::values(&crate::content::content(draft));
    values.push(images(blobs));
    v1::CreateDraftRequest {
        action: "issue".to_owned(),
        values,
        audience: audience.iter().map(|member| (*member).to_owned()).collect(),
        not_after: now + crate::notices::YEAR,
        ..v1::CreateDraftRequest::default()
    }
}
