//! `eads record`: national data, which never leaves the node as such.

mod import;
mod rejects;

use clap::Subcommand;
use eads_domain::operator::Purpose;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::arguments;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::Page;

/// `eads record`
#[derive(Debug, Subcommand)]
pub(crate) enum Options {
    /// Loads a CSV, JSON Lines or XLSX file; an interrupted run of the same file goes on where it stopped.
    Import(Box<import::Options>),
    /// Shows one record of this node, by the handle that a hit names.
    Show(ShowOptions),
}

/// `eads record show`
#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    /// The handle, as a hit on a record names it as its reference.
    handle: String,
    /// Why it is looked at; kept in the audit log.
    #[arg(long, value_name = "CODE", value_parser = arguments::purpose())]
    purpose: Purpose,
    #[command(flatten)]
    grounds: arguments::Grounds,
}

/// A record in JSON.
#[derive(Debug, Serialize)]
struct RecordView {
    handle: String,
    source: String,
    key: String,
    subject: String,
    fields: Vec<FieldView>,
}

#[derive(Debug, Serialize)]
struct FieldView {
    name: String,
    value: String,
}

impl Options {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Import(options) => options.run(context).await,
            Self::Show(options) => options.run(context).await,
        }
    }
}

impl ShowOptions {
    async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::GetRecordRequest {
            handle: self.handle.clone(),
            purpose: self.purpose.as_str().to_owned(),
            legal_basis: self.grounds.legal_basis,
            case_reference: self.grounds.case,
        });
        let record = node::answer(node.records().get_record(request)).await?;
        let view = RecordView {
            handle: self.handle,
            source: record.source,
            key: record.key,
            subject: record.subject,
            fields: record.fields.into_iter().map(|field| FieldView { name: field.name, value: field.value }).collect(),
        };
        context.out.emit(&view, |page| view.show(page))?;
        Ok(Exit::Done)
    }
}

impl RecordView {
    fn show(&self, page: &mut Page) {
        page.field("handle", &self.handle);
        page.field("source", &self.source);
        page.field("key", &self.key);
        page.field("subject", &self.subject);
        page.gap();
        for field in &self.fields {
            page.field(&field.name, &field.value);
        }
    }
}
