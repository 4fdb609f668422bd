//! `eads notice draft` and `amend`: a content from a file.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use eads_domain::code::Coded as _;
use eads_domain::id::{DraftId, MemberId};
use eads_domain::reference::Reference;
use eads_domain::slot::{Content, ContentError, FieldInput, Scalar, SlotNumber};
use eads_domain::statement::Action;
use eads_domain::value::BlobRef;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::photo;
use crate::commands::arguments::Audience;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node::{self, Node};
use crate::output::{Page, moment};

const DAY_SECONDS: i64 = 86_400;

/// `eads notice draft`
#[derive(Debug, clap::Args)]
pub(crate) struct DraftOptions {
    /// The draft, TOML (or JSON, by its extension), as `eads notice template` prints it; `-` is standard input.
    file: PathBuf,
    /// Members that it is addressed to, with commas between them, or `all`; without it the notice stays here.
    #[arg(long, value_name = "MEMBERS")]
    to: Option<Audience>,
    /// How long it is valid; behind that it is unusable everywhere, even offline [default: the usual of its kind].
    #[arg(long, value_name = "DAYS")]
    valid_days: Option<NonZeroU32>,
    /// An exercise: signed into the notice, and kept out of screening, statistics and gateways.
    #[arg(long)]
    exercise: bool,
    /// A photograph, JPEG or PNG of at most 2 MiB; may be repeated, up to 8.
    #[arg(long, value_name = "FILE")]
    photo: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// `eads notice amend`
#[derive(Debug, clap::Args)]
pub(crate) struct AmendOptions {
    /// The notice.
    reference: Reference,
    /// The whole new content, TOML (or JSON, by its extension); `-` is standard input.
    file: PathBuf,
    /// Members that it is addressed to, with commas between them, or `all` [default: as before].
    #[arg(long, value_name = "MEMBERS")]
    to: Option<Audience>,
    /// How long it is valid from now on [default: until then as before].
    #[arg(long, value_name = "DAYS")]
    valid_days: Option<NonZeroU32>,
    /// A photograph, JPEG or PNG of at most 2 MiB; may be repeated, up to 8.
    #[arg(long, value_name = "FILE")]
    photo: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Keeps the photographs that the notice has, before those that are added.
    #[arg(long)]
    keep_photos: bool,
}

/// Where a draft goes.
#[derive(Debug, clap::Args)]
struct Place {
    /// Writes it in the place of this draft, which was held back or returned; photographs are handed in anew.
    #[arg(long, value_name = "DRAFT")]
    replace: Option<DraftId>,
    /// Holds it back: it may be incomplete, and waits for `eads notice submit`.
    #[arg(long)]
    hold: bool,
}

/// What was drafted, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct DraftedView {
    draft_id: String,
    reference: String,
    action: &'static str,
    /// "draft" where it is held back, or "submitted".
    state: String,
    audience: Vec<String>,
    not_after: String,
}

impl DraftOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let mut fields = read_fields(&self.file)?;
        if self.exercise {
            fields.insert("exercise".to_owned(), FieldInput::Flag(true));
        }
        let mut content =
            content(fields, Action::Issue, &self.place).map_err(|error| error.about(self.file.display()))?;
        let node = context.node().await?;
        add_photos(&mut content, Vec::new(), &self.photo, &node).await?;
        let request = proto::CreateDraftRequest {
            action: "issue".to_owned(),
            reference: String::new(),
            values: values(&content),
            audience: members(self.to.as_ref(), &node).await?,
            not_after: self.valid_days.map_or(0, |days| days_from_now(days, context)),
            hold: self.place.hold,
            replace: self.place.replaced(),
        };
        create(request, "issue", &node, context).await
    }
}

impl AmendOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let mut content = content(read_fields(&self.file)?, Action::Amend, &self.place)
            .map_err(|error| error.about(self.file.display()))?;
        let node = context.node().await?;
        let request = node.request(proto::GetNoticeRequest { reference: self.reference.to_string() });
        let found = node::answer(node.notices().get_notice(request)).await?;
        let kept = found.photos.iter().filter(|_| self.keep_photos).filter_map(photo::blob).collect();
        let before = found.notice.unwrap_or_default();
        add_photos(&mut content, kept, &self.photo, &node).await?;
        let audience = match &self.to {
            None => before.audience,
            to => members(to.as_ref(), &node).await?,
        };
        let request = proto::CreateDraftRequest {
            action: "amend".to_owned(),
            reference: self.reference.to_string(),
            values: values(&content),
            audience,
            not_after: self.valid_days.map_or(before.not_after, |days| days_from_now(days, context)),
            hold: self.place.hold,
            replace: self.place.replaced(),
        };
        create(request, "amend", &node, context).await
    }
}

