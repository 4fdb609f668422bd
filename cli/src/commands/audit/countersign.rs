//! `eads audit countersign`

use eads_domain::audit::Countersignature;
use eads_domain::id::{Hash, MemberId, RegisterId};
use eads_domain::operator::Operator;
use eads_proto::v1 as proto;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::node::{self, Node};
use crate::output::{Grid, Tone, json_time, moment};

/// `eads audit countersign`
#[derive(Debug, clap::Args)]
pub(crate) struct CountersignOptions {
    /// List the signatures that are kept instead of adding one.
    #[arg(long)]
    list: bool,
}

/// One signature in JSON.
#[derive(Debug, Serialize)]
struct SignatureView {
    sequence: u64,
    chain: String,
    at: Option<String>,
    auditor: String,
}

impl CountersignOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let profile = context.profile()?;
        let node = context.node_of(&profile).await?;
        if self.list {
            return list(context, &node).await;
        }
        // Nobody signs for what does not verify.
        let found = node::answer(node.audit().verify_audit(node.long_request(proto::VerifyAuditRequest {}))).await?;
        if !found.sound {
            let text = format!("the audit log is not sound: entry {}: {}", found.first_bad, found.finding);
            return Err(CliError::new("AUDIT_UNSOUND", Exit::Integrity, text).with_hint("run `eads audit verify`"));
        }
        let status = node::answer(node.status().get_status(node.request(proto::GetStatusRequest {}))).await?;
        let member: MemberId = status.member.parse()?;
        let register: RegisterId = RegisterId::try_from(status.register.as_slice())?;
        let chain = Hash::try_from(found.head.as_slice())?;
        let auditor = Operator::from_certificate(&profile.certificate_der)?.name.to_string();
        let head = (found.last, chain);
        let at = context.now();
        let signed =
            Countersignature::sign((member, register), head, at, &profile.signing_key, &profile.certificate_der);
        let request = node.request(proto::CountersignAuditRequest {
            sequence: signed.sequence,
            chain: chain.as_bytes().to_vec(),
            at: at.as_unix(),
            signature: signed.signature(),
        });
        node::answer(node.audit().countersign_audit(request)).await?;
        let view =
            SignatureView { sequence: found.last, chain: chain.to_string(), at: json_time(at.as_unix()), auditor };
        context.out.emit(&view, |page| {
            page.toned(
                &format!("{} has signed for the log through entry {}.", view.auditor, view.sequence),
                Tone::Good,
            );
            page.field("chain", &view.chain);
            page.line("Keep this line elsewhere: a log with another chain at that entry is another log.");
        })?;
        Ok(Exit::Done)
    }
}

async fn list(context: &Context, node: &Node) -> Result<Exit, CliError> {
    let request = node.request(proto::ListAuditCountersignaturesRequest {});
    let kept = node::answer(node.audit().list_audit_countersignatures(request)).await?.countersignatures;
    let views: Vec<SignatureView> = kept.into_iter().map(SignatureView::from).collect();
    context.out.emit_list(&views, |page| {
        let mut grid = Grid::new(&["THROUGH", "AT", "AUDITOR", "CHAIN"]);
        for view in &views {
            grid.row([
                (view.sequence.to_string(), Tone::Plain),
                (view.at.clone().unwrap_or_else(|| moment(0)), Tone::Plain),
                (view.auditor.clone(), Tone::Plain),
                (view.chain.clone(), Tone::Plain),
            ]);
        }
        if views.is_empty() { page.line("nobody has signed for the log yet") } else { page.grid(&grid) }
    })?;
    Ok(Exit::Done)
}

impl From<proto::AuditCountersignature> for SignatureView {
    fn from(kept: proto::AuditCountersignature) -> Self {
        let chain = hex::encode(&kept.chain);
        Self { sequence: kept.sequence, chain, at: json_time(kept.at), auditor: kept.auditor }
    }
}
