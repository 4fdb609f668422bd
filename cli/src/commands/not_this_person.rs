//! `eads not-this-person`: with the consent of a person who is taken for somebody else.

use clap::Subcommand;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::arguments::Day;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::{Grid, Tone, json_time};

/// How long a mark lasts where nothing is said.
const USUAL_SECONDS: i64 = 365 * 86_400;

/// `eads not-this-person`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Marks a notice or record as not about a person: whoever looks that person up is told so at the hit.
    Add(AddOptions),
    /// Lists the marks.
    List,
    /// Takes a mark away, and destroys what it said of the person.
    Remove(RemoveOptions),
}

/// `eads not-this-person add`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("known").required(true).multiple(true).args(["birth_date", "document"]))]
pub(crate) struct AddOptions {
    /// The notice, own or held, or the record's handle, on which the person is not meant.
    reference: String,
    /// The person who is not meant, by full name.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The person's day of birth.
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "", hide_default_value = true)]
    birth_date: String,
    /// The number of the person's travel or identity document.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    document: String,
    /// Where the person's consent is on file.
    #[arg(long, value_name = "REFERENCE")]
    consent: String,
    /// The last day of the mark [default: in a year].
    #[arg(long, value_name = "DATE")]
    until: Option<Day>,
}

/// `eads not-this-person remove`
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveOptions {
    /// The mark, as the list names it.
    mark: String,
    /// Why; kept in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, Serialize)]
struct MarkedView {
    mark_id: String,
}

#[derive(Debug, Serialize)]
struct MarkView {
    mark_id: String,
    reference: String,
    name: String,
    birth_date: String,
    document: String,
    consent: String,
    until: Option<String>,
    added_by: String,
    added_at: Option<String>,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Add(options) => options.run(context).await,
            Self::List => list(context).await,
            Self::Remove(options) => options.run(context).await,
        }
    }
}

impl AddOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let until = self.until.map_or_else(|| context.now().plus_seconds(USUAL_SECONDS).as_unix(), Day::last);
        let request = node.request(proto::AddNotThisPersonRequest {
            reference: self.reference,
            name: self.name,
            birth_date: self.birth_date,
            document: self.document,
            consent: self.consent,
            until,
        });
        let answer = node::answer(node.subjects().add_not_this_person(request)).await?;
        let view = MarkedView { mark_id: answer.mark_id };
        context.out.emit(&view, |page| {
            page.field("mark", &view.mark_id);
            page.line("A hit is still shown to whoever looks the person up, last, and says NOT THIS PERSON.");
        })?;
        Ok(Exit::Done)
    }
}

impl RemoveOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request =
            node.request(proto::RemoveNotThisPersonRequest { mark_id: self.mark.clone(), reason: self.reason });
        node::answer(node.subjects().remove_not_this_person(request)).await?;
        let view = MarkedView { mark_id: self.mark };
        context.out.emit(&view, |page| page.toned("The mark is gone.", Tone::Good))?;
        Ok(Exit::Done)
    }
}

async fn list(context: &Context) -> Result<Exit, CliError> {
    let node = context.node().await?;
    let request = node.request(proto::ListNotThisPersonRequest {});
    let found = node::answer(node.subjects().list_not_this_person(request)).await?.marks;
    let marks: Vec<MarkView> = found.into_iter().map(MarkView::from).collect();
    context.out.emit_list(&marks, |page| {
        if marks.is_empty() {
            page.line("no marks");
            return;
        }
        let mut grid = Grid::new(&["MARK", "ON", "NAME", "BORN", "DOCUMENT", "CONSENT", "UNTIL"]);
        for mark in &marks {
            grid.row([
                (mark.mark_id.clone(), Tone::Plain),
                (mark.reference.clone(), Tone::Plain),
                (mark.name.clone(), Tone::Plain),
                (mark.birth_date.clone(), Tone::Plain),
                (mark.document.clone(), Tone::Plain),
                (mark.consent.clone(), Tone::Plain),
                (mark.until.clone().unwrap_or_default(), Tone::Plain),
            ]);
        }
        page.grid(&grid);
    })?;
    Ok(Exit::Done)
}

impl From<proto::NotThisPerson> for MarkView {
    fn from(mark: proto::NotThisPerson) -> Self {
        Self {
            mark_id: mark.mark_id,
            reference: mark.reference,
            name: mark.name,
            birth_date: mark.birth_date,
            document: mark.document,
            consent: mark.consent,
            until: json_time(mark.until),
            added_by: mark.added_by,
            added_at: json_time(mark.added_at),
        }
    }
}