/// Hands a draft to the node and says what the second officer does next.
pub(super) async fn create(
    draft: proto::CreateDraftRequest,
    action: &'static str,
    node: &Node,
    context: &Context,
) -> Result<Exit, CliError> {
    let audience = draft.audience.clone();
    let created = node::answer(node.notices().create_draft(node.request(draft))).await?;
    let view = DraftedView {
        draft_id: created.draft_id,
        reference: created.reference,
        action,
        state: created.state,
        audience,
        not_after: moment(created.not_after),
    };
    context.out.emit(&view, |page| view.show(page))?;
    Ok(Exit::Done)
}

impl DraftedView {
    fn show(&self, page: &mut Page) {
        page.field("draft", &self.draft_id);
        page.field("reference", &self.reference);
        page.field("action", self.action);
        let to = if self.audience.is_empty() { "nobody: it stays here".to_owned() } else { self.audience.join(", ") };
        page.field("addressed to", &to);
        page.field("valid until", &self.not_after);
        page.gap();
        if self.state == "draft" {
            page.line("It is held back. When it is complete, hand it to a second officer:");
            page.line(&format!("  eads notice submit {}", self.draft_id));
            return;
        }
        page.line("Nothing is published yet. A second officer, with the role approver, checks and approves it:");
        page.line(&format!("  eads notice approve {}", self.draft_id));
    }
}

/// Names photographs in a content: those that it names already, those kept, and files that are handed in now.
async fn add_photos(content: &mut Content, kept: Vec<BlobRef>, files: &[PathBuf], node: &Node) -> Result<(), CliError> {
    let mut images: Vec<BlobRef> = content.blobs().copied().chain(kept).collect();
    if images.len() + files.len() > Scalar::MAX_IMAGES {
        let text = format!("a notice has at most {} photographs", Scalar::MAX_IMAGES);
        return Err(CliError::new("PHOTOS_TOO_MANY", Exit::BadInput, text));
    }
    images.extend(photo::upload(files, node).await?);
    content.set_images(images);
    Ok(())
}

/// The fields of a draft file.
fn read_fields(file: &Path) -> Result<BTreeMap<String, FieldInput>, CliError> {
    let text = files::read_text(file)?;
    let json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let fields = if json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.to_string())
    };
    fields.map_err(|why| {
        CliError::new("DRAFT_UNREADABLE", Exit::BadInput, format!("{}: {why}", file.display()))
            .with_hint("print one to start from with `eads notice template KIND SUBJECT`")
    })
}

/// A content that may go to a second officer; one that is held back may be incomplete.
fn content(fields: BTreeMap<String, FieldInput>, action: Action, place: &Place) -> Result<Content, CliError> {
    let content = Content::from_fields(fields).map_err(|errors| refused(&errors))?;
    if place.hold {
        return Ok(content);
    }
    content.check_draft(action).map_err(|errors| refused(&errors))?;
    Ok(content)
}

/// Everything that is wrong, each with its own code; the first one's code stands for all.
pub(super) fn refused(errors: &[ContentError]) -> CliError {
    let code = errors.first().map_or("CONTENT_REFUSED", |error| error.code().as_str());
    let text = match errors {
        [single] => single.to_string(),
        several => {
            let line = |error: &ContentError| match error.hint() {
                Some(hint) => format!("{}: {error} ({hint})", error.code()),
                None => format!("{}: {error}", error.code()),
            };
            let lines: Vec<_> = several.iter().map(line).collect();
            format!("{} things are wrong\n{}", several.len(), lines.join("\n"))
        }
    };
    let hint = match errors {
        [single] => single.hint(),
        _ => None,
    };
    CliError::new(code, Exit::BadInput, text)
        .with_hint(hint.unwrap_or("what each field takes is shown by `eads notice template KIND SUBJECT`"))
}

impl Place {
    fn replaced(&self) -> String {
        self.replace.map(|draft| draft.to_string()).unwrap_or_default()
    }
}

/// What a draft carries: everything but what the node sets.
pub(super) fn values(content: &Content) -> Vec<proto::SlotValue> {
    const NODE: [SlotNumber; 3] = [SlotNumber::REFERENCE, SlotNumber::VERSION, SlotNumber::APPROVALS];
    content
        .to_slot_values()
        .into_iter()
        .filter(|(slot, _)| !NODE.contains(slot))
        .map(|(slot, value)| proto::SlotValue { slot: u32::from(slot.get()), value })
        .collect()
}

/// The members that an audience names; `all` are those accepted now, so that a later peer is not meant by it.
pub(super) async fn members(to: Option<&Audience>, node: &Node) -> Result<Vec<String>, CliError> {
    match to {
        None => Ok(Vec::new()),
        Some(Audience::Members(members)) => Ok(members.iter().map(MemberId::to_string).collect()),
        Some(Audience::All) => {
            let peers = node::answer(node.peering().list_peers(node.request(proto::ListPeersRequest {}))).await?;
            let accepted = peers.peers.into_iter().filter(|peer| peer.state == "accepted");
            Ok(accepted.map(|peer| peer.member).collect())
        }
    }
}

pub(super) fn days_from_now(days: NonZeroU32, context: &Context) -> i64 {
    context.now().plus_seconds(i64::from(days.get()) * DAY_SECONDS).as_unix()
}
