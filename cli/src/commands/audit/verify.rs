//! `eads audit verify`

use std::path::{Path, PathBuf};

use eads_domain::audit::AuditProof;
use eads_domain::card::SignedCard;
use eads_proto::v1 as proto;
use serde::Serialize;

use super::file::{Failed, check, proof_of};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::node;
use crate::output::{Page, Tone};

/// `eads audit verify`
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyOptions {
    /// Verify this exported file instead of the node's log.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Its proof [default: FILE.proof.json].
    #[arg(long, value_name = "FILE", requires = "file")]
    proof: Option<PathBuf>,
    /// The card of the member whose log it is, as you know it; without it the card in the proof is believed.
    #[arg(long, value_name = "FILE", requires = "file")]
    card: Option<PathBuf>,
}

/// The JSON of `eads audit verify`.
#[derive(Debug, Serialize)]
struct VerificationView {
    entries: u64,
    last: u64,
    sound: bool,
    first_bad: Option<u64>,
    code: String,
    finding: String,
    head: String,
    unfinished: u64,
    pruned_through: u64,
    anchors: u64,
    anchored_through: u64,
    countersigned_through: u64,
}

/// The JSON of `eads audit verify --file`.
#[derive(Debug, Serialize)]
struct FileView {
    member: String,
    first: u64,
    last: u64,
    sound: bool,
    /// 0 where the proof itself is bad.
    first_bad: Option<u64>,
    finding: String,
    entries: u64,
    unfinished: u64,
    head: String,
    register_size: u64,
    countersigned: Vec<SignedView>,
    card_given: bool,
}

#[derive(Debug, Serialize)]
struct SignedView {
    auditor: String,
    sequence: u64,
}

impl VerifyOptions {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        if let Some(file) = &self.file {
            return self.of_file(context, file);
        }
        let node = context.node().await?;
        let request = node.long_request(proto::VerifyAuditRequest {});
        let found = node::answer(node.audit().verify_audit(request)).await?;
        let view = VerificationView {
            entries: found.entries,
            last: found.last,
            sound: found.sound,
            first_bad: (!found.sound).then_some(found.first_bad),
            code: found.code,
            finding: found.finding,
            head: hex::encode(&found.head),
            unfinished: found.unfinished,
            pruned_through: found.pruned_through,
            anchors: found.anchors,
            anchored_through: found.anchored_through,
            countersigned_through: found.countersigned_through,
        };
        context.out.emit(&view, |page| view.show(page))?;
        Ok(if view.sound { Exit::Done } else { Exit::Integrity })
    }

    fn of_file(&self, context: &Context, file: &Path) -> Result<Exit, CliError> {
        let unreadable =
            |finding: eads_domain::audit::FileFinding| CliError::new("PROOF_UNREADABLE", Exit::BadInput, finding.text);
        let proof = self.proof.clone().unwrap_or_else(|| proof_of(file));
        let proof = AuditProof::parse(&files::read(&proof)?).map_err(unreadable)?;
        let card = match &self.card {
            Some(path) => SignedCard::from_armor(&files::read_text(path)?)
                .map_err(|error| CliError::from(error).about(path.display()))?,
            None => proof.card().map_err(unreadable)?,
        };
        let mut view = FileView {
            member: proof.member.to_string(),
            first: proof.first,
            last: proof.last,
            sound: false,
            first_bad: None,
            finding: String::new(),
            entries: 0,
            unfinished: 0,
            head: proof.after.to_string(),
            register_size: 0,
            countersigned: Vec::new(),
            card_given: self.card.is_some(),
        };
        match check(file, &proof, &card) {
            Ok(verified) => {
                view.sound = true;
                (view.entries, view.unfinished) = (verified.entries, verified.unfinished);
                view.register_size = verified.register_size;
                let signed = verified.countersigned.into_iter();
                let signed = signed.map(|(auditor, sequence)| SignedView { auditor: auditor.to_string(), sequence });
                view.countersigned = signed.collect();
            }
            Err(Failed::Finding(finding)) => {
                view.first_bad = Some(finding.sequence);
                view.finding = finding.text;
            }
            Err(Failed::File(error)) => return Err(error.into()),
        }
        context.out.emit(&view, |page| view.show(page))?;
        Ok(if view.sound { Exit::Done } else { Exit::Integrity })
    }
}

fn through(last: u64) -> String {
    if last == 0 { "no entry".to_owned() } else { format!("entry {last}") }
}

impl VerificationView {
    fn show(&self, page: &mut Page) {
        page.field("entries", &self.entries.to_string());
        if self.pruned_through > 0 {
            page.field("begins behind", &format!("entry {}, the end of what was kept", self.pruned_through));
        }
        page.field("head", &format!("entry {}, {}", self.last, self.head));
        page.field("anchored through", &through(self.anchored_through));
        page.field("countersigned through", &through(self.countersigned_through));
        unfinished(self.unfinished, page);
        match self.first_bad {
            None => page.toned("The audit log is sound.", Tone::Good),
            Some(bad) => page.toned(&format!("The audit log is NOT sound: entry {bad}: {}", self.finding), Tone::Bad),
        }
    }
}

impl FileView {
    fn show(&self, page: &mut Page) {
        page.field("audit log of", &self.member);
        page.field("entries", &format!("{} to {}", self.first, self.last));
        for signed in &self.countersigned {
            page.field("countersigned", &format!("through entry {} by {}", signed.sequence, signed.auditor));
        }
        unfinished(self.unfinished, page);
        if !self.card_given {
            let text =
                "The card came with the proof: compare its verification code, or give the card you know by --card.";
            page.toned(text, Tone::Caution);
        }
        match self.first_bad {
            None => {
                let text = format!("The file is the log: its register of {} entries anchors it.", self.register_size);
                page.toned(&text, Tone::Good);
            }
            Some(0) => page.toned(&format!("The proof does NOT hold: {}", self.finding), Tone::Bad),
            Some(bad) => page.toned(&format!("The file is NOT the log: entry {bad}: {}", self.finding), Tone::Bad),
        }
    }
}

fn unfinished(count: u64, page: &mut Page) {
    if count > 0 {
        let text = format!("{count} (the answer may have been shown)");
        page.toned_field("without outcome", &text, Tone::Caution);
    }
}
