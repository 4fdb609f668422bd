//! `eads audit search`

use eads_domain::clock::Timestamp;
use eads_domain::id::{MemberId, RequestId};
use eads_domain::operator::{Purpose, Role};
use eads_proto::v1 as proto;

use super::entry::{EntryView, show_entries};
use crate::commands::arguments::purpose;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node;
use crate::output::Format;

/// `eads audit search`
#[derive(Debug, clap::Args)]
pub(crate) struct SearchOptions {
    /// At most so many entries.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Oldest first, starting behind this sequence number; without it the newest come first.
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// Not before this date or time (2026-11-24, 2026-11-24T03:48:05Z).
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Before this date or time.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// By this operator, this member's node (MY), or this node itself (node).
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// By an operator with this role.
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Of this method or event, such as Search or AnswerQuery.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// For this purpose.
    #[arg(long, value_name = "PURPOSE", value_parser = purpose(), hide_possible_values = true)]
    purpose: Option<Purpose>,
    /// For this case.
    #[arg(long, value_name = "CASE")]
    case: Option<String>,
    /// Concerning this peer, or by it.
    #[arg(long, value_name = "MEMBER")]
    peer: Option<MemberId>,
    /// With this result: OK, hit, no-hit, or a code such as ROLE_REQUIRED.
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// About this notice, draft or file.
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// That showed the statement whose D begins so (hexadecimal digits).
    #[arg(long, value_name = "HEX", value_parser = digest)]
    digest: Option<Digest>,
    /// Of this request (32 hexadecimal digits, as a search prints it).
    #[arg(long, value_name = "ID")]
    request: Option<RequestId>,
}

/// The first bytes of a digest.
#[derive(Clone, Debug)]
struct Digest(Vec<u8>);

fn digest(text: &str) -> Result<Digest, String> {
    match hex::decode(text) {
        Ok(bytes) if (1..=32).contains(&bytes.len()) => Ok(Digest(bytes)),
        _ => Err("a digest is 2 to 64 hexadecimal digits, an even number of them".to_owned()),
    }
}

impl SearchOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let node = context.node().await?;
        let request = node.long_request(self.into_request());
        let mut stream = node::answer(node.audit().list_audit_entries(request)).await?;
        let mut entries: Vec<EntryView> = Vec::new();
        // The node looks for as long as it takes: between two entries it may read much of the log.
        while let Some(response) = node::next(&mut stream, context.long_timeout()).await? {
            let Some(entry) = response.entry.map(EntryView::from) else { continue };
            if context.out.format() == Format::Jsonl { context.out.line(&entry)? } else { entries.push(entry) }
        }
        if context.out.format() != Format::Jsonl {
            context.out.emit_list(&entries, |page| show_entries(&entries, page))?;
        }
        Ok(Exit::Done)
    }

    fn into_request(self) -> proto::ListAuditEntriesRequest {
        let unix = |at: Option<Timestamp>| at.map_or(0, Timestamp::as_unix);
        proto::ListAuditEntriesRequest {
            after: self.after.unwrap_or(0),
            limit: self.limit,
            reverse: self.after.is_none(),
            request_id: self.request.map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
            from: unix(self.from),
            to: unix(self.to),
            actor: self.actor.unwrap_or_default(),
            role: self.role.map(|role| role.as_str().to_owned()).unwrap_or_default(),
            operation: self.operation.unwrap_or_default(),
            purpose: self.purpose.map(|purpose| purpose.as_str().to_owned()).unwrap_or_default(),
            case_reference: self.case.unwrap_or_default(),
            peer: self.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            result: self.result.unwrap_or_default(),
            subject: self.subject.unwrap_or_default(),
            digest: self.digest.map(|digest| digest.0).unwrap_or_default(),
        }
    }
}
