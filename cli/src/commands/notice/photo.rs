//! Photographs: handed to the node with a draft, and looked at or saved.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use eads_domain::encode::sha256;
use eads_domain::value::{BlobRef, Media};
use eads_proto::v1 as proto;
use serde::Serialize;

use super::picture::{self, Display};
use crate::commands::caution;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node::{self, Node};
use crate::output::{Format, Page, Tone, bytes};

/// Bytes of one message of an upload.
const CHUNK: usize = 64 * 1024;
/// The longest photograph taken from the node, in bytes; a thumbnail is shorter.
const MAX_LEN: usize = BlobRef::MAX_LEN as usize;

/// Which photograph to show instead of the page, and where.
#[derive(Debug, clap::Args)]
pub(super) struct PhotoOptions {
    /// Shows a photograph: the first one, or that of this number.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    photo: Option<NonZeroU32>,
    /// Saves the photograph to this file instead of showing it.
    #[arg(long, value_name = "FILE", requires = "photo")]
    save: Option<PathBuf>,
    /// Replaces the file if it is there.
    #[arg(long, requires = "save")]
    force: bool,
    /// A small copy, at most 256 by 256 pixels.
    #[arg(long, requires = "photo")]
    thumbnail: bool,
    /// How the terminal shows it.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Display::Auto, requires = "photo")]
    display: Display,
}

/// A photograph of a page, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct PhotoLine {
    number: usize,
    id: String,
    sha256: String,
    media: String,
    len: u32,
    /// Bytes that the node holds; `len` when it is complete.
    held: u32,
}

/// What was saved, in JSON.
#[derive(Debug, Serialize)]
struct SavedView {
    reference: String,
    number: u32,
    file: String,
    media: String,
    len: usize,
    sha256: String,
    /// What must be done before acting on the notice, the gravest first.
    cautions: Vec<String>,
    exercise: bool,
}

impl PhotoOptions {
    /// Whether a photograph is wanted at all.
    pub(super) const fn is_wanted(&self) -> bool {
        self.photo.is_some()
    }

    /// Refuses what could not be shown anywhere, before anything is asked.
    pub(super) fn check(&self, context: &Context) -> Result<(), CliError> {
        match &self.save {
            Some(file) if !self.force && file.exists() => Err(exists(file)),
            None if self.is_wanted() && !(context.out.is_seen() && context.out.format() == Format::Table) => {
                Err(CliError::new(
                    "PHOTO_NO_TERMINAL",
                    Exit::Usage,
                    "standard output is no terminal that could show a photograph",
                )
                .with_hint("save it with `--save FILE`"))
            }
            _ => Ok(()),
        }
    }

    /// Shows or saves the photograph of a notice or draft. `images` are what its signed values name: a whole
    /// photograph must be the very one.
    pub(super) async fn run(
        &self,
        reference: &str,
        images: &[BlobRef],
        node: &Node,
        context: &Context,
    ) -> Result<Exit, CliError> {
        let number = self.photo.map_or(1, NonZeroU32::get);
        let request = proto::GetPhotoRequest { reference: reference.to_owned(), number, thumbnail: self.thumbnail };
        let Fetched { media, bytes, cautions, exercise } = fetch(request, node).await?;
        if !self.thumbnail {
            let named = usize::try_from(number).ok().and_then(|number| images.get(number.checked_sub(1)?));
            if named.is_none_or(|named| named.sha256 != sha256(&bytes)) {
                let text = "the node's photograph is not the one that the notice names";
                return Err(CliError::new("PHOTO_TAMPERED", Exit::Integrity, text));
            }
        }
        let owner = reference.get(..2).unwrap_or_default();
        if exercise || !cautions.is_empty() {
            context.out.note_page(|page| {
                if exercise {
                    page.toned("EXERCISE: not a real case", Tone::Caution);
                }
                caution::in_words(&cautions, owner).iter().for_each(|caution| page.toned(caution, Tone::Bad));
            });
        }
        let Some(file) = &self.save else {
            return context.out.raw(&picture::render(&bytes, media, self.display)?).map(|()| Exit::Done);
        };
        save(file, &bytes, self.force)?;
        let view = SavedView {
            reference: reference.to_owned(),
            number,
            file: file.display().to_string(),
            media: media.to_string(),
            len: bytes.len(),
            sha256: sha256(&bytes).to_string(),
            cautions,
            exercise,
        };
        context.out.emit(&view, |page| {
            page.line(&format!("Photograph {number} of {reference} is saved to {} ({media}).", view.file));
        })?;
        Ok(Exit::Done)
    }
}

