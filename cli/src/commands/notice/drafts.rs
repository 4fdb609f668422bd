//! `eads notice drafts`, `draft-show` and `discard`.

use eads_domain::id::DraftId;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::examine::Examined;
use super::photo::PhotoOptions;
use super::view::DraftView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;

/// `eads notice drafts`
#[derive(Debug, clap::Args)]
pub(crate) struct ListOptions {
    /// Only drafts of this batch.
    #[arg(long, value_name = "BATCH", default_value = "", hide_default_value = true)]
    batch: String,
    /// At most so many; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
}

/// `eads notice draft-show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The draft.
    draft: DraftId,
    #[command(flatten)]
    photo: PhotoOptions,
}

/// `eads notice discard`
#[derive(Debug, clap::Args)]
pub(crate) struct DiscardOptions {
    /// The draft.
    draft: DraftId,
}

#[derive(Debug, Serialize)]
struct DiscardedView {
    draft_id: DraftId,
    discarded: bool,
}

impl ListOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListDraftsRequest { batch: self.batch, limit: self.limit });
        let stream = node::answer(node.notices().list_drafts(request)).await?;
        let drafts: Vec<DraftView> = node::collect(stream, node.timeout())
            .await?
            .into_iter()
            .filter_map(|response| response.draft)
            .map(DraftView::from)
            .collect();
        context.out.emit_list(&drafts, |page| DraftView::show_all(&drafts, page))?;
        Ok(Exit::Done)
    }
}

impl ShowOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        self.photo.check(context)?;
        let node = context.node().await?;
        let examined = Examined::fetch(&self.draft.to_string(), &node).await?;
        if self.photo.is_wanted() {
            return self.photo.run(&self.draft.to_string(), examined.images(), &node, context).await;
        }
        context.out.emit(&examined, |page| examined.show(page, context.now()))?;
        Ok(Exit::Done)
    }
}

impl DiscardOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::DiscardDraftRequest { draft_id: self.draft.to_string() });
        node::answer(node.notices().discard_draft(request)).await?;
        let view = DiscardedView { draft_id: self.draft, discarded: true };
        context.out.emit(&view, |page| page.line(&format!("Draft {} is discarded.", view.draft_id)))?;
        Ok(Exit::Done)
    }
}
