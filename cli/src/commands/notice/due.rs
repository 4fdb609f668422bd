//! `eads notice due`: what comes up for review.

use eads_proto::v1 as proto;

use super::view::NoticeView;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;

/// `eads notice due`
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Own notices whose validity ends within so many days, as 30 or 30d.
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
    within: u32,
}

impl Options {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.request(proto::ListDueRequest { within_days: self.within });
        let stream = node::answer(node.life().list_due(request)).await?;
        let notices: Vec<NoticeView> = node::collect(stream, node.timeout())
            .await?
            .into_iter()
            .filter_map(|response| response.notice)
            .map(NoticeView::from)
            .collect();
        context.out.emit_list(&notices, |page| {
            NoticeView::show_all(&notices, page);
            if let Some(first) = notices.first() {
                page.gap();
                page.line("At that date a notice ends by itself. To keep one, two officers say so again:");
                page.line(&format!("  eads notice extend {} --valid-days DAYS", first.reference));
            }
        })?;
        Ok(Exit::Done)
    }
}

/// `30` or `30d`.
fn days(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('d').unwrap_or(text);
    number.parse().map_err(|_| "a number of days, as 30 or 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::days;

    #[test]
    fn days_are_read_with_and_without_their_unit() {
        assert_eq!((days("30"), days("7d")), (Ok(30), Ok(7)));
        assert!(days("2w").is_err() && days("").is_err() && days("-1d").is_err());
    }
}