impl PhotoLine {
    /// All of them, numbered.
    pub(super) fn all(photos: &[proto::Photo]) -> Vec<Self> {
        let line = |(number, photo): (usize, &proto::Photo)| Self {
            number,
            id: hex::encode(&photo.id),
            sha256: hex::encode(&photo.sha256),
            media: photo.media.clone(),
            len: photo.len,
            held: photo.held,
        };
        (1..).zip(photos).map(line).collect()
    }

    /// A line each: what it is and how much of it is here.
    pub(super) fn show_all(photos: &[Self], page: &mut Page) {
        for photo in photos {
            let state = if photo.held >= photo.len {
                "complete".to_owned()
            } else {
                format!("{} % here", u64::from(photo.held) * 100 / u64::from(photo.len.max(1)))
            };
            let what = format!("{}, {}, {state}", photo.media, bytes(photo.len.into()));
            page.field(&format!("photograph {}", photo.number), &what);
        }
    }
}

/// Hands files to the node. Each is a photograph that a draft can name, for a day.
pub(super) async fn upload(files: &[PathBuf], node: &Node) -> Result<Vec<BlobRef>, CliError> {
    let mut uploaded = Vec::with_capacity(files.len());
    for file in files {
        let bytes = files::read(file)?;
        let chunks: Vec<_> =
            bytes.chunks(CHUNK).map(|chunk| proto::UploadPhotoRequest { chunk: chunk.to_vec() }).collect();
        let request = node.long_request(tokio_stream::iter(chunks));
        let answer = node::answer(node.notices().upload_photo(request)).await;
        let photo = answer.map_err(|error| error.about(file.display()))?.photo.unwrap_or_default();
        uploaded.push(blob(&photo).ok_or_else(unreadable)?);
    }
    Ok(uploaded)
}

/// A photograph as slots name it; none for one that no node could have told.
pub(super) fn blob(photo: &proto::Photo) -> Option<BlobRef> {
    Some(BlobRef {
        id: photo.id.as_slice().try_into().ok()?,
        sha256: photo.sha256.as_slice().try_into().ok()?,
        len: photo.len,
        media: photo.media.parse().ok()?,
    })
}

/// A photograph with what must be known of its notice.
struct Fetched {
    media: Media,
    bytes: Vec<u8>,
    cautions: Vec<String>,
    exercise: bool,
}

async fn fetch(request: proto::GetPhotoRequest, node: &Node) -> Result<Fetched, CliError> {
    let mut stream = node::answer(node.notices().get_photo(node.long_request(request))).await?;
    let (mut media, mut bytes, mut cautions, mut exercise) = (None, Vec::new(), Vec::new(), false);
    while let Some(message) = node::next(&mut stream, node.timeout()).await? {
        if media.is_none() {
            media = Some(message.media.parse::<Media>().map_err(|_| unreadable())?);
            cautions = message.cautions;
            exercise = message.exercise;
        }
        if bytes.len() + message.chunk.len() > MAX_LEN {
            return Err(unreadable());
        }
        bytes.extend_from_slice(&message.chunk);
    }
    media.map(|media| Fetched { media, bytes, cautions, exercise }).ok_or_else(unreadable)
}

fn save(path: &Path, bytes: &[u8], replace: bool) -> Result<(), CliError> {
    if replace {
        return Ok(files::write(path, bytes)?);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let unwritable = |cause| files::FileError::Unwritable { path: path.to_owned(), cause };
    let mut file = match options.open(path) {
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists(path)),
        other => other.map_err(unwritable)?,
    };
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|cause| {
        // Half a photograph is none; the error that matters is the first one.
        let _ = std::fs::remove_file(path);
        unwritable(cause).into()
    })
}

fn exists(path: &Path) -> CliError {
    CliError::new("FILE_EXISTS", Exit::Local, format!("{} is there already", path.display()))
        .with_hint("name another file, or replace it with `--force`")
}

fn unreadable() -> CliError {
    CliError::new("NODE_MALFORMED", Exit::NodeFault, "the node's answer about a photograph cannot be read")
}
